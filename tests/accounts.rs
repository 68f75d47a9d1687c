//! Whole runs under the machine's own clock and scheduler: what must hold however the threads are interleaved.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

#[path = "support/log.rs"]
mod log;

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::Log;
use ndarray::{Array2, ArrayView4};
use puvae::classifier::Classifier;
use puvae::clock::{Clock, SimulatedClock, StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::frame::{FrameId, StampSource};
use puvae::latency::Stage;
use puvae::ledger::{ExpiredAt, Fate};
use puvae::model::ModelError;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, Accuracy, Outcome, PipelineConfig, PipelineError, PipelineFailure, Summary};
use puvae::purifier::{Identity, Purified, Purifier};
use puvae::source::{self, Next, Pacing, Source, SourceError, SourceOptions};

const SHAPE: InputShape = InputShape { channels: 1, height: 6, width: 6 };

/// A frame that is nothing but this has no finite logits.
const INDIGESTIBLE: f32 = 0.125;

/// Knows where the synthetic source's bright field is: 4 classes, a grid of 2×2.
struct BrightField {
    classes: Vec<String>,
}

impl BrightField {
    fn new() -> Self {
        Self { classes: ["north-west", "north-east", "south-west", "south-east"].map(String::from).into() }
    }
}

impl Classifier for BrightField {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn classify(&mut self, frames: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError> {
        logits.fill(0.0);
        for ((n, _, y, x), value) in frames.indexed_iter() {
            logits[(n, y / 3 * 2 + x / 3)] += value;
        }
        if frames.iter().all(|&value| value == INDIGESTIBLE) {
            logits.fill(f32::INFINITY);
        }
        Ok(())
    }
}

/// A defence whose y* is always class 0 and whose distance is the frame's mean; each run takes `takes`.
struct Stub {
    clock: SimulatedClock,
    takes: Duration,
}

impl Purifier for Stub {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn room(&self, batch: usize) -> Purified {
        Purified::new(batch, SHAPE).with_selection(4)
    }

    fn purify(&mut self, _: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        self.clock.advance(self.takes);
        out.frames.assign(&frames);
        let selected = out.selected.as_mut().unwrap();
        selected.label.fill(0);
        selected.distances.fill(frames.mean().expect("a frame has pixels"));
        Ok(())
    }

    fn suspect_above(&self) -> Option<f32> {
        Some(0.0)
    }
}

/// What [`Breaking`] gets wrong.
#[derive(Clone, Copy, PartialEq)]
enum Breach {
    Purified,
    Distance,
    LabelStar,
    /// Frames in 0…255.
    Range,
    /// A possible frame from which the classifier makes logits that are not finite.
    Logits,
}

/// A defence that breaks its contract on one frame.
struct Breaking {
    breach: Breach,
    frame: FrameId,
}

impl Purifier for Breaking {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn room(&self, batch: usize) -> Purified {
        Purified::new(batch, SHAPE).with_selection(4)
    }

    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        out.frames.assign(&frames);
        let selected = out.selected.as_mut().unwrap();
        selected.label.fill(0);
        selected.distances.fill(0.0);
        if ids == [self.frame] {
            match self.breach {
                Breach::Purified => out.frames[(0, 0, 5, 5)] = f32::NAN,
                Breach::Distance => selected.distances[(0, 3)] = f32::INFINITY,
                Breach::LabelStar => selected.label[0] = 4,
                Breach::Range => out.frames.fill(255.0),
                Breach::Logits => out.frames.fill(INDIGESTIBLE),
            }
        }
        Ok(())
    }
}

/// Hands frames on, and is suspicious of what it does not measure.
struct Groundless;

impl Purifier for Groundless {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn purify(&mut self, _: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        out.frames.assign(&frames);
        Ok(())
    }

    fn suspect_above(&self) -> Option<f32> {
        Some(0.1)
    }
}

/// Every look at it takes 10 ms.
struct Ticking(SimulatedClock);

impl Clock for Ticking {
    fn now(&self) -> Instant {
        self.0.advance(Duration::from_millis(10));
        self.0.now()
    }

    fn sleep_until(&self, at: Instant, stop: &StopFlag) {
        self.0.sleep_until(at, stop);
    }
}

