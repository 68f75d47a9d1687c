//! The pipeline itself: three threads, two queues between them, and the books.
//!
//! ```text
//! Capture ─▶ queue ─▶ Purify (preprocess, purifier) ─▶ queue ─▶ Classify ─▶ verdict
//!    └──────────────────────┴──── fates ────┬────────────────────────┘
//!                                         Books (the calling thread) ─▶ ledger, histograms, sinks
//! ```
//!
//! A stage looks at the deadline before it does anything costly, and decides a frame's fate or hands
//! the frame on. Fates go to the calling thread, which alone keeps the books: no lock is shared.
//!
//! A camera's frames come whether the pipeline is ready or not; a source that is not paced is asked for
//! the next frame when the one before has met its fate, so that its frames do not grow old in a queue.
//!
//! **Faults of one frame** (a buffer that the driver marked, a picture that cannot be decoded, a NaN from a model, a
//! purified frame that leaves 0…1) end that frame as [`Fate::Failed`](crate::ledger::Fate::Failed) and not the run; the
//! [`Summary`] says how many there were.
//!
//! **Stopping.** When the stop flag is set, capture ends and every frame that is in flight still meets
//! the fate it would have met. When a stage fails or panics, its frame has failed, and frames that are
//! waiting are dropped with [`DropReason::Shutdown`](crate::ledger::DropReason::Shutdown).

mod books;
mod contract;
mod deliveries;
mod error;
mod health;
mod outcome;
mod run;
mod samples;
mod stages;
mod summary;
mod warm_up;

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

pub use crate::clock::StopFlag;
pub use contract::ContractError;
pub use error::{PipelineError, PipelineFailure};
pub use health::{CaptureCounters, CaptureHealth, CaptureReason, CaptureSnapshot, CaptureState};
pub use outcome::{FrameTensors, Held, MAX_REGIONS, Outcome, Sink, SinkError, Times, Verdict, Verdicts};
pub use run::run;
pub use summary::{Accuracy, Delivery, Faults, MAX_DELIVERIES, Sample, Summary, WarmUp};

use serde::{Deserialize, Serialize};

use crate::deadline::Deadline;
use crate::names::{self, UnknownName};
use crate::preprocess::{Prep, Region};

/// How to run the pipeline.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    /// How old a verdict may be. 33 ms unless told.
    pub deadline: Deadline,
    /// How pictures become tensors.
    pub prep: Prep,
    /// Frames that may wait for the purifier. 1 unless told: an older frame is never worth more than a newer one.
    pub queue_capacity: NonZeroUsize,
    /// Purified frames that may wait for the classifier. 2 unless told.
    pub purified_capacity: NonZeroUsize,
    /// Pictures to keep for the report, spread evenly over the run. 0 unless told.
    pub samples: usize,
    /// Runs of both models before the first frame, at least 2. 10 unless told.
    pub warm_up_runs: usize,
    /// Run even if the warm-up shows that the deadline is impossible.
    pub force: bool,
    /// The parts of each frame that are looked at, at most [`MAX_REGIONS`], purified and classified as one batch; the
    /// whole frame when empty.
    pub regions: Vec<Region>,
    /// What becomes of a frame that cannot be purified in time.
    pub on_unpurified: OnUnpurified,
    /// When a live source is late.
    pub patience: CapturePatience,
    /// Where the state of the capture can be seen from outside. Clones of a configuration share it: of several runs at a time
    /// it shows the one that has changed last. Their summaries are each run's own; give each its own to see all of them.
    pub health: CaptureHealth,
}

/// What becomes of a frame that cannot be purified in time.
///
/// Letting it through as it came would let an attacker switch the defence off by adding load, so nobody gets that
/// without asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnpurified {
    /// It has no verdict.
    #[default]
    Drop,
    /// It is classified as it came, where that is still possible in time, and its verdict says that it is not purified.
    Flag,
    /// It has no verdict of its own; the newest one there is is given again, with its age.
    Hold,
}

impl fmt::Display for OnUnpurified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for OnUnpurified {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        names::parse(text, "policy", "drop, flag or hold")
    }
}

/// When a live source is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapturePatience {
    /// Without a frame for longer than this the capture counts as stalled. 1 s unless told.
    pub stall_after: Duration,
    /// A source that does not even say that there is nothing, or does not close, is left to itself and opened again where
    /// that is possible. 2 s unless told.
    pub abandon_after: Duration,
}

impl CapturePatience {
    /// For a source that gives `fps` frames a second: a slow one is not late before three of its periods are over, nor left
    /// to itself, as some drivers return with a frame only.
    #[must_use]
    pub fn at(fps: f64) -> Self {
        let usual = Self::default();
        let periods = Duration::try_from_secs_f64(3.0 / fps).unwrap_or(Duration::MAX);
        Self { stall_after: usual.stall_after.max(periods), abandon_after: usual.abandon_after.max(periods) }
    }
}

impl Default for CapturePatience {
    fn default() -> Self {
        Self { stall_after: Duration::from_secs(1), abandon_after: Duration::from_secs(2) }
    }
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            deadline: Deadline::default(),
            prep: Prep::Plain,
            queue_capacity: NonZeroUsize::MIN,
            purified_capacity: NonZeroUsize::MIN.saturating_add(1),
            samples: 0,
            warm_up_runs: 10,
            force: false,
            regions: Vec::new(),
            on_unpurified: OnUnpurified::default(),
            patience: CapturePatience::default(),
            health: CaptureHealth::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_source_has_three_of_its_periods() {
        let usual = CapturePatience::default();
        assert_eq!(CapturePatience::at(30.0), usual);
        let slow = CapturePatience::at(0.25);
        assert_eq!((slow.stall_after, slow.abandon_after), (Duration::from_secs(12), Duration::from_secs(12)));
        let between = CapturePatience::at(2.0);
        assert_eq!((between.stall_after, between.abandon_after), (Duration::from_millis(1500), usual.abandon_after));
    }
}
