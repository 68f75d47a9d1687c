//! `puvae run`: checks everything that can be checked, runs the pipeline, and leaves the reports.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use puvae::classifier::Classifier as _;
use puvae::clock::SystemClock;
use puvae::config::{Config, PurifierChoice, Settings, VerdictsTo};
use puvae::model::engine::Engine;
use puvae::model::file::check_pair;
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::pipeline::{self, PipelineConfig, PipelineError, Sink, StopFlag};
use puvae::purifier::{Identity, Purifier};
use puvae::report::output::OutputFile;
use puvae::report::schema::{Models, RunInfo};
use puvae::report::verdicts::VerdictLines;
use puvae::report::{Report, Surroundings, html, table};
use puvae::source::{self, SourceOptions};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::progress::FrameProgress;
use super::{INTERRUPTED, print};

/// Pictures in a report.
const SAMPLES: usize = 18;

pub(super) fn run(config: Config) -> anyhow::Result<ExitCode> {
    let settings = config.check()?;
    let stop = stop_on_signals()?;
    let outputs = Outputs::reserve(&settings)?;
    let mut engine = Engine::start(&settings.engine)?;
    let (purifier, classifier, models) = open_models(&mut engine, &settings)?;
    announce(&engine);
    let surroundings = surroundings(&settings, &engine, models);
    let (report, failure) = run_pipeline(&settings, &stop, purifier, classifier, surroundings)?;
    let table = table::render(&report);
    match settings.verdicts {
        Some(VerdictsTo::Stdout) => eprint!("{table}"),
        _ => print(&table)?,
    }
    outputs.write(&report)?;
    match failure {
        Some(failure) => Err(failure),
        None if report.run.interrupted => Ok(ExitCode::from(INTERRUPTED)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The first SIGINT or SIGTERM sets the flag; a second one ends the process at once.
fn stop_on_signals() -> anyhow::Result<StopFlag> {
    let stop = StopFlag::new();
    for signal in [SIGINT, SIGTERM] {
        // The order matters: what is registered first runs first, and must not see what the same signal sets.
        flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), stop.as_atomic())
            .and_then(|_| flag::register(signal, stop.as_atomic()))
            .map_err(|error| anyhow!("cannot catch SIGINT and SIGTERM: {error}"))?;
    }
    Ok(stop)
}

fn open_models(
    engine: &mut Engine,
    settings: &Settings,
) -> anyhow::Result<(Box<dyn Purifier>, OnnxClassifier, Models)> {
    let classifier = OnnxClassifier::open(engine, &settings.classifier)?;
    let mut models = Models { purifier: None, classifier: classifier.info().clone() };
    let purifier: Box<dyn Purifier> = match &settings.purifier {
        PurifierChoice::None => Box::new(Identity::new(classifier.input())),
        PurifierChoice::File(path) => {
            let purifier = OnnxPurifier::open(engine, path, settings.seed)?;
            check_pair(purifier.info(), classifier.info())?;
            models.purifier = Some(purifier.info().clone());
            Box::new(purifier)
        }
    };
    Ok((purifier, classifier, models))
}

fn announce(engine: &Engine) {
    let provider = engine.provider();
    tracing::info!("ONNX Runtime {}", engine.library().display());
    tracing::info!("provider {} ({}), {} threads for each model", provider.used, provider.reason, engine.threads());
}

fn surroundings(settings: &Settings, engine: &Engine, models: Models) -> Surroundings {
    let run = RunInfo {
        puvae_version: env!("CARGO_PKG_VERSION").into(),
        source: settings.source.to_string(),
        fps: settings.fps,
        seed: settings.seed,
        threads: engine.threads().get(),
        onnxruntime: engine.library().display().to_string(),
        interrupted: false,
        failure: None,
    };
    Surroundings { provider: engine.provider().clone(), models, run }
}

/// Runs to the end, an interruption or a failure: each leaves a report. What did not even begin leaves none.
fn run_pipeline(
    settings: &Settings,
    stop: &StopFlag,
    purifier: Box<dyn Purifier>,
    classifier: OnnxClassifier,
    mut surroundings: Surroundings,
) -> anyhow::Result<(Report, Option<anyhow::Error>)> {
    let clock = Arc::new(SystemClock);
    let options =
        SourceOptions { fps: settings.fps, frames: settings.frames, classes: Some(classifier.classes().to_vec()) };
    let source = source::open(&settings.source, &options, clock.clone())?;
    let mut verdicts = open_verdicts(settings, &surroundings.models)?;
    let config = PipelineConfig {
        deadline: settings.deadline,
        samples: SAMPLES,
        force: settings.force,
        ..PipelineConfig::default()
    };
    let mut progress = FrameProgress::new(settings.frames);
    let mut sinks: Vec<&mut dyn Sink> = vec![&mut progress];
    sinks.extend(verdicts.as_mut().map(|verdicts| verdicts as &mut dyn Sink));
    let result = pipeline::run(source, purifier, Box::new(classifier), &config, clock, stop, &mut sinks);
    drop(progress);
    let flushed = verdicts.map_or(Ok(()), VerdictLines::finish);
    let (summary, mut failure) = match result {
        Ok(summary) => (summary, None),
        Err(failure) if matches!(failure.cause, PipelineError::DeadlineImpossible { .. }) => bail!(failure.cause),
        Err(failure) => (failure.summary, Some(anyhow::Error::from(failure.cause))),
    };
    if let Err(error) = flushed {
        failure =
            failure.or(Some(anyhow!("the verdicts could not be written to the end: {error}; make room and run again")));
    }
    surroundings.run.failure = failure.as_ref().map(ToString::to_string);
    Ok((Report::new(&summary, surroundings), failure))
}

fn open_verdicts(settings: &Settings, models: &Models) -> anyhow::Result<Option<VerdictLines<Box<dyn Write>>>> {
    let into: Box<dyn Write> = match &settings.verdicts {
        None => return Ok(None),
        Some(VerdictsTo::Stdout) => Box::new(io::stdout()),
        Some(VerdictsTo::File(path)) => {
            let file = File::create(path)
                .map_err(|error| anyhow!("{}: cannot write the verdicts here: {error}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
    };
    let model = models.purifier.as_ref().map(|model| model.short_hash().to_owned());
    Ok(Some(VerdictLines::new(into, models.classifier.spec.classes.clone(), model)))
}

/// The reports' files, known to be writable.
struct Outputs {
    json: Option<OutputFile>,
    html: Option<OutputFile>,
}

impl Outputs {
    fn reserve(settings: &Settings) -> anyhow::Result<Self> {
        let reserve = |path: &Option<PathBuf>, purpose| {
            path.as_deref().map(|path| OutputFile::reserve(path, purpose)).transpose()
        };
        if let Some(VerdictsTo::File(path)) = &settings.verdicts {
            OutputFile::reserve(path, "--verdicts")?;
        }
        Ok(Self { json: reserve(&settings.json, "--json")?, html: reserve(&settings.html, "--html")? })
    }

    /// Writes them all. A report that cannot be written where it should go is saved elsewhere: the run may
    /// have taken hours.
    fn write(&self, report: &Report) -> anyhow::Result<()> {
        let json = report.to_json();
        let written = [
            self.json.as_ref().map(|file| file.write(&json)),
            self.html.as_ref().map(|file| file.write(&html::render(report))),
        ];
        let errors: Vec<String> =
            written.into_iter().flatten().filter_map(|result| Some(result.err()?.to_string())).collect();
        if errors.is_empty() {
            return Ok(());
        }
        let rescue = std::env::temp_dir().join(format!("puvae-report-{}.json", std::process::id()));
        let rescued = std::fs::write(&rescue, &json);
        if rescued.is_err() {
            eprint!("{json}");
        }
        let place =
            rescued.map_or("was printed above instead".into(), |()| format!("is in {} instead", rescue.display()));
        bail!("{}; the whole report as JSON {place}", errors.join("; "))
    }
}
