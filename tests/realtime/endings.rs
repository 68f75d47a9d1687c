//! How a capture ends: sources that cannot be closed, runs that are stopped meanwhile, sinks that are late.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::capture::{joined, synthetic};
use crate::indifferent::Indifferent;
use crate::limit::{LIMIT, until};
use crate::lockstep::{SHAPE, Stub};
use puvae::clock::{Clock, SimulatedClock, StopFlag, SystemClock};
use puvae::pipeline::{
    self, CaptureHealth, CaptureReason, CaptureSnapshot, CaptureState, FrameTensors, Outcome, PipelineConfig,
    PipelineFailure, Sink, SinkError, Summary,
};
use puvae::source::{Feed, Next, Pacing, Reopen, Source, SourceError};

/// Ends or fails at once, and panics when it is closed.
struct Unclosable {
    fails: bool,
}

impl Source for Unclosable {
    fn next(&mut self, _: &StopFlag) -> Result<Next, SourceError> {
        if self.fails { Err(SourceError::Unplugged) } else { Ok(Next::End) }
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

impl Drop for Unclosable {
    fn drop(&mut self) {
        panic!("it cannot be closed");
    }
}

/// The end of a run that must not hang.
fn ended(feed: Feed) -> Result<Summary, Box<PipelineFailure>> {
    let (tell, told) = channel();
    thread::spawn(move || {
        let (classifier, clock) = (Indifferent::new(SHAPE, 4), Arc::new(SystemClock));
        let (config, stop) = (PipelineConfig::default(), StopFlag::new());
        let ended = pipeline::run(feed, Box::new(Stub), classifier, &config, clock, &stop, &mut []);
        tell.send(ended).unwrap();
    });
    told.recv_timeout(LIMIT).expect("the run ends")
}

#[test]
fn a_source_that_panics_when_it_is_closed_ends_the_run_with_an_error() {
    let source: Box<dyn Source> = Box::new(Unclosable { fails: false });
    let failure = ended(source.into()).unwrap_err();
    let words = "the capture stage panicked outside any frame: it cannot be closed";
    assert!(failure.to_string().starts_with(words) && failure.summary.ledger.balances(), "{failure}");
}

#[test]
fn a_source_that_failed_is_opened_again_even_if_it_panics_when_it_is_closed() {
    let reopen: Reopen = Arc::new(|_| Ok(synthetic(2)));
    let summary = ended(Feed { source: Box::new(Unclosable { fails: true }), reopen: Some(reopen) }).unwrap();
    assert_eq!((summary.ledger.captured, summary.capture.errors, summary.capture.recovered), (2, 1, 1));
}

/// Ends or panics when it is stopped, and then is not closed until it is released.
struct Stuck {
    panics: bool,
    asked: Sender<()>,
    release: Receiver<()>,
}

impl Source for Stuck {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        let _ = self.asked.send(());
        if self.panics {
            until("it is told to stop", || stop.is_set());
            panic!("it cannot be stopped");
        }
        Ok(if stop.is_set() { Next::End } else { Next::Nothing })
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.release.recv();
    }
}

/// The end of a run that is stopped, and what its capture came to.
fn stopped(panics: bool) -> (Result<Summary, Box<PipelineFailure>>, CaptureSnapshot) {
    let ((asked, is_asked), (_release, release)) = (channel(), channel());
    let (health, stop) = (CaptureHealth::default(), StopFlag::new());
    let running = thread::spawn({
        let (health, stop) = (health.clone(), stop.clone());
        move || {
            let config = PipelineConfig { health, ..PipelineConfig::default() };
            let source: Box<dyn Source> = Box::new(Stuck { panics, asked, release });
            let (classifier, clock) = (Indifferent::new(SHAPE, 4), Arc::new(SystemClock));
            pipeline::run(source, Box::new(Stub), classifier, &config, clock, &stop, &mut [])
        }
    });
    is_asked.recv_timeout(LIMIT).unwrap();
    stop.set();
    (joined(running), health.snapshot())
}

#[test]
fn a_source_that_is_not_closed_does_not_keep_a_run_from_ending() {
    let (ended, health) = stopped(false);
    assert!(ended.unwrap().interrupted);
    assert_eq!((health.reason, health.counters.abandoned), (CaptureReason::Timeout, 1));
}

#[test]
fn a_source_that_panicked_and_is_not_closed_ends_the_run_with_an_error() {
    let (ended, health) = stopped(true);
    let failure = ended.unwrap_err();
    assert!(failure.to_string().contains("it cannot be stopped"), "{failure}");
    assert_eq!((health.reason, health.counters.abandoned), (CaptureReason::Error, 1));
}

/// Whoever sleeps is told to stop meanwhile.
struct StopsSleepers(StopFlag);

impl Clock for StopsSleepers {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn sleep_until(&self, _: Instant, _: &StopFlag) {
        self.0.set();
    }
}

#[test]
fn a_source_is_not_opened_again_after_the_run_was_stopped() {
    let reopen: Reopen = Arc::new(|_| panic!("nobody wants it any more"));
    let feed = Feed { source: Box::new(Unplugged), reopen: Some(reopen) };
    let (health, stop) = (CaptureHealth::default(), StopFlag::new());
    let config = PipelineConfig { health: health.clone(), ..PipelineConfig::default() };
    let (classifier, clock) = (Indifferent::new(SHAPE, 4), Arc::new(StopsSleepers(stop.clone())));
    let summary = pipeline::run(feed, Box::new(Stub), classifier, &config, clock, &stop, &mut []).unwrap();
    assert!(summary.interrupted && summary.ledger.captured == 0);
    assert_eq!((health.snapshot().state, health.snapshot().reason), (CaptureState::Stopped, CaptureReason::End));
}

/// Standard input whose writer got the same signal.
struct CutOff(StopFlag);

impl Source for CutOff {
    fn next(&mut self, _: &StopFlag) -> Result<Next, SourceError> {
        self.0.set();
        Err(SourceError::StdinCutOff { frame: 0, got: 1, expected: 2 })
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

#[test]
fn a_source_that_fails_once_the_run_was_stopped_does_not_fail_the_run() {
    let (health, stop) = (CaptureHealth::default(), StopFlag::new());
    let config = PipelineConfig { health: health.clone(), ..PipelineConfig::default() };
    let source: Box<dyn Source> = Box::new(CutOff(stop.clone()));
    let (classifier, clock) = (Indifferent::new(SHAPE, 4), Arc::new(SystemClock));
    let summary = pipeline::run(source, Box::new(Stub), classifier, &config, clock, &stop, &mut []).unwrap();
    assert!(summary.interrupted && summary.ledger.balances());
    assert_eq!((health.snapshot().state, health.snapshot().reason), (CaptureState::Stopped, CaptureReason::End));
}

/// A camera that is gone.
struct Unplugged;

impl Source for Unplugged {
    fn next(&mut self, _: &StopFlag) -> Result<Next, SourceError> {
        Err(SourceError::Unplugged)
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

/// A sink that takes its time once the capture has ended.
struct Tardy {
    health: CaptureHealth,
    clock: SimulatedClock,
}

impl Sink for Tardy {
    fn outcome(&mut self, _: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        until("the capture ends", || self.health.snapshot().state == CaptureState::Stopped);
        self.clock.advance(Duration::from_secs(5));
        Ok(())
    }
}

#[test]
fn what_a_sink_takes_after_the_last_fate_is_not_in_the_runs_length() {
    let (health, clock) = (CaptureHealth::default(), SimulatedClock::new());
    let config = PipelineConfig { health: health.clone(), ..PipelineConfig::default() };
    let mut sink = Tardy { health, clock: clock.clone() };
    let (source, classifier): (Box<dyn Source>, _) = (Box::new(Live(synthetic(1))), Indifferent::new(SHAPE, 4));
    let (stop, sinks): (_, &mut [&mut dyn Sink]) = (StopFlag::new(), &mut [&mut sink]);
    let summary = pipeline::run(source, Box::new(Stub), classifier, &config, Arc::new(clock), &stop, sinks).unwrap();
    assert_eq!(summary.ledger.captured, 1);
    assert_eq!((summary.duration, summary.final_age), (Duration::ZERO, Duration::ZERO));
}

/// A file that says it is a camera.
struct Live(Box<dyn Source>);

impl Source for Live {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        self.0.next(stop)
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}
