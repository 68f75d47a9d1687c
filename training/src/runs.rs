//! Runs: what is trained under which name, and how to get it back.

pub mod substitute;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::Device;

use crate::checkpoint::{Checkpoint, Header};
use crate::classifier::{AdversarialTraining, Architecture, Classifier, ClassifierConfig, ClassifierTask, Sources};
use crate::data::DataSet;
use crate::defence::magnet::{Magnet, MagnetConfig, MagnetTask};
use crate::fit::{Schedule, fit};
use crate::gan::{Critic, GanConfig, GanSchedule, GanTask, Generator};
use crate::import;
use crate::nn::int8::Weights;
use crate::nn::params::Params;
use crate::puvae::{Puvae, PuvaeConfig, PuvaeTask};
use crate::resumable::{self, Run};
use substitute::Origin;

/// Held-out images that each epoch of a purifier ends with a look at.
const VALIDATION_IMAGES: usize = 2_000;

/// What runs of a Defense-GAN are called.
pub(crate) const DEFENSE_GAN: &str = "defense-gan";

/// What a checkpoint's configuration holds: the network and how it was trained.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe<C, S = Schedule> {
    /// The network.
    pub network: C,
    /// How long and how fast.
    pub schedule: S,
    /// For a purifier, the source classifier it learned from; an array of them where it learned from several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<serde_json::Value>,
    /// The run whose weights it began with, if it did not begin with random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<serde_json::Value>,
    /// For a black-box attacker's substitute, the answers it learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute: Option<Origin>,
}

/// A network read back from its run.
#[derive(Debug)]
pub struct Trained<T> {
    /// The network, frozen.
    pub network: T,
    /// What the checkpoint says of itself.
    pub header: Header,
}

/// Where to train, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Folder of the run.
    pub out: &'a Path,
    /// Go on from the checkpoint there.
    pub resume: bool,
    /// Seed of everything drawn.
    pub seed: u64,
}

impl Place<'_> {
    fn run<C: Serialize + DeserializeOwned>(&self, kind: &str, set: &DataSet, recipe: &Recipe<C>) -> Result<Run> {
        self.run_of(kind, set, recipe, recipe.schedule.epochs)
    }

    fn run_of<R: Serialize + DeserializeOwned>(
        &self,
        kind: &str,
        set: &DataSet,
        recipe: &R,
        epochs: u32,
    ) -> Result<Run> {
        let header = Header {
            kind: kind.into(),
            dataset: set.name.clone(),
            config: serde_json::to_value(recipe)?,
            seed: self.seed,
            epochs,
            epoch: 0,
        };
        Ok(Run { out: self.out.into(), resume: self.resume, header, reread: resumable::reread::<R> })
    }
}

/// Trains a classifier.
///
/// # Errors
/// As [`fit`].
pub fn train_classifier(
    set: &DataSet,
    architecture: Architecture,
    adversarial: Option<AdversarialTraining>,
    schedule: Schedule,
    place: Place<'_>,
    device: Device,
) -> Result<()> {
    architecture.check_side(set.side_px)?;
    adversarial.as_ref().map_or(Ok(()), AdversarialTraining::check)?;
    let network = ClassifierConfig {
        architecture,
        side_px: set.side_px,
        channels: set.channels,
        classes: set.class_count(),
        adversarial,
        weights: Weights::F32,
    };
    let classifier = Classifier::new(network.clone(), Params::new(place.seed, device));
    let run =
        place.run("classifier", set, &Recipe { network, schedule, source: None, from: None, substitute: None })?;
    eprintln!("{}: {} parameters", architecture.name(), classifier.params.count());
    fit(&ClassifierTask { classifier: &classifier, held_out: &set.held_out }, &set.train, &schedule, &run)
}

