//! Progress bars with the time left, on stderr, and how long work took.

use std::time::{Duration, Instant};

pub use indicatif::ProgressBar;
use indicatif::ProgressStyle;

/// How often a bar is drawn that does not move: some steps take minutes.
const TICK: Duration = Duration::from_secs(1);

/// A bar of `len` steps; it shows the time left and the last message.
#[must_use]
pub fn bar(label: &str, len: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:20} [{bar:32}] {pos}/{len} {elapsed} elapsed, {eta} left  {msg}")
        .expect("the template is valid")
        .progress_chars("=> ");
    let bar = ProgressBar::new(len as u64).with_style(style).with_prefix(label.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar that nobody sees, for work inside work that has a bar.
#[must_use]
pub fn hidden() -> ProgressBar {
    ProgressBar::hidden()
}

/// Calls `work` and returns its result with the seconds it took.
#[expect(clippy::disallowed_methods, reason = "results tell how long they took")]
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}
