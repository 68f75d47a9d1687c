//! A reader that was left to itself, and a source that takes long to open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::indifferent::Indifferent;
use crate::limit::{LIMIT, until};
use crate::lockstep::{SHAPE, Stub};
use parking_lot::Mutex;
use puvae::clock::{Clock, SimulatedClock, StopFlag};
use puvae::deadline::Deadline;
use puvae::frame::{Capture, Frame, FrameId, PixelFormat, PooledBytes, StampSource};
use puvae::pipeline::{self, CaptureCounters, PipelineConfig};
use puvae::source::{Feed, Next, Pacing, Reopen, Source, SourceError};

/// Simulated time. It knows how often the supervisor has looked at it, and does something while the supervisor sleeps.
struct Time {
    time: SimulatedClock,
    looks: Arc<AtomicU64>,
    asleep: Box<dyn Fn() + Send + Sync>,
}

impl Clock for Time {
    fn now(&self) -> Instant {
        if thread::current().name() == Some("puvae-capture") {
            self.looks.fetch_add(1, Ordering::SeqCst);
        }
        self.time.now()
    }

    fn sleep_until(&self, at: Instant, stop: &StopFlag) {
        (self.asleep)();
        self.time.sleep_until(at, stop);
    }
}

/// Does what it is told when it is asked for the first, second … time, and when it is closed.
struct Told<N, C: FnMut()> {
    calls: u64,
    next: N,
    closed: C,
    pacing: Pacing,
}

fn told<N, C>(next: N, closed: C) -> Box<dyn Source>
where
    N: FnMut(u64) -> Result<Next, SourceError> + Send + 'static,
    C: FnMut() + Send + 'static,
{
    Box::new(Told { calls: 0, next, closed, pacing: Pacing::Live })
}

impl<N: FnMut(u64) -> Result<Next, SourceError> + Send, C: FnMut() + Send> Source for Told<N, C> {
    fn next(&mut self, _: &StopFlag) -> Result<Next, SourceError> {
        self.calls += 1;
        (self.next)(self.calls - 1)
    }

    fn pacing(&self) -> Pacing {
        self.pacing
    }
}

impl<N, C: FnMut()> Drop for Told<N, C> {
    fn drop(&mut self) {
        (self.closed)();
    }
}

fn frame(id: u64, clock: &SimulatedClock) -> Next {
    let now = clock.now();
    Next::Frame(Frame {
        capture: Capture { id: FrameId(id), lost: 0, at: now, stamp_source: StampSource::Driver },
        dequeued_at: now,
        width: SHAPE.width,
        height: SHAPE.height,
        format: PixelFormat::Gray8,
        pixels: PooledBytes::from(vec![0; SHAPE.pixels()]),
        label: None,
    })
}

/// Gives two frames.
fn two_frames(clock: &SimulatedClock) -> Box<dyn Source> {
    let clock = clock.clone();
    told(move |call| Ok(if call < 2 { frame(call, &clock) } else { Next::End }), || {})
}

/// Fails at once.
fn failing() -> Box<dyn Source> {
    told(|_| Err(SourceError::Unplugged), || {})
}

/// What happened to the capture of a run that must not fail.
fn counted(feed: Feed, clock: Time) -> CaptureCounters {
    let deadline = Deadline::new(Duration::from_secs(3600)).unwrap();
    let config = PipelineConfig { deadline, ..PipelineConfig::default() };
    let (classifier, stop) = (Indifferent::new(SHAPE, 4), StopFlag::new());
    let summary = pipeline::run(feed, Box::new(Stub), classifier, &config, Arc::new(clock), &stop, &mut []).unwrap();
    assert!(summary.ledger.balances() && summary.ledger.captured == summary.capture.captured);
    summary.capture
}

