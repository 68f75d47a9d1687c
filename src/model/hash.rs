//! The SHA-256 of a file: which file it is, whatever its name.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 of a file's bytes; 64 hex digits where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

    /// The hash of all there is to read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(mut content: impl Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        io::copy(&mut content, &mut hasher)?;
        Ok(Self(hasher.finalize().into()))
    }

    /// The first 12 hex digits: short, and still naming the file.
    #[must_use]
    pub fn short(self) -> String {
        let mut digits = self.to_string();
        digits.truncate(12);
        digits
    }
}

impl From<FileHash> for String {
    fn from(hash: FileHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for FileHash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
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
        assert_eq!(FileHash::of(b"").short(), "e3b0c44298fc");
    }

    #[test]
    fn what_is_read_piece_by_piece_has_the_hash_of_the_whole() {
        assert_eq!(FileHash::read(b"ab".chain(&b"c"[..])).unwrap(), FileHash::of(b"abc"));
    }

    #[test]
    fn in_json_it_is_its_digits_and_nothing_else_is_taken() {
        let json = format!("\"{EMPTY}\"");
        assert_eq!(serde_json::to_string(&FileHash::of(b"")).unwrap(), json);
        assert_eq!(serde_json::from_str::<FileHash>(&json).unwrap(), FileHash::of(b""));
        let odd = format!("\"a{}a\"", "é".repeat(31));
        assert!(serde_json::from_str::<FileHash>(&odd).unwrap_err().to_string().starts_with("expected 64 hex digits"));
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
