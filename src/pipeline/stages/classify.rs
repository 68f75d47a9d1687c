//! The classify thread: purified tensor to verdict.

use std::ops::ControlFlow;
use std::time::Duration;

use ndarray::Array2;

use super::{Cleaned, Decided, Desk, Event, FrameTensors, Ticket, guard};
use crate::classifier::{Classifier, top_class};
use crate::latency::Stage;
use crate::ledger::{ExpiredAt, FailedAt, Fate};
use crate::pipeline::{PipelineError, Verdict, Verdicts, contract};
use crate::queue::Receiver;

pub(in crate::pipeline) struct Classify {
    pub(in crate::pipeline) desk: Desk,
    pub(in crate::pipeline) input: Receiver<Cleaned>,
    pub(in crate::pipeline) classifier: Box<dyn Classifier>,
    /// Number of classes K.
    pub(in crate::pipeline) classes: usize,
    /// `[R, K]`, one row for each region.
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
            Ok(verdicts) => {
                let fate = if self.desk.expired(&ticket) { Fate::Late } else { Fate::OnTime };
                self.desk.tell(Event::Decided(Decided { ticket, fate, delivered: Some((verdicts, pictures)) }));
                ControlFlow::Continue(())
            }
            Err(error) => self.desk.fail_or_go_on(ticket, FailedAt::Classify, error),
        }
    }

    fn classify(&mut self, ticket: &mut Ticket, pictures: &FrameTensors) -> Result<Verdicts, PipelineError> {
        let (stage, frame) = ("classify", ticket.id);
        guard(stage, Some(frame), || self.classifier.classify(pictures.purified.frames.view(), &mut self.logits))?
            .map_err(|source| PipelineError::Model { stage, frame, source })?;
        let regions = pictures.input.dim().0;
        contract::logits(&self.logits, regions, self.classes).map_err(|source| PipelineError::Contract {
            stage,
            frame,
            source,
        })?;
        ticket.mark(Stage::Classify, self.desk.clock.now());
        let response = ticket.response();
        Ok((0..regions).map(|region| self.verdict(region, pictures, response)).collect())
    }

    fn verdict(&self, region: usize, pictures: &FrameTensors, response: Duration) -> Verdict {
        let best = top_class(self.logits.row(region));
        let (class, confidence) = best.expect("a run with a classifier of fewer than two classes is refused");
        let purified = self.is_defence && !pictures.raw;
        let result = Some(&pictures.purified).filter(|_| purified);
        let score = result.and_then(|result| result.suspicion(region));
        Verdict {
            region,
            class,
            confidence,
            purified,
            label_star: result.and_then(|result| result.label_star(region)),
            distance: result.and_then(|result| result.distance(region)),
            score,
            suspect: score.zip(self.suspect_above).is_some_and(|(score, limit)| score > limit),
            response,
        }
    }
}
