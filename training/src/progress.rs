//! Progress bars with the time left, on stderr, and how long work took.

use std::fmt;
use std::time::{Duration, Instant};

pub use indicatif::ProgressBar;
use indicatif::{HumanDuration, ProgressState, ProgressStyle};

/// How often a bar is drawn that does not move: some steps take minutes.
const TICK: Duration = Duration::from_secs(1);

/// A bar of `len` steps; it shows the time left and the last message.
#[must_use]
pub fn bar(label: &str, len: usize) -> ProgressBar {
    bar_from(label, 0, len)
}

/// The same of work of which `done` steps were done before.
///
/// The time left is by the mean pace since it began: indicatif's own estimate forgets, and grows to weeks while a step takes minutes.
#[must_use]
pub fn bar_from(label: &str, done: usize, len: usize) -> ProgressBar {
    let left = move |state: &ProgressState, to: &mut dyn fmt::Write| {
        let since = |position: u64| position.saturating_sub(done as u64);
        let left = left(state.elapsed(), since(state.pos()), since(state.len().unwrap_or(0)));
        let text = left.map_or_else(|| "?".into(), |left| format!("{:#}", HumanDuration(left)));
        // The bar is text in memory: there is nobody to tell of an error.
        let _ = to.write_str(&text);
    };
    let style =
        ProgressStyle::with_template("{prefix:20} [{bar:32}] {pos}/{len} {elapsed} elapsed, {left} left  {msg}")
            .expect("the template is valid")
            .with_key("left", left)
            .progress_chars("=> ");
    let bar = ProgressBar::new(len as u64).with_style(style).with_prefix(label.to_owned());
    bar.set_position(done as u64);
    bar.enable_steady_tick(TICK);
    bar
}

/// The time that the rest of `steps` takes where `done` of them took `elapsed`; unknown before the first.
fn left(elapsed: Duration, done: u64, steps: u64) -> Option<Duration> {
    let pace = (done > 0).then(|| elapsed.as_secs_f64() / done as f64)?;
    Some(Duration::from_secs_f64(pace * steps.saturating_sub(done) as f64))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_by_the_mean_pace_so_far() {
        let seconds = Duration::from_secs;
        assert_eq!(left(seconds(9), 0, 10), None);
        assert_eq!(left(seconds(30), 3, 10), Some(seconds(70)));
        assert_eq!(left(seconds(30), 10, 10), Some(seconds(0)));
        let bar = bar_from("resumed", 4, 10);
        assert_eq!((bar.position(), bar.length()), (4, Some(10)));
    }
}
