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
/// Whoever updates it holds its lock for a few assignments only, so no stuck stage can keep a reader waiting. Of several
/// runs at a time with one handle it shows the one that has changed last, whole; the runs themselves do not read it.
#[derive(Debug, Clone, Default)]
pub struct CaptureHealth(Arc<Mutex<CaptureSnapshot>>);

impl CaptureHealth {
    /// How the capture is doing now.
    #[must_use]
    pub fn snapshot(&self) -> CaptureSnapshot {
        self.0.lock().clone()
    }
}

/// How the capture of one run is doing. Each change is shown to whoever looks from outside; nothing is read there, since
/// another run may share that handle. Clones are of the same run.
#[derive(Clone)]
pub(super) struct RunHealth {
    own: Arc<Mutex<CaptureSnapshot>>,
    shown: CaptureHealth,
}

impl RunHealth {
    /// As before any run, and so it is shown.
    pub(super) fn new(shown: CaptureHealth) -> Self {
        let health = Self { own: Arc::default(), shown };
        health.change(|_| ());
        health
    }

    /// How the capture of this run is doing now.
    pub(super) fn snapshot(&self) -> CaptureSnapshot {
        self.own.lock().clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut CaptureSnapshot) -> T) -> T {
        let mut own = self.own.lock();
        let changed = change(&mut own);
        // Before `own` is unlocked: nothing older is ever shown after it.
        *self.shown.0.lock() = own.clone();
        changed
    }

    /// Begins to run.
    pub(super) fn start(&self, now: Instant) {
        self.change(|health| (health.state, health.since) = (CaptureState::Running, Some(now)));
    }

    /// Counts something.
    pub(super) fn count(&self, count: impl FnOnce(&mut CaptureCounters)) {
        self.change(|health| count(&mut health.counters));
    }

    /// A frame came, whole or broken: whatever was wrong is over, unless the capture is.
    pub(super) fn frame(&self, now: Instant) {
        self.change(|health| {
            if matches!(health.state, CaptureState::Stopped | CaptureState::Running) {
                return;
            }
            if health.state == CaptureState::Retrying {
                health.counters.recovered += 1;
            }
            (health.state, health.reason, health.since) = (CaptureState::Running, CaptureReason::None, Some(now));
            health.detail.clear();
        });
    }

    /// Enters another state; whether that, or its detail, is news. The end of the capture is final, and while one retry
    /// follows the other the time of the first stays.
    pub(super) fn enter(&self, state: CaptureState, reason: CaptureReason, detail: &str, now: Instant) -> bool {
        self.change(|health| {
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    #[test]
    fn the_end_of_the_capture_is_final() {
        let (health, now) = (RunHealth::new(CaptureHealth::default()), SimulatedClock::new().start());
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
        let (health, now) = (RunHealth::new(CaptureHealth::default()), SimulatedClock::new().start());
        health.start(now);
        let retrying = |detail| health.enter(CaptureState::Retrying, CaptureReason::Error, detail, now);
        assert_eq!(["gone", "gone", "busy", "gone"].map(retrying), [true, false, true, true]);
    }

    #[test]
    fn of_two_runs_with_one_handle_that_is_shown_which_changed_last() {
        let (shown, now) = (CaptureHealth::default(), SimulatedClock::new().start());
        let one = RunHealth::new(shown.clone());
        one.start(now);
        one.count(|counters| counters.captured = 7);
        let other = RunHealth::new(shown.clone());
        assert_eq!(shown.snapshot(), CaptureSnapshot::default());
        other.start(now);
        other.count(|counters| counters.lost = 2);
        assert_eq!(shown.snapshot(), other.snapshot());
        one.count(|counters| counters.captured += 1);
        let counted = |health: &RunHealth| (health.snapshot().counters.captured, health.snapshot().counters.lost);
        assert_eq!((counted(&one), counted(&other), shown.snapshot()), ((8, 0), (0, 2), one.snapshot()));
    }
}
