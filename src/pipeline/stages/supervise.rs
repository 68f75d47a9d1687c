//! The capture thread: watches the thread that waits for the driver, opens a source again that has failed, and
//! leaves a reader to itself that does not come back.
//!
//! ```text
//! Supervisor ──starts──▶ Reader ──frames──▶ Intake ──▶ queue
//!     ▲  └─ closes, or gives to the next reader ──┘
//!     └─ what it waits for, how it ended ┘
//! ```

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::capture::{Intake, SharedIntake};
use super::reader::{Ending, Opening, Reader, Waiting};
use super::{Desk, Turns};
use crate::pipeline::health::{CaptureReason, CaptureState, RunHealth};
use crate::pipeline::{CapturePatience, PipelineError};
use crate::source::{Feed, OPENING_PATIENCE, Pacing, Reopen};

/// How often the reader is looked at.
const TICK: Duration = Duration::from_millis(20);
/// Looks at a reader that was told to stop before it is left to itself: one second.
const GRACE_TICKS: u32 = 50;
/// The first wait before a source is opened again; doubled each time it fails without a frame in between.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest such wait: a device that is there again gives frames within two seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Readers, those that were left to themselves among them, beside which no other is begun: a device may hang for days.
const MOST_READERS: usize = 4;
/// What is wrong with a source that has to be left to itself at the end.
const NOT_STOPPED: &str = "the source did not return when it was told to stop";

pub(in crate::pipeline) struct Supervisor {
    desk: Desk,
    patience: CapturePatience,
    health: RunHealth,
    intake: SharedIntake,
    reopen: Option<Reopen>,
    /// Only a live source can be late.
    live: bool,
    opening: u64,
    /// What the reader waits for. While that is the pipeline, nothing is the source's fault.
    waiting: Arc<Mutex<Waiting>>,
    reader: Option<JoinHandle<()>>,
    /// For readers to say how they ended, each with its opening's number.
    tell: Sender<(u64, Ending)>,
    endings: Receiver<(u64, Ending)>,
    /// Frames when the source was opened last.
    frames_before: u64,
    wait: Duration,
}

impl Supervisor {
    pub(in crate::pipeline) fn new(
        desk: Desk,
        intake: Intake,
        reopen: Option<Reopen>,
        pacing: Pacing,
        patience: CapturePatience,
        health: RunHealth,
    ) -> Self {
        let waiting = Arc::new(Mutex::new(Waiting::Pipeline));
        let (tell, endings) = channel();
        Self {
            desk,
            patience,
            health,
            intake: Arc::new(Mutex::new(Some(intake))),
            reopen,
            live: pacing == Pacing::Live,
            opening: 0,
            waiting,
            reader: None,
            tell,
            endings,
            frames_before: 0,
            wait: FIRST_WAIT,
        }
    }

    /// Runs until the source has ended, failed for good, or was told to stop.
    pub(in crate::pipeline) fn run(mut self, feed: Feed, turns: Option<Turns>) {
        self.health.start(self.desk.clock.now());
        self.begin(Opening::Open(feed.source), turns);
        let mut grace = GRACE_TICKS;
        while self.watch().is_continue() {
            if self.desk.stop.is_set() && !matches!(*self.waiting.lock(), Waiting::Pipeline) {
                if grace == 0 {
                    tracing::warn!("capture: {NOT_STOPPED}; its thread is left to itself");
                    self.abandon();
                    let ending = self.waiting.lock().take_ending();
                    match ending {
                        Some(Ending::Defect(defect)) => self.fail(defect),
                        _ => self.stopped(CaptureReason::Timeout, NOT_STOPPED),
                    }
                    break;
                }
                grace -= 1;
            }
        }
        // Behind this no reader can enter a frame any more, and the queue has its end.
        drop(self.intake.lock().take());
        if let Some(reader) = self.reader.take() {
            // It has said how it ended and closed its source, so this waits for nothing but its last instructions.
            let _ = reader.join();
        }
    }

    /// Waits for an ending, or looks after the reader; breaks once the capture is over.
    fn watch(&mut self) -> ControlFlow<()> {
        match self.endings.recv_timeout(TICK) {
            Ok((opening, ending)) if opening == self.opening => self.ended(ending),
            // From a reader that was left to itself and came back after all.
            Ok(_) => ControlFlow::Continue(()),
            // Nothing yet: a sender is kept here.
            Err(_) => self.look(),
        }
    }

    fn begin(&mut self, opening: Opening, turns: Option<Turns>) {
        let now = self.desk.clock.now();
        self.waiting = Arc::new(Mutex::new(match opening {
            Opening::Open(_) => Waiting::Source { call: now, asked: now },
            Opening::Again(..) => Waiting::Opening { since: now },
        }));
        let reader = Reader {
            opening: self.opening,
            intake: Arc::clone(&self.intake),
            clock: Arc::clone(&self.desk.clock),
            stop: self.desk.stop.clone(),
            waiting: Arc::clone(&self.waiting),
            turns,
            endings: self.tell.clone(),
        };
        match reader.spawn(opening) {
            Ok(reader) => self.reader = Some(reader),
            Err(source) => {
                let ending = Ending::Defect(PipelineError::Thread { stage: "capture", source });
                let _ = self.tell.send((self.opening, ending));
            }
        }
    }

