//! The classify thread: purified tensor to verdict.

use std::ops::ControlFlow;

use ndarray::Array2;

use super::{Cleaned, Decided, Desk, Event, Pictures, Ticket};
use crate::classifier::{Classifier, top_class};
use crate::latency::Stage;
use crate::ledger::{ExpiredAt, FailedAt, Fate};
use crate::pipeline::{PipelineError, Verdict};
use crate::queue::Receiver;

pub(in crate::pipeline) struct Classify {
    pub(in crate::pipeline) desk: Desk,
    pub(in crate::pipeline) input: Receiver<Cleaned>,
    pub(in crate::pipeline) classifier: Box<dyn Classifier>,
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
        if self.desk.deadline.expired(ticket.captured_at, ticket.since) {
            self.desk.decide(ticket, Fate::Expired(ExpiredAt::Classify));
            return ControlFlow::Continue(());
        }
        match self.classify(&mut ticket, &pictures) {
            Ok(verdict) => {
                let late = self.desk.deadline.expired(ticket.captured_at, ticket.since);
                let fate = if late { Fate::Late } else { Fate::OnTime };
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
        self.desk.work(
            Stage::Classify,
            ticket,
            |frame, source| PipelineError::Model { stage: "classify", frame, source },
            || self.classifier.classify(pictures.purified.frames.view(), &mut self.logits),
        )?;
        let (class, confidence) = top_class(self.logits.row(0)).ok_or(PipelineError::NoClasses { frame: ticket.id })?;
        let label_star = if self.is_defence { pictures.purified.label.first().copied() } else { None };
        let distance = label_star.and_then(|label| pictures.purified.distances.get((0, label)).copied());
        let suspect = distance.zip(self.suspect_above).is_some_and(|(distance, limit)| distance > limit);
        let (purified, response) = (self.is_defence, ticket.response());
        Ok(Verdict { class, confidence, purified, label_star, distance, suspect, response })
    }
}