/// Trains a purifier against source classifiers, of which the paper has one.
///
/// # Errors
/// As [`fit`], and when the configuration is absurd or a source was trained on other data.
pub fn train_puvae(
    set: &DataSet,
    config: PuvaeConfig,
    sources: &[Trained<Classifier>],
    from: Option<&Trained<Puvae>>,
    schedule: Schedule,
    place: Place<'_>,
    device: Device,
) -> Result<()> {
    config.check()?;
    ensure!(!sources.is_empty(), "no source classifier, expected at least one");
    sources.iter().try_for_each(|source| same_data(set, &source.header))?;
    let puvae = Puvae::new(config.clone(), Params::new(place.seed, device));
    if let Some(from) = from {
        same_data(set, &from.header)?;
        puvae.params.copy_from(&from.network.params.all()).context("--from is a run of another network")?;
    }
    for source in sources {
        ensure!(
            config.classes == source.network.config.classes,
            "classes is {}, but the source classifier has {}",
            config.classes,
            source.network.config.classes
        );
    }
    let identities: Vec<_> = sources.iter().map(|source| identity(&source.header)).collect();
    let recipe = Recipe {
        network: config,
        schedule,
        source: Some(if let [only] = &identities[..] { only.clone() } else { identities.into() }),
        from: from.map(|from| identity(&from.header)),
        substitute: None,
    };
    let run = place.run("puvae", set, &recipe)?;
    eprintln!(
        "puvae: {} parameters, {:.1} million multiply-adds a picture, effective β {:.3}",
        puvae.params.count(),
        puvae.multiply_adds() as f64 / 1e6,
        puvae.config.effective_beta()
    );
    let sources = Sources(sources.iter().map(|source| &source.network).collect());
    let task = PuvaeTask::new(&puvae, sources, set.held_out.first(VALIDATION_IMAGES))?;
    fit(&task, &set.train, &schedule, &run)
}

/// What identifies a trained network: its configuration, how it was trained, and from which seed.
#[must_use]
pub fn identity(trained: &Header) -> serde_json::Value {
    json!({
        "config": trained.config["network"],
        "schedule": trained.config["schedule"],
        "epochs_done": trained.epoch,
        "seed": trained.seed
    })
}

/// The sources that a purifier learned from, by the header of its checkpoint: one, several, or none of what is no purifier.
pub fn sources(header: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    let source = &header["config"]["source"];
    let one = source.is_object().then_some(source);
    source.as_array().into_iter().flatten().chain(one)
}

/// Reads a classifier back.
///
/// # Errors
/// When there is no checkpoint in `out`, or one of something else.
pub fn load_classifier(out: &Path, device: Device) -> Result<Trained<Classifier>> {
    let (path, checkpoint) = load(out)?;
    let recipe: Recipe<ClassifierConfig> = checkpoint.config(&path, "classifier")?;
    let network = Classifier::new(recipe.network, Params::new(0, device));
    fill(&network.params, &checkpoint, &path)?;
    Ok(Trained { network, header: checkpoint.header })
}

/// Reads a purifier back.
///
/// # Errors
/// When there is no checkpoint in `out`, or one of something else.
pub fn load_puvae(out: &Path, device: Device) -> Result<Trained<Puvae>> {
    let (path, checkpoint) = load(out)?;
    let recipe: Recipe<PuvaeConfig> = checkpoint.config(&path, "puvae")?;
    recipe.network.check().with_context(|| format!("{}: the configuration in the checkpoint", path.display()))?;
    let network = Puvae::new(recipe.network, Params::new(0, device));
    fill(&network.params, &checkpoint, &path)?;
    Ok(Trained { network, header: checkpoint.header })
}

fn fill(params: &Params, checkpoint: &Checkpoint, path: &Path) -> Result<()> {
    params
        .copy_from(&checkpoint.params)
        .with_context(|| format!("{}: not the network it says it is", path.display()))?;
    params.freeze();
    Ok(())
}

/// Trains a MagNet's reformer.
///
/// # Errors
/// As [`fit`], and when the configuration is absurd.
pub fn train_magnet(
    set: &DataSet,
    config: MagnetConfig,
    schedule: Schedule,
    place: Place<'_>,
    device: Device,
) -> Result<()> {
    config.check()?;
    let magnet = Magnet::new(config.clone(), Params::new(place.seed, device));
    let run =
        place.run("magnet", set, &Recipe { network: config, schedule, source: None, from: None, substitute: None })?;
    eprintln!("magnet: {} parameters", magnet.params.count());
    fit(&MagnetTask { magnet: &magnet, held_out: &set.held_out }, &set.train, &schedule, &run)
}

