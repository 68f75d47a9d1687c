//! One kind of attack through a defence: from several starts, on those images that still stand.

use std::cell::{OnceCell, RefCell};

use tch::{Device, Kind, Tensor};

use super::outcome::percent;
use super::{Defended, Effort, Objective};
use crate::attack::{Goal, apgd, clip, nearer, random_point, square, value_and_gradient};
use crate::data::batches;
use crate::{progress, random};

/// Where a descent begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At a random point of the ε-ball.
    Random,
    /// At the picture itself.
    Picture,
    /// As far towards what the defence makes of the picture as one of the goal's class as ε allows; at a random point where the
    /// defence makes nothing of the kind.
    Candidate,
}

/// One try: what is wanted of each image, and from where.
pub(super) struct Try<'a> {
    pub(super) goal: &'a Goal,
    pub(super) start: Start,
}

/// How long the steps of a descent are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// As the effort says.
    Fixed,
    /// Each image's as long as its own progress allows (Auto-PGD), which whatever the defence draws must not hide: it is the same
    /// at every step.
    Adapting,
}

/// An attacker of a victim, or of another one whose pictures he takes to it.
pub(super) struct Attacker<'a> {
    /// Whose gradients and scores he follows.
    pub(super) model: Defended<'a>,
    /// What shall be wrong in the end.
    pub(super) victim: Defended<'a>,
    pub(super) objective: Objective,
    pub(super) effort: Effort,
    pub(super) steps: Steps,
    pub(super) seed: u64,
    /// Of his attacks on the victim; each draws from a random stream of its own.
    pub(super) number: u64,
}

/// What an attack left, each `[N]` bool.
pub(super) struct Left {
    /// Which images are still right.
    pub(super) right: Tensor,
    /// Whose gradient was exactly zero at the first try.
    pub(super) flat: Tensor,
    /// Share still right after each round, in percent.
    pub(super) after_rounds: Vec<f64>,
}

impl Attacker<'_> {
    /// Which images stay right under every try of every round. Images that are not `standing`, or broken by an earlier try, are not
    /// attacked.
    pub(super) fn descend(
        &self,
        label: &str,
        (x, y): (&Tensor, &Tensor),
        rounds: &[Vec<Try<'_>>],
        standing: &Tensor,
    ) -> Left {
        let mut right = standing.copy();
        let mut flat = right.zeros_like();
        let mut after_rounds = Vec::new();
        let tries =
            rounds.iter().flat_map(|round| round.iter().enumerate().map(|(at, one)| (at + 1 == round.len(), one)));
        let bar = progress::bar(label, rounds.iter().map(Vec::len).sum::<usize>() * y.numel());
        for (number, (ends_round, Try { goal, start })) in tries.enumerate() {
            let standing = right.nonzero().squeeze_dim(1); // [M]
            bar.inc((y.numel() - standing.numel()) as u64);
            for range in batches(standing.numel(), self.model.batch().min(self.victim.batch())) {
                let at = standing.narrow(0, range.start as i64, range.len() as i64);
                random::begin([self.seed, self.number, number as u64, range.start as u64]);
                let pick = |all: &Tensor| all.index_select(0, &at);
                let goal = goal.select(&at);
                let from = self.begin(*start, &pick(x), &goal);
                let (left, zero) = self.descend_from(&from, &pick(x), &pick(y), &goal);
                let _ = right.index_copy_(0, &at, &left);
                if number == 0 {
                    let _ = flat.index_copy_(0, &at, &zero);
                }
                bar.inc(range.len() as u64);
            }
            if ends_round {
                after_rounds.push(percent(&right));
            }
        }
        bar.finish_and_clear();
        Left { right, flat, after_rounds }
    }

    /// Which images stay right under so many queries of Square Attack. Whatever the defence draws is the same at every query, or a lucky
    /// draw would look like a step forward that no later one reaches.
    pub(super) fn search(&self, label: &str, (x, y): (&Tensor, &Tensor), queries: u32, standing: &Tensor) -> Tensor {
        let mut right = standing.copy();
        let standing = standing.nonzero().squeeze_dim(1); // [M]
        let parts: Vec<_> = batches(standing.numel(), self.model.batch()).collect();
        let bar = progress::bar(label, parts.len() * queries as usize);
        for range in parts {
            let at = standing.narrow(0, range.start as i64, range.len() as i64);
            let begin = |number: u64| random::begin([self.seed, self.number, number, range.start as u64]);
            let (x, y) = (x.index_select(0, &at), y.index_select(0, &at));
            let away = Goal::Untargeted(y.shallow_clone());
            let loss = |x: &Tensor| {
                begin(0);
                tch::no_grad(|| self.objective.loss(&away, &self.model.scores(self.objective, x)))
            };
            let found = square(loss, &x, self.effort.epsilon, queries, |query| begin(1 + u64::from(query)), &bar);
            let left = self.stays_right(&found, &x, &y);
            let _ = right.index_copy_(0, &at, &left);
        }
        bar.finish_and_clear();
        right
    }

    fn begin(&self, start: Start, x: &Tensor, goal: &Goal) -> Tensor {
        let epsilon = self.effort.epsilon;
        let random = || random_point(x, epsilon);
        match start {
            Start::Random => random(),
            Start::Picture => x.shallow_clone(),
            Start::Candidate => {
                let candidate = self.model.defence.and_then(|defence| defence.candidate(x, goal.class()));
                candidate.map_or_else(random, |candidate| clip(&candidate, x, epsilon))
            }
        }
    }

    /// One start: which images `[N]` are right at what was found, and whose first gradient was zero.
    fn descend_from(&self, from: &Tensor, x: &Tensor, y: &Tensor, goal: &Goal) -> (Tensor, Tensor) {
        let flat = OnceCell::new();
        let away = Goal::Untargeted(y.shallow_clone());
        // By the scores that are followed: of an untargeted margin, the point of the smallest loss.
        let most_wrong = RefCell::new((from.shallow_clone(), nowhere(x)));
        let value_and_gradient = |x: &Tensor| {
            let (value, gradient) = value_and_gradient(x, |at| {
                let scores = self.model.scores(self.objective, at);
                let mut most_wrong = most_wrong.borrow_mut();
                *most_wrong = nearer(&most_wrong.0, &most_wrong.1, x, &away.margin(&scores.detach()));
                self.objective.loss(goal, &scores)
            });
            flat.get_or_init(|| gradient.abs().flatten(1, -1).amax(1, false).eq(0.0));
            (value, gradient)
        };
        let Effort { epsilon, steps, thorough, .. } = self.effort;
        let mut found = match self.steps {
            Steps::Fixed => self.fixed_steps(value_and_gradient, from, x),
            Steps::Adapting => {
                let draw = Tensor::randint(i64::MAX, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0]);
                let under_one_draw = |x: &Tensor| {
                    tch::manual_seed(draw);
                    value_and_gradient(x)
                };
                vec![apgd(under_one_draw, from, x, epsilon, steps)]
            }
        };
        if thorough.is_some() {
            found.push(most_wrong.into_inner().0);
        }
        let right = y.ones_like().to_kind(Kind::Bool);
        let right = found.iter().fold(right, |right, found| right.logical_and(&self.stays_right(found, x, y)));
        (right, flat.into_inner().expect("the effort was checked: at least one step"))
    }

    /// Where steps of the same length end, and the best point on the way.
    fn fixed_steps(
        &self,
        value_and_gradient: impl Fn(&Tensor) -> (Tensor, Tensor),
        from: &Tensor,
        x: &Tensor,
    ) -> Vec<Tensor> {
        let Effort { epsilon, alpha, steps, .. } = self.effort;
        let (low, high) = ((x - epsilon).clamp_min(0.0), (x + epsilon).clamp_max(1.0));
        let mut at = from.shallow_clone();
        let (mut best, mut least) = (at.shallow_clone(), nowhere(x));
        for step in 0..steps {
            let (value, gradient) = value_and_gradient(&at);
            (best, least) = nearer(&best, &least, &at, &value);
            let size = if step < steps.div_ceil(2) { alpha } else { alpha / 4.0 };
            at = (at - gradient.sign() * size).clamp_tensor(Some(&low), Some(&high));
        }
        vec![at, best]
    }

    /// Whether each image `[N]` is right at what was found for it: an attack only proposes, here it is clipped and judged.
    fn stays_right(&self, found: &Tensor, x: &Tensor, y: &Tensor) -> Tensor {
        self.victim.right(&clip(found, x, self.effort.epsilon), y)
    }
}

