//! Figure 9 and Table 8: what each defence reaches within a time limit, on held-out images: the best settings are a choice.
//!
//! The paper's limit is one second for a batch of 128 on its TITAN V. Another machine's second is another limit, so ours is as many
//! times the time of the paper's PuVAE, which is measured anew in each run.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;
use tch::Tensor;

use super::Settings;
use super::figure::{Axis, Figure, Series};
use super::speed::{BATCH, median};
use super::tables::named;
use super::zoo::{Network, Zoo};
use crate::attack::{self, Aim, Attack, Plan};
use crate::classifier::{Architecture, Classifier};
use crate::defence::defense_gan::Projection;
use crate::defence::{Defence, purify_all};
use crate::device;
use crate::evaluate::{self, Guard, contestants};
use crate::nn::params::Params;
use crate::paper;
use crate::progress;
use crate::puvae::{Puvae, PuvaeConfig, Size};

/// Runs behind each time.
const RUNS: usize = 3;
/// Steps and restarts that Defense-GAN is tried with.
const STEPS: [u32; 4] = [5, 12, 25, 50];
const RESTARTS: [u32; 3] = [1, 2, 4];
/// Held-out images for each point.
const IMAGES: usize = 256;

/// Accuracy under FGSM of the target over the time for a batch, in times of the paper's PuVAE.
pub(super) fn run(zoo: &Zoo<'_>, settings: &Settings) -> Result<Figure> {
    let target = Architecture::A;
    let trained = zoo.classifier(target)?;
    let classifier = &trained.network;
    let images = zoo.set.held_out.sample(IMAGES.min(settings.counts(zoo.set).costly), settings.seed);
    let attack = Attack::Fgsm { epsilon: paper::strength(zoo.set.channels).epsilon };
    let plan = Plan { attack, aim: Aim::Targeted, seed: settings.seed };
    let attacked = attack::run(classifier, plan, &images, zoo.set.class_count())?.x;
    let config = PuvaeConfig::preset(Size::Paper, zoo.set.side_px, zoo.set.channels, zoo.set.class_count());
    let unit = Puvae::new(config, Params::new(1, zoo.device));
    let batch = zoo.set.held_out.first(BATCH as usize).all().x;
    let trial = Trial {
        seed: settings.seed as i64,
        classifier,
        attacked,
        labels: images.labels(),
        unit: median(&unit, &batch, RUNS),
        batch,
    };

    let mut series = Vec::new();
    for network in [Network::Puvae(Size::Paper, target), Network::Puvae(Size::Lite, target), Network::Magnet] {
        if let Some(run) = zoo.find(network)? {
            let given = named(network, &run);
            series.push(trial.series(zoo, &given, &[Projection::default()], None)?);
        }
    }
    let gan = if settings.slow_images == Some(0) { None } else { zoo.find(Network::DefenseGan)? };
    if let Some(run) = gan {
        for restarts in RESTARTS {
            let projections = STEPS.map(|steps| Projection { steps, restarts, ..settings.projection() });
            let given = named(Network::DefenseGan, &run);
            series.push(trial.series(zoo, &given, &projections, Some(restarts))?);
        }
    }
    Ok(Figure {
        title: format!("{}, target A under FGSM: accuracy over time, held-out images", zoo.set.name),
        command: evaluate::command(),
        target: trained.about()?,
        x: Axis::logarithmic("time for a batch of 128, in times of the paper's PuVAE"),
        series,
        n: images.len(),
        seed: settings.seed,
        device: device::name(zoo.device),
    })
}

struct Trial<'a> {
    /// Seed of latent noise and starting points.
    seed: i64,
    classifier: &'a Classifier,
    attacked: Tensor,
    labels: Tensor,
    /// Seconds that the paper's PuVAE takes for `batch`.
    unit: f64,
    batch: Tensor,
}

impl Trial<'_> {
    /// A point for each projection, which only Defense-GAN uses.
    fn series(&self, zoo: &Zoo<'_>, given: &str, projections: &[Projection], restarts: Option<u32>) -> Result<Series> {
        let (mut name, mut about) = (String::new(), Value::Null);
        let mut points = Vec::new();
        for &projection in projections {
            let contestant = contestants::defence(zoo.set, given, projection, zoo.device)?;
            let Guard::Defence(defence) = &contestant.guard else { continue };
            name = restarts.map_or_else(|| contestant.name.clone(), |count| format!("{}, R {count}", contestant.name));
            points.push(self.point(defence.as_ref()));
            about = contestant.about;
        }
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        Ok(Series { unit_seconds: Some(self.unit), about, ..Series::new(&name, points) })
    }

    fn point(&self, defence: &dyn Defence) -> [f64; 2] {
        let seconds = median(defence, &self.batch, RUNS);
        let frames = purify_all(defence, &self.attacked, self.seed, &progress::hidden()).frames;
        [seconds / self.unit, evaluate::accuracy(self.classifier, &frames, &self.labels)]
    }
}

/// Table 8: the best that each defence reaches within the limit.
pub(super) fn table(figure: &Figure) -> Result<String> {
    let limit = 1.0 / paper::seconds("puvae-paper").context("the paper timed PuVAE")?;
    let mut text = format!(
        "Within {limit:.2} times the time of the paper's PuVAE, which is the paper's one second on its machine:\n\n| defence | best accuracy | time used, in times of the paper's PuVAE |\n|---|---|---|\n"
    );
    for series in &figure.series {
        let within = series.points.iter().filter(|point| point[0] <= limit);
        match within.max_by(|a, b| a[1].total_cmp(&b[1])) {
            Some([time, accuracy]) => writeln!(text, "| {} | {accuracy:.2} | {time:.3} |", series.name)?,
            None => writeln!(text, "| {} | none fits | – |", series.name)?,
        }
    }
    Ok(text + "\n")
}
