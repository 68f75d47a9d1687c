//! Tables 3 to 5: every attack before every defence.

use std::path::Path;

use anyhow::{Context, Result};

use super::samples;
use super::zoo::{Network, Zoo, source_for};
use super::{Counts, Settings};
use crate::attack::{self, Plan, names};
use crate::classifier::Architecture;
use crate::evaluate::adaptive::Effort;
use crate::evaluate::{self, Contestant, Destination, Measures, Participants};
use crate::paper;
use crate::puvae::Size;
use crate::runs;

/// The attacks of the tables; the paper has FGSM, iFGSM and CW, targeted.
const ATTACKS: [&str; 6] = ["fgsm", "ifgsm-10", "ifgsm-40", "untargeted-fgsm", "untargeted-ifgsm-10", "cw-tutorial"];
/// The attack of the sample pictures.
const SHOWN: &str = "ifgsm-40";

/// A block of a table: a target under all attacks.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// The table's number in the paper.
    pub table: u32,
    /// Folder of the data set.
    pub dataset: &'static str,
    /// The target M_t.
    pub target: Architecture,
}

/// The blocks of Tables 3, 4 and 5.
pub const BLOCKS: [Block; 6] = [
    Block { table: 3, dataset: "mnist", target: Architecture::A },
    Block { table: 3, dataset: "mnist", target: Architecture::B },
    Block { table: 4, dataset: "fashion-mnist", target: Architecture::A },
    Block { table: 4, dataset: "fashion-mnist", target: Architecture::B },
    Block { table: 5, dataset: "cifar10", target: Architecture::C },
    Block { table: 5, dataset: "cifar10", target: Architecture::D },
];

impl Block {
    /// `table3-a` …, the name of its results file.
    #[must_use]
    pub fn name(&self) -> String {
        format!("table{}{}", self.table, self.target.name().replace("classifier", ""))
    }
}

/// Measures a block, and draws what the purifiers did.
pub(super) fn run(block: Block, zoo: &Zoo<'_>, settings: &Settings) -> Result<()> {
    let target = zoo.find(Network::Classifier(block.target))?;
    let target = target.with_context(|| {
        format!("{}: no {} to attack; train it by leaving out --no-training", block.dataset, block.target.name())
    })?;
    let target = runs::load_classifier(&target, zoo.device)?;
    let contestants = contestants(block, zoo)?;
    let Counts { images, costly, adaptive, restarts } = settings.counts(zoo.set);
    let strength = paper::strength(zoo.set.channels);
    let parse = |name: &&str| names::parse(name, strength.epsilon, strength.alpha);
    let effort = Effort { epsilon: strength.epsilon, alpha: strength.alpha, steps: 40, restarts };
    let measures = Measures {
        attacks: ATTACKS.iter().map(parse).collect::<Result<_>>()?,
        images,
        costly_images: costly,
        adaptive: (adaptive > 0).then_some((effort, adaptive)),
        seed: settings.seed,
    };
    let path = settings.results().join(format!("{}.json", block.name()));
    let participants = Participants { target: &target, contestants: &contestants };
    let at = Destination { path: &path, resume: true };
    evaluate::run(zoo.set, (&zoo.set.test, "test"), participants, &measures, at)?;

    let shown = zoo.set.test.sample(samples::COUNT, settings.seed);
    let (attack, aim) = parse(&SHOWN)?;
    let plan = Plan { attack, aim, seed: settings.seed };
    let attacked = attack::run(&target.network, plan, &shown, zoo.set.class_count())?.x;
    samples::write(&settings.figures().join(format!("{}.png", block.name())), &shown.all().x, &attacked, &contestants)
}

/// The trained defences and classifiers, and those that need no training.
fn contestants(block: Block, zoo: &Zoo<'_>) -> Result<Vec<Contestant>> {
    let defences =
        [Network::Puvae(Size::Paper, block.target), Network::Puvae(Size::Lite, block.target), Network::Magnet];
    let replacements = [Network::Adversarial(block.target), Network::Classifier(source_for(block.target))];
    let mut contestants = Vec::new();
    for network in defences {
        if let Some(run) = zoo.find(network)? {
            contestants.push(runs::defence(zoo.set, &named(network, &run), zoo.device)?);
        }
    }
    for network in replacements {
        if let Some(run) = zoo.find(network)? {
            contestants.push(runs::replacement(zoo.set, &named(network, &run), zoo.device)?);
        }
    }
    for untrained in ["binarise", "median"] {
        contestants.push(runs::defence(zoo.set, untrained, zoo.device)?);
    }
    contestants.sort_by(|a, b| a.name.cmp(&b.name)); // as results files have them
    Ok(contestants)
}

/// `NAME=FOLDER`, where the name does not repeat the target's.
pub(super) fn named(network: Network, run: &Path) -> String {
    let name = match network {
        Network::Puvae(Size::Paper, _) => "puvae-paper".into(),
        Network::Puvae(Size::Lite, _) => "puvae-lite".into(),
        Network::Adversarial(_) => "adversarial".into(),
        other => other.name(),
    };
    format!("{name}={}", run.display())
}
