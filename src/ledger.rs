//! Double-entry book-keeping of frames: each has exactly one [`Fate`], and the sums must balance.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use crate::frame::FrameId;

/// Before which stage a frame was found to be too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiredAt {
    /// Not purified.
    Purify,
    /// Purified, but not classified.
    Classify,
}

/// Why a frame was given up before its turn came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// A newer frame took its place in the queue.
    Queue,
    /// The camera's driver says that it lost it.
    Driver,
    /// It was waiting when a failure ended the run.
    Shutdown,
}

/// Which stage a frame made fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedAt {
    /// The source: the driver marked the frame as faulty, or it could not be decoded.
    Capture,
    /// Picture to tensor.
    Preprocess,
    /// The purifier.
    Purify,
    /// The classifier.
    Classify,
}

/// What became of a frame. Only [`Fate::OnTime`] is not a miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its verdict came within the deadline.
    OnTime,
    /// Its verdict came, but after the deadline.
    Late,
    /// It was too old before a costly stage, and not worked on any further.
    Expired(ExpiredAt),
    /// It was given up while waiting.
    Dropped(DropReason),
    /// A stage failed on it.
    Failed(FailedAt),
}

impl Fate {
    /// Every fate.
    pub const ALL: [Self; 11] = [
        Self::OnTime,
        Self::Late,
        Self::Expired(ExpiredAt::Purify),
        Self::Expired(ExpiredAt::Classify),
        Self::Dropped(DropReason::Queue),
        Self::Dropped(DropReason::Driver),
        Self::Dropped(DropReason::Shutdown),
        Self::Failed(FailedAt::Capture),
        Self::Failed(FailedAt::Preprocess),
        Self::Failed(FailedAt::Purify),
        Self::Failed(FailedAt::Classify),
    ];

    /// The name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnTime => "on_time",
            Self::Late => "late",
            Self::Expired(_) => "expired",
            Self::Dropped(DropReason::Queue) => "dropped_queue",
            Self::Dropped(DropReason::Driver) => "dropped_driver",
            Self::Dropped(DropReason::Shutdown) => "dropped_shutdown",
            Self::Failed(_) => "failed",
        }
    }

    /// The stage it did not reach any more, or that failed on it; `None` for every other fate.
    #[must_use]
    pub fn stage(self) -> Option<&'static str> {
        match self {
            Self::Expired(ExpiredAt::Purify) | Self::Failed(FailedAt::Purify) => Some("purify"),
            Self::Expired(ExpiredAt::Classify) | Self::Failed(FailedAt::Classify) => Some("classify"),
            Self::Failed(FailedAt::Preprocess) => Some("preprocess"),
            Self::Failed(FailedAt::Capture) => Some("capture"),
            Self::OnTime | Self::Late | Self::Dropped(_) => None,
        }
    }

    /// Whether nobody got a verdict on it in time.
    #[must_use]
    pub fn is_miss(self) -> bool {
        self != Self::OnTime
    }
}

/// How many frames met which fate.
///
/// `captured` is counted where frames enter, everything else where their fate is decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Frames that came out of the source.
    pub captured: u64,
    /// Verdict within the deadline.
    pub on_time: u64,
    /// Verdict after the deadline.
    pub late: u64,
    /// Too old before purifying or classifying.
    pub expired: u64,
    /// Replaced by a newer frame.
    pub dropped_queue: u64,
    /// Lost by the driver.
    pub dropped_driver: u64,
    /// Waiting when a failure ended the run.
    pub dropped_shutdown: u64,
    /// A stage failed on it.
    pub failed: u64,
}

impl Ledger {
    /// Enters the fate of one frame.
    pub fn record(&mut self, fate: Fate) {
        *match fate {
            Fate::OnTime => &mut self.on_time,
            Fate::Late => &mut self.late,
            Fate::Expired(_) => &mut self.expired,
            Fate::Dropped(DropReason::Queue) => &mut self.dropped_queue,
            Fate::Dropped(DropReason::Driver) => &mut self.dropped_driver,
            Fate::Dropped(DropReason::Shutdown) => &mut self.dropped_shutdown,
            Fate::Failed(_) => &mut self.failed,
        } += 1;
    }

    /// Frames whose fate is decided.
    #[must_use]
    pub fn decided(&self) -> u64 {
        let Self { expired, dropped_queue, dropped_driver, dropped_shutdown, failed, .. } = *self;
        // A report that somebody else wrote may hold any numbers.
        [expired, dropped_queue, dropped_driver, dropped_shutdown, failed]
            .into_iter()
            .fold(self.delivered(), u64::saturating_add)
    }

