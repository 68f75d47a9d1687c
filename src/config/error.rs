//! Why a configuration was refused.

use std::path::PathBuf;

use super::text::TextError;
use crate::pipeline::OnUnpurified;
use crate::source::{SourceError, SourceUriError};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot read the configuration: {source}; check the path after --config and its permissions", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("{}", source.in_file(path))]
    Text {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: TextError,
    },
    /// Something that has no default is missing.
    #[error("{0} is missing; give it as a flag, or as a key of the file that --config names")]
    Missing(&'static str),
    /// A value no run makes sense with.
    #[error("{flag} is {got}, expected {expected}")]
    Absurd {
        /// Which setting.
        flag: &'static str,
        /// What it is.
        got: String,
        /// What it may be.
        expected: String,
    },
    /// The source's URI is not one.
    #[error("--source: {0}")]
    Source(#[from] SourceUriError),
    /// The source cannot be played at that rate.
    #[error(transparent)]
    Rate(SourceError),
    /// What to do without a purifier, when there is none anyway.
    #[error("--on-unpurified is {0}, but --purifier is none; name the purifier's file, or leave it out")]
    NothingUnpurified(OnUnpurified),
    /// A hash for a purifier that is not there.
    #[error("--purifier-sha256 is given, but --purifier is none; name the purifier's file, or leave the hash out")]
    HashOfNothing,
    /// Two things that would be written over each other.
    #[error(
        "--live and --verdicts - would both write to the terminal; send standard output to a file or a program, or give --verdicts a file"
    )]
    LiveOverVerdicts,
    /// One file for two purposes.
    #[error("{} is given as {first} and as {second}; one would overwrite the other, give two different files", path.display())]
    SameFile {
        /// Which file.
        path: PathBuf,
        /// The one purpose.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// One file in the place of two.
    #[error("{} and {} are one file; there is nothing to compare, give each file once", first.display(), path.display())]
    GivenTwice {
        /// As it was named first.
        first: PathBuf,
        /// As it was named again.
        path: PathBuf,
    },
    /// An output in a folder that is read.
    #[error("{} is given as {second} and lies in {}, the folder of {first}; it would be taken for an input, give a path outside that folder", path.display(), folder.display())]
    AmongInputs {
        /// Which output.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
        /// Who reads the folder.
        first: &'static str,
        /// Who would write into it.
        second: &'static str,
    },
}
