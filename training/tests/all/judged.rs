//! What an evaluation's figures are of: every one of them is computed here a second time, from the pictures that a defence was shown.

use std::cell::RefCell;
use std::rc::Rc;

use puvae_training::attack::{self, Aim, Attack, Plan, Victim as _};
use puvae_training::checkpoint::Header;
use puvae_training::classifier::{Architecture, Classifier, ClassifierConfig};
use puvae_training::data::{DataSet, Split};
use puvae_training::defence::{Cleaned, Defence};
use puvae_training::evaluate::{self, Contestant, Destination, Guard, Measures, NOISE, Participants, Resume};
use puvae_training::nn::params::Params;
use puvae_training::runs::Trained;
use puvae_training::runs::substitute::Origin;
use puvae_training::substitute::SubstituteConfig;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::common::{data_set, learn_squares, my_turn, squares};

const CLASSES: i64 = 4;
const EPSILON: f64 = 0.3;
const IMAGES: usize = 16;
const SEED: u64 = 4;

/// Remembers what it is shown, mirrors it, and says things that are easy to check.
struct Witness {
    shown: Rc<RefCell<Vec<Tensor>>>,
}

impl Defence for Witness {
    fn name(&self) -> String {
        "witness".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        self.shown.borrow_mut().push(x.copy());
        Cleaned { frames: mirrored(x), label: Some(chosen(x)), score: Some(corner(x)) }
    }
}

fn mirrored(x: &Tensor) -> Tensor {
    x.flip([3])
}

/// A pixel that belongs to no square, `[N]`.
fn corner(x: &Tensor) -> Tensor {
    x.select(3, 20).select(2, 20).select(1, 0)
}

/// A class for each picture, `[N]` i64.
fn chosen(x: &Tensor) -> Tensor {
    (corner(x) * 1000.0).to_kind(Kind::Int64).remainder(CLASSES)
}

fn set() -> DataSet {
    data_set(CLASSES, squares(64, CLASSES, 1), squares(40, CLASSES, 2), squares(40, CLASSES, 3))
}

/// A classifier of the squares, trained for so few steps that it errs.
fn trained(seed: u64, origin: Option<Origin>) -> Trained<Classifier> {
    let config = ClassifierConfig::new(Architecture::E, 28, 1, CLASSES);
    let network = Classifier::new(config.clone(), Params::new(seed, Device::Cpu));
    learn_squares(&network, 6);
    network.params.freeze();
    let mut recipe = json!({ "network": config });
    if let Some(origin) = origin {
        recipe["substitute"] = serde_json::to_value(origin).unwrap();
    }
    let header = Header {
        kind: "classifier".into(),
        dataset: "squares".into(),
        config: recipe,
        seed,
        epochs: 1,
        epoch: 1,
        ..Header::default()
    };
    Trained { network, header }
}

fn answers(classifier: &Classifier, x: &Tensor) -> Tensor {
    tch::no_grad(|| classifier.logits(x)).argmax(1, false)
}

fn whole(x: &Tensor) -> Vec<i64> {
    Vec::try_from(x).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    Vec::try_from(&x.to_kind(Kind::Double)).unwrap()
}

/// Share of places in which the two agree, of those that `counts` says, in percent; `None` of none.
fn share(a: &Tensor, b: &Tensor, counts: &[bool]) -> Option<f64> {
    let counted: Vec<bool> =
        whole(a).iter().zip(whole(b)).zip(counts).filter(|(_, counts)| **counts).map(|((a, b), _)| *a == b).collect();
    let right = counted.iter().filter(|right| **right).count();
    (!counted.is_empty()).then(|| 100.0 * right as f64 / counted.len() as f64)
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6,
        (a, b) => a == b,
    }
}

/// What 99 of 100 do not exceed, between the two nearest in proportion.
fn threshold(held_out: &Split) -> f64 {
    let mut scores = numbers(&corner(&held_out.first(IMAGES).all().x));
    scores.sort_by(f64::total_cmp);
    let at = 0.99 * (scores.len() - 1) as f64;
    let below = at.floor() as usize;
    scores[below] + (at - below as f64) * (scores[below + 1] - scores[below])
}

