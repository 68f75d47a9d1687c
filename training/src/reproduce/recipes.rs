//! How the purifiers of the tables learn: from which classifiers, and where their recipes leave the presets.

use super::zoo::source_for;
use crate::classifier::Architecture;
use crate::fit::Schedule;
use crate::puvae::Size;

const BATCH: usize = 128;

/// A purifier's training: in stages, each of which begins with the weights of the one before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recipe {
    /// The classifiers it learns from.
    pub(super) sources: Vec<Architecture>,
    /// One after the other.
    pub(super) stages: Vec<Stage>,
}

/// A stage of a purifier's training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stage {
    /// TOML with the fields that differ from the preset.
    pub(super) fields: &'static str,
    /// How long and how fast.
    pub(super) schedule: Schedule,
}

impl Stage {
    const fn new(fields: &'static str, epochs: u32, rate: f64) -> Self {
        Self { fields, schedule: Schedule { epochs, batch: BATCH, rate } }
    }
}

/// The recipe of a purifier for `target`, which it never sees, on pictures of `channels` channels.
#[must_use]
pub(super) fn of(dataset: &str, channels: i64, size: Size, target: Architecture) -> Recipe {
    use Architecture::{A, B, E};
    let grey = channels == 1;
    let other = source_for(target);
    let (sources, stages) = match (size, dataset, target) {
        (Size::Paper, ..) => {
            (vec![other], vec![Stage::new(include_str!("../../recipes/paper-weaker-kl.toml"), 10, 1e-3)])
        }
        (Size::Lite, "mnist", _) => {
            let first = match target {
                A => Stage::new(include_str!("../../recipes/first-stage.toml"), 8, 2e-3),
                _ => Stage::new("", 10, 2e-3),
            };
            (vec![other], vec![first, Stage::new(include_str!("../../recipes/attacked-selection.toml"), 6, 1e-3)])
        }
        (Size::Lite, "fashion-mnist", _) => {
            (vec![other, E], vec![Stage::new(include_str!("../../recipes/mirrored.toml"), 14, 2e-3)])
        }
        (Size::Lite, ..) if grey => (vec![other], vec![Stage::new("", 14, 2e-3)]),
        // In colour `lite` needs several, or it paints what only one of them reads; then it saw neither C nor D, and is for both.
        (Size::Lite, ..) => (vec![A, B, E], vec![Stage::new("", 50, 2e-3)]),
    };
    Recipe { sources, stages }
}

/// The last stage of a purifier with a quantised input; it begins with the weights of the one without.
pub(super) const QUANTISED: Stage = Stage::new("", 3, 5e-4);

#[cfg(test)]
mod tests {
    use super::super::tables::{BLOCKS, Block};
    use super::*;
    use crate::puvae::PuvaeConfig;

    #[test]
    fn no_purifier_sees_its_target_and_each_stage_can_be_trained() {
        for Block { dataset, target, .. } in BLOCKS {
            let (side_px, channels) = if dataset == "cifar10" { (32, 3) } else { (28, 1) };
            for size in [Size::Paper, Size::Lite] {
                let recipe = of(dataset, channels, size, target);
                assert!(!recipe.sources.contains(&target), "{dataset} {target:?}");
                for stage in recipe.stages {
                    let preset = PuvaeConfig::preset(size, side_px, channels, 10);
                    preset.with(stage.fields).unwrap().check().unwrap();
                }
            }
        }
    }
}
