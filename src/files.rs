//! Files that are read whole, up to a size: whoever names another file than the one that was meant, a disk or a device
//! perhaps, must not fill the memory. And files that are [replaced](replace_with) in one step.

mod replace;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

pub use replace::{behind_links, check_replaceable, replace_with};

/// The most bytes of a text. A report with everything that can be in it has a fifth of that.
pub const MAX_TEXT_BYTES: u64 = 64 << 20;
/// The most bytes of an ONNX file: protobuf has no longer messages.
pub const MAX_MODEL_BYTES: u64 = 2 << 30;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read or is larger.
pub fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= limit {
        bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
        // A device says that it has no length.
        file.take(limit + 1).read_to_end(&mut bytes)?;
    }
    if length.max(bytes.len() as u64) > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {} MiB, the most that such a file may have", limit >> 20),
        ));
    }
    Ok(bytes)
}

/// Reads a text of at most [`MAX_TEXT_BYTES`].
///
/// # Errors
/// When it cannot be read, is larger, or is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let bytes = read_at_most(path, MAX_TEXT_BYTES)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not a text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of so many zeros that takes no room.
    fn zeros(bytes: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        file
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        assert_eq!(read_at_most(zeros(2 << 20).path(), 2 << 20).unwrap().len(), 2 << 20);
        let error = read_at_most(zeros((2 << 20) + 1).path(), 2 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 2 MiB, the most that such a file may have");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_has_no_length_is_read_up_to_its_limit_too() {
        let error = read_at_most(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert!(error.to_string().starts_with("it is larger than 1 MiB"), "{error}");
    }

    #[test]
    fn a_text_is_a_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "déjà vu").unwrap();
        assert_eq!(read_text(file.path()).unwrap(), "déjà vu");
        std::fs::write(file.path(), [0xFF]).unwrap();
        assert_eq!(read_text(file.path()).unwrap_err().to_string(), "it is not a text in UTF-8");
        let error = read_text(zeros(MAX_TEXT_BYTES + 1).path()).unwrap_err();
        assert!(error.to_string().starts_with("it is larger than 64 MiB"), "{error}");
    }
}
