//! What a defence is worth: accuracy on clean and attacked images, undefended and defended.
//!
//! The attacker sees the target classifier only and does not know the purifier (the paper's "white-box").

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::attack::{self, Attack, Victim};
use crate::checkpoint::Header;
use crate::classifier::{Classifier, correct};
use crate::data::{DataSet, Split, batches};
use crate::defence::{percent_right, purify_all};
use crate::device;
use crate::files;
use crate::progress;
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
    /// Whether M_t is the very network that the purifier learned from.
    pub target_is_source: bool,
    /// The purifier: its configuration, epochs and seed; `null` without one.
    pub purifier: Option<serde_json::Value>,
    /// A row for clean images, for random noise and for each attack.
    pub rows: Vec<Row>,
    /// Signs that the evaluation is broken; see [`warnings`].
    pub warnings: Vec<String>,
    /// Wall time of the evaluation, in seconds.
    pub seconds: f64,
}

/// Accuracies under one attack, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// `clean`, `uniform-noise` (as large as the first attack), `fgsm`, `ifgsm-40` …
    pub attack: String,
    /// The attack's parameters; `null` without an attack.
    pub parameters: Option<Attack>,
    /// Share of attacks that reached their target class on the undefended classifier; `null` without an attack.
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

/// The row of random noise.
const NOISE: &str = "uniform-noise";

/// Images classified at a time.
const CLASSIFY_BATCH: usize = 500;

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
    let rows = rows?;
    let warnings = warnings(&rows);
    warnings.iter().for_each(|warning| println!("warning: {warning}"));
    let args = std::env::args().skip(1);
    Ok(Results {
        schema: 1,
        command: std::iter::once("puvae-train".to_owned()).chain(args).collect::<Vec<_>>().join(" "),
        dataset: set.name.as_str().into(),
        split: split_name.into(),
        n: split.len(),
        seed,
        device: device::name(split.device()),
        target: serde_json::to_value(&target.header)?,
        target_is_source: purifier.is_some_and(|purifier| is_source(&target.header, &purifier.header)),
        purifier: purifier.map(|trained| serde_json::to_value(&trained.header)).transpose()?,
        rows,
        warnings,
        seconds,
    })
}

fn is_source(target: &Header, purifier: &Header) -> bool {
    let source = &purifier.config["source"];
    source["config"] == target.config["network"] && source["seed"] == target.seed
}

/// Signs that an evaluation is broken (Carlini et al., "On Evaluating Adversarial Robustness", 2019), looked for
/// on the undefended classifier, which is what the attacker sees.
#[must_use]
pub fn warnings(rows: &[Row]) -> Vec<String> {
    let left = |name: &str| rows.iter().find(|row| row.attack == name).map(|row| row.undefended);
    let mut found = Vec::new();
    let mut iterative: Vec<(u32, f64)> = rows
        .iter()
        .filter_map(|row| match row.parameters {
            Some(Attack::IFgsm { steps, .. }) => Some((steps, row.undefended)),
            _ => None,
        })
        .collect();
    iterative.sort_unstable_by_key(|attack| attack.0);
    if let (Some(fgsm), Some(&(steps, most))) = (left("fgsm"), iterative.last())
        && fgsm < most
    {
        found.push(format!("one step leaves {fgsm:.2} %, {steps} steps leave {most:.2} %: a single step should not be the stronger attack"));
    }
    for pair in iterative.windows(2) {
        if pair[1].1 > pair[0].1 {
            found.push(format!(
                "{} steps leave {:.2} %, {} steps {:.2} %: more steps do not help the attacker",
                pair[0].0, pair[0].1, pair[1].0, pair[1].1
            ));
        }
    }
    for row in rows.iter().filter(|row| row.parameters.is_some()) {
        if left(NOISE).is_some_and(|noise| noise <= row.undefended) {
            found.push(format!("uniform noise of the same size does as much as {}", row.attack));
        }
    }
    found
}

/// A row for the clean images, one for random noise of the first attack's size, and one for each attack; each is handed to `report` as soon as it is known.
///
/// # Errors
/// When an attack's parameters are absurd or there are no images.
pub fn rows(subject: &Subject<'_>, attacks: &[Attack], mut report: impl FnMut(&Row)) -> Result<Vec<Row>> {
    ensure!(!subject.split.is_empty(), "no images to evaluate on; --images must be at least 1");
    attacks.iter().try_for_each(Attack::check)?;
    let clean = subject.split.all().x;
    let mut rows = vec![row(subject, "clean", &clean)];
    report(&rows[0]);
    if let Some(first) = attacks.first() {
        tch::manual_seed(subject.seed as i64);
        let noisy = (&clean + (clean.rand_like() * 2.0 - 1.0) * first.steps().epsilon).clamp(0.0, 1.0);
        let delta = (&noisy - &clean).flatten(1, -1);
        let mean = |norms: Tensor| norms.mean(Kind::Double).double_value(&[]);
        let row = Row {
            mean_l2: mean(delta.square().sum_dim_intlist(1, false, Kind::Float).sqrt()),
            mean_linf: mean(delta.abs().amax(1, false)),
            ..row(subject, NOISE, &noisy)
        };
        report(&row);
        rows.push(row);
    }
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
    let y = subject.split.labels();
    let purified = subject.purifier.map(|purifier| {
        let bar = progress::bar(&format!("purify {attack}"), subject.split.len());
        purify_all(purifier, x, subject.seed as i64, &bar)
    });
    let y_star = purified.as_ref().and_then(|cleaned| Some(percent_right(cleaned.label.as_ref()?, &y)));
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

/// One line for people.
#[must_use]
pub fn line(row: &Row) -> String {
    let percent = |value: Option<f64>| value.map_or("    –".into(), |value| format!("{value:5.2}"));
    format!(
        "{:13} undefended {:5.2} %   defended {} %   y* {} %   mean L2 {:.2}  L∞ {:.3}",
        row.attack,
        row.undefended,
        percent(row.defended),
        percent(row.y_star),
        row.mean_l2,
        row.mean_linf
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(attack: &str, parameters: Option<Attack>, undefended: f64) -> Row {
        Row {
            attack: attack.into(),
            parameters,
            attack_success: None,
            mean_l2: 0.0,
            mean_linf: 0.0,
            undefended,
            defended: None,
            y_star: None,
        }
    }

    fn rows(noise: f64, fgsm: f64, ten: f64, forty: f64) -> Vec<Row> {
        let iterative = |steps| Some(Attack::IFgsm { epsilon: 0.3, alpha: 0.03, steps });
        vec![
            row("clean", None, 92.0),
            row(NOISE, None, noise),
            row("fgsm", Some(Attack::Fgsm { epsilon: 0.3 }), fgsm),
            row("ifgsm-10", iterative(10), ten),
            row("ifgsm-40", iterative(40), forty),
        ]
    }

    #[test]
    fn a_sound_evaluation_has_no_warnings() {
        assert_eq!(warnings(&rows(60.0, 12.0, 3.0, 0.0)), [""; 0]);
    }

    #[test]
    fn each_sign_of_a_broken_evaluation_is_named() {
        let text = |rows: &[Row]| warnings(rows).join("\n");
        assert!(text(&rows(60.0, 2.0, 4.0, 3.0)).contains("one step leaves 2.00 %, 40 steps leave 3.00 %"));
        assert!(text(&rows(60.0, 12.0, 3.0, 5.0)).contains("10 steps leave 3.00 %, 40 steps 5.00 %"));
        assert!(text(&rows(11.0, 12.0, 3.0, 0.0)).contains("uniform noise of the same size does as much as fgsm"));
    }
}
