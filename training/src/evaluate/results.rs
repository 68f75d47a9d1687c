//! The results file: what was asked, and the answers so far.
//!
//! It is written after each answer, so that an evaluation that was killed can go on: what answers the same question is kept.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::adaptive::Outcome;
use super::checks;
use crate::attack::Attack;
use crate::files;

/// The key of what was asked of the attacker who knows, in [`Results::measures`].
pub(super) const ADAPTIVE: &str = "adaptive";

/// Version of the format that [`super::run`] writes. Version 2 had no `finished`, `measures`, `substitute` and `seconds` of single answers.
pub const SCHEMA: u32 = 3;

/// The content of a results file; written by [`super::run`], never typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Version of this format.
    pub schema: u32,
    /// Whether the last command got to its end. Defences that it did not ask for may lack cells of rows that it measured anew.
    #[serde(default = "finished")]
    pub finished: bool,
    /// Version of the crate that measured; empty before it was told.
    #[serde(default)]
    pub crate_version: String,
    /// The command that began the file, without `--resume`.
    pub command: String,
    /// The data set's name.
    pub dataset: String,
    /// `test`, or `held-out` for choices.
    pub split: String,
    /// SHA-256 of the split's labels and pictures in their order, 64 hex digits; empty before it was told.
    #[serde(default)]
    pub images_sha256: String,
    /// Seed of targets, of latent noise, and of the choice of images where not all are used.
    pub seed: u64,
    /// What computed.
    pub device: String,
    /// The target classifier M_t: its configuration and seed.
    pub target: serde_json::Value,
    /// The black-box attacker's substitute: its configuration, and in `config.substitute` the answers it learned from; `null` where none
    /// takes part.
    #[serde(default)]
    pub substitute: serde_json::Value,
    /// Each defence: its configuration, epochs and seed; `null` for one that is not trained.
    pub defences: BTreeMap<String, serde_json::Value>,
    /// How many clean held-out images the detectors' thresholds reject 1 % of, the first ones; 0 before it was told, when it was as many
    /// as the row of clean images has.
    #[serde(default)]
    pub calibrated_on: usize,
    /// What was asked for: the attacks with their parameters, and the numbers of images; `null` in version 2.
    #[serde(default)]
    pub measures: serde_json::Value,
    /// A row for clean images, for random noise and for each attack, on the target and on its substitute.
    pub rows: Vec<Row>,
    /// What attackers who know a defence leave of it, by its name; `undefended` is M_t itself.
    pub adaptive: BTreeMap<String, Outcome>,
    /// Signs that the evaluation is broken, as they were looked for when the file was written; see [`Results::signs`].
    pub warnings: Vec<String>,
    /// Wall time of all rows and outcomes, in seconds.
    pub seconds: f64,
}

/// Accuracies under one attack, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// `clean`, `uniform-noise` (as large as the first attack), or an attack's name, with `black-box-` in front where it was made on the substitute.
    pub attack: String,
    /// The attack's parameters; `null` without an attack.
    pub parameters: Option<Attack>,
    /// Number of images.
    pub n: usize,
    /// Share of images for which the attacker got what he wanted of the undefended classifier; `null` without an attack.
    pub attack_success: Option<f64>,
    /// Share of images at which the attacked classifier's gradient is exactly zero; `null` without an attack.
    pub zero_gradient: Option<f64>,
    /// Mean L2 norm of the perturbation.
    pub mean_l2: f64,
    /// Mean L∞ norm of the perturbation.
    pub mean_linf: f64,
    /// M_t on the images as they are.
    pub undefended: f64,
    /// Behind each defence, by its name.
    pub defended: BTreeMap<String, Cell>,
    /// Wall time of this row, in seconds; 0 in version 2, which did not tell.
    #[serde(default)]
    pub seconds: f64,
}

/// One defence under one attack, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Right answers of all images.
    pub accuracy: f64,
    /// The defence's own choice y* (Eq. 21) as a classifier, if it makes one.
    pub y_star: Option<f64>,
    /// Images rejected by the detector; `null` without one. See [`Results::calibrated_on`].
    pub rejected: Option<f64>,
    /// Right answers among the images that were not rejected.
    pub accuracy_of_accepted: Option<f64>,
}

/// Points of accuracy, and parts of the mean L2 norm, by which an attack that is made again may come out otherwise: another machine adds up
/// floats in another order.
const ROUNDING: (f64, f64) = (0.2, 1e-3);

/// Version 2 was written in one piece.
fn finished() -> bool {
    true
}

impl Results {
    /// Reads a file of this version or of version 2.
    ///
    /// # Errors
    /// When it cannot be read or is not a results file.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{}: cannot read the results", path.display()))?;
        serde_json::from_str(&text).with_context(|| {
            format!("{}: not a results file of this version of `puvae-train evaluate`; evaluate again", path.display())
        })
    }

    /// Brings what follows from the answers up to date, and writes the file in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&mut self, path: &Path) -> Result<()> {
        self.warnings = self.signs();
        let rows = self.rows.iter().map(|row| row.seconds);
        self.seconds = rows.chain(self.adaptive.values().map(|outcome| outcome.seconds)).sum();
        let text = serde_json::to_string_pretty(self)?;
        files::replace(path, (text + "\n").as_bytes())
    }

    /// Signs that the evaluation is broken, those looked for today.
    #[must_use]
    pub fn signs(&self) -> Vec<String> {
        let outcomes = self.adaptive.iter().flat_map(|(name, outcome)| checks::of_outcome(name, outcome, &self.rows));
        let others = [checks::of_sources(&self.target, &self.defences), checks::of_rows(&self.rows)];
        others.into_iter().flatten().chain(outcomes).collect()
    }

    /// The row of this name.
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.attack == name)
    }

    /// Puts a row in the place of the one of its name, or at the end.
    pub(super) fn put(&mut self, row: Row) {
        match self.rows.iter_mut().find(|there| there.attack == row.attack) {
            Some(there) => *there = row,
            None => self.rows.push(row),
        }
    }
}

impl Row {
    /// Whether `again`, the same attack made again, made the same pictures, as far as its figures tell.
    pub(super) fn is_of_pictures_like(&self, again: &Self) -> bool {
        let (points, part) = ROUNDING;
        let near = |a: f64, b: f64| (a - b).abs() <= points;
        let success = |row: &Self| row.attack_success.unwrap_or(0.0);
        self.n == again.n
            && near(self.undefended, again.undefended)
            && near(success(self), success(again))
            && (self.mean_l2 - again.mean_l2).abs() <= part * self.mean_l2
    }

    /// The row for people: a line for the target, and one for each defence.
    #[must_use]
    pub fn lines(&self) -> String {
        let percent = |value: Option<f64>| value.map_or("    –".into(), |value| format!("{value:5.2}"));
        let mut text = format!(
            "{:22} n {:5}  mean L2 {:5.2}  L∞ {:.3}   undefended {:5.2} %",
            self.attack, self.n, self.mean_l2, self.mean_linf, self.undefended
        );
        for (name, cell) in &self.defended {
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
}

impl Cell {
    pub(super) fn of(accuracy: f64) -> Self {
        Self { accuracy, y_star: None, rejected: None, accuracy_of_accepted: None }
    }
}
