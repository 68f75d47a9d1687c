//! `puvae run`: checks everything that can be checked, runs the pipeline, and leaves the reports.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use puvae::classifier::Classifier as _;
use puvae::clock::{SystemClock, wall_time};
use puvae::config::{Config, PurifierChoice, Settings, VerdictsTo, check_files_differ};
use puvae::frame::PixelFormat;
use puvae::model::engine::Engine;
use puvae::model::file::check_pair;
use puvae::model::graph::Graph;
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::pipeline::{self, CapturePatience, PipelineConfig, Sink, StopFlag, Summary};
use puvae::purifier::{Identity, Purifier};
use puvae::report::schema::{Models, RunInfo};
use puvae::report::verdicts::VerdictLines;
use puvae::report::{Report, Surroundings, table};
use puvae::source::camera::Rate;
use puvae::source::{Pacing, Slowed, SourceOptions, SourceUri};

use super::outputs::{Outputs, verdict_lines};
use super::signals::stop_on_signals;
use super::watch::Watch;
use super::{INTERRUPTED, complain, opening, print};

/// Pictures in a report.
const SAMPLES: usize = 18;

/// There is nothing to report.
#[derive(Debug, thiserror::Error)]
#[error("interrupted {0}; nothing was written, run again")]
pub(super) struct InterruptedEarly(pub(super) String);

pub(super) fn run(config: Config) -> anyhow::Result<ExitCode> {
    let settings = config.check()?;
    let stop = stop_on_signals()?;
    let outputs = Outputs::reserve(&settings)?;
    let mut watch = Watch::start(&settings)?;
    let mut engine = Engine::start(&settings.engine)?;
    check_files_differ(&[("ONNX Runtime's library", engine.library())], &settings.outputs())?;
    let (purifier, classifier, models) = open_models(&mut engine, &settings)?;
    announce(&engine);
    let surroundings = surroundings(&settings, &engine, models);
    let (report, failure) = run_pipeline(&settings, &stop, &mut watch, purifier, classifier, surroundings)?;
    // Files first: whoever reads standard output or error may be gone, or a terminal take nothing.
    let written = outputs.write(&report);
    watch.leave_terminal();
    let shown = show(&settings, &table::render(&report));
    match failure {
        Some(failure) => {
            written.unwrap_or_else(|error| complain(&format!("error: {error}\n")));
            Err(failure)
        }
        None => written.and(shown).map(|()| match report.run.interrupted {
            true => ExitCode::from(INTERRUPTED),
            false => ExitCode::SUCCESS,
        }),
    }
}

fn show(settings: &Settings, table: &str) -> anyhow::Result<()> {
    if settings.verdicts == Some(VerdictsTo::Stdout) {
        complain(table);
        return Ok(());
    }
    print(table)
}

/// Opens both models and checks that they fit together.
pub(super) fn open_models(
    engine: &mut Engine,
    settings: &Settings,
) -> anyhow::Result<(Box<dyn Purifier>, OnnxClassifier, Models)> {
    let graph = Graph::open_expecting(engine, &settings.classifier, settings.classifier_sha256)?;
    let classifier = OnnxClassifier::from_graph(graph)?;
    let mut models = Models { purifier: None, classifier: classifier.info().clone() };
    let purifier: Box<dyn Purifier> = match &settings.purifier {
        PurifierChoice::None => Box::new(Identity::new(classifier.input())),
        PurifierChoice::File(path) => {
            let graph = Graph::open_expecting(engine, path, settings.purifier_sha256)?;
            let purifier = OnnxPurifier::from_graph(graph, settings.seed)?;
            check_pair(purifier.info(), classifier.info())?;
            models.purifier = Some(purifier.info().clone());
            Box::new(purifier)
        }
    };
    Ok((purifier, classifier, models))
}

pub(super) fn announce(engine: &Engine) {
    let provider = engine.provider();
    tracing::info!("ONNX Runtime {}", engine.library().display());
    let threads = table::threads(engine.threads().get());
    tracing::info!("provider {} ({}), {threads} for each model", provider.used, provider.reason);
}

fn surroundings(settings: &Settings, engine: &Engine, models: Models) -> Surroundings {
    let run = RunInfo {
        puvae_version: env!("CARGO_PKG_VERSION").into(),
        source: settings.source.to_string(),
        fps: settings.fps,
        live: false,
        prep: settings.prep,
        started_at: Some(humantime::format_rfc3339_seconds(wall_time()).to_string()),
        stamp_source: None,
        seed: settings.seed,
        threads: engine.threads().get(),
        onnxruntime: engine.library().display().to_string(),
        interrupted: false,
        regions: settings.regions.clone(),
        on_unpurified: settings.on_unpurified,
        failure: None,
        aborted: false,
    };
    Surroundings { provider: engine.provider().clone(), models, run }
}

