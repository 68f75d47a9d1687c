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
use crate::evaluate::checks::{accuracy_behind, clearly_above};
use crate::evaluate::{self, Guard, Results, UNDEFENDED, contestants};
use crate::paper;
use crate::puvae::Size;

/// Parts of the paper's ε.
const STEPS: u32 = 6;
/// Points of accuracy that an attack has to take away between the smallest ε and the largest to be believed.
const LEAST_FALL: f64 = 5.0;
/// The same attack without the defence, in the tables.
const BLIND: &str = "fgsm";

/// A paragraph for each sign of a broken attack: a line that hardly falls while ε grows, and one that at its end stands clearly above what
/// the same attack leaves in `table` where the attacker does not know the defence.
pub(super) fn warnings(figure: &Figure, table: Option<&Results>) -> String {
    let flat = figure.series.iter().filter_map(|series| {
        let (&[_, first], &[_, last]) = (series.points.first()?, series.points.last()?);
        let name = &series.name;
        (first - last < LEAST_FALL).then(|| {
            format!("Warning: {name}: {first:.1} % at the smallest ε, {last:.1} % at the largest: a larger ε does not help, so this attack says nothing about {name}.\n\n")
        })
    });
    let blind = table.and_then(|results| results.row(BLIND));
    let beaten = figure.series.iter().filter_map(|series| {
        let (row, &[_, last]) = (blind?, series.points.last()?);
        let (name, n) = (&series.name, figure.n);
        let left = accuracy_behind(row, name)?;
        let beaten = name != UNDEFENDED && clearly_above((last, n), (left, row.n));
        beaten.then(|| {
            format!("Warning: {name}: {last:.1} % of {n} at the largest ε, {left:.1} % of {} where the attacker does not know it: the stronger attacker should do more, so this attack says nothing about {name}.\n\n", row.n)
        })
    });
    flat.chain(beaten).collect()
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
    use std::path::Path;

    use super::*;

    fn figure(series: Vec<Series>) -> Figure {
        Figure {
            title: String::new(),
            command: String::new(),
            target: serde_json::Value::Null,
            x: Axis::linear("ε"),
            series,
            n: 500,
            seed: 1,
            device: String::new(),
        }
    }

    fn line(name: &str, last: f64) -> Series {
        Series::new(name, vec![[0.05, 97.0], [0.3, last]])
    }

    #[test]
    fn a_line_that_does_not_fall_is_a_sign() {
        let warnings = warnings(&figure(vec![line("undefended", 9.0), line("flat", 96.0)]), None);
        assert_eq!(warnings.matches("Warning").count(), 1, "{warnings}");
        assert!(warnings.starts_with("Warning: flat: 97.0 % at the smallest ε, 96.0 % at the largest"), "{warnings}");
    }

    #[test]
    fn a_line_that_ends_above_the_attack_that_does_not_know_the_defence_is_a_sign() {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/table3-a.json");
        let table = Results::read(&table).unwrap();
        let blind = accuracy_behind(table.row(BLIND).unwrap(), "magnet").unwrap();
        let signs = |last| warnings(&figure(vec![line("undefended", 50.0), line("magnet", last)]), Some(&table));
        assert_eq!(signs(blind + 1.0), "", "other images may turn it round");
        let text = signs(blind + 10.0);
        assert!(
            text.starts_with("Warning: magnet: ") && text.contains("where the attacker does not know it"),
            "{text}"
        );
    }
}
