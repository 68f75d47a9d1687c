//! The SHA-256 of a file: which file it is, whatever its name.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// SHA-256 of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHash([u8; 32]);

/// A text that is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hex digits")]
pub struct NotAHash;

impl FileHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// 64 hex digits, in lower case.
impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads 64 hex digits in either case.
impl FromStr for FileHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NotAHash);
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| NotAHash)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of nothing at all (FIPS 180-4).
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_hash_is_written_and_read_as_64_hex_digits_in_either_case() {
        assert_eq!(FileHash::of(b"").to_string(), EMPTY);
        for text in [EMPTY.to_owned(), EMPTY.to_uppercase()] {
            assert_eq!(text.parse(), Ok(FileHash::of(b"")));
        }
    }

    #[test]
    fn anything_else_is_no_hash() {
        let long = format!("{EMPTY}0");
        for text in ["", &EMPTY[1..], &long, &EMPTY.replace('e', "g"), &EMPTY.replacen("e3", "+3", 1), &"é".repeat(32)]
        {
            assert_eq!(text.parse::<FileHash>(), Err(NotAHash), "{text}");
        }
    }
}
