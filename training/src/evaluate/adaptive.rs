//! The attack that knows: projected gradient descent through the defence itself ("strong white-box").
//!
//! A defence that stands the paper's attacker, who sees the classifier only, may fall to one who sees everything
//! (Athalye et al., 2018; Tramèr et al., 2020). Each defence is attacked where it decides: at the classifier's
//! logits with the gradient through the defence, and, where it selects a class itself, at that selection.
//! Every attack has several random starts and is run targeted and untargeted; an image counts as right only if it
//! stays right. A thorough attacker goes on with what is left: every wrong class in turn, from the picture itself and from what the
//! defence makes of it as that class; pictures that he makes on the other defences; and a search without gradients.

mod attacker;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::attack::{Goal, Victim, check_epsilon, draw_targets, wrong_classes};
use crate::classifier::Classifier;
use crate::data::{Batch, Split, batches};
use crate::defence::{Defence, Defended};
use crate::progress::timed;
use attacker::{Attacker, Left, Start, Try};

/// Which attacker this is; what another one left is measured anew. The first, of files that do not tell, began all his attacks at
/// the same random points, whatever the seed.
pub const ATTACKER: u32 = 2;
/// Images attacked at a time, or fewer where the defence wants fewer.
const BATCH: usize = 125;
/// Seed of the defence's own randomness when a proposal is judged: a draw the attacker has not seen.
const JUDGE_SEED: i64 = 77;
/// Images of the check that an attack without a bound leaves nothing.
const UNBOUNDED_IMAGES: usize = 100;
/// Numbers of the attacks that come after the first four, for their random streams.
const EVERY_CLASS: u64 = 4;
const SEARCH: u64 = 5;
const UNBOUNDED: u64 = 6;
const FIRST_NEIGHBOUR: u64 = 7;
/// What the row of pictures that were made on another defence begins with.
const MADE_ON: &str = "then made on ";
/// The row of the search without gradients.
pub(super) const SQUARE: &str = "then a search without gradients";

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
    /// How he goes on with what these attacks left, if he does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thorough: Option<Thorough>,
}

/// How a thorough attacker goes on: every wrong class in turn, what he makes on the other defences, a search without gradients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thorough {
    /// Queries of the search for each image.
    pub queries: u32,
}

impl Effort {
    /// Refuses what is no attack.
    ///
    /// # Errors
    /// Names the option, the rule and the value.
    pub fn check(&self) -> Result<()> {
        let Self { epsilon, alpha, steps, restarts, thorough } = *self;
        check_epsilon("--adaptive-epsilon", epsilon)?;
        ensure!(alpha.is_finite() && alpha > 0.0, "--adaptive-alpha is {alpha}, expected a number above 0");
        ensure!(
            steps > 0 && restarts > 0,
            "--adaptive-steps is {steps} and --adaptive-restarts {restarts}, expected at least 1"
        );
        ensure!(thorough != Some(Thorough { queries: 0 }), "--adaptive-queries is 0, expected at least 1");
        Ok(())
    }
}

/// What is left of a defence under attacks that know it, in percent of all images.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Who attacked: [`ATTACKER`], or an earlier one.
    #[serde(default = "first_attacker")]
    pub attacker: u32,
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

fn first_attacker() -> u32 {
    1
}

