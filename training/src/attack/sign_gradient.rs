//! FGSM (Goodfellow et al., 2015), iFGSM (Kurakin et al., 2017) and PGD (Madry et al., 2018):
//! x̂₀ = x or a random point of the ε-ball; x̂ᵢ₊₁ = Clip{x̂ᵢ − α·sign ∇ₓ L(x̂ᵢ)}.

use tch::{Kind, Tensor};

use super::gradient::direction;
use super::{Goal, Victim, clip, random_point};

/// Steps along the sign of the gradient, kept within ε of the original.
#[derive(Debug, Clone, Copy)]
pub struct SignGradient {
    /// Bound of the L∞ norm.
    pub epsilon: f64,
    /// Size of a step.
    pub alpha: f64,
    /// Number of steps.
    pub steps: u32,
    /// Number of random starts, uniform in the ε-ball; 0 starts once, at the picture itself.
    pub restarts: u32,
}

impl SignGradient {
    /// The adversarial pictures it proposes for `x` `[N, C, H, W]`: of several starts, for each image the end that is
    /// closest to the goal. Starts are drawn from torch's random stream.
    pub fn perturb(&self, victim: &dyn Victim, x: &Tensor, goal: &Goal) -> Tensor {
        if self.restarts == 0 {
            return self.descend(victim, x, x, goal);
        }
        let mut best = x.shallow_clone();
        let mut least = Tensor::full([x.size()[0]], f64::INFINITY, (Kind::Float, x.device()));
        for _ in 0..self.restarts {
            let start = random_point(x, self.epsilon);
            let end = self.descend(victim, &start, x, goal);
            let margin = tch::no_grad(|| goal.margin(&victim.logits(&end)));
            (best, least) = nearer(&best, &least, &end, &margin);
        }
        best
    }

    fn descend(&self, victim: &dyn Victim, start: &Tensor, x: &Tensor, goal: &Goal) -> Tensor {
        let mut adversarial = start.shallow_clone();
        for _ in 0..self.steps {
            let step = direction(victim, &adversarial, goal) * self.alpha;
            adversarial = clip(&(adversarial - step), x, self.epsilon);
        }
        adversarial
    }
}

/// For each image the picture with the smaller value, with that value.
pub(crate) fn nearer(best: &Tensor, least: &Tensor, x: &Tensor, value: &Tensor) -> (Tensor, Tensor) {
    let smaller = value.less_tensor(least); // [N]
    (x.where_self(&smaller.reshape([-1, 1, 1, 1]), best), value.where_self(&smaller, least))
}
