//! How hard an attacker who knows a defence tries, and what he leaves of it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::Defended;
use super::attacker::Left;
use crate::attack::check_epsilon;

/// Which attacker this is; what a weaker one left is measured anew ([`Outcome::weakness`]).
pub const ATTACKER: u32 = 5;
/// What the row of pictures that were made on another defence begins with.
pub(in crate::evaluate) const MADE_ON: &str = "then made on ";
/// The row of the search without gradients.
pub(in crate::evaluate) const SQUARE: &str = "then a search without gradients";

/// What earlier attackers did worse: the last of them, whether it only concerns a thorough one, and what.
const WEAKNESSES: [(u32, bool, &str); 4] = [
    (
        1,
        false,
        "began all attacks at the same random points, so that his starts are fewer different tries than they look",
    ),
    (
        2,
        true,
        "took no random starts for the wrong classes in turn, and in the search compared pictures under different draws of the latent noise and spent queries on squares that change nothing",
    ),
    (3, true, "took steps of a fixed length only, without Auto-PGD"),
    (
        4,
        true,
        "judged no point on a descent's way but that of the smallest loss, and began Auto-PGD, if he had it, at random points only",
    ),
];

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

/// How a thorough attacker goes on: every wrong class in turn, also by Auto-PGD, what he makes on the other defences, a search without
/// gradients. In all of his descents he judges one point more: that on the way which was most clearly wrong, as whatever class.
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
    /// Accuracy under the untargeted attack where the defence decides, without a bound (ε = 1), from one start; anything but about 0
    /// means that the attacks do not find their way, and that the figures above flatter.
    pub unbounded: f64,
    /// Wall time, in seconds; 0 in files of version 2, which did not tell.
    #[serde(default)]
    pub seconds: f64,
}

/// Of files that do not tell.
fn first_attacker() -> u32 {
    1
}

impl Outcome {
    /// In what the attacker of an earlier version was weaker, where this outcome shows it.
    #[must_use]
    pub fn weakness(&self) -> Option<String> {
        let thorough = self.effort.thorough.is_some();
        let weaknesses: Vec<&str> = WEAKNESSES
            .into_iter()
            .filter(|&(last, of_thorough, _)| self.attacker <= last && (thorough || !of_thorough))
            .map(|(.., weakness)| weakness)
            .collect();
        (!weaknesses.is_empty()).then(|| weaknesses.join("; "))
    }

    /// Whether this is what the attacker of this version leaves of `n` images with this effort. A thorough one must have taken along
    /// pictures from all of `neighbours` but the one called `name`, and from no others.
    pub(in crate::evaluate) fn is_current(
        &self,
        name: &str,
        (effort, n): (Effort, usize),
        neighbours: &[(&str, Defended<'_>)],
    ) -> bool {
        let met: BTreeSet<&str> = self.rows.iter().filter_map(|row| row.attack.strip_prefix(MADE_ON)).collect();
        let others = neighbours.iter().map(|&(other, _)| other).filter(|&other| other != name).collect();
        self.weakness().is_none()
            && (self.effort, self.n) == (effort, n)
            && (self.effort.thorough.is_none() || met == others)
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
    /// Accuracy left after each start; where every wrong class is tried, after each start for all of them. Empty of the search, and before
    /// it was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_rounds: Vec<f64>,
}

impl OutcomeRow {
    /// Whether the attack was tried only on what all before it left.
    #[must_use]
    pub fn came_after_others(&self) -> bool {
        self.attack.starts_with("then ")
    }

    /// What an attack on the images that were `standing` left.
    pub(super) fn of(attack: String, left: &Left, standing: &Tensor) -> Self {
        // The others were not attacked: they have no gradient that could be zero.
        let attacked = standing.nonzero().squeeze_dim(1);
        let zero_gradient = if attacked.numel() > 0 { percent(&left.flat.index_select(0, &attacked)) } else { 0.0 };
        Self { attack, accuracy: percent(&left.right), zero_gradient, after_rounds: left.after_rounds.clone() }
    }
}

/// Share of an `[N]` of bools that is true, in percent.
pub(super) fn percent(flags: &Tensor) -> f64 {
    100.0 * flags.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_earlier_thorough_attacker_was_weaker_in_something() {
        let effort =
            Effort { epsilon: 0.3, alpha: 0.03, steps: 40, restarts: 5, thorough: Some(Thorough { queries: 9 }) };
        let of = |attacker| Outcome {
            attacker,
            effort,
            n: 64,
            clean: 90.0,
            rows: Vec::new(),
            worst: 80.0,
            unbounded: 0.0,
            seconds: 0.0,
        };
        for earlier in 1..ATTACKER {
            assert!(of(earlier).weakness().is_some() && !of(earlier).is_current("d", (effort, 64), &[]), "{earlier}");
        }
        assert!(of(ATTACKER).weakness().is_none() && of(ATTACKER).is_current("d", (effort, 64), &[]));
        assert!(!of(ATTACKER).is_current("d", (effort, 32), &[]), "of other images");
        assert!(!of(ATTACKER).is_current("d", (Effort { steps: 41, ..effort }, 64), &[]), "of other attacks");
    }
}