#[test]
fn what_a_reader_brings_that_was_left_to_itself_is_not_taken_before_the_source_is_opened_again_either() {
    let ((wake, woken), (tell, heard), clock) = (channel(), channel(), SimulatedClock::new());
    let (source_clock, tell_closed) = (clock.clone(), tell.clone());
    let first = told(
        move |call| match call {
            0 => Ok(frame(0, &source_clock)),
            1 => {
                source_clock.advance(Duration::from_secs(5));
                woken.recv_timeout(LIMIT).unwrap();
                Ok(frame(1, &source_clock))
            }
            _ => {
                tell.send("asked").unwrap();
                Ok(Next::Nothing)
            }
        },
        move || {
            let _ = tell_closed.send("closed");
        },
    );
    let (heard, reopen_clock) = (Mutex::new(heard), clock.clone());
    let reopen: Reopen = Arc::new(move |taken| {
        assert_eq!(taken, 1, "what nobody takes does not count");
        Ok(two_frames(&reopen_clock))
    });
    let asleep = Box::new(move || {
        wake.send(()).unwrap();
        assert_eq!(heard.lock().recv_timeout(LIMIT), Ok("closed"), "nobody wants its frames");
    });
    let counters =
        counted(Feed { source: first, reopen: Some(reopen) }, Time { time: clock, looks: Arc::default(), asleep });
    let expected = CaptureCounters { captured: 3, abandoned: 1, recovered: 1, ..CaptureCounters::default() };
    assert_eq!(counters, expected);
}

#[test]
fn a_source_that_says_again_and_again_that_there_is_nothing_is_stalled_but_not_left_to_itself() {
    let (clock, looks) = (SimulatedClock::new(), Arc::<AtomicU64>::default());
    let (source_clock, source_looks) = (clock.clone(), Arc::clone(&looks));
    let silent = move |call| {
        source_clock.advance(Duration::from_millis(500));
        let before = source_looks.load(Ordering::SeqCst);
        until("the supervisor looks", || source_looks.load(Ordering::SeqCst) >= before + 2);
        Ok(if call < 10 { Next::Nothing } else { Next::End })
    };
    let reopen: Reopen = Arc::new(|_| panic!("the source returns"));
    let feed = Feed { source: told(silent, || {}), reopen: Some(reopen) };
    let counters = counted(feed, Time { time: clock, looks, asleep: Box::new(|| {}) });
    assert_eq!(counters, CaptureCounters { stalls: 1, ..CaptureCounters::default() });
}

