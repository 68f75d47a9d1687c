//! What a run came to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::health::CaptureCounters;
use super::outcome::Outcome;
use crate::deadline::Deadline;
use crate::frame::StampSource;
use crate::latency::Latencies;
use crate::ledger::Ledger;

/// Entries for deliveries in a [`Summary`]: every one of twenty minutes at 30 frames a second, every second one
/// of forty minutes …
pub const MAX_DELIVERIES: usize = 36_000;

/// A whole run in numbers, complete or up to its failure.
#[derive(Debug, Clone)]
pub struct Summary {
    /// What frames were measured against.
    pub deadline: Deadline,
    /// From the start of capture until it had ended and the last frame's fate was decided; what sinks took after that is not in it.
    pub duration: Duration,
    /// Who stamped the run's frames, by its first one; `None` before the first fate.
    pub stamp_source: Option<StampSource>,
    /// Every frame's fate, counted.
    pub ledger: Ledger,
    /// The most frames in a row, in capture order, without a verdict in time.
    pub longest_miss_run: u64,
    /// Service, response and age.
    pub latency: Latencies,
    /// What was measured before the first frame, and is in none of the other figures.
    pub warm_up: WarmUp,
    /// Share of the run, from 0 to 1, during which the newest verdict was older than the deadline.
    pub age_over_deadline_ratio: Option<f64>,
    /// Deliveries over the whole run: all while they are fewer than [`MAX_DELIVERIES`], then the one with the longest response
    /// among each [`Self::deliveries_stride`] successive ones, with the highest peak among these.
    pub deliveries: Vec<Delivery>,
    /// For how many deliveries each of [`Self::deliveries`] stands (the last perhaps for fewer): 1, 2, 4 …
    pub deliveries_stride: u64,
    /// How old the newest verdict was at the end of the run; before the first delivery, how long it had lasted.
    pub final_age: Duration,
    /// How many delivered verdicts were right; `None` when no delivered frame had a label.
    pub accuracy: Option<Accuracy>,
    /// Verdicts, of all regions, that were marked as suspect.
    pub suspects: u64,
    /// Delivered frames that were classified as they came although there is a purifier.
    pub unpurified: u64,
    /// Frames without a verdict of their own that were given an older one again.
    pub held: u64,
    /// What happened to the capture.
    pub capture: CaptureCounters,
    /// Frames that failed without ending the run; `None` when there were none.
    pub faults: Option<Faults>,
    /// Pictures of delivered frames, spread evenly over the run.
    pub samples: Vec<Sample>,
    /// Whether somebody set the stop flag.
    pub interrupted: bool,
}

/// A verdict that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// When, since the run's start.
    pub at: Duration,
    /// From its frame's capture until then: so old it was when it came.
    pub response: Duration,
    /// How old the one before had become by then; of the first, the time since the run's start.
    pub peak_age: Duration,
}

/// Right and wrong among delivered frames (on time and late) whose true class is known, and of which one region is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Frames with a label.
    pub labelled: u64,
    /// Of these, how often the classifier's class is the label.
    pub correct: u64,
    /// Of these, how often the purifier's y* is the label; `None` without a y*.
    pub label_star_correct: Option<u64>,
}

impl Accuracy {
    /// The share, from 0 to 1, of frames whose class is right; `None` without a label.
    #[must_use]
    pub fn correct_ratio(&self) -> Option<f64> {
        self.share(self.correct)
    }

    /// So many of the frames with a label, as a share; `None` without any.
    pub(crate) fn share(&self, count: u64) -> Option<f64> {
        (self.labelled > 0).then(|| count as f64 / self.labelled as f64)
    }
}

/// Frames that failed without ending the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// How many.
    pub frames: u64,
    /// What was wrong with the first of them.
    pub first: String,
}

/// The models' service times before the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WarmUp {
    /// How often both models ran.
    pub runs: usize,
    /// How long the warm-up took.
    pub total: Duration,
    /// Purifier and classifier together in the very first run, which is far slower than the others.
    pub first: Duration,
    /// Median of the purifier over the other runs; of an even number the upper one.
    pub purify: Duration,
    /// Median of the classifier over the other runs; of an even number the upper one.
    pub classify: Duration,
    /// Purifier and classifier together in the slowest of the other runs.
    pub slowest: Duration,
}

/// A delivered frame, or its first region, as the models saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Which frame, and what became of it.
    pub outcome: Outcome,
    /// Columns of both pictures, of which every second, third … pixel is kept, both ways, where they are longer than 256.
    pub width: usize,
    /// Rows of both pictures, so thinned.
    pub height: usize,
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// After preprocessing: `height × width × channels` bytes, channels interleaved, 255 is 1.0.
    pub input: Vec<u8>,
    /// After the purifier, in the same form; `None` without a defence.
    pub purified: Option<Vec<u8>>,
}