#[test]
fn every_figure_is_of_the_pictures_that_its_attack_made() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (set, target, other) = (set(), trained(1, None), trained(2, None));
    let origin = Origin {
        attacker: SubstituteConfig::default(),
        target: target.identity(),
        defence: None,
        queries: 1,
        agreement: 100.0,
    };
    let substitute = trained(3, Some(origin));
    let shown = Rc::new(RefCell::new(Vec::new()));
    let witness = Witness { shown: Rc::clone(&shown) };
    let contestant = |name: &str, guard| Contestant { name: name.into(), guard, about: Value::Null };
    let replacement = Guard::Replacement(trained(2, None).network);
    let contestants =
        [contestant("witness", Guard::Defence(Box::new(witness))), contestant("replacement", replacement)];
    let plans = [
        (Attack::Fgsm { epsilon: EPSILON }, Aim::Untargeted),
        (Attack::IFgsm { epsilon: EPSILON, alpha: 0.1, steps: 4 }, Aim::Targeted),
    ]
    .map(|(attack, aim)| Plan { attack, aim, seed: SEED });
    let measures = Measures {
        attacks: plans.map(|plan| (plan.attack, plan.aim)).to_vec(),
        images: Some(IMAGES),
        costly_images: IMAGES,
        adaptive: None,
        seed: SEED,
    };
    let participants = Participants { target: &target, substitute: Some(&substitute), contestants: &contestants };
    let at = Destination { path: &folder.path().join("results.json"), resume: Resume::Never };
    let results = evaluate::run(&set, (&set.test, "test"), participants, &measures, at).unwrap();

    let (images, shown) = (set.test.sample(IMAGES, SEED), shown.borrow());
    let (clean, y) = (images.all().x, images.labels());
    let made_on = |network: &Classifier| plans.map(|plan| attack::run(network, plan, &images, CLASSES).unwrap().x);
    let mut expected = vec![set.held_out.first(IMAGES).all().x, clean.copy(), shown[2].copy()];
    expected.extend(made_on(&target.network));
    expected.extend(made_on(&substitute.network));
    assert_eq!(
        (shown.len(), results.rows.len()),
        (expected.len(), expected.len() - 1),
        "the detector is calibrated once"
    );
    for (number, (shown, expected)) in shown.iter().zip(&expected).enumerate() {
        assert!(shown.allclose(expected, 0.0, 1e-6, false), "picture {number} is another one");
    }

    let (threshold, every) = (threshold(&set.held_out), [true; IMAGES]);
    for (row, x) in results.rows.iter().zip(&shown[1..]) {
        let moved = numbers(&(x - &clean).abs().flatten(1, -1).amax(1, false));
        assert!((row.mean_linf - moved.iter().sum::<f64>() / IMAGES as f64).abs() < 1e-6, "{row:?}");
        let least = if row.attack == "clean" { 0.0 } else { 0.9 * EPSILON };
        assert!(moved.iter().all(|&moved| (least..=EPSILON + 1e-6).contains(&moved)), "{}: {moved:?}", row.attack);
        assert_eq!(row.attack == NOISE, row.parameters.is_none() && row.attack != "clean");

        let behind = answers(&target.network, &mirrored(x));
        let accepted: Vec<bool> = numbers(&corner(x)).iter().map(|&score| score <= threshold).collect();
        let refused = 100.0 * accepted.iter().filter(|accepted| !**accepted).count() as f64 / IMAGES as f64;
        let cell = &row.defended["witness"];
        assert!(near(Some(cell.accuracy), share(&behind, &y, &every)), "{row:?}");
        assert!(near(cell.y_star, share(&chosen(x), &y, &every)), "{row:?}");
        assert!(near(cell.rejected, Some(refused)), "{row:?}, expected {refused}");
        assert!(near(cell.accuracy_of_accepted, share(&behind, &y, &accepted)), "{row:?}");
        let replaced = share(&answers(&other.network, x), &y, &every);
        assert!(near(Some(row.defended["replacement"].accuracy), replaced), "{row:?}");
        assert!(near(Some(row.undefended), share(&answers(&target.network, x), &y, &every)), "{row:?}");
    }
    let differ = |pick: &dyn Fn(&evaluate::Row) -> f64| pick(&results.rows[0]) != pick(&results.rows[2]);
    assert!(differ(&|row| row.undefended) && differ(&|row| row.defended["replacement"].accuracy), "{results:?}");
    assert!(
        results
            .rows
            .iter()
            .any(|row| row.defended["witness"].rejected.is_some_and(|share| share > 0.0 && share < 100.0))
    );
}
