//! IDX, the file format of MNIST and Fashion-MNIST: a big-endian header, then raw bytes; plain or gzip.
//!
//! The frame source and training both read it, so it stands apart from either. Format: the page of the
//! MNIST database; only unsigned bytes (type `0x08`) exist in these data sets, and only they are read.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;
/// How every gzip file begins; no IDX file does.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
/// More than any of these data sets; keeps an absurd header from asking for all memory.
const MAX_BYTES: u64 = 4 << 30;

/// Grey pictures of one size, one byte a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Number of pictures.
    pub count: usize,
    /// Rows of each.
    pub height: usize,
    /// Columns of each.
    pub width: usize,
    /// `count × height × width` bytes, row by row, 0 black and 255 white.
    pub pixels: Vec<u8>,
}

impl Images {
    /// The bytes of picture `index`, row by row.
    ///
    /// # Panics
    /// When `index >= count`.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        let size = self.height * self.width;
        &self.pixels[index * size..(index + 1) * size]
    }
}

/// Why an IDX file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The file could not be opened or read.
    #[error("{}: cannot read: {source}; is it there, readable and whole?", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not an IDX file of the expected kind.
    #[error("{}: not an IDX file of {kind}: expected magic number 0x{expected:08x}, found 0x{got:08x}; check that images and labels are not swapped", path.display())]
    Magic {
        /// Which file.
        path: PathBuf,
        /// "images" or "labels".
        kind: &'static str,
        /// The magic number of that kind.
        expected: u32,
        /// What stands there.
        got: u32,
    },
    /// The file ends within its header.
    #[error("{}: truncated: the file ends within its header; fetch it again", path.display())]
    Header {
        /// Which file.
        path: PathBuf,
    },
    /// The header promises more than the file holds.
    #[error("{}: truncated: the header promises {expected} bytes of data, the file holds {got}; fetch it again", path.display())]
    Truncated {
        /// Which file.
        path: PathBuf,
        /// Bytes after the header, by the header.
        expected: u64,
        /// Bytes that are there.
        got: u64,
    },
    /// The file goes on after the last item.
    #[error("{}: data after the last of {count} items; the header and the data do not belong together, fetch the file again", path.display())]
    Trailing {
        /// Which file.
        path: PathBuf,
        /// Items by the header.
        count: usize,
    },
    /// A header no data set has.
    #[error("{}: the header promises {bytes} bytes; expected pictures of at least 1×1 and at most {MAX_BYTES} bytes in all", path.display())]
    Absurd {
        /// Which file.
        path: PathBuf,
        /// Bytes by the header.
        bytes: u128,
    },
    /// Images and labels of different number.
    #[error("{} holds {images} images, {} holds {labels} labels; expected as many labels as images", images_path.display(), labels_path.display())]
    CountMismatch {
        /// The images file.
        images_path: PathBuf,
        /// Number of images.
        images: usize,
        /// The labels file.
        labels_path: PathBuf,
        /// Number of labels.
        labels: usize,
    },
}

/// Reads a file of images.
///
/// # Errors
/// When the file cannot be read, has another magic number, is truncated or goes on after its end.
pub fn read_images(path: &Path) -> Result<Images, IdxError> {
    images_from(open(path)?, path)
}

/// As [`read_images`], of bytes from anywhere. `path` is what they are called.
///
/// # Errors
/// As [`read_images`].
pub fn images_from(bytes: impl Read, path: &Path) -> Result<Images, IdxError> {
    let mut file = Reader::new(bytes, path)?;
    file.magic("images", IMAGES_MAGIC)?;
    let [count, height, width] = [file.u32()?, file.u32()?, file.u32()?];
    let pixels = file.data(&[count, height, width])?;
    Ok(Images { count: count as usize, height: height as usize, width: width as usize, pixels })
}

/// Reads a file of labels, one byte each.
///
/// # Errors
/// As [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>, IdxError> {
    labels_from(open(path)?, path)
}

/// As [`read_labels`], of bytes from anywhere; see [`images_from`].
///
/// # Errors
/// As [`read_images`].
pub fn labels_from(bytes: impl Read, path: &Path) -> Result<Vec<u8>, IdxError> {
    let mut file = Reader::new(bytes, path)?;
    file.magic("labels", LABELS_MAGIC)?;
    let count = file.u32()?;
    file.data(&[count])
}

fn open(path: &Path) -> Result<BufReader<File>, IdxError> {
    File::open(path).map(BufReader::new).map_err(|source| IdxError::Io { path: path.into(), source })
}

