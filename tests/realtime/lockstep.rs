//! A pipeline in lock-step: its clock moves only while no frame is on its way, so each run is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ndarray::ArrayView4;
use puvae::clock::{Clock, SimulatedClock, StopFlag};
use puvae::deadline::Deadline;
use puvae::frame::FrameId;
use puvae::model::ModelError;
use puvae::model::spec::InputShape;
use puvae::pipeline::{
    self, CaptureHealth, CaptureState, FrameTensors, Outcome, PipelineConfig, Sink, SinkError, Summary,
};
use puvae::purifier::{Purified, Purifier};
use puvae::source::{self, Slowed, SourceOptions, SourceUri};

use crate::indifferent::Indifferent;
use crate::limit::until;

pub(crate) const SHAPE: InputShape = InputShape { channels: 1, height: 6, width: 6 };

/// A defence that takes no time and changes nothing.
pub(crate) struct Stub;

impl Purifier for Stub {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn purify(&mut self, _: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        out.frames.assign(&frames);
        Ok(())
    }
}

/// Sleeping moves the time, but only once every captured frame has met its fate.
struct LockStep {
    time: SimulatedClock,
    captured: CaptureHealth,
    decided: Arc<AtomicU64>,
}

impl Clock for LockStep {
    fn now(&self) -> Instant {
        self.time.now()
    }

    fn sleep_until(&self, at: Instant, stop: &StopFlag) {
        until("every captured frame meets its fate", || {
            self.captured.snapshot().counters.captured <= self.decided.load(Ordering::SeqCst) || stop.is_set()
        });
        self.time.sleep_until(at, stop);
    }
}

/// Keeps all outcomes.
struct Log {
    outcomes: Vec<Outcome>,
    decided: Arc<AtomicU64>,
}

impl Sink for Log {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        self.outcomes.push(outcome.clone());
        self.decided.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Plays that many frames, one each 100 ms, against a deadline of 50 ms. The outcomes come in the order of capture.
pub(crate) fn play(faults: &str, frames: u64, config: PipelineConfig) -> (Vec<Outcome>, Summary) {
    let uri: SourceUri = format!("synthetic:6x6?classes=4&seed=5&frames={frames}&faults={faults}").parse().unwrap();
    let (time, captured, decided) = (SimulatedClock::new(), CaptureHealth::default(), Arc::new(AtomicU64::new(0)));
    let clock = Arc::new(LockStep { time: time.clone(), captured: captured.clone(), decided: Arc::clone(&decided) });
    let options = SourceOptions { fps: Some(10.0), ..SourceOptions::default() };
    let feed = source::open(&uri, &options, clock.clone()).unwrap();
    let SourceUri::Synthetic(synthetic) = uri else { panic!("not synthetic") };
    let purifier = Slowed::new(Box::new(Stub), synthetic.slow(), Arc::new(time));
    let deadline = Deadline::new(Duration::from_millis(50)).unwrap();
    let config = PipelineConfig { deadline, health: captured.clone(), ..config };
    let mut log = Log { outcomes: Vec::new(), decided };
    let classifier = Indifferent::new(SHAPE, 4);
    let (stop, sinks): (_, &mut [&mut dyn Sink]) = (StopFlag::new(), &mut [&mut log]);
    let summary = pipeline::run(feed, Box::new(purifier), classifier, &config, clock, &stop, sinks).unwrap();
    assert!(summary.ledger.balances(), "{:?}", summary.ledger);
    assert_eq!(captured.snapshot().state, CaptureState::Stopped);
    log.outcomes.sort_by_key(|outcome| outcome.frame);
    assert!(log.outcomes.iter().map(|outcome| outcome.frame.0).eq(0..summary.ledger.captured));
    (log.outcomes, summary)
}

/// A letter for each frame's fate.
pub(crate) fn letters(outcomes: &[Outcome]) -> String {
    let letter = |outcome: &Outcome| match outcome.fate.as_str() {
        "on_time" => 'O',
        "late" => 'L',
        "expired" => 'E',
        "dropped_queue" => 'q',
        "dropped_driver" => 'd',
        "failed" => 'f',
        other => panic!("unexpected fate {other}"),
    };
    outcomes.iter().map(letter).collect()
}
