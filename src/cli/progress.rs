//! Progress on standard error, for whatever takes longer than a glance.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use puvae::clock::{Clock, SystemClock};
use puvae::pipeline::{Outcome, Pictures, Sink, SinkError};

/// What is over before this shows no progress.
const SHOW_AFTER: Duration = Duration::from_secs(2);
/// Nobody reads faster.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// A bar with the time left, or a counter where the end is not known; shown only on a terminal.
pub(crate) fn bar(length: Option<u64>, what: &str) -> ProgressBar {
    let form = match length {
        Some(_) => "{elapsed_precise} {wide_bar} {pos}/{len} {msg} · {eta} left",
        None => "{elapsed_precise} {spinner} {pos} {msg}",
    };
    let style = ProgressStyle::with_template(form).expect("the template is a constant that indicatif accepts");
    ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5))
        .with_style(style)
        .with_message(what.to_owned())
}

/// Shows how many frames have met their fate, and how many of them missed.
pub(crate) struct FrameProgress {
    length: Option<u64>,
    /// When to show something next.
    show_at: Instant,
    frames: u64,
    missed: u64,
    bar: Option<ProgressBar>,
}

impl FrameProgress {
    pub(crate) fn new(length: Option<u64>) -> Self {
        Self { length, show_at: SystemClock.now() + SHOW_AFTER, frames: 0, missed: 0, bar: None }
    }
}

impl Sink for FrameProgress {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&Pictures>) -> Result<(), SinkError> {
        self.frames += 1;
        self.missed += u64::from(outcome.fate.is_miss());
        let now = SystemClock.now();
        if now >= self.show_at {
            self.show_at = now + SHOW_EVERY;
            let bar = self.bar.get_or_insert_with(|| bar(self.length, "frames"));
            bar.set_position(self.frames);
            bar.set_message(format!("frames, {} missed", self.missed));
        }
        Ok(())
    }
}

impl Drop for FrameProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
