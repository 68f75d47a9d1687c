//! What the pipeline says of each frame, and to whom.

use std::time::Duration;

use crate::frame::{FrameId, StampSource};
use crate::ledger::Fate;

/// What the classifier made of a frame, and how it got there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
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

/// One captured frame and what became of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Its number.
    pub frame: FrameId,
    /// What became of it.
    pub fate: Fate,
    /// When it was captured, since the run's start.
    pub captured_at: Duration,
    /// Who says when it was captured.
    pub stamp_source: StampSource,
    /// The true class, where the source knows it.
    pub label: Option<usize>,
    /// Present exactly when it was delivered, on time or late.
    pub verdict: Option<Verdict>,
}

/// Why a sink could not take an outcome; it ends the run.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Somebody who is told of every frame.
///
/// Called on the thread that called [`run`](super::run), never on a stage's: a slow sink delays no
/// verdict, unless it falls so far behind that the stages must wait for it.
pub trait Sink {
    /// Takes the outcome of one frame. Each frame comes exactly once, in the order in which fates are decided.
    ///
    /// # Errors
    /// Whatever keeps it from taking the outcome. It ends the run and no sink is called again.
    fn outcome(&mut self, outcome: &Outcome) -> Result<(), SinkError>;
}
