//! The networks that the paper's experiments are made of: found by name, or trained.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tch::Device;

use crate::attack::substitute::SubstituteConfig;
use crate::checkpoint::Checkpoint;
use crate::classifier::{AdversarialTraining, Architecture, Classifier};
use crate::data::DataSet;
use crate::defence::magnet::MagnetConfig;
use crate::fit::Schedule;
use crate::gan::GanSchedule;
use crate::paper;
use crate::puvae::{PuvaeConfig, Size};
use crate::resumable::Run;
use crate::runs::{self, Place, Trained};

/// Seed of classifiers A and C; all else has seed 1, so that a target and its source share neither the weights they began
/// with nor the order of the images.
const FIRST_TARGET_SEED: u64 = 2;
/// Weight of the clean pictures in adversarial training (Eq. 4).
const ALPHA: f64 = 0.5;
/// Training images of a quick run.
pub(super) const QUICK_IMAGES: usize = 5_000;
/// Images a step of a quick run.
const QUICK_BATCH: usize = 64;

/// A network of the experiments, with the target classifier that it is for where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// A classifier of Table 1.
    Classifier(Architecture),
    /// The target, trained by Eq. 4.
    Adversarial(Architecture),
    /// MagNet.
    Magnet,
    /// Defense-GAN's generator.
    DefenseGan,
    /// The black-box attacker's substitute for the target.
    Substitute(Architecture),
    /// A purifier that learned from the target's counterpart and never saw the target.
    Puvae(Size, Architecture),
}

/// Where networks are looked for.
#[derive(Debug)]
pub(super) struct Zoo<'a> {
    /// The data they learn from.
    pub(super) set: &'a DataSet,
    /// Folder of runs: `RUNS/DATASET-NETWORK`.
    pub(super) runs: &'a Path,
    /// Folder of exported files: `SHIPPED/DATASET-NETWORK.onnx`.
    pub(super) shipped: &'a Path,
    /// Whether what is missing is trained; without, it is left out.
    pub(super) train: bool,
    /// Whether one epoch on a few images is enough.
    pub(super) quick: bool,
    /// Where to train.
    pub(super) device: Device,
}

/// The classifiers that a purifier for `target` learns from. In colour `lite` needs several, or it paints what only one of them
/// reads; then it saw neither C nor D, and is for both.
#[must_use]
fn sources_for(size: Size, target: Architecture) -> Vec<Architecture> {
    match (size, target) {
        (Size::Lite, Architecture::C | Architecture::D) => vec![Architecture::A, Architecture::B, Architecture::E],
        _ => vec![source_for(target)],
    }
}

/// The other classifier of the paper's pair: the source of a purifier for `target`.
#[must_use]
pub(super) fn source_for(target: Architecture) -> Architecture {
    match target {
        Architecture::A => Architecture::B,
        Architecture::B | Architecture::E => Architecture::A,
        Architecture::C => Architecture::D,
        Architecture::D => Architecture::C,
    }
}

impl Network {
    /// The name of its run, without the data set's; the purifier for the first target of a data set needs no target's name.
    #[must_use]
    pub(super) fn name(self) -> String {
        match self {
            Self::Classifier(architecture) => architecture.name().into(),
            Self::Adversarial(architecture) => format!("adversarial-{}", architecture.letter()),
            Self::Magnet => "magnet".into(),
            Self::DefenseGan => "defense-gan".into(),
            Self::Substitute(target) => format!("substitute-of-{}", target.letter()),
            Self::Puvae(size, target) => {
                let second = matches!((size, target), (_, Architecture::B) | (Size::Paper, Architecture::D));
                let size = if size == Size::Paper { "paper" } else { "lite" };
                let target = if second { format!("-for-{}", target.letter()) } else { String::new() };
                format!("puvae-{size}{target}")
            }
        }
    }
}

