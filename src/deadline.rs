//! How old a verdict may be, counted from the moment of capture.

use std::fmt;
use std::time::{Duration, Instant};

/// The longest time from capture to verdict that still counts as on time; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

/// A deadline of zero: no frame could ever meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the deadline is 0, expected a time above zero; give one such as `33ms`")]
#[non_exhaustive]
pub struct ZeroDeadline;

impl Deadline {
    /// A deadline of `limit` after capture.
    ///
    /// # Errors
    /// When `limit` is zero.
    pub fn new(limit: Duration) -> Result<Self, ZeroDeadline> {
        if limit.is_zero() { Err(ZeroDeadline) } else { Ok(Self(limit)) }
    }

    /// The time allowed.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }

    /// Whether a frame captured at `captured_at` can no longer be on time at `now`.
    ///
    /// Exactly at the deadline it still can. A stamp that lies after `now` is not expired.
    #[must_use]
    pub fn expired(self, captured_at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(captured_at) > self.0
    }
}

/// One frame period at 30 frames a second.
impl Default for Deadline {
    fn default() -> Self {
        Self(Duration::from_millis(33))
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    #[test]
    fn exactly_at_the_deadline_is_still_in_time() {
        let deadline = Deadline::new(Duration::from_millis(33)).unwrap();
        let captured_at = SimulatedClock::new().start();
        assert!(!deadline.expired(captured_at, captured_at + Duration::from_millis(33)));
        assert!(deadline.expired(captured_at, captured_at + Duration::from_nanos(33_000_001)));
    }

    #[test]
    fn a_stamp_from_the_future_is_not_expired() {
        let deadline = Deadline::new(Duration::from_nanos(1)).unwrap();
        let now = SimulatedClock::new().start();
        assert!(!deadline.expired(now + Duration::from_secs(1), now));
    }

    #[test]
    fn a_deadline_of_zero_is_refused_with_an_example() {
        let text = Deadline::new(Duration::ZERO).unwrap_err().to_string();
        assert_eq!(text, "the deadline is 0, expected a time above zero; give one such as `33ms`");
    }
}
