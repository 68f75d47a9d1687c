//! Where frames come from.
//!
//! A [`SourceUri`] says what to open, [`open`] checks all that can be checked before the run, and the
//! capture itself begins with the first call of [`Source::next`].

pub mod camera;
mod error;
mod faults;
mod idx;
mod images;
mod paced;
mod scripted;
mod slowed;
#[cfg(unix)]
mod stdin;
mod synthetic;
mod uri;

use std::sync::Arc;
use std::time::Duration;

pub use error::SourceError;
pub use faults::{Fault, FaultError, FaultKind};
pub use slowed::Slowed;
pub use synthetic::Synthetic;
pub use uri::{RawVideo, SourceUri, SourceUriError};

use crate::clock::{Clock, StopFlag};
use crate::frame::{Capture, Frame, PixelFormat};
use paced::Paced;

/// The lowest rate at which a file can be played, in frames a second: one in about a quarter of an hour.
pub const LOWEST_FPS: f64 = 0.001;
/// The highest rate at which a file can be played, in frames a second.
pub const HIGHEST_FPS: f64 = 10_000.0;

/// How long a live source waits for a frame before it says that there is nothing.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// A camera that is not open after this is left to itself. Some take seconds.
pub const OPENING_PATIENCE: Duration = Duration::from_secs(10);

/// Gives frames, one after the other.
///
/// Frames are numbered from 0 without gaps but those that `lost` explains, and the end stays the end.
pub trait Source: Send {
    /// Blocks until there is something to say. A live source waits about [`PATIENCE`] at most, so that whoever asks
    /// can tell a camera without frames from a driver that does not return. [`Next::End`] soon after `stop` was set.
    ///
    /// # Errors
    /// When the source can give no more frames as it is: it is not asked again. One that can be opened anew
    /// ([`Feed::reopen`]) may come back; any other error ends the run.
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError>;

    /// How many frames it gives in all, where it knows: an upper bound, as it may be stopped or fail before.
    fn frames(&self) -> Option<u64> {
        None
    }

