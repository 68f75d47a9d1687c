//! The books of a run: every fate is entered here, by one thread, in the order in which it was decided.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::deliveries::Deliveries;
use super::error::PipelineError;
use super::health::{CaptureSnapshot, CaptureState, RunHealth};
use super::outcome::{FrameTensors, Held, Outcome, Sink, Verdicts};
use super::samples::Samples;
use super::stages::{Decided, Event, Ticket, guard};
use super::summary::{Accuracy, Delivery, Faults, MAX_DELIVERIES, Summary, WarmUp};
use super::{OnUnpurified, PipelineConfig, StopFlag};
use crate::deadline::Deadline;
use crate::frame::{FrameId, StampSource};
use crate::latency::{AgeMeter, Latencies, Stage};
use crate::ledger::{Ledger, MissRuns};

/// After so long without a frame that fails the next one is news.
const CALM: Duration = Duration::from_secs(5);

pub(super) struct Books {
    deadline: Deadline,
    warm_up: WarmUp,
    start: Instant,
    /// When the newest fate was decided.
    decided: Instant,
    stamp_source: Option<StampSource>,
    ledger: Ledger,
    misses: MissRuns,
    latency: Latencies,
    age: AgeMeter,
    deliveries: Deliveries,
    accuracy: Accuracy,
    suspects: u64,
    /// Delivered frames that passed the purifier by.
    unpurified: u64,
    /// Frames that were given an older verdict again.
    held: u64,
    samples: Samples,
    on_unpurified: OnUnpurified,
    /// The newest verdicts, with their frame's number and capture.
    newest: Option<(FrameId, Instant, Verdicts)>,
    health: RunHealth,
    faults: Option<Faults>,
    /// When a frame failed last.
    failed_at: Option<Instant>,
    /// The first thing that went wrong: what follows is its consequence.
    failure: Option<PipelineError>,
    sinks_broken: bool,
}

impl Books {
    pub(super) fn new(config: &PipelineConfig, health: RunHealth, warm_up: WarmUp, start: Instant) -> Self {
        Self {
            deadline: config.deadline,
            warm_up,
            start,
            decided: start,
            stamp_source: None,
            ledger: Ledger::default(),
            misses: MissRuns::default(),
            latency: Latencies::default(),
            age: AgeMeter::new(start, config.deadline),
            deliveries: Deliveries::new(MAX_DELIVERIES),
            accuracy: Accuracy::default(),
            suspects: 0,
            unpurified: 0,
            held: 0,
            samples: Samples::new(config.samples),
            on_unpurified: config.on_unpurified,
            newest: None,
            health,
            faults: None,
            failed_at: None,
            failure: None,
            sinks_broken: false,
        }
    }