#[test]
fn a_source_that_takes_seconds_to_open_is_waited_for() {
    let (clock, looks, openings) = (SimulatedClock::new(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let reopen: Reopen = Arc::new({
        let (clock, looks, openings) = (clock.clone(), Arc::clone(&looks), Arc::clone(&openings));
        move |_| {
            if openings.fetch_add(1, Ordering::SeqCst) == 0 {
                clock.advance(Duration::from_secs(8));
                let before = looks.load(Ordering::SeqCst);
                until("the supervisor looks", || looks.load(Ordering::SeqCst) >= before + 2);
            }
            Ok(two_frames(&clock))
        }
    });
    let feed = Feed { source: failing(), reopen: Some(reopen) };
    let counters = counted(feed, Time { time: clock, looks, asleep: Box::new(|| {}) });
    assert_eq!((counters.captured, counters.abandoned), (2, 0));
    assert_eq!(openings.load(Ordering::SeqCst), 1);
}

/// Three were left to themselves; the fourth is waited for, whatever it takes.
#[test]
fn no_more_than_four_openings_hang_at_a_time() {
    let (clock, looks, openings) = (SimulatedClock::new(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let ended = StopFlag::new();
    let reopen: Reopen = Arc::new({
        let (clock, looks, openings, ended) = (clock.clone(), Arc::clone(&looks), Arc::clone(&openings), ended.clone());
        move |_| {
            let opening = openings.fetch_add(1, Ordering::SeqCst) + 1;
            clock.advance(Duration::from_secs(11));
            if opening < 4 {
                until("the run ends", || ended.is_set());
                return Ok(failing());
            }
            let before = looks.load(Ordering::SeqCst);
            until("the supervisor looks", || looks.load(Ordering::SeqCst) >= before + 3);
            Ok(two_frames(&clock))
        }
    });
    let feed = Feed { source: failing(), reopen: Some(reopen) };
    let counters = counted(feed, Time { time: clock, looks, asleep: Box::new(|| {}) });
    ended.set();
    assert_eq!((counters.captured, counters.abandoned, openings.load(Ordering::SeqCst)), (2, 3, 4));
}

#[test]
fn a_source_that_opens_when_nobody_waits_for_it_any_more_is_closed_without_being_asked() {
    let ((wake, woken), (tell, heard), clock) = (channel(), channel(), SimulatedClock::new());
    let (woken, heard) = (Mutex::new(Some(woken)), Arc::new(Mutex::new(heard)));
    let reopen_clock = clock.clone();
    let reopen: Reopen = Arc::new(move |_| {
        let clock = reopen_clock.clone();
        let first = woken.lock().take();
        if let Some(woken) = first {
            clock.advance(Duration::from_secs(11));
            woken.recv_timeout(LIMIT).unwrap();
            let (asked, closed) = (tell.clone(), tell.clone());
            let next = move |_| {
                asked.send("asked").unwrap();
                Ok(Next::End)
            };
            return Ok(told(next, move || closed.send("closed").unwrap()));
        }
        let (wake, heard) = (wake.clone(), Arc::clone(&heard));
        let next = move |call| {
            if call > 0 {
                return Ok(Next::End);
            }
            wake.send(()).unwrap();
            assert_eq!(heard.lock().recv_timeout(LIMIT), Ok("closed"));
            Ok(frame(0, &clock))
        };
        Ok(told(next, || {}))
    });
    let feed = Feed { source: failing(), reopen: Some(reopen) };
    let counters = counted(feed, Time { time: clock, looks: Arc::default(), asleep: Box::new(|| {}) });
    assert_eq!((counters.captured, counters.abandoned), (1, 1));
}

/// A source that gives one frame, comes to `ending`, and is not closed before `woken`; 5 seconds pass meanwhile.
fn not_closing(
    clock: &SimulatedClock,
    ending: fn() -> Result<Next, SourceError>,
    pacing: Pacing,
    woken: Receiver<()>,
) -> Box<dyn Source> {
    let (source_clock, closed_clock) = (clock.clone(), clock.clone());
    let next = move |call| if call == 0 { Ok(frame(0, &source_clock)) } else { ending() };
    let closed = move || {
        closed_clock.advance(Duration::from_secs(5));
        let _ = woken.recv_timeout(LIMIT);
    };
    Box::new(Told { calls: 0, next, closed, pacing })
}

#[test]
fn a_source_that_failed_and_is_not_closed_is_opened_again_all_the_same() {
    let ((wake, woken), clock) = (channel(), SimulatedClock::new());
    let source = not_closing(&clock, || Err(SourceError::Unplugged), Pacing::Live, woken);
    let (wake, reopen_clock) = (Mutex::new(Some(wake)), clock.clone());
    let reopen: Reopen = Arc::new(move |_| {
        drop(wake.lock().take());
        Ok(two_frames(&reopen_clock))
    });
    let feed = Feed { source, reopen: Some(reopen) };
    let counters = counted(feed, Time { time: clock, looks: Arc::default(), asleep: Box::new(|| {}) });
    let expected = CaptureCounters { captured: 3, errors: 1, abandoned: 1, recovered: 1, ..CaptureCounters::default() };
    assert_eq!(counters, expected);
}

#[test]
fn a_run_ends_whose_source_came_to_its_end_and_is_not_closed() {
    for pacing in [Pacing::Live, Pacing::Paced, Pacing::Unpaced] {
        let ((wake, woken), clock) = (channel(), SimulatedClock::new());
        let source = not_closing(&clock, || Ok(Next::End), pacing, woken);
        let counters = counted(source.into(), Time { time: clock, looks: Arc::default(), asleep: Box::new(|| {}) });
        drop(wake);
        assert_eq!(counters, CaptureCounters { captured: 1, abandoned: 1, ..CaptureCounters::default() }, "{pacing:?}");
    }
}
