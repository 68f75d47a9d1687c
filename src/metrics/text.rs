//! A reading of the board in Prometheus' text format 0.0.4.
//!
//! Names and units follow Prometheus' conventions, and OpenMetrics': counters end in `_total`, times are in seconds.
//! Every series is there from the first scrape on, so that a rate is never missing its beginning.

mod writer;

use super::Facts;
use crate::board::{Edges, Reading, WINDOW};
use crate::latency::Stage;
use crate::ledger::Fate;
use crate::model::file::ModelInfo;
use crate::pipeline::{CaptureReason, CaptureState};
use writer::{Kind, Writer};

/// Everything there is to say.
pub(super) fn render(reading: &Reading, edges: &Edges, ready: bool, facts: Option<&Facts>) -> String {
    let mut out = Writer::default();
    build(&mut out, facts);
    out.one("puvae_ready", Kind::Gauge, "Whether the run can be relied on, as /ready says.", u64::from(ready));
    frames(&mut out, reading);
    verdicts(&mut out, reading);
    misses(&mut out, reading);
    times(&mut out, reading, edges);
    capture(&mut out, reading);
    out.finish()
}

fn build(out: &mut Writer, facts: Option<&Facts>) {
    out.family("puvae_build_info", Kind::Gauge, "Version of the program; always 1.");
    out.sample("puvae_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1_u64);
    let Some(facts) = facts else { return };
    out.family("puvae_provider_info", Kind::Gauge, "Who computes; always 1.");
    out.sample("puvae_provider_info", &[("provider", &facts.provider)], 1_u64);
    out.family("puvae_model_info", Kind::Gauge, "A model in use, with the SHA-256 of its file; always 1.");
    let models = [("purifier", &facts.purifier), ("classifier", &facts.classifier)];
    for (role, model) in models.into_iter().filter_map(|(role, model)| Some((role, model.as_ref()?))) {
        let ModelInfo { path, sha256, .. } = model;
        let labels = [("role", role), ("path", &*path.to_string_lossy()), ("sha256", &*sha256.to_string())];
        out.sample("puvae_model_info", &labels, 1_u64);
    }
}

fn frames(out: &mut Writer, reading: &Reading) {
    let captured = "Frames that came out of the source, those that its driver lost or broke among them.";
    out.one("puvae_frames_captured_total", Kind::Counter, captured, reading.captured());
    out.family(
        "puvae_frames_total",
        Kind::Counter,
        "Frames by what became of them; `stage` is the one that an expired frame did not reach, or that failed on it.",
    );
    for fate in Fate::ALL {
        let fate_label = ("fate", fate.as_str());
        let count = reading.figures.fate(fate);
        match fate.stage() {
            None => out.sample("puvae_frames_total", &[fate_label], count),
            Some(stage) => out.sample("puvae_frames_total", &[fate_label, ("stage", stage)], count),
        }
    }
    let in_flight = "Frames whose fate is open.";
    out.one("puvae_frames_in_flight", Kind::Gauge, in_flight, reading.in_flight());
    let held = "Frames without a verdict of their own that were given an older one (on-unpurified = hold).";
    out.one("puvae_frames_held_total", Kind::Counter, held, reading.figures.held);
    let raw = "Delivered frames that were classified as they came although there is a purifier (on-unpurified = flag).";
    out.one("puvae_frames_unpurified_total", Kind::Counter, raw, reading.figures.unpurified);
}

fn verdicts(out: &mut Writer, reading: &Reading) {
    let figures = &reading.figures;
    let all = "Verdicts, one for each region of a delivered frame.";
    out.one("puvae_verdicts_total", Kind::Counter, all, figures.verdicts);
    let suspects = "Verdicts on pictures whose score is above the purifier's threshold.";
    out.one("puvae_verdicts_suspect_total", Kind::Counter, suspects, figures.suspects);
}

fn misses(out: &mut Writer, reading: &Reading) {
    let longest = "The most frames in a row, in capture order, without a verdict in time.";
    out.one("puvae_longest_miss_run_frames", Kind::Gauge, longest, reading.figures.longest_miss_run);
    let last_s = WINDOW.as_secs();
    let ratio = format!(
        "Share of the frames decided in the last {last_s} s that had no verdict in time; NaN when there were none."
    );
    out.one("puvae_recent_miss_ratio", Kind::Gauge, &ratio, reading.recent.miss_ratio().unwrap_or(f64::NAN));
}

fn times(out: &mut Writer, reading: &Reading, edges: &Edges) {
    let deadline = reading.deadline;
    let limit = "Longest time from capture to verdict that counts as on time.";
    out.one("puvae_deadline_seconds", Kind::Gauge, limit, deadline.get());
    let age = "How old the newest verdict is now, from its frame's capture; NaN before the first.";
    out.one("puvae_verdict_age_seconds", Kind::Gauge, age, reading.age().map_or(f64::NAN, |age| age.as_secs_f64()));
    out.one(
        "puvae_verdict_age_over_deadline_seconds_total",
        Kind::Counter,
        "How long, in all, the newest verdict was older than the deadline; its rate is a share of time.",
        reading.figures.over_deadline_at(reading.at, deadline),
    );
    out.family("puvae_stage_seconds", Kind::Histogram, "How long frames were in a stage.");
    for stage in Stage::ALL {
        if let Some(buckets) = reading.figures.histogram(stage).filter(|_| stage != Stage::Response) {
            out.histogram("puvae_stage_seconds", &[("stage", stage.as_str())], buckets, edges);
        }
    }
    if let Some(buckets) = reading.figures.histogram(Stage::Response) {
        let response = "From capture to verdict, of delivered frames; one bucket ends exactly at the deadline.";
        out.family("puvae_response_seconds", Kind::Histogram, response);
        out.histogram("puvae_response_seconds", &[], buckets, edges);
    }
}

fn capture(out: &mut Writer, reading: &Reading) {
    let capture = &reading.capture;
    out.family("puvae_capture_state", Kind::Gauge, "What the capture is at: 1 for the one state it is in.");
    for state in CaptureState::ALL {
        out.sample("puvae_capture_state", &[("state", &*state.to_string())], u64::from(state == capture.state));
    }
    out.family("puvae_capture_reason", Kind::Gauge, "Why it is in that state: 1 for the one reason.");
    for reason in CaptureReason::ALL {
        out.sample("puvae_capture_reason", &[("reason", &*reason.to_string())], u64::from(reason == capture.reason));
    }
    let counters = &capture.counters;
    for (name, help, count) in [
        ("puvae_capture_lost_total", "Frames that the driver says it lost.", counters.lost),
        ("puvae_capture_broken_total", "Frames that came, but could not be used.", counters.broken),
        ("puvae_capture_stalls_total", "How often no frame came for a while.", counters.stalls),
        ("puvae_capture_errors_total", "How often the source failed.", counters.errors),
        ("puvae_capture_recovered_total", "How often it gave frames again after that.", counters.recovered),
        ("puvae_capture_abandoned_total", "How often one that did not return was left to itself.", counters.abandoned),
        (
            "puvae_capture_stamps_corrected_total",
            "Time stamps that lay before the frame before, or in the future.",
            counters.stamps_corrected,
        ),
    ] {
        out.one(name, Kind::Counter, help, count);
    }
}

#[cfg(test)]
mod tests;
