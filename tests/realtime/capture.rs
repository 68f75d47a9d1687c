//! The thread that waits for the driver is expendable.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::indifferent::Indifferent;
use crate::limit::{LIMIT, until};
use crate::lockstep::{SHAPE, Stub};
use crate::log::Log;
use ndarray::ArrayView4;
use parking_lot::Mutex;
use puvae::clock::{Clock as _, StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::frame::{Capture, FrameId, StampSource};
use puvae::model::ModelError;
use puvae::model::spec::InputShape;
use puvae::pipeline::{
    self, CaptureHealth, CapturePatience, CaptureReason, CaptureState, FrameTensors, Outcome, PipelineConfig, Sink,
    SinkError, Summary,
};
use puvae::purifier::{Purified, Purifier};
use puvae::source::{self, BrokenFrame, Feed, FrameFault, Next, Pacing, Reopen, Source, SourceError, SourceOptions};

/// Gives the frames of another source, then does not return until it is released.
struct Blocking {
    frames: Box<dyn Source>,
    blocked: Sender<()>,
    release: Receiver<()>,
}

impl Source for Blocking {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        match self.frames.next(stop)? {
            Next::End => {
                self.blocked.send(()).unwrap();
                let _ = self.release.recv();
                // What it brings then comes too late.
                synthetic(1).next(stop)
            }
            next => Ok(next),
        }
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

pub(crate) fn synthetic(frames: u64) -> Box<dyn Source> {
    let uri = format!("synthetic:6x6?classes=4&frames={frames}").parse().unwrap();
    source::open(&uri, &SourceOptions::default(), Arc::new(SystemClock)).unwrap().source
}

/// A source that blocks after so many frames; how to know that it does, and how to release it.
fn blocking(frames: u64) -> (Box<dyn Source>, Receiver<()>, Sender<()>) {
    let ((blocked, is_blocked), (go, release)) = (channel(), channel());
    (Box::new(Blocking { frames: synthetic(frames), blocked, release }), is_blocked, go)
}

/// Long enough that a reader who has something to do is not taken for one that hangs, however busy the machine is.
const ABANDON_AFTER: Duration = Duration::from_secs(1);

fn run(feed: Feed, health: &CaptureHealth, stop: &StopFlag) -> (Summary, Vec<Outcome>) {
    let config = PipelineConfig {
        deadline: Deadline::new(Duration::from_secs(3600)).unwrap(),
        patience: CapturePatience { stall_after: Duration::from_millis(300), abandon_after: ABANDON_AFTER },
        health: health.clone(),
        ..PipelineConfig::default()
    };
    let mut log = Log::default();
    let (classifier, clock) = (Indifferent::new(SHAPE, 4), Arc::new(SystemClock));
    let summary = pipeline::run(feed, Box::new(Stub), classifier, &config, clock, stop, &mut [&mut log]).unwrap();
    (summary, log.0)
}

/// What a run that must not hang comes to.
pub(crate) fn joined<T>(running: JoinHandle<T>) -> T {
    until("the run ends", || running.is_finished());
    running.join().unwrap()
}

#[test]
fn a_driver_that_does_not_return_is_left_to_itself_and_the_source_opened_again() {
    let (first, _blocked, release) = blocking(1);
    let (second, second_is_blocked, _release) = blocking(1);
    let openings = Mutex::new(vec![second]);
    let reopen: Reopen = Arc::new(move |_| openings.lock().pop().ok_or(SourceError::Unplugged));
    let (health, stop) = (CaptureHealth::default(), StopFlag::new());
    let running = thread::spawn({
        let (health, stop) = (health.clone(), stop.clone());
        move || run(Feed { source: first, reopen: Some(reopen) }, &health, &stop)
    });
    second_is_blocked.recv_timeout(LIMIT).unwrap();
    // The first one comes back while the second is in use: nobody wants its frame any more.
    drop(release);
    stop.set();
    let (summary, outcomes) = joined(running);
    assert_eq!((summary.ledger.captured, outcomes.len()), (2, 2));
    assert!(summary.interrupted && summary.ledger.balances());
    let counters = health.snapshot().counters;
    assert!(counters.abandoned >= 1 && counters.recovered == 1 && counters.captured == 2, "{counters:?}");
}

/// A sink that takes long over its first outcome.
struct Slow(Duration);

impl Sink for Slow {
    fn outcome(&mut self, _: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        thread::sleep(std::mem::take(&mut self.0));
        Ok(())
    }
}

/// Endless broken frames, each of which is told at once: they fill what waits for the sinks.
struct Broken(u64);

impl Source for Broken {
    fn next(&mut self, _: &StopFlag) -> Result<Next, SourceError> {
        self.0 += 1;
        let (id, stamp_source) = (FrameId(self.0 - 1), StampSource::Driver);
        let capture = Capture { id, lost: 0, at: SystemClock.now(), stamp_source };
        let broken = BrokenFrame { capture, reason: FrameFault::Marked };
        Ok(if self.0 > 500 { Next::End } else { Next::Broken(broken) })
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

#[test]
fn a_sink_that_is_stuck_is_not_taken_for_a_driver_that_does_not_return() {
    let reopen: Reopen = Arc::new(|_| panic!("the source is well"));
    let feed = Feed { source: Box::new(Broken(0)), reopen: Some(reopen) };
    let (health, clock) = (CaptureHealth::default(), Arc::new(SystemClock));
    let patience = CapturePatience { stall_after: ABANDON_AFTER, abandon_after: ABANDON_AFTER };
    let config = PipelineConfig { patience, health: health.clone(), ..PipelineConfig::default() };
    let mut slow = Slow(2 * ABANDON_AFTER);
    let classifier = Indifferent::new(SHAPE, 4);
    let sinks: &mut [&mut dyn Sink] = &mut [&mut slow];
    let summary = pipeline::run(feed, Box::new(Stub), classifier, &config, clock, &StopFlag::new(), sinks).unwrap();
    let counters = health.snapshot().counters;
    assert_eq!((summary.ledger.captured, counters.abandoned, counters.stalls), (500, 0, 0));
}

/// A defence that takes long over each frame, and says when it has begun one.
struct Sluggish {
    takes: Duration,
    began: Sender<FrameId>,
}

impl Purifier for Sluggish {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn room(&self, batch: usize) -> Purified {
        Stub.room(batch)
    }

    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        let _ = self.began.send(ids[0]);
        thread::sleep(self.takes);
        Stub.purify(ids, frames, out)
    }
}

#[test]
fn a_source_that_waits_for_a_slow_model_is_not_said_to_hang_when_the_run_is_stopped() {
    let (began, begins) = channel();
    let (health, stop) = (CaptureHealth::default(), StopFlag::new());
    let running = thread::spawn({
        let (health, stop) = (health.clone(), stop.clone());
        let purifier = Box::new(Sluggish { takes: Duration::from_millis(1500), began });
        move || {
            let deadline = Deadline::new(Duration::from_secs(3600)).unwrap();
            let config = PipelineConfig { deadline, health, warm_up_runs: 2, ..PipelineConfig::default() };
            let (classifier, clock) = (Indifferent::new(SHAPE, 4), Arc::new(SystemClock));
            pipeline::run(synthetic(10), purifier, classifier, &config, clock, &stop, &mut []).unwrap()
        }
    });
    // Two runs of the warm-up, then the first frame: the source waits until the model has done with it.
    for _ in 0..3 {
        begins.recv_timeout(LIMIT).unwrap();
    }
    stop.set();
    let summary = joined(running);
    assert_eq!((summary.ledger.captured, summary.ledger.on_time), (1, 1));
    let health = health.snapshot();
    assert_eq!(
        (health.state, health.reason, health.counters.abandoned),
        (CaptureState::Stopped, CaptureReason::End, 0)
    );
}

#[test]
fn a_driver_that_does_not_return_does_not_keep_a_run_from_ending() {
    let (source, is_blocked, _release) = blocking(3);
    let (health, stop) = (CaptureHealth::default(), StopFlag::new());
    let running = thread::spawn({
        let (health, stop) = (health.clone(), stop.clone());
        move || run(source.into(), &health, &stop)
    });
    is_blocked.recv_timeout(LIMIT).unwrap();
    stop.set();
    let (summary, _) = joined(running);
    assert!(summary.interrupted && summary.ledger.balances());
    let health = health.snapshot();
    assert_eq!((health.state, health.reason), (CaptureState::Stopped, CaptureReason::Timeout));
    assert_eq!((health.counters.captured, health.counters.abandoned), (3, 1));
    assert_eq!(health.detail, "the source did not return when it was told to stop");
}

#[test]
fn a_source_that_gives_no_frames_is_seen_to_be_stalled() {
    let (source, is_blocked, _release) = blocking(2);
    let (health, stop) = (CaptureHealth::default(), StopFlag::new());
    let running = thread::spawn({
        let (health, stop) = (health.clone(), stop.clone());
        move || run(source.into(), &health, &stop)
    });
    is_blocked.recv_timeout(LIMIT).unwrap();
    until("the capture is stalled", || health.snapshot().state == CaptureState::Stalled);
    let stalled = health.snapshot();
    assert_eq!((stalled.reason, stalled.counters.stalls), (CaptureReason::Timeout, 1));
    assert_eq!(stalled.detail, "no frame for more than 300ms");
    stop.set();
    joined(running);
}
