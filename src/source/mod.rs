//! Where frames come from.
//!
//! A [`SourceUri`] says what to open, [`open`] checks all that can be checked before the run, and the
//! capture itself begins with the first call of [`Source::next_frame`].

mod error;
mod idx;
mod images;
mod paced;
mod synthetic;
mod uri;

use std::sync::Arc;

pub use error::SourceError;
pub use synthetic::Synthetic;
pub use uri::{SourceUri, SourceUriError};

use crate::clock::{Clock, StopFlag};
use crate::frame::Frame;
use paced::Paced;

/// The lowest rate at which a file can be played, in frames a second: one in about a quarter of an hour.
pub const LOWEST_FPS: f64 = 0.001;
/// The highest rate at which a file can be played, in frames a second.
pub const HIGHEST_FPS: f64 = 10_000.0;

/// Gives frames, one after the other.
///
/// Frames are numbered from 0 without gaps, `captured_at` never goes back, and the end stays the end.
pub trait Source: Send {
    /// Blocks until the next frame is there; `None` at the end, and soon after `stop` was set.
    ///
    /// # Errors
    /// When a frame cannot be had or decoded. It ends the run.
    fn next_frame(&mut self, stop: &StopFlag) -> Result<Option<Frame>, SourceError>;

    /// How many frames it gives in all, where it knows: an upper bound, as it may be stopped or fail before.
    fn frames(&self) -> Option<u64> {
        None
    }

    /// Whether frames come at their own pace.
    fn pacing(&self) -> Pacing;
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
    /// Frames a second, on an absolute schedule from the first frame on; `None` waits for the pipeline instead.
    pub fps: Option<f64>,
    /// The most frames to give. A file that holds fewer ends earlier: nothing is played twice.
    pub frames: Option<u64>,
    /// The classifier's class names in the order of its logits: labels are matched to them and checked.
    /// Without them folder names are the classes, in natural order.
    pub classes: Option<Vec<String>>,
}

/// Opens a source and checks it as far as that goes without decoding: files exist, have a known type,
/// an intact header and a possible label.
///
/// # Errors
/// When any of that is not so, or the options make no sense.
pub fn open(uri: &SourceUri, options: &SourceOptions, clock: Arc<dyn Clock>) -> Result<Box<dyn Source>, SourceError> {
    let classes = options.classes.as_deref();
    Ok(match uri {
        SourceUri::Dir(path) => Box::new(Paced::new(images::Folder::open(path, classes)?, options, clock)?),
        SourceUri::Idx { images, labels } => {
            Box::new(Paced::new(idx::IdxFile::open(images, labels.as_deref(), classes)?, options, clock)?)
        }
        SourceUri::Synthetic(synthetic) => {
            Box::new(Paced::new(synthetic::Generator::new(synthetic, classes)?, options, clock)?)
        }
    })
}
