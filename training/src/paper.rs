//! What the paper reports, to stand beside what was measured here (Tables 3 and 4: targeted attacks, ε 0.3, the attacker
//! sees M_t only). Accuracies in percent.

use crate::attack::{Aim, Attack};

/// What names of Defense-GAN in results begin with; one that was trained for another length says so behind it.
const DEFENSE_GAN: &str = "defense-gan";

/// Strength of the paper's L∞ attacks.
#[derive(Debug, Clone, Copy)]
pub struct Strength {
    /// Bound of the L∞ norm.
    pub epsilon: f64,
    /// Size of a step of iFGSM.
    pub alpha: f64,
}

impl Strength {
    /// This bound, with steps of the paper's share of it: a tenth.
    #[must_use]
    pub fn within(epsilon: f64) -> Self {
        Self { epsilon, alpha: epsilon / 10.0 }
    }
}

/// How strong the paper's attacks are on grey pictures (MNIST, Fashion-MNIST) and on colour ones (CIFAR-10, where it does not
/// say the size of a step: a tenth of ε, as on the others).
#[must_use]
pub fn strength(channels: i64) -> Strength {
    Strength::within(if channels == 1 { 0.3 } else { 0.06 })
}

/// Tables 3 and 4, a line for each attack: no defence, adversarial training, MagNet, Defense-GAN, PuVAE.
const TABLES: [(&str, &str, [[f64; 5]; 3]); 4] = [
    (
        "mnist",
        "a",
        [[12.46, 78.57, 26.90, 85.29, 81.33], [0.00, 91.72, 72.48, 87.40, 92.33], [0.43, 18.80, 18.80, 90.04, 90.80]],
    ),
    (
        "mnist",
        "b",
        [[28.85, 88.49, 71.70, 86.03, 88.25], [0.04, 93.56, 86.29, 88.55, 92.25], [0.59, 19.20, 19.10, 90.76, 92.92]],
    ),
    (
        "fashion-mnist",
        "a",
        [[4.06, 11.51, 11.71, 56.67, 59.18], [0.00, 50.31, 34.70, 65.11, 72.51], [5.01, 18.00, 15.50, 68.60, 80.59]],
    ),
    (
        "fashion-mnist",
        "b",
        [[2.75, 8.00, 15.30, 58.20, 52.46], [0.00, 46.97, 41.84, 66.06, 71.04], [4.87, 16.70, 16.70, 67.62, 79.42]],
    ),
];

/// M_t's accuracy on clean images.
const CLEAN: [(&str, &str, f64); 4] =
    [("mnist", "a", 99.51), ("mnist", "b", 99.29), ("fashion-mnist", "a", 93.46), ("fashion-mnist", "b", 93.54)];

/// A line of Tables 3 and 4.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// M_t alone.
    pub undefended: f64,
    /// M_t trained adversarially (Eq. 4).
    pub adversarial_training: f64,
    /// Behind MagNet.
    pub magnet: f64,
    /// Behind Defense-GAN.
    pub defense_gan: f64,
    /// Behind PuVAE.
    pub puvae: f64,
}

impl Line {
    /// The number of a defence, by its name in results; ours is held against PuVAE.
    #[must_use]
    pub fn of(&self, defence: &str) -> Option<f64> {
        match defence {
            "adversarial" => Some(self.adversarial_training),
            "magnet" => Some(self.magnet),
            name if name.starts_with(DEFENSE_GAN) => Some(self.defense_gan),
            "puvae-paper" | "puvae-lite" => Some(self.puvae),
            _ => None,
        }
    }

    /// The best defence's number.
    #[must_use]
    pub fn best(&self) -> f64 {
        self.adversarial_training.max(self.magnet).max(self.defense_gan).max(self.puvae)
    }
}

/// The paper's line for an attack on a target architecture, if it has one. The paper states neither the steps of iFGSM nor
/// the constants of CW, so its numbers stand beside each of ours.
#[must_use]
pub fn line(dataset: &str, target: &str, attack: Attack, aim: Aim) -> Option<Line> {
    let at = match attack {
        _ if aim == Aim::Untargeted || attack.epsilon().is_some_and(|epsilon| epsilon != 0.3) => return None,
        Attack::Fgsm { .. } => 0,
        Attack::IFgsm { .. } => 1,
        Attack::CarliniWagner { confidence: 0, .. } => 2,
        Attack::CarliniWagner { .. } | Attack::Pgd { .. } => return None,
    };
    let (_, _, lines) = TABLES.iter().find(|(set, classifier, _)| (*set, *classifier) == (dataset, target))?;
    let [undefended, adversarial_training, magnet, defense_gan, puvae] = lines[at];
    Some(Line { undefended, adversarial_training, magnet, defense_gan, puvae })
}

/// M_t's accuracy on clean images in the paper.
#[must_use]
pub fn clean(dataset: &str, target: &str) -> Option<f64> {
    CLEAN.iter().find(|(set, classifier, _)| (*set, *classifier) == (dataset, target)).map(|found| found.2)
}

/// Seconds for a batch of 128 MNIST images on a TITAN V (Table 7), by a defence's name in results.
#[must_use]
pub fn seconds(defence: &str) -> Option<f64> {
    match defence {
        "magnet" => Some(0.01),
        DEFENSE_GAN => Some(14.80),
        "puvae-paper" => Some(0.114),
        _ => None,
    }
}

/// How long a defence was trained where its recipe is published: the paper does not say for PuVAE, but re-implementations
/// do. With its unit.
#[must_use]
pub fn published_training(defence: &str, dataset: &str) -> Option<&'static str> {
    match (defence, dataset) {
        ("puvae-paper", "cifar10") => Some("1024 epochs"),
        ("puvae-paper", _) => Some("350 epochs"),
        ("magnet", "cifar10") => Some("400 epochs"),
        ("magnet", _) => Some("100 epochs"),
        (name, _) if name.starts_with(DEFENSE_GAN) => Some("200,000 iterations"),
        _ => None,
    }
}
