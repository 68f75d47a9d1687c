//! `puvae bench`: how long models take on this machine.
//!
//! Several files are measured in turns, one run each, so that whatever else the machine does meets all of
//! them alike and their ratio means something. What is timed is what the pipeline would wait for: noise,
//! the model, and copying its outputs.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use ndarray::{Array2, Array4};
use puvae::classifier::Classifier as _;
use puvae::clock::{Clock, SystemClock};
use puvae::config::{ConfigError, NamedFile, check_files_differ};
use puvae::frame::FrameId;
use puvae::model::ModelError;
use puvae::model::engine::{Engine, ProviderReport};
use puvae::model::file::ModelInfo;
use puvae::model::graph::Graph;
use puvae::model::hash::FileHash;
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::model::spec::Role;
use puvae::purifier::{Purified, Purifier as _};
use puvae::quantile::nearest_rank;
use puvae::report::output::OutputFile;
use puvae::report::table::{lay_out, threads};
use serde::Serialize;

use super::args::BenchArgs;
use super::progress::bar;
use super::{complain, print};

/// Runs of each model that are not counted, and the fewest that are.
const WARM_UP_RUNS: usize = 3;
const FEWEST_RUNS: usize = 5;
const LARGEST_BATCH: usize = 4096;

/// Everything measured, as `--json` writes it.
#[derive(Serialize)]
struct Results {
    schema: u32,
    onnxruntime: String,
    provider: ProviderReport,
    threads: usize,
    seconds: f64,
    results: Vec<Measurement>,
    /// What ended it before the last batch size.
    failure: Option<String>,
}

/// One model at one batch size. Times are of a whole batch.
#[derive(Serialize)]
struct Measurement {
    file: String,
    architecture: String,
    sha256: FileHash,
    batch: usize,
    iterations: usize,
    p50_us: f64,
    p99_us: f64,
    images_per_s: f64,
    /// Median time against that of the first file.
    ratio_to_first: f64,
}

pub(super) fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    check(&args)?;
    let options = args.engine.clone().into_options()?;
    let mut inputs: Vec<NamedFile<'_>> = args.files.iter().map(|file| ("a model", file.as_path())).collect();
    inputs.extend(options.library_file());
    let output = args.json.as_deref().map(|path| ("--json", path));
    check_files_differ(&inputs, output.as_slice())?;
    let json = args.json.as_deref().map(|path| OutputFile::reserve(path, "--json")).transpose()?;
    let mut engine = Engine::start(&options)?;
    check_files_differ(&[("ONNX Runtime's library", engine.library())], output.as_slice())?;
    let mut models = args.files.iter().map(|file| Model::open(&mut engine, file)).collect::<Result<Vec<_>, _>>()?;
    let progress = bar(Some((args.seconds * 1e3) as u64 * (args.batch.len() * models.len()) as u64), "ms measured");
    let mut results = Results {
        schema: 1,
        onnxruntime: engine.library().display().to_string(),
        provider: engine.provider().clone(),
        threads: engine.threads().get(),
        seconds: args.seconds,
        results: Vec::new(),
        failure: None,
    };
    let time = Duration::from_secs_f64(args.seconds);
    let measured = args.batch.iter().try_for_each(|&batch| {
        results.results.extend(measure(&mut models, batch, time, &progress)?);
        anyhow::Ok(())
    });
    progress.finish_and_clear();
    results.failure = measured.as_ref().err().map(ToString::to_string);
    if results.results.is_empty() {
        return measured.map(|()| ExitCode::SUCCESS);
    }
    let told = tell(&results, json);
    match measured {
        Ok(()) => told.map(|()| ExitCode::SUCCESS),
        Err(failure) => {
            told.unwrap_or_else(|error| complain(&format!("error: {error}\n")));
            Err(failure)
        }
    }
}

fn tell(results: &Results, json: Option<OutputFile>) -> anyhow::Result<()> {
    // The file first: whoever reads standard output may be gone.
    if let Some(json) = json {
        json.write(&(serde_json::to_string_pretty(results)? + "\n"))?;
    }
    print(&format!("{}\n", table(results)))
}

fn check(args: &BenchArgs) -> Result<(), ConfigError> {
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        let expected = "above 0 and at most 3600".into();
        return Err(ConfigError::Absurd { flag: "--seconds", got: args.seconds.to_string(), expected });
    }
    match args.batch.iter().find(|batch| !(1..=LARGEST_BATCH).contains(*batch)) {
        Some(batch) => {
            let expected = format!("1 to {LARGEST_BATCH}");
            Err(ConfigError::Absurd { flag: "--batch", got: batch.to_string(), expected })
        }
        None => Ok(()),
    }
}

/// A model of either role, with room for its results.
enum Model {
    Purifier(Box<OnnxPurifier>, Purified),
    Classifier(Box<OnnxClassifier>, Array2<f32>),
}

