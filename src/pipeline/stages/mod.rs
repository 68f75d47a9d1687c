//! What the three threads have in common: a ticket for each frame, and how a stage works, decides and fails.

mod capture;
mod classify;
mod purify;
mod reader;
mod supervise;
mod turn;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

pub(super) use capture::Intake;
pub(super) use classify::Classify;
pub(super) use purify::{Forecast, Purify, Regions};
pub(super) use supervise::Supervisor;
pub(super) use turn::{Turn, Turns};

use super::error::PipelineError;
use super::outcome::{FrameTensors, Times, Verdicts};
use crate::clock::{Clock, StopFlag};
use crate::deadline::Deadline;
use crate::frame::{Capture, Frame, FrameId, Pooled, StampSource};
use crate::latency::Stage;
use crate::ledger::{DropReason, FailedAt, Fate};

/// What is known of a frame on its way, besides its pixels.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) id: FrameId,
    pub(super) captured_at: Instant,
    pub(super) stamp_source: StampSource,
    pub(super) label: Option<usize>,
    /// When the step it is in began; once its fate is decided, when that was.
    pub(super) since: Instant,
    /// Time spent in each step so far.
    pub(super) times: Times,
    /// Of a frame from an unpaced source: keeps the next one out.
    _turn: Option<Turn>,
}

impl Ticket {
    fn new(capture: Capture, label: Option<usize>, turn: Option<Turn>) -> Self {
        let Capture { id, at, stamp_source, lost: _ } = capture;
        Self { id, captured_at: at, stamp_source, label, since: at, times: Times::default(), _turn: turn }
    }

    /// The step the frame was in ends `now` and counts as `stage`.
    fn mark(&mut self, stage: Stage, now: Instant) {
        let time = now.saturating_duration_since(self.since);
        *self.times[stage as usize].get_or_insert_default() += time;
        self.since = now;
    }

    /// From capture until the end of the last step.
    fn response(&self) -> Duration {
        self.since.saturating_duration_since(self.captured_at)
    }
}

/// On the first queue.
pub(super) struct Captured {
    ticket: Ticket,
    frame: Frame,
}

/// On the second queue.
pub(super) struct Cleaned {
    ticket: Ticket,
    pictures: Pooled<FrameTensors>,
}

/// To the books.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every event is the large one, and boxing it would allocate per frame"
)]
pub(super) enum Event {
    Decided(Decided),
    /// A frame could not be worked on, as was seen then; the next one perhaps can. Its fate comes right after.
    Fault(PipelineError, Instant),
    Failed(PipelineError),
}

/// A frame has met its fate.
pub(super) struct Decided {
    pub(super) ticket: Ticket,
    pub(super) fate: Fate,
    /// Present exactly when it has a verdict; the verdict came at `ticket.since`.
    pub(super) delivered: Option<(Verdicts, Pooled<FrameTensors>)>,
}

/// What every stage has at hand.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deadline: Deadline,
    pub(super) events: SyncSender<Event>,
    /// Ends the capture: set by a failure here, or by the caller.
    pub(super) stop: StopFlag,
}

impl Desk {
    fn tell(&self, event: Event) {
        if self.events.send(event).is_err() {
            // Nobody keeps the books any more: the run has ended early.
            self.stop.set();
        }
    }

    /// A frame without a verdict meets its fate now.
    fn decide(&self, mut ticket: Ticket, fate: Fate) {
        ticket.since = self.clock.now();
        self.tell(Event::Decided(Decided { ticket, fate, delivered: None }));
    }

    fn shut_down(&self, tickets: impl IntoIterator<Item = Ticket>) {
        for ticket in tickets {
            self.decide(ticket, Fate::Dropped(DropReason::Shutdown));
        }
    }

    /// Whether the frame can no longer be on time, as of the end of its last step.
    fn expired(&self, ticket: &Ticket) -> bool {
        self.deadline.expired(ticket.captured_at, ticket.since)
    }

    /// This frame has failed, and the run goes on.
    fn fault(&self, ticket: Ticket, at: FailedAt, error: PipelineError) {
        self.tell(Event::Fault(error, self.clock.now()));
        self.decide(ticket, Fate::Failed(at));
    }

    /// As [`Desk::fault`] where only this frame is to blame; anything else ends the run.
    fn fail_or_go_on(&self, ticket: Ticket, at: FailedAt, error: PipelineError) -> ControlFlow<()> {
        if error.concerns_one_frame() {
            self.fault(ticket, at, error);
            return ControlFlow::Continue(());
        }
        self.fail(Some((ticket, at)), error);
        ControlFlow::Break(())
    }

    pub(super) fn fail(&self, failed: Option<(Ticket, FailedAt)>, error: PipelineError) {
        self.stop.set();
        if let Some((ticket, at)) = failed {
            self.decide(ticket, Fate::Failed(at));
        }
        self.tell(Event::Failed(error));
    }
}

/// Turns a panic in somebody else's code into an error that names the stage and the frame.
pub(super) fn guard<T>(
    stage: &'static str,
    frame: Option<FrameId>,
    work: impl FnOnce() -> T,
) -> Result<T, PipelineError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        PipelineError::Panicked { stage, frame, message: text.unwrap_or("no message").into() }
    })
}