/// Reads a MagNet back.
///
/// # Errors
/// When there is no checkpoint in `out`, or one of something else.
pub fn load_magnet(out: &Path, device: Device) -> Result<Trained<Magnet>> {
    let (path, checkpoint) = load(out)?;
    let recipe: Recipe<MagnetConfig> = checkpoint.config(&path, "magnet")?;
    recipe.network.check().with_context(|| format!("{}: the configuration in the checkpoint", path.display()))?;
    let network = Magnet::new(recipe.network, Params::new(0, device));
    fill(&network.params, &checkpoint, &path)?;
    Ok(Trained { network, header: checkpoint.header })
}

/// Trains a generator, with its critic, for Defense-GAN.
///
/// # Errors
/// As [`resumable::train`], and when the pictures have a size that it cannot make, or the schedule is absurd.
pub fn train_defense_gan(set: &DataSet, schedule: GanSchedule, place: Place<'_>, device: Device) -> Result<()> {
    let network = GanConfig::published(set.side_px, set.channels);
    network.check()?;
    let generator = Generator::new(network.clone(), Params::new(place.seed, device));
    let critic = Critic::new(network.clone(), Params::new(place.seed, device));
    let mut task = GanTask::new((&generator, &critic), schedule, (&set.train, &set.held_out), place.seed)?;
    let recipe = Recipe { network, schedule, source: None, from: None, substitute: None };
    let run = place.run_of(DEFENSE_GAN, set, &recipe, schedule.epochs())?;
    eprintln!("{DEFENSE_GAN}: {} parameters, its critic {}", generator.params.count(), critic.params.count());
    resumable::train(&mut task, &run)
}

/// Reads a Defense-GAN's generator back.
///
/// # Errors
/// When there is no checkpoint in `out`, or one of something else.
pub fn load_defense_gan(out: &Path, device: Device) -> Result<Trained<Generator>> {
    let (path, checkpoint) = load(out)?;
    let recipe: Recipe<GanConfig, GanSchedule> = checkpoint.config(&path, DEFENSE_GAN)?;
    recipe.network.check().with_context(|| format!("{}: the configuration in the checkpoint", path.display()))?;
    let network = Generator::new(recipe.network, Params::new(0, device));
    fill(&network.params, &checkpoint, &path)?;
    Ok(Trained { network, header: checkpoint.header })
}

/// What the run in `out` trained: `classifier`, `puvae`, `magnet` or `defense-gan`.
///
/// # Errors
/// When there is no checkpoint in `out`.
pub fn kind(out: &Path) -> Result<String> {
    Ok(load(out)?.1.header.kind)
}

/// The checkpoint of a run's folder, or of an exported `.onnx` file.
fn load(out: &Path) -> Result<(std::path::PathBuf, Checkpoint)> {
    if out.extension().is_some_and(|ending| ending == "onnx") {
        return Ok((out.into(), import::checkpoint(out)?));
    }
    let path = Run::checkpoint(out);
    let checkpoint = Checkpoint::load(&path).with_context(|| format!("{}: no run to read", out.display()))?;
    if checkpoint.header.epoch < checkpoint.header.epochs {
        eprintln!(
            "note: {} stopped after {} of {} epochs; go on with --resume",
            out.display(),
            checkpoint.header.epoch,
            checkpoint.header.epochs
        );
    }
    Ok((path, checkpoint))
}

/// Refuses a network that was trained on other data than `set`, as far as its header tells: another data set, pictures of
/// another size, other channels, or another number of classes.
///
/// # Errors
/// Names what differs.
pub fn same_data(set: &DataSet, header: &Header) -> Result<()> {
    ensure!(
        header.dataset == set.name,
        "the {} was trained on {}, expected {}; give a run of the same data set",
        header.kind,
        header.dataset,
        set.name
    );
    let network = &header.config["network"];
    for (field, here) in [("side_px", set.side_px), ("channels", set.channels), ("classes", set.class_count())] {
        let there = network[field].as_i64();
        ensure!(
            there.is_none_or(|there| there == here),
            "the {} was trained on {} with {field} {}, but {field} is {here} now; read the pictures with the --side, --channels and class folders of that run",
            header.kind,
            set.name,
            network[field]
        );
    }
    Ok(())
}
