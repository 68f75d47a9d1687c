//! When a run is ready: the rules, over successive readings of the board.

use std::time::{Duration, Instant};

use crate::board::{Reading, Recent, WINDOW};
use crate::deadline::Deadline;
use crate::pipeline::{CaptureReason, CaptureState};

/// An episode of misses begins when more than this share of the last [`WINDOW`] missed …
const EPISODE_ABOVE: f64 = 0.1;
/// … and at least this many frames; it ends …
const EPISODE_MISSES: u64 = 5;
/// … when no more than this share missed. Between the two it lasts if it has begun.
const EPISODE_BELOW: f64 = 0.02;
/// Frames that failed, without one in between that did not.
const FAILURES: u64 = 3;
/// Verdicts may be this many deadlines late, or [`SHORTEST_PATIENCE`], before a run is stuck.
const PATIENCE_DEADLINES: u32 = 10;
const SHORTEST_PATIENCE: Duration = Duration::from_secs(1);

/// Why a run cannot be relied on right now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unready {
    /// Models are being loaded and warmed up.
    #[error("the models are not warm yet")]
    Starting,
    /// No frames come.
    #[error("the capture is {state} (reason: {})", if detail.is_empty() { reason.to_string() } else { detail.clone() })]
    Capture {
        /// What it is at.
        state: CaptureState,
        /// Why.
        reason: CaptureReason,
        /// The reason in words; may be empty.
        detail: String,
    },
    /// Frames come, verdicts do not.
    #[error("frames are captured, but there was no verdict for more than {0:.1?}")]
    Silent(Duration),
    /// Stages fail on frame after frame.
    #[error("{0} frames failed without a verdict between them; look into the models' outputs and the frames")]
    Failing(u64),
    /// An episode of misses.
    #[error("{} of {} frames missed in the last {WINDOW:?}", .0.missed, .0.decided)]
    Missing(Recent),
    /// The source came to its end.
    #[error("the source has ended")]
    Over,
    /// The watchdog does not run.
    #[error("the watchdog has not looked for a while; the machine is overloaded")]
    NotJudged,
}

/// How long frames may come without a verdict before a run with this deadline is not ready.
#[must_use]
pub fn patience(deadline: Deadline) -> Duration {
    deadline.get().saturating_mul(PATIENCE_DEADLINES).max(SHORTEST_PATIENCE)
}

/// What a judgement depends on, besides the newest reading.
#[derive(Debug, Default)]
pub struct Judge {
    /// Verdicts when a frame was first seen waiting for the next one, and since when it has been.
    unanswered: Option<(u64, Instant)>,
    /// Whether there is an episode of misses.
    missing: bool,
}

impl Judge {
    /// Judges a reading that is newer than the one before.
    ///
    /// # Errors
    /// The first reason there is against relying on the run.
    pub fn judge(&mut self, reading: &Reading) -> Result<(), Unready> {
        self.note_unanswered(reading);
        self.note_misses(reading.recent);
        let (capture, patience) = (&reading.capture, patience(reading.deadline));
        if reading.figures.began.is_none() {
            return Err(Unready::Starting);
        }
        match capture.state {
            CaptureState::Running => {}
            CaptureState::Stopped if capture.reason == CaptureReason::End => return Err(Unready::Over),
            state => {
                return Err(Unready::Capture { state, reason: capture.reason, detail: capture.detail.clone() });
            }
        }
        if self.unanswered.is_some_and(|(_, since)| reading.at.saturating_duration_since(since) > patience) {
            return Err(Unready::Silent(patience));
        }
        if reading.figures.failed_in_row >= FAILURES {
            return Err(Unready::Failing(reading.figures.failed_in_row));
        }
        if self.missing { Err(Unready::Missing(reading.recent)) } else { Ok(()) }
    }

    /// A frame waits while it was captured after the newest one that has a verdict.
    fn note_unanswered(&mut self, reading: &Reading) {
        let verdicts = reading.figures.verdicts;
        let answered = reading.figures.newest_frame.map_or(0, |frame| frame.0 + 1);
        let waiting = reading.captured() > answered;
        let since = self.unanswered.filter(|(before, _)| *before == verdicts);
        self.unanswered = waiting.then(|| since.unwrap_or((verdicts, reading.at)));
    }

    fn note_misses(&mut self, recent: Recent) {
        let ratio = recent.miss_ratio().unwrap_or(0.0);
        let limit = if self.missing { EPISODE_BELOW } else { EPISODE_ABOVE };
        self.missing = ratio > limit && (self.missing || recent.missed >= EPISODE_MISSES);
    }
}

#[cfg(test)]
mod tests;
