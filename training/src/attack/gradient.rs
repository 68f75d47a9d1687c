//! The gradient at a picture, of whatever an attacker wants to make small.

use tch::{Kind, Tensor};

use super::{Goal, Victim};

/// The values `[N]` of `x` `[N, …]`, and the gradient of each at its own picture: `value` must not mix the pictures of a batch.
pub(crate) fn value_and_gradient(x: &Tensor, value: impl Fn(&Tensor) -> Tensor) -> (Tensor, Tensor) {
    let leaf = x.detach().set_requires_grad(true);
    let value = value(&leaf);
    let gradient = Tensor::run_backward(&[value.sum(Kind::Float)], &[&leaf], false, false).remove(0);
    (value.detach(), gradient)
}

/// ∇ₓ of the goal's cross-entropy at `x`; an image's gradient does not depend on the others of its batch.
pub fn gradient(victim: &dyn Victim, x: &Tensor, goal: &Goal) -> Tensor {
    value_and_gradient(x, |x| goal.cross_entropy(&victim.logits(x))).1
}

/// sign ∇ₓ of the goal's cross-entropy at `x`.
pub fn direction(victim: &dyn Victim, x: &Tensor, goal: &Goal) -> Tensor {
    gradient(victim, x, goal).sign()
}
