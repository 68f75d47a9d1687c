//! What a defence is worth: accuracy on clean and attacked images, undefended and defended.
//!
//! The attacker sees the target classifier only and does not know the purifier (the paper's "white-box").

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::attack::{self, Attack, Victim};
use crate::classifier::{Classifier, correct};
use crate::data::{DataSet, Split, batches};
use crate::device;
use crate::puvae::Puvae;
use crate::runs::{Trained, same_data};

/// The content of a results file; written by [`run`], never typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// Version of this format.
    pub schema: u32,
    /// The command that made the file.
    pub command: String,
    /// The data set's name.
    pub dataset: String,
    /// `test`, or `held-out` for choices.
    pub split: String,
    /// Number of images; every figure is over all of them.
    pub n: usize,
    /// Seed of targets and latent noise.
    pub seed: u64,
    /// What computed.
    pub device: String,
    /// The target classifier M_t: its configuration and seed.
    pub target: serde_json::Value,
    /// The purifier: its configuration, epochs and seed; `null` without one.
    pub purifier: Option<serde_json::Value>,
    /// A row for clean images and for each attack.
    pub rows: Vec<Row>,
    /// Wall time of the evaluation, in seconds.
    pub seconds: f64,
}

/// Accuracies under one attack, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// `clean`, `fgsm`, `ifgsm-40` …
    pub attack: String,
    /// The attack's parameters; `null` for clean images.
    pub parameters: Option<Attack>,
    /// Share of attacks that reached their target class on the undefended classifier; `null` for clean images.
    pub attack_success: Option<f64>,
    /// Mean L2 norm of the perturbation.
    pub mean_l2: f64,
    /// Mean L∞ norm of the perturbation.
    pub mean_linf: f64,
    /// M_t on the images as they are.
    pub undefended: f64,
    /// M_t on the purified images.
    pub defended: Option<f64>,
    /// The purifier's own selection y* (Eq. 21) as a classifier.
    pub y_star: Option<f64>,
}

/// What is evaluated.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The target classifier M_t.
    pub target: &'a Classifier,
    /// The purifier in front of it.
    pub purifier: Option<&'a Puvae>,
    /// The images.
    pub split: &'a Split,
    /// Seed of targets and latent noise.
    pub seed: u64,
}

/// Evaluates a target, with a purifier in front if there is one, on a named split; prints each row when known.
///
/// # Errors
/// As [`rows`], and when a network was trained on other data.
pub fn run(
    set: &DataSet,
    (split, split_name): (&Split, &str),
    target: &Trained<Classifier>,
    purifier: Option<&Trained<Puvae>>,
    attacks: &[Attack],
    seed: u64,
) -> Result<Results> {
    same_data(set, &target.header)?;
    if let Some(purifier) = purifier {
        same_data(set, &purifier.header)?;
    }
    let subject = Subject { target: &target.network, purifier: purifier.map(|trained| &trained.network), split, seed };
    let (rows, seconds) = timed(|| rows(&subject, attacks, |row| println!("{}", line(row))));
    Ok(Results {
        schema: 1,
        command: std::iter::once("puvae-train".to_owned())
            .chain(std::env::args().skip(1))
            .collect::<Vec<_>>()
            .join(" "),
        dataset: set.name.as_str().into(),
        split: split_name.into(),
        n: split.len(),
        seed,
        device: device::name(split.all().y.device()),
        target: serde_json::to_value(&target.header)?,
        purifier: purifier.map(|trained| serde_json::to_value(&trained.header)).transpose()?,
        rows: rows?,
        seconds,
    })
}

/// A row for the clean images and one for each attack; each is handed to `report` as soon as it is known.
///
/// # Errors
/// When an attack's parameters are absurd or there are no images.
pub fn rows(subject: &Subject<'_>, attacks: &[Attack], mut report: impl FnMut(&Row)) -> Result<Vec<Row>> {
    let clean = subject.split.all();
    let mut rows = vec![row(subject, "clean", &clean.x)];
    report(&rows[0]);
    for &kind in attacks {
        let adversarial =
            attack::run(subject.target, kind, subject.split, subject.target.config.classes, subject.seed)?;
        let row = Row {
            parameters: Some(kind),
            attack_success: Some(100.0 * adversarial.success),
            mean_l2: adversarial.mean_l2,
            mean_linf: adversarial.mean_linf,
            ..row(subject, &adversarial.name, &adversarial.x)
        };
        report(&row);
        rows.push(row);
    }
    Ok(rows)
}

fn row(subject: &Subject<'_>, attack: &str, x: &Tensor) -> Row {
    let y = subject.split.all().y;
    let purified = subject.purifier.map(|purifier| purifier.purify_all(x, subject.seed as i64));
    let y_star = purified.as_ref().map(|purified| {
        100.0 * purified.label.eq_tensor(&y).to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
    });
    Row {
        attack: attack.into(),
        parameters: None,
        attack_success: None,
        mean_l2: 0.0,
        mean_linf: 0.0,
        undefended: accuracy(subject.target, x, &y),
        defended: purified.map(|purified| accuracy(subject.target, &purified.frames, &y)),
        y_star,
    }
}

/// Accuracy on pictures `[N, C, H, W]`, in percent.
fn accuracy(classifier: &Classifier, x: &Tensor, y: &Tensor) -> f64 {
    let right: f64 = batches(y.numel(), 500)
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
        std::fs::write(path, text + "\n").with_context(|| format!("{}: cannot write the results", path.display()))
    }
}

/// One line for people.
#[must_use]
pub fn line(row: &Row) -> String {
    let percent = |value: Option<f64>| value.map_or("    –".into(), |value| format!("{value:5.2}"));
    format!(
        "{:10} undefended {:5.2} %   defended {} %   y* {} %   mean L2 {:.2}  L∞ {:.3}",
        row.attack,
        row.undefended,
        percent(row.defended),
        percent(row.y_star),
        row.mean_l2,
        row.mean_linf
    )
}
