//! Attacks on a victim that they see through and through, and the harness that judges them; [`crate::substitute`] is for
//! the attacker who sees answers only.
//!
//! An attack only proposes. The harness clips the proposal to the ε-ball (where the attack has one) and to `[0, 1]` and
//! decides what it achieved, so an attack cannot report its own success.

mod apgd;
mod carlini_wagner;
mod goal;
mod gradient;
pub mod names;
mod sign_gradient;
mod square;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::data::{Split, batches, by_batch};
use crate::progress;
use crate::random::{self, Draws};
pub use apgd::apgd;
pub use carlini_wagner::{CarliniWagner, Preset};
pub use goal::{Aim, Goal};
pub(crate) use goal::{at_class, wrong_classes};
pub(crate) use gradient::value_and_gradient;
pub use gradient::{direction, gradient};
pub use sign_gradient::SignGradient;
pub(crate) use sign_gradient::nearer;
pub use square::square;

/// Images attacked at a time.
pub(crate) const ATTACK_BATCH: usize = 250;

/// A differentiable classifier: pictures `[N, C, H, W]` in `[0, 1]` → logits `[N, K]`.
pub trait Victim {
    /// The logits, with a gradient to `x` when `x` asks for one.
    fn logits(&self, x: &Tensor) -> Tensor;
}

/// An attack as a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Attack {
    /// Fast gradient sign method: one step of ε.
    Fgsm {
        /// Bound of the L∞ norm.
        epsilon: f64,
    },
    /// Iterative FGSM from the clean picture.
    IFgsm {
        /// Bound of the L∞ norm.
        epsilon: f64,
        /// Size of one step.
        alpha: f64,
        /// Number of steps.
        steps: u32,
    },
    /// Projected gradient descent: iFGSM from random points of the ε-ball.
    Pgd {
        /// Bound of the L∞ norm.
        epsilon: f64,
        /// Size of one step.
        alpha: f64,
        /// Number of steps.
        steps: u32,
        /// Number of random starts.
        restarts: u32,
    },
    /// Carlini and Wagner's L2 attack with one of the presets.
    CarliniWagner {
        /// Which constants.
        preset: Preset,
        /// By how much the wanted logit shall exceed the others (κ); 0 in the presets and in files that do not tell.
        #[serde(default, skip_serializing_if = "is_zero")]
        confidence: u32,
    },
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How an attack makes its proposals.
enum Method {
    Sign(SignGradient),
    CarliniWagner(CarliniWagner),
}

impl Attack {
    /// Whether it takes so long that fewer images have to do: PGD with restarts, and CW.
    #[must_use]
    pub fn is_costly(&self) -> bool {
        matches!(self, Self::CarliniWagner { .. } | Self::Pgd { .. })
    }

    /// The name results files use.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Fgsm { .. } => "fgsm".into(),
            Self::IFgsm { steps, .. } => format!("ifgsm-{steps}"),
            Self::Pgd { steps, restarts, .. } => format!("pgd-{steps}x{restarts}"),
            Self::CarliniWagner { preset, confidence: 0 } => format!("cw-{}", preset.as_str()),
            Self::CarliniWagner { preset, confidence } => format!("cw-{}-k{confidence}", preset.as_str()),
        }
    }

    /// Refuses parameters that are no attack.
    ///
    /// # Errors
    /// When ε is not above 0 and at most 1, the step size is not a positive number, or there are no steps.
    pub fn check(&self) -> Result<()> {
        if let Method::Sign(SignGradient { epsilon, alpha, steps, .. }) = self.method() {
            check_epsilon("epsilon", epsilon)?;
            ensure!(alpha.is_finite() && alpha > 0.0, "alpha is {alpha}, expected a number above 0");
            ensure!(steps > 0, "steps is 0, expected at least 1");
        }
        if let Self::Pgd { restarts, .. } = self {
            ensure!(*restarts > 0, "restarts is 0, expected at least 1");
        }
        Ok(())
    }

    /// The bound of its L∞ norm; `None` for an attack that keeps the L2 norm small instead.
    #[must_use]
    pub fn epsilon(&self) -> Option<f64> {
        match *self {
            Self::Fgsm { epsilon } | Self::IFgsm { epsilon, .. } | Self::Pgd { epsilon, .. } => Some(epsilon),
            Self::CarliniWagner { .. } => None,
        }
    }

    /// FGSM is iFGSM with one step of ε, and PGD is iFGSM from random starts.
    fn method(&self) -> Method {
        let sign = |epsilon, alpha, steps, restarts| Method::Sign(SignGradient { epsilon, alpha, steps, restarts });
        match *self {
            Self::Fgsm { epsilon } => sign(epsilon, epsilon, 1, 0),
            Self::IFgsm { epsilon, alpha, steps } => sign(epsilon, alpha, steps, 0),
            Self::Pgd { epsilon, alpha, steps, restarts } => sign(epsilon, alpha, steps, restarts),
            Self::CarliniWagner { preset, confidence } => {
                Method::CarliniWagner(CarliniWagner { confidence: f64::from(confidence), ..preset.constants() })
            }
        }
    }

    fn propose(&self, victim: &dyn Victim, x: &Tensor, goal: &Goal) -> Tensor {
        match self.method() {
            Method::Sign(attack) => attack.perturb(victim, x, goal),
            Method::CarliniWagner(attack) => attack.perturb(victim, x, goal),
        }
    }
}

