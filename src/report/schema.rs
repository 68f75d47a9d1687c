//! The JSON report, version 1. Consumers rely on these names: fields may be added, none may change.
//!
//! Times are whole microseconds where a name ends in `_us`. What was not measured is `null`, never 0.

use serde::{Deserialize, Serialize};

use crate::frame::StampSource;
use crate::ledger::Ledger;
use crate::model::engine::ProviderReport;
use crate::model::file::ModelInfo;
pub use crate::pipeline::Accuracy;
use crate::pipeline::{CaptureCounters, OnUnpurified};
use crate::preprocess::Prep;
use crate::preprocess::Region;

/// Version of the report's form.
pub const SCHEMA: u32 = 1;

/// What a run did, in numbers and pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Longest time from capture to verdict that counts as on time.
    pub deadline_us: u64,
    /// From the start of capturing until that had ended and the last fate was decided.
    pub duration_s: f64,
    /// How many frames met which fate.
    pub ledger: Ledger,
    /// `1 − on_time / captured`; absent when nothing was captured.
    pub miss_ratio: Option<f64>,
    /// Most consecutive frames that all missed.
    pub longest_miss_run: u64,
    /// One histogram for each timed step.
    pub latency_us: Latencies,
    /// Share of time during which the newest verdict was older than the deadline.
    pub age_over_deadline_ratio: Option<f64>,
    /// Absent when no delivered frame was labelled.
    pub accuracy: Option<Accuracy>,
    /// Verdicts, of all regions, whose score was above the purifier's threshold.
    pub suspects: u64,
    /// Who was asked to compute, who did.
    pub provider: ProviderReport,
    /// Which models ran.
    pub models: Models,
    /// What happened to the capture.
    #[serde(default)]
    pub capture: CaptureCounters,
    /// Delivered frames that were classified as they came although there is a purifier.
    #[serde(default)]
    pub unpurified: u64,
    /// Frames without a verdict of their own that were given an older one again; each is a miss in the ledger.
    #[serde(default)]
    pub held: u64,
    /// The settings of the run.
    pub run: RunInfo,
    /// Runs of both models before the first frame was asked for; counted apart.
    pub warmup: Option<WarmUp>,
    /// `[delivered at, response]` of delivered frames, both in µs, from the start of the run; thinned in long runs to the
    /// slowest among each [`Self::deliveries_stride`].
    #[serde(default)]
    pub deliveries_us: Vec<(u64, u64)>,
    /// For how many delivered frames each of [`Self::deliveries_us`] stands; 1 unless the run was long.
    #[serde(default = "one")]
    pub deliveries_stride: u64,
    /// How old the newest verdict had become when each of [`Self::deliveries_us`] came, at most among those that it stands for;
    /// and, as one value more, at the end of the run. Empty in reports that were written without it.
    #[serde(default)]
    pub peak_ages_us: Vec<u64>,
    /// Some frames as pictures.
    #[serde(default)]
    pub samples: Vec<Sample>,
}

fn one() -> u64 {
    1
}

/// A histogram for each timed step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Capture until this process had the frame's raw bytes.
    pub capture: Histogram,
    /// Raw bytes to pixels.
    #[serde(default)]
    pub decode: Histogram,
    /// Waiting in the two queues together.
    pub queue: Histogram,
    /// Picture to tensor.
    pub preprocess: Histogram,
    /// The purifier.
    pub purify: Histogram,
    /// The classifier.
    pub classify: Histogram,
    /// Capture to verdict.
    pub response: Histogram,
    /// How old the newest verdict is, over time.
    pub age: Histogram,
}

impl Latencies {
    /// Each step's name with its histogram, in the order of a frame's way.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &Histogram); 8] {
        [
            ("capture", &self.capture),
            ("decode", &self.decode),
            ("queue", &self.queue),
            ("preprocess", &self.preprocess),
            ("purify", &self.purify),
            ("classify", &self.classify),
            ("response", &self.response),
            ("age", &self.age),
        ]
    }
}

