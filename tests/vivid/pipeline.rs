//! Faults while frames flow, at the level of the pipeline: what the ledger says, and how long until frames come again.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use puvae::clock::{StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::frame::PixelFormat;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, CaptureHealth, CaptureSnapshot, CaptureState, PipelineConfig, Summary};
use puvae::purifier::Identity;

use crate::device::{CAMERA, Fault, Vivid, feed, now};
use crate::indifferent::Indifferent;

const SHAPE: InputShape = InputShape { channels: 1, height: 16, width: 16 };
/// A returned device gives frames within this.
const RECOVERY: Duration = Duration::from_secs(2);

/// A run that can be looked at and stopped.
struct Run {
    health: CaptureHealth,
    stop: StopFlag,
    thread: thread::JoinHandle<Summary>,
}

impl Run {
    fn start(uri: &str) -> Self {
        let (health, stop) = (CaptureHealth::default(), StopFlag::new());
        let feed = feed(uri, PixelFormat::Gray8).unwrap();
        let deadline = Deadline::new(Duration::from_secs(1)).unwrap();
        let config = PipelineConfig { deadline, force: true, health: health.clone(), ..PipelineConfig::default() };
        let thread = thread::spawn({
            let stop = stop.clone();
            move || {
                let (purifier, classifier) = (Box::new(Identity::new(SHAPE)), Indifferent::new(SHAPE, 2));
                let clock = Arc::new(SystemClock);
                pipeline::run(feed, purifier, classifier, &config, clock, &stop, &mut []).unwrap()
            }
        });
        let run = Self { health, stop, thread };
        run.until("frames come", |seen| seen.counters.captured > 10);
        run
    }

