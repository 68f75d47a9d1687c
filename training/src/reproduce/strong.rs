//! Figure 8: FGSM by an attacker who knows the purifier ("strong white-box"), at growing ε.

use anyhow::Result;

use super::Settings;
use super::figure::{Axis, Figure, Series};
use super::tables::named;
use super::zoo::{Network, Zoo};
use crate::attack::{self, Aim, Attack, Plan, Victim};
use crate::classifier::Architecture;
use crate::defence::Defended;
use crate::defence::defense_gan::Projection;
use crate::device;
use crate::evaluate::{self, Guard, contestants};
use crate::paper;
use crate::puvae::Size;

/// Parts of the paper's ε.
const STEPS: u32 = 6;
/// Points of accuracy that an attack has to take away between the smallest ε and the largest to be believed.
const LEAST_FALL: f64 = 5.0;

/// A paragraph for each line that hardly falls while ε grows, a sign of a broken attack.
pub(super) fn warnings(figure: &Figure) -> String {
    let flat = figure.series.iter().filter_map(|series| {
        let (&[_, first], &[_, last]) = (series.points.first()?, series.points.last()?);
        let name = &series.name;
        (first - last < LEAST_FALL).then(|| {
            format!("Warning: {name}: {first:.1} % at the smallest ε, {last:.1} % at the largest: a larger ε does not help, so this attack says nothing about {name}.\n\n")
        })
    });
    flat.collect()
}

/// Accuracy left by targeted FGSM with the gradient through everything, for the undefended target and each purifier.
pub(super) fn run(zoo: &Zoo<'_>, settings: &Settings) -> Result<Figure> {
    let target = Architecture::A;
    let trained = zoo.classifier(target)?;
    let classifier = &trained.network;
    let images = zoo.set.test.sample(settings.counts(zoo.set).costly, settings.seed);
    let greatest = paper::strength(zoo.set.channels).epsilon;
    let line = |name: &str, victim: &dyn Victim| -> Result<Series> {
        let mut points = Vec::new();
        for step in 1..=STEPS {
            let epsilon = greatest * f64::from(step) / f64::from(STEPS);
            let plan = Plan { attack: Attack::Fgsm { epsilon }, aim: Aim::Targeted, seed: settings.seed };
            let attacked = attack::run(victim, plan, &images, zoo.set.class_count())?.x;
            points.push([epsilon, evaluate::accuracy(victim, &attacked, &images.labels())]);
        }
        Ok(Series::new(name, points))
    };
    let mut series = vec![line("undefended", classifier)?];
    for network in [Network::Puvae(Size::Paper, target), Network::Puvae(Size::Lite, target), Network::Magnet] {
        let Some(run) = zoo.find(network)? else { continue };
        let contestant = contestants::defence(zoo.set, &named(network, &run), Projection::default(), zoo.device)?;
        if let Guard::Defence(defence) = &contestant.guard {
            series.push(line(&contestant.name, &Defended { defence: defence.as_ref(), classifier })?);
        }
    }
    Ok(Figure {
        title: format!("{}, target A: FGSM with the gradient through the defence", zoo.set.name),
        command: evaluate::command(),
        target: trained.about()?,
        x: Axis::linear("ε"),
        series,
        n: images.len(),
        seed: settings.seed,
        device: device::name(zoo.device),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_does_not_fall_is_a_sign() {
        let line = |name: &str, last| Series::new(name, vec![[0.05, 97.0], [0.3, last]]);
        let figure = Figure {
            title: String::new(),
            command: String::new(),
            target: serde_json::Value::Null,
            x: Axis::linear("ε"),
            series: vec![line("undefended", 9.0), line("flat", 96.0)],
            n: 500,
            seed: 1,
            device: String::new(),
        };
        let warnings = warnings(&figure);
        assert_eq!(warnings.matches("Warning").count(), 1, "{warnings}");
        assert!(warnings.starts_with("Warning: flat: 97.0 % at the smallest ε, 96.0 % at the largest"), "{warnings}");
    }
}
