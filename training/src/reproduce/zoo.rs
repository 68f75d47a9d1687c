//! The networks that the paper's experiments are made of: found by name, or trained.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tch::Device;

use super::recipes::{self, Stage};
use crate::checkpoint::Header;
use crate::classifier::{AdversarialTraining, Architecture, Classifier};
use crate::data::DataSet;
use crate::defence::magnet::MagnetConfig;
use crate::fit::Schedule;
use crate::gan::GanSchedule;
use crate::paper;
use crate::puvae::{PuvaeConfig, Size};
use crate::resumable::Run;
use crate::runs::{self, Place, Trained};
use crate::substitute::SubstituteConfig;

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
    /// `lite` for that target with a quantised input.
    Quantised(Architecture),
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
    /// Seed of its training: no two classifiers share the weights that they begin with and the order of the images.
    #[must_use]
    fn seed(self) -> u64 {
        match self {
            Self::Classifier(Architecture::B) => 1,
            Self::Classifier(Architecture::A) => 2,
            Self::Classifier(Architecture::E) => 3,
            Self::Classifier(Architecture::C) => 4,
            Self::Classifier(Architecture::D) => 5,
            Self::Adversarial(_) => 6,
            Self::Substitute(_) => 7,
            _ => 1,
        }
    }

    /// The name of its run, without the data set's; the purifier for the first target of a data set needs no target's name.
    #[must_use]
    pub(super) fn name(self) -> String {
        match self {
            Self::Classifier(architecture) => architecture.name().into(),
            Self::Adversarial(architecture) => format!("adversarial-{}", architecture.letter()),
            Self::Magnet => "magnet".into(),
            Self::DefenseGan => "defense-gan".into(),
            Self::Substitute(target) => format!("substitute-of-{}", target.letter()),
            Self::Quantised(target) => {
                let lite = Self::Puvae(Size::Lite, target).name();
                lite.replace("puvae-lite", "puvae-lite-quantised")
            }
            Self::Puvae(size, target) => {
                let second = matches!((size, target), (_, Architecture::B) | (Size::Paper, Architecture::D));
                let size = if size == Size::Paper { "paper" } else { "lite" };
                let target = if second { format!("-for-{}", target.letter()) } else { String::new() };
                format!("puvae-{size}{target}")
            }
        }
    }
}

