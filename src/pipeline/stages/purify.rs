//! The purify thread: picture to tensor, tensor through the purifier.

use std::ops::ControlFlow;

use super::{Captured, Cleaned, Desk, Pictures, Ticket, guard};
use crate::frame::{Frame, Pool};
use crate::latency::Stage;
use crate::ledger::{ExpiredAt, FailedAt, Fate};
use crate::pipeline::{PipelineError, contract};
use crate::preprocess::{Picture, Preprocessor};
use crate::purifier::Purifier;
use crate::queue::{Receiver, Sender};

pub(in crate::pipeline) struct Purify {
    pub(in crate::pipeline) desk: Desk,
    pub(in crate::pipeline) input: Receiver<Captured>,
    pub(in crate::pipeline) preprocessor: Preprocessor,
    pub(in crate::pipeline) purifier: Box<dyn Purifier>,
    /// Number of classes K of the classifier.
    pub(in crate::pipeline) classes: usize,
    pub(in crate::pipeline) pool: Pool<Pictures>,
    pub(in crate::pipeline) output: Sender<Cleaned>,
}

impl Purify {
    pub(in crate::pipeline) fn run(mut self) {
        while let Some(captured) = self.input.recv() {
            if self.one(captured).is_break() {
                break;
            }
        }
        self.desk.shut_down(self.input.close().into_iter().map(|captured| captured.ticket));
    }

    fn one(&mut self, Captured { mut ticket, frame }: Captured) -> ControlFlow<()> {
        ticket.mark(Stage::Queue, self.desk.clock.now());
        if self.desk.expired(&ticket) {
            self.desk.decide(ticket, Fate::Expired(ExpiredAt::Purify));
            return ControlFlow::Continue(());
        }
        let mut pictures = self.pool.take_or(|| Pictures::new(self.purifier.room(1)));
        if let Err(error) = self.preprocess(frame, &mut ticket, &mut pictures) {
            self.desk.fail(Some((ticket, FailedAt::Preprocess)), error);
            return ControlFlow::Break(());
        }
        if self.desk.expired(&ticket) {
            self.desk.decide(ticket, Fate::Expired(ExpiredAt::Purify));
            return ControlFlow::Continue(());
        }
        if let Err(error) = self.purify(&mut ticket, &mut pictures) {
            self.desk.fail(Some((ticket, FailedAt::Purify)), error);
            return ControlFlow::Break(());
        }
        match self.output.send(Cleaned { ticket, pictures }) {
            Ok(_) => ControlFlow::Continue(()),
            Err(closed) => {
                self.desk.shut_down([closed.item.ticket]);
                ControlFlow::Break(())
            }
        }
    }

    /// The frame's pixels go back to their pool at the end of this.
    fn preprocess(&mut self, frame: Frame, ticket: &mut Ticket, pictures: &mut Pictures) -> Result<(), PipelineError> {
        let Frame { width, height, format, ref pixels, .. } = frame;
        let tensor = pictures.input.as_slice_mut().expect("it was made in standard layout");
        let frame = ticket.id;
        guard("preprocess", Some(frame), || {
            self.preprocessor.apply(&Picture { width, height, format, pixels }, tensor)
        })?
        .map_err(|source| PipelineError::Preprocess { frame, source })?;
        ticket.mark(Stage::Preprocess, self.desk.clock.now());
        Ok(())
    }

    /// Without a defence nothing is purified: the time to hand the tensor on counts as preprocessing.
    fn purify(&mut self, ticket: &mut Ticket, pictures: &mut Pictures) -> Result<(), PipelineError> {
        let (stage, frame) = ("purify", ticket.id);
        let is_defence = self.purifier.is_defence();
        guard(stage, Some(frame), || self.purifier.purify(&[frame], pictures.input.view(), &mut pictures.purified))?
            .map_err(|source| PipelineError::Model { stage, frame, source })?;
        contract::purified(&pictures.purified, self.purifier.input(), self.classes)
            .map_err(|source| PipelineError::Contract { stage, frame, source })?;
        ticket.mark(if is_defence { Stage::Purify } else { Stage::Preprocess }, self.desk.clock.now());
        Ok(())
    }
}
