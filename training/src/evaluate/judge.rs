//! Puts every attack before the target and all its defences.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use tch::{Kind, Tensor};

use super::adaptive::{self, Outcome, Stronghold};
use super::{CLASSIFY_BATCH, Cell, Contestant, Guard, Measures, NOISE, Row};
use crate::attack::{self, Attack, Plan, Victim};
use crate::classifier::Classifier;
use crate::data::{Split, batches};
use crate::defence::{Cleaned, percent_right, purify_all};
use crate::progress;

/// Share of clean held-out images that the detector lets pass.
const ACCEPTED_QUANTILE: f64 = 0.99;

/// A target and its defences, with the detectors' thresholds.
pub(super) struct Judge<'a> {
    target: &'a Classifier,
    contestants: &'a [Contestant],
    thresholds: Vec<Option<f64>>,
}

impl<'a> Judge<'a> {
    /// Calibrates the detectors on clean held-out images, as many as are evaluated.
    pub(super) fn new(
        target: &'a Classifier,
        contestants: &'a [Contestant],
        held_out: &Split,
        measures: &Measures,
    ) -> Result<Self> {
        let clean = held_out.first(measures.images.unwrap_or(usize::MAX));
        ensure!(!clean.is_empty(), "no held-out images to calibrate detectors on");
        let threshold = |contestant: &Contestant| {
            let Guard::Defence(defence) = &contestant.guard else { return None };
            let bar = progress::bar(&format!("calibrate {}", contestant.name), clean.len());
            let score = purify_all(defence.as_ref(), &clean.all().x, measures.seed as i64, &bar).score?;
            let quantile = score.to_kind(Kind::Double).quantile_scalar(ACCEPTED_QUANTILE, 0, false, "linear");
            Some(quantile.double_value(&[]))
        };
        let thresholds = contestants.iter().map(threshold).collect();
        Ok(Self { target, contestants, thresholds })
    }

    /// A row for the clean images, one for random noise of the first attack's size, and one for each attack; each is handed
    /// to `report` as soon as it is known.
    pub(super) fn rows(&self, split: &Split, measures: &Measures, mut report: impl FnMut(&Row)) -> Result<Vec<Row>> {
        let sample = |count: Option<usize>| {
            count.map_or_else(|| split.shallow_clone(), |count| split.sample(count, measures.seed))
        };
        let split = sample(measures.images);
        ensure!(!split.is_empty(), "no images to evaluate on; --images must be at least 1");
        measures.attacks.iter().try_for_each(|(attack, _)| attack.check())?;
        let mut rows = vec![self.row("clean", &split, &split.all().x, measures.seed)];
        report(&rows[0]);
        if let Some(epsilon) = measures.attacks.iter().find_map(|(attack, _)| attack.epsilon()) {
            rows.push(self.noise_row(&split, epsilon, measures.seed));
            report(&rows[1]);
        }
        let few = split.sample(measures.costly_images, measures.seed);
        for &(attack, aim) in &measures.attacks {
            let costly = matches!(attack, Attack::CarliniWagner { .. } | Attack::Pgd { .. });
            let split = if costly { &few } else { &split };
            let plan = Plan { attack, aim, seed: measures.seed };
            let adversarial = attack::run(self.target, plan, split, self.target.config.classes)?;
            let row = Row {
                parameters: Some(attack),
                attack_success: Some(100.0 * adversarial.success),
                zero_gradient: Some(100.0 * adversarial.zero_gradient),
                mean_l2: adversarial.mean_l2,
                mean_linf: adversarial.mean_linf,
                ..self.row(&adversarial.name, split, &adversarial.x, measures.seed)
            };
            report(&row);
            rows.push(row);
        }
        Ok(rows)
    }

    fn noise_row(&self, split: &Split, epsilon: f64, seed: u64) -> Row {
        let clean = split.all().x;
        tch::manual_seed(seed as i64);
        let noisy = (&clean + (clean.rand_like() * 2.0 - 1.0) * epsilon).clamp(0.0, 1.0);
        let delta = (&noisy - &clean).flatten(1, -1);
        let mean = |norms: Tensor| norms.mean(Kind::Double).double_value(&[]);
        Row {
            mean_l2: mean(delta.square().sum_dim_intlist(1, false, Kind::Float).sqrt()),
            mean_linf: mean(delta.abs().amax(1, false)),
            ..self.row(NOISE, split, &noisy, seed)
        }
    }