/// Gives frames as fast as it can, but says that it is a camera.
struct Hasty(Box<dyn Source>);

impl Source for Hasty {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        self.0.next(stop)
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

fn synthetic(frames: u64) -> Box<dyn Source> {
    synthetic_under(Arc::new(SystemClock), frames)
}

fn synthetic_under(clock: Arc<dyn Clock>, frames: u64) -> Box<dyn Source> {
    let uri = format!("synthetic:6x6?classes=4&seed=5&frames={frames}").parse().unwrap();
    source::open(&uri, &SourceOptions::default(), clock).unwrap().source
}

fn config(deadline: Duration) -> PipelineConfig {
    PipelineConfig { deadline: Deadline::new(deadline).unwrap(), ..PipelineConfig::default() }
}

fn run(
    source: Box<dyn Source>,
    purifier: Box<dyn Purifier>,
    config: &PipelineConfig,
    clock: Arc<dyn Clock>,
) -> (Result<Summary, Box<PipelineFailure>>, Vec<Outcome>) {
    let mut log = Log::default();
    let classifier = Box::new(BrightField::new());
    let result = pipeline::run(source, purifier, classifier, config, clock, &StopFlag::new(), &mut [&mut log]);
    (result, log.0)
}

fn identity() -> Box<dyn Purifier> {
    Box::new(Identity::new(SHAPE))
}

#[test]
fn a_source_that_waits_loses_nothing_and_keeps_its_order() {
    let hour = Duration::from_secs(3600);
    let (result, outcomes) = run(synthetic(500), identity(), &config(hour), Arc::new(SystemClock));
    let summary = result.unwrap();
    assert_eq!((summary.ledger.captured, summary.ledger.on_time), (500, 500));
    assert!(outcomes.iter().map(|outcome| outcome.frame.0).eq(0..500));
    let expected = Accuracy { labelled: 500, correct: 500, label_star_correct: None };
    assert_eq!(summary.accuracy, Some(expected), "the bright field tells the label");
    assert!(outcomes.iter().all(|outcome| outcome.verdict().is_some_and(|v| !v.purified && v.distance.is_none())));
    for stage in [Stage::Capture, Stage::Queue, Stage::Preprocess, Stage::Classify, Stage::Response] {
        assert_eq!(summary.latency[stage].count(), 500, "{stage:?}");
    }
    assert_eq!(summary.latency[Stage::Purify].max(), None, "without a defence nothing is purified");
    assert_eq!(summary.stamp_source, Some(StampSource::Dequeue));
    assert!(outcomes.iter().all(|outcome| outcome.stamp_source == StampSource::Dequeue));
    assert_eq!((summary.deliveries.len(), summary.deliveries_stride), (500, 1));
}

#[test]
fn the_response_of_a_source_that_waits_is_the_work_and_no_queue() {
    let clock = SimulatedClock::new();
    let takes = Duration::from_millis(20);
    let purifier = Box::new(Stub { clock: clock.clone(), takes });
    let source = synthetic_under(Arc::new(clock.clone()), 50);
    let (result, outcomes) = run(source, purifier, &config(Duration::from_millis(25)), Arc::new(clock));
    let summary = result.unwrap();
    assert_eq!((summary.ledger.captured, summary.ledger.on_time), (50, 50));
    assert!(outcomes.iter().all(|outcome| outcome.verdict().is_some_and(|verdict| verdict.response == takes)));
    assert_eq!(summary.latency[Stage::Queue].max(), Some(Duration::ZERO));
}

#[test]
fn a_frame_that_grows_too_old_in_preprocessing_is_not_purified() {
    let clock = SimulatedClock::new();
    let source = synthetic_under(Arc::new(clock.clone()), 3);
    let purifier = Box::new(Stub { clock: clock.clone(), takes: Duration::ZERO });
    // Taken over 10 ms after its capture, out of the queue after 20 ms, a tensor after 30 ms.
    let config = config(Duration::from_millis(25));
    let (result, outcomes) = run(source, purifier, &config, Arc::new(Ticking(clock)));
    let summary = result.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.fate == Fate::Expired(ExpiredAt::Purify)), "{outcomes:?}");
    assert_eq!((summary.ledger.captured, summary.ledger.expired), (3, 3));
    assert_eq!((summary.latency[Stage::Preprocess].count(), summary.latency[Stage::Purify].count()), (3, 0));
}