    /// The file of each frame, in the order of their numbers; empty where frames are not files of their own.
    fn files(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether frames come at their own pace.
    fn pacing(&self) -> Pacing;
}

/// What a source has to say.
#[derive(Debug)]
pub enum Next {
    /// A frame.
    Frame(Frame),
    /// A frame that came, but is not fit to be used.
    Broken(BrokenFrame),
    /// So many frames that the driver lost, with no frame behind them: the source is about to end or to fail. They count as the
    /// next ones.
    Lost(u64),
    /// No frame yet; ask again.
    Nothing,
    /// There are no more frames.
    End,
}

/// A frame that came, but is not fit to be used: all that is known of it.
#[derive(Debug)]
pub struct BrokenFrame {
    /// Which one, and when, as of every frame.
    pub capture: Capture,
    /// What is wrong with it.
    pub reason: FrameFault,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameFault {
    /// The driver says so.
    #[error("the driver marked the frame as faulty; check the camera's cable and the USB bandwidth")]
    Marked,
    /// It could not be decoded.
    #[error("the frame could not be decoded: {}; check the camera's cable and the USB bandwidth", .0.trim_end())]
    Undecodable(String),
    /// A picture that cannot be read, in the words of its [`SourceError`], which name the file.
    #[error("{0}")]
    Picture(String),
    /// It has another number of bytes than its form takes.
    #[error("the frame has {got} bytes, expected {expected}; check the camera's cable and the USB bandwidth")]
    Bytes {
        /// Bytes of a whole frame.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
}

/// Opens a source again that has failed, or was left to itself; it is told how many frames were taken so far, of all openings.
pub type Reopen = Arc<dyn Fn(u64) -> Result<Box<dyn Source>, SourceError> + Send + Sync>;

/// An open source, and how to open it again.
pub struct Feed {
    /// The source.
    pub source: Box<dyn Source>,
    /// Present of a source that can come back after an error, such as a camera that was unplugged. What comes of it
    /// counts its frames from 0 again.
    pub reopen: Option<Reopen>,
}

impl From<Box<dyn Source>> for Feed {
    fn from(source: Box<dyn Source>) -> Self {
        Self { source, reopen: None }
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("pacing", &self.source.pacing()).field("reopens", &self.reopen.is_some()).finish()
    }
}

/// What a source does while the pipeline is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// A camera: frames come whether somebody is ready or not, and the newest wins.
    Live,
    /// A file at a fixed rate: as a camera.
    Paced,
    /// A file as fast as the pipeline goes: asked for a frame when the one before has met its fate. Nothing is dropped
    /// in the queue, and the response is the work alone.
    Unpaced,
}

/// How to play a source.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SourceOptions {
    /// Frames a second, on an absolute schedule from the first frame on; `None` waits for the pipeline instead. Of a
    /// camera it is the camera's own rate.
    pub fps: Option<f64>,
    /// The most frames to give. A file that holds fewer ends earlier: nothing is played twice.
    pub frames: Option<u64>,
    /// The classifier's class names in the order of its logits: labels are matched to them and checked.
    /// Without them folder names are the classes, in natural order.
    pub classes: Option<Vec<String>>,
    /// What the classifier looks at: a camera gives grey pictures at once where nobody wants colours. Other sources
    /// give what they hold.
    pub pixels: Option<PixelFormat>,
}

impl SourceOptions {
    /// Checks what makes no sense of any source.
    ///
    /// # Errors
    /// When the rate is not from [`LOWEST_FPS`] to [`HIGHEST_FPS`], or no frames are asked for.
    fn check(&self) -> Result<(), SourceError> {
        match *self {
            Self { fps: Some(got), .. } if !(LOWEST_FPS..=HIGHEST_FPS).contains(&got) => Err(SourceError::Fps { got }),
            Self { frames: Some(0), .. } => Err(SourceError::NoFrames),
            _ => Ok(()),
        }
    }
}

/// Opens a source and checks it as far as that goes without decoding: files exist, have a known type,
/// an intact header and a possible label; a camera is there and can do what is asked of it.
///
/// # Errors
/// When any of that is not so, or the options make no sense.
pub fn open(uri: &SourceUri, options: &SourceOptions, clock: Arc<dyn Clock>) -> Result<Feed, SourceError> {
    options.check()?;
    let classes = options.classes.as_deref();
    let source: Box<dyn Source> = match uri {
        SourceUri::Camera(spec) => return camera::open(spec, options, clock),
        SourceUri::Dir(path) => Box::new(Paced::new(images::Folder::open(path, classes)?, options, clock)),
        SourceUri::Idx { images, labels } => {
            Box::new(Paced::new(idx::IdxFile::open(images, labels.as_deref(), classes)?, options, clock))
        }
        #[cfg(unix)]
        SourceUri::Stdin(form) => Box::new(stdin::RawFrames::stdin(*form, options, clock)?),
        #[cfg(not(unix))]
        SourceUri::Stdin(_) => return Err(SourceError::NoStdin),
        SourceUri::Synthetic(synthetic) if !synthetic.faults.is_empty() => {
            let (camera, reopen) = scripted::open(synthetic, options, clock)?;
            return Ok(Feed { source: Box::new(camera), reopen: Some(reopen) });
        }
        SourceUri::Synthetic(synthetic) => {
            Box::new(Paced::new(synthetic::Generator::new(synthetic, classes)?, options, clock))
        }
    };
    Ok(source.into())
}

/// Raw frames from any file descriptor, as `stdin:` gives those of standard input; for example the output of a program
/// that this one started.
///
/// # Errors
/// When the options make no sense.
#[cfg(unix)]
pub fn open_raw(
    from: std::os::fd::OwnedFd,
    form: RawVideo,
    options: &SourceOptions,
    clock: Arc<dyn Clock>,
) -> Result<Feed, SourceError> {
    options.check()?;
    let source: Box<dyn Source> = Box::new(stdin::RawFrames::new(from, form, options, clock)?);
    Ok(source.into())
}
