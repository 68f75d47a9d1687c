//! Why a source cannot be opened or played.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::camera::CameraError;
use super::{HIGHEST_FPS, LOWEST_FPS};
use crate::idx::IdxError;
use crate::picture::PictureError;

/// Why a source cannot be opened or played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A rate that is none.
    #[error(
        "{got} frames a second, expected {LOWEST_FPS} to {HIGHEST_FPS}; leave --fps out to wait for the pipeline instead"
    )]
    Fps {
        /// What was asked for.
        got: f64,
    },
    /// A rate that no camera has.
    #[error(
        "{got} frames a second, expected 0.001 to 1000 of a camera; give one of its own rates (`puvae cameras`), or leave --fps out"
    )]
    CameraFps {
        /// What was asked for.
        got: f64,
    },
    /// No frames were asked for.
    #[error("0 frames were asked for, expected at least 1; leave --frames out to play the whole source")]
    NoFrames,
    /// The system refused something.
    #[error("{}: cannot read: {source}; check the path and its permissions", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `dir:` was given something else.
    #[error("{}: not a folder; `dir:` expects a folder of pictures", path.display())]
    NotAFolder {
        /// What was given.
        path: PathBuf,
    },
    /// There is nothing to play.
    #[error("{}: no pictures in it, expected at least one; {hint}", path.display())]
    Empty {
        /// Which folder or file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// A picture was refused.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A sub-folder is named after no class.
    #[error("{}: the folder's name is no class of the classifier, expected one of {} or a number below {}; rename it", path.display(), classes.join(", "), classes.len())]
    UnknownClass {
        /// Which sub-folder.
        path: PathBuf,
        /// The classifier's classes.
        classes: Vec<String>,
    },
    /// Two sub-folders are named after the same class.
    #[error("{} and {} both stand for class {class}; put their pictures into one folder", first.display(), second.display())]
    SameClass {
        /// One sub-folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The class.
        class: usize,
    },
    /// A label for which the classifier has no class.
    #[error("{}: label {label} at position {index}, expected labels below {classes}, the number of the classifier's classes; use the classifier made for these data", path.display())]
    Label {
        /// The labels file.
        path: PathBuf,
        /// Where, from 0.
        index: usize,
        /// What stands there.
        label: u8,
        /// How many classes there are.
        classes: usize,
    },
    /// The synthetic source draws other classes than the classifier knows.
    #[error("the synthetic source has {got} classes, the classifier has {expected}; write `classes={expected}`")]
    SyntheticClasses {
        /// Classes of the classifier.
        expected: usize,
        /// Classes of the source.
        got: usize,
    },
    /// A camera cannot be opened, or gives no more frames.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// An IDX file was refused.
    #[error(transparent)]
    Idx(#[from] IdxError),
    /// A pace for frames that have their own.
    #[error(
        "--fps was given, but frames on standard input come when they come; let the program that writes them keep the pace (ffmpeg -re), and leave --fps out"
    )]
    StdinFps,
    /// Standard input cannot be read.
    #[error(
        "standard input cannot be read: {0}; write frames to it, for example with ffmpeg … -f rawvideo - | puvae run …"
    )]
    Stdin(io::Error),
    /// A frame without its end.
    #[error(
        "standard input ended in the middle of frame {frame}: {got} bytes, expected {expected}; check that the size and the colours in the URI are those of the writer"
    )]
    StdinCutOff {
        /// Which frame.
        frame: u64,
        /// Bytes of it that came.
        got: usize,
        /// Bytes of a whole frame.
        expected: usize,
    },
    /// Standard input on a system where that is not possible yet.
    #[error("stdin: is not available on this system; give frames as files, or use Linux or macOS")]
    NoStdin,
    /// The synthetic camera is unplugged, as its script says.
    #[error("the synthetic camera was unplugged, as its script says")]
    Unplugged,
    /// A source from outside this crate failed.
    #[error("{0}")]
    Other(Box<dyn Error + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use crate::source::FrameFault;

    #[test]
    fn what_a_decoder_says_stays_on_one_line() {
        let fault = FrameFault::Undecodable("no more bytes\n".into()).to_string();
        assert!(fault.starts_with("the frame could not be decoded: no more bytes; check"), "{fault}");
    }
}