/// Refuses a bound of the L∞ norm that is none for pictures in `[0, 1]`.
///
/// # Errors
/// Says what `name` is, and the range.
pub fn check_epsilon(name: &str, epsilon: f64) -> Result<()> {
    ensure!(
        epsilon > 0.0 && epsilon <= 1.0,
        "{name} is {epsilon}, expected more than 0 and at most 1: brightness goes from 0 to 1, so that 8 of 255 levels are 0.0314"
    );
    Ok(())
}

/// An attack with what it is used for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The attack.
    pub attack: Attack,
    /// Towards a drawn class, or away from the truth.
    pub aim: Aim,
    /// Seed of targets and random starts.
    pub seed: u64,
}

impl Plan {
    /// The name results files use: the attack's, with `untargeted-` in front where it is.
    #[must_use]
    pub fn name(&self) -> String {
        match self.aim {
            Aim::Targeted => self.attack.name(),
            Aim::Untargeted => format!("untargeted-{}", self.attack.name()),
        }
    }

    /// What is wanted of images with labels `y` `[N]` among `classes`.
    #[must_use]
    pub fn goal(&self, y: &Tensor, classes: i64) -> Goal {
        match self.aim {
            Aim::Targeted => Goal::Targeted(draw_targets(y, classes, self.seed)),
            Aim::Untargeted => Goal::Untargeted(y.shallow_clone()),
        }
    }
}

/// Adversarial pictures of a split, in its order.
#[derive(Debug)]
pub struct Adversarial {
    /// `[N, C, H, W]` in `[0, 1]`, at most ε from the originals.
    pub x: Tensor,
    /// Whether the attacker got what he wanted of the victim it was judged on, `[N]` bool.
    pub reached: Tensor,
    /// Mean L2 norm of the perturbations.
    pub mean_l2: f64,
    /// Mean L∞ norm of the perturbations.
    pub mean_linf: f64,
    /// Share for which the attacker got the victim to say what he wanted, in `[0, 1]`.
    pub success: f64,
    /// Share of images at which the victim's gradient is exactly zero, in `[0, 1]`: an attack has nothing to go by there.
    pub zero_gradient: f64,
}

/// A class for every label, drawn from the others.
pub fn draw_targets(y: &Tensor, classes: i64, seed: u64) -> Tensor {
    let mut draws = Draws::new(seed, 0);
    let labels = Vec::<i64>::try_from(y.to_device(tch::Device::Cpu)).expect("labels are a vector of i64");
    let others = (classes - 1) as u64;
    let targets: Vec<i64> = labels.iter().map(|label| (label + 1 + draws.below(others) as i64) % classes).collect();
    Tensor::from_slice(&targets).to_device(y.device())
}

/// Attacks every image of a split: the attack proposes, this clips and judges on the same victim.
///
/// # Errors
/// As [`transfer`].
pub fn run(victim: &dyn Victim, plan: Plan, split: &Split, classes: i64) -> Result<Adversarial> {
    transfer(victim, victim, plan, split, classes)
}

/// Attacks `seen`, the only network the attacker knows, and judges on `judge` what that achieves.
///
/// # Errors
/// As [`Attack::check`], and when there are no images.
pub fn transfer(seen: &dyn Victim, judge: &dyn Victim, plan: Plan, split: &Split, classes: i64) -> Result<Adversarial> {
    clip_and_judge(seen, judge, plan, split, classes, |x, goal| plan.attack.propose(seen, x, goal))
}

