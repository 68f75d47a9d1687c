//! Picture files: PNG, JPEG, BMP and PNM, decoded to eight bits, grey or RGB, upright as their EXIF tag says.
//!
//! The frame source and training both read them, so this stands apart from either. Transparency is ignored: what lies
//! under it counts.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader};

use crate::preprocess::PixelFormat;

/// File name extensions of pictures, in lower case.
const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "bmp", "pgm", "ppm", "pnm", "pbm"];

/// Bytes that a decoded picture may have: more than a 60-megapixel camera's, and far less than a forged header can claim.
const MAX_BYTES: u64 = 256 << 20;

/// Everything about a picture but its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Channels of its pixels.
    pub format: PixelFormat,
}

/// Why a picture file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file could not be read.
    #[error("{}: cannot read: {source}; check the path and its permissions", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that is no picture.
    #[error("{}: not a picture of a known type, expected one of {}; remove it from the folder or hide it with a leading dot", path.display(), EXTENSIONS.join(", "))]
    UnknownType {
        /// Which file.
        path: PathBuf,
    },
    /// A pipe, a device or a folder under a picture's name.
    #[error("{}: not a regular file, expected a picture; remove it from the folder or hide it with a leading dot", path.display())]
    NotRegular {
        /// Which one.
        path: PathBuf,
    },
    /// A picture is broken.
    #[error("{}: broken picture: {}; replace it or remove it from the folder", path.display(), source.to_string().trim_end())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A picture that would take too much memory.
    #[error(
        "{}: {width}×{height} pixels take {bytes} bytes, expected at most {MAX_BYTES}; make the picture smaller or remove it from the folder", path.display()
    )]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Columns, by the header.
        width: u32,
        /// Rows, by the header.
        height: u32,
        /// Bytes of the decoded picture.
        bytes: u64,
    },
}

/// Checks a picture as far as that goes without decoding: the type by the file's name, the header by its contents.
///
/// # Errors
/// The file cannot be read, has another type, or its header is broken or promises too large a picture.
pub fn check(path: &Path) -> Result<(), PictureError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !EXTENSIONS.contains(&extension.as_str()) {
        return Err(PictureError::UnknownType { path: path.into() });
    }
    decoder(path).map(drop)
}

/// Decodes a picture, whose type its contents say, else its name, into `pixels`: row by row, channels interleaved.
/// What `pixels` held before is overwritten.
///
/// Straight into them where it can be; pictures that lie on their side, 16-bit ones and those with transparency are
/// converted.
///
/// # Errors
/// The file cannot be read, or is no picture, a broken one, or too large a one.
pub fn read(path: &Path, pixels: &mut Vec<u8>) -> Result<Header, PictureError> {
    let mut decoder = decoder(path)?;
    let orientation = decoder.orientation().map_err(|error| broken(path, error))?;
    let format = match decoder.color_type() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => PixelFormat::Gray8,
        _ => PixelFormat::Rgb8,
    };
    let as_it_is = matches!(decoder.color_type(), ColorType::L8 | ColorType::Rgb8);
    let (width, height) = if as_it_is && orientation == Orientation::NoTransforms {
        let sides = decoder.dimensions();
        let bytes = usize::try_from(decoder.total_bytes()).expect("the decoder limits a picture's size");
        pixels.resize(bytes, 0);
        decoder.read_image(pixels).map_err(|error| broken(path, error))?;
        sides
    } else {
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| broken(path, error))?;
        picture.apply_orientation(orientation);
        let sides = (picture.width(), picture.height());
        *pixels = match format {
            PixelFormat::Gray8 => picture.into_luma8().into_raw(),
            PixelFormat::Rgb8 => picture.into_rgb8().into_raw(),
        };
        sides
    };
    Ok(Header { width: width as usize, height: height as usize, format })
}

/// Ready to decode; refuses a picture that would not fit into memory, whatever its header promises.
fn decoder(path: &Path) -> Result<impl ImageDecoder, PictureError> {
    let io = |source| PictureError::Io { path: path.into(), source };
    // To open a pipe is to wait for who writes into it.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(PictureError::NotRegular { path: path.into() });
    }
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(io)?;
    let Some(_) = reader.format() else { return Err(PictureError::UnknownType { path: path.into() }) };
    let decoder = reader.into_decoder().map_err(|error| broken(path, error))?;
    let ((width, height), bytes) = (decoder.dimensions(), decoder.total_bytes());
    if bytes > MAX_BYTES {
        return Err(PictureError::TooLarge { path: path.into(), width, height, bytes });
    }
    Ok(decoder)
}

fn broken(path: &Path, error: ImageError) -> PictureError {
    match error {
        ImageError::IoError(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            PictureError::Io { path: path.into(), source }
        }
        error => PictureError::Broken { path: path.into(), source: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_decoder_says_stays_on_one_line() {
        let broken = PictureError::Broken { path: "a.png".into(), source: "no more bytes\n".into() }.to_string();
        assert_eq!(broken, "a.png: broken picture: no more bytes; replace it or remove it from the folder");
    }
}
