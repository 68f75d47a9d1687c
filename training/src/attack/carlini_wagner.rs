//! The L2 attack of Carlini and Wagner (2017), step by step as in CleverHans 2.1: minimise ‖x' − x‖² + c·f(x') over a
//! picture written as a tanh, with a binary search over c.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Goal, Victim};

/// Keeps atanh finite at black and white.
const SHRINK: f64 = 0.999_999;
/// An upper bound of c that stands for "none yet".
const NO_UPPER: f64 = 1e10;
/// A search step ends when the loss has not fallen below this share of what it was a tenth of the iterations ago.
const FALLING: f64 = 0.9999;

/// The attack's constants; the paper does not state which.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarliniWagner {
    /// Adam's learning rate.
    pub rate: f64,
    /// Steps of the binary search over c.
    pub search_steps: u32,
    /// The first c.
    pub initial_c: f64,
    /// Iterations of each search step.
    pub iterations: u32,
    /// By how much the wanted logit shall exceed the others (κ).
    pub confidence: f64,
}

/// The three sets of constants in circulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The defaults of CleverHans' function. A hundred iterations of 0.005 cannot move a saturated pixel.
    Api,
    /// Those of CleverHans' tutorial.
    Tutorial,
    /// Those of the evaluation of Defense-GAN.
    DefenseGan,
}

impl Preset {
    /// The name in results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Tutorial => "tutorial",
            Self::DefenseGan => "defense-gan",
        }
    }

    /// Its constants, with 100 iterations and κ = 0 as in the paper.
    #[must_use]
    pub fn constants(self) -> CarliniWagner {
        let of = |rate, search_steps, initial_c| CarliniWagner {
            rate,
            search_steps,
            initial_c,
            iterations: 100,
            confidence: 0.0,
        };
        match self {
            Self::Api => of(5e-3, 5, 0.01),
            Self::Tutorial => of(0.1, 1, 10.0),
            Self::DefenseGan => of(10.0, 1, 100.0),
        }
    }
}

/// The best that each image has seen, and the bounds of its c.
struct Search {
    c: Tensor,        // [N]
    lower: Tensor,    // [N]
    upper: Tensor,    // [N]
    smallest: Tensor, // [N] squared L2
    best: Tensor,     // [N, C, H, W]
}

impl CarliniWagner {
    /// The nearest adversarial pictures it finds for `x` `[N, C, H, W]`; a picture it fails on comes back clean. A batch
    /// shares the decision to end a search step early, as in the reference; all else is an image's own.
    pub fn perturb(&self, victim: &dyn Victim, x: &Tensor, goal: &Goal) -> Tensor {
        let n = x.size()[0];
        let fill = |value: f64| Tensor::full([n], value, (Kind::Float, x.device()));
        let mut search = Search {
            c: fill(self.initial_c),
            lower: fill(0.0),
            upper: fill(NO_UPPER),
            smallest: fill(f64::INFINITY),
            best: x.shallow_clone(),
        };
        for _ in 0..self.search_steps {
            let succeeded = self.search_step(victim, x, goal, &mut search);
            search.narrow(&succeeded);
        }
        search.best
    }

    /// Minimises with the present c; whether each image `[N]` was fooled on the way.
    fn search_step(&self, victim: &dyn Victim, x: &Tensor, goal: &Goal, search: &mut Search) -> Tensor {
        let start = ((x * 2.0 - 1.0) * SHRINK).atanh();
        let origin = (start.tanh() + 1.0) / 2.0;
        let mut delta = x.zeros_like();
        let mut adam = DeltaAdam::new(x, self.rate);
        let mut succeeded = Tensor::zeros([x.size()[0]], (Kind::Bool, x.device()));
        let mut before = f64::INFINITY;
        for iteration in 0..self.iterations {
            let leaf = delta.detach().set_requires_grad(true);
            let picture = ((&leaf + &start).tanh() + 1.0) / 2.0;
            let squared = (&picture - &origin).square().flatten(1, -1).sum_dim_intlist(1, false, Kind::Float); // [N]
            let margin = goal.margin(&victim.logits(&picture)); // [N]
            let loss = (&squared + &search.c * (&margin + self.confidence).clamp_min(0.0)).sum(Kind::Float);
            let total = loss.double_value(&[]);
            let gradient = Tensor::run_backward(&[loss], &[&leaf], false, false).remove(0);
            let fooled = (margin.detach() + self.confidence).less(0.0);
            succeeded = succeeded.logical_or(&fooled);
            search.keep(&picture.detach(), &squared.detach(), &fooled);
            if iteration % (self.iterations / 10).max(1) == 0 {
                if total > before * FALLING {
                    break;
                }
                before = total;
            }
            delta = adam.step(&delta, &gradient);
        }
        succeeded
    }
}

impl Search {
    fn keep(&mut self, picture: &Tensor, squared: &Tensor, fooled: &Tensor) {
        let nearer = fooled.logical_and(&squared.less_tensor(&self.smallest)); // [N]
        self.smallest = squared.where_self(&nearer, &self.smallest);
        self.best = picture.where_self(&nearer.reshape([-1, 1, 1, 1]), &self.best);
    }

    fn narrow(&mut self, succeeded: &Tensor) {
        self.upper = self.upper.minimum(&self.c).where_self(succeeded, &self.upper);
        self.lower = self.lower.where_self(succeeded, &self.lower.maximum(&self.c));
        let middle = (&self.lower + &self.upper) / 2.0;
        let bounded = self.upper.less(NO_UPPER / 10.0);
        self.c = middle.where_self(&bounded, &(&self.c * 10.0).where_self(&succeeded.logical_not(), &self.c));
    }
}

/// Adam over the perturbation, with its usual constants.
struct DeltaAdam {
    rate: f64,
    first: Tensor,
    second: Tensor,
    steps: i32,
}

impl DeltaAdam {
    fn new(like: &Tensor, rate: f64) -> Self {
        Self { rate, first: like.zeros_like(), second: like.zeros_like(), steps: 0 }
    }

    fn step(&mut self, delta: &Tensor, gradient: &Tensor) -> Tensor {
        const FIRST: f64 = 0.9;
        const SECOND: f64 = 0.999;
        self.steps += 1;
        self.first = &self.first * FIRST + gradient * (1.0 - FIRST);
        self.second = &self.second * SECOND + gradient.square() * (1.0 - SECOND);
        let rate = self.rate * (1.0 - SECOND.powi(self.steps)).sqrt() / (1.0 - FIRST.powi(self.steps));
        delta - &self.first * rate / (self.second.sqrt() + 1e-8)
    }
}
