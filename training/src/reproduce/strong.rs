//! Figure 8: FGSM by an attacker who knows the purifier ("strong white-box"), at growing ε.

use anyhow::Result;
use serde_json::Value;

use super::Settings;
use super::figure::{Axis, Figure, Series};
use super::tables::named;
use super::zoo::{Network, Zoo};
use crate::attack::{self, Aim, Attack, Plan};
use crate::classifier::{Architecture, Classifier};
use crate::data::Split;
use crate::defence::defense_gan::Projection;
use crate::device;
use crate::evaluate::adaptive::Defended;
use crate::evaluate::checks::accuracy_behind;
use crate::evaluate::interval::clearly_above;
use crate::evaluate::{self, Contestant, Results, UNDEFENDED, contestants};
use crate::paper;
use crate::puvae::Size;
use crate::runs;

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
        (first > LEAST_FALL && first - last < LEAST_FALL).then(|| {
            format!("Warning: {name}: {first:.1} % at the smallest ε, {last:.1} % at the largest: a larger ε does not help, so this attack says nothing about {name}.\n\n")
        })
    });
    let table = table.filter(|results| figure.target.is_null() || runs::are_alike(&figure.target, &results.target));
    let blind = table.and_then(|results| results.row(BLIND));
    let beaten = figure.series.iter().filter_map(|series| {
        let (row, &[_, last]) = (blind?, series.points.last()?);
        let column = table.map_or(&Value::Null, |results| results.defences.get(&series.name).unwrap_or(&Value::Null));
        if !series.about.is_null() && !runs::are_alike(&series.about, column) {
            return None;
        }
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
    let images = zoo.set.test.sample(settings.counts(zoo.set).costly, settings.seed);
    let greatest = paper::strength(zoo.set.channels).epsilon;
    let mut defences = Vec::new();
    for network in [Network::Puvae(Size::Paper, target), Network::Puvae(Size::Lite, target), Network::Magnet] {
        let Some(run) = zoo.find(network)? else { continue };
        defences.push(contestants::defence(zoo.set, &named(network, &run), Projection::default(), zoo.device)?);
    }
    let series = lines(&trained.network, &defences, &images, greatest, settings.seed)?;
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

/// A line for the classifier alone and one for each defence in front of it, each under attacks through all of it.
fn lines(
    classifier: &Classifier,
    defences: &[Contestant],
    images: &Split,
    greatest: f64,
    seed: u64,
) -> Result<Vec<Series>> {
    let alone = (UNDEFENDED, Defended { defence: None, classifier }, Value::Null);
    let defended = defences
        .iter()
        .map(|contestant| (contestant.name.as_str(), contestant.defending(classifier), contestant.about.clone()));
    let line = |(name, victim, about): (&str, Defended<'_>, Value)| {
        let points = (1..=STEPS).map(|step| {
            let epsilon = greatest * f64::from(step) / f64::from(STEPS);
            let plan = Plan { attack: Attack::Fgsm { epsilon }, aim: Aim::Targeted, seed };
            let attacked = attack::run(&victim, plan, images, classifier.config.classes)?.x;
            Ok([epsilon, evaluate::accuracy(&victim, &attacked, &images.labels())])
        });
        Ok(Series { about, ..Series::new(name, points.collect::<Result<_>>()?) })
    };
    std::iter::once(alone).chain(defended).map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::classifier::ClassifierConfig;
    use crate::defence::{Cleaned, Defence};
    use crate::evaluate::Guard;
    use crate::nn::params::Params;
    use crate::turns::my_turn;

    /// Lets nothing through but white.
    struct White;

    impl Defence for White {
        fn name(&self) -> String {
            "white".into()
        }

        fn purify(&self, x: &Tensor) -> Cleaned {
            Cleaned { frames: x.ones_like() + x * 0.0, label: None, score: None }
        }
    }

    #[test]
    fn a_line_is_of_what_the_classifier_says_behind_its_defence() {
        let _turn = my_turn();
        let classifier = Classifier::new(ClassifierConfig::new(Architecture::E, 28, 1, 4), Params::new(1, Device::Cpu));
        classifier.params.freeze();
        let white = Tensor::ones([1, 1, 28, 28], (Kind::Float, Device::Cpu));
        let of_white = attack::answers(&classifier, &white).int64_value(&[0]);
        let pictures = Tensor::zeros([5, 1, 28, 28], (Kind::Uint8, Device::Cpu));
        for image in 0..5 {
            let _ = pictures.get(image).narrow(1, 5 * image, 7).narrow(2, (11 * image) % 20, 7).fill_(255);
        }
        // Of two of the five it says behind the defence what their labels are.
        let answers = Vec::<i64>::try_from(&attack::answers(&classifier, &(pictures.to_kind(Kind::Float) / 255.0)));
        let labels: Vec<i64> = (0..5).map(|image| (of_white + i64::from(image > 1)) % 4).collect();
        let right = answers.unwrap().iter().zip(&labels).filter(|(answer, label)| answer == label).count();
        let images = Split::new(pictures, Tensor::from_slice(&labels));
        let white = Contestant { name: "white".into(), guard: Guard::Defence(Box::new(White)), about: Value::Null };
        let lines = lines(&classifier, &[white], &images, 6e-6, 1).unwrap();
        let ends = |line: &Series| line.points.iter().map(|point| point[1]).collect::<Vec<_>>();
        assert_eq!(ends(&lines[1]), [40.0; 6]);
        assert_eq!(ends(&lines[0]), [20.0 * right as f64; 6], "so small an attack changes no answer");
        assert_ne!(right, 2, "else the test says nothing");
        assert_eq!(lines[0].points[5][0], 6e-6);
    }

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
        let cell = json!({ "accuracy": 50.0, "y_star": null, "rejected": null, "accuracy_of_accepted": null });
        let row = json!({
            "attack": BLIND, "parameters": null, "n": 10_000, "attack_success": null, "zero_gradient": null, "mean_l2": 6.0,
            "mean_linf": 0.3, "undefended": 9.0, "defended": { "magnet": cell }
        });
        let table: Results = serde_json::from_value(json!({
            "schema": 3, "command": "", "dataset": "mnist", "split": "test", "seed": 1, "device": "", "target": null,
            "defences": { "magnet": { "weights_sha256": "a" } }, "rows": [row], "adaptive": {}, "warnings": [], "seconds": 0.0
        }))
        .unwrap();
        let of = |weights, last| {
            let magnet = Series { about: json!({ "weights_sha256": weights }), ..line("magnet", last) };
            warnings(&figure(vec![line("undefended", 50.0), magnet]), Some(&table))
        };
        assert_eq!(of("a", 51.0), "", "other images may turn it round");
        let text = of("a", 60.0);
        assert!(
            text.starts_with("Warning: magnet: 60.0 % of 500")
                && text.contains("50.0 % of 10000 where the attacker does not"),
            "{text}"
        );
        assert_eq!(of("b", 60.0), "", "the table is of another network");
    }
}
