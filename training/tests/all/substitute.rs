//! The black-box attacker's substitute: what it asks, what it learns, and what it is good for.

use std::cell::RefCell;
use std::path::Path;

use puvae_training::attack::{Aim, Attack, Plan, Victim, answers, transfer};
use puvae_training::checkpoint::Header;
use puvae_training::classifier::{Architecture, Classifier, ClassifierConfig};
use puvae_training::data::{DataSet, Split};
use puvae_training::defence::trivial::MedianFilter;
use puvae_training::evaluate::adaptive::Defended;
use puvae_training::evaluate::{self, Contestant, Destination, Guard, Measures, Participants, Results, Resume};
use puvae_training::nn::params::Params;
use puvae_training::runs::{self, Place, Trained};
use puvae_training::substitute::{Attacker, Oracle, SubstituteConfig};
use puvae_training::table;
use serde_json::{Value, json};
use tch::{Device, Tensor};

use crate::common::{data_set, learn_squares, my_turn, squares};

const CLASSES: i64 = 4;

fn classifier(architecture: Architecture, seed: u64) -> Classifier {
    let config = ClassifierConfig::new(architecture, 28, 1, CLASSES);
    Classifier::new(config, Params::new(seed, Device::Cpu))
}

/// A classifier of the squares, trained for a few steps.
fn target() -> Trained<Classifier> {
    let network = classifier(Architecture::B, 3);
    learn_squares(&network, 12);
    network.params.freeze();
    let config = json!({ "network": network.config });
    let header = Header {
        kind: "classifier".into(),
        dataset: "squares".into(),
        config,
        seed: 3,
        epochs: 12,
        epoch: 12,
        ..Header::default()
    };
    Trained { network, header }
}

fn set() -> DataSet {
    data_set(CLASSES, squares(8, CLASSES, 1), squares(80, CLASSES, 2), squares(40, CLASSES, 4))
}

fn quick() -> SubstituteConfig {
    SubstituteConfig { images: 20, rounds: 2, epochs: 8, batch: 16, ..SubstituteConfig::default() }
}

/// Answers always the same, and remembers what it was shown.
struct Recorder {
    shown: RefCell<Vec<Tensor>>,
}

impl Victim for Recorder {
    fn logits(&self, x: &Tensor) -> Tensor {
        self.shown.borrow_mut().push(x.copy());
        Tensor::from_slice(&[0f32, 1.0, 0.0, 0.0]).repeat([x.size()[0], 1])
    }
}

fn is_in(picture: &Tensor, split: &Split) -> bool {
    (0..split.len()).any(|index| split.range(index..index + 1).x.get(0).equal(picture))
}

#[test]
fn only_held_out_images_and_their_neighbours_are_asked_about_and_their_number_doubles() {
    let _turn = my_turn();
    let (held_out, substitute) = (squares(12, CLASSES, 2), classifier(Architecture::E, 1));
    let recorder = Recorder { shown: RefCell::default() };
    let oracle = Oracle::new(&recorder);
    let config = SubstituteConfig { images: 5, rounds: 3, epochs: 1, ..SubstituteConfig::default() };
    let learned = Attacker::new(&substitute, &oracle, &held_out, config, 1).unwrap().learn().unwrap();

    let queries: Vec<f64> = learned.log.iter().map(|epoch| epoch.scalars["queries"]).collect();
    assert_eq!(queries, [5.0, 10.0, 20.0, 40.0]);
    assert_eq!(oracle.queries(), 40);
    // First the images that agreement is measured on, which are no queries of the attacker's; then his, round by round.
    let shown = recorder.shown.borrow();
    let counts: Vec<i64> = shown.iter().map(|x| x.size()[0]).collect();
    assert_eq!(counts, [7, 5, 5, 10, 20]);
    for x in &shown[..2] {
        assert!((0..x.size()[0]).all(|index| is_in(&x.get(index), &held_out)));
    }
    let first: Vec<Tensor> = (0..5).map(|index| shown[1].get(index)).collect();
    assert!((0..7).all(|index| !first.iter().any(|picture| picture.equal(&shown[0].get(index)))));
    let mut asked = shown[1].copy();
    for new in &shown[2..] {
        let furthest = (new - &asked).abs().max().double_value(&[]);
        assert!(furthest > 0.05 && furthest < 0.1 + 1e-6, "{furthest}");
        asked = Tensor::cat(&[&asked, new], 0);
    }
}

#[test]
fn labels_are_never_looked_at() {
    let _turn = my_turn();
    let (held_out, target) = (squares(40, CLASSES, 2), target());
    let learned = |held_out: &Split| {
        let substitute = classifier(Architecture::E, 1);
        let oracle = Oracle::new(&target.network);
        let config = SubstituteConfig { images: 8, rounds: 1, epochs: 2, ..quick() };
        Attacker::new(&substitute, &oracle, held_out, config, 1).unwrap().learn().unwrap();
        substitute.params.all()["fc1.weight"].copy()
    };
    let images = (held_out.all().x * 255.0).round().to_kind(tch::Kind::Uint8);
    let wrong = Split::new(images, held_out.labels().zeros_like());
    assert!(learned(&held_out).equal(&learned(&wrong)));
}

