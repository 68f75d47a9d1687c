//! The attack that knows: projected gradient descent through the defence itself ("strong white-box").
//!
//! A defence that stands the paper's attacker, who sees the classifier only, may fall to one who sees everything
//! (Athalye et al., 2018; Tramèr et al., 2020). Each defence is attacked where it decides: at the classifier's
//! logits with the gradient through the defence, and, where it selects a class itself, at that selection.
//! Every attack has several random starts and is run targeted and untargeted; an image counts as right only if it
//! stays right. A thorough attacker goes on with what is left: every wrong class in turn, from the picture itself, from what the
//! defence makes of it as that class and from random points, in steps of a fixed length and then in such as adapt; pictures that he makes on
//! the other defences; and a search without gradients. Of each descent he also tries the point on its way that was most clearly wrong.

mod attacker;
mod outcome;

use anyhow::{Result, ensure};
use tch::{Kind, Tensor};

use crate::attack::{Goal, Victim, answers, draw_targets, wrong_classes};
use crate::classifier::Classifier;
use crate::data::{Batch, Split, by_batch};
use crate::defence::Defence;
use crate::progress::timed;
use attacker::{Attacker, Start, Steps, Try};
use outcome::percent;
pub use outcome::{ATTACKER, Effort, Outcome, OutcomeRow, Thorough};
pub(super) use outcome::{MADE_ON, SQUARE};

/// Images attacked at a time, or fewer where the defence wants fewer.
const BATCH: usize = 125;
/// Seed of the defence's own randomness when a proposal is judged: a draw the attacker has not seen. Images whose neighbours in the
/// batch have fallen are judged under another draw than before, so one may fall to a draw alone, and none stands by one.
const JUDGE_SEED: i64 = 77;
/// Images of the check that an attack without a bound leaves nothing.
const UNBOUNDED_IMAGES: usize = 100;
/// Score of a class that is read in no candidate: finite, so that margins to it are numbers.
const UNREAD: f64 = -1e6;
/// Numbers of the attacks that come after the first four, for their random streams.
const EVERY_CLASS: u64 = 4;
const SEARCH: u64 = 5;
const UNBOUNDED: u64 = 6;
const ADAPTING: u64 = 7;
const FIRST_NEIGHBOUR: u64 = 8;

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
pub struct Defended<'a> {
    /// What stands in front; `None` for a classifier that defends itself.
    pub defence: Option<&'a dyn Defence>,
    /// The classifier behind.
    pub classifier: &'a Classifier,
}

impl Victim for Defended<'_> {
    fn logits(&self, x: &Tensor) -> Tensor {
        match self.defence {
            Some(defence) => self.classifier.logits(&defence.purify(x).frames),
            None => self.classifier.logits(x),
        }
    }
}

impl Defended<'_> {
    /// Scores of the classes `[N, K]`, larger is likelier, where the objective looks: of a selection among pictures that are always
    /// the same, by the class that the classifier reads in each.
    fn scores(&self, objective: Objective, x: &Tensor) -> Tensor {
        match (objective, self.defence) {
            (Objective::SelectorMargin, Some(defence)) => {
                let scores = defence.selection(x).expect("the objective is for defences that select");
                let read = defence.fixed_candidates().map(|candidates| answers(self.classifier, candidates));
                read.map_or_else(|| scores.shallow_clone(), |read| by_answer(&scores, &read))
            }
            _ => self.logits(x),
        }
    }

    /// Where a defence selects, the chosen candidate shows its class to the classifier whatever the input, so the margin
    /// that counts is the selection's. Where the classifier reads candidates as other classes, and these depend on the input, that is
    /// the wrong goal, and an attack without a bound leaves something.
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
        by_batch(x, self.batch(), |x| self.logits(x).argmax(1, false)).eq_tensor(y)
    }
}

/// The best score of the candidates that are read as each class: `[N, K]`, `[K]` → `[N, K]`; far below all scores where none is.
fn by_answer(scores: &Tensor, read: &Tensor) -> Tensor {
    let classes = Tensor::arange(scores.size()[1], (Kind::Int64, scores.device()));
    let others = classes.unsqueeze(1).not_equal_tensor(read); // [class, candidate]
    scores.unsqueeze(1).masked_fill(&others, UNREAD).amax(2, false)
}

