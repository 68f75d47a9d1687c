//! The books of a run: every fate is entered here, by one thread, in the order in which it was decided.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::deliveries::Deliveries;
use super::error::PipelineError;
use super::outcome::{Outcome, Sink, Verdict};
use super::samples::Samples;
use super::stages::{Decided, Event, guard};
use super::summary::{Accuracy, MAX_DELIVERIES, Summary, WarmUp};
use super::{PipelineConfig, StopFlag};
use crate::deadline::Deadline;
use crate::frame::StampSource;
use crate::latency::{AgeMeter, Latencies, Stage};
use crate::ledger::{Ledger, MissRuns};

pub(super) struct Books {
    deadline: Deadline,
    warm_up: WarmUp,
    start: Instant,
    stamp_source: Option<StampSource>,
    ledger: Ledger,
    misses: MissRuns,
    latency: Latencies,
    age: AgeMeter,
    deliveries: Deliveries,
    accuracy: Accuracy,
    suspects: u64,
    samples: Samples,
    /// The first thing that went wrong: what follows is its consequence.
    failure: Option<PipelineError>,
    sinks_broken: bool,
}

impl Books {
    pub(super) fn new(config: &PipelineConfig, warm_up: WarmUp, start: Instant) -> Self {
        Self {
            deadline: config.deadline,
            warm_up,
            start,
            stamp_source: None,
            ledger: Ledger::default(),
            misses: MissRuns::default(),
            latency: Latencies::default(),
            age: AgeMeter::new(start, config.deadline),
            deliveries: Deliveries::new(MAX_DELIVERIES),
            accuracy: Accuracy::default(),
            suspects: 0,
            samples: Samples::new(config.samples),
            failure: None,
            sinks_broken: false,
        }
    }

    /// Enters events until the last stage has gone; a failure in a sink sets `stop`.
    pub(super) fn keep(&mut self, events: &Receiver<Event>, sinks: &mut [&mut dyn Sink], stop: &StopFlag) {
        for event in events {
            match event {
                Event::Failed(error) => self.fail(error),
                Event::Decided(decided) => {
                    let outcome = self.enter(&decided);
                    if !self.sinks_broken
                        && let Err(error) = tell(sinks, &outcome)
                    {
                        self.sinks_broken = true;
                        self.fail(error);
                        stop.set();
                    }
                }
            }
        }
    }

    /// Notes that the run has failed; only the first time counts.
    pub(super) fn fail(&mut self, error: PipelineError) {
        self.failure.get_or_insert(error);
    }

    fn enter(&mut self, Decided { ticket, fate, delivered }: &Decided) -> Outcome {
        self.stamp_source.get_or_insert(ticket.stamp_source);
        self.ledger.record(*fate);
        if !self.misses.record(ticket.id, *fate) {
            self.fail(PipelineError::CountedTwice { frame: ticket.id });
        }
        for (stage, time) in Stage::ALL.into_iter().zip(ticket.spent) {
            if let Some(time) = time {
                self.latency[stage].record(time);
            }
        }
        let outcome = Outcome {
            frame: ticket.id,
            fate: *fate,
            captured_at: ticket.captured_at.saturating_duration_since(self.start),
            stamp_source: ticket.stamp_source,
            label: ticket.label,
            verdict: delivered.as_ref().map(|(verdict, _)| *verdict),
        };
        if let Some((verdict, pictures)) = delivered {
            self.deliver(ticket.since, ticket.label, verdict);
            self.samples.offer(&outcome, pictures);
        }
        outcome
    }

    fn deliver(&mut self, at: Instant, label: Option<usize>, verdict: &Verdict) {
        self.latency[Stage::Response].record(verdict.response);
        self.age.delivered(at, verdict.response, &mut self.latency[Stage::Age]);
        self.deliveries.push((at.saturating_duration_since(self.start), verdict.response));
        self.suspects += u64::from(verdict.suspect);
        if label.is_some() {
            self.accuracy.labelled += 1;
            self.accuracy.correct += u64::from(label == Some(verdict.class));
            if verdict.label_star.is_some() {
                *self.accuracy.label_star_correct.get_or_insert(0) += u64::from(label == verdict.label_star);
            }
        }
    }

    /// The summary, and what went wrong; books that do not balance are an error too.
    pub(super) fn close(mut self, captured: u64, end: Instant, interrupted: bool) -> (Summary, Option<PipelineError>) {
        self.age.until(end, &mut self.latency[Stage::Age]);
        self.ledger.captured = captured;
        if !self.ledger.balances() {
            self.failure.get_or_insert(PipelineError::LedgerUnbalanced { ledger: self.ledger });
        }
        let (deliveries, deliveries_stride) = self.deliveries.into_parts();
        let summary = Summary {
            deadline: self.deadline,
            duration: end.saturating_duration_since(self.start),
            stamp_source: self.stamp_source,
            ledger: self.ledger,
            longest_miss_run: self.misses.longest(),
            age_over_deadline_ratio: self.age.over_deadline_ratio(),
            latency: self.latency,
            warm_up: self.warm_up,
            deliveries,
            deliveries_stride,
            accuracy: (self.accuracy.labelled > 0).then_some(self.accuracy),
            suspects: self.suspects,
            samples: self.samples.into_vec(),
            interrupted,
        };
        (summary, self.failure)
    }
}

fn tell(sinks: &mut [&mut dyn Sink], outcome: &Outcome) -> Result<(), PipelineError> {
    let frame = outcome.frame;
    for sink in sinks {
        guard("sink", Some(frame), || sink.outcome(outcome))?
            .map_err(|source| PipelineError::Sink { frame, source })?;
    }
    Ok(())
}
