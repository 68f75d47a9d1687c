//! Groups of options that several commands share.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use puvae_training::attack::{Aim, Attack, names};
use puvae_training::data::publisher::{self, Remote};
use puvae_training::data::{DataSet, Shape, Split};
use puvae_training::evaluate::adaptive::{Effort, Thorough};
use puvae_training::fit::Schedule;
use puvae_training::paper::Strength;
use puvae_training::puvae::{PuvaeConfig, Size};
use puvae_training::runs::Place;
use puvae_training::{device, paper};

#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// Folder that holds the data sets' folders.
    #[arg(long)]
    pub(super) data: PathBuf,
    /// Which data set: the name of its folder.
    #[arg(long)]
    pub(super) dataset: String,
    #[command(flatten)]
    pub(super) shape: Shape,
}

impl DataArgs {
    pub(super) fn remotes(&self, mirror: Option<String>) -> Result<Vec<Remote>> {
        let mut remotes = publisher::published(&self.dataset)?;
        if let Some(mirror) = mirror {
            remotes.iter_mut().for_each(|remote| remote.base = mirror.trim_end_matches('/').into());
        }
        Ok(remotes)
    }

    pub(super) fn load(&self) -> Result<DataSet> {
        DataSet::load(&self.data, &self.dataset, self.shape, device::best())
    }
}

/// Layers and defaults of a purifier.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Preset {
    /// The network and the loss of the paper.
    Paper,
    /// Ours, small enough to be shipped.
    Lite,
    /// `lite` on pictures whose every pixel is made black or white first, for such as MNIST.
    LiteQuantised,
}

impl Preset {
    pub(super) fn config(self, set: &DataSet) -> PuvaeConfig {
        let of = |size| PuvaeConfig::preset(size, set.side_px, set.channels, set.class_count());
        match self {
            Self::Paper => of(Size::Paper),
            Self::Lite => of(Size::Lite),
            Self::LiteQuantised => of(Size::Lite).quantised(),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SplitName {
    HeldOut,
    Test,
}

impl SplitName {
    pub(super) fn of(self, set: &DataSet) -> (&Split, &'static str) {
        match self {
            Self::HeldOut => (&set.held_out, "held-out"),
            Self::Test => (&set.test, "test"),
        }
    }
}

/// The attacker who knows the defence.
#[derive(Debug, Args)]
pub(super) struct Adaptive {
    /// Bound of the L∞ norm of the attack that knows the defence [default: the paper's].
    #[arg(long)]
    pub(super) adaptive_epsilon: Option<f64>,
    /// Size of one of its steps; a quarter of it in the second half of the steps [default: a tenth of the bound, as in the paper].
    #[arg(long)]
    pub(super) adaptive_alpha: Option<f64>,
    /// Its steps from each start.
    #[arg(long, default_value_t = 40)]
    pub(super) adaptive_steps: u32,
    /// Its random starts.
    #[arg(long, default_value_t = 5)]
    pub(super) adaptive_restarts: u32,
    /// He goes on with what is left: every wrong class in turn, also from random starts and by Auto-PGD, pictures made on the other defences, a search without gradients.
    #[arg(long)]
    pub(super) adaptive_thorough: bool,
    /// Queries of that search (Square Attack) for each image.
    #[arg(long, default_value_t = 5000)]
    pub(super) adaptive_queries: u32,
}

impl Adaptive {
    pub(super) fn effort(&self, set: &DataSet) -> Effort {
        let Strength { epsilon, alpha } = strength(set, self.adaptive_epsilon, self.adaptive_alpha);
        let thorough = self.adaptive_thorough.then_some(Thorough { queries: self.adaptive_queries });
        Effort { epsilon, alpha, steps: self.adaptive_steps, restarts: self.adaptive_restarts, thorough }
    }
}

/// What was asked for, otherwise as in the paper.
fn strength(set: &DataSet, epsilon: Option<f64>, alpha: Option<f64>) -> Strength {
    let usual = epsilon.map_or_else(|| paper::strength(set.channels), Strength::within);
    Strength { alpha: alpha.unwrap_or(usual.alpha), ..usual }
}

#[derive(Debug, Args)]
pub(super) struct Attacks {
    /// Attacks by name: fgsm, ifgsm-STEPS, pgd-STEPSxSTARTS, cw-api, cw-tutorial, cw-defense-gan, each also with untargeted- in front.
    #[arg(long, value_delimiter = ',', default_value = "fgsm,ifgsm-10,ifgsm-40")]
    pub(super) attacks: Vec<String>,
    /// Bound of the attacks' L∞ norm [default: the paper's, 0.3 for grey pictures and 0.06 for colour].
    #[arg(long)]
    pub(super) epsilon: Option<f64>,
    /// Size of a step of iFGSM and PGD [default: a tenth of the bound, as in the paper: 0.03 of 0.3].
    #[arg(long)]
    pub(super) alpha: Option<f64>,
}

impl Attacks {
    pub(super) fn kinds(&self, set: &DataSet) -> Result<Vec<(Attack, Aim)>> {
        let Strength { epsilon, alpha } = strength(set, self.epsilon, self.alpha);
        self.attacks.iter().map(|name| names::parse(name, epsilon, alpha)).collect()
    }
}

#[derive(Debug, Args)]
pub(super) struct Training<S: Args = Schedule> {
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// Folder for the run: checkpoint, log and curves.
    #[arg(long)]
    pub(super) out: PathBuf,
    /// Go on from the checkpoint in --out, if there is one.
    #[arg(long)]
    pub(super) resume: bool,
    /// Seed of everything drawn.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) schedule: S,
}

impl<S: Args> Training<S> {
    pub(super) fn place(&self) -> Place<'_> {
        Place { out: &self.out, resume: self.resume, seed: self.seed }
    }
}