    fn ended(&mut self, ending: Ending) -> ControlFlow<()> {
        match ending {
            Ending::End => self.over(),
            Ending::Defect(defect) => self.fail(defect),
            Ending::Failed(error) => match (self.reopen.clone(), self.desk.stop.is_set()) {
                (_, true) => {
                    tracing::warn!("capture: {error}; the run was told to stop before that");
                    self.over();
                }
                (Some(reopen), false) => {
                    self.health.count(|counters| counters.errors += 1);
                    return self.again(reopen, CaptureReason::Error, &error.to_string());
                }
                (None, false) => {
                    let frames = self.frames();
                    self.fail(PipelineError::Source { frames, source: error });
                }
            },
        }
        ControlFlow::Break(())
    }

    /// What was wrong when the run was told to stop stays known; a source that came to its end had nothing wrong with it.
    fn over(&self) {
        let detail = if self.desk.stop.is_set() { self.health.snapshot().detail } else { String::new() };
        self.stopped(CaptureReason::End, &detail);
    }

    fn fail(&mut self, error: PipelineError) {
        self.stopped(CaptureReason::Error, &error.to_string());
        self.desk.fail(None, error);
    }

    fn stopped(&self, reason: CaptureReason, detail: &str) {
        self.health.enter(CaptureState::Stopped, reason, detail, self.desk.clock.now());
    }

    /// Opens the source again after a wait; the wait is longer each time nothing came in between.
    fn again(&mut self, reopen: Reopen, reason: CaptureReason, detail: &str) -> ControlFlow<()> {
        // At once: what an abandoned reader brings during the wait is not wanted either.
        self.opening += 1;
        if let Some(intake) = self.intake.lock().as_mut() {
            intake.reopen(self.opening);
        }
        let now = self.desk.clock.now();
        if self.health.enter(CaptureState::Retrying, reason, detail, now) {
            tracing::warn!("capture: {detail}; trying to open the source again");
        }
        let frames = self.frames();
        if frames > self.frames_before {
            self.wait = FIRST_WAIT;
        }
        self.desk.clock.sleep_until(now + self.wait, &self.desk.stop);
        if self.desk.stop.is_set() {
            self.over();
            return ControlFlow::Break(());
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.frames_before = frames;
        self.begin(Opening::Again(reopen, frames), None);
        ControlFlow::Continue(())
    }

    /// Looks at the clock while the reader waits for the source: does it return, do frames come, is it closed?
    fn look(&mut self) -> ControlFlow<()> {
        if self.desk.stop.is_set() {
            return ControlFlow::Continue(());
        }
        let now = self.desk.clock.now();
        // Each reader that has not returned holds the intake, as this does.
        let may_leave = Arc::strong_count(&self.intake) <= MOST_READERS;
        if let Some(ending) = may_leave.then(|| self.not_closed(now)).flatten() {
            let patience = self.patience.abandon_after;
            tracing::warn!("capture: closing the source takes longer than {patience:?}; it is left to itself");
            self.abandon();
            return self.ended(ending);
        }
        if !self.live {
            return ControlFlow::Continue(());
        }
        let (call, patience, asked) = match *self.waiting.lock() {
            Waiting::Opening { since } => (since, OPENING_PATIENCE, None),
            Waiting::Source { call, asked } => (call, self.patience.abandon_after, Some(asked)),
            Waiting::Pipeline | Waiting::Closing { .. } => return ControlFlow::Continue(()),
        };
        let longer_than = |patience, since| now.saturating_duration_since(since) > patience;
        if may_leave
            && longer_than(patience, call)
            && let Some(reopen) = self.reopen.clone()
        {
            self.abandon();
            let detail = format!("the source has not returned for more than {patience:?} and was left to itself");
            return self.again(reopen, CaptureReason::Timeout, &detail);
        }
        if asked.is_some_and(|asked| longer_than(self.patience.stall_after, asked)) {
            self.stalled(now);
        }
        ControlFlow::Continue(())
    }

    /// How the reader ended, when closing its source takes too long.
    fn not_closed(&self, now: Instant) -> Option<Ending> {
        let mut waiting = self.waiting.lock();
        let Waiting::Closing { since, .. } = *waiting else { return None };
        let is_late = now.saturating_duration_since(since) > self.patience.abandon_after;
        is_late.then(|| waiting.take_ending()).flatten()
    }

    /// No frame for a while.
    fn stalled(&self, now: Instant) {
        if self.health.snapshot().state == CaptureState::Running {
            self.health.count(|counters| counters.stalls += 1);
            let detail = format!("no frame for more than {:?}", self.patience.stall_after);
            tracing::warn!("capture: {detail}");
            self.health.enter(CaptureState::Stalled, CaptureReason::Timeout, &detail, now);
        }
    }

    /// Leaves the reader to itself: it holds nothing, and what it still brings is not taken.
    fn abandon(&mut self) {
        self.health.count(|counters| counters.abandoned += 1);
        self.reader = None;
    }

    fn frames(&self) -> u64 {
        self.intake.lock().as_ref().map_or(0, Intake::captured)
    }
}
