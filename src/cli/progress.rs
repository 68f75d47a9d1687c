//! Progress on standard error, for whatever takes longer than a glance.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use puvae::clock::{Clock, SystemClock};
use puvae::pipeline::{FrameTensors, Outcome, Sink, SinkError};

/// What is over before this shows no progress.
const SHOW_AFTER: Duration = Duration::from_secs(2);
/// Nobody reads faster.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// A bar with the time left, or a counter where the end is not known, of `what`; shown only on a terminal.
pub(crate) fn bar(length: Option<u64>, what: &str) -> ProgressBar {
    let form = match length {
        Some(_) => format!("{{elapsed_precise}} {{wide_bar}} {{pos}}/{{len}} {what} · {{eta}} left"),
        None => format!("{{elapsed_precise}} {{spinner}} {{pos}} {what}"),
    };
    let style = ProgressStyle::with_template(&form).expect("the template is made of constants that indicatif accepts");
    ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5)).with_style(style)
}

/// Shows how many frames have met their fate, and how many of them missed.
///
/// A thread of indicatif's draws it, so that a terminal that takes nothing stops the bar and nothing else, until this is
/// dropped.
pub(crate) struct FrameProgress {
    length: Option<u64>,
    show_at: Instant,
    frames: u64,
    missed: Arc<AtomicU64>,
    bar: Option<ProgressBar>,
}

impl FrameProgress {
    pub(crate) fn new(length: Option<u64>) -> Self {
        Self { length, show_at: SystemClock.now() + SHOW_AFTER, frames: 0, missed: Arc::default(), bar: None }
    }

    fn bar(&self) -> ProgressBar {
        let bar = bar(self.length, "frames, {missed} missed");
        let missed = Arc::clone(&self.missed);
        let tell = move |_: &ProgressState, text: &mut dyn fmt::Write| {
            let _ = write!(text, "{}", missed.load(Ordering::Relaxed));
        };
        bar.set_style(bar.style().with_key("missed", tell));
        bar.enable_steady_tick(SHOW_EVERY);
        bar
    }
}

impl Sink for FrameProgress {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        self.frames += 1;
        self.missed.fetch_add(u64::from(outcome.fate.is_miss()), Ordering::Relaxed);
        if self.bar.is_none() && SystemClock.now() >= self.show_at {
            self.bar = Some(self.bar());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.frames);
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