/// Where the stage of this index, counted from 0, of the purifier in `out` is: `OUT-stage-1`.
fn stage_folder(out: &Path, index: usize) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{name}-stage-{}", index + 1))
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
            let Header { epoch, epochs, .. } = Header::of(&checkpoint)?;
            let by_hand = epochs != self.epochs(network);
            if epoch < epochs && self.train && by_hand {
                eprintln!(
                    "note: {}: stopped after {epoch} of {epochs} epochs, which are not those of `reproduce`; used as it is, go on with --resume and its options",
                    run.display()
                );
            }
            if !self.train || epoch == epochs || by_hand {
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
        let place = Place { out, resume: true, seed: network.seed() };
        match network {
            Network::Classifier(architecture) => {
                runs::train_classifier(set, architecture, None, self.schedule(network), place, device)
            }
            Network::Adversarial(architecture) => {
                let epsilon = paper::strength(set.channels).epsilon;
                let adversarial = AdversarialTraining { alpha: ALPHA, epsilon, steps: 1 };
                runs::train_classifier(set, architecture, Some(adversarial), self.schedule(network), place, device)
            }
            Network::Magnet => {
                let config = MagnetConfig::published(set.side_px, set.channels);
                runs::train_magnet(set, config, self.schedule(network), place, device)
            }
            Network::DefenseGan => runs::train_defense_gan(set, self.gan_schedule(), place, device),
            Network::Substitute(target) => {
                let target = self.classifier(target)?;
                runs::substitute::train(set, &target, (&target.network, None), self.attacker(), place, device)
            }
            Network::Puvae(size, target) => self.train_puvae(size, target, place),
            Network::Quantised(target) => self.train_quantised(target, place),
        }
    }

    /// Trains it stage by stage; those before the last have folders of their own.
    fn train_puvae(&self, size: Size, target: Architecture, place: Place<'_>) -> Result<()> {
        let (set, device) = (self.set, self.device);
        let preset = PuvaeConfig::preset(size, set.side_px, set.channels, set.class_count());
        let recipe = recipes::of(&set.name, set.channels, size, target);
        let sources = recipe.sources.iter().map(|&source| self.classifier(source)).collect::<Result<Vec<_>>>()?;
        let count = recipe.stages.len();
        let mut from = None;
        for (index, stage) in recipe.stages.into_iter().enumerate() {
            let out = if index + 1 == count { place.out.into() } else { stage_folder(place.out, index) };
            let config = preset.with(stage.fields)?;
            let place = Place { out: &out, ..place };
            runs::train_puvae(set, config, &sources, from.as_ref(), self.shortened(stage.schedule), place, device)?;
            from = Some(runs::load_puvae(&out, device)?);
        }
        Ok(())
    }

    fn train_quantised(&self, target: Architecture, place: Place<'_>) -> Result<()> {
        let lite = self.find(Network::Puvae(Size::Lite, target))?.context("it is trained where it is missing")?;
        let from = runs::load_puvae(&lite, self.device)?;
        let set = self.set;
        let lite = PuvaeConfig::preset(Size::Lite, set.side_px, set.channels, set.class_count());
        let Stage { fields, schedule } = recipes::QUANTISED;
        let config = lite.quantised().with(fields)?;
        let sources = recipes::of(&set.name, set.channels, Size::Lite, target).sources;
        let sources = sources.into_iter().map(|source| self.classifier(source)).collect::<Result<Vec<_>>>()?;
        runs::train_puvae(set, config, &sources, Some(&from), self.shortened(schedule), place, self.device)
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

    /// How long a classifier or MagNet is trained.
    fn schedule(&self, network: Network) -> Schedule {
        let (epochs, batch) = match network {
            Network::Classifier(Architecture::B) => (8, 128),
            Network::Magnet => (if self.set.channels == 1 { 100 } else { 400 }, 256),
            _ => (10, 128),
        };
        self.shortened(Schedule { epochs, batch, rate: 1e-3 })
    }

    fn shortened(&self, schedule: Schedule) -> Schedule {
        if self.quick { Schedule { epochs: 1, batch: QUICK_BATCH, ..schedule } } else { schedule }
    }

    fn gan_schedule(&self) -> GanSchedule {
        let published = GanSchedule::default();
        if self.quick { GanSchedule { iterations: 2, checkpoint_every: 1, ..published } } else { published }
    }

    fn attacker(&self) -> SubstituteConfig {
        let attacker = SubstituteConfig::default();
        if self.quick { SubstituteConfig { rounds: 1, epochs: 1, ..attacker } } else { attacker }
    }

    /// Epochs of the run of a network that is trained here, as its checkpoint counts them.
    fn epochs(&self, network: Network) -> u32 {
        match network {
            Network::DefenseGan => self.gan_schedule().epochs(),
            Network::Substitute(_) => self.attacker().all_epochs(),
            Network::Puvae(size, target) => {
                let stages = recipes::of(&self.set.name, self.set.channels, size, target).stages;
                stages.last().map_or(0, |stage| self.shortened(stage.schedule).epochs)
            }
            Network::Quantised(_) => self.shortened(recipes::QUANTISED.schedule).epochs,
            other => self.schedule(other).epochs,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tch::{Kind, Tensor};

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::data::Split;

    #[test]
    fn a_purifier_is_named_after_the_target_it_never_saw() {
        assert_eq!(Network::Puvae(Size::Lite, Architecture::A).name(), "puvae-lite");
        assert_eq!(Network::Puvae(Size::Paper, Architecture::D).name(), "puvae-paper-for-d");
        assert_eq!(Network::Puvae(Size::Lite, Architecture::D).name(), "puvae-lite", "it saw neither C nor D");
        assert_eq!(Network::Quantised(Architecture::B).name(), "puvae-lite-quantised-for-b");
        assert_eq!(Network::Adversarial(Architecture::B).name(), "adversarial-b");
        let architectures = [Architecture::A, Architecture::B, Architecture::C, Architecture::D];
        for target in architectures {
            assert_eq!(source_for(source_for(target)), target);
        }
        let classifiers = [Architecture::E].into_iter().chain(architectures).map(Network::Classifier);
        let seeds: BTreeSet<u64> = classifiers
            .chain([Network::Adversarial, Network::Substitute].map(|of| of(Architecture::A)))
            .map(Network::seed)
            .collect();
        assert_eq!(seeds.len(), 7, "no two began alike");
    }
    #[test]
    fn a_run_by_hand_that_was_cut_off_is_used_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let pictures =
            || Split::new(Tensor::zeros([2, 1, 28, 28], (Kind::Uint8, Device::Cpu)), Tensor::from_slice(&[0i64, 1]));
        let set = DataSet {
            name: "mnist".into(),
            classes: vec!["0".into(), "1".into()],
            channels: 1,
            side_px: 28,
            train: pictures(),
            held_out: pictures(),
            test: pictures(),
        };
        let zoo = Zoo {
            set: &set,
            runs: folder.path(),
            shipped: folder.path(),
            train: true,
            quick: false,
            device: Device::Cpu,
        };
        for network in [Network::Magnet, Network::DefenseGan, Network::Puvae(Size::Lite, Architecture::A)] {
            let run = folder.path().join(format!("mnist-{}", network.name()));
            std::fs::create_dir_all(&run).unwrap();
            let epochs = zoo.epochs(network) + 3;
            let header = Header { epochs, epoch: 2, ..Header::default() };
            Checkpoint::save(&Run::checkpoint(&run), &header, &[]).unwrap();
            assert_eq!(zoo.find(network).unwrap(), Some(run), "nothing is trained");
        }
    }
}