    /// Enters events until the last stage has gone; a failure in a sink sets `stop`.
    pub(super) fn keep(&mut self, events: &Receiver<Event>, sinks: &mut [&mut dyn Sink], stop: &StopFlag) {
        for sink in sinks.iter_mut() {
            if let Err(error) = guard("sink", None, || sink.begin(self.start)) {
                self.sinks_broken = true;
                self.fail(error);
                stop.set();
            }
        }
        for event in events {
            match event {
                Event::Failed(error) => self.fail(error),
                Event::Fault(error, at) => self.fault(&error, at),
                Event::Decided(decided) => {
                    let outcome = self.enter(&decided);
                    let pictures = decided.delivered.as_ref().map(|(_, pictures)| &**pictures);
                    if !self.sinks_broken
                        && let Err(error) = tell(sinks, &outcome, pictures)
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

    /// Notes that a frame has failed, and that the run goes on: one line in the log, unless one failed shortly before.
    fn fault(&mut self, error: &PipelineError, at: Instant) {
        let before = self.failed_at.replace(at);
        if before.is_none_or(|before| at.saturating_duration_since(before) >= CALM) {
            tracing::warn!("{error}");
        }
        self.faults.get_or_insert_with(|| Faults { frames: 0, first: error.to_string() }).frames += 1;
    }

    fn enter(&mut self, Decided { ticket, fate, delivered }: &Decided) -> Outcome {
        self.stamp_source.get_or_insert(ticket.stamp_source);
        self.decided = self.decided.max(ticket.since);
        self.ledger.record(*fate);
        if !self.misses.record(ticket.id, *fate) {
            self.fail(PipelineError::CountedTwice { frame: ticket.id });
        }
        for (stage, time) in Stage::ALL.into_iter().zip(ticket.times) {
            if let Some(time) = time {
                self.latency[stage].record(time);
            }
        }
        let verdicts = delivered.as_ref().map(|(verdicts, _)| verdicts.clone()).unwrap_or_default();
        let outcome = Outcome {
            frame: ticket.id,
            fate: *fate,
            captured_at: ticket.captured_at.saturating_duration_since(self.start),
            stamp_source: ticket.stamp_source,
            label: ticket.label,
            times: ticket.times,
            verdicts,
            held: self.hold(ticket.since, delivered.is_some()),
        };
        self.held += u64::from(outcome.held.is_some());
        if let Some((verdicts, pictures)) = delivered {
            self.deliver(ticket, verdicts);
            self.unpurified += u64::from(pictures.raw);
            self.samples.offer(&outcome, pictures);
        }
        outcome
    }

    /// The newest verdicts, for a frame that has none.
    fn hold(&self, now: Instant, delivered: bool) -> Option<Held> {
        let (frame, captured_at, verdicts) =
            self.newest.as_ref().filter(|_| !delivered && self.on_unpurified == OnUnpurified::Hold)?;
        let age = now.saturating_duration_since(*captured_at);
        Some(Held { frame: *frame, age, verdicts: verdicts.clone() })
    }

    fn deliver(&mut self, ticket: &Ticket, verdicts: &Verdicts) {
        let Some(verdict) = verdicts.first() else { return };
        let (at, label) = (ticket.since, ticket.label);
        self.latency[Stage::Response].record(verdict.response);
        let peak_age = self.age.delivered(at, verdict.response, &mut self.latency[Stage::Age]);
        let since_start = at.saturating_duration_since(self.start);
        self.deliveries.push(Delivery { at: since_start, response: verdict.response, peak_age });
        self.suspects += verdicts.iter().filter(|verdict| verdict.suspect).count() as u64;
        self.newest = Some((ticket.id, ticket.captured_at, verdicts.clone()));
        // A label is of the whole frame: it says nothing of several regions.
        if label.is_some() && verdicts.len() == 1 {
            self.accuracy.labelled += 1;
            self.accuracy.correct += u64::from(label == Some(verdict.class));
            if verdict.label_star.is_some() {
                *self.accuracy.label_star_correct.get_or_insert(0) += u64::from(label == verdict.label_star);
            }
        }
    }

    /// When the run was over, whatever the sinks took after that: capture had ended and every fate was decided.
    fn end(&self, capture: &CaptureSnapshot) -> Instant {
        let stopped = capture.since.filter(|_| capture.state == CaptureState::Stopped);
        stopped.map_or(self.decided, |stopped| stopped.max(self.decided))
    }

    /// The summary, and what went wrong; books that do not balance are an error too.
    pub(super) fn close(mut self, interrupted: bool) -> (Summary, Option<PipelineError>) {
        let capture = self.health.snapshot();
        let end = self.end(&capture);
        let final_age = self.age.until(end, &mut self.latency[Stage::Age]);
        self.ledger.captured = capture.counters.captured;
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
            final_age,
            accuracy: (self.accuracy.labelled > 0).then_some(self.accuracy),
            suspects: self.suspects,
            unpurified: self.unpurified,
            held: self.held,
            capture: capture.counters,
            faults: self.faults,
            samples: self.samples.into_vec(),
            interrupted,
        };
        (summary, self.failure)
    }
}

fn tell(sinks: &mut [&mut dyn Sink], outcome: &Outcome, pictures: Option<&FrameTensors>) -> Result<(), PipelineError> {
    let frame = outcome.frame;
    for sink in sinks {
        guard("sink", Some(frame), || sink.outcome(outcome, pictures))?
            .map_err(|source| PipelineError::Sink { frame, source })?;
    }
    Ok(())
}
