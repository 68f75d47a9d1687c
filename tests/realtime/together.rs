//! Several runs at a time with one configuration: each has its own frames and its own books.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::indifferent::Indifferent;
use crate::limit::until;
use crate::lockstep::{SHAPE, Stub};
use puvae::clock::{StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::pipeline::{self, CaptureState, FrameTensors, Outcome, PipelineConfig, Sink, SinkError, Summary};
use puvae::source::{self, SourceOptions};

const FRAMES: u64 = 20;

/// Lets its run go on with the next frame once the other run has come as far.
struct Abreast<'a> {
    own: &'a AtomicU64,
    other: &'a AtomicU64,
    numbers: Vec<u64>,
}

impl Sink for Abreast<'_> {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        self.numbers.push(outcome.frame.0);
        let own = self.own.fetch_add(1, Ordering::SeqCst) + 1;
        until("the other run comes as far", || self.other.load(Ordering::SeqCst) >= own);
        Ok(())
    }
}

fn play(faults: &str, config: &PipelineConfig, [own, other]: [&AtomicU64; 2]) -> Summary {
    let uri = format!("synthetic:6x6?classes=4&frames={FRAMES}{faults}").parse().unwrap();
    let (clock, stop) = (Arc::new(SystemClock), StopFlag::new());
    let feed = source::open(&uri, &SourceOptions::default(), clock.clone()).unwrap();
    let mut sink = Abreast { own, other, numbers: Vec::new() };
    let (classifier, sinks): (_, &mut [&mut dyn Sink]) = (Indifferent::new(SHAPE, 4), &mut [&mut sink]);
    let summary = pipeline::run(feed, Box::new(Stub), classifier, config, clock, &stop, sinks).unwrap();
    sink.numbers.sort_unstable();
    assert!(sink.numbers.into_iter().eq(0..FRAMES));
    summary
}

#[test]
fn two_runs_at_a_time_with_one_configuration_do_not_meet() {
    let config = PipelineConfig { deadline: Deadline::new(Duration::from_secs(3600)).unwrap(), ..Default::default() };
    let (one, other) = (AtomicU64::new(0), AtomicU64::new(0));
    let [whole, holed] = thread::scope(|scope| {
        let whole = scope.spawn(|| play("", &config, [&one, &other]));
        let holed = scope.spawn(|| play("&faults=lose@2+3,marked@9+2", &config.clone(), [&other, &one]));
        [whole, holed].map(|run| run.join().unwrap())
    });
    let counted = |summary: &Summary| (summary.capture.captured, summary.capture.lost, summary.capture.broken);
    assert_eq!((counted(&whole), counted(&holed)), ((FRAMES, 0, 0), (FRAMES, 3, 2)));
    for (summary, fates) in [(&whole, [0, 0]), (&holed, [3, 2])] {
        let ledger = summary.ledger;
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!((ledger.captured, [ledger.dropped_driver, ledger.failed]), (FRAMES, fates));
    }
    let shown = config.health.snapshot();
    assert_eq!(shown.state, CaptureState::Stopped);
    assert!([whole, holed].iter().any(|run| run.capture == shown.counters), "one of the two is shown, whole");
}
