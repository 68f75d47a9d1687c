//! Attacks on a victim that they see through and through, and the harness that judges them.
//!
//! An attack only proposes. The harness clips the proposal to the ε-ball and to `[0, 1]` and decides what it
//! achieved, so an attack cannot report its own success.

mod sign_gradient;

use anyhow::{Result, ensure};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::data::{Split, batches};
use crate::progress;
pub use sign_gradient::{SignGradient, direction};

/// Images attacked at a time.
const ATTACK_BATCH: usize = 250;

/// A differentiable classifier: pictures `[N, C, H, W]` in `[0, 1]` → logits `[N, K]`.
pub trait Victim {
    /// The logits, with a gradient to `x` when `x` asks for one.
    fn logits(&self, x: &Tensor) -> Tensor;
}

/// What the attacker wants.
#[derive(Debug)]
pub enum Goal {
    /// The victim says this class: `[N]` i64.
    Targeted(Tensor),
    /// The victim says anything but this class: `[N]` i64.
    Untargeted(Tensor),
}

impl Goal {
    /// What the attacker makes small: cross-entropy to the target, or minus cross-entropy to the truth.
    pub fn loss(&self, logits: &Tensor) -> Tensor {
        match self {
            // Summed, so that an image's gradient does not depend on the others of its batch.
            Self::Targeted(y) => {
                logits.log_softmax(1, Kind::Float).g_nll_loss::<Tensor>(y, None, tch::Reduction::Sum, -100)
            }
            Self::Untargeted(y) => {
                -logits.log_softmax(1, Kind::Float).g_nll_loss::<Tensor>(y, None, tch::Reduction::Sum, -100)
            }
        }
    }
}

/// An attack of bounded L∞ norm, as a configuration.
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
}

impl Attack {
    /// The name results files use.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Fgsm { .. } => "fgsm".into(),
            Self::IFgsm { steps, .. } => format!("ifgsm-{steps}"),
        }
    }

    /// Refuses parameters that are no attack.
    ///
    /// # Errors
    /// When ε or the step size is not a positive number, or there are no steps.
    pub fn check(&self) -> Result<()> {
        let SignGradient { epsilon, alpha, steps } = self.steps();
        ensure!(epsilon.is_finite() && epsilon > 0.0, "epsilon is {epsilon}, expected a number above 0");
        ensure!(alpha.is_finite() && alpha > 0.0, "alpha is {alpha}, expected a number above 0");
        ensure!(steps > 0, "steps is 0, expected at least 1");
        Ok(())
    }

    /// The steps it takes. FGSM is iFGSM with one step of ε.
    #[must_use]
    pub fn steps(&self) -> SignGradient {
        match *self {
            Self::Fgsm { epsilon } => SignGradient { epsilon, alpha: epsilon, steps: 1 },
            Self::IFgsm { epsilon, alpha, steps } => SignGradient { epsilon, alpha, steps },
        }
    }
}

/// Adversarial pictures of a split, in its order.
#[derive(Debug)]
pub struct Adversarial {
    /// What was done to them.
    pub name: String,
    /// `[N, C, H, W]` in `[0, 1]`, at most ε from the originals.
    pub x: Tensor,
    /// Mean L2 norm of the perturbations.
    pub mean_l2: f64,
    /// Mean L∞ norm of the perturbations.
    pub mean_linf: f64,
    /// Share for which the attacker got the victim to say what he wanted, in `[0, 1]`.
    pub success: f64,
}

/// A class for every label, drawn from the others.
pub fn draw_targets(y: &Tensor, classes: i64, seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels = Vec::<i64>::try_from(y.to_device(tch::Device::Cpu)).expect("labels are a vector of i64");
    let others = (classes - 1) as u64;
    let targets: Vec<i64> =
        labels.iter().map(|label| (label + 1 + (rng.next_u64() % others) as i64) % classes).collect();
    Tensor::from_slice(&targets).to_device(y.device())
}

/// Runs a targeted attack on every image of a split: the attack proposes, this clips and judges.
///
/// # Errors
/// When ε or the step size is not a positive number, or there are no images.
pub fn run(victim: &dyn Victim, kind: Attack, split: &Split, classes: i64, seed: u64) -> Result<Adversarial> {
    let steps = kind.steps();
    kind.check()?;
    ensure!(!split.is_empty(), "no images to attack");
    let targets = draw_targets(&split.labels(), classes, seed);
    let bar = progress::bar(&kind.name(), split.len());
    let (mut pictures, mut l2, mut linf, mut reached) = (Vec::new(), 0.0, 0.0, 0.0);
    for range in batches(split.len(), ATTACK_BATCH) {
        let batch = split.range(range.clone());
        let target = targets.narrow(0, range.start as i64, range.len() as i64);
        let proposal = steps.perturb(victim, &batch.x, &Goal::Targeted(target.shallow_clone()));
        let x = clip(&proposal, &batch.x, steps.epsilon);
        let delta = (&x - &batch.x).flatten(1, -1);
        l2 += delta.square().sum_dim_intlist(1, false, Kind::Float).sqrt().sum(Kind::Double).double_value(&[]);
        linf += delta.abs().amax(1, false).sum(Kind::Double).double_value(&[]);
        reached += tch::no_grad(|| crate::classifier::correct(&victim.logits(&x), &target));
        pictures.push(x);
        bar.inc(range.len() as u64);
    }
    bar.finish_and_clear();
    let n = split.len() as f64;
    Ok(Adversarial {
        name: kind.name(),
        x: Tensor::cat(&pictures, 0),
        mean_l2: l2 / n,
        mean_linf: linf / n,
        success: reached / n,
    })
}

/// The nearest point to `proposal` within ε of `x` (L∞) and in `[0, 1]`.
pub fn clip(proposal: &Tensor, x: &Tensor, epsilon: f64) -> Tensor {
    (x + (proposal - x).clamp(-epsilon, epsilon)).clamp(0.0, 1.0)
}