    fn row(&self, attack: &str, split: &Split, x: &Tensor, seed: u64) -> Row {
        let y = split.labels();
        let cells = self.contestants.iter().zip(&self.thresholds).map(|(contestant, &threshold)| {
            let cell = match &contestant.guard {
                Guard::Replacement(classifier) => Cell::of(percent_right(&answers(classifier, x), &y)),
                Guard::Defence(defence) => {
                    let bar = progress::bar(&format!("{} {attack}", contestant.name), split.len());
                    self.cell(&purify_all(defence.as_ref(), x, seed as i64, &bar), &y, threshold)
                }
            };
            (contestant.name.clone(), cell)
        });
        Row {
            attack: attack.into(),
            parameters: None,
            n: split.len(),
            attack_success: None,
            zero_gradient: None,
            mean_l2: 0.0,
            mean_linf: 0.0,
            undefended: percent_right(&answers(self.target, x), &y),
            defended: cells.collect(),
        }
    }

    fn cell(&self, cleaned: &Cleaned, y: &Tensor, threshold: Option<f64>) -> Cell {
        let answers = answers(self.target, &cleaned.frames);
        let mut cell = Cell::of(percent_right(&answers, y));
        cell.y_star = cleaned.label.as_ref().map(|label| percent_right(label, y));
        if let (Some(score), Some(threshold)) = (&cleaned.score, threshold) {
            let accepted = score.le(threshold).nonzero().squeeze_dim(1);
            let share = accepted.numel() as f64 / y.numel() as f64;
            cell.rejected = Some(100.0 * (1.0 - share));
            cell.accuracy_of_accepted = (accepted.numel() > 0)
                .then(|| percent_right(&answers.index_select(0, &accepted), &y.index_select(0, &accepted)));
        }
        cell
    }

    /// The attackers who know: one on M_t alone, one on each defence that has gradients.
    pub(super) fn adaptive(&self, split: &Split, measures: &Measures) -> Result<BTreeMap<String, Outcome>> {
        let Some((effort, images)) = measures.adaptive else { return Ok(BTreeMap::new()) };
        let split = split.sample(images, measures.seed);
        let undefended = Stronghold { defence: None, classifier: self.target };
        let guarded = self.contestants.iter().map(|contestant| {
            let stronghold = match &contestant.guard {
                Guard::Defence(defence) => Stronghold { defence: Some(defence.as_ref()), classifier: self.target },
                Guard::Replacement(classifier) => Stronghold { defence: None, classifier },
            };
            (contestant.name.as_str(), stronghold)
        });
        let mut outcomes = BTreeMap::new();
        for (name, stronghold) in std::iter::once(("undefended", undefended)).chain(guarded) {
            let outcome = adaptive::run(stronghold, name, &split, measures.seed, effort)?;
            println!("{}", outcome_line(name, &outcome));
            outcomes.insert(name.to_owned(), outcome);
        }
        Ok(outcomes)
    }
}

impl Cell {
    fn of(accuracy: f64) -> Self {
        Self { accuracy, y_star: None, rejected: None, accuracy_of_accepted: None }
    }
}

/// The classes `[N]` that a classifier says of pictures `[N, C, H, W]`.
fn answers(classifier: &Classifier, x: &Tensor) -> Tensor {
    let parts: Vec<Tensor> = batches(x.size()[0] as usize, CLASSIFY_BATCH)
        .map(|range| x.narrow(0, range.start as i64, range.len() as i64))
        .map(|x| tch::no_grad(|| classifier.logits(&x).argmax(1, false)))
        .collect();
    Tensor::cat(&parts, 0)
}

fn outcome_line(name: &str, outcome: &Outcome) -> String {
    let rows: Vec<String> = outcome.rows.iter().map(|row| format!("{} {:.1} %", row.attack, row.accuracy)).collect();
    format!(
        "attacker who knows {name}: n {}  clean {:.1} %  {}  worst {:.1} %  without a bound {:.1} %",
        outcome.n,
        outcome.clean,
        rows.join("  "),
        outcome.worst,
        outcome.unbounded
    )
}
