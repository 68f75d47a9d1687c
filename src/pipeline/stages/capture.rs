//! Where frames enter: numbered, stamped no earlier than the one before and never in the future, and counted.
//!
//! The [`Intake`] belongs to the run, the thread that waits for the driver does not: it may be left to itself, and
//! then finds the intake closed, or open for somebody else.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::{Captured, Desk, Ticket, Turn};
use crate::frame::{Capture, Frame, FrameId, StampSource};
use crate::latency::Stage;
use crate::ledger::{DropReason, FailedAt, Fate};
use crate::pipeline::PipelineError;
use crate::pipeline::health::RunHealth;
use crate::queue::Sender;
use crate::source::BrokenFrame;

/// Everything that a captured frame meets at once.
pub(in crate::pipeline) struct Intake {
    desk: Desk,
    output: Sender<Captured>,
    health: RunHealth,
    /// Frames so far, lost and broken ones among them: the next one's number.
    captured: u64,
    /// How many frames there were before the source was opened, this time.
    before: u64,
    /// Which opening of the source it takes frames from.
    opening: u64,
    /// When the newest frame was captured.
    newest: Option<Instant>,
}

/// An intake that can be closed, or given to another opening of the source, while a reader waits for a frame.
pub(super) type SharedIntake = Arc<Mutex<Option<Intake>>>;

impl Intake {
    pub(in crate::pipeline) fn new(desk: Desk, output: Sender<Captured>, health: RunHealth) -> Self {
        Self { desk, output, health, captured: 0, before: 0, opening: 0, newest: None }
    }

    /// From now on only frames of this opening are taken, which count from 0 again.
    pub(super) fn reopen(&mut self, opening: u64) {
        self.opening = opening;
        self.before = self.captured;
    }

    pub(super) fn captured(&self) -> u64 {
        self.captured
    }

    /// Whether frames of `opening` are still wanted.
    pub(super) fn wants(&self, opening: u64) -> bool {
        self.opening == opening
    }

    pub(super) fn frame(&mut self, mut frame: Frame, turn: Option<Turn>) -> Result<ControlFlow<()>, PipelineError> {
        let now = self.desk.clock.now();
        frame.capture.at = self.believable(frame.capture.at, frame.dequeued_at.min(now));
        frame.capture.id = self.number(frame.capture)?;
        self.health.frame(now);
        let mut ticket = Ticket::new(frame.capture, frame.label, turn);
        ticket.mark(Stage::Capture, frame.dequeued_at.min(now));
        ticket.mark(Stage::Decode, now);
        let (flow, replaced) = match self.output.send(Captured { ticket, frame }) {
            Ok(replaced) => (ControlFlow::Continue(()), replaced),
            Err(closed) => {
                self.desk.shut_down([closed.item.ticket]);
                (ControlFlow::Break(()), closed.replaced)
            }
        };
        if let Some(Captured { ticket, .. }) = replaced {
            self.desk.decide(ticket, Fate::Dropped(DropReason::Queue));
        }
        Ok(flow)
    }

    pub(super) fn broken(
        &mut self,
        BrokenFrame { mut capture, reason }: BrokenFrame,
        turn: Option<Turn>,
    ) -> Result<ControlFlow<()>, PipelineError> {
        let now = self.desk.clock.now();
        capture.at = self.believable(capture.at, now);
        capture.id = self.number(capture)?;
        self.health.frame(now);
        self.health.count(|counters| counters.broken += 1);
        let ticket = Ticket::new(capture, None, turn);
        self.desk.fault(ticket, FailedAt::Capture, PipelineError::Broken { frame: capture.id, reason });
        Ok(ControlFlow::Continue(()))
    }

    /// Frames that were lost and have no frame behind them.
    pub(super) fn lost(&mut self, count: u64) -> Result<ControlFlow<()>, PipelineError> {
        let now = self.desk.clock.now();
        let at = self.believable(now, now);
        self.lose(count, at, StampSource::Dequeue);
        Ok(ControlFlow::Continue(()))
    }

    fn lose(&mut self, count: u64, at: Instant, stamp_source: StampSource) {
        let first = self.count(count, count);
        for id in first..self.captured {
            let capture = Capture { id: FrameId(id), lost: 0, at, stamp_source };
            self.desk.decide(Ticket::new(capture, None, None), Fate::Dropped(DropReason::Driver));
        }
    }

    /// A stamp that lies before the frame before, or in the future, is wrong. The nearest possible one is taken, so that
    /// order is kept, no latency is negative, and a frame is rather too old than too young.
    fn believable(&mut self, stamp: Instant, latest: Instant) -> Instant {
        let possible = stamp.min(latest);
        let believed = self.newest.map_or(possible, |newest| possible.max(newest));
        if believed != stamp {
            self.health.count(|counters| counters.stamps_corrected += 1);
        }
        self.newest = Some(believed);
        believed
    }

    /// The frame's number within the run; the frames that were lost before it meet their fate here.
    fn number(&mut self, capture: Capture) -> Result<FrameId, PipelineError> {
        let Capture { id: claimed, lost, at, stamp_source } = capture;
        let expected = FrameId((self.captured - self.before).saturating_add(lost));
        if claimed != expected {
            return Err(PipelineError::FrameNumber { expected, got: claimed });
        }
        self.lose(lost, at, stamp_source);
        Ok(FrameId(self.count(1, 0)))
    }

    /// Enters new frames, `lost` ones among them, where the books find them; the first one's number.
    fn count(&mut self, frames: u64, lost: u64) -> u64 {
        let first = self.captured;
        self.captured += frames;
        self.health.count(|counters| {
            counters.captured = self.captured;
            counters.lost += lost;
        });
        first
    }
}