/// Takes pictures `[N, C, H, W]` that are proposed for others and a goal into the plan's ball, and judges them.
fn clip_and_judge(
    seen: &dyn Victim,
    judge: &dyn Victim,
    plan: Plan,
    split: &Split,
    classes: i64,
    propose: impl Fn(&Tensor, &Goal) -> Tensor,
) -> Result<Adversarial> {
    plan.attack.check()?;
    ensure!(!split.is_empty(), "no images to attack");
    let goal = plan.goal(&split.labels(), classes);
    let bar = progress::bar(&plan.name(), split.len());
    let (mut pictures, mut reached, mut flat) = (Vec::new(), Vec::new(), Vec::new());
    for range in batches(split.len(), ATTACK_BATCH) {
        let batch = split.range(range.clone());
        let goal =
            goal.select(&Tensor::arange_start(range.start as i64, range.end as i64, (Kind::Int64, split.device())));
        random::begin([plan.seed, range.start as u64, 0, 0]);
        let proposal = propose(&batch.x, &goal);
        let x = plan
            .attack
            .epsilon()
            .map_or_else(|| proposal.clamp(0.0, 1.0), |epsilon| clip(&proposal, &batch.x, epsilon));
        reached.push(tch::no_grad(|| goal.reached(&judge.logits(&x))));
        flat.push(gradient(seen, &batch.x, &goal).flatten(1, -1).abs().amax(1, false).eq(0.0));
        pictures.push(x.detach());
        bar.inc(range.len() as u64);
    }
    bar.finish_and_clear();
    let (x, reached) = (Tensor::cat(&pictures, 0), Tensor::cat(&reached, 0));
    let (mean_l2, mean_linf) = mean_norms(&(&x - split.all().x));
    Ok(Adversarial {
        mean_l2,
        mean_linf,
        success: mean(&reached),
        zero_gradient: mean(&Tensor::cat(&flat, 0)),
        x,
        reached,
    })
}

/// The classes `[N]` i64 that a victim says of pictures `[N, C, H, W]`.
pub fn answers(victim: &dyn Victim, x: &Tensor) -> Tensor {
    by_batch(x, ATTACK_BATCH, |x| victim.logits(x).argmax(1, false))
}

/// Share of `labels` that `chosen` has right, in percent.
#[must_use]
pub fn percent_right(chosen: &Tensor, labels: &Tensor) -> f64 {
    100.0 * chosen.eq_tensor(labels).to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

/// Mean L2 and mean L∞ norm of perturbations `[N, C, H, W]`.
pub fn mean_norms(delta: &Tensor) -> (f64, f64) {
    let delta = delta.flatten(1, -1);
    (mean(&delta.square().sum_dim_intlist(1, false, Kind::Float).sqrt()), mean(&delta.abs().amax(1, false)))
}

fn mean(values: &Tensor) -> f64 {
    values.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

/// A point of the L∞ ball around each picture of `x`, uniform but for what lies outside `[0, 1]`, from torch's random stream.
pub(crate) fn random_point(x: &Tensor, epsilon: f64) -> Tensor {
    (x + (x.rand_like() * 2.0 - 1.0) * epsilon).clamp(0.0, 1.0)
}

/// The nearest point to `proposal` within ε of `x` (L∞) and in `[0, 1]`.
pub fn clip(proposal: &Tensor, x: &Tensor, epsilon: f64) -> Tensor {
    (x + (proposal - x).clamp(-epsilon, epsilon)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::my_turn;

    /// Says class 1 of what is brighter than one half.
    struct Brightness;

    impl Victim for Brightness {
        fn logits(&self, x: &Tensor) -> Tensor {
            let brightness = x.flatten(1, -1).mean_dim(1, true, Kind::Float) - 0.5;
            Tensor::cat(&[-&brightness, brightness], 1)
        }
    }

    #[test]
    fn what_an_attack_proposes_beyond_its_bound_is_not_believed() {
        let _turn = my_turn();
        let bytes = Tensor::from_slice(&[0u8, 60, 120, 200]).reshape([4, 1, 1, 1]);
        let split = Split::new(bytes, Tensor::from_slice(&[0i64, 0, 0, 0]));
        let of = |attack| {
            let plan = Plan { attack, aim: Aim::Untargeted, seed: 1 };
            clip_and_judge(&Brightness, &Brightness, plan, &split, 2, |x, _| x + 9.0).unwrap()
        };
        let bounded = of(Attack::Fgsm { epsilon: 0.25 });
        let expected = (split.all().x + 0.25).clamp(0.0, 1.0);
        assert!(bounded.x.allclose(&expected, 0.0, 1e-6, false), "{}", bounded.x);
        assert_eq!(bounded.success, 0.5, "the two that reach one half: 120 + 64 and 200 + 55 of 255");
        let unbounded = of(Attack::CarliniWagner { preset: Preset::Tutorial, confidence: 0 });
        assert_eq!((unbounded.x.min().double_value(&[]), unbounded.success), (1.0, 1.0), "a picture all the same");
    }
}