#[test]
fn no_verdict_is_made_of_a_value_that_is_none_and_the_run_goes_on() {
    for (breach, expected) in [
        (Breach::Purified, "the purify stage failed on frame 2: `purified` is not finite"),
        (Breach::Distance, "the purify stage failed on frame 2: `distances` is not finite"),
        (Breach::Range, "the purify stage failed on frame 2: `purified` lies in 255…255, expected 0…1"),
        (Breach::Logits, "the classify stage failed on frame 2: `logits` is not finite"),
    ] {
        let purifier = Box::new(Breaking { breach, frame: FrameId(2) });
        let (result, outcomes) = run(synthetic(5), purifier, &config(Duration::from_secs(60)), Arc::new(SystemClock));
        let faults = result.unwrap().faults.unwrap();
        assert!(faults.frames == 1 && faults.first.starts_with(expected), "{faults:?}");
        let fates: Vec<_> = outcomes.iter().map(|outcome| outcome.fate.as_str()).collect();
        assert_eq!(fates, ["on_time", "on_time", "failed", "on_time", "on_time"]);
    }
}

#[test]
fn a_class_that_does_not_exist_ends_the_run() {
    let purifier = Box::new(Breaking { breach: Breach::LabelStar, frame: FrameId(2) });
    let (result, outcomes) = run(synthetic(5), purifier, &config(Duration::from_secs(60)), Arc::new(SystemClock));
    let failure = result.unwrap_err();
    let expected = "the purify stage failed on frame 2: the purifier's class y* is 4, expected 0 to 3";
    assert!(failure.to_string().starts_with(expected), "{failure}");
    let fates: Vec<_> = outcomes.iter().map(|outcome| outcome.fate.as_str()).collect();
    assert_eq!(fates, ["on_time", "on_time", "failed"]);
}

#[test]
fn a_hasty_source_loses_frames_but_every_one_is_accounted_for_once() {
    let mut lost = 0;
    for deadline_us in [20, 100, 1_000_000] {
        let source = Box::new(Hasty(synthetic(3000)));
        let config = PipelineConfig { force: true, ..config(Duration::from_micros(deadline_us)) };
        let (result, outcomes) = run(source, identity(), &config, Arc::new(SystemClock));
        let summary = result.unwrap();
        assert!(summary.ledger.balances(), "{:?}", summary.ledger);
        let mut frames: Vec<u64> = outcomes.iter().map(|outcome| outcome.frame.0).collect();
        frames.sort_unstable();
        assert!(frames.into_iter().eq(0..3000));
        for outcome in &outcomes {
            let in_time = outcome.verdict().map(|verdict| verdict.response <= config.deadline.get());
            assert_eq!(outcome.fate.as_str() == "on_time", in_time == Some(true), "{outcome:?}");
        }
        let delivered: Vec<u64> = outcomes.iter().filter(|o| o.verdict().is_some()).map(|o| o.frame.0).collect();
        assert!(delivered.is_sorted(), "verdicts come in capture order");
        lost += summary.ledger.dropped_queue + summary.ledger.expired;
    }
    assert!(lost > 0, "nothing was lost");
}

#[test]
fn the_same_frames_get_the_same_verdicts_again() {
    let verdicts = || {
        let (_, outcomes) = run(synthetic(100), identity(), &config(Duration::from_secs(60)), Arc::new(SystemClock));
        outcomes.into_iter().map(|o| o.verdict().map(|v| (v.class, v.confidence.to_bits()))).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(), verdicts());
}

