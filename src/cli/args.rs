//! What the user typed, before any of it is checked.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use puvae::config::{Config, ConfigError, PurifierChoice, threads};
use puvae::model::engine::{EngineOptions, Provider};
use puvae::pipeline::OnUnpurified;
use puvae::preprocess::{Prep, Region};

/// A real-time filter between a camera and an image classifier.
#[derive(Debug, Parser)]
#[command(
    name = "puvae",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 error (also when a frame failed, interrupted or not), 2 wrong usage, 3 the deadline is impossible here, 130 interrupted (with a full report, if a frame had come)."
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
    /// Find the tightest deadline that this machine holds
    Calibrate(Box<CalibrateArgs>),
    /// Show what an ONNX file says of itself, and check it
    Inspect(InspectArgs),
    /// Write a model spec into an ONNX classifier that was exported elsewhere
    Spec(SpecArgs),
    /// Render a JSON report as an HTML page, or compare several
    Report(ReportArgs),
    /// List the cameras of this machine with their formats, sizes and rates
    Cameras,
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
    /// Where frames come from: camera:N[?…], dir:FOLDER (png, jpg, jpeg, bmp, pgm, ppm, pnm, pbm; other files are
    /// refused), idx:IMAGES[,LABELS], stdin:gray|rgb:WxH or synthetic:… (its labels mean nothing to the shipped models)
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// The purifier's ONNX file, or `none` for no defence
    #[arg(long, value_name = "FILE|none")]
    purifier: Option<PathBuf>,
    /// Refuse a purifier whose file has another SHA-256 (`puvae inspect FILE` prints it)
    #[arg(long, value_name = "HEX")]
    purifier_sha256: Option<String>,
    /// The classifier's ONNX file
    #[arg(long, value_name = "FILE")]
    classifier: Option<PathBuf>,
    /// Refuse a classifier whose file has another SHA-256
    #[arg(long, value_name = "HEX")]
    classifier_sha256: Option<String>,
    /// Longest time from capture to verdict (default 33ms)
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// Stop after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Frames a second, 0.001 to 10000 (default: a camera's usual rate; files as fast as the models go, dropping nothing)
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    fps: Option<f64>,
    /// How frames are prepared: plain (resized), or ink (dark writing on paper, centred as MNIST does; default plain)
    #[arg(long, value_name = "plain|ink")]
    prep: Option<Prep>,
    /// Look at this part of each frame only; repeat it for several, which then are purified and classified as one batch
    #[arg(long, value_name = "X,Y,W,H")]
    roi: Vec<Region>,
    /// What becomes of a frame that cannot be purified in time: drop it, classify it as it came and flag the verdict, or
    /// hold on to the last verdict (default drop)
    #[arg(long, value_name = "drop|flag|hold")]
    on_unpurified: Option<OnUnpurified>,
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
    /// Serve /metrics, /live and /ready here over HTTP: 127.0.0.1:9464, or a port for this machine only (0: a free one)
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
    /// Show the run in this terminal: pictures, verdicts, response times, ledger
    #[arg(long)]
    live: bool,
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

/// The pace of frames that have none of their own.
const CALIBRATION_FPS: f64 = 30.0;
/// Where frames come from unless told, with as many classes as the classifier has.
pub(crate) const CALIBRATION_SOURCE: &str = "synthetic:640x480";

