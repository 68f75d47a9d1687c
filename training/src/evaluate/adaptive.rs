//! The attack that knows: projected gradient descent through the defence itself ("strong white-box").
//!
//! A defence that stands the paper's attacker, who sees the classifier only, may fall to one who sees everything
//! (Athalye et al., 2018; Tramèr et al., 2020). Each defence is attacked where it decides: at the classifier's
//! logits with the gradient through the defence, and, where it selects a class itself, at that selection.
//! Every attack has several random starts and is run targeted and untargeted; an image counts as right only if it
//! stays right.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::timed;
use crate::attack::{Goal, Victim, draw_targets, nearer};
use crate::classifier::Classifier;
use crate::data::{Batch, Split, batches};
use crate::defence::{Defence, Defended};
use crate::progress;

/// Images attacked at a time, or fewer where the defence wants fewer.
const BATCH: usize = 125;
/// Seed of the defence's own randomness when a proposal is judged: a draw the attacker has not seen.
const JUDGE_SEED: i64 = 77;
/// Images of the check that an attack without a bound leaves nothing.
const UNBOUNDED_IMAGES: usize = 100;

/// How hard the attacker tries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// Bound of the L∞ norm.
    pub epsilon: f64,
    /// Size of a step; a quarter of it in the second half of the steps.
    pub alpha: f64,
    /// Steps from each start.
    pub steps: u32,
    /// Random starts.
    pub restarts: u32,
}

impl Effort {
    /// Refuses what is no attack.
    ///
    /// # Errors
    /// Names the option, the rule and the value.
    pub fn check(&self) -> Result<()> {
        let Self { epsilon, alpha, steps, restarts } = *self;
        ensure!(
            epsilon.is_finite() && epsilon > 0.0 && alpha.is_finite() && alpha > 0.0,
            "--adaptive-epsilon is {epsilon} and --adaptive-alpha {alpha}, expected numbers above 0"
        );
        ensure!(
            steps > 0 && restarts > 0,
            "--adaptive-steps is {steps} and --adaptive-restarts {restarts}, expected at least 1"
        );
        Ok(())
    }
}

/// What is left of a defence under attacks that know it, in percent of all images.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// How hard the attacker tried.
    pub effort: Effort,
    /// Number of images.
    pub n: usize,
    /// Defended accuracy on these images, unattacked.
    pub clean: f64,
    /// Accuracy under each attack: any start that fools the whole counts.
    pub rows: Vec<OutcomeRow>,
    /// Accuracy for each image's worst attack: right only if no attack broke it.
    pub worst: f64,
    /// Accuracy under the last attack without a bound (ε = 1), from one start; anything but about 0 means that the
    /// attacks do not find their way, and that the figures above flatter.
    pub unbounded: f64,
    /// Wall time, in seconds; 0 in files of version 2, which did not tell.
    #[serde(default)]
    pub seconds: f64,
}

impl Outcome {
    /// The outcome of attacks on `name`, for people.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        let rows: Vec<String> = self.rows.iter().map(|row| format!("{} {:.1} %", row.attack, row.accuracy)).collect();
        format!(
            "attacker who knows {name}: n {}  clean {:.1} %  {}  worst {:.1} %  without a bound {:.1} %",
            self.n,
            self.clean,
            rows.join("  "),
            self.worst,
            self.unbounded
        )
    }
}

/// One attack's result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// What was attacked and how, for example `selector-margin untargeted`.
    pub attack: String,
    /// Accuracy left, in percent.
    pub accuracy: f64,
    /// Share of images whose gradient at the start was exactly zero, in percent: a sign of a masked gradient.
    pub zero_gradient: f64,
}

/// Where an attacker pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Objective {
    /// Cross-entropy of the classifier's logits, the gradient through everything.
    CrossEntropy,
    /// Margin of the classifier's logits, the gradient through everything.
    LogitMargin,
    /// Margin of the distances that the selection compares.
    SelectorMargin,
}

impl Objective {
    fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::LogitMargin => "logit-margin",
            Self::SelectorMargin => "selector-margin",
        }
    }

    /// What the attacker makes small, `[N]`.
    fn loss(self, goal: &Goal, scores: &Tensor) -> Tensor {
        match self {
            Self::CrossEntropy => goal.cross_entropy(scores),
            Self::LogitMargin | Self::SelectorMargin => goal.margin(scores),
        }
    }
}