/// Reads images and the labels that belong to them.
///
/// # Errors
/// As [`read_images`], and when the counts differ.
pub fn read_labelled(images_path: &Path, labels_path: &Path) -> Result<(Images, Vec<u8>), IdxError> {
    let images = read_images(images_path)?;
    let labels = read_labels(labels_path)?;
    if images.count != labels.len() {
        return Err(IdxError::CountMismatch {
            images_path: images_path.into(),
            images: images.count,
            labels_path: labels_path.into(),
            labels: labels.len(),
        });
    }
    Ok((images, labels))
}

/// Writes pictures as a gzip-compressed IDX file.
///
/// # Errors
/// When the file cannot be written, or a side does not fit the format's 32 bits.
pub fn write_images(path: &Path, images: &Images) -> Result<(), IdxError> {
    write(path, IMAGES_MAGIC, &[images.count, images.height, images.width], &images.pixels)
}

/// Writes labels as a gzip-compressed IDX file.
///
/// # Errors
/// As [`write_images`].
pub fn write_labels(path: &Path, labels: &[u8]) -> Result<(), IdxError> {
    write(path, LABELS_MAGIC, &[labels.len()], labels)
}

fn write(path: &Path, magic: u32, shape: &[usize], data: &[u8]) -> Result<(), IdxError> {
    let written = || {
        let mut file = GzEncoder::new(File::create(path)?, Compression::best());
        file.write_all(&magic.to_be_bytes())?;
        for &side in shape {
            file.write_all(&u32::try_from(side).map_err(io::Error::other)?.to_be_bytes())?;
        }
        file.write_all(data)?;
        file.finish()?.sync_all()
    };
    written().map_err(|source| IdxError::Write { path: path.into(), source })
}

struct Reader<'a> {
    path: &'a Path,
    bytes: Box<dyn Read + 'a>,
}

impl<'a> Reader<'a> {
    /// Whether it is gzip is told by its first bytes.
    fn new(mut bytes: impl Read + 'a, path: &'a Path) -> Result<Self, IdxError> {
        let mut first = [0; GZIP_MAGIC.len()];
        let got = read_up_to(&mut bytes, &mut first).map_err(|source| IdxError::Io { path: path.into(), source })?;
        let whole = io::Cursor::new(first).take(got as u64).chain(bytes);
        let bytes: Box<dyn Read + 'a> =
            if first == GZIP_MAGIC { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
        Ok(Self { path, bytes })
    }

    fn io(&self, source: io::Error) -> IdxError {
        IdxError::Io { path: self.path.into(), source }
    }

    fn u32(&mut self) -> Result<u32, IdxError> {
        let mut bytes = [0; 4];
        let got = read_up_to(&mut self.bytes, &mut bytes).map_err(|source| self.io(source))?;
        if got < 4 {
            return Err(IdxError::Header { path: self.path.into() });
        }
        Ok(u32::from_be_bytes(bytes))
    }

    fn magic(&mut self, kind: &'static str, expected: u32) -> Result<(), IdxError> {
        let got = self.u32()?;
        if got == expected {
            return Ok(());
        }
        Err(IdxError::Magic { path: self.path.into(), kind, expected, got })
    }

    fn data(&mut self, shape: &[u32]) -> Result<Vec<u8>, IdxError> {
        let bytes: u128 = shape.iter().map(|&side| u128::from(side)).product();
        let expected = u64::try_from(bytes).unwrap_or(u64::MAX);
        if shape[1..].contains(&0) || expected > MAX_BYTES {
            return Err(IdxError::Absurd { path: self.path.into(), bytes });
        }
        // Not allocated ahead: a lying header must not cost memory that the file does not fill.
        let mut data = Vec::new();
        (&mut self.bytes)
            .take(expected)
            .read_to_end(&mut data)
            .or_else(|error| match error.kind() {
                // A gzip stream that was cut off.
                io::ErrorKind::UnexpectedEof => Ok(0),
                _ => Err(error),
            })
            .map_err(|source| self.io(source))?;
        if (data.len() as u64) < expected {
            return Err(IdxError::Truncated { path: self.path.into(), expected, got: data.len() as u64 });
        }
        // Also makes gzip check its sum.
        let trailing = self.bytes.read(&mut [0; 1]).map_err(|source| self.io(source))?;
        if trailing > 0 {
            return Err(IdxError::Trailing { path: self.path.into(), count: shape[0] as usize });
        }
        Ok(data)
    }
}

/// Fills `buffer` as far as the stream goes; the number of bytes read.
fn read_up_to(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images_file(count: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = IMAGES_MAGIC.to_be_bytes().to_vec();
        for side in [count, 2, 3] {
            bytes.extend(side.to_be_bytes());
        }
        bytes.extend(data);
        bytes
    }

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        if name.ends_with(".gz") {
            let mut gzip = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap();
        } else {
            std::fs::write(&path, bytes).unwrap();
        }
        (folder, path)
    }

