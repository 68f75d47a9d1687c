//! FGSM (Goodfellow et al., 2015) and iFGSM (Kurakin et al., 2017):
//! x̂₀ = x; x̂ᵢ₊₁ = Clip{x̂ᵢ − α·sign ∇ₓ L(x̂ᵢ, y_target)}.

use tch::Tensor;

use super::{Goal, Victim, clip};

/// Steps along the sign of the gradient, kept within ε of the original.
#[derive(Debug, Clone, Copy)]
pub struct SignGradient {
    /// Bound of the L∞ norm.
    pub epsilon: f64,
    /// Size of a step.
    pub alpha: f64,
    /// Number of steps.
    pub steps: u32,
}

impl SignGradient {
    /// The adversarial pictures it proposes for `x` `[N, C, H, W]`.
    pub fn perturb(&self, victim: &dyn Victim, x: &Tensor, goal: &Goal) -> Tensor {
        let mut adversarial = x.shallow_clone();
        for _ in 0..self.steps {
            let step = direction(victim, &adversarial, goal) * self.alpha;
            adversarial = clip(&(adversarial - step), x, self.epsilon);
        }
        adversarial
    }
}

/// sign ∇ₓ of the goal's loss at `x`.
pub fn direction(victim: &dyn Victim, x: &Tensor, goal: &Goal) -> Tensor {
    let x = x.detach().copy().set_requires_grad(true);
    let loss = goal.loss(&victim.logits(&x));
    Tensor::run_backward(&[loss], &[&x], false, false).remove(0).sign()
}