/// A classifier with or without a defence in front, under attack.
#[derive(Clone, Copy)]
pub struct Stronghold<'a> {
    /// What stands in front; `None` for a classifier that defends itself.
    pub defence: Option<&'a dyn Defence>,
    /// The classifier behind.
    pub classifier: &'a Classifier,
}

impl Victim for Stronghold<'_> {
    fn logits(&self, x: &Tensor) -> Tensor {
        match self.defence {
            Some(defence) => Defended { defence, classifier: self.classifier }.logits(x),
            None => self.classifier.logits(x),
        }
    }
}

impl Stronghold<'_> {
    /// Scores of the classes `[N, K]`, larger is likelier, where the objective looks.
    fn scores(&self, objective: Objective, x: &Tensor) -> Tensor {
        match (objective, self.defence) {
            (Objective::SelectorMargin, Some(defence)) => {
                defence.selection(x).expect("the objective is for defences that select")
            }
            _ => self.logits(x),
        }
    }

    /// Where a defence selects, the chosen candidate shows its class to the classifier whatever the input, so the margin
    /// that counts is the selection's.
    fn objectives(&self, one: &Tensor) -> [Objective; 2] {
        let selects = self.defence.is_some_and(|defence| tch::no_grad(|| defence.selection(one)).is_some());
        [Objective::CrossEntropy, if selects { Objective::SelectorMargin } else { Objective::LogitMargin }]
    }

    fn batch(&self) -> usize {
        self.defence.map_or(BATCH, |defence| defence.batch().min(BATCH))
    }

    /// Whether each image `[N]` is classified as `y`.
    fn right(&self, x: &Tensor, y: &Tensor) -> Tensor {
        tch::manual_seed(JUDGE_SEED);
        let parts: Vec<Tensor> = batches(y.numel(), self.batch())
            .map(|range| x.narrow(0, range.start as i64, range.len() as i64))
            .map(|x| tch::no_grad(|| self.logits(&x).argmax(1, false)))
            .collect();
        Tensor::cat(&parts, 0).eq_tensor(y)
    }
}

/// Attacks a stronghold on all images of `split`; randomness from `seed`.
///
/// # Errors
/// When there are no images or the effort is absurd.
pub fn run(stronghold: Stronghold<'_>, name: &str, split: &Split, seed: u64, effort: Effort) -> Result<Outcome> {
    effort.check()?;
    ensure!(!split.is_empty(), "no images to attack");
    let (outcome, seconds) = timed(|| attack_all(stronghold, name, split, seed, effort));
    Ok(Outcome { seconds, ..outcome })
}

fn attack_all(stronghold: Stronghold<'_>, name: &str, split: &Split, seed: u64, effort: Effort) -> Outcome {
    let Batch { x, y } = split.all();
    let clean = stronghold.right(&x, &y);
    let targets = draw_targets(&y, stronghold.classifier.config.classes, seed);
    let (mut unbroken, mut rows) = (clean.shallow_clone(), Vec::new());
    let objectives = stronghold.objectives(&x.narrow(0, 0, 1));
    for objective in objectives {
        for goal in [Goal::Untargeted(y.shallow_clone()), Goal::Targeted(targets.shallow_clone())] {
            let aim = if matches!(goal, Goal::Targeted(_)) { "targeted" } else { "untargeted" };
            let attack = format!("{} {aim}", objective.name());
            let attacker = Attacker { stronghold, objective, effort, seed };
            let (left, zero) = attacker.attack(&format!("{name}: {attack}"), (&x, &y), &goal, &clean);
            unbroken = unbroken.logical_and(&left);
            // Only of those that were attacked: the others have no gradient that could be zero.
            let attacked = clean.nonzero().squeeze_dim(1);
            let zero_gradient = if attacked.numel() > 0 { percent(&zero.index_select(0, &attacked)) } else { 0.0 };
            rows.push(OutcomeRow { attack, accuracy: percent(&left), zero_gradient });
        }
    }
    let everything = Effort { epsilon: 1.0, alpha: 0.1, steps: effort.steps, restarts: 1 };
    let attacker = Attacker { stronghold, objective: objectives[1], effort: everything, seed };
    let few = y.numel().min(UNBOUNDED_IMAGES) as i64;
    let (x, y, clean) = (x.narrow(0, 0, few), y.narrow(0, 0, few), clean.narrow(0, 0, few));
    let goal = Goal::Untargeted(y.shallow_clone());
    let (left, _) = attacker.attack(&format!("{name}: without a bound"), (&x, &y), &goal, &clean);
    Outcome {
        effort,
        n: split.len(),
        clean: percent(&stronghold.right(&split.all().x, &split.labels())),
        rows,
        worst: percent(&unbroken),
        unbounded: percent(&left),
        seconds: 0.0,
    }
}