    #[test]
    fn plain_and_gzip_files_hold_the_same_pictures() {
        let data: Vec<u8> = (0..12).collect();
        for name in ["images", "images.gz"] {
            let (_folder, path) = write(name, &images_file(2, &data));
            let images = read_images(&path).unwrap();
            assert_eq!((images.count, images.height, images.width), (2, 2, 3));
            assert_eq!(images.get(1), &data[6..]);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images { count: 2, height: 2, width: 3, pixels: (0..12).collect() };
        let paths = ["images.gz", "labels.gz"].map(|name| folder.path().join(name));
        write_images(&paths[0], &images).unwrap();
        write_labels(&paths[1], &[3, 4]).unwrap();
        assert_eq!(read_labelled(&paths[0], &paths[1]).unwrap(), (images, vec![3, 4]));
    }

    #[test]
    fn gzip_is_known_by_its_bytes_and_not_by_its_name() {
        let data: Vec<u8> = (0..12).collect();
        for (written, read) in [("images.gz", "images"), ("images", "images.gz")] {
            let (folder, path) = write(written, &images_file(2, &data));
            let renamed = folder.path().join(read);
            std::fs::rename(path, &renamed).unwrap();
            assert_eq!(read_images(&renamed).unwrap().pixels, data, "{written} as {read}");
        }
    }

    #[test]
    fn a_truncated_file_says_how_much_is_missing() {
        let (_folder, path) = write("images", &images_file(2, &[0; 11]));
        let text = read_images(&path).unwrap_err().to_string();
        assert!(text.contains("the header promises 12 bytes of data, the file holds 11"), "{text}");
    }

    #[test]
    fn a_cut_off_gzip_stream_is_truncated_too() {
        let (_folder, path) = write("images.gz", &images_file(200, &[7; 1200]));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 12]).unwrap();
        let text = read_images(&path).unwrap_err().to_string();
        assert!(text.contains("truncated: the header promises 1200 bytes"), "{text}");
    }

    #[test]
    fn a_gzip_stream_without_its_check_sum_is_refused() {
        let (_folder, path) = write("images.gz", &images_file(200, &[7; 1200]));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let text = read_images(&path).unwrap_err().to_string();
        assert!(text.contains("images.gz: cannot read:"), "{text}");
    }

    #[test]
    fn labels_where_images_should_be_are_named_by_their_magic_number() {
        let (_folder, path) = write("labels", &[0, 0, 8, 1, 0, 0, 0, 1, 5]);
        assert_eq!(read_labels(&path).unwrap(), [5]);
        let text = read_images(&path).unwrap_err().to_string();
        assert!(
            text.contains("not an IDX file of images: expected magic number 0x00000803, found 0x00000801"),
            "{text}"
        );
    }

    #[test]
    fn a_file_that_ends_in_its_header_says_so() {
        let (_folder, path) = write("images", &[0, 0, 8]);
        assert!(read_images(&path).unwrap_err().to_string().contains("the file ends within its header"));
    }

    #[test]
    fn data_after_the_end_is_refused() {
        let (_folder, path) = write("images", &images_file(2, &[0; 13]));
        assert!(read_images(&path).unwrap_err().to_string().contains("data after the last of 2 items"));
    }

    #[test]
    fn an_absurd_header_is_refused_without_allocating() {
        let (_folder, path) = write("images", &images_file(u32::MAX, &[0; 12]));
        assert!(read_images(&path).unwrap_err().to_string().contains("the header promises 25769803770 bytes"));
    }

    #[test]
    fn counts_that_differ_name_both_files() {
        let (_a, images) = write("images", &images_file(2, &[0; 12]));
        let (_b, labels) = write("labels", &[0, 0, 8, 1, 0, 0, 0, 1, 5]);
        let text = read_labelled(&images, &labels).unwrap_err().to_string();
        assert!(text.contains("holds 2 images") && text.contains("holds 1 labels"), "{text}");
    }
}
