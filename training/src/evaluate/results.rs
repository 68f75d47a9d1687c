//! The results file: what was asked, and the answers so far.
//!
//! It is written after each answer, so that an evaluation that was killed can go on: what answers the same question is kept.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::adaptive::Outcome;
use super::checks;
use crate::attack::Attack;
use crate::checkpoint::first_difference;
use crate::files;
use crate::runs::as_known;

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
    /// Whether everything asked for is there.
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
    /// What was asked for: the attacks with their parameters, and the numbers of images; `null` in version 2.
    #[serde(default)]
    pub measures: serde_json::Value,
    /// A row for clean images, for random noise and for each attack, on the target and on its substitute.
    pub rows: Vec<Row>,
    /// What attackers who know a defence leave of it, by its name; `undefended` is M_t itself.
    pub adaptive: BTreeMap<String, Outcome>,
    /// Signs that the evaluation is broken; see [`checks`].
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
    /// Images refused by the detector, whose threshold refuses 1 % of the first clean held-out images, as many as there are test images; `null` without a detector.
    pub rejected: Option<f64>,
    /// Right answers among the images that were not refused.
    pub accuracy_of_accepted: Option<f64>,
}

/// Where results are written.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The file.
    pub path: &'a Path,
    /// What becomes of a file there.
    pub resume: Resume,
}

/// What becomes of the results that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Finished ones are replaced, unfinished ones refused.
    Never,
    /// Those of the same question are kept, others refused; defences may be added.
    Same,
    /// Those of the same question are kept, others replaced, with a note that names the first difference; they are set aside beside it
    /// ([`files::set_aside`]). Where only the attacker who knows is to try otherwise, the rows are kept and his outcomes replaced. Defences
    /// that were made in another way are measured anew, and those that are not asked for keep what they have.
    SameOrAnew,
}

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

    /// This question with the answers that are at the destination already: none without `resume`.
    ///
    /// # Errors
    /// When the file there answers another question, or is not finished and would be overwritten.
    pub(super) fn begin(self, at: Destination<'_>) -> Result<Self> {
        let there = at.path.metadata().is_ok_and(|file| file.len() > 0);
        match (there, at.resume) {
            (true, Resume::Same) => self.go_on(at),
            (true, Resume::SameOrAnew) => self.clone().go_on(at).or_else(|difference| {
                eprintln!("note: {difference:#}; measuring anew");
                files::set_aside(at.path)?;
                Ok(self)
            }),
            (true, Resume::Never) => {
                let found =
                    Self::read(at.path).context("it would be overwritten; choose another --out, or delete it")?;
                ensure!(
                    found.finished,
                    "{}: an evaluation that was not finished is there; go on with --resume, choose another --out, or delete it",
                    at.path.display()
                );
                Ok(self)
            }
            (false, _) => Ok(self),
        }
    }

    fn go_on(mut self, at: Destination<'_>) -> Result<Self> {
        let path = at.path;
        let mut found = Self::read(path)?;
        ensure!(
            found.schema == self.schema,
            "{}: results of version {}, expected {}; evaluate again without --resume",
            path.display(),
            found.schema,
            self.schema
        );
        self.as_known_to(&mut found);
        let tries_otherwise = at.resume == Resume::SameOrAnew && self.measures[ADAPTIVE] != found.measures[ADAPTIVE];
        if tries_otherwise {
            found.measures[ADAPTIVE].clone_from(&self.measures[ADAPTIVE]);
        }
        if let Some((field, expected, found)) = first_difference(&self.question()?, &found.question()?, "") {
            bail!(
                "{}: results of another question: {field} is {found} there, expected {expected}; only the options of that evaluation go on with it",
                path.display()
            );
        }
        for (name, about) in found.defences.clone() {
            let asked = self.defences.get(&name);
            if asked == Some(&about) {
                continue;
            }
            ensure!(
                at.resume == Resume::SameOrAnew,
                "{}: results with {name}, which is not asked for or was made in another way; defences may be added, not left out or exchanged",
                path.display()
            );
            if asked.is_none() {
                eprintln!("note: {}: keeps what it has of {name}", path.display());
                self.defences.insert(name, about);
                continue;
            }
            eprintln!("note: {}: {name} was made in another way; measuring it anew", path.display());
            for row in &mut found.rows {
                row.defended.remove(&name);
            }
            found.adaptive.remove(&name);
            found.defences.remove(&name);
        }
        if tries_otherwise {
            eprintln!("note: {}: other attackers who know the defences; measuring these anew", path.display());
            found.adaptive.clear();
        }
        // A command that adds defences names the others too.
        let same = found.defences == self.defences && !tries_otherwise;
        let command = if same { found.command } else { self.command };
        let mut results = Self { command, rows: found.rows, adaptive: found.adaptive, ..self };
        if tries_otherwise {
            files::set_aside(path)?;
            results.save(path)?;
        }
        Ok(results)
    }

    /// Leaves out of the question what a file from before it was told cannot say.
    fn as_known_to(&mut self, found: &mut Self) {
        if found.images_sha256.is_empty() {
            found.images_sha256.clone_from(&self.images_sha256);
        }
        as_known(&mut self.target, &found.target);
        as_known(&mut self.substitute, &found.substitute);
        for (name, about) in &mut self.defences {
            found.defences.get(name).into_iter().for_each(|earlier| as_known(about, earlier));
        }
    }

    /// The content without its answers and without who was asked: two files with the same question can be one.
    fn question(&self) -> Result<serde_json::Value> {
        Ok(serde_json::to_value(Self {
            finished: false,
            command: String::new(),
            defences: BTreeMap::new(),
            rows: Vec::new(),
            adaptive: BTreeMap::new(),
            warnings: Vec::new(),
            seconds: 0.0,
            ..self.clone()
        })?)
    }

    /// Brings what follows from the answers up to date, and writes the file in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&mut self, path: &Path) -> Result<()> {
        self.warnings = checks::of_sources(&self.target, &self.defences);
        self.warnings.extend(checks::of_rows(&self.rows));
        for (name, outcome) in &self.adaptive {
            self.warnings.extend(checks::of_outcome(name, outcome, &self.rows));
        }
        let rows = self.rows.iter().map(|row| row.seconds);
        self.seconds = rows.chain(self.adaptive.values().map(|outcome| outcome.seconds)).sum();
        let text = serde_json::to_string_pretty(self)?;
        files::replace(path, (text + "\n").as_bytes())
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