impl Model {
    fn open(engine: &mut Engine, path: &Path) -> Result<Self, ModelError> {
        let graph = Graph::open(engine, path)?;
        Ok(match ModelInfo::of_any_role(&graph)?.spec.role {
            Role::Purifier => Self::Purifier(Box::new(OnnxPurifier::from_graph(graph, 0)?), Purified::default()),
            Role::Classifier => Self::Classifier(Box::new(OnnxClassifier::from_graph(graph)?), Array2::default((0, 0))),
        })
    }

    fn info(&self) -> &ModelInfo {
        match self {
            Self::Purifier(purifier, _) => purifier.info(),
            Self::Classifier(classifier, _) => classifier.info(),
        }
    }

    /// Makes room for `batch` results.
    fn resize(&mut self, batch: usize) {
        match self {
            Self::Purifier(purifier, out) => *out = purifier.room(batch),
            Self::Classifier(classifier, logits) => *logits = Array2::zeros((batch, classifier.classes().len())),
        }
    }

    /// How long one run takes.
    fn time(&mut self, ids: &[FrameId], frames: &Array4<f32>) -> Result<Duration, ModelError> {
        let start = SystemClock.now();
        match self {
            Self::Purifier(purifier, out) => purifier.purify(ids, frames.view(), out)?,
            Self::Classifier(classifier, logits) => classifier.classify(frames.view(), logits)?,
        }
        Ok(SystemClock.now() - start)
    }

    /// Pictures with something to see on them: the same in every run.
    fn pictures(&self, batch: usize) -> Array4<f32> {
        let shape = self.info().spec.input;
        let value =
            |(n, c, y, x): (usize, usize, usize, usize)| ((n * 31 + c * 17 + y * y * 7 + x * 13) % 256) as f32 / 255.0;
        Array4::from_shape_fn((batch, shape.channels, shape.height, shape.width), value)
    }
}

/// Measures all models at one batch size, in turns, until each has run for `time`.
fn measure(
    models: &mut [Model],
    batch: usize,
    time: Duration,
    progress: &ProgressBar,
) -> anyhow::Result<Vec<Measurement>> {
    let ids: Vec<FrameId> = (0..batch as u64).map(FrameId).collect();
    let pictures: Vec<Array4<f32>> = models.iter().map(|model| model.pictures(batch)).collect();
    for (model, frames) in models.iter_mut().zip(&pictures) {
        model.resize(batch);
        for _ in 0..WARM_UP_RUNS {
            model.time(&ids, frames)?;
        }
    }
    let mut times = vec![Vec::new(); models.len()];
    let mut totals = vec![Duration::ZERO; models.len()];
    let before_ms = progress.position();
    let done = |times: &Vec<Duration>, total: Duration| times.len() >= FEWEST_RUNS && total >= time;
    while !times.iter().zip(&totals).all(|(times, &total)| done(times, total)) {
        for (index, (model, frames)) in models.iter_mut().zip(&pictures).enumerate() {
            if !done(&times[index], totals[index]) {
                let took = model.time(&ids, frames)?;
                times[index].push(took);
                totals[index] += took;
                progress.set_position(before_ms + totals.iter().sum::<Duration>().as_millis() as u64);
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let medians: Vec<f64> = times.iter().map(|times| quantile_us(times, 50)).collect();
    let Some(&first) = medians.first() else { bail!("no model to measure; name at least one ONNX file") };
    let models = models.iter().zip(&times).zip(&medians);
    Ok(models.map(|((model, times), &p50_us)| measurement(model.info(), batch, times, p50_us, first)).collect())
}

fn measurement(info: &ModelInfo, batch: usize, sorted: &[Duration], p50_us: f64, first_us: f64) -> Measurement {
    let total: Duration = sorted.iter().sum();
    Measurement {
        file: info.path.display().to_string(),
        architecture: info.spec.provenance.architecture.clone(),
        sha256: info.sha256,
        batch,
        iterations: sorted.len(),
        p50_us,
        p99_us: quantile_us(sorted, 99),
        images_per_s: (batch * sorted.len()) as f64 / total.as_secs_f64(),
        ratio_to_first: p50_us / first_us,
    }
}

fn quantile_us(sorted: &[Duration], percent: usize) -> f64 {
    nearest_rank(sorted, percent).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

fn table(results: &Results) -> String {
    let row = |result: &Measurement| {
        vec![
            result.batch.to_string(),
            Path::new(&result.file).file_name().unwrap_or_default().to_string_lossy().into_owned(),
            result.architecture.clone(),
            result.iterations.to_string(),
            format!("{:.3}", result.p50_us / 1e3),
            format!("{:.3}", result.p99_us / 1e3),
            format!("{:.0}", result.images_per_s),
            format!("{:.2}", result.ratio_to_first),
        ]
    };
    let header = ["batch", "file", "architecture", "runs", "p50 ms", "p99 ms", "images/s", "time to first"];
    let provider = &results.provider;
    format!(
        "{}, provider {} ({}), at least {} s and {FEWEST_RUNS} runs of each after {WARM_UP_RUNS} to warm up\n{}",
        threads(results.threads),
        provider.used,
        provider.reason,
        results.seconds,
        lay_out(&header, 3, results.results.iter().map(row).collect())
    )
}
