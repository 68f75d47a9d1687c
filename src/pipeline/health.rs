//! How the capture is doing, for whoever looks from outside while it runs.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// What the capture is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureState {
    /// Frames come.
    Running,
    /// The source is open, but no frame has come for a while.
    Stalled,
    /// The source failed or did not return, and is being opened again.
    Retrying,
    /// Not begun, or over.
    #[default]
    Stopped,
}

impl CaptureState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Running, Self::Stalled, Self::Retrying, Self::Stopped];
}

impl fmt::Display for CaptureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Why the capture is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureReason {
    /// Nothing is wrong.
    #[default]
    None,
    /// The source failed.
    Error,
    /// The source has come to its end, or was told to stop.
    End,
    /// The source did not answer in time.
    Timeout,
}

impl CaptureReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::None, Self::Error, Self::End, Self::Timeout];
}

impl fmt::Display for CaptureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What happened to the capture since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CaptureCounters {
    /// Frames, lost and broken ones among them.
    pub captured: u64,
    /// Frames that the driver says it lost.
    pub lost: u64,
    /// Frames that came, but could not be used.
    pub broken: u64,
    /// How often no frame came for a while.
    pub stalls: u64,
    /// How often the source failed.
    pub errors: u64,
    /// How often it gave frames again after it had failed or was given up.
    pub recovered: u64,
    /// How often a source that did not return was left to itself.
    pub abandoned: u64,
    /// Stamps that lay before the frame before or in the future, and were corrected.
    pub stamps_corrected: u64,
}

/// How the capture is doing at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CaptureSnapshot {
    /// What it is at.
    pub state: CaptureState,
    /// Why.
    pub reason: CaptureReason,
    /// The reason in words; empty when nothing is wrong.
    pub detail: String,
    /// Since when it is in that state; `None` before the run.
    pub since: Option<Instant>,
    /// What happened so far.
    pub counters: CaptureCounters,
}

/// A handle on the state of the capture; clones share it.
///
/// Whoever updates it holds its lock for a few assignments only, so no stuck stage can keep a reader waiting.
#[derive(Debug, Clone, Default)]
pub struct CaptureHealth(Arc<Mutex<CaptureSnapshot>>);

impl CaptureHealth {
    /// How the capture is doing now.
    #[must_use]
    pub fn snapshot(&self) -> CaptureSnapshot {
        self.0.lock().clone()
    }

    /// Frames so far: the left side of the ledger.
    pub(super) fn captured(&self) -> u64 {
        self.0.lock().counters.captured
    }

    /// As before any run.
    pub(super) fn reset(&self) {
        *self.0.lock() = CaptureSnapshot::default();
    }

    /// Back to the beginning, and running.
    pub(super) fn start(&self, now: Instant) {
        *self.0.lock() =
            CaptureSnapshot { state: CaptureState::Running, since: Some(now), ..CaptureSnapshot::default() };
    }

    /// Counts something.
    pub(super) fn count<T>(&self, change: impl FnOnce(&mut CaptureCounters) -> T) -> T {
        change(&mut self.0.lock().counters)
    }

    /// A frame came, whole or broken: whatever was wrong is over, unless the capture is.
    pub(super) fn frame(&self, now: Instant) {
        let mut health = self.0.lock();
        if health.state == CaptureState::Stopped {
            return;
        }
        if health.state != CaptureState::Running {
            if health.state == CaptureState::Retrying {
                health.counters.recovered += 1;
            }
            (health.state, health.reason, health.since) = (CaptureState::Running, CaptureReason::None, Some(now));
            health.detail.clear();
        }
    }

    /// Enters another state; whether that, or its detail, is news. The end of the capture is final, and while one retry
    /// follows the other the time of the first stays.
    pub(super) fn enter(&self, state: CaptureState, reason: CaptureReason, detail: &str, now: Instant) -> bool {
        let mut health = self.0.lock();
        let is_news = health.state != state || health.detail != detail;
        if health.state == CaptureState::Stopped {
            return false;
        }
        if health.state != state {
            (health.state, health.since) = (state, Some(now));
        }
        health.reason = reason;
        health.detail.clear();
        health.detail.push_str(detail);
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    #[test]
    fn the_end_of_the_capture_is_final() {
        let (health, now) = (CaptureHealth::default(), SimulatedClock::new().start());
        health.start(now);
        health.enter(CaptureState::Stopped, CaptureReason::Timeout, "it hangs", now);
        health.frame(now);
        assert!(!health.enter(CaptureState::Retrying, CaptureReason::Error, "it is gone", now));
        let ended = health.snapshot();
        assert_eq!((ended.state, ended.reason), (CaptureState::Stopped, CaptureReason::Timeout));
        assert_eq!((ended.detail.as_str(), ended.counters.recovered), ("it hangs", 0));
    }

    #[test]
    fn a_state_is_news_once() {
        let (health, now) = (CaptureHealth::default(), SimulatedClock::new().start());
        health.start(now);
        let retrying = |detail| health.enter(CaptureState::Retrying, CaptureReason::Error, detail, now);
        assert_eq!(["gone", "gone", "busy", "gone"].map(retrying), [true, false, true, true]);
    }
}
