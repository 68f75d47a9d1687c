//! Starts the threads, keeps the books, and says how it went.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, Scope};

use ndarray::Array2;

use super::books::Books;
use super::error::{FEWEST_CLASSES, PipelineError, PipelineFailure};
use super::health::RunHealth;
use super::outcome::{MAX_REGIONS, Sink};
use super::stages::{Classify, Desk, Forecast, Intake, Purify, Regions, Supervisor, Turns, guard};
use super::summary::{Summary, WarmUp};
use super::warm_up::{check_possible, warm_up};
use super::{OnUnpurified, PipelineConfig, StopFlag};
use crate::classifier::Classifier;
use crate::clock::Clock;
use crate::frame::Pool;
use crate::preprocess::Preprocessor;
use crate::purifier::Purifier;
use crate::queue::{self, WhenFull};
use crate::source::{Feed, Pacing};

/// Fates that may wait to be entered into the books before the stages must wait.
const EVENTS: usize = 32;

/// Plays a source through `purifier` and `classifier` until it ends, `stop` is set, or something fails.
///
/// Both models are warmed up before the first frame is asked for. `sinks` are told of every frame, on this thread.
///
/// # Errors
/// When the models do not fit together, the deadline is impossible (unless forced), or the source, a model, a
/// sink or a thread fails or panics. The failure says which stage and frame, and holds the summary so far.
pub fn run(
    feed: impl Into<Feed>,
    mut purifier: Box<dyn Purifier>,
    mut classifier: Box<dyn Classifier>,
    config: &PipelineConfig,
    clock: Arc<dyn Clock>,
    stop: &StopFlag,
    sinks: &mut [&mut dyn Sink],
) -> Result<Summary, Box<PipelineFailure>> {
    let health = RunHealth::new(config.health.clone());
    let (warmed, refusal) = guard("warm-up", None, || prepare(&mut *purifier, &mut *classifier, config, &*clock, stop))
        .unwrap_or_else(|panicked| (WarmUp::default(), Some(panicked)));
    let mut books = Books::new(config, health.clone(), warmed, clock.now());
    if let Some(refusal) = refusal {
        books.fail(refusal);
    } else {
        let (events, reports) = sync_channel(EVENTS);
        let abort = stop.child();
        let desk = Desk { clock: Arc::clone(&clock), deadline: config.deadline, events, stop: abort.clone() };
        let stages = Stages::new(desk, feed.into(), purifier, classifier, config, health, &warmed);
        thread::scope(|scope| match stages.start(scope) {
            Ok(()) => books.keep(&reports, sinks, &abort),
            Err(error) => books.fail(error),
        });
    }
    let (summary, failure) = books.close(stop.is_set());
    match failure {
        None => Ok(summary),
        Some(cause) => Err(Box::new(PipelineFailure { cause, summary })),
    }
}

/// Everything that can be found out before the first frame.
fn prepare(
    purifier: &mut dyn Purifier,
    classifier: &mut dyn Classifier,
    config: &PipelineConfig,
    clock: &dyn Clock,
    stop: &StopFlag,
) -> (WarmUp, Option<PipelineError>) {
    let shapes = (purifier.input(), classifier.input());
    if shapes.0 != shapes.1 {
        let error = PipelineError::Shapes { purifier: shapes.0, classifier: shapes.1 };
        return (WarmUp::default(), Some(error));
    }
    let classes = classifier.classes().len();
    if classes < FEWEST_CLASSES {
        return (WarmUp::default(), Some(PipelineError::TooFewClasses { got: classes }));
    }
    if let Some(threshold) = purifier.suspect_above().filter(|_| purifier.room(1).suspicion(0).is_none()) {
        return (WarmUp::default(), Some(PipelineError::NothingToSuspect { threshold }));
    }
    if config.regions.len() > MAX_REGIONS {
        return (WarmUp::default(), Some(PipelineError::TooManyRegions { got: config.regions.len() }));
    }
    match warm_up(purifier, classifier, config, clock, stop) {
        Err(error) => (WarmUp::default(), Some(error)),
        Ok(warmed) if config.force => (warmed, None),
        Ok(warmed) => (warmed, check_possible(&warmed, config.deadline).err()),
    }
}

/// The three stages with the queues between them, ready to start.
struct Stages {
    desk: Desk,
    capture: Supervisor,
    feed: Feed,
    turns: Option<Turns>,
    purify: Purify,
    classify: Classify,
}

impl Stages {
    fn new(
        desk: Desk,
        feed: Feed,
        purifier: Box<dyn Purifier>,
        classifier: Box<dyn Classifier>,
        config: &PipelineConfig,
        health: RunHealth,
        warmed: &WarmUp,
    ) -> Self {
        let (when_full, turns) = match feed.source.pacing() {
            Pacing::Live | Pacing::Paced => (WhenFull::ReplaceOldest, None),
            Pacing::Unpaced => (WhenFull::Wait, Some(Turns::new())),
        };
        let classes = classifier.classes().len();
        let (to_purify, from_capture) = queue::bounded(config.queue_capacity, when_full);
        let (to_classify, from_purify) = queue::bounded(config.purified_capacity, WhenFull::Wait);
        let classify = Classify {
            desk: desk.clone(),
            input: from_purify,
            classes,
            logits: Array2::zeros((config.regions.len().max(1), classes)),
            is_defence: purifier.is_defence(),
            suspect_above: purifier.suspect_above(),
            classifier,
        };
        let purify = Purify {
            desk: desk.clone(),
            input: from_capture,
            regions: Regions::new(config.regions.clone(), Preprocessor::new(config.prep, purifier.input())),
            shape: purifier.input(),
            is_defence: purifier.is_defence(),
            purifier,
            classes,
            pool: Pool::new(),
            output: to_classify,
            forecast: (config.on_unpurified == OnUnpurified::Flag)
                .then(|| Forecast::new(warmed.purify, warmed.classify)),
        };
        let intake = Intake::new(desk.clone(), to_purify, health.clone());
        let (reopen, pacing) = (feed.reopen.clone(), feed.source.pacing());
        let capture = Supervisor::new(desk.clone(), intake, reopen, pacing, config.patience, health);
        Self { desk, capture, feed, turns, purify, classify }
    }

    /// Starts the last stage first: if one cannot be started, those behind it find their queue without a sender and end.
    fn start<'scope>(self, scope: &'scope Scope<'scope, '_>) -> Result<(), PipelineError> {
        let Self { desk, capture, feed, turns, purify, classify } = self;
        spawn(scope, "classify", desk.clone(), move || classify.run())?;
        spawn(scope, "purify", desk.clone(), move || purify.run())?;
        spawn(scope, "capture", desk, move || capture.run(feed, turns))
    }
}

/// A panic in `work`, or in what is dropped at its end, fails the run like any other error.
fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    stage: &'static str,
    desk: Desk,
    work: impl FnOnce() + Send + 'scope,
) -> Result<(), PipelineError> {
    let work = move || guard(stage, None, work).unwrap_or_else(|panicked| desk.fail(None, panicked));
    let started: io::Result<_> = thread::Builder::new().name(format!("puvae-{stage}")).spawn_scoped(scope, work);
    started.map(drop).map_err(|source| PipelineError::Thread { stage, source })
}
