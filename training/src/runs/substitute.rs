//! Runs of a black-box attacker's substitute: which oracle it learned from, and for which target it may stand.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Device;

use super::{CLASSIFIER, Place, Recipe, Trained, as_known, same_data};
use crate::attack::Victim;
use crate::checkpoint::{Header, first_difference};
use crate::classifier::{Architecture, Classifier, ClassifierConfig};
use crate::data::DataSet;
use crate::files;
use crate::fit::Schedule;
use crate::nn::params::Params;
use crate::random;
use crate::resumable::{self, Run};
use crate::substitute::{Attacker, Oracle, SubstituteConfig};

/// How a substitute came about; part of its checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What the attacker did.
    pub attacker: SubstituteConfig,
    /// What identifies the target that answered.
    pub target: Value,
    /// What stood in front of the target, its name and how it was made; `null` for a bare target.
    pub defence: Option<Value>,
    /// Number of pictures that were asked about.
    pub queries: usize,
    /// Share of held-out images, none of them asked about, on which substitute and oracle say the same, in percent.
    pub agreement: f64,
}

/// Trains a substitute (architecture E) on the answers of `victim`, which is `target` with or without a `defence` (its name and
/// how it was made) in front, and writes it as a classifier's run.
///
/// # Errors
/// When the configuration is absurd, the target was trained on other data, a run is there already, or a file cannot be written.
pub fn train(
    set: &DataSet,
    target: &Trained<Classifier>,
    (victim, defence): (&dyn Victim, Option<Value>),
    attacker: SubstituteConfig,
    place: Place<'_>,
    device: Device,
) -> Result<()> {
    random::check_streams(place.seed, 1)?;
    same_data(set, &target.header)?;
    let architecture = Architecture::E;
    architecture.check_side(set.side_px)?;
    let path = Run::checkpoint(place.out);
    ensure!(!path.exists(), "{}: a run is there already; choose another --out", path.display());
    files::check_writable(&path)?;
    let network = ClassifierConfig::new(architecture, set.side_px, set.channels, set.class_count());
    let substitute = Classifier::new(network.clone(), Params::new(place.seed, device));
    let oracle = Oracle::new(victim);
    let mut learned = Attacker::new(&substitute, &oracle, &set.held_out, attacker, place.seed)?.learn()?;
    let origin = Origin {
        attacker,
        target: target.identity(),
        defence,
        queries: oracle.queries(),
        agreement: learned.agreement,
    };
    let schedule = Schedule { epochs: attacker.all_epochs(), batch: attacker.batch, rate: attacker.rate };
    let recipe = Recipe { substitute: Some(origin), ..Recipe::new(network, schedule) };
    let run = place.run(CLASSIFIER, set, &recipe)?;
    resumable::write(&run, &learned.log, &[(&substitute.params, &mut learned.adam)])
}

/// Refuses a classifier that is no substitute of `target`.
///
/// # Errors
/// When it did not learn from a target's answers, or from those of another target: names the first difference.
pub fn check(substitute: &Header, target: &Trained<Classifier>) -> Result<()> {
    let origin = substitute.config.get("substitute").with_context(|| {
        "--substitute is a classifier that learned from data, expected one that learned from the target's answers; train one with `puvae-train substitute`"
    })?;
    let origin: Origin = serde_json::from_value(origin.clone()).context("--substitute is a run of another version")?;
    let mut expected = target.identity();
    as_known(&mut expected, &origin.target);
    if let Some((field, expected, found)) = first_difference(&expected, &origin.target, "") {
        bail!(
            "--substitute learned from another target: {field} is {found} there, expected {expected}; train one with `puvae-train substitute` and this --target"
        );
    }
    Ok(())
}