fn percent(flags: &Tensor) -> f64 {
    100.0 * flags.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

struct Attacker<'a> {
    stronghold: Stronghold<'a>,
    objective: Objective,
    effort: Effort,
    seed: u64,
}

impl Attacker<'_> {
    /// Which images `[N]` stay right under every start, and whose gradient was zero at the first. Images that are
    /// wrong already, or broken by an earlier start, are not attacked again.
    fn attack(&self, label: &str, (x, y): (&Tensor, &Tensor), goal: &Goal, clean: &Tensor) -> (Tensor, Tensor) {
        let mut left = clean.copy();
        let mut zero = left.zeros_like();
        let bar = progress::bar(label, self.effort.restarts as usize * y.numel());
        for restart in 0..self.effort.restarts {
            let standing = left.nonzero().squeeze_dim(1); // [M]
            bar.inc((y.numel() - standing.numel()) as u64);
            for range in batches(standing.numel(), self.stronghold.batch()) {
                let at = standing.narrow(0, range.start as i64, range.len() as i64);
                tch::manual_seed((self.seed << 32) as i64 + (i64::from(restart) << 20) + range.start as i64);
                let pick = |all: &Tensor| all.index_select(0, &at);
                let (right, flat) = self.start(&pick(x), &pick(y), &goal.select(&at));
                let _ = left.index_copy_(0, &at, &right);
                if restart == 0 {
                    let _ = zero.index_copy_(0, &at, &flat);
                }
                bar.inc(range.len() as u64);
            }
        }
        bar.finish_and_clear();
        (left, zero)
    }

    /// One random start: which images `[N]` are right at its end and at its best point, and whose first gradient was zero.
    fn start(&self, x: &Tensor, y: &Tensor, goal: &Goal) -> (Tensor, Tensor) {
        let Effort { epsilon, alpha, steps, .. } = self.effort;
        let (low, high) = ((x - epsilon).clamp_min(0.0), (x + epsilon).clamp_max(1.0));
        let mut at = (x + (x.rand_like() * 2.0 - 1.0) * epsilon).clamp(0.0, 1.0);
        let mut best = at.shallow_clone();
        let mut least = Tensor::full([y.numel() as i64], f64::INFINITY, (Kind::Float, x.device()));
        let mut flat = None;
        for step in 0..steps {
            let (loss, gradient) = self.gradient(&at, goal);
            let _ = flat.get_or_insert_with(|| gradient.abs().flatten(1, -1).amax(1, false).eq(0.0));
            (best, least) = nearer(&best, &least, &at, &loss);
            let size = if step < steps / 2 { alpha } else { alpha / 4.0 };
            at = (at - gradient.sign() * size).clamp_tensor(Some(&low), Some(&high));
        }
        let right = self.stronghold.right(&at, y).logical_and(&self.stronghold.right(&best, y));
        (right, flat.expect("the effort was checked: at least one step"))
    }

    /// The attacker's loss of each image `[N]`, and its gradient `[N, C, H, W]`.
    fn gradient(&self, x: &Tensor, goal: &Goal) -> (Tensor, Tensor) {
        let x = x.detach().copy().set_requires_grad(true);
        let loss = self.objective.loss(goal, &self.stronghold.scores(self.objective, &x));
        let gradient = Tensor::run_backward(&[loss.sum(Kind::Float)], &[&x], false, false).remove(0);
        (loss.detach(), gradient)
    }
}