/// Durations in µs; all but `count` and `buckets` are absent before the first sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Number of samples.
    pub count: u64,
    /// Shortest.
    pub min: Option<u64>,
    /// Median.
    pub p50: Option<u64>,
    /// 90 % are not longer.
    pub p90: Option<u64>,
    /// 99 % are not longer.
    pub p99: Option<u64>,
    /// 99.9 % are not longer.
    pub p99_9: Option<u64>,
    /// Longest.
    pub max: Option<u64>,
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Ranges of equal width on a logarithmic scale, from the shortest to the longest.
    #[serde(default)]
    pub buckets: Vec<Bucket>,
}

/// A range of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Lower edge, inclusive.
    pub from_us: f64,
    /// Upper edge, exclusive.
    pub to_us: f64,
    /// Share of samples in it, 0 to 1.
    pub share: f64,
}

impl Bucket {
    /// Whether it can come of a run: durations are `u64`, and a share may be more than 1 in its last digits only.
    pub(super) fn is_possible(&self) -> bool {
        (0.0..=u64::MAX as f64).contains(&self.from_us)
            && (self.from_us..=u64::MAX as f64).contains(&self.to_us)
            && (0.0..1.001).contains(&self.share)
    }
}

/// The models of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Models {
    /// Absent when nothing was purified.
    pub purifier: Option<ModelInfo>,
    /// The classifier.
    pub classifier: ModelInfo,
}

/// The settings of a run, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of this program.
    pub puvae_version: String,
    /// The source's URI.
    pub source: String,
    /// Frames a second that were asked for; absent when the source waited for the pipeline, or kept a pace of its own.
    pub fps: Option<f64>,
    /// Whether frames came at the source's own pace, as from a camera; nothing to do with the view that `--live` shows.
    #[serde(default)]
    pub live: bool,
    /// How pictures became tensors.
    #[serde(default)]
    pub prep: Prep,
    /// Wall time when the run began, RFC 3339 in UTC; everything else is measured by a monotonic clock.
    #[serde(default)]
    pub started_at: Option<String>,
    /// Who says when frames were captured; absent when none was.
    #[serde(default)]
    pub stamp_source: Option<StampSource>,
    /// Seed of the latent noise.
    pub seed: u64,
    /// Intra-op threads of each model.
    pub threads: usize,
    /// ONNX Runtime's library.
    pub onnxruntime: String,
    /// The regions of each frame, X,Y,WIDTH,HEIGHT; empty for the whole frame.
    #[serde(default)]
    pub regions: Vec<Region>,
    /// What becomes of a frame that cannot be purified in time.
    #[serde(default)]
    pub on_unpurified: OnUnpurified,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// What ended it, or the frames that failed, when anything did.
    pub failure: Option<String>,
    /// Whether the failure is more than frames that failed.
    #[serde(default)]
    pub aborted: bool,
}

/// What the warm-up measured; it is in none of the other figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// How often both models ran.
    pub runs: u64,
    /// All of it.
    pub total_us: u64,
    /// Both models in the first run.
    pub first_us: u64,
    /// Median of the purifier in the other runs.
    pub purify_us: u64,
    /// Median of the classifier in the other runs.
    pub classify_us: u64,
    /// Both models in the slowest of the other runs.
    pub slowest_us: u64,
}

/// A frame as a picture, before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its number.
    pub frame: u64,
    /// Its fate.
    pub fate: String,
    /// Name of its true class, where known.
    pub label: Option<String>,
    /// Name of the class it was given, where it got a verdict.
    pub class: Option<String>,
    /// Softmax probability of that class.
    pub confidence: Option<f32>,
    /// Distance of the chosen candidate.
    pub distance: Option<f32>,
    /// How unlike a clean picture it was.
    #[serde(default)]
    pub score: Option<f32>,
    /// Whether the score is above the threshold.
    pub suspect: bool,
    /// The picture as the models saw it: PNG, base64.
    pub input_png: String,
    /// The purified picture: PNG, base64.
    pub purified_png: Option<String>,
}