#[test]
fn a_substitute_of_the_squares_agrees_with_its_target_and_attacks_on_it_transfer() {
    let _turn = my_turn();
    let (set, target) = (set(), target());
    let substitute = classifier(Architecture::E, 1);
    let oracle = Oracle::new(&target.network);
    let learned = Attacker::new(&substitute, &oracle, &set.held_out, quick(), 1).unwrap().learn().unwrap();
    assert!(learned.agreement > 90.0, "{}", learned.agreement);

    let plan = Plan { attack: Attack::Fgsm { epsilon: 0.5 }, aim: Aim::Untargeted, seed: 1 };
    let made = transfer(&substitute, &target.network, plan, &set.test, CLASSES).unwrap();
    let clean = answers(&target.network, &set.test.all().x).not_equal_tensor(&set.test.labels());
    let wrong = clean.to_kind(tch::Kind::Double).mean(tch::Kind::Double).double_value(&[]);
    assert!(made.success > wrong + 0.3, "{} of the attacked, {wrong} of the clean images are wrong", made.success);
}

#[test]
fn absurd_attackers_are_refused() {
    let _turn = my_turn();
    let refused = |config: SubstituteConfig| config.check().unwrap_err().to_string();
    assert!(refused(SubstituteConfig { images: 0, ..quick() }).contains("--images is 0, expected at least 1"));
    assert!(
        refused(SubstituteConfig { lambda: -0.1, ..quick() }).contains("--lambda is -0.1, expected a number above 0")
    );
    assert!(refused(SubstituteConfig { rate: f64::NAN, ..quick() }).contains("--rate is NaN"));
    let text = refused(SubstituteConfig { rounds: 40, ..quick() });
    assert!(text.contains("--rounds is 40: 20 images doubled so often are more than 1000000 queries"), "{text}");
    let (target, substitute) = (target(), classifier(Architecture::E, 1));
    let oracle = Oracle::new(&target.network);
    let error = Attacker::new(&substitute, &oracle, &squares(20, CLASSES, 2), quick(), 1).err().unwrap().to_string();
    assert!(error.contains("--images is 20, expected fewer than the 20 held-out images"), "{error}");
}

fn train(target: &Trained<Classifier>, defence: Option<&Contestant>, out: &Path) -> anyhow::Result<()> {
    let place = Place { out, resume: false, seed: 1 };
    let bare = Defended { defence: None, classifier: &target.network };
    let victim = defence.map_or(bare, |contestant| contestant.defending(&target.network));
    runs::substitute::train(&set(), target, (&victim, defence.map(Contestant::origin)), quick(), place, Device::Cpu)
}

fn evaluated(target: &Trained<Classifier>, run: &Path, results: &Path) -> anyhow::Result<Results> {
    let substitute = runs::load_classifier(run, Device::Cpu)?;
    let measures = Measures {
        attacks: vec![(Attack::Fgsm { epsilon: 0.5 }, Aim::Untargeted)],
        images: None,
        costly_images: 10,
        adaptive: None,
        seed: 1,
    };
    let participants = Participants { target, substitute: Some(&substitute), contestants: &[] };
    let set = set();
    evaluate::run(
        &set,
        (&set.test, "test"),
        participants,
        &measures,
        Destination { path: results, resume: Resume::Never },
    )
}

#[test]
fn a_substitutes_run_takes_part_in_an_evaluation_of_its_target_and_of_no_other() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = (folder.path().join("substitute"), folder.path().join("results.json"));
    let target = target();
    train(&target, None, &run).unwrap();
    let error = train(&target, None, &run).unwrap_err().to_string();
    assert!(error.contains("checkpoint.safetensors: a run is there already; choose another --out"), "{error}");

    let results = evaluated(&target, &run, &path).unwrap();
    let names: Vec<&str> = results.rows.iter().map(|row| row.attack.as_str()).collect();
    assert_eq!(names, ["clean", "uniform-noise", "untargeted-fgsm", "black-box-untargeted-fgsm"]);
    let origin = &results.substitute["config"]["substitute"];
    assert!(origin["queries"] == 80 && origin["agreement"].as_f64().unwrap() > 90.0 && origin["defence"].is_null());
    let text = table::of_files(std::slice::from_ref(&path)).unwrap();
    assert!(text.contains("made on a substitute that learned from 80 answers of the undefended target"), "{text}");
    assert!(text.contains("| black-box-untargeted-fgsm ε 0.5 | 40 |"), "{text}");

    let error = runs::substitute::check(&target.header, &target).unwrap_err().to_string();
    assert!(error.contains("--substitute is a classifier that learned from data"), "{error}");
    let other = Trained { header: Header { seed: 9, ..target.header.clone() }, ..target };
    let error = evaluated(&other, &run, &path).unwrap_err().to_string();
    assert!(error.contains("--substitute learned from another target: seed is 3 there, expected 9"), "{error}");
    tch::no_grad(|| other.network.params.all().values().for_each(|weights| drop(weights.shallow_clone().fill_(0.5))));
    let retrained = Trained { header: Header { seed: 3, ..other.header }, ..other };
    let error = evaluated(&retrained, &run, &path).unwrap_err().to_string();
    assert!(error.contains("--substitute learned from another target: weights_sha256 is"), "{error}");
}

#[test]
fn a_substitute_may_learn_from_a_target_behind_a_defence() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let median =
        Contestant { name: "median".into(), guard: Guard::Defence(Box::new(MedianFilter)), about: Value::Null };
    train(&target(), Some(&median), folder.path()).unwrap();
    let header = runs::load_classifier(folder.path(), Device::Cpu).unwrap().header;
    assert_eq!(header.config["substitute"]["defence"], json!({ "name": "median", "run": null }));
    assert_eq!(header.epoch, header.epochs);
}
