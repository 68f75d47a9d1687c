//! Runs: what is trained under which name, and how to get it back.

mod provenance;
mod stored;
pub mod substitute;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Device;

use crate::checkpoint::Header;
use crate::classifier::{AdversarialTraining, Architecture, Classifier, ClassifierConfig, ClassifierTask, Sources};
use crate::data::DataSet;
use crate::defence::magnet::{Magnet, MagnetConfig, MagnetTask};
use crate::fit::{Schedule, fit};
use crate::gan::{Critic, GanConfig, GanSchedule, GanTask, Generator};
use crate::nn::params::Params;
use crate::puvae::{Puvae, PuvaeConfig, PuvaeTask};
use crate::resumable::{self, Run};
use provenance::tells_held_out;
pub use provenance::{are_alike, as_known, same_data, sources};
pub use stored::{Stored, load_classifier, load_puvae};
use substitute::Origin;

/// Held-out images that each epoch of a purifier ends with a look at.
const VALIDATION_IMAGES: usize = 2_000;

/// Kinds of runs.
pub(crate) const CLASSIFIER: &str = "classifier";
const PUVAE: &str = "puvae";
pub(crate) const MAGNET: &str = "magnet";
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
    pub source: Option<Value>,
    /// The run whose weights it began with, if it did not begin with random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// For a black-box attacker's substitute, the answers it learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute: Option<Origin>,
}

impl<C, S> Recipe<C, S> {
    /// Of a network that learned from the data alone.
    fn new(network: C, schedule: S) -> Self {
        Self { network, schedule, source: None, from: None, substitute: None }
    }
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
            classes: set.classes.clone(),
            held_out_sha256: set.held_out.sha256(),
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
    let plain = ClassifierConfig::new(architecture, set.side_px, set.channels, set.class_count());
    let network = ClassifierConfig { adversarial, ..plain };
    let classifier = Classifier::new(network.clone(), Params::new(place.seed, device));
    let run = place.run(CLASSIFIER, set, &Recipe::new(network, schedule))?;
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
    for (field, configured, data) in [
        ("side_px", config.side_px, set.side_px),
        ("channels", config.channels, set.channels),
        ("classes", config.classes, set.class_count()),
    ] {
        ensure!(
            configured == data,
            "{field} is {configured}, but {} has {data}; leave {field} out of --config",
            set.name
        );
    }
    ensure!(!sources.is_empty(), "no source classifier, expected at least one");
    sources.iter().try_for_each(|source| same_data(set, &source.header))?;
    let puvae = Puvae::new(config.clone(), Params::new(place.seed, device));
    if let Some(from) = from {
        same_data(set, &from.header)?;
        puvae.params.copy_from(&from.network.params.all()).context("--from is a run of another network")?;
    }
    let identities: Vec<_> = sources.iter().map(Trained::identity).collect();
    let recipe = Recipe {
        source: Some(if let [only] = &identities[..] { only.clone() } else { identities.into() }),
        from: from.map(Trained::history),
        ..Recipe::new(config, schedule)
    };
    let mut run = place.run(PUVAE, set, &recipe)?;
    if from.is_some_and(|from| !tells_held_out(set, &from.header)) {
        run.header.held_out_sha256.clear(); // what it began with may have learned from some of these
    }
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
    let run = place.run(MAGNET, set, &Recipe::new(config, schedule))?;
    eprintln!("magnet: {} parameters", magnet.params.count());
    fit(&MagnetTask { magnet: &magnet, held_out: &set.held_out }, &set.train, &schedule, &run)
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
    let recipe = Recipe::new(network, schedule);
    let run = place.run_of(DEFENSE_GAN, set, &recipe, schedule.epochs())?;
    eprintln!("{DEFENSE_GAN}: {} parameters, its critic {}", generator.params.count(), critic.params.count());
    resumable::train(&mut task, &run)
}