#[derive(Debug, ClapArgs)]
pub(crate) struct CalibrateArgs {
    /// Where frames come from (default: synthetic pictures of 640x480)
    #[arg(long, value_name = "URI")]
    pub(crate) source: Option<String>,
    /// The purifier's ONNX file, or `none` for no defence
    #[arg(long, value_name = "FILE|none")]
    pub(crate) purifier: PathBuf,
    /// The classifier's ONNX file
    #[arg(long, value_name = "FILE")]
    pub(crate) classifier: PathBuf,
    /// Frames to measure; to be sure of 99 % takes 299 of them, of 99.9 % 2995, of 99.99 % 29956
    #[arg(long, default_value_t = 3000, value_name = "N")]
    pub(crate) frames: u64,
    /// Frames a second, as your camera gives them (default: 30; of a camera or standard input, its own)
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub(crate) fps: Option<f64>,
    /// How frames are prepared, as in `puvae run`
    #[arg(long, value_name = "plain|ink")]
    pub(crate) prep: Option<Prep>,
    /// Look at this part of each frame only; repeat it for several
    #[arg(long, value_name = "X,Y,W,H")]
    pub(crate) roi: Vec<Region>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Also write the figures here, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl CalibrateArgs {
    /// A run without a deadline.
    pub(crate) fn config(&self) -> Config {
        let source = self.source.clone().unwrap_or_else(|| CALIBRATION_SOURCE.into());
        let own_pace = ["camera:", "stdin:"].into_iter().any(|scheme| source.starts_with(scheme));
        Config {
            source: Some(source),
            purifier: Some(self.purifier.clone().into()),
            classifier: Some(self.classifier.clone()),
            deadline: Some("1h".into()),
            frames: Some(self.frames),
            fps: self.fps.or((!own_pace).then_some(CALIBRATION_FPS)),
            prep: self.prep,
            roi: (!self.roi.is_empty()).then(|| self.roi.clone()),
            provider: self.engine.provider,
            threads: self.engine.threads,
            ort_lib: self.engine.ort_lib.clone(),
            json: self.json.clone(),
            ..Config::default()
        }
    }
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
    /// Reports written by `puvae run --json`: one is rendered, several are compared with the first
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where the page goes (default: of one report, beside it, ending in .html; of several, nowhere)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

impl RunArgs {
    /// The flags, over the configuration file if there is one; says of a model that a flag names where the file pinned another one.
    pub(crate) fn into_config(self) -> Result<Config, ConfigError> {
        let below = self.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        let flags = Config {
            source: self.source,
            purifier: self.purifier.map(PurifierChoice::from),
            purifier_sha256: self.purifier_sha256,
            classifier: self.classifier,
            classifier_sha256: self.classifier_sha256,
            deadline: self.deadline,
            frames: self.frames,
            fps: self.fps,
            prep: self.prep,
            roi: (!self.roi.is_empty()).then_some(self.roi),
            on_unpurified: self.on_unpurified,
            provider: self.engine.provider,
            threads: self.engine.threads,
            ort_lib: self.engine.ort_lib,
            seed: self.seed,
            json: self.json,
            html: self.html,
            verdicts: self.verdicts,
            metrics: self.metrics,
            live: self.live.then_some(true),
            force: self.force.then_some(true),
            read_from: None,
        };
        let [pinned_purifier, pinned_classifier] = [below.purifier_sha256.is_some(), below.classifier_sha256.is_some()];
        let config = flags.over(below);
        let purifies = config.purifier != Some(PurifierChoice::None);
        if pinned_purifier && config.purifier_sha256.is_none() && purifies {
            warn_of_unpinned("--purifier");
        }
        if pinned_classifier && config.classifier_sha256.is_none() {
            warn_of_unpinned("--classifier");
        }
        Ok(config)
    }
}

fn warn_of_unpinned(flag: &str) {
    tracing::warn!(
        "{flag} names another file than the one that the configuration pins, so its SHA-256 is not checked; give {flag}-sha256 as well"
    );
}

impl EngineArgs {
    pub(crate) fn into_options(self) -> Result<EngineOptions, ConfigError> {
        let threads = threads(self.threads)?;
        Ok(EngineOptions { library: self.ort_lib, provider: self.provider.unwrap_or_default(), threads })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use puvae::config::EXAMPLE;

    use super::*;

    /// Flags that say nothing about the run.
    const NO_KEY: [&str; 2] = ["config", "help"];

    #[test]
    fn every_flag_of_run_is_a_key_of_the_configuration_file_and_every_key_a_flag() {
        let mut command = Args::command();
        command.build();
        let run = command.find_subcommand("run").unwrap();
        let flags = run.get_arguments().map(|flag| flag.get_long().expect("run has no positional arguments"));
        let mut flags: Vec<&str> = flags.filter(|flag| !NO_KEY.contains(flag)).collect();
        flags.sort_unstable();
        assert_eq!(flags, Config::keys(), "a new flag needs a key in `Config`, and a line in examples/run.toml");
    }

    #[test]
    fn flags_say_what_the_file_says() {
        let mut file: toml::Table = EXAMPLE.replace("# ort-lib = ", "ort-lib = ").parse().unwrap();
        // A flag can only say yes.
        file.retain(|_, value| *value != toml::Value::Boolean(false));
        let mut args = vec!["puvae".to_owned(), "run".into()];
        for (key, value) in &file {
            match value {
                toml::Value::Boolean(_) => args.push(format!("--{key}")),
                toml::Value::String(text) => args.push(format!("--{key}={text}")),
                toml::Value::Array(values) => {
                    args.extend(values.iter().map(|value| format!("--{key}={}", value.as_str().unwrap())));
                }
                other => args.push(format!("--{key}={other}")),
            }
        }
        let Command::Run(flags) = Args::try_parse_from(args).unwrap().command else { panic!("not run") };
        assert_eq!(flags.into_config().unwrap(), file.to_string().parse::<Config>().unwrap());
    }
}
