//! `puvae calibrate`: the tightest deadline that this machine holds, and how sure that is.
//!
//! Frames come at a camera's rate, and nothing is refused: each frame's response is kept, and one without a verdict took
//! for ever.

mod found;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use puvae::classifier::Classifier as _;
use puvae::clock::SystemClock;
use puvae::config::{ConfigError, Settings, check_files_differ};
use puvae::latency::Stage;
use puvae::ledger::{DropReason, Fate};
use puvae::model::engine::Engine;
use puvae::pipeline::{self, FrameTensors, Outcome, PipelineConfig, Sink, SinkError, Summary};
use puvae::report::output::OutputFile;
use puvae::report::schema::Models;
use puvae::report::table;
use puvae::source::Pacing;

use self::found::Found;
use super::args::{CALIBRATION_SOURCE, CalibrateArgs};
use super::progress::FrameProgress;
use super::run::{InterruptedEarly, announce, failed_frames, open_models, patience, slowed, source_options};
use super::signals::stop_on_signals;
use super::{INTERRUPTED, complain, opening, print};

/// The fewest frames that tell anything.
const FEWEST: u64 = 100;

/// The response of each frame; `None` of one without a verdict. What was waiting when a failure ended the run tells nothing.
struct Responses(Vec<Option<Duration>>);

impl Sink for Responses {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        if outcome.fate != Fate::Dropped(DropReason::Shutdown) {
            self.0.push(outcome.verdict().map(|verdict| verdict.response));
        }
        Ok(())
    }
}

/// What the figures were measured with.
struct Setup<'a> {
    settings: &'a Settings,
    engine: &'a Engine,
    models: Models,
    /// Frames a second: those asked for, or those that came of a source with a pace of its own.
    fps: f64,
    /// What came instead, of a file that cannot be read as fast.
    slower: Option<f64>,
}

pub(super) fn run(args: &CalibrateArgs) -> anyhow::Result<ExitCode> {
    if args.frames < FEWEST {
        let expected = format!("at least {FEWEST}: fewer say nothing of 99 %");
        bail!(ConfigError::Absurd { flag: "--frames", got: args.frames.to_string(), expected });
    }
    let mut settings = args.config().check()?;
    let out = settings.json.as_deref().map(|path| OutputFile::reserve(path, "--json")).transpose()?;
    let stop = stop_on_signals()?;
    let mut engine = Engine::start(&settings.engine)?;
    check_files_differ(&[("ONNX Runtime's library", engine.library())], &settings.outputs())?;
    let (purifier, classifier, models) = open_models(&mut engine, &settings)?;
    announce(&engine);
    if args.source.is_none() {
        settings.source = format!("{CALIBRATION_SOURCE}?classes={}", classifier.classes().len()).parse()?;
    }
    let clock = Arc::new(SystemClock);
    let feed = opening::open(&settings.source, source_options(&settings, &classifier), clock.clone(), &stop)?;
    let config = PipelineConfig {
        deadline: settings.deadline,
        prep: settings.prep,
        regions: settings.regions.clone(),
        patience: patience(&settings),
        ..PipelineConfig::default()
    };
    let purifier = slowed(&settings, purifier);
    let mut progress = FrameProgress::new(feed.source.frames());
    let paced = feed.source.pacing() == Pacing::Paced;
    let mut responses = Responses(Vec::with_capacity(usize::try_from(args.frames).unwrap_or(0).min(1 << 20)));
    let sinks: &mut [&mut dyn Sink] = &mut [&mut progress, &mut responses];
    let result = pipeline::run(feed, purifier, Box::new(classifier), &config, clock, &stop, sinks);
    let (summary, failure) = match result {
        Ok(summary) => (summary, None),
        Err(failure) => (failure.summary, Some(anyhow::Error::from(failure.cause))),
    };
    let found = Found::new(responses.0, summary.ledger.failed);
    if let Err(too_few) = enough(&found, &summary) {
        return Err(failure.unwrap_or(too_few));
    }
    let failure = failure.or_else(|| failed_frames(&summary));
    let came = || table::tenths(found.frames() as f64 / summary.duration.as_secs_f64());
    let fps = settings.fps.unwrap_or_else(came);
    let lag = summary.latency[Stage::Capture].quantile(0.5).filter(|_| paced);
    let slower = lag.and_then(|lag| table::slower_than(fps, summary.ledger.captured, lag));
    let setup = Setup { settings: &settings, engine: &engine, models, fps, slower };
    tell(&found, &summary, &setup, failure, out, progress)
}

fn enough(found: &Found, summary: &Summary) -> anyhow::Result<()> {
    let frames = found.frames();
    if frames >= FEWEST as usize {
        return Ok(());
    }
    if summary.interrupted {
        bail!(InterruptedEarly(format!("after {frames} frames, expected at least {FEWEST}")));
    }
    bail!("only {frames} frames came, expected at least {FEWEST}; give a source with more");
}

/// Writes and shows what was found; a run that failed, or a frame, is an error all the same.
fn tell(
    found: &Found,
    summary: &Summary,
    setup: &Setup<'_>,
    failure: Option<anyhow::Error>,
    out: Option<OutputFile>,
    progress: FrameProgress,
) -> anyhow::Result<ExitCode> {
    // The file first: whoever reads standard output may be gone, or a terminal take nothing.
    let written =
        out.map_or(Ok(()), |out| out.write(found.json(setup, failure.as_ref())?).map_err(anyhow::Error::from));
    drop(progress);
    let shown = print(&found.table(summary, setup));
    match failure {
        Some(failure) => {
            written.unwrap_or_else(|error| complain(&format!("error: {error}\n")));
            Err(failure)
        }
        None => written.and(shown).map(|()| match summary.interrupted {
            true => ExitCode::from(INTERRUPTED),
            false => ExitCode::SUCCESS,
        }),
    }
}
