use super::*;
use crate::board::Figures;
use crate::clock::SimulatedClock;
use crate::frame::FrameId;
use crate::pipeline::CaptureSnapshot;

struct Scene {
    judge: Judge,
    start: Instant,
    reading: Reading,
}

impl Scene {
    /// A run with a deadline of 33 ms that is ready.
    fn new() -> Self {
        let start = SimulatedClock::new().start();
        let mut figures = Figures::default();
        (figures.began, figures.newest_frame) = (Some(start), Some(FrameId(0)));
        let mut capture = CaptureSnapshot::default();
        (capture.state, capture.counters.captured) = (CaptureState::Running, 1);
        let deadline = Deadline::new(Duration::from_millis(33)).unwrap();
        let reading = Reading { at: start, deadline, figures, recent: Recent::default(), capture };
        let mut scene = Self { judge: Judge::default(), start, reading };
        assert_eq!(scene.at(0, |_| {}), Ok(()));
        scene
    }

    fn at(&mut self, ms: u64, change: impl FnOnce(&mut Reading)) -> Result<(), Unready> {
        self.reading.at = self.start + Duration::from_millis(ms);
        change(&mut self.reading);
        self.judge.judge(&self.reading)
    }

    fn misses(&mut self, missed: u64, decided: u64) -> Result<(), Unready> {
        self.at(0, |reading| reading.recent = Recent { decided, missed })
    }
}

#[test]
fn a_run_is_not_ready_before_its_models_are_warm() {
    let mut scene = Scene::new();
    let text = scene.at(0, |reading| reading.figures.began = None).unwrap_err().to_string();
    assert_eq!(text, "the models are not warm yet");
}

#[test]
fn a_capture_that_gives_no_frames_is_named_with_its_reason() {
    let mut scene = Scene::new();
    let mut words = |state, reason, detail: &str| {
        let change = |reading: &mut Reading| {
            reading.capture.detail = detail.into();
            (reading.capture.state, reading.capture.reason) = (state, reason);
        };
        scene.at(0, change).map_err(|why| why.to_string())
    };
    let stalled = words(CaptureState::Stalled, CaptureReason::Timeout, "");
    assert_eq!(stalled.unwrap_err(), "the capture is stalled (reason: timeout)");
    let retrying = words(CaptureState::Retrying, CaptureReason::Error, "No such device");
    assert_eq!(retrying.unwrap_err(), "the capture is retrying (reason: No such device)");
    assert_eq!(words(CaptureState::Running, CaptureReason::None, ""), Ok(()));
    assert_eq!(words(CaptureState::Stopped, CaptureReason::End, "").unwrap_err(), "the source has ended");
}

#[test]
fn frames_without_a_verdict_are_noticed_after_ten_deadlines_or_a_second() {
    let mut scene = Scene::new();
    let captured = |count| move |reading: &mut Reading| reading.capture.counters.captured = count;
    assert_eq!(scene.at(60_000, |_| {}), Ok(()), "nothing was captured, so there is nothing to answer");
    assert_eq!(scene.at(60_100, captured(2)), Ok(()));
    assert_eq!(scene.at(61_100, captured(30)), Ok(()));
    assert_eq!(scene.at(61_101, |_| {}), Err(Unready::Silent(Duration::from_secs(1))));
    let answer = |reading: &mut Reading| {
        reading.figures.verdicts += 1;
        reading.figures.newest_frame = Some(FrameId(2));
    };
    assert_eq!(scene.at(61_200, answer), Ok(()), "the frames after it are given their second, too");
    assert!(scene.at(62_201, |_| {}).is_err());
    assert_eq!(patience(Deadline::new(Duration::from_millis(250)).unwrap()), Duration::from_millis(2500));
    assert_eq!(
        Unready::Silent(Duration::from_secs(1)).to_string(),
        "frames are captured, but there was no verdict for more than 1.0s"
    );
}

#[test]
fn three_failures_in_a_row_are_too_many_until_a_frame_gets_its_verdict() {
    let mut scene = Scene::new();
    let failed = |frames| move |reading: &mut Reading| reading.figures.failed_in_row = frames;
    assert_eq!(scene.at(0, failed(2)), Ok(()));
    let text = scene.at(0, failed(3)).unwrap_err().to_string();
    assert!(text.starts_with("3 frames failed without a verdict between them"), "{text}");
    assert_eq!(scene.at(0, failed(0)), Ok(()));
}

#[test]
fn an_episode_of_misses_begins_above_a_tenth_and_ends_at_a_fiftieth() {
    let mut scene = Scene::new();
    assert_eq!(scene.misses(4, 4), Ok(()), "too few to tell");
    assert_eq!(scene.misses(30, 300), Ok(()));
    let text = scene.misses(31, 300).unwrap_err().to_string();
    assert_eq!(text, "31 of 300 frames missed in the last 10s");
    assert!(scene.misses(7, 300).is_err(), "still the same episode");
    assert_eq!(scene.misses(6, 300), Ok(()));
    assert_eq!(scene.misses(7, 300), Ok(()), "no new one");
    assert!(scene.misses(300, 300).is_err());
    assert_eq!(scene.misses(0, 0), Ok(()), "nothing is decided any more: that is for the other rules to judge");
}
