//! The thread that waits for the driver. It is expendable: nothing that the run needs is in its hands while it waits.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::Mutex;

use super::capture::SharedIntake;
use super::{Turns, guard};
use crate::clock::{Clock, StopFlag};
use crate::frame::FrameId;
use crate::pipeline::PipelineError;
use crate::source::{Next, Reopen, Source, SourceError};

/// What a reader begins with.
pub(super) enum Opening {
    /// A source that is open.
    Open(Box<dyn Source>),
    /// One that is to be opened first, after so many frames.
    Again(Reopen, u64),
}

/// How a reader ended.
pub(super) enum Ending {
    /// The source has no more frames, or nobody wants them any more.
    End,
    /// The source failed, or could not be opened.
    Failed(SourceError),
    /// Something failed that opening the source again cannot mend.
    Defect(PipelineError),
}

/// What a reader waits for.
pub(super) enum Waiting {
    /// The pipeline.
    Pipeline,
    /// That its source opens.
    Opening {
        /// Since when.
        since: Instant,
    },
    /// A frame from its source.
    Source {
        /// Since when it has not returned.
        call: Instant,
        /// Since when it has been asked, again and again perhaps, without giving anything.
        asked: Instant,
    },
    /// That its source is closed.
    Closing {
        /// Since when.
        since: Instant,
        /// How the reader ended. Whoever takes it acts on it: the reader once its source is closed, or who leaves the
        /// reader to itself before that.
        ending: Option<Ending>,
    },
}

impl Waiting {
    /// How a reader ended whose source is being closed; once.
    pub(super) fn take_ending(&mut self) -> Option<Ending> {
        match self {
            Self::Closing { ending, .. } => ending.take(),
            Self::Pipeline | Self::Opening { .. } | Self::Source { .. } => None,
        }
    }
}

pub(super) struct Reader {
    pub(super) opening: u64,
    pub(super) intake: SharedIntake,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: StopFlag,
    /// What it waits for right now.
    pub(super) waiting: Arc<Mutex<Waiting>>,
    /// For an unpaced source: when to ask it for the next frame.
    pub(super) turns: Option<Turns>,
    pub(super) endings: Sender<(u64, Ending)>,
}

impl Reader {
    pub(super) fn spawn(self, opening: Opening) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("puvae-source".into()).spawn(move || self.run(opening))
    }

    fn run(mut self, opening: Opening) {
        // Whatever panics, an ending is told: the supervisor waits for it.
        let ending =
            guard("capture", None, || self.read(opening)).unwrap_or_else(|panicked| Some(Ending::Defect(panicked)));
        if let Some(ending) = ending {
            // Nobody may be there any more to hear it.
            let _ = self.endings.send((self.opening, ending));
        }
    }

    /// The source is closed at the end of this. `None` when the reader was left to itself meanwhile.
    fn read(&mut self, opening: Opening) -> Option<Ending> {
        let mut source = match opening {
            Opening::Open(source) => source,
            Opening::Again(reopen, taken) => match reopen(taken) {
                Ok(source) => source,
                Err(error) => return Some(Ending::Failed(error)),
            },
        };
        let ending = self.read_from(&mut *source);
        *self.waiting.lock() = Waiting::Closing { since: self.clock.now(), ending: Some(ending) };
        let closed = guard("capture", None, || drop(source));
        match (closed, self.waiting.lock().take_ending()?) {
            (Err(panicked), Ending::End) => Some(Ending::Defect(panicked)),
            // What failed before it was closed counts: one that can be opened again is.
            (_, ending) => Some(ending),
        }
    }

    fn read_from(&mut self, source: &mut dyn Source) -> Ending {
        // The source has given nothing since.
        let mut asked = None;
        loop {
            let turn = self.turns.as_mut().map(Turns::wait);
            if self.stop.is_set() {
                return Ending::End;
            }
            let Some(expected) = self.expected() else { return Ending::End };
            let next = match self.ask(source, expected, &mut asked) {
                Ok(Ok(next)) => next,
                Ok(Err(error)) => return Ending::Failed(error),
                Err(panicked) => return Ending::Defect(panicked),
            };
            let mut intake = self.intake.lock();
            let Some(intake) = intake.as_mut().filter(|intake| intake.wants(self.opening)) else { return Ending::End };
            let taken = match next {
                Next::Frame(frame) => intake.frame(frame, turn),
                Next::Broken(frame) => intake.broken(frame, turn),
                Next::Lost(count) => intake.lost(count),
                Next::Nothing => Ok(ControlFlow::Continue(())),
                Next::End => return Ending::End,
            };
            match taken {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ending::End,
                Err(defect) => return Ending::Defect(defect),
            }
        }
    }

    /// Asks the source once; `asked` is when it was asked first since it gave something.
    fn ask(
        &self,
        source: &mut dyn Source,
        expected: FrameId,
        asked: &mut Option<Instant>,
    ) -> Result<Result<Next, SourceError>, PipelineError> {
        let call = self.clock.now();
        *self.waiting.lock() = Waiting::Source { call, asked: *asked.get_or_insert(call) };
        let next = guard("capture", Some(expected), || source.next(&self.stop));
        *self.waiting.lock() = Waiting::Pipeline;
        if !matches!(next, Ok(Ok(Next::Nothing))) {
            *asked = None;
        }
        next
    }

    /// The number of the frame that comes next; `None` when nobody wants it of this reader any more.
    fn expected(&self) -> Option<FrameId> {
        let intake = self.intake.lock();
        intake.as_ref().filter(|intake| intake.wants(self.opening)).map(|intake| FrameId(intake.captured()))
    }
}
