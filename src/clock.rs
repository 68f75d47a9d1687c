//! Time, as the pipeline sees it: monotonic, never the wall's ([`wall_time`] is for people), and replaceable in tests.
//!
//! The only file that asks the system what time it is. Everything else holds a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long a sleeper may overlook that it was asked to stop.
const STOP_CHECK: Duration = Duration::from_millis(10);

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The current moment; never earlier than one returned before.
    fn now(&self) -> Instant;

    /// Returns once it is `at` or later, at once if it already is; earlier only when `stop` is set
    /// (within about 10 ms of that).
    fn sleep_until(&self, at: Instant, stop: &StopFlag);
}

/// The machine's monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system is asked for the time")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, at: Instant, stop: &StopFlag) {
        while !stop.is_set() {
            let left = at.saturating_duration_since(self.now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(STOP_CHECK));
        }
    }
}

/// What the clock on the wall says, for people to read; it may jump, so nothing is measured by it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the system is asked for the time")]
pub fn wall_time() -> SystemTime {
    SystemTime::now()
}

/// The kernel's monotonic clock as drivers read it: [`SystemClock`] counts the same time, but does not show its zero.
#[cfg(all(feature = "camera", target_os = "linux"))]
pub(crate) fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let nanoseconds = u32::try_from(now.tv_nsec).expect("a second's nanoseconds are fewer than 2³²");
    Duration::new(u64::try_from(now.tv_sec).expect("the clock counts from the start of the machine"), nanoseconds)
}

/// A clock for tests: it stands still until somebody moves it, and sleeping moves it instead of waiting.
///
/// Clones share the same time.
#[derive(Debug, Clone)]
pub struct SimulatedClock {
    start: Instant,
    elapsed_ns: Arc<AtomicU64>,
}

impl SimulatedClock {
    /// A clock that stands at an arbitrary moment, see [`SimulatedClock::start`].
    #[must_use]
    pub fn new() -> Self {
        Self { start: SystemClock.now(), elapsed_ns: Arc::default() }
    }

    /// The moment at which it was made.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Moves the time on by `step`.
    pub fn advance(&self, step: Duration) {
        self.elapsed_ns.fetch_add(nanoseconds(step), Ordering::SeqCst);
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_nanos(self.elapsed_ns.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Instant, stop: &StopFlag) {
        if !stop.is_set() {
            let elapsed = nanoseconds(at.saturating_duration_since(self.start));
            self.elapsed_ns.fetch_max(elapsed, Ordering::SeqCst);
        }
    }
}

/// Whole nanoseconds, at most `u64::MAX` (584 years).
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Says that capturing shall end; what is in flight is still brought to its end.
///
/// Clones share one flag. Once set it stays set.
#[derive(Debug, Clone, Default)]
pub struct StopFlag {
    own: Arc<AtomicBool>,
    parent: Option<Box<StopFlag>>,
}

impl StopFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag, for all clones and children.
    pub fn set(&self) {
        self.own.store(true, Ordering::SeqCst);
    }

    /// Whether this flag, or the one it is a child of, was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.own.load(Ordering::SeqCst) || self.parent.as_ref().is_some_and(|parent| parent.is_set())
    }

    /// A flag that is set with this one, but can also be set alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { own: Arc::default(), parent: Some(Box::new(self.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_moves_only_when_told_and_never_back() {
        let clock = SimulatedClock::new();
        assert_eq!(clock.now(), clock.start());
        clock.advance(Duration::from_millis(5));
        clock.sleep_until(clock.start() + Duration::from_millis(3), &StopFlag::new());
        assert_eq!(clock.now() - clock.start(), Duration::from_millis(5));
        clock.clone().sleep_until(clock.start() + Duration::from_millis(8), &StopFlag::new());
        assert_eq!(clock.now() - clock.start(), Duration::from_millis(8));
    }

    #[test]
    fn the_system_clock_does_not_sleep_once_stopped() {
        let stop = StopFlag::new();
        stop.set();
        SystemClock.sleep_until(SystemClock.now() + Duration::from_secs(3600), &stop);
    }

    #[test]
    fn a_child_flag_follows_its_parent_but_not_the_other_way_round() {
        let parent = StopFlag::new();
        let child = parent.child();
        child.set();
        assert!(child.is_set() && !parent.is_set());
        let other = parent.child().child();
        parent.set();
        assert!(other.is_set() && parent.is_set());
    }
}
