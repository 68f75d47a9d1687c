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
//! **Stopping.** When the stop flag is set, capture ends and every frame that is in flight still meets
//! the fate it would have met. When a stage fails or panics, its frame has failed, and frames that are
//! waiting are dropped with [`DropReason::Shutdown`](crate::ledger::DropReason::Shutdown).

mod books;
mod contract;
mod deliveries;
mod error;
mod outcome;
mod run;
mod samples;
mod stages;
mod summary;
mod warm_up;

use std::num::NonZeroUsize;
use std::time::Duration;

pub use crate::clock::StopFlag;
pub use contract::ContractError;
pub use error::{PipelineError, PipelineFailure};
pub use outcome::{Outcome, Sink, SinkError, Verdict};
pub use run::run;
pub use summary::{Accuracy, MAX_DELIVERIES, Sample, Summary, WarmUp};

use crate::deadline::Deadline;
use crate::preprocess::Prep;

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
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            deadline: Deadline::new(Duration::from_millis(33)).expect("33 ms is not zero"),
            prep: Prep::Plain,
            queue_capacity: NonZeroUsize::MIN,
            purified_capacity: NonZeroUsize::MIN.saturating_add(1),
            samples: 0,
            warm_up_runs: 10,
            force: false,
        }
    }
}
