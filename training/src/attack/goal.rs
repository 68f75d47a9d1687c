//! What an attacker wants, and what he makes small to get it.

use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Towards a class, or away from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// The victim shall say a class drawn among the wrong ones, as in the paper.
    Targeted,
    /// The victim shall say anything but the truth; never harder than a target.
    Untargeted,
}

/// What the attacker wants of each image.
#[derive(Debug)]
pub enum Goal {
    /// The victim says this class: `[N]` i64.
    Targeted(Tensor),
    /// The victim says anything but this class: `[N]` i64.
    Untargeted(Tensor),
}

impl Goal {
    /// The class the goal is about: the target, or the truth.
    pub fn class(&self) -> &Tensor {
        match self {
            Self::Targeted(class) | Self::Untargeted(class) => class,
        }
    }

    /// The same goal for the images of `index`, `[M]` i64.
    pub fn select(&self, index: &Tensor) -> Self {
        match self {
            Self::Targeted(class) => Self::Targeted(class.index_select(0, index)),
            Self::Untargeted(class) => Self::Untargeted(class.index_select(0, index)),
        }
    }

    /// Cross-entropy to the target, or minus cross-entropy to the truth: `[N, K]` → `[N]`, made small.
    ///
    /// −log p_y is ln(1 + e^u), where u is the log-sum-exp of the other logits minus the own one. Its gradient is
    /// sure of itself where the softmax saturates; that of a log-softmax is 1 − p_y there, which rounds to 0 and loses the own
    /// class's part.
    pub fn cross_entropy(&self, logits: &Tensor) -> Tensor {
        let others = without(logits, self.class()).logsumexp([1], false);
        let loss = (others - at_class(logits, self.class())).softplus();
        match self {
            Self::Targeted(_) => loss,
            Self::Untargeted(_) => -loss,
        }
    }

    /// How far the logits are from the goal, at or below 0 where it is reached: `[N, K]` → `[N]`, made small. Unlike the cross-entropy
    /// it does not flatten where the softmax saturates (Carlini and Wagner, 2017).
    pub fn margin(&self, logits: &Tensor) -> Tensor {
        let (own, other) = (at_class(logits, self.class()), best_other(logits, self.class()));
        match self {
            Self::Targeted(_) => other - own,
            Self::Untargeted(_) => own - other,
        }
    }

    /// Whether the victim's answer is what the attacker wants: `[N, K]` → `[N]` bool.
    pub fn reached(&self, logits: &Tensor) -> Tensor {
        let answer = logits.argmax(1, false);
        match self {
            Self::Targeted(class) => answer.eq_tensor(class),
            Self::Untargeted(class) => answer.not_equal_tensor(class),
        }
    }
}

/// The value of one class of each image: `[N, K]`, `[N]` → `[N]`.
pub(crate) fn at_class(values: &Tensor, class: &Tensor) -> Tensor {
    values.gather(1, &class.unsqueeze(1), false).squeeze_dim(1)
}

/// The largest value of the other classes: `[N, K]`, `[N]` → `[N]`.
fn best_other(values: &Tensor, class: &Tensor) -> Tensor {
    without(values, class).amax(1, false)
}

/// Every wrong class as a target, the likeliest of each image first: `[N, K]`, `[N]` → K − 1 goals.
pub(crate) fn wrong_classes(scores: &Tensor, class: &Tensor) -> Vec<Goal> {
    let order = without(scores, class).argsort(1, true); // [N, K], the true class last
    (0..scores.size()[1] - 1).map(|rank| Goal::Targeted(order.select(1, rank))).collect()
}

/// The values with −∞ at one class of each image: `[N, K]`, `[N]` → `[N, K]`.
fn without(values: &Tensor, class: &Tensor) -> Tensor {
    values.scatter_value(1, &class.unsqueeze(1), f64::NEG_INFINITY)
}
