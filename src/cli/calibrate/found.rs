//! What the responses of frames say of deadlines.
//!
//! The tightest deadline held by a share of the frames is one of their responses. That as many of the frames to come hold it
//! is another claim: for that, the sorted responses are gone up until so many lie above that a machine which holds less would
//! have shown that rarely (an order statistic; 95 % confidence).

use std::time::Duration;

use anyhow::anyhow;
use puvae::pipeline::Summary;
use puvae::report::table;
use serde_json::json;

use super::Setup;

/// Shares of the frames that shall hold the deadline.
const SHARES: [f64; 3] = [0.99, 0.999, 0.9999];
/// How sure a claim on frames to come shall be.
const CONFIDENCE: f64 = 0.95;
/// Deadlines are rounded up to this.
const ROUND_TO: Duration = Duration::from_micros(100);
/// What stands for a deadline that too few frames held, whatever it were.
const NONE: &str = "none: too many frames had no verdict";

/// Responses in order, those of frames without a verdict last.
pub(super) struct Found {
    sorted: Vec<Duration>,
    /// A newer one took its place, or the driver lost it.
    dropped: usize,
    /// A stage failed on it.
    failed: usize,
}

impl Found {
    /// `failed` of the frames without a response failed, the others were dropped.
    pub(super) fn new(responses: Vec<Option<Duration>>, failed: u64) -> Self {
        let without = responses.iter().filter(|response| response.is_none()).count();
        let failed = usize::try_from(failed).unwrap_or(usize::MAX).min(without);
        let mut sorted: Vec<Duration> = responses.into_iter().flatten().collect();
        sorted.sort_unstable();
        Self { sorted, dropped: without - failed, failed }
    }

    pub(super) fn frames(&self) -> usize {
        self.sorted.len() + self.dropped + self.failed
    }

    /// The tightest deadline that `misses` of these frames missed; `None` when more than that had no verdict.
    fn with_misses(&self, misses: usize) -> Option<Duration> {
        let kept = self.frames().checked_sub(misses)?;
        let deadline = *self.sorted.get(kept.checked_sub(1)?)?;
        let steps = deadline.as_nanos().div_ceil(ROUND_TO.as_nanos());
        Some(ROUND_TO.saturating_mul(u32::try_from(steps).ok()?))
    }

    /// The tightest deadline that `share` of these frames held.
    fn held(&self, share: f64) -> Option<Duration> {
        self.with_misses(allowed(self.frames(), share))
    }

    /// The tightest deadline of which it is sure enough that `share` of all frames hold it.
    fn surely_held(&self, share: f64) -> Option<Duration> {
        self.with_misses(surely_allowed(self.frames(), share)?)
    }

    pub(super) fn table(&self, summary: &Summary, Setup { engine, fps, slower, .. }: &Setup<'_>) -> String {
        let shown = |deadline: Option<Duration>, else_: &str| {
            deadline.map_or_else(|| else_.to_owned(), |deadline| format!("{:.1} ms", deadline.as_secs_f64() * 1e3))
        };
        let row = |share: f64| {
            let sure = match surely_allowed(self.frames(), share) {
                Some(_) => shown(self.surely_held(share), NONE),
                None => format!("needs {} frames", frames_needed(share)),
            };
            let held = shown(self.held(share), NONE);
            vec![format!("{} %", share * 100.0), held, sure]
        };
        let rows = SHARES.into_iter().map(row).collect();
        let provider = engine.provider();
        let slowest =
            self.sorted.last().map_or("n/a".into(), |slowest| format!("{:.1} ms", slowest.as_secs_f64() * 1e3));
        let slower = slower.map(|came| format!(" (about {came} came: reading one takes longer than there is time)"));
        format!(
            "Tightest deadline, from capture to verdict\n{}\n the confidence is for frames independent of each other, under a load as it is now{}\n {} frames at {fps} a second{}, {} of them dropped, {} failed, slowest response {slowest}\n first run of both models {:.1?}, provider {} ({}), {} for each model\n",
            table::lay_out(&["share of frames", "held by these frames", "held at 95 % confidence"], 1, rows),
            self.advice(),
            self.frames(),
            slower.unwrap_or_default(),
            self.dropped,
            self.failed,
            summary.warm_up.first,
            provider.used,
            provider.reason,
            table::threads(engine.threads().get()),
        )
    }

