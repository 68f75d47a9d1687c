//! The classify thread: purified tensor to verdict.

use std::ops::ControlFlow;

use ndarray::Array2;

use super::{Cleaned, Decided, Desk, Event, Pictures, Ticket, guard};
use crate::classifier::{Classifier, top_class};
use crate::latency::Stage;
use crate::ledger::{ExpiredAt, FailedAt, Fate};
use crate::pipeline::{PipelineError, Verdict, contract};
use crate::queue::Receiver;

pub(in crate::pipeline) struct Classify {
    pub(in crate::pipeline) desk: Desk,
    pub(in crate::pipeline) input: Receiver<Cleaned>,
    pub(in crate::pipeline) classifier: Box<dyn Classifier>,
    /// Number of classes K.
    pub(in crate::pipeline) classes: usize,
    /// `[1, K]`
    pub(in crate::pipeline) logits: Array2<f32>,
    /// Whether the purifier changes anything.
    pub(in crate::pipeline) is_defence: bool,
    /// The purifier's threshold.
    pub(in crate::pipeline) suspect_above: Option<f32>,
}

impl Classify {
    pub(in crate::pipeline) fn run(mut self) {
        while let Some(cleaned) = self.input.recv() {
            if self.one(cleaned).is_break() {
                break;
            }
        }
        self.desk.shut_down(self.input.close().into_iter().map(|cleaned| cleaned.ticket));
    }

    fn one(&mut self, Cleaned { mut ticket, pictures }: Cleaned) -> ControlFlow<()> {
        ticket.mark(Stage::Queue, self.desk.clock.now());
        if self.desk.expired(&ticket) {
            self.desk.decide(ticket, Fate::Expired(ExpiredAt::Classify));
            return ControlFlow::Continue(());
        }
        match self.classify(&mut ticket, &pictures) {
            Ok(verdict) => {
                let fate = if self.desk.expired(&ticket) { Fate::Late } else { Fate::OnTime };
                self.desk.tell(Event::Decided(Decided { ticket, fate, delivered: Some((verdict, pictures)) }));
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.desk.fail(Some((ticket, FailedAt::Classify)), error);
                ControlFlow::Break(())
            }
        }
    }

    fn classify(&mut self, ticket: &mut Ticket, pictures: &Pictures) -> Result<Verdict, PipelineError> {
        let (stage, frame) = ("classify", ticket.id);
        guard(stage, Some(frame), || self.classifier.classify(pictures.purified.frames.view(), &mut self.logits))?
            .map_err(|source| PipelineError::Model { stage, frame, source })?;
        contract::logits(&self.logits, self.classes).map_err(|source| PipelineError::Contract {
            stage,
            frame,
            source,
        })?;
        let (class, confidence) = top_class(&self.logits).ok_or(PipelineError::NoClasses { frame })?;
        ticket.mark(Stage::Classify, self.desk.clock.now());
        let result = &pictures.purified;
        let (label_star, distance, score) = (result.label_star(0), result.distance(0), result.suspicion(0));
        let suspect = score.zip(self.suspect_above).is_some_and(|(score, limit)| score > limit);
        let (purified, response) = (self.is_defence, ticket.response());
        Ok(Verdict { class, confidence, purified, label_star, distance, score, suspect, response })
    }
}
