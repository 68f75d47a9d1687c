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
    /// One that is to be opened first.
    Again(Reopen),
}

/// How a reader ended. Its source is closed by then.
pub(super) enum Ending {
    /// The source has no more frames, or nobody wants them any more.
    End,
    /// The source failed, or could not be opened.
    Failed(SourceError),
    /// Something failed that opening the source again cannot mend.
    Defect(PipelineError),
}

pub(super) struct Reader {
    pub(super) opening: u64,
    pub(super) intake: SharedIntake,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: StopFlag,
    /// Since when it waits for the source; `None` while it does not, for what it waits for then is the pipeline.
    pub(super) beat: Arc<Mutex<Option<Instant>>>,
    /// For an unpaced source: when to ask it for the next frame.
    pub(super) turns: Option<Turns>,
    pub(super) endings: Sender<(u64, Ending)>,
}

impl Reader {
    pub(super) fn spawn(self, opening: Opening) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("puvae-source".into()).spawn(move || self.run(opening))
    }

    fn run(mut self, opening: Opening) {
        let ending = self.read(opening);
        // Nobody may be there any more to hear it.
        let _ = self.endings.send((self.opening, ending));
    }

    /// The source is closed at the end of this.
    fn read(&mut self, opening: Opening) -> Ending {
        let mut source = match opening {
            Opening::Open(source) => source,
            Opening::Again(reopen) => match guard("capture", None, || reopen()) {
                Ok(Ok(source)) => source,
                Ok(Err(error)) => return Ending::Failed(error),
                Err(panicked) => return Ending::Defect(panicked),
            },
        };
        loop {
            let turn = self.turns.as_mut().map(Turns::wait);
            if self.stop.is_set() {
                return Ending::End;
            }
            let expected = self.expected();
            *self.beat.lock() = Some(self.clock.now());
            let next = guard("capture", expected, || source.next(&self.stop));
            *self.beat.lock() = None;
            let next = match next {
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

    /// The number of the frame that comes next.
    fn expected(&self) -> Option<FrameId> {
        self.intake.lock().as_ref().map(|intake| FrameId(intake.captured()))
    }
}
