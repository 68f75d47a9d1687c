//! Figure 7: what the coefficients λ_RC, λ_KL and λ_CE do.

use std::slice;

use anyhow::{Context, Result};
use tch::Tensor;

use super::Settings;
use super::figure::{Axis, Figure, Series};
use super::zoo::{QUICK_IMAGES, Zoo, source_for};
use crate::attack::{self, Aim, Attack, Plan};
use crate::classifier::{Architecture, Classifier};
use crate::data::DataSet;
use crate::defence::purify_all;
use crate::device;
use crate::evaluate;
use crate::fit::Schedule;
use crate::paper;
use crate::progress;
use crate::puvae::{PuvaeConfig, Size};
use crate::resumable::Run;
use crate::runs::{self, Place, Trained, same_data};

/// Each coefficient takes these values while the others keep the paper's.
const GRID: [f64; 5] = [0.01, 0.1, 1.0, 10.0, 100.0];
/// Training images, and passes over them, of each of the small purifiers.
const IMAGES: usize = 5_000;
const EPOCHS: u32 = 4;
/// What the page says of them.
pub(super) const ABOUT: &str = "Each point is a purifier of the paper's layers and loss, trained on 5,000 images for 4 epochs (with `--quick` on 500 for one): enough to compare them, not to judge one. \
     One coefficient is varied, the others are the paper's (λ_RC 0.01, λ_KL 0.1, λ_CE 10). The paper's grid goes on to 1,000, ours ends at 100. \
     A λ_KL as large as the paper's empties the latent code in so short a training, so `puvae-paper` of the tables has a tenth of it.\n\n";
/// Held-out images that each is judged on.
const JUDGED: usize = 1_000;

/// One of the coefficients.
type Coefficient = (&'static str, fn(&mut PuvaeConfig) -> &mut f64);

/// For each coefficient the accuracy at the paper's value, and the best.
pub(super) fn findings(figure: &Figure) -> String {
    let paper = PuvaeConfig::preset(Size::Paper, 28, 1, 10);
    let lines = COEFFICIENTS.iter().filter_map(|(name, coefficient)| {
        let usual = *coefficient(&mut paper.clone());
        let points = &figure.series.iter().find(|series| series.name == *name)?.points;
        let here = points.iter().find(|point| point[0] == usual)?[1];
        let &[best, most] = points.iter().max_by(|a, b| a[1].total_cmp(&b[1]))?;
        Some(format!("{name} {usual} (the paper's) leaves {here:.1} %, the best, {best}, {most:.1} %"))
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { String::new() } else { format!("{}.\n\n", lines.join("; ")) }
}

const COEFFICIENTS: [Coefficient; 3] = [
    ("λ_RC", |config| &mut config.lambda_rc),
    ("λ_KL", |config| &mut config.lambda_kl),
    ("λ_CE", |config| &mut config.lambda_ce),
];

/// Accuracy of the target behind small purifiers of the paper's layers, under FGSM, on held-out images: this is a choice.
pub(super) fn run(zoo: &Zoo<'_>, settings: &Settings) -> Result<Figure> {
    let target = Architecture::A;
    let trained = zoo.classifier(target)?;
    let classifier = &trained.network;
    let source = zoo.classifier(source_for(target))?;
    let images = zoo.set.held_out.sample(JUDGED, settings.seed);
    let attack = Attack::Fgsm { epsilon: paper::strength(zoo.set.channels).epsilon };
    let plan = Plan { attack, aim: Aim::Targeted, seed: settings.seed };
    let attacked = attack::run(classifier, plan, &images, zoo.set.class_count())?.x;
    let study =
        Study { seed: settings.seed as i64, zoo, classifier, source: &source, attacked, labels: images.labels() };
    let mut series = Vec::new();
    for coefficient in COEFFICIENTS {
        let mut points = Vec::new();
        for lambda in GRID {
            points.extend(study.accuracy(coefficient, lambda)?.map(|accuracy| [lambda, accuracy]));
        }
        series.push(Series::new(coefficient.0, points));
    }
    Ok(Figure {
        title: format!("{}, target A under FGSM: one coefficient varied, held-out images", zoo.set.name),
        command: evaluate::command(),
        target: trained.about()?,
        x: Axis::logarithmic("coefficient"),
        series,
        n: images.len(),
        seed: settings.seed,
        device: device::name(zoo.device),
    })
}

struct Study<'a> {
    /// Seed of latent noise.
    seed: i64,
    zoo: &'a Zoo<'a>,
    classifier: &'a Classifier,
    source: &'a Trained<Classifier>,
    attacked: Tensor,
    labels: Tensor,
}

impl Study<'_> {
    /// Trains a purifier with this coefficient, or finds it, and puts it in front of the target; `None` if it is not there and
    /// may not be trained.
    fn accuracy(&self, (name, coefficient): Coefficient, lambda: f64) -> Result<Option<f64>> {
        let (zoo, set) = (self.zoo, self.zoo.set);
        let mut config = PuvaeConfig::preset(Size::Paper, set.side_px, set.channels, set.class_count());
        *coefficient(&mut config) = lambda;
        let out = zoo
            .runs
            .join(format!("{}-fig7-rc{}-kl{}-ce{}", set.name, config.lambda_rc, config.lambda_kl, config.lambda_ce));
        let schedule = Schedule { epochs: if zoo.quick { 1 } else { EPOCHS }, batch: 128, rate: 1e-3 };
        let few = set.train.first(if zoo.quick { QUICK_IMAGES / 10 } else { IMAGES });
        if zoo.train {
            // One that is there goes on, which also checks that it is of this configuration and source.
            eprintln!("{name} = {lambda}");
            let few = DataSet { train: few, ..set.shallow_clone() };
            let place = Place { out: &out, resume: true, seed: 1 };
            runs::train_puvae(&few, config, slice::from_ref(self.source), None, schedule, place, zoo.device)
                .with_context(|| format!("{name} = {lambda}"))?;
        } else if !Run::checkpoint(&out).exists() {
            return Ok(None);
        }
        let Trained { network: purifier, header } = runs::load_puvae(&out, zoo.device)?;
        same_data(set, &header)?;
        if header.epoch != schedule.epochs {
            eprintln!("note: {}: {} epochs, expected {}; left out", out.display(), header.epoch, schedule.epochs);
            return Ok(None);
        }
        let frames = purify_all(&purifier, &self.attacked, self.seed, &progress::hidden()).frames;
        Ok(Some(evaluate::accuracy(self.classifier, &frames, &self.labels)))
    }
}
