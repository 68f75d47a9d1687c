//! The command line of `puvae-train`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use puvae_training::attack::Attack;
use puvae_training::classifier::Architecture;
use puvae_training::data::{DataSet, Name};
use puvae_training::fit::Schedule;
use puvae_training::puvae::{Form, PuvaeConfig, Size};
use puvae_training::runs::{self, Place};
use puvae_training::{device, evaluate, export, files, frames, golden, table};

/// Trains, attacks, evaluates and exports the networks that puvae runs.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a classifier (the paper's Table 1).
    Classifier {
        /// Which column of Table 1.
        #[arg(long, value_enum)]
        arch: Architecture,
        #[command(flatten)]
        training: Training,
    },
    /// Check that a data set can be read, and say what is in it.
    Data {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Measure accuracy on clean and attacked images, undefended and defended.
    Evaluate {
        #[command(flatten)]
        data: DataArgs,
        /// Run folder of the target classifier M_t, which is attacked.
        #[arg(long)]
        target: PathBuf,
        /// Run folder of the purifier.
        #[arg(long)]
        purifier: Option<PathBuf>,
        /// Which images; choices are made on the held-out ones, the test images are for reporting.
        #[arg(long, value_enum, default_value = "test")]
        split: SplitName,
        /// Only the first so many images.
        #[arg(long)]
        images: Option<usize>,
        #[command(flatten)]
        attacks: Attacks,
        /// Seed of targets and latent noise.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Results file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write a run as an ONNX file, with its golden file beside it.
    Export {
        #[command(flatten)]
        data: DataArgs,
        /// Run folder.
        #[arg(long)]
        run: PathBuf,
        /// ONNX file to write.
        #[arg(long)]
        out: PathBuf,
        /// Layout of a purifier's graph.
        #[arg(long, value_enum, default_value = "shared")]
        form: Form,
    },
    /// Write an untrained purifier as an ONNX file: for measuring speed, and nothing else.
    ExportUntrained {
        /// Which layers.
        #[arg(long, value_enum, default_value = "paper")]
        preset: Size,
        /// ONNX file to write.
        #[arg(long)]
        out: PathBuf,
        /// Layout of the graph.
        #[arg(long, value_enum, default_value = "shared")]
        form: Form,
    },
    /// Write test images as frames, in turns clean and under each attack.
    Attack {
        #[command(flatten)]
        data: DataArgs,
        /// Run folder of the classifier that is attacked.
        #[arg(long)]
        target: PathBuf,
        #[command(flatten)]
        attacks: Attacks,
        /// Number of frames.
        #[arg(long, default_value_t = 600)]
        images: usize,
        /// Seed of the choice of images and targets.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Files are called `OUT-images.idx3-ubyte.gz` and so on.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print results files as a Markdown table, with the paper's numbers beside ours.
    Table {
        /// Files that `evaluate` wrote.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write a tiny graph and golden file for every kind of layer.
    GoldenLayers {
        /// Folder for them.
        #[arg(long)]
        out: PathBuf,
    },
    /// Train a purifier against a source classifier.
    Puvae {
        /// Which layers and defaults.
        #[arg(long, value_enum, default_value = "lite")]
        preset: Size,
        /// TOML file with fields that differ from the preset.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Run folder of the source classifier M_s.
        #[arg(long)]
        source: PathBuf,
        /// Run folder of a purifier with the same layers, to begin with its weights.
        #[arg(long)]
        from: Option<PathBuf>,
        #[command(flatten)]
        training: Training,
    },
}

#[derive(Debug, Args)]
struct DataArgs {
    /// Folder that holds the data sets' folders.
    #[arg(long)]
    data: PathBuf,
    /// Which data set.
    #[arg(long, value_enum)]
    dataset: Name,
}

impl DataArgs {
    fn load(&self) -> Result<DataSet> {
        DataSet::load(&self.data, self.dataset, device::best())
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitName {
    HeldOut,
    Test,
}

#[derive(Debug, Args)]
struct Attacks {
    /// Bound of the attacks' L∞ norm.
    #[arg(long, default_value_t = 0.3)]
    epsilon: f64,
    /// Size of an iFGSM step.
    #[arg(long, default_value_t = 0.03)]
    alpha: f64,
    /// Numbers of iFGSM steps, each an attack.
    #[arg(long, value_delimiter = ',', default_value = "10,40")]
    steps: Vec<u32>,
}

impl Attacks {
    fn kinds(&self) -> Vec<Attack> {
        let &Self { epsilon, alpha, .. } = self;
        let iterative = self.steps.iter().map(|&steps| Attack::IFgsm { epsilon, alpha, steps });
        std::iter::once(Attack::Fgsm { epsilon }).chain(iterative).collect()
    }
}

#[derive(Debug, Args)]
struct Training {
    #[command(flatten)]
    data: DataArgs,
    /// Folder for the run: checkpoint, log and curves.
    #[arg(long)]
    out: PathBuf,
    /// Go on from the checkpoint in --out, if there is one.
    #[arg(long)]
    resume: bool,
    /// Seed of everything drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    schedule: Schedule,
}

impl Training {
    fn place(&self) -> Place<'_> {
        Place { out: &self.out, resume: self.resume, seed: self.seed }
    }
}

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let device = device::best();
    match cli.command {
        Command::Data { data } => describe(&data.load()?),
        Command::Classifier { arch, training } => {
            runs::train_classifier(&training.data.load()?, arch, training.schedule, training.place(), device)?;
        }
        Command::Puvae { preset, config, source, from, training } => {
            let set = training.data.load()?;
            let preset = PuvaeConfig::preset(preset, set.side_px, set.name.classes().len() as i64);
            let config = config.map_or(Ok(preset.clone()), |path| with_file(&preset, &path))?;
            let source = runs::load_classifier(&source, device)?;
            let from = from.map(|run| runs::load_puvae(&run, device)).transpose()?;
            runs::train_puvae(&set, config, &source, from.as_ref(), training.schedule, training.place(), device)?;
        }
        Command::Evaluate { data, target, purifier, split, images, attacks, seed, out } => {
            files::check_writable(&out)?;
            let set = data.load()?;
            let images = images.unwrap_or(usize::MAX);
            let (split, name) = match split {
                SplitName::HeldOut => (set.held_out.first(images), "held-out"),
                SplitName::Test => (set.test.first(images), "test"),
            };
            let purifier = purifier.map(|run| runs::load_puvae(&run, device)).transpose()?;
            let target = runs::load_classifier(&target, device)?;
            evaluate::run(&set, (&split, name), &target, purifier.as_ref(), &attacks.kinds(), seed)?.write(&out)?;
        }
        Command::Export { data, run, out, form } => {
            files::check_writable(&out)?;
            let set = data.load()?;
            if runs::kind(&run)? == "classifier" {
                export::classifier(&runs::load_classifier(&run, device)?, &set, &out)?;
            } else {
                export::puvae(&runs::load_puvae(&run, device)?, &set, form, &out)?;
            }
        }
        Command::ExportUntrained { preset, out, form } => {
            files::check_writable(&out)?;
            export::untrained(preset, form, &out)?;
        }
        Command::Attack { data, target, attacks, images, seed, out } => {
            files::check_writable(&out)?;
            let target = runs::load_classifier(&target, device)?;
            frames::write(&target, &data.load()?, &attacks.kinds(), images, seed, &out)?;
        }
        Command::Table { files } => print!("{}", table::markdown(&table::read(&files)?)),
        Command::GoldenLayers { out } => golden::write_layers(&out)?,
    }
    Ok(())
}

fn describe(set: &DataSet) {
    let DataSet { train, held_out, test, side_px, .. } = set;
    println!(
        "{}: {side_px}×{side_px} pixels, {} classes, {} images to train on, {} held out, {} for testing",
        set.name.as_str(),
        set.name.classes().len(),
        train.len(),
        held_out.len(),
        test.len()
    );
}

/// The preset with the fields of a TOML file on top.
fn with_file(preset: &PuvaeConfig, path: &Path) -> Result<PuvaeConfig> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{}: cannot read the configuration", path.display()))?;
    let fields: toml::Table = toml::from_str(&text).with_context(|| format!("{}: not TOML", path.display()))?;
    let mut table = toml::Table::try_from(preset)?;
    table.extend(fields);
    table.try_into().with_context(|| format!("{}: not a configuration of a purifier", path.display()))
}
