//! Tables 3 to 6: every attack before every defence; in Table 6 also attacks made on a substitute.

use std::path::Path;

use anyhow::Result;

use super::samples;
use super::zoo::{Network, Zoo, source_for};
use super::{Counts, Settings};
use crate::attack::{self, Plan, names};
use crate::classifier::{Architecture, Classifier};
use crate::defence::defense_gan::Projection;
use crate::evaluate::adaptive::Effort;
use crate::evaluate::{self, BLACK_BOX, Contestant, Destination, Measures, Participants, Resume, contestants};
use crate::paper::{self, Strength};
use crate::puvae::Size;
use crate::runs;

/// The attacks of the tables; the paper has FGSM, iFGSM and CW, targeted.
const ATTACKS: [&str; 6] = ["fgsm", "ifgsm-10", "ifgsm-40", "untargeted-fgsm", "untargeted-ifgsm-10", "cw-tutorial"];
/// The attacks of Table 6, each made on the target and on the substitute.
const BLACK_BOX_ATTACKS: [&str; 5] = ["fgsm", "ifgsm-40", "untargeted-fgsm", "untargeted-ifgsm-10", "cw-tutorial"];
/// What is added to the name of the results of Defense-GAN, which is so slow that it has its own number of images.
const SLOW: &str = "-defense-gan";
/// The attack of the sample pictures.
const SHOWN: &str = "ifgsm-40";

/// A block of a table: a target under all attacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// The table's number in the paper.
    pub(super) table: u32,
    /// Folder of the data set.
    pub(super) dataset: &'static str,
    /// The target M_t.
    pub(super) target: Architecture,
}

/// The blocks of Tables 3 to 6.
pub(super) const BLOCKS: [Block; 8] = [
    Block { table: 3, dataset: "mnist", target: Architecture::A },
    Block { table: 3, dataset: "mnist", target: Architecture::B },
    Block { table: 4, dataset: "fashion-mnist", target: Architecture::A },
    Block { table: 4, dataset: "fashion-mnist", target: Architecture::B },
    Block { table: 5, dataset: "cifar10", target: Architecture::C },
    Block { table: 5, dataset: "cifar10", target: Architecture::D },
    Block { table: 6, dataset: "fashion-mnist", target: Architecture::A },
    Block { table: 6, dataset: "fashion-mnist", target: Architecture::B },
];

impl Block {
    /// `table3-a` …, the name of its results file.
    #[must_use]
    pub(super) fn name(&self) -> String {
        format!("table{}-{}", self.table, self.target.letter())
    }

    fn is_black_box(&self) -> bool {
        self.table == 6
    }
}

/// Measures a block, and draws what the purifiers did.
pub(super) fn run(block: Block, zoo: &Zoo<'_>, settings: &Settings) -> Result<()> {
    let target = zoo.classifier(block.target)?;
    let substitute = if block.is_black_box() { zoo.find(Network::Substitute(block.target))? } else { None };
    let substitute = substitute.map(|run| runs::load_classifier(&run, zoo.device)).transpose()?;
    if block.is_black_box() && substitute.is_none() {
        return Ok(());
    }
    let taking_part = taking_part(block, zoo)?;
    let measures = measures(block, zoo, settings)?;
    let path = settings.results().join(format!("{}.json", block.name()));
    let participants = Participants { target: &target, substitute: substitute.as_ref(), contestants: &taking_part };
    let at = Destination { path: &path, resume: Resume::SameOrAnew };
    let results = evaluate::run(zoo.set, (&zoo.set.test, "test"), participants, &measures, at)?;
    let slow = settings.slow_images.unwrap_or(measures.costly_images);
    let gan = if slow > 0 { zoo.find(Network::DefenseGan)? } else { None };
    if let Some(run) = gan {
        let gan = contestants::defence(zoo.set, &named(Network::DefenseGan, &run), settings.projection(), zoo.device)?;
        let measures = Measures { images: Some(slow), costly_images: slow, adaptive: None, ..measures };
        let path = settings.results().join(format!("{}{SLOW}.json", block.name()));
        let participants = Participants { contestants: &[gan], ..participants };
        let at = Destination { path: &path, resume: Resume::SameOrAnew };
        evaluate::run(zoo.set, (&zoo.set.test, "test"), participants, &measures, at)?;
    }
    let figure = settings.figures().join(format!("{}.png", block.name()));
    if results.defences.len() > taking_part.len() && figure.exists() {
        eprintln!("note: {}: stays, for the table has columns of networks that are not there now", figure.display());
        return Ok(());
    }
    let (attack, seen) = match &substitute {
        Some(substitute) => (format!("{BLACK_BOX}{SHOWN}"), &substitute.network),
        None => (SHOWN.to_owned(), &target.network),
    };
    draw(&figure, zoo, (&attack, seen), &taking_part, settings.seed)
}