    /// What to do where dropped frames alone keep a deadline from being found.
    fn advice(&self) -> &'static str {
        let most = |share| surely_allowed(self.frames(), share).unwrap_or_else(|| allowed(self.frames(), share));
        let none = SHARES.into_iter().any(|share| self.dropped > most(share));
        if none { "\n for frames that were dropped: let fewer come in a second, with a lower --fps" } else { "" }
    }

    pub(super) fn json(&self, setup: &Setup<'_>, failure: Option<&anyhow::Error>) -> anyhow::Result<String> {
        let Setup { settings, engine, models, fps, slower } = setup;
        let deadlines: Vec<_> = SHARES.into_iter().map(|share| self.deadline(share)).collect();
        let report = json!({
            "schema": 1, "frames": self.frames(), "dropped": self.dropped, "failed": self.failed, "fps": fps,
            "fps_came": slower.unwrap_or(*fps),
            "source": settings.source.to_string(), "regions": settings.regions, "confidence": CONFIDENCE,
            "deadlines": deadlines, "provider": engine.provider(), "threads": engine.threads().get(), "models": models,
            "puvae_version": env!("CARGO_PKG_VERSION"), "failure": failure.map(ToString::to_string),
        });
        serde_json::to_string_pretty(&report).map_err(|error| anyhow!("the figures: {error}"))
    }

    fn deadline(&self, share: f64) -> serde_json::Value {
        let micros = |deadline: Option<Duration>| deadline.map(|deadline| deadline.as_micros() as u64);
        json!({"share": share, "held_us": micros(self.held(share)), "surely_held_us": micros(self.surely_held(share))})
    }
}

/// Misses among `frames` that still leave `share` of them.
fn allowed(frames: usize, share: f64) -> usize {
    (frames as f64 * (1.0 - share) + 1e-9).floor() as usize
}

/// The most misses among `frames` that a machine which holds less than `share` shows in at most one of twenty
/// trials; `None` when even none at all would be no wonder.
fn surely_allowed(frames: usize, share: f64) -> Option<usize> {
    let miss = 1.0 - share;
    // ln P(misses = 0), then ln P(misses = k) from ln P(misses = k − 1): of many frames the first are too small for a float.
    let mut logarithm = frames as f64 * share.ln();
    let (mut at_most, mut misses) = (logarithm.exp(), 0_usize);
    if at_most > 1.0 - CONFIDENCE {
        return None;
    }
    loop {
        let next = misses + 1;
        logarithm += ((frames - misses) as f64 / next as f64 * (miss / share)).ln();
        at_most += logarithm.exp();
        if next >= frames || at_most > 1.0 - CONFIDENCE {
            return Some(misses);
        }
        misses = next;
    }
}

/// The fewest frames from which anything sure can be said of `share`.
fn frames_needed(share: f64) -> u64 {
    ((1.0 - CONFIDENCE).ln() / share.ln()).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn the_rule_of_three_and_its_exact_form() {
        assert_eq!(
            (frames_needed(0.999), surely_allowed(2994, 0.999), surely_allowed(2995, 0.999)),
            (2995, None, Some(0))
        );
        // Tables of one-sided binomial limits: 59 and 93 trials for 95 %, with none and with one miss.
        assert_eq!(
            (surely_allowed(59, 0.95), surely_allowed(92, 0.95), surely_allowed(93, 0.95)),
            (Some(0), Some(0), Some(1))
        );
        assert_eq!(surely_allowed(58, 0.95), None);
        // Where the probability of no miss is too small for a float.
        assert_eq!((surely_allowed(100_000, 0.99), surely_allowed(1_000_000, 0.999)), (Some(948), Some(947)));
    }

    #[test]
    fn a_deadline_is_the_response_that_so_many_frames_kept_rounded_up() {
        let found = Found::new((1..=1000).map(|us| Some(Duration::from_micros(us * 10))).collect(), 0);
        assert_eq!(found.held(0.99), Some(Duration::from_micros(9900)));
        assert_eq!(found.held(0.999), Some(Duration::from_micros(10_000)));
        assert_eq!(
            found.surely_held(0.99),
            Some(Duration::from_micros(10_000)),
            "of 1000 frames 4 may miss: 9960, rounded up"
        );
        assert_eq!(found.surely_held(0.999), None);
    }

    #[test]
    fn a_frame_without_a_verdict_holds_no_deadline() {
        let mut responses = vec![ms(1); 999];
        responses.push(None);
        assert_eq!(Found::new(responses.clone(), 0).dropped, 1);
        let found = Found::new(responses, 1);
        assert_eq!((found.frames(), found.dropped, found.failed), (1000, 0, 1));
        assert_eq!((found.held(0.99), found.held(0.999), found.held(0.9999)), (ms(1), ms(1), None));
        assert_eq!(found.advice(), "", "a frame that failed fails at any rate");
    }

    #[test]
    fn the_help_of_frames_says_how_many_it_takes() {
        assert_eq!(SHARES.map(frames_needed), [299, 2995, 29_956]);
    }

    #[test]
    fn frames_that_were_dropped_are_answered_with_a_lower_rate() {
        let mut responses = vec![ms(1); 98];
        assert_eq!(Found::new(responses.clone(), 0).advice(), "");
        responses.extend([None, None]);
        assert!(Found::new(responses, 0).advice().contains("with a lower --fps"));
    }
}
