//! What the pipeline says of each frame, and to whom.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use ndarray::Array4;

use crate::frame::{FrameId, StampSource};
use crate::latency::Stage;
use crate::ledger::Fate;
use crate::purifier::Purified;

/// The most regions of a frame that are looked at.
pub const MAX_REGIONS: usize = 16;

/// One verdict for each region of a frame, in the order of the configuration.
pub type Verdicts = ArrayVec<Verdict, MAX_REGIONS>;

/// Time spent in each [`Stage`] before [`Stage::Response`]; `None` where the frame did not come to.
pub type Times = [Option<Duration>; Stage::Response as usize];

/// What the classifier made of a region of a frame, and how it got there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Index into the configured regions; 0 where the whole frame is the region.
    pub region: usize,
    /// Index into the classifier's class names.
    pub class: usize,
    /// Softmax probability of that class, in `(0, 1]`.
    pub confidence: f32,
    /// Whether a purifier worked on the frame. If not, the next three are `None`.
    pub purified: bool,
    /// The purifier's own class y*; `None` of a purifier that selects none.
    pub label_star: Option<usize>,
    /// Distance of y*'s candidate to the purifier's reference; `None` without y*.
    pub distance: Option<f32>,
    /// How unlike a clean picture the frame was; of a purifier without a score of its own, the distance.
    pub score: Option<f32>,
    /// Whether that score is above the purifier's calibrated threshold.
    pub suspect: bool,
    /// From capture to verdict.
    pub response: Duration,
}

/// The verdicts of an earlier frame, given again for one that has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The frame that they are of.
    pub frame: FrameId,
    /// From that frame's capture until now.
    pub age: Duration,
    /// What was said of it.
    pub verdicts: Verdicts,
}

/// One captured frame and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its number.
    pub frame: FrameId,
    /// What became of it.
    pub fate: Fate,
    /// When it was captured, since the run's start. Of a frame that the driver lost: when the next one was.
    pub captured_at: Duration,
    /// Who says when it was captured.
    pub stamp_source: StampSource,
    /// The true class, where the source knows it.
    pub label: Option<usize>,
    /// How long it was in each step.
    pub times: Times,
    /// One for each region, exactly when it was delivered, on time or late; else empty.
    pub verdicts: Verdicts,
    /// With [`OnUnpurified::Hold`](super::OnUnpurified::Hold), of a frame without a verdict: the newest there is.
    pub held: Option<Held>,
}

impl Outcome {
    /// The verdict of the first region, or of the whole frame; `None` when it was not delivered.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdicts.first()
    }
}

/// A frame as the models see it, before and after the purifier, one region after the other; used again and again.
#[derive(Debug, Default)]
pub struct FrameTensors {
    /// `[R, C, H, W]`
    pub input: Array4<f32>,
    /// What the classifier saw; the same as `input` where nothing was purified.
    pub purified: Purified,
    /// Whether the purifier was passed by: see [`OnUnpurified::Flag`](super::OnUnpurified::Flag).
    pub(crate) raw: bool,
}

impl FrameTensors {
    /// `purified` is a purifier's room for the regions of one frame.
    #[must_use]
    pub fn new(purified: Purified) -> Self {
        Self { input: Array4::zeros(purified.frames.raw_dim()), purified, raw: false }
    }
}

/// Why a sink could not take an outcome; it ends the run.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Somebody who is told of every frame.
///
/// Called on the thread that called [`run`](super::run), never on a stage's: a slow sink delays no
/// verdict, unless it falls so far behind that the stages must wait for it.
pub trait Sink {
    /// The models are warm and the first frame is about to be asked for; times of frames count from `start`.
    fn begin(&mut self, start: Instant) {
        let _ = start;
    }

    /// Takes the outcome of one frame. Each frame comes exactly once, in the order in which fates are decided; `pictures`
    /// are there exactly when it was delivered.
    ///
    /// # Errors
    /// Whatever keeps it from taking the outcome. It ends the run and no sink is called again.
    fn outcome(&mut self, outcome: &Outcome, pictures: Option<&FrameTensors>) -> Result<(), SinkError>;
}
