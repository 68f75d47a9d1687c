//! The pipeline from outside: the fate of every frame, step by step under a simulated clock.

#![cfg(feature = "runtime")]

mod scripted;

use puvae::frame::FrameId;
use puvae::latency::Stage;
use puvae::ledger::Ledger;
use puvae::pipeline::{Delivery, Outcome, PipelineError, PipelineFailure};
use puvae::source::Pacing;
use scripted::{Go, Next, Script, ms};

fn fates(outcomes: &[Outcome]) -> Vec<(u64, &'static str)> {
    let mut fates: Vec<_> = outcomes.iter().map(|outcome| (outcome.frame.0, outcome.fate.as_str())).collect();
    fates.sort_unstable();
    fates
}

fn failure(ended: scripted::Ended) -> (PipelineFailure, Vec<(u64, &'static str)>) {
    let failure = *ended.0.expect_err("the run fails");
    assert!(failure.summary.ledger.balances(), "{:?}", failure.summary.ledger);
    assert_eq!(failure.summary.ledger.captured, ended.1.len() as u64, "each frame reaches the sinks once");
    (failure, fates(&ended.1))
}

/// Frames 0 to 8, for every fate that a frame can meet besides being lost by a driver.
fn play_every_fate(script: &mut Script) {
    // 0 is in time.
    script.capture();
    script.purifier.pass();
    script.classifier.arrives();
    script.clock.advance(ms(30));
    script.classifier.open(Go::Pass);
    script.decided(0);
    // While 1 is being purified, 2 comes and is replaced by 3; then the purifier takes too long for both 1 and 3.
    script.capture();
    script.purifier.arrives();
    script.capture();
    script.capture();
    script.clock.advance(ms(31));
    script.purifier.open(Go::Pass);
    script.decided(3);
    // 4 is classified too slowly.
    script.capture();
    script.purifier.pass();
    script.classifier.arrives();
    script.clock.advance(ms(31));
    script.classifier.open(Go::Pass);
    script.decided(4);
    // The classifier fails on 5 while 6 waits for it, 7 is being purified and 8 waits for that.
    script.capture();
    script.purifier.pass();
    script.classifier.arrives();
    script.capture();
    script.purifier.pass();
    script.capture();
    script.purifier.arrives();
    script.capture();
    script.classifier.open(Go::Fail);
    script.decided(6);
    script.purifier.open(Go::Pass);
}

#[test]
fn every_frame_meets_the_fate_that_the_script_gives_it() {
    let mut script = Script::start();
    play_every_fate(&mut script);
    let (failure, fates) = failure(script.end());
    let expected = [
        (0, "on_time"),
        (1, "expired"),
        (2, "dropped_queue"),
        (3, "expired"),
        (4, "late"),
        (5, "failed"),
        (6, "dropped_shutdown"),
        (7, "dropped_shutdown"),
        (8, "dropped_shutdown"),
    ];
    assert_eq!(fates, expected);
    let ledger = Ledger {
        captured: 9,
        on_time: 1,
        late: 1,
        expired: 2,
        dropped_queue: 1,
        dropped_driver: 0,
        dropped_shutdown: 3,
        failed: 1,
    };
    assert_eq!(failure.summary.ledger, ledger);
    assert_eq!(failure.summary.longest_miss_run, 8);
    let text = failure.to_string();
    assert!(
        text.starts_with("the classify stage failed on frame 5: scripted.onnx: ONNX Runtime failed to run"),
        "{text}"
    );
}

#[test]
fn an_expired_frame_is_told_apart_by_the_stage_it_did_not_reach() {
    let mut script = Script::start();
    script.capture();
    script.purifier.arrives();
    script.capture();
    script.clock.advance(ms(31));
    script.purifier.open(Go::Pass);
    let (result, outcomes) = script.end();
    let latency = &result.unwrap().latency;
    assert_eq!(fates(&outcomes), [(0, "expired"), (1, "expired")]);
    assert_eq!((latency[Stage::Purify].count(), latency[Stage::Classify].count()), (1, 0));
    assert_eq!(latency[Stage::Queue].count(), 2);
    assert_eq!(latency[Stage::Response].max(), None, "no verdict, no response");
}

#[test]
fn the_times_of_a_frames_steps_add_up_to_its_response() {
    let mut script = Script::start();
    script.capture();
    script.purifier.arrives();
    script.clock.advance(ms(2));
    // Frame 1 reaches the queue 2 ms after its capture and waits there for 3 ms.
    let frame = script.frame(ms(2));
    script.give(Next::Frame(frame));
    script.source_waits();
    script.clock.advance(ms(3));
    script.purifier.open(Go::Pass);
    script.classifier.pass();
    script.decided(0);
    script.purifier.arrives();
    script.clock.advance(ms(5));
    script.purifier.open(Go::Pass);
    script.classifier.arrives();
    script.clock.advance(ms(7));
    script.classifier.open(Go::Pass);
    let (result, outcomes) = script.end();
    let summary = result.unwrap();
    assert_eq!(fates(&outcomes), [(0, "on_time"), (1, "on_time")]);
    for (stage, longest) in
        [(Stage::Capture, 2), (Stage::Queue, 3), (Stage::Purify, 5), (Stage::Classify, 7), (Stage::Response, 17)]
    {
        assert_eq!(summary.latency[stage].max(), Some(ms(longest)), "{stage:?}");
    }
    // Age: 0 → 5 until the first verdict, 5 → 17 until the second, which was 17 old.
    assert_eq!(summary.duration, ms(17));
    assert_eq!(summary.latency[Stage::Age].max(), Some(ms(17)));
    assert_eq!(summary.age_over_deadline_ratio, Some(0.0));
    let delivery = |at| Delivery { at: ms(at), response: ms(at), peak_age: ms(at) };
    assert_eq!((summary.deliveries, summary.final_age), (vec![delivery(5), delivery(17)], ms(17)));
}

#[test]
fn stopping_ends_the_capture_and_brings_what_is_in_flight_to_its_end() {
    let mut script = Script::start();
    script.capture();
    script.purifier.arrives();
    script.capture();
    script.stop.set();
    script.purifier.open(Go::Pass);
    script.classifier.pass();
    script.purifier.pass();
    script.classifier.pass();
    let (result, outcomes) = script.end();
    let summary = result.unwrap();
    assert!(summary.interrupted);
    assert_eq!(fates(&outcomes), [(0, "on_time"), (1, "on_time")]);
    assert!(summary.ledger.balances());
}

#[test]
fn an_unpaced_source_is_asked_again_only_when_the_frame_before_has_met_its_fate() {
    let mut script = Script::start_with(Pacing::Unpaced, None);
    let frame = script.frame(ms(0));
    script.give(Next::Frame(frame));
    script.purifier.pass();
    script.classifier.arrives();
    assert!(!script.source_was_asked(), "while frame 0 is being classified");
    script.classifier.open(Go::Pass);
    script.source_waits();
    script.decided(0);
    let frame = script.frame(ms(0));
    script.give(Next::Frame(frame));
    script.purifier.arrives();
    // Stopped while it waits: frame 1 is finished, and the source is not asked again.
    script.stop.set();
    script.purifier.open(Go::Pass);
    script.classifier.pass();
    script.decided(1);
    let (result, outcomes, asked) = script.end_unasked();
    assert!(!asked && result.unwrap().interrupted);
    assert_eq!(fates(&outcomes), [(0, "on_time"), (1, "on_time")]);
}

#[test]
fn an_unpaced_source_that_waits_is_released_when_a_stage_goes() {
    for go in [Go::Fail, Go::Panic] {
        let mut script = Script::start_with(Pacing::Unpaced, None);
        let frame = script.frame(ms(0));
        script.give(Next::Frame(frame));
        script.purifier.arrives();
        script.purifier.open(go);
        let (result, outcomes, asked) = script.end_unasked();
        assert_eq!(fates(&outcomes), [(0, "failed")]);
        assert!(!asked && result.unwrap_err().summary.ledger.balances());
    }
}

#[test]
fn a_stage_that_panics_is_named_with_its_frame() {
    let mut script = Script::start();
    script.capture();
    script.purifier.arrives();
    script.capture();
    script.purifier.open(Go::Panic);
    let (failure, fates) = failure(script.end());
    assert_eq!(fates, [(0, "failed"), (1, "dropped_shutdown")]);
    assert_eq!(
        failure.to_string(),
        "the purify stage panicked on frame 0: as the script says; this is a defect, please report it"
    );
}

#[test]
fn a_picture_of_the_wrong_size_fails_in_preprocessing() {
    let mut script = Script::start();
    let mut frame = script.frame(ms(0));
    frame.width = 5;
    script.give(Next::Frame(frame));
    let (failure, fates) = failure(script.end());
    assert_eq!(fates, [(0, "failed")]);
    let text = failure.to_string();
    assert!(text.starts_with("the preprocess stage failed on frame 0: a picture of 5×2 pixels"), "{text}");
}

#[test]
fn a_source_that_fails_or_panics_ends_the_run_but_what_it_gave_is_finished() {
    let lost = || Next::Error(puvae::source::SourceError::Other("the cable is out".into()));
    for (next, expected) in [
        (lost(), "the capture stage failed after frame 0: the cable is out"),
        (Next::Panic, "the capture stage panicked on frame 1: as the script says"),
    ] {
        let mut script = Script::start();
        script.capture();
        script.give(next);
        script.purifier.pass();
        script.classifier.pass();
        let (failure, fates) = failure(script.end());
        assert_eq!(fates, [(0, "on_time")]);
        assert!(failure.to_string().starts_with(expected), "{failure}");
    }
}

#[test]
fn a_source_that_leaves_a_number_out_is_refused() {
    let mut script = Script::start();
    script.frame(ms(0));
    let second = script.frame(ms(0));
    script.give(Next::Frame(second));
    let (failure, fates) = failure(script.end());
    assert!(fates.is_empty());
    assert!(failure.to_string().contains("the source gave frame number 1, expected 0"), "{failure}");
}

#[test]
fn a_sink_that_fails_ends_the_run_and_is_not_called_again() {
    let mut script = Script::start_with(Pacing::Live, Some(FrameId(0)));
    script.capture();
    script.purifier.pass();
    script.classifier.arrives();
    script.capture();
    script.purifier.arrives();
    script.classifier.open(Go::Pass);
    script.purifier.open(Go::Pass);
    script.classifier.pass();
    let (result, outcomes) = script.end();
    let failure = result.unwrap_err();
    assert_eq!(failure.to_string(), "the outcome of frame 0 could not be written: the disk is full");
    assert!(matches!(failure.cause, PipelineError::Sink { .. }));
    assert_eq!(fates(&outcomes), [(0, "on_time")]);
    assert_eq!(failure.summary.ledger, Ledger { captured: 2, on_time: 2, ..Ledger::default() });
}