    /// Waits until the capture looks as it should, ten seconds at most; how long that took.
    fn until(&self, what: &str, is_so: impl Fn(&CaptureSnapshot) -> bool) -> Duration {
        let begun = now();
        loop {
            let seen = self.health.snapshot();
            if is_so(&seen) {
                return now() - begun;
            }
            assert!(now() - begun < Duration::from_secs(10), "never: {what}; the capture is {seen:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the run go on for a while, so that what follows is seen to work.
    fn more(&self, frames: u64) {
        let so_far = self.health.snapshot().counters.captured;
        self.until("more frames", |seen| seen.counters.captured >= so_far + frames);
    }

    /// Ends the run; whatever happened, every frame has its fate, and the end comes within two seconds.
    fn end(self) -> Summary {
        let asked = now();
        self.stop.set();
        let summary = self.thread.join().unwrap();
        let took = now() - asked;
        println!("ended in {took:?}; {:?}; {:?}", summary.ledger, summary.capture);
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert!(summary.ledger.balances());
        assert_eq!(summary.ledger.captured, summary.capture.captured);
        assert_eq!(summary.ledger.dropped_driver, summary.capture.lost);
        assert_eq!(summary.ledger.failed, summary.capture.broken);
        assert!(summary.ledger.on_time > 0);
        summary
    }
}

#[test]
#[ignore = "needs vivid"]
fn every_frame_has_a_fate() {
    let _vivid = Vivid::healthy();
    let run = Run::start(CAMERA);
    run.more(90);
    let summary = run.end();
    assert_eq!(summary.ledger.late + summary.ledger.failed, 0);
    assert_eq!((summary.capture.stalls, summary.capture.errors), (0, 0));
    assert_eq!(summary.stamp_source, Some(puvae::frame::StampSource::Driver));
}

#[test]
#[ignore = "needs vivid"]
fn what_the_driver_loses_is_dropped_by_the_driver() {
    let vivid = Vivid::healthy();
    let run = Run::start(CAMERA);
    vivid.order(Fault::Dropped, 50);
    run.more(60);
    let summary = run.end();
    assert!(summary.ledger.dropped_driver >= 10, "{}", summary.ledger.dropped_driver);
}

#[test]
#[ignore = "needs vivid"]
fn a_marked_frame_has_failed_and_the_run_goes_on() {
    let vivid = Vivid::healthy();
    let run = Run::start(CAMERA);
    vivid.order(Fault::Marked, 1);
    run.until("a broken frame", |seen| seen.counters.broken == 1);
    run.more(10);
    let summary = run.end();
    assert_eq!(summary.ledger.failed, 1);
    assert!(summary.faults.unwrap().first.contains("the driver marked the frame as faulty"));
}

#[test]
#[ignore = "needs vivid"]
fn a_stall_is_seen_and_over_without_opening_the_camera_again() {
    let vivid = Vivid::healthy();
    let run = Run::start(CAMERA);
    vivid.order(Fault::Dropped, 100);
    run.until("a stall", |seen| seen.state == CaptureState::Stalled);
    thread::sleep(Duration::from_millis(500));
    vivid.order(Fault::Dropped, 0);
    let took = run.until("running", |seen| seen.state == CaptureState::Running);
    println!("running {took:?} after the stall");
    assert!(took < RECOVERY);
    run.more(10);
    let capture = run.end().capture;
    assert_eq!((capture.stalls, capture.errors, capture.abandoned), (1, 0, 0));
    assert!(capture.lost >= 30, "{capture:?}");
}

#[test]
#[ignore = "needs vivid"]
fn frames_come_again_within_two_seconds_of_an_unplugged_cameras_return() {
    for round in 0..2 {
        let vivid = Vivid::healthy();
        let run = Run::start(CAMERA);
        vivid.order(Fault::Disconnect, 1);
        run.until("retrying", |seen| seen.state == CaptureState::Retrying);
        if round == 1 {
            // Away for a while: the device is held by its other file.
            thread::sleep(Duration::from_millis(1500));
        }
        drop(vivid);
        let took = run.until("running", |seen| seen.state == CaptureState::Running);
        println!("running {took:?} after the device's return");
        assert!(took < RECOVERY, "{took:?}");
        run.more(10);
        let capture = run.end().capture;
        assert_eq!((capture.recovered, capture.abandoned), (1, 0));
    }
}

#[test]
#[ignore = "needs vivid"]
fn a_stream_that_the_driver_ends_or_refuses_to_start_is_opened_again() {
    let vivid = Vivid::healthy();
    let run = Run::start(CAMERA);
    // The first attempt to open it again will fail, too.
    vivid.order(Fault::Start, 1);
    vivid.order(Fault::Fatal, 1);
    run.until("retrying", |seen| seen.state == CaptureState::Retrying);
    let took = run.until("running", |seen| seen.state == CaptureState::Running);
    println!("running {took:?} after the stream's end");
    assert!(took < RECOVERY, "{took:?}");
    run.more(10);
    let capture = run.end().capture;
    assert_eq!((capture.errors, capture.recovered), (2, 1));
}

#[test]
#[ignore = "needs vivid"]
fn a_camera_that_is_away_does_not_delay_the_end() {
    let vivid = Vivid::healthy();
    let run = Run::start(CAMERA);
    vivid.order(Fault::Disconnect, 1);
    run.until("retrying", |seen| seen.state == CaptureState::Retrying);
    thread::sleep(Duration::from_millis(500));
    run.end();
}

#[test]
#[ignore = "needs vivid"]
fn a_driver_that_does_not_return_is_left_to_itself_and_does_not_delay_the_end() {
    let vivid = Vivid::healthy();
    let blocking = "camera:0?size=320x180&fps=30&format=yuyv&backend=nokhwa";
    let run = Run::start(blocking);
    vivid.order(Fault::Dropped, 100);
    run.until("abandoned", |seen| seen.counters.abandoned == 1);
    // The abandoned thread returns with the next frame, and only then can the camera be opened again.
    vivid.order(Fault::Dropped, 0);
    let took = run.until("running", |seen| seen.state == CaptureState::Running);
    println!("running {took:?} after the stall");
    run.more(10);
    vivid.order(Fault::Dropped, 100);
    thread::sleep(Duration::from_millis(300));
    run.end();
    vivid.order(Fault::Dropped, 0);
    // The thread that was left behind lets go of the camera.
    thread::sleep(Duration::from_millis(300));
}
