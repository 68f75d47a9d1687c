//! Durations, counted: one [`LatencyHistogram`] per [`Stage`], and the age of the newest verdict.
//!
//! Nanoseconds inside, three significant digits, 1 ns to one hour; minimum, maximum and mean are exact
//! whatever the range. Before the first sample every value is `None`, never 0, and no outlier is removed.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::clock::nanoseconds;
use crate::deadline::Deadline;

const HIGHEST_NS: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// A timed step of a frame's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From the moment of capture until this process had the frame's raw bytes: the driver, and a source that is late.
    Capture,
    /// Raw bytes to pixels, inside the source.
    Decode,
    /// Waiting in the two queues together.
    Queue,
    /// Picture to tensor.
    Preprocess,
    /// The purifier.
    Purify,
    /// The classifier.
    Classify,
    /// Capture to verdict, of delivered frames.
    Response,
    /// How old the newest verdict is, over time: weighted by how long it was that old.
    Age,
}

impl Stage {
    /// All stages, in the order of a frame's way.
    pub const ALL: [Self; 8] = [
        Self::Capture,
        Self::Decode,
        Self::Queue,
        Self::Preprocess,
        Self::Purify,
        Self::Classify,
        Self::Response,
        Self::Age,
    ];

    /// The name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Decode => "decode",
            Self::Queue => "queue",
            Self::Preprocess => "preprocess",
            Self::Purify => "purify",
            Self::Classify => "classify",
            Self::Response => "response",
            Self::Age => "age",
        }
    }
}

/// How often which duration occurred.
#[derive(Clone)]
pub struct LatencyHistogram {
    weights: Histogram<u64>,
    count: u64,
    min_ns: u64,
    max_ns: u64,
    /// Sum of value × weight, in ns.
    weighted_sum: f64,
}

impl fmt::Debug for LatencyHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, min_ns, max_ns, .. } = self;
        f.debug_struct("LatencyHistogram")
            .field("count", count)
            .field("min_ns", min_ns)
            .field("max_ns", max_ns)
            .finish_non_exhaustive()
    }
}

impl LatencyHistogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        let weights = Histogram::new_with_bounds(1, HIGHEST_NS, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that hdrhistogram accepts");
        Self { weights, count: 0, min_ns: u64::MAX, max_ns: 0, weighted_sum: 0.0 }
    }

    /// Enters one duration. Quantiles count anything above one hour as one hour; `max` stays exact.
    pub fn record(&mut self, duration: Duration) {
        let ns = nanoseconds(duration);
        self.count += 1;
        self.widen(ns, ns);
        self.add(ns, 1);
    }

    /// Enters a quantity that grew evenly from `from` to `to`, a nanosecond each nanosecond, so that
    /// quantiles become shares of time. Use it on all samples of a histogram or on none.
    pub fn record_rising(&mut self, from: Duration, to: Duration) {
        let (from, to) = (nanoseconds(from), nanoseconds(to));
        if to <= from {
            return;
        }
        self.count += 1;
        self.widen(from, to);
        let mut at = from;
        while at < to {
            let next = if at < HIGHEST_NS { self.weights.next_non_equivalent(at).min(to) } else { to };
            self.add(at + (next - at) / 2, next - at);
            at = next;
        }
    }

    fn widen(&mut self, from_ns: u64, to_ns: u64) {
        self.min_ns = self.min_ns.min(from_ns);
        self.max_ns = self.max_ns.max(to_ns);
    }

    fn add(&mut self, ns: u64, weight: u64) {
        self.weighted_sum += ns as f64 * weight as f64;
        self.weights.saturating_record_n(ns, weight);
    }

    /// Number of samples: durations, or rising stretches.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest, exactly.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_nanos(self.min_ns))
    }

    /// The longest, exactly.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_nanos(self.max_ns))
    }

    /// The arithmetic mean (over time, for rising stretches).
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_secs_f64(self.weighted_sum / self.weights.len() as f64 * 1e-9))
    }

    /// The duration that a share `quantile` of all samples does not exceed, within 0.1 %; at most [`Self::max`].
    ///
    /// `quantile` is clamped to `[0, 1]`: 0.5 is the median.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        (self.count > 0).then(|| {
            let ns = self.weights.value_at_quantile(quantile.clamp(0.0, 1.0));
            Duration::from_nanos(ns.clamp(self.min_ns, self.max_ns))
        })
    }

    /// The share of samples, from 0 to 1, in each of the ranges between successive `edges`, within 0.1 % of an edge.
    ///
    /// The result is one shorter than `edges`, which must rise; a range holds its lower edge but not its upper one.
    #[must_use]
    pub fn shares_between(&self, edges: &[Duration]) -> Vec<f64> {
        let mut shares = vec![0.0; edges.len().saturating_sub(1)];
        for bucket in self.weights.iter_recorded() {
            let value = Duration::from_nanos(bucket.value_iterated_to());
            let above = edges.partition_point(|edge| *edge <= value);
            if let Some(share) = above.checked_sub(1).and_then(|range| shares.get_mut(range)) {
                *share += bucket.count_at_value() as f64 / self.weights.len() as f64;
            }
        }
        shares
    }
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

/// One histogram per [`Stage`]: `latencies[Stage::Purify]`.
#[derive(Debug, Clone, Default)]
pub struct Latencies([LatencyHistogram; Stage::ALL.len()]);

impl Index<Stage> for Latencies {
    type Output = LatencyHistogram;

    fn index(&self, stage: Stage) -> &LatencyHistogram {
        &self.0[stage as usize]
    }
}

impl IndexMut<Stage> for Latencies {
    fn index_mut(&mut self, stage: Stage) -> &mut LatencyHistogram {
        &mut self.0[stage as usize]
    }
}

/// How old the newest verdict is, over time: exact, from the delivery times alone.
///
/// Between two deliveries the age rises a second each second; a delivery sets it back to that frame's
/// response time. Before the first delivery it is the time since the start.
#[derive(Debug)]
pub struct AgeMeter {
    deadline: Deadline,
    /// Since when it has been rising, and from what age.
    since: Instant,
    from: Duration,
    total: Duration,
    over: Duration,
}

impl AgeMeter {
    /// Starts at `start` with age 0.
    #[must_use]
    pub fn new(start: Instant, deadline: Deadline) -> Self {
        Self { deadline, since: start, from: Duration::ZERO, total: Duration::ZERO, over: Duration::ZERO }
    }

    /// A verdict came at `at`, `response` after its capture: enters the stretch that ends here. The age just before.
    pub fn delivered(&mut self, at: Instant, response: Duration, histogram: &mut LatencyHistogram) -> Duration {
        let peak = self.until(at, histogram);
        self.from = response;
        peak
    }

    /// Enters the time up to `at` without a new verdict; at the end of the run, once. The age then.
    pub fn until(&mut self, at: Instant, histogram: &mut LatencyHistogram) -> Duration {
        let stretch = at.saturating_duration_since(self.since);
        let to = self.from + stretch;
        histogram.record_rising(self.from, to);
        self.total += stretch;
        self.over += to.saturating_sub(self.deadline.get().max(self.from));
        (self.since, self.from) = (at, to);
        to
    }

    /// The share of time, from 0 to 1, during which the newest verdict was older than the deadline.
    #[must_use]
    pub fn over_deadline_ratio(&self) -> Option<f64> {
        (!self.total.is_zero()).then(|| self.over.as_secs_f64() / self.total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests;
