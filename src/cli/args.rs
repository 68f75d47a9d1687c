//! What the user typed, before any of it is checked.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use puvae::config::{Config, ConfigError, PurifierChoice, threads};
use puvae::model::engine::{EngineOptions, Provider};
use puvae::preprocess::Prep;

/// A real-time filter between a camera and an image classifier.
#[derive(Debug, Parser)]
#[command(
    name = "puvae",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 error, 2 wrong usage, 3 the deadline is impossible here, 130 interrupted (after a full report)."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Purify and classify the frames of a source within a deadline, and report on every frame
    Run(Box<RunArgs>),
    /// Measure latency and throughput of models on this machine
    Bench(BenchArgs),
    /// Show what an ONNX file says of itself, and check it
    Inspect(InspectArgs),
    /// Write a model spec into an ONNX classifier that was exported elsewhere
    Spec(SpecArgs),
    /// Render a JSON report as an HTML page
    Report(ReportArgs),
}

/// Which ONNX Runtime, and how it computes.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct EngineArgs {
    /// Who computes: auto, cpu or cuda (auto: CUDA where it works, and the report says why not)
    #[arg(long, value_name = "auto|cpu|cuda")]
    provider: Option<Provider>,
    /// Threads of each model (default: the cores, at most 4)
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// ONNX Runtime's library, or the folder it is in (default: searched for)
    #[arg(long, value_name = "FILE")]
    ort_lib: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// Where frames come from: dir:FOLDER, idx:IMAGES[,LABELS] or synthetic:…
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// The purifier's ONNX file, or `none` for no defence
    #[arg(long, value_name = "FILE|none")]
    purifier: Option<PathBuf>,
    /// The classifier's ONNX file
    #[arg(long, value_name = "FILE")]
    classifier: Option<PathBuf>,
    /// Longest time from capture to verdict (default 33ms)
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// Stop after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Frames a second, 0.001 to 10000 (default: as fast as the models go, dropping nothing)
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    fps: Option<f64>,
    /// How frames are prepared: plain (resized), or ink (dark writing on paper, centred as MNIST does; default plain)
    #[arg(long, value_name = "plain|ink")]
    prep: Option<Prep>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Seed of the purifier's noise: same frames and seed, same verdicts (default 0)
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Write the JSON report here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the HTML report here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a JSON line for each frame here; `-` is standard output (the table then goes to standard error)
    #[arg(long, value_name = "FILE|-")]
    verdicts: Option<PathBuf>,
    /// Read settings from a TOML file whose keys are these flags' names; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run even if the deadline is impossible on this machine
    #[arg(long)]
    force: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    /// ONNX files with a model spec; each is compared with the first
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Batch sizes
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32, 128], value_name = "N,…")]
    pub(crate) batch: Vec<usize>,
    /// Seconds to measure each model at each batch size
    #[arg(long, default_value_t = 3.0, value_name = "S", allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// Also write the figures here, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InspectArgs {
    /// An ONNX file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// ONNX Runtime's library, or the folder it is in (default: searched for)
    #[arg(long, value_name = "FILE")]
    pub(crate) ort_lib: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SpecArgs {
    /// An ONNX file with an input `frames [N,C,H,W]` f32 and an output `logits [N,K]` f32
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the file with the spec goes
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Class names in the order of the logits, separated by commas, or a file with one on each line
    #[arg(long, value_name = "NAMES|FILE")]
    pub(crate) classes: String,
    /// What the network is called
    #[arg(long, default_value = "unnamed")]
    pub(crate) name: String,
    /// What it was trained on
    #[arg(long, default_value = "unknown")]
    pub(crate) dataset: String,
    /// Put it in place of a spec that is there already
    #[arg(long)]
    pub(crate) replace: bool,
    /// ONNX Runtime's library, or the folder it is in (default: searched for)
    #[arg(long, value_name = "FILE")]
    pub(crate) ort_lib: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    /// A report written by `puvae run --json`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the page goes (default: beside the report, ending in .html)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

impl RunArgs {
    /// The flags, over the configuration file if there is one.
    pub(crate) fn into_config(self) -> Result<Config, ConfigError> {
        let below = self.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        let flags = Config {
            source: self.source,
            purifier: self.purifier.map(PurifierChoice::from),
            classifier: self.classifier,
            deadline: self.deadline,
            frames: self.frames,
            fps: self.fps,
            prep: self.prep,
            provider: self.engine.provider,
            threads: self.engine.threads,
            ort_lib: self.engine.ort_lib,
            seed: self.seed,
            json: self.json,
            html: self.html,
            verdicts: self.verdicts,
            force: self.force.then_some(true),
            read_from: None,
        };
        Ok(flags.over(below))
    }
}

impl EngineArgs {
    pub(crate) fn into_options(self) -> Result<EngineOptions, ConfigError> {
        let threads = threads(self.threads)?;
        Ok(EngineOptions { library: self.ort_lib, provider: self.provider.unwrap_or_default(), threads })
    }
}