/// More than any value of the pictures `x`, `[N]`: what the first of them is nearer than.
fn nowhere(x: &Tensor) -> Tensor {
    Tensor::full([x.size()[0]], f64::INFINITY, (Kind::Float, x.device()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::classifier::{Architecture, Classifier, ClassifierConfig};
    use crate::defence::{Cleaned, Defence};
    use crate::nn::params::Params;
    use crate::turns::my_turn;

    /// Leaves pictures as they come, and keeps the last.
    struct Seen(Mutex<Tensor>);

    impl Defence for Seen {
        fn name(&self) -> String {
            "seen".into()
        }

        fn purify(&self, x: &Tensor) -> Cleaned {
            *self.0.lock().unwrap() = x.shallow_clone();
            Cleaned { frames: x.shallow_clone(), label: None, score: None }
        }
    }

    #[test]
    fn what_is_found_beyond_the_bound_is_judged_within_it() {
        let _turn = my_turn();
        let seen = Seen(Mutex::new(Tensor::new()));
        let classifier = Classifier::new(ClassifierConfig::new(Architecture::E, 28, 1, 2), Params::new(1, Device::Cpu));
        let victim = Defended { defence: Some(&seen), classifier: &classifier };
        let effort = Effort { epsilon: 0.25, alpha: 0.1, steps: 1, restarts: 1, thorough: None };
        let objective = Objective::LogitMargin;
        let attacker = Attacker { model: victim, victim, objective, effort, steps: Steps::Fixed, seed: 1, number: 0 };
        let x = Tensor::from_slice(&[0.5f32, 0.9]).reshape([2, 1, 1, 1]).repeat([1, 1, 28, 28]);
        let y = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
        let _ = attacker.stays_right(&(&x + 9.0), &x, &y);
        let judged = seen.0.lock().unwrap().mean_dim([1i64, 2, 3].as_slice(), false, Kind::Float);
        assert!(judged.allclose(&Tensor::from_slice(&[0.75f32, 1.0]), 0.0, 1e-6, false), "{judged}");
    }
}
