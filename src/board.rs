//! What is known of a run while it runs: one sink that counts, for whoever looks from outside ([`crate::metrics`],
//! [`crate::live`], [`crate::watchdog`]).
//!
//! The books of the pipeline belong to one thread and are closed at the end of a run; these are open all the time. Their
//! lock is held for one frame's counts, or for copying them, and by nobody else: a stuck stage, sink or camera holds none
//! of it, and a reader keeps no frame waiting. Nothing is allocated per frame.

mod buckets;
mod window;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use buckets::{Buckets, Edges};
pub use window::{Recent, WINDOW};

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::frame::FrameId;
use crate::latency::Stage;
use crate::ledger::{Fate, MissRuns};
use crate::pipeline::{CaptureHealth, CaptureSnapshot, FrameTensors, Outcome, Sink, SinkError};
use window::Window;

/// Stages with a histogram: all but the age, which is no duration of a frame.
const TIMED: usize = Stage::Response as usize + 1;

/// The shared counts of a run; clones are handles on the same ones. Each may be given to the pipeline as a [`Sink`], one should.
#[derive(Clone)]
pub struct Board(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    deadline: Deadline,
    edges: Edges,
    capture: CaptureHealth,
    counts: Mutex<Counts>,
}

struct Counts {
    figures: Figures,
    misses: MissRuns,
    window: Window,
}

/// Counts over a run so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// When the models were warm and the run began.
    pub began: Option<Instant>,
    /// Frames that met each fate, in the order of [`Fate::ALL`].
    pub fates: [u64; Fate::ALL.len()],
    /// Verdicts of delivered frames, one for each region.
    pub verdicts: u64,
    /// Of these, how many were suspect.
    pub suspects: u64,
    /// Delivered frames that were classified as they came although there is a purifier.
    pub unpurified: u64,
    /// Frames that were given an older frame's verdicts.
    pub held: u64,
    /// Frames that failed since the last one that was delivered.
    pub failed_in_row: u64,
    /// The most frames in a row, in capture order, without a verdict in time.
    pub longest_miss_run: u64,
    /// The newest frame that has a verdict …
    pub newest_frame: Option<FrameId>,
    /// … and when it was captured.
    pub newest_captured_at: Option<Instant>,
    /// How long, in all, the newest verdict was older than the deadline when the next one came.
    over_deadline: Duration,
    /// When the newest verdict was entered.
    delivered_at: Option<Instant>,
    histograms: [Buckets; TIMED],
}

/// The state of a run at one moment.
#[derive(Debug, Clone)]
pub struct Reading {
    /// That moment.
    pub at: Instant,
    /// What verdicts are measured against.
    pub deadline: Deadline,
    /// What was counted.
    pub figures: Figures,
    /// The last [`WINDOW`].
    pub recent: Recent,
    /// How the capture is doing.
    pub capture: CaptureSnapshot,
}

impl Board {
    /// An empty board; `capture` is the handle that the pipeline updates.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, deadline: Deadline, capture: CaptureHealth) -> Self {
        let window = Window::new(clock.now());
        let counts = Mutex::new(Counts { figures: Figures::default(), misses: MissRuns::default(), window });
        Self(Arc::new(Shared { clock, deadline, edges: Edges::around(deadline), capture, counts }))
    }

    /// The state now.
    #[must_use]
    pub fn read(&self) -> Reading {
        let shared = &*self.0;
        // The counts first: a frame is captured before its fate is decided.
        let (figures, at, recent) = {
            let counts = shared.counts.lock();
            let at = shared.clock.now();
            (counts.figures.clone(), at, counts.window.recent(at))
        };
        Reading { at, deadline: shared.deadline, figures, recent, capture: shared.capture.snapshot() }
    }

    /// The edges of its histograms.
    #[must_use]
    pub fn edges(&self) -> &Edges {
        &self.0.edges
    }

    /// The clock it reads.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.clock)
    }
}

impl Sink for Board {
    fn begin(&mut self, start: Instant) {
        self.0.counts.lock().figures.began = Some(start);
    }

    fn outcome(&mut self, outcome: &Outcome, pictures: Option<&FrameTensors>) -> Result<(), SinkError> {
        let Shared { clock, deadline, edges, counts, .. } = &*self.0;
        let now = clock.now();
        let counts = &mut *counts.lock();
        // A frame that is counted twice is the books' to complain of.
        let _ = counts.misses.record(outcome.frame, outcome.fate);
        counts.window.record(now, outcome.fate.is_miss());
        counts.figures.longest_miss_run = counts.misses.longest();
        counts.figures.enter(outcome, now, *deadline, edges);
        counts.figures.unpurified += u64::from(pictures.is_some_and(|pictures| pictures.raw));
        Ok(())
    }
}

impl Figures {
    fn enter(&mut self, outcome: &Outcome, now: Instant, deadline: Deadline, edges: &Edges) {
        self.fates[index(outcome.fate)] += 1;
        self.held += u64::from(outcome.held.is_some());
        for (histogram, time) in self.histograms.iter_mut().zip(&outcome.times) {
            if let Some(time) = time {
                histogram.record(edges, *time);
            }
        }
        for verdict in &outcome.verdicts {
            self.verdicts += 1;
            self.suspects += u64::from(verdict.suspect);
        }
        self.failed_in_row = match outcome.fate {
            Fate::OnTime | Fate::Late => 0,
            Fate::Failed(_) => self.failed_in_row + 1,
            Fate::Expired(_) | Fate::Dropped(_) => self.failed_in_row,
        };
        if let Some(response) = outcome.verdicts.iter().map(|verdict| verdict.response).max() {
            self.histograms[Stage::Response as usize].record(edges, response);
            self.over_deadline = self.over_deadline_at(now, deadline);
            self.delivered_at = Some(now);
            self.newest_frame = Some(outcome.frame);
            self.newest_captured_at = self.began.map(|began| began + outcome.captured_at);
        }
    }

    /// Frames that met this fate.
    #[must_use]
    pub fn fate(&self, fate: Fate) -> u64 {
        self.fates[index(fate)]
    }

    /// Frames whose fate is decided.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.fates.iter().sum()
    }

    /// The durations of a stage; `None` of [`Stage::Age`].
    #[must_use]
    pub fn histogram(&self, stage: Stage) -> Option<&Buckets> {
        self.histograms.get(stage as usize)
    }

    /// How long, in all, the newest verdict was older than the deadline. Before the first one it is as old as the run.
    #[must_use]
    pub fn over_deadline_at(&self, now: Instant, deadline: Deadline) -> Duration {
        let Some(began) = self.began else { return Duration::ZERO };
        let limit = self.newest_captured_at.unwrap_or(began) + deadline.get();
        self.over_deadline + now.saturating_duration_since(limit.max(self.delivered_at.unwrap_or(began)))
    }
}

impl Reading {
    /// Frames that came out of the source.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.capture.counters.captured
    }

    /// Frames whose fate is open.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.captured().saturating_sub(self.figures.decided())
    }

    /// How old the newest verdict is; `None` before the first.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.figures.newest_captured_at.map(|captured_at| self.at.saturating_duration_since(captured_at))
    }
}

fn index(fate: Fate) -> usize {
    Fate::ALL.iter().position(|other| *other == fate).expect("every fate is in the list of all")
}
