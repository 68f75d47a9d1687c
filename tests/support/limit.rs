//! How long a test waits for anything: long enough for every machine, and then it fails instead of hanging.

use std::thread;
use std::time::Duration;

use puvae::clock::{Clock as _, SystemClock};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Looks again and again until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = SystemClock.now() + LIMIT;
    while !is_so() {
        assert!(SystemClock.now() < end, "never within {LIMIT:?}: {what}");
        thread::sleep(Duration::from_micros(100));
    }
}
