//! The capture thread: takes frames from the source and puts them into the first queue.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Captured, Desk, Ticket, Turn, Turns, guard};
use crate::frame::{Frame, FrameId};
use crate::latency::Stage;
use crate::ledger::{DropReason, Fate};
use crate::pipeline::PipelineError;
use crate::queue::Sender;
use crate::source::Source;

pub(in crate::pipeline) struct Capture {
    pub(in crate::pipeline) desk: Desk,
    pub(in crate::pipeline) source: Box<dyn Source>,
    pub(in crate::pipeline) output: Sender<Captured>,
    /// For an unpaced source: when to ask it for the next frame.
    pub(in crate::pipeline) turns: Option<Turns>,
    /// Frames so far: the left side of the ledger.
    pub(in crate::pipeline) captured: Arc<AtomicU64>,
}

impl Capture {
    pub(in crate::pipeline) fn run(mut self) {
        loop {
            let turn = self.turns.as_mut().map(Turns::wait);
            if self.desk.stop.is_set() || self.one(turn).is_break() {
                break;
            }
        }
    }

    fn one(&mut self, turn: Option<Turn>) -> ControlFlow<()> {
        let frames = self.captured.load(Ordering::Relaxed);
        let next = guard("capture", Some(FrameId(frames)), || self.source.next_frame(&self.desk.stop));
        let error = match next {
            Ok(Ok(Some(frame))) if frame.id == FrameId(frames) => return self.hand_over(frame, turn),
            Ok(Ok(Some(frame))) => PipelineError::FrameNumber { expected: FrameId(frames), got: frame.id },
            Ok(Ok(None)) => return ControlFlow::Break(()),
            Ok(Err(source)) => PipelineError::Source { frames, source },
            Err(panicked) => panicked,
        };
        self.desk.fail(None, error);
        ControlFlow::Break(())
    }

    fn hand_over(&mut self, frame: Frame, turn: Option<Turn>) -> ControlFlow<()> {
        self.captured.fetch_add(1, Ordering::Relaxed);
        let mut ticket = Ticket::new(&frame, turn);
        ticket.mark(Stage::Capture, self.desk.clock.now());
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
        flow
    }
}