/// Attacks a victim on all images of `split`; randomness from `seed`. A thorough attacker also takes along what he makes on
/// the `neighbours`, by name, those called `name` left out.
///
/// # Errors
/// When there are no images or the effort is absurd.
pub fn run(
    victim: Defended<'_>,
    name: &str,
    split: &Split,
    seed: u64,
    effort: Effort,
    neighbours: &[(&str, Defended<'_>)],
) -> Result<Outcome> {
    effort.check()?;
    ensure!(!split.is_empty(), "no images to attack");
    let attack = AdaptiveAttack { victim, name, images: split.all(), seed, effort };
    let (outcome, seconds) = timed(|| attack.run(neighbours));
    Ok(Outcome { seconds, ..outcome })
}

/// One victim, and all that is tried on it.
struct AdaptiveAttack<'a> {
    victim: Defended<'a>,
    name: &'a str,
    images: Batch,
    seed: u64,
    effort: Effort,
}

impl<'a> AdaptiveAttack<'a> {
    fn run(&self, neighbours: &[(&str, Defended<'a>)]) -> Outcome {
        let Batch { x, y } = &self.images;
        let clean = self.victim.right(x, y);
        let mut unbroken = clean.shallow_clone();
        let mut rows = Vec::new();
        let objectives = self.victim.objectives(&x.narrow(0, 0, 1));
        let targets = draw_targets(y, self.victim.classifier.config.classes, self.seed);
        for objective in objectives {
            for goal in [Goal::Untargeted(y.shallow_clone()), Goal::Targeted(targets.shallow_clone())] {
                let aim = if matches!(goal, Goal::Targeted(_)) { "targeted" } else { "untargeted" };
                let attack = format!("{} {aim}", objective.name());
                let tries: Vec<_> =
                    (0..self.effort.restarts).map(|_| vec![Try { goal: &goal, start: Start::Random }]).collect();
                let attacker = self.attacker(self.victim, objective, rows.len() as u64);
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
        neighbours: &[(&str, Defended<'a>)],
        unbroken: Tensor,
    ) -> (Tensor, Vec<OutcomeRow>) {
        let Batch { x, y } = &self.images;
        let others = wrong_classes(&self.scores(objective), y);
        let every_class = |start| others.iter().map(|goal| Try { goal, start }).collect::<Vec<_>>();
        let from_everywhere = || {
            let random = (0..self.effort.restarts).map(|_| Start::Random);
            [Start::Picture, Start::Candidate].into_iter().chain(random).map(every_class).collect::<Vec<_>>()
        };
        let away = Goal::Untargeted(y.shallow_clone());
        let mut stages = vec![
            (
                "then every class in turn".to_owned(),
                self.attacker(self.victim, objective, EVERY_CLASS),
                from_everywhere(),
            ),
            (
                "then the same by Auto-PGD".to_owned(),
                Attacker { steps: Steps::Adapting, ..self.attacker(self.victim, objective, ADAPTING) },
                from_everywhere(),
            ),
        ];
        for (number, (name, model)) in (FIRST_NEIGHBOUR..).zip(neighbours.iter().filter(|(name, _)| *name != self.name))
        {
            let tries = [Start::Picture, Start::Random].map(|start| vec![Try { goal: &away, start }]);
            let [_, there] = model.objectives(&x.narrow(0, 0, 1));
            stages.push((format!("{MADE_ON}{name}"), self.attacker(*model, there, number), tries.into()));
        }
        let (mut left, mut rows) = (unbroken, Vec::new());
        for (attack, attacker, tries) in stages {
            let after = attacker.descend(&self.label(&attack), (x, y), &tries, &left);
            rows.push(OutcomeRow::of(attack, &after, &left));
            left = after.right;
        }
        let searcher = self.attacker(self.victim, objective, SEARCH);
        let right = searcher.search(&self.label("square"), (x, y), queries, &left);
        let accuracy = percent(&right);
        rows.push(OutcomeRow { attack: SQUARE.into(), accuracy, zero_gradient: 0.0, after_rounds: Vec::new() });
        (right, rows)
    }

    /// Accuracy under an attack with ε = 1, from one start, on the first images.
    fn unbounded(&self, objective: Objective, clean: &Tensor) -> f64 {
        let few = |all: &Tensor| all.narrow(0, 0, self.images.y.numel().min(UNBOUNDED_IMAGES) as i64);
        let (x, y) = (few(&self.images.x), few(&self.images.y));
        let effort = Effort { epsilon: 1.0, alpha: 0.1, ..self.effort };
        let attacker = Attacker { effort, ..self.attacker(self.victim, objective, UNBOUNDED) };
        let away = Goal::Untargeted(y.shallow_clone());
        let rounds = [vec![Try { goal: &away, start: Start::Random }]];
        percent(&attacker.descend(&self.label("without a bound"), (&x, &y), &rounds, &few(clean)).right)
    }

    fn attacker(&self, model: Defended<'a>, objective: Objective, number: u64) -> Attacker<'a> {
        Attacker {
            model,
            victim: self.victim,
            objective,
            effort: self.effort,
            steps: Steps::Fixed,
            seed: self.seed,
            number,
        }
    }

    fn label(&self, attack: &str) -> String {
        format!("{}: {attack}", self.name)
    }

    /// Scores of the images as they are, `[N, K]`.
    fn scores(&self, objective: Objective) -> Tensor {
        tch::manual_seed(self.seed as i64);
        by_batch(&self.images.x, self.victim.batch(), |x| self.victim.scores(objective, x))
    }
}