/// What the purifiers make of a few test images that were attacked on the classifier `seen`.
fn draw(
    figure: &Path,
    zoo: &Zoo<'_>,
    (name, seen): (&str, &Classifier),
    taking_part: &[Contestant],
    seed: u64,
) -> Result<()> {
    let strength = paper::strength(zoo.set.channels);
    let (attack, aim) = names::parse(SHOWN, strength.epsilon, strength.alpha)?;
    let shown = zoo.set.test.sample(samples::COUNT, seed);
    let attacked = attack::run(seen, Plan { attack, aim, seed }, &shown, zoo.set.class_count())?.x;
    samples::write(figure, &shown.all().x, (name, &attacked), taking_part, seed)
}

/// The attackers who know a defence are in Tables 3 to 5; Table 6 is about those who know even less than usual.
fn measures(block: Block, zoo: &Zoo<'_>, settings: &Settings) -> Result<Measures> {
    let Counts { images, costly, adaptive, restarts } = settings.counts(zoo.set);
    let Strength { epsilon, alpha } = paper::strength(zoo.set.channels);
    let (attacks, images, adaptive) =
        if block.is_black_box() { (&BLACK_BOX_ATTACKS[..], Some(costly), 0) } else { (&ATTACKS[..], images, adaptive) };
    let effort = Effort { epsilon, alpha, steps: 40, restarts, thorough: None };
    Ok(Measures {
        attacks: attacks.iter().map(|name| names::parse(name, epsilon, alpha)).collect::<Result<_>>()?,
        images,
        costly_images: costly,
        adaptive: (adaptive > 0).then_some((effort, adaptive)),
        seed: settings.seed,
    })
}

/// The trained defences and classifiers, and those that need no training.
fn taking_part(block: Block, zoo: &Zoo<'_>) -> Result<Vec<Contestant>> {
    let mut defences =
        vec![Network::Puvae(Size::Paper, block.target), Network::Puvae(Size::Lite, block.target), Network::Magnet];
    if block.dataset == "mnist" {
        defences.push(Network::Quantised(block.target));
    }
    let replacements = [Network::Adversarial(block.target), Network::Classifier(source_for(block.target))];
    let mut found = Vec::new();
    for network in defences {
        if let Some(run) = zoo.find(network)? {
            found.push(contestants::defence(zoo.set, &named(network, &run), Projection::default(), zoo.device)?);
        }
    }
    for network in replacements {
        if let Some(run) = zoo.find(network)? {
            found.push(contestants::replacement(zoo.set, &named(network, &run), zoo.device)?);
        }
    }
    for untrained in ["binarise", "median", "class-mean"] {
        found.push(contestants::defence(zoo.set, untrained, Projection::default(), zoo.device)?);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name)); // as results files have them
    Ok(found)
}

/// `NAME=FOLDER`, where the name does not repeat the target's.
pub(super) fn named(network: Network, run: &Path) -> String {
    let name = match network {
        Network::Puvae(Size::Paper, _) => "puvae-paper".into(),
        Network::Puvae(Size::Lite, _) => "puvae-lite".into(),
        Network::Quantised(_) => "puvae-lite-quantised".into(),
        Network::Adversarial(_) => "adversarial".into(),
        other => other.name(),
    };
    format!("{name}={}", run.display())
}