/// Frames that failed without ending the run, as an error.
pub(super) fn failed_frames(summary: &Summary) -> Option<anyhow::Error> {
    let (faults, captured) = (summary.faults.as_ref()?, summary.ledger.captured);
    Some(anyhow!("{}; {} of {captured} frames failed in all", faults.first, faults.frames))
}

/// As slow as the synthetic source's script says.
pub(super) fn slowed(settings: &Settings, purifier: Box<dyn Purifier>) -> Box<dyn Purifier> {
    match &settings.source {
        SourceUri::Synthetic(synthetic) if !synthetic.slow().is_empty() => {
            Box::new(Slowed::new(purifier, synthetic.slow(), Arc::new(SystemClock)))
        }
        _ => purifier,
    }
}

/// When the source is late, by its frames a second where these are known before there are any.
pub(super) fn patience(settings: &Settings) -> CapturePatience {
    let of_camera = match &settings.source {
        SourceUri::Camera(spec) => spec.rate.map(Rate::fps),
        _ => None,
    };
    settings.fps.or(of_camera).map_or_else(CapturePatience::default, CapturePatience::at)
}

/// How to open the source for this classifier.
pub(super) fn source_options(settings: &Settings, classifier: &OnnxClassifier) -> SourceOptions {
    let pixels = if classifier.input().channels == 1 { PixelFormat::Gray8 } else { PixelFormat::Rgb8 };
    let classes = classifier.classes().to_vec();
    SourceOptions { fps: settings.fps, frames: settings.frames, classes: Some(classes), pixels: Some(pixels) }
}

/// Why there is nothing to report; `trouble` is what was wrong with the source, if anything was.
fn without_frames(settings: &Settings, interrupted: bool, trouble: &str) -> anyhow::Error {
    match (interrupted, trouble) {
        (true, "") => InterruptedEarly("before the first frame".into()).into(),
        (true, trouble) => InterruptedEarly(format!("before the first frame: {trouble}")).into(),
        (false, _) => anyhow!(
            "no frame came from {}; nothing was written, check that the source has frames and run again",
            settings.source
        ),
    }
}

/// Runs to the end, an interruption or a failure: each leaves a report. A run to which not a single frame came
/// leaves none, so that an older report stays.
fn run_pipeline(
    settings: &Settings,
    stop: &StopFlag,
    watch: &mut Watch,
    purifier: Box<dyn Purifier>,
    classifier: OnnxClassifier,
    mut surroundings: Surroundings,
) -> anyhow::Result<(Report, Option<anyhow::Error>)> {
    let clock = Arc::new(SystemClock);
    let options = source_options(settings, &classifier);
    let feed = opening::open(&settings.source, options, clock.clone(), stop)?;
    surroundings.run.live = feed.source.pacing() == Pacing::Live;
    let purifier = slowed(settings, purifier);
    let mut verdicts = verdict_lines(settings, &surroundings.models, feed.source.files(), stop)?;
    let config = PipelineConfig {
        deadline: settings.deadline,
        prep: settings.prep,
        samples: SAMPLES,
        force: settings.force,
        health: watch.health.clone(),
        regions: settings.regions.clone(),
        on_unpurified: settings.on_unpurified,
        patience: patience(settings),
        ..PipelineConfig::default()
    };
    watch.know(settings, &surroundings, feed.source.frames(), stop)?;
    let mut sinks: Vec<&mut dyn Sink> = watch.sinks().collect();
    sinks.extend(verdicts.as_mut().map(|verdicts| verdicts as &mut dyn Sink));
    let result = pipeline::run(feed, purifier, Box::new(classifier), &config, clock, stop, &mut sinks);
    let (summary, mut failure) = match result {
        Ok(summary) if summary.ledger.captured == 0 => {
            return Err(without_frames(settings, summary.interrupted, &watch.health.snapshot().detail));
        }
        Ok(summary) => (summary, None),
        Err(failure) if failure.summary.ledger.captured == 0 => bail!(failure.cause),
        Err(failure) => (failure.summary, Some(anyhow::Error::from(failure.cause))),
    };
    let flushed = verdicts.map_or(Ok(()), VerdictLines::finish);
    if let Err(error) = flushed {
        failure = failure.or(Some(anyhow!("the verdicts could not be written to the end: {error}")));
    }
    surroundings.run.aborted = failure.is_some();
    failure = failure.or_else(|| failed_frames(&summary));
    surroundings.run.failure = failure.as_ref().map(ToString::to_string);
    Ok((Report::new(&summary, surroundings), failure))
}
