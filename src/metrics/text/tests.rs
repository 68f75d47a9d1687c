use super::*;
use crate::board::Board;
use crate::clock::{Clock, SimulatedClock};
use crate::deadline::Deadline;
use crate::frame::{FrameId, StampSource};
use crate::ledger::{DropReason, ExpiredAt};
use crate::pipeline::{CaptureHealth, FrameTensors, Outcome, Sink as _, Times, Verdict, Verdicts};
use std::sync::Arc;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn outcome(frame: u64, fate: Fate, captured_at: Duration, response: Option<Duration>) -> Outcome {
    let mut times = Times::default();
    times[Stage::Purify as usize] = response.map(|_| ms(2));
    let verdict = |response| Verdict {
        region: 0,
        class: 1,
        confidence: 0.5,
        purified: false,
        label_star: None,
        distance: None,
        score: Some(1.0),
        suspect: frame == 0,
        response,
    };
    let verdicts: Verdicts = response.into_iter().map(verdict).collect();
    let stamp_source = StampSource::Dequeue;
    Outcome { frame: FrameId(frame), fate, captured_at, stamp_source, label: None, times, verdicts, held: None }
}

/// Of a frame that passed the purifier by, or of one that there is no purifier for.
fn pictures(raw: bool) -> FrameTensors {
    FrameTensors { raw, ..FrameTensors::default() }
}

/// Two verdicts, one of them exactly at the deadline, and two misses; then 100 ms without any.
fn page() -> String {
    let clock = SimulatedClock::new();
    let mut board = Board::new(Arc::new(clock.clone()), Deadline::new(ms(33)).unwrap(), CaptureHealth::default());
    board.begin(clock.now());
    clock.advance(ms(33));
    board.outcome(&outcome(0, Fate::OnTime, ms(0), Some(ms(33))), Some(&pictures(true))).unwrap();
    clock.advance(ms(47));
    board.outcome(&outcome(1, Fate::Expired(ExpiredAt::Purify), ms(33), None), None).unwrap();
    board.outcome(&outcome(2, Fate::Dropped(DropReason::Queue), ms(39), None), None).unwrap();
    board.outcome(&outcome(3, Fate::Late, ms(40), Some(ms(40))), Some(&pictures(false))).unwrap();
    clock.advance(ms(100));
    let facts = Facts { provider: "cpu".into(), ..Facts::default() };
    render(&board.read(), board.edges(), true, Some(&facts))
}

#[test]
fn every_figure_is_where_it_belongs() {
    let page = page();
    for line in [
        "puvae_ready 1",
        "puvae_provider_info{provider=\"cpu\"} 1",
        "puvae_frames_total{fate=\"on_time\"} 1",
        "puvae_frames_total{fate=\"late\"} 1",
        "puvae_frames_total{fate=\"expired\",stage=\"purify\"} 1",
        "puvae_frames_total{fate=\"expired\",stage=\"classify\"} 0",
        "puvae_frames_total{fate=\"dropped_queue\"} 1",
        "puvae_frames_total{fate=\"failed\",stage=\"purify\"} 0",
        "puvae_frames_in_flight 0",
        "puvae_verdicts_total 2",
        "puvae_verdicts_suspect_total 1",
        "puvae_frames_unpurified_total 1",
        "puvae_longest_miss_run_frames 3",
        "puvae_recent_miss_ratio 0.75",
        "puvae_deadline_seconds 0.033",
        // Captured at 40 ms, seen at 180 ms.
        "puvae_verdict_age_seconds 0.14",
        // From 33 ms to 80 ms, and from 80 ms (when it was 40 ms old) on.
        "puvae_verdict_age_over_deadline_seconds_total 0.147",
        "puvae_response_seconds_bucket{le=\"0.02\"} 0",
        "puvae_response_seconds_bucket{le=\"0.033\"} 1",
        "puvae_response_seconds_bucket{le=\"0.05\"} 2",
        "puvae_response_seconds_bucket{le=\"+Inf\"} 2",
        "puvae_response_seconds_sum 0.073",
        "puvae_response_seconds_count 2",
        "puvae_stage_seconds_bucket{stage=\"purify\",le=\"0.002\"} 2",
        "puvae_stage_seconds_count{stage=\"classify\"} 0",
        "puvae_capture_state{state=\"stopped\"} 1",
        "puvae_capture_state{state=\"running\"} 0",
        "puvae_capture_reason{reason=\"none\"} 1",
        "puvae_capture_stalls_total 0",
    ] {
        assert!(page.lines().any(|found| found == line), "`{line}` is not in:\n{page}");
    }
}

#[test]
fn every_family_is_described_once_and_before_its_samples() {
    let page = page();
    let mut described: Vec<&str> = Vec::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
            assert!(!described.contains(&name), "{name} is described twice");
            described.push(name);
        } else if !line.starts_with('#') {
            let family = described.last().expect("a sample without a family");
            assert!(line.starts_with(family), "{line} stands in the family {family}");
        }
    }
    assert!(described.len() > 20);
    let documented = include_str!("../../../docs/metrics.md");
    for name in described {
        assert!(documented.contains(&format!("| `{name}` |")), "{name} is not in docs/metrics.md");
    }
}