impl Outcome {
    /// Whether this is what the attacker of this version leaves. A thorough one must have taken along pictures from all of `neighbours`
    /// but the one called `name`, and from no others.
    pub(super) fn is_current(&self, name: &str, neighbours: &[(&str, Stronghold<'_>)]) -> bool {
        let met: BTreeSet<&str> = self.rows.iter().filter_map(|row| row.attack.strip_prefix(MADE_ON)).collect();
        let others = neighbours.iter().map(|&(other, _)| other).filter(|&other| other != name).collect();
        self.attacker == ATTACKER && (self.effort.thorough.is_none() || met == others)
    }

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
    /// What was attacked and how, for example `selector-margin untargeted`. One that begins with `then` was tried only on what all
    /// before it left.
    pub attack: String,
    /// Accuracy left, in percent of all images.
    pub accuracy: f64,
    /// Share of images whose gradient at the start was exactly zero, in percent: a sign of a masked gradient.
    pub zero_gradient: f64,
}

impl OutcomeRow {
    /// What an attack on the images that were `standing` left.
    fn of(attack: String, left: &Left, standing: &Tensor) -> Self {
        // The others were not attacked: they have no gradient that could be zero.
        let attacked = standing.nonzero().squeeze_dim(1);
        let zero_gradient = if attacked.numel() > 0 { percent(&left.flat.index_select(0, &attacked)) } else { 0.0 };
        Self { attack, accuracy: percent(&left.right), zero_gradient }
    }
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

/// Attacks a stronghold on all images of `split`; randomness from `seed`. A thorough attacker also takes along what he makes on
/// the `neighbours`, by name, those called `name` left out.
///
/// # Errors
/// When there are no images or the effort is absurd.
pub fn run(
    stronghold: Stronghold<'_>,
    name: &str,
    split: &Split,
    seed: u64,
    effort: Effort,
    neighbours: &[(&str, Stronghold<'_>)],
) -> Result<Outcome> {
    effort.check()?;
    ensure!(!split.is_empty(), "no images to attack");
    let siege = Siege { stronghold, name, images: split.all(), seed, effort };
    let (outcome, seconds) = timed(|| siege.run(neighbours));
    Ok(Outcome { seconds, ..outcome })
}

/// One stronghold, and all that is tried on it.
struct Siege<'a> {
    stronghold: Stronghold<'a>,
    name: &'a str,
    images: Batch,
    seed: u64,
    effort: Effort,
}

impl<'a> Siege<'a> {
    fn run(&self, neighbours: &[(&str, Stronghold<'a>)]) -> Outcome {
        let Batch { x, y } = &self.images;
        let clean = self.stronghold.right(x, y);
        let mut unbroken = clean.shallow_clone();
        let mut rows = Vec::new();
        let objectives = self.stronghold.objectives(&x.narrow(0, 0, 1));
        let targets = draw_targets(y, self.stronghold.classifier.config.classes, self.seed);
        for objective in objectives {
            for goal in [Goal::Untargeted(y.shallow_clone()), Goal::Targeted(targets.shallow_clone())] {
                let aim = if matches!(goal, Goal::Targeted(_)) { "targeted" } else { "untargeted" };
                let attack = format!("{} {aim}", objective.name());
                let tries: Vec<_> =
                    (0..self.effort.restarts).map(|_| Try { goal: &goal, start: Start::Random }).collect();
                let attacker = self.attacker(self.stronghold, objective, rows.len() as u64);
                let left = attacker.descend(&self.label(&attack), (x, y), &tries, &clean);
                unbroken = unbroken.logical_and(&left.right);
                rows.push(OutcomeRow::of(attack, &left, &clean));
            }
        }
        if let Some(thorough) = self.effort.thorough {
            let (left, more) = self.thorough(thorough, objectives[1], neighbours, unbroken);
            unbroken = left;
            rows.extend(more);
        }
        Outcome {
            attacker: ATTACKER,
            effort: self.effort,
            n: y.numel(),
            clean: percent(&clean),
            rows,
            worst: percent(&unbroken),
            unbounded: self.unbounded(objectives[1], &clean),
            seconds: 0.0,
        }
    }

    /// What else is tried on the images that are `unbroken`, each kind of attack on what the one before left.
    fn thorough(
        &self,
        Thorough { queries }: Thorough,
        objective: Objective,
        neighbours: &[(&str, Stronghold<'a>)],
        unbroken: Tensor,
    ) -> (Tensor, Vec<OutcomeRow>) {
        let Batch { x, y } = &self.images;
        let others = wrong_classes(&self.scores(objective), y);
        let every_class =
            others.iter().flat_map(|goal| [Start::Picture, Start::Candidate].map(|start| Try { goal, start }));
        let away = Goal::Untargeted(y.shallow_clone());
        let mut stages = vec![(
            "then every class in turn".to_owned(),
            self.attacker(self.stronghold, objective, EVERY_CLASS),
            every_class.collect::<Vec<_>>(),
        )];
        for (number, (name, model)) in (FIRST_NEIGHBOUR..).zip(neighbours.iter().filter(|(name, _)| *name != self.name))
        {
            let tries = [Start::Picture, Start::Random].map(|start| Try { goal: &away, start });
            let [_, there] = model.objectives(&x.narrow(0, 0, 1));
            stages.push((format!("{MADE_ON}{name}"), self.attacker(*model, there, number), tries.into()));
        }
        let (mut left, mut rows) = (unbroken, Vec::new());
        for (attack, attacker, tries) in stages {
            let after = attacker.descend(&self.label(&attack), (x, y), &tries, &left);
            rows.push(OutcomeRow::of(attack, &after, &left));
            left = after.right;
        }
        let searcher = self.attacker(self.stronghold, objective, SEARCH);
        let right = searcher.search(&self.label("square"), (x, y), &away, queries, &left);
        rows.push(OutcomeRow { attack: SQUARE.into(), accuracy: percent(&right), zero_gradient: 0.0 });
        (right, rows)
    }

    /// Accuracy under an attack with ε = 1, from one start, on the first images.
    fn unbounded(&self, objective: Objective, clean: &Tensor) -> f64 {
        let few = |all: &Tensor| all.narrow(0, 0, self.images.y.numel().min(UNBOUNDED_IMAGES) as i64);
        let (x, y) = (few(&self.images.x), few(&self.images.y));
        let effort = Effort { epsilon: 1.0, alpha: 0.1, ..self.effort };
        let attacker = Attacker { effort, ..self.attacker(self.stronghold, objective, UNBOUNDED) };
        let tries = [Try { goal: &Goal::Untargeted(y.shallow_clone()), start: Start::Random }];
        percent(&attacker.descend(&self.label("without a bound"), (&x, &y), &tries, &few(clean)).right)
    }

    fn attacker(&self, model: Stronghold<'a>, objective: Objective, number: u64) -> Attacker<'a> {
        Attacker { model, victim: self.stronghold, objective, effort: self.effort, seed: self.seed, number }
    }

    fn label(&self, attack: &str) -> String {
        format!("{}: {attack}", self.name)
    }

    /// Scores of the images as they are, `[N, K]`.
    fn scores(&self, objective: Objective) -> Tensor {
        tch::manual_seed(self.seed as i64);
        let x = &self.images.x;
        let parts: Vec<Tensor> = batches(self.images.y.numel(), self.stronghold.batch())
            .map(|range| x.narrow(0, range.start as i64, range.len() as i64))
            .map(|x| tch::no_grad(|| self.stronghold.scores(objective, &x)))
            .collect();
        Tensor::cat(&parts, 0)
    }
}

fn percent(flags: &Tensor) -> f64 {
    100.0 * flags.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}
