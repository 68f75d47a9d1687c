//! Hits and misses of the last few seconds, in a ring of short intervals.

use std::time::{Duration, Instant};

/// How far back [`Recent`] looks; the oldest half second of it comes and goes as a whole.
pub const WINDOW: Duration = Duration::from_secs(10);

const INTERVAL: Duration = Duration::from_millis(500);
const INTERVALS: usize = (WINDOW.as_millis() / INTERVAL.as_millis()) as usize;

/// What was decided during the last [`WINDOW`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    /// Frames that met their fate.
    pub decided: u64,
    /// Of these, how many had no verdict in time.
    pub missed: u64,
}

impl Recent {
    /// The share of misses; `None` when nothing was decided.
    #[must_use]
    pub fn miss_ratio(self) -> Option<f64> {
        (self.decided > 0).then(|| self.missed as f64 / self.decided as f64)
    }
}

#[derive(Debug)]
pub(super) struct Window {
    start: Instant,
    /// For each place in the ring the number of its interval since the start, and what was decided in it.
    ring: [(u128, Recent); INTERVALS],
}

impl Window {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, ring: [(0, Recent::default()); INTERVALS] }
    }

    fn interval(&self, at: Instant) -> u128 {
        at.saturating_duration_since(self.start).as_millis() / INTERVAL.as_millis()
    }

    pub(super) fn record(&mut self, at: Instant, missed: bool) {
        let interval = self.interval(at);
        let place = &mut self.ring[(interval % INTERVALS as u128) as usize];
        if place.0 != interval {
            *place = (interval, Recent::default());
        }
        place.1.decided += 1;
        place.1.missed += u64::from(missed);
    }

    pub(super) fn recent(&self, at: Instant) -> Recent {
        let now = self.interval(at);
        let within = self.ring.iter().filter(|(interval, _)| now.saturating_sub(*interval) < INTERVALS as u128);
        within.fold(Recent::default(), |sum, (_, part)| Recent {
            decided: sum.decided + part.decided,
            missed: sum.missed + part.missed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let start = SimulatedClock::new().start();
        let at = |ms| start + Duration::from_millis(ms);
        let mut window = Window::new(start);
        assert_eq!(window.recent(start).miss_ratio(), None);
        window.record(at(0), true);
        window.record(at(600), false);
        assert_eq!(window.recent(at(9_900)), Recent { decided: 2, missed: 1 });
        assert_eq!(window.recent(at(10_000)), Recent { decided: 1, missed: 0 });
        window.record(at(10_100), true);
        assert_eq!(window.recent(at(10_100)).miss_ratio(), Some(0.5));
        assert_eq!(window.recent(at(60_000)), Recent::default());
    }
}