impl Zoo<'_> {
    /// The network's run, its exported file, or else a run trained now; `None` where it may not be trained. A run that was
    /// cut off is finished first, if it may.
    ///
    /// # Errors
    /// As training.
    pub(super) fn find(&self, network: Network) -> Result<Option<PathBuf>> {
        let name = format!("{}-{}", self.set.name, network.name());
        let (run, file) = (self.runs.join(&name), self.shipped.join(format!("{name}.onnx")));
        let checkpoint = Run::checkpoint(&run);
        if checkpoint.exists() {
            let header = Checkpoint::load(&checkpoint)?.header;
            if !self.train || header.epoch == header.epochs {
                return Ok(Some(run));
            }
        } else if file.exists() && !self.quick {
            return Ok(Some(file));
        }
        if !self.train {
            eprintln!("note: neither {} nor {} is there; left out", run.display(), file.display());
            return Ok(None);
        }
        self.train(network, &run)?;
        Ok(Some(run))
    }

    fn train(&self, network: Network, out: &Path) -> Result<()> {
        eprintln!("{}: training", out.display());
        let (set, device) = (self.set, self.device);
        let seed = if matches!(network, Network::Classifier(Architecture::A | Architecture::C)) {
            FIRST_TARGET_SEED
        } else {
            1
        };
        let place = Place { out, resume: true, seed };
        let schedule = self.schedule(network);
        match network {
            Network::Classifier(architecture) => {
                runs::train_classifier(set, architecture, None, schedule, place, device)
            }
            Network::Adversarial(architecture) => {
                let epsilon = paper::strength(set.channels).epsilon;
                let adversarial = AdversarialTraining { alpha: ALPHA, epsilon };
                runs::train_classifier(set, architecture, Some(adversarial), schedule, place, device)
            }
            Network::Magnet => {
                runs::train_magnet(set, MagnetConfig::published(set.side_px, set.channels), schedule, place, device)
            }
            Network::DefenseGan => {
                let published = GanSchedule::default();
                let few = GanSchedule { iterations: 2, checkpoint_every: 1, ..published };
                runs::train_defense_gan(set, if self.quick { few } else { published }, place, device)
            }
            Network::Substitute(target) => {
                let target = self.classifier(target)?;
                let attacker = SubstituteConfig::default();
                let few = SubstituteConfig { rounds: 1, epochs: 1, ..attacker };
                runs::substitute::train(set, &target, None, if self.quick { few } else { attacker }, place, device)
            }
            Network::Puvae(size, target) => {
                let config = PuvaeConfig::preset(size, set.side_px, set.channels, set.class_count());
                let sources = sources_for(size, target).into_iter().map(|source| self.classifier(source));
                runs::train_puvae(set, config, &sources.collect::<Result<Vec<_>>>()?, None, schedule, place, device)
            }
        }
    }

    /// A classifier that is needed for something else.
    ///
    /// # Errors
    /// When it is missing and may not be trained.
    pub(super) fn classifier(&self, architecture: Architecture) -> Result<Trained<Classifier>> {
        let found = self.find(Network::Classifier(architecture))?;
        let run = found.with_context(|| {
            format!("{}: no {}; train it by leaving out --no-training", self.set.name, architecture.name())
        })?;
        runs::load_classifier(&run, self.device)
    }

    /// How long each is trained.
    fn schedule(&self, network: Network) -> Schedule {
        let grey = self.set.channels == 1;
        let (epochs, batch, rate) = match network {
            Network::Classifier(Architecture::B) => (8, 128, 1e-3),
            Network::Classifier(_) | Network::Adversarial(_) => (10, 128, 1e-3),
            Network::Magnet => (if grey { 100 } else { 400 }, 256, 1e-3),
            Network::Puvae(Size::Paper, _) => (10, 128, 1e-3),
            // Their schedules are those of the attacker and of the generator.
            Network::Substitute(_) | Network::DefenseGan => (1, 128, 1e-3),
            Network::Puvae(Size::Lite, _) => (if grey { 14 } else { 50 }, 128, 2e-3),
        };
        if self.quick { Schedule { epochs: 1, batch: QUICK_BATCH, rate } } else { Schedule { epochs, batch, rate } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purifier_is_named_after_the_target_it_never_saw() {
        assert_eq!(Network::Puvae(Size::Lite, Architecture::A).name(), "puvae-lite");
        assert_eq!(Network::Puvae(Size::Paper, Architecture::D).name(), "puvae-paper-for-d");
        assert_eq!(Network::Puvae(Size::Lite, Architecture::D).name(), "puvae-lite", "it saw neither C nor D");
        assert_eq!(Network::Adversarial(Architecture::B).name(), "adversarial-b");
        for target in [Architecture::A, Architecture::B, Architecture::C, Architecture::D] {
            for size in [Size::Paper, Size::Lite] {
                assert!(!sources_for(size, target).contains(&target));
            }
            assert_eq!(source_for(source_for(target)), target);
        }
    }
}
