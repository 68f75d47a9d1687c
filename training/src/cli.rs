//! The command line of `puvae-train`.

mod args;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};
use puvae_training::attack::Plan;
use puvae_training::attack::substitute::SubstituteConfig;
use puvae_training::classifier::{AdversarialTraining, Architecture};
use puvae_training::data::{DataSet, publisher};
use puvae_training::defence::defense_gan::Projection;
use puvae_training::defence::magnet::MagnetConfig;
use puvae_training::evaluate::{Destination, Measures, Participants, Resume, contestants};
use puvae_training::gan::GanSchedule;
use puvae_training::nn::int8::Weights;
use puvae_training::puvae::{Form, PuvaeConfig, Size};
use puvae_training::reproduce::{self, Part, Settings};
use puvae_training::runs::{self, Place};
use puvae_training::{device, evaluate, export, files, frames, golden, npz, table};

use args::{Adaptive, Attacks, DataArgs, Preset, SplitName, Training};

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
        /// Train adversarially (Eq. 4), with FGSM of this L∞ norm.
        #[arg(long)]
        adversarial_epsilon: Option<f64>,
        /// Weight of the clean pictures' loss in adversarial training.
        #[arg(long, default_value_t = 0.5)]
        adversarial_alpha: f64,
        #[command(flatten)]
        training: Training,
    },
    /// Check that a data set can be read, and say what is in it.
    Data {
        #[command(flatten)]
        data: DataArgs,
        /// Fetch what is missing of mnist, fashion-mnist or cifar10 from its publisher first.
        #[arg(long)]
        fetch: bool,
        /// Fetch from this folder of a mirror instead.
        #[arg(long, requires = "fetch")]
        mirror: Option<String>,
    },
    /// Train a Defense-GAN: a generator of clean images, with its critic (WGAN-GP).
    DefenseGan {
        #[command(flatten)]
        training: Training<GanSchedule>,
    },
    /// Measure accuracy on clean and attacked images, undefended and defended.
    Evaluate {
        #[command(flatten)]
        data: DataArgs,
        /// Run folder of the target classifier M_t, which is attacked.
        #[arg(long)]
        target: PathBuf,
        /// Defences: run folders of purifiers, each optionally as NAME=FOLDER.
        #[arg(long)]
        defence: Vec<String>,
        /// Run folders of classifiers to put in the target's place (another one, one trained adversarially), each optionally as NAME=FOLDER.
        #[arg(long)]
        replacement: Vec<String>,
        /// Run folder of the black-box attacker's substitute for the target: adds each attack made on it.
        #[arg(long)]
        substitute: Option<PathBuf>,
        /// Which images; choices are made on the held-out ones, the test images are for reporting.
        #[arg(long, value_enum, default_value = "test")]
        split: SplitName,
        /// Only so many images, drawn by the seed.
        #[arg(long)]
        images: Option<usize>,
        /// Images for the costly attacks, PGD and CW.
        #[arg(long, default_value_t = 1000)]
        costly_images: usize,
        #[command(flatten)]
        attacks: Attacks,
        /// Images for the attacker who knows the defence; 0 leaves him out.
        #[arg(long, default_value_t = 1000)]
        adaptive_images: usize,
        #[command(flatten)]
        adaptive: Adaptive,
        #[command(flatten)]
        projection: Projection,
        /// Seed of targets, latent noise and the choice of images.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Results file, written after each row.
        #[arg(long)]
        out: PathBuf,
        /// Go on from the file at --out, if there is one: what it has of the same question is kept.
        #[arg(long)]
        resume: bool,
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
        /// How a classifier's weights are stored.
        #[arg(long, value_enum, default_value = "f32")]
        weights: Weights,
    },
    /// Write an untrained purifier as an ONNX file: for measuring speed, and nothing else.
    ExportUntrained {
        /// Which layers.
        #[arg(long, value_enum, default_value = "paper")]
        preset: Size,
        /// Side of the pictures, in pixels.
        #[arg(long, default_value_t = 28)]
        side: i64,
        /// Channels of the pictures: 1 or 3.
        #[arg(long, default_value_t = 1)]
        channels: i64,
        /// ONNX file to write.
        #[arg(long)]
        out: PathBuf,
        /// Layout of the graph.
        #[arg(long, value_enum, default_value = "shared")]
        form: Form,
    },
    /// Write attacked images: as frames for demonstrations, in turns clean and under each attack, or as arrays.
    Attack {
        #[command(flatten)]
        data: DataArgs,
        /// Run folder of the classifier that is attacked.
        #[arg(long)]
        target: PathBuf,
        #[command(flatten)]
        attacks: Attacks,
        /// Number of images.
        #[arg(long, default_value_t = 600)]
        images: usize,
        /// Seed of the choice of images and targets.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Frames of test images; the files are called `OUT-images.idx3-ubyte.gz` and so on.
        #[arg(long, required_unless_present_any = ["npz", "weights"])]
        out: Option<PathBuf>,
        /// Arrays `x`, `x_adv`, `y`, `y_target` and `parameters` of one attack, for NumPy.
        #[arg(long)]
        npz: Option<PathBuf>,
        /// Which images the arrays are of.
        #[arg(long, value_enum, default_value = "test")]
        split: SplitName,
        /// The target's parameters by name, for NumPy.
        #[arg(long)]
        weights: Option<PathBuf>,
    },
    /// Train a MagNet: an autoencoder of clean images.
    Magnet {
        /// Standard deviation of the Gaussian noise it learns from [default: the published, 0.1 for grey pictures and 0.025 for colour].
        #[arg(long)]
        noise: Option<f64>,
        #[command(flatten)]
        training: Training,
    },
    /// Train a black-box attacker's substitute on a target's answers, for `evaluate --substitute`.
    Substitute {
        #[command(flatten)]
        data: DataArgs,
        /// Run folder of the target classifier that answers.
        #[arg(long)]
        target: PathBuf,
        /// A defence in front of the target when it answers: a purifier's run folder, optionally as NAME=FOLDER.
        #[arg(long)]
        defence: Option<String>,
        #[command(flatten)]
        attacker: SubstituteConfig,
        /// Seed of everything drawn.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Folder for the run.
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
    /// Make the paper's tables and figures again, ours beside the paper's: trains what is missing, measures, writes one page.
    Reproduce {
        /// Which table or figure.
        #[arg(value_enum)]
        part: Part,
        #[command(flatten)]
        settings: Settings,
    },
    /// Train a purifier against a source classifier, or several.
    Puvae {
        /// Which layers and defaults.
        #[arg(long, value_enum, default_value = "lite")]
        preset: Preset,
        /// TOML file with fields that differ from the preset.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Run folder of the source classifier M_s; repeated, several share each batch.
        #[arg(long, required = true)]
        source: Vec<PathBuf>,
        /// Run folder of a purifier with the same layers, to begin with its weights.
        #[arg(long)]
        from: Option<PathBuf>,
        #[command(flatten)]
        training: Training,
    },
}

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let device = device::best();
    match cli.command {
        Command::Data { data, fetch, mirror } => {
            if fetch {
                publisher::fetch(&data.data.join(&data.dataset), &data.remotes(mirror)?)?;
            }
            describe(&data.load()?);
        }
        Command::Classifier { arch, adversarial_epsilon, adversarial_alpha, training } => {
            let adversarial =
                adversarial_epsilon.map(|epsilon| AdversarialTraining { alpha: adversarial_alpha, epsilon });
            runs::train_classifier(
                &training.data.load()?,
                arch,
                adversarial,
                training.schedule,
                training.place(),
                device,
            )?;
        }
        Command::Puvae { preset, config, source, from, training } => {
            let set = training.data.load()?;
            let preset = preset.config(&set);
            let config = config.map_or(Ok(preset.clone()), |path| with_file(&preset, &path))?;
            let sources = source.iter().map(|run| runs::load_classifier(run, device)).collect::<Result<Vec<_>>>()?;
            let from = from.map(|run| runs::load_puvae(&run, device)).transpose()?;
            runs::train_puvae(&set, config, &sources, from.as_ref(), training.schedule, training.place(), device)?;
        }
        Command::Magnet { noise, training } => {
            let set = training.data.load()?;
            let published = MagnetConfig::published(set.side_px, set.channels);
            let config = MagnetConfig { noise: noise.unwrap_or(published.noise), ..published };
            runs::train_magnet(&set, config, training.schedule, training.place(), device)?;
        }
        Command::Substitute { data, target, defence, attacker, seed, out } => {
            let set = data.load()?;
            let target = runs::load_classifier(&target, device)?;
            let defence =
                defence.map(|given| contestants::defence(&set, &given, Projection::default(), device)).transpose()?;
            let place = Place { out: &out, resume: false, seed };
            runs::substitute::train(&set, &target, defence.as_ref(), attacker, place, device)?;
        }
        Command::DefenseGan { training } => {
            runs::train_defense_gan(&training.data.load()?, training.schedule, training.place(), device)?;
        }
        Command::Evaluate {
            data,
            target,
            defence,
            replacement,
            substitute,
            split,
            images,
            costly_images,
            attacks,
            adaptive_images,
            adaptive,
            projection,
            seed,
            out,
            resume,
        } => {
            files::check_writable(&out)?;
            let set = data.load()?;
            let adaptive = (adaptive_images > 0).then(|| (adaptive.effort(&set), adaptive_images));
            let measures = Measures { attacks: attacks.kinds(&set)?, images, costly_images, adaptive, seed };
            let target = runs::load_classifier(&target, device)?;
            let substitute = substitute.map(|run| runs::load_classifier(&run, device)).transpose()?;
            let defences = defence.iter().map(|given| contestants::defence(&set, given, projection, device));
            let replacements = replacement.iter().map(|given| contestants::replacement(&set, given, device));
            let contestants: Vec<_> = defences.chain(replacements).collect::<Result<_>>()?;
            let participants =
                Participants { target: &target, substitute: substitute.as_ref(), contestants: &contestants };
            evaluate::run(
                &set,
                split.of(&set),
                participants,
                &measures,
                Destination { path: &out, resume: if resume { Resume::Same } else { Resume::Never } },
            )?;
        }
        Command::Export { data, run, out, form, weights } => {
            files::check_writable(&out)?;
            let kind = runs::kind(&run)?;
            ensure!(
                weights == Weights::F32 || kind == "classifier",
                "{}: a {kind}, and --weights int8 is for classifiers; leave it out",
                run.display()
            );
            let set = data.load()?;
            match kind.as_str() {
                "classifier" => export::classifier(&runs::load_classifier(&run, device)?, &set, weights, &out)?,
                "puvae" => export::puvae(&runs::load_puvae(&run, device)?, &set, form, &out)?,
                "magnet" => export::magnet(&runs::load_magnet(&run, device)?, &set, &out)?,
                other => {
                    bail!("{}: a run of a {other}; only classifiers, PuVAEs and MagNets are exported", run.display())
                }
            }
        }
        Command::ExportUntrained { preset, side, channels, out, form } => {
            files::check_writable(&out)?;
            export::untrained(preset, (channels, side), form, &out)?;
        }
        Command::Attack { data, target, attacks, images, seed, out, npz, split, weights } => {
            out.iter().chain(&npz).chain(&weights).try_for_each(|path| files::check_writable(path))?;
            let target = runs::load_classifier(&target, device)?;
            let set = data.load()?;
            let kinds = attacks.kinds(&set)?;
            ensure!(
                npz.is_none() || kinds.len() == 1,
                "--npz takes one attack, got {}; name it with --attacks",
                kinds.len()
            );
            if let Some(weights) = weights {
                npz::weights(&target.network, &weights)?;
            }
            if let Some(out) = out {
                frames::write(&target, &set, &kinds, images, seed, &out)?;
            }
            if let Some(path) = npz {
                let (attack, aim) = kinds[0];
                let (split, name) = split.of(&set);
                npz::attack(&target, &set, (&split.sample(images, seed), name), Plan { attack, aim, seed }, &path)?;
            }
        }
        Command::Reproduce { part, settings } => reproduce::run(part, &settings, device)?,
        Command::Table { files } => print!("{}", table::markdown(&table::read(&files)?)),
        Command::GoldenLayers { out } => golden::write_layers(&out)?,
    }
    Ok(())
}

fn describe(set: &DataSet) {
    let DataSet { name, classes, channels, side_px, train, held_out, test } = set;
    println!(
        "{name}: {side_px}×{side_px} pixels, {channels} channels, {} classes ({}), {} images to train on, {} held out, {} for testing",
        classes.len(),
        classes.join(", "),
        train.len(),
        held_out.len(),
        test.len()
    );
}

/// The preset with the fields of a TOML file on top.
fn with_file(preset: &PuvaeConfig, path: &Path) -> Result<PuvaeConfig> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{}: cannot read the configuration", path.display()))?;
    preset.with(&text).with_context(|| path.display().to_string())
}