#[test]
fn a_defence_shows_in_verdicts_accuracy_suspects_and_samples() {
    let clock = SimulatedClock::new();
    let purifier = Box::new(Stub { clock: clock.clone(), takes: Duration::ZERO });
    let config = PipelineConfig { samples: 8, ..config(Duration::from_secs(1)) };
    let (result, outcomes) = run(synthetic(100), purifier, &config, Arc::new(clock));
    let summary = result.unwrap();
    let zeros = outcomes.iter().filter(|outcome| outcome.label == Some(0)).count() as u64;
    let expected = Accuracy { labelled: 100, correct: 100, label_star_correct: Some(zeros) };
    assert_eq!((summary.accuracy, summary.suspects), (Some(expected), 100));
    assert!(outcomes.iter().all(|o| o.verdict().is_some_and(|v| v.purified && v.suspect && v.label_star == Some(0))));
    assert_eq!(summary.samples.len(), 7, "one of 16 frames");
    for sample in &summary.samples {
        assert_eq!((sample.width, sample.height, sample.channels), (6, 6, 1));
        assert_eq!(sample.purified.as_deref(), Some(&sample.input[..]));
    }
}

#[test]
fn an_impossible_deadline_is_refused_before_the_first_frame_unless_forced() {
    let run_with = |force| {
        let clock = SimulatedClock::new();
        let purifier = Box::new(Stub { clock: clock.clone(), takes: Duration::from_millis(7) });
        let config = PipelineConfig { force, ..config(Duration::from_millis(5)) };
        run(synthetic(10), purifier, &config, Arc::new(clock))
    };
    let failure = run_with(false).0.unwrap_err();
    assert!(
        matches!(failure.cause, PipelineError::DeadlineImpossible { possible, .. } if possible == Duration::from_millis(7))
    );
    assert!(failure.to_string().starts_with("a deadline of 5ms is impossible on this machine"), "{failure}");
    assert_eq!((failure.summary.ledger.captured, failure.summary.warm_up.runs), (0, 10));
    let summary = run_with(true).0.unwrap();
    assert_eq!((summary.ledger.captured, summary.ledger.on_time), (10, 0));
    assert_eq!(summary.ledger.miss_ratio(), Some(1.0));
}

/// A defence that is told to stop during its first run.
struct Interrupted {
    stop: StopFlag,
    runs: u32,
}

impl Purifier for Interrupted {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn purify(&mut self, _: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        self.runs += 1;
        assert_eq!(self.runs, 1, "the warm-up goes on");
        self.stop.set();
        out.frames.assign(&frames);
        Ok(())
    }
}

#[test]
fn a_run_that_is_told_to_stop_while_it_warms_up_has_no_frame_and_is_no_failure() {
    let stop = StopFlag::new();
    let purifier = Box::new(Interrupted { stop: stop.clone(), runs: 0 });
    let (classifier, clock) = (Box::new(BrightField::new()), Arc::new(SystemClock));
    let config = config(Duration::from_nanos(1));
    let summary = pipeline::run(synthetic(10), purifier, classifier, &config, clock, &stop, &mut []).unwrap();
    assert_eq!((summary.ledger.captured, summary.warm_up.runs), (0, 0));
}

#[test]
fn models_of_different_shapes_are_refused() {
    let purifier = Box::new(Identity::new(InputShape { channels: 3, ..SHAPE }));
    let failure = run(synthetic(1), purifier, &config(Duration::from_secs(1)), Arc::new(SystemClock)).0.unwrap_err();
    assert!(failure.to_string().starts_with("the purifier returns frames of 3×6×6"), "{failure}");
    assert!(failure.to_string().contains("the classifier takes 1×6×6"), "{failure}");
}

#[test]
fn a_threshold_with_nothing_to_compare_is_refused() {
    let failure =
        run(synthetic(1), Box::new(Groundless), &config(Duration::from_secs(1)), Arc::new(SystemClock)).0.unwrap_err();
    let words = "the purifier is suspicious above 0.1, but gives neither a score nor distances to compare with that";
    assert!(failure.to_string().starts_with(words), "{failure}");
    assert_eq!(failure.summary.ledger.captured, 0);
}

#[test]
fn a_run_that_is_stopped_before_it_begins_still_has_a_summary() {
    let (stop, classifier) = (StopFlag::new(), Box::new(BrightField::new()));
    stop.set();
    let config = config(Duration::from_secs(1));
    let clock = Arc::new(SystemClock);
    let summary = pipeline::run(synthetic(10), identity(), classifier, &config, clock, &stop, &mut []).unwrap();
    assert!(summary.interrupted && summary.ledger.balances());
    assert_eq!((summary.ledger.captured, summary.ledger.miss_ratio(), summary.accuracy), (0, None, None));
}
