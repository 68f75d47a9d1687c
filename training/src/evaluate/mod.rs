//! What a defence is worth: accuracy on clean and attacked images, undefended and behind each defence.
//!
//! In the rows the attacker sees the target classifier only and does not know any defence (the paper's "white-box"); every
//! attack is made once and put before all defences. [`adaptive`] is the attacker who knows.

pub mod adaptive;
pub mod checks;
pub mod contestants;
mod judge;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::attack::{Aim, Attack, Victim};
use crate::classifier::{Classifier, correct};
use crate::data::{DataSet, Split, batches};
use crate::defence::Defence;
use crate::device;
use crate::files;
use crate::runs::{Trained, same_data};
use adaptive::{Effort, Outcome};
use judge::Judge;

/// The content of a results file; written by [`run`], never typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Version of this format.
    pub schema: u32,
    /// The command that made the file.
    pub command: String,
    /// The data set's name.
    pub dataset: String,
    /// `test`, or `held-out` for choices.
    pub split: String,
    /// Seed of targets, of latent noise, and of the choice of images where not all are used.
    pub seed: u64,
    /// What computed.
    pub device: String,
    /// The target classifier M_t: its configuration and seed.
    pub target: serde_json::Value,
    /// Each defence: its configuration, epochs and seed; `null` for one that is not trained.
    pub defences: BTreeMap<String, serde_json::Value>,
    /// A row for clean images, for random noise and for each attack.
    pub rows: Vec<Row>,
    /// What attackers who know a defence leave of it, by its name; `undefended` is M_t itself.
    pub adaptive: BTreeMap<String, Outcome>,
    /// Signs that the evaluation is broken; see [`checks`].
    pub warnings: Vec<String>,
    /// Wall time of the evaluation, in seconds.
    pub seconds: f64,
}

/// Accuracies under one attack, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// `clean`, `uniform-noise` (as large as the first attack), or an attack's name.
    pub attack: String,
    /// The attack's parameters; `null` without an attack.
    pub parameters: Option<Attack>,
    /// Number of images.
    pub n: usize,
    /// Share of images for which the attacker got what he wanted of the undefended classifier; `null` without an attack.
    pub attack_success: Option<f64>,
    /// Share of images at which the classifier's gradient is exactly zero; `null` without an attack.
    pub zero_gradient: Option<f64>,
    /// Mean L2 norm of the perturbation.
    pub mean_l2: f64,
    /// Mean L∞ norm of the perturbation.
    pub mean_linf: f64,
    /// M_t on the images as they are.
    pub undefended: f64,
    /// Behind each defence, by its name.
    pub defended: BTreeMap<String, Cell>,
}

/// One defence under one attack, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Right answers of all images.
    pub accuracy: f64,
    /// The defence's own choice y* (Eq. 21) as a classifier, if it makes one.
    pub y_star: Option<f64>,
    /// Images refused by the detector, whose threshold refuses 1 % of clean held-out images; `null` without a detector.
    pub rejected: Option<f64>,
    /// Right answers among the images that were not refused.
    pub accuracy_of_accepted: Option<f64>,
}

/// The row of random noise.
pub const NOISE: &str = "uniform-noise";

/// Images classified at a time.
const CLASSIFY_BATCH: usize = 500;

/// What answers in the place of the undefended classifier.
pub enum Guard {
    /// Stands in front of M_t.
    Defence(Box<dyn Defence>),
    /// Stands in its place: another classifier, or one that was trained adversarially.
    Replacement(Classifier),
}

/// A defence under evaluation.
pub struct Contestant {
    /// Its name in results.
    pub name: String,
    /// What it is.
    pub guard: Guard,
    /// How it was made; `null` if it was not trained.
    pub about: serde_json::Value,
}

/// What to measure, on how many images.
#[derive(Debug, Clone)]
pub struct Measures {
    /// The attacks, each on all images unless it is costly.
    pub attacks: Vec<(Attack, Aim)>,
    /// Images, `None` for all; fewer than all are drawn by the seed.
    pub images: Option<usize>,
    /// Images for PGD with restarts and CW.
    pub costly_images: usize,
    /// The attacker who knows, and on how many images; `None` leaves him out.
    pub adaptive: Option<(Effort, usize)>,
    /// Seed of everything drawn.
    pub seed: u64,
}

/// Evaluates a target and the defences on a named split; prints each row when known.
///
/// # Errors
/// When an attack's parameters are absurd, there are no images, or the target was trained on other data.
pub fn run(
    set: &DataSet,
    (split, split_name): (&Split, &str),
    target: &Trained<Classifier>,
    contestants: &[Contestant],
    measures: &Measures,
) -> Result<Results> {
    same_data(set, &target.header)?;
    let target_network = &target.network;
    let (found, seconds) = timed(|| -> Result<_> {
        let judge = Judge::new(target_network, contestants, &set.held_out, measures)?;
        let rows = judge.rows(split, measures, |row| println!("{}", lines(row)))?;
        let adaptive = judge.adaptive(split, measures)?;
        Ok((rows, adaptive))
    });
    let (rows, adaptive) = found?;
    let mut warnings = checks::of_rows(&rows);
    for (name, outcome) in &adaptive {
        warnings.extend(checks::of_outcome(name, outcome, &rows));
    }
    warnings.iter().for_each(|warning| println!("warning: {warning}"));
    let args = std::env::args().skip(1);
    Ok(Results {
        schema: 2,
        command: std::iter::once("puvae-train".to_owned()).chain(args).collect::<Vec<_>>().join(" "),
        dataset: set.name.clone(),
        split: split_name.into(),
        seed: measures.seed,
        device: device::name(split.device()),
        target: serde_json::to_value(&target.header)?,
        defences: contestants.iter().map(|contestant| (contestant.name.clone(), contestant.about.clone())).collect(),
        rows,
        adaptive,
        warnings,
        seconds,
    })
}

/// Accuracy on pictures `[N, C, H, W]`, in percent.
#[must_use]
pub fn accuracy(classifier: &Classifier, x: &Tensor, y: &Tensor) -> f64 {
    let right: f64 = batches(y.numel(), CLASSIFY_BATCH)
        .map(|range| {
            let (start, len) = (range.start as i64, range.len() as i64);
            tch::no_grad(|| correct(&classifier.logits(&x.narrow(0, start, len)), &y.narrow(0, start, len)))
        })
        .sum();
    100.0 * right / y.numel() as f64
}

/// Calls `work` and returns its result with the seconds it took.
#[expect(clippy::disallowed_methods, reason = "results tell how long they took")]
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

impl Results {
    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        files::replace(path, (text + "\n").as_bytes())
    }
}

/// A row for people: a line for the target, and one for each defence.
#[must_use]
pub fn lines(row: &Row) -> String {
    let percent = |value: Option<f64>| value.map_or("    –".into(), |value| format!("{value:5.2}"));
    let mut text = format!(
        "{:22} n {:5}  mean L2 {:5.2}  L∞ {:.3}   undefended {:5.2} %",
        row.attack, row.n, row.mean_l2, row.mean_linf, row.undefended
    );
    for (name, cell) in &row.defended {
        text += &format!(
            "\n    {name:24} {:5.2} %   y* {} %   rejected {} %, of the rest right {} %",
            cell.accuracy,
            percent(cell.y_star),
            percent(cell.rejected),
            percent(cell.accuracy_of_accepted)
        );
    }
    text
}
