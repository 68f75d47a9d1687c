//! The commands that train a network.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use puvae_training::classifier::{AdversarialTraining, Architecture};
use puvae_training::defence::defense_gan::Projection;
use puvae_training::defence::magnet::MagnetConfig;
use puvae_training::evaluate::adaptive::Defended;
use puvae_training::evaluate::{Contestant, contestants};
use puvae_training::gan::GanSchedule;
use puvae_training::puvae::PuvaeConfig;
use puvae_training::runs::{self, Place};
use puvae_training::substitute::SubstituteConfig;
use tch::Device;

use super::args::{DataArgs, Preset, Training};

#[derive(Debug, Args)]
pub(super) struct Classifier {
    /// Which column of Table 1.
    #[arg(long, value_enum)]
    arch: Architecture,
    /// Train adversarially (Eq. 4), with attacks of this L∞ norm.
    #[arg(long)]
    adversarial_epsilon: Option<f64>,
    /// Weight of the clean pictures' loss in adversarial training.
    #[arg(long, default_value_t = 0.5, requires = "adversarial_epsilon")]
    adversarial_alpha: f64,
    /// Steps of those attacks: 1 is FGSM, as in the paper, more are projected gradient descent from a random start.
    #[arg(long, default_value_t = 1, requires = "adversarial_epsilon")]
    adversarial_steps: u32,
    #[command(flatten)]
    training: Training,
}

impl Classifier {
    pub(super) fn run(self, device: Device) -> Result<()> {
        let Self { arch, adversarial_epsilon, adversarial_alpha: alpha, adversarial_steps: steps, training } = self;
        let adversarial = adversarial_epsilon.map(|epsilon| AdversarialTraining { alpha, epsilon, steps });
        let set = training.data.load()?;
        runs::train_classifier(&set, arch, adversarial, training.schedule, training.place(), device)
    }
}

#[derive(Debug, Args)]
pub(super) struct DefenseGan {
    #[command(flatten)]
    training: Training<GanSchedule>,
}

impl DefenseGan {
    pub(super) fn run(self, device: Device) -> Result<()> {
        let training = self.training;
        runs::train_defense_gan(&training.data.load()?, training.schedule, training.place(), device)
    }
}

#[derive(Debug, Args)]
pub(super) struct Magnet {
    /// Standard deviation of the Gaussian noise it learns from [default: the published, 0.1 for grey pictures and 0.025 for colour].
    #[arg(long)]
    noise: Option<f64>,
    #[command(flatten)]
    training: Training,
}

impl Magnet {
    pub(super) fn run(self, device: Device) -> Result<()> {
        let Self { noise, training } = self;
        let set = training.data.load()?;
        let published = MagnetConfig::published(set.side_px, set.channels);
        let config = MagnetConfig { noise: noise.unwrap_or(published.noise), ..published };
        runs::train_magnet(&set, config, training.schedule, training.place(), device)
    }
}

#[derive(Debug, Args)]
pub(super) struct Puvae {
    /// Which layers and defaults.
    #[arg(long, value_enum, default_value = "lite")]
    preset: Preset,
    /// TOML file with fields that differ from the preset.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Run folder, or exported .onnx file, of the source classifier M_s; repeated, several share each batch.
    #[arg(long, required = true)]
    source: Vec<PathBuf>,
    /// Run folder, or exported .onnx file, of a purifier with the same layers, to begin with its weights.
    #[arg(long)]
    from: Option<PathBuf>,
    #[command(flatten)]
    training: Training,
}

impl Puvae {
    pub(super) fn run(self, device: Device) -> Result<()> {
        let Self { preset, config, source, from, training } = self;
        let set = training.data.load()?;
        let preset = preset.config(&set);
        let config = config.map_or(Ok(preset.clone()), |path| with_file(&preset, &path))?;
        let sources = source.iter().map(|run| runs::load_classifier(run, device)).collect::<Result<Vec<_>>>()?;
        let from = from.map(|run| runs::load_puvae(&run, device)).transpose()?;
        runs::train_puvae(&set, config, &sources, from.as_ref(), training.schedule, training.place(), device)
    }
}

/// The preset with the fields of a TOML file on top.
fn with_file(preset: &PuvaeConfig, path: &Path) -> Result<PuvaeConfig> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{}: cannot read the configuration", path.display()))?;
    preset.with(&text).with_context(|| path.display().to_string())
}

#[derive(Debug, Args)]
pub(super) struct Substitute {
    #[command(flatten)]
    data: DataArgs,
    /// Run folder, or exported .onnx file, of the target classifier that answers.
    #[arg(long)]
    target: PathBuf,
    /// A defence in front of the target when it answers: a purifier's run folder or exported file, or `binarise`, `median` or `class-mean`; optionally as NAME=PATH.
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
}

impl Substitute {
    pub(super) fn run(self, device: Device) -> Result<()> {
        let set = self.data.load()?;
        let target = runs::load_classifier(&self.target, device)?;
        let defence = |given: String| contestants::defence(&set, &given, Projection::default(), device);
        let defence = self.defence.map(defence).transpose()?;
        let bare = Defended { defence: None, classifier: &target.network };
        let victim = defence.as_ref().map_or(bare, |contestant| contestant.defending(&target.network));
        let origin = defence.as_ref().map(Contestant::origin);
        let place = Place { out: &self.out, resume: false, seed: self.seed };
        runs::substitute::train(&set, &target, (&victim, origin), self.attacker, place, device)
    }
}