    /// Frames with a verdict, on time or late.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.on_time.saturating_add(self.late)
    }

    /// Frames whose fate is still open; 0 after a run. `None` when more were decided than captured.
    #[must_use]
    pub fn in_flight(&self) -> Option<u64> {
        self.captured.checked_sub(self.decided())
    }

    /// Whether every captured frame has a fate. Must hold after every run.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.in_flight() == Some(0)
    }

    /// `1 − on_time / captured`, so that a dropped frame is a miss; `None` before the first frame.
    #[must_use]
    pub fn miss_ratio(&self) -> Option<f64> {
        (self.captured > 0).then(|| 1.0 - self.on_time as f64 / self.captured as f64)
    }
}

/// The longest run of consecutive frames, in capture order, that all missed.
///
/// Fates are decided out of order (a frame can be dropped while an older one is being purified), so
/// those that are ahead wait here for their predecessors.
#[derive(Debug, Default)]
pub struct MissRuns {
    /// The first frame whose fate has not been seen.
    next: u64,
    /// Fates of the frames from `next` on.
    ahead: VecDeque<Option<Fate>>,
    current: u64,
    longest: u64,
}

impl MissRuns {
    /// Enters the fate of frame `id`; `false` when it already had one.
    #[must_use]
    pub fn record(&mut self, id: FrameId, fate: Fate) -> bool {
        let Some(index) = id.0.checked_sub(self.next) else { return false };
        let index = usize::try_from(index).expect("the frames in flight fit into memory");
        if self.ahead.len() <= index {
            self.ahead.resize(index + 1, None);
        }
        if self.ahead[index].replace(fate).is_some() {
            return false;
        }
        while let Some(&Some(fate)) = self.ahead.front() {
            self.ahead.pop_front();
            self.next += 1;
            self.current = if fate.is_miss() { self.current + 1 } else { 0 };
            self.longest = self.longest.max(self.current);
        }
        true
    }

    /// The longest run so far, over all frames up to the first whose fate is open.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Fate; 11] = Fate::ALL;

    #[test]
    fn a_ledger_balances_exactly_when_every_captured_frame_has_a_fate() {
        let mut ledger = Ledger { captured: ALL.len() as u64, ..Ledger::default() };
        for (index, fate) in ALL.into_iter().enumerate() {
            assert_eq!(ledger.in_flight(), Some((ALL.len() - index) as u64));
            assert!(!ledger.balances());
            ledger.record(fate);
        }
        assert!(ledger.balances());
        ledger.record(Fate::OnTime);
        assert!(!ledger.balances() && ledger.in_flight().is_none());
    }

    #[test]
    fn every_fate_is_counted_under_its_own_name() {
        for fate in ALL {
            let mut ledger = Ledger::default();
            ledger.record(fate);
            assert_eq!(serde_json::to_value(ledger).unwrap()[fate.as_str()], 1);
        }
    }

    #[test]
    fn a_fate_names_its_stage_exactly_when_it_has_one() {
        let stages: Vec<_> = ALL.into_iter().map(Fate::stage).collect();
        let (purify, classify) = (Some("purify"), Some("classify"));
        let expected =
            [None, None, purify, classify, None, None, None, Some("capture"), Some("preprocess"), purify, classify];
        assert_eq!(stages, expected);
    }

    #[test]
    fn a_dropped_frame_is_a_miss() {
        assert_eq!(Ledger::default().miss_ratio(), None);
        let ledger = Ledger { captured: 4, on_time: 3, dropped_queue: 1, ..Ledger::default() };
        assert_eq!(ledger.miss_ratio(), Some(0.25));
    }

    #[test]
    fn the_longest_miss_run_follows_capture_order_not_the_order_of_decisions() {
        let (hit, miss) = (Fate::OnTime, Fate::Late);
        let mut runs = MissRuns::default();
        for (id, fate) in [(0, miss), (2, miss), (3, miss), (1, hit), (5, miss), (4, miss), (6, hit)] {
            assert!(runs.record(FrameId(id), fate));
        }
        assert_eq!(runs.longest(), 4, "frames 2 to 5");
    }

    #[test]
    fn a_second_fate_is_noticed() {
        let mut runs = MissRuns::default();
        assert!(runs.record(FrameId(1), Fate::OnTime));
        assert!(!runs.record(FrameId(1), Fate::Late), "still waiting for frame 0");
        assert!(runs.record(FrameId(0), Fate::OnTime));
        assert!(!runs.record(FrameId(0), Fate::Late), "already passed");
    }
}
