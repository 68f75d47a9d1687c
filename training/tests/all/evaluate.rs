//! Evaluations: what being killed, going on, another question and older results files do.

use std::cell::Cell;
use std::path::Path;

use anyhow::Result;
use puvae_training::attack::{Aim, Attack};
use puvae_training::checkpoint::Header;
use puvae_training::classifier::{Architecture, Classifier, ClassifierConfig};
use puvae_training::data::DataSet;
use puvae_training::defence::{Cleaned, Defence};
use puvae_training::evaluate::adaptive::{ATTACKER, Effort, Thorough};
use puvae_training::evaluate::{self, Contestant, Destination, Guard, Measures, Participants, Results, Resume};
use puvae_training::nn::params::Params;
use puvae_training::runs::Trained;
use puvae_training::table;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::common::{data_set, my_turn, squares};

const CLASSES: i64 = 4;

fn set() -> DataSet {
    data_set(CLASSES, squares(8, CLASSES, 1), squares(8, CLASSES, 2), squares(20, CLASSES, 3))
}

/// An untrained classifier is enough where accuracies only have to be the same ones again.
fn target(seed: u64) -> Trained<Classifier> {
    let config = ClassifierConfig::new(Architecture::E, 28, 1, CLASSES);
    let header = Header {
        kind: "classifier".into(),
        dataset: "squares".into(),
        config: json!({ "network": config }),
        seed,
        epochs: 1,
        epoch: 1,
        ..Header::default()
    };
    let network = Classifier::new(config, Params::new(seed, Device::Cpu));
    network.params.freeze();
    Trained { network, header }
}

/// A defence that draws noise, and panics when the power fails.
struct PowerCut {
    calls_left: Cell<u32>,
}

impl Defence for PowerCut {
    fn name(&self) -> String {
        "noise".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        self.calls_left.set(self.calls_left.get().checked_sub(1).expect("power cut"));
        let frames = (x + x.randn_like() * 0.1).clamp(0.0, 1.0);
        let score = (&frames - x).abs().flatten(1, -1).mean_dim(1, false, Kind::Float);
        Cleaned { frames, label: None, score: Some(score) }
    }
}

fn measures(epsilon: f64) -> Measures {
    Measures {
        attacks: vec![
            (Attack::Fgsm { epsilon }, Aim::Targeted),
            (Attack::Pgd { epsilon, alpha: 0.1, steps: 2, restarts: 2 }, Aim::Untargeted),
        ],
        images: Some(12),
        costly_images: 8,
        adaptive: Some((Effort { epsilon, alpha: 0.1, steps: 2, restarts: 1, thorough: None }, 6)),
        seed: 4,
    }
}

fn evaluated(path: &Path, resume: bool, measures: &Measures, calls_until_power_cut: u32) -> Result<Results> {
    let resume = if resume { Resume::Same } else { Resume::Never };
    evaluated_at(Destination { path, resume }, measures, calls_until_power_cut)
}

fn evaluated_at(at: Destination<'_>, measures: &Measures, calls_until_power_cut: u32) -> Result<Results> {
    let (set, target) = (set(), target(1));
    let noise = PowerCut { calls_left: Cell::new(calls_until_power_cut) };
    let contestants = [Contestant { name: noise.name(), guard: Guard::Defence(Box::new(noise)), about: Value::Null }];
    let participants = Participants { target: &target, substitute: None, contestants: &contestants };
    evaluate::run(&set, (&set.test, "test"), participants, measures, at)
}

/// An evaluation whose power fails after so many calls of the defence: one calibrates its detector, each row takes one more.
/// On a thread of its own, because torch's switch for gradients stays off where a panic leaves it.
fn killed(path: &Path, calls: u32) {
    let path = path.to_owned();
    let cut = std::thread::spawn(move || evaluated(&path, false, &measures(0.2), calls)).join();
    assert!(cut.is_err(), "the power was to fail");
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A results file without its times.
fn without_seconds(path: &Path) -> Value {
    let mut results = json(path);
    results["seconds"].take();
    results["rows"].as_array_mut().unwrap().iter_mut().for_each(|row| drop(row["seconds"].take()));
    results["adaptive"].as_object_mut().unwrap().values_mut().for_each(|outcome| drop(outcome["seconds"].take()));
    results
}

#[test]
fn an_evaluation_killed_after_any_answer_and_resumed_writes_the_file_of_an_uninterrupted_one() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.json");
    let results = evaluated(&whole, false, &measures(0.2), u32::MAX).unwrap();
    assert!(results.finished && results.rows.len() == 4 && results.adaptive.len() == 2, "{results:?}");
    let seconds = results.rows.iter().map(|row| row.seconds).chain(results.adaptive.values().map(|of| of.seconds));
    assert!((seconds.sum::<f64>() - results.seconds).abs() < 1e-9);

    for (calls, rows) in [(2, 1), (4, 3), (8, 4)] {
        let broken = folder.path().join(format!("broken-{calls}.json"));
        killed(&broken, calls);
        let left = Results::read(&broken).unwrap();
        assert!(!left.finished && left.rows.len() == rows, "{left:?}");
        evaluated(&broken, true, &measures(0.2), u32::MAX).unwrap();
        assert_eq!(without_seconds(&broken), without_seconds(&whole));
    }
}

#[test]
fn what_is_there_already_is_not_computed_again() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    killed(&path, 2);
    let mut results = json(&path);
    results["rows"][0]["seconds"] = json!(1234.5);
    std::fs::write(&path, results.to_string()).unwrap();
    let results = evaluated(&path, true, &measures(0.2), u32::MAX).unwrap();
    assert!((results.rows[0].seconds - 1234.5).abs() < 1e-9 && results.seconds > 1234.5, "{results:?}");
    // Nothing is left to do: the defence is not called at all.
    assert_eq!(evaluated(&path, true, &measures(0.2), 0).unwrap().rows.len(), 4);
}

#[test]
fn a_results_file_of_another_question_is_refused_by_the_field_that_differs() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    killed(&path, 2);
    let refused = |measures| format!("{:#}", evaluated(&path, true, &measures, 0).unwrap_err());
    let text = refused(measures(0.3));
    assert!(
        text.contains(
            "results.json: results of another question: measures.adaptive.effort.epsilon is 0.2 there, expected 0.3"
        ),
        "{text}"
    );
    let text = refused(Measures { adaptive: measures(0.2).adaptive, ..measures(0.3) });
    assert!(text.contains("measures.attacks.fgsm.Fgsm.epsilon is 0.2 there, expected 0.3"), "{text}");
    let text = refused(Measures { images: None, ..measures(0.2) });
    assert!(text.contains("measures.images is 12 there, expected null"), "{text}");
    let text = refused(Measures { seed: 5, ..measures(0.2) });
    assert!(text.contains("seed is 4 there, expected 5; only the options of that evaluation"), "{text}");
    let mut other_images = json(&path);
    other_images["images_sha256"] = json!("00ff");
    std::fs::write(&path, other_images.to_string()).unwrap();
    let text = refused(measures(0.2));
    assert!(text.contains(r#"images_sha256 is "00ff" there, expected ""#), "{text}");
    std::fs::write(&path, "{}").unwrap();
    assert!(refused(measures(0.2)).contains("results.json: not a results file"));
}

#[test]
fn a_results_file_from_before_the_images_were_told_is_gone_on_with() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    killed(&path, 2);
    let mut untold = json(&path);
    untold.as_object_mut().unwrap().remove("images_sha256").unwrap();
    std::fs::write(&path, untold.to_string()).unwrap();
    let results = evaluated(&path, true, &measures(0.2), u32::MAX).unwrap();
    assert_eq!(results.images_sha256, "", "what is kept cannot claim more afterwards");
}

#[test]
fn without_resume_a_finished_file_is_written_anew_and_an_unfinished_one_is_kept() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    killed(&path, 2);
    let error = evaluated(&path, false, &measures(0.2), u32::MAX).unwrap_err().to_string();
    assert!(
        error.contains("results.json: an evaluation that was not finished is there; go on with --resume"),
        "{error}"
    );
    evaluated(&path, true, &measures(0.2), u32::MAX).unwrap();
    let other = Measures { attacks: Vec::new(), adaptive: None, ..measures(0.2) };
    let results = evaluated(&path, false, &other, u32::MAX).unwrap();
    assert!(results.rows.len() == 1 && Results::read(&path).unwrap().finished, "{results:?}");
}

#[test]
fn what_is_no_results_file_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classifier.onnx");
    std::fs::write(&path, "weights").unwrap();
    let error = format!("{:#}", evaluated(&path, false, &measures(0.2), 0).unwrap_err());
    assert!(
        error.contains("it would be overwritten; choose another --out") && error.contains("not a results file"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "weights");
}

#[test]
fn numbers_of_images_that_leave_nothing_are_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let refused = |measures| evaluated(&path, false, &measures, 0).unwrap_err().to_string();
    assert!(
        refused(Measures { costly_images: 0, ..measures(0.2) }).contains("--costly-images is 0, expected at least 1")
    );
    assert!(refused(Measures { images: Some(0), ..measures(0.2) }).contains("--images is 0, expected at least 1"));
    assert!(!path.exists());
}

#[test]
fn a_target_of_pictures_of_another_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = DataSet { side_px: 32, ..set() };
    let target = target(1);
    let participants = Participants { target: &target, substitute: None, contestants: &[] };
    let at = Destination { path: &folder.path().join("results.json"), resume: Resume::Never };
    let error = evaluate::run(&other, (&other.test, "test"), participants, &measures(0.2), at).unwrap_err().to_string();
    assert!(error.contains("the classifier was trained on squares with side_px 28, but side_px is 32 now"), "{error}");
}

#[test]
fn who_measures_anew_keeps_the_same_question_and_replaces_another() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let at = Destination { path: &path, resume: Resume::SameOrAnew };
    evaluated_at(at, &measures(0.2), u32::MAX).unwrap();
    assert_eq!(evaluated_at(at, &measures(0.2), 0).unwrap().rows.len(), 4, "nothing is left to do");
    let other = Measures { seed: 5, ..measures(0.2) };
    assert_eq!(evaluated_at(at, &other, u32::MAX).unwrap().seed, 5);
    assert_eq!(Results::read(&path).unwrap().seed, 5);
    assert_eq!(Results::read(&path.with_extension("before.json")).unwrap().seed, 4, "it is set aside");
    killed(&folder.path().join("unfinished.json"), 2);
    std::fs::rename(folder.path().join("unfinished.json"), &path).unwrap();
    assert_eq!(evaluated_at(at, &other, u32::MAX).unwrap().seed, 5);
    assert!(!Results::read(&path.with_extension("before-2.json")).unwrap().finished, "and so is what was not finished");
}

#[test]
fn who_asks_for_another_attacker_who_knows_keeps_the_rows() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let at = Destination { path: &path, resume: Resume::SameOrAnew };
    let before = evaluated_at(at, &measures(0.2), u32::MAX).unwrap();
    let Measures { adaptive: Some((effort, _)), .. } = measures(0.2) else { unreachable!() };
    let fewer = Measures { adaptive: Some((effort, 5)), ..measures(0.2) };
    let after = evaluated_at(at, &fewer, u32::MAX).unwrap();
    assert!(after.finished && after.adaptive.len() == 2 && after.adaptive.values().all(|outcome| outcome.n == 5));
    let seconds = |results: &Results| results.rows.iter().map(|row| row.seconds).collect::<Vec<_>>();
    assert_eq!(seconds(&after), seconds(&before), "the rows were not measured again");
    let aside = Results::read(&path.with_extension("before.json")).unwrap();
    assert!(aside.adaptive.values().all(|outcome| outcome.n == 6), "{aside:?}");

    let none = Measures { adaptive: None, ..measures(0.2) };
    let after = evaluated_at(at, &none, 0).unwrap();
    assert_eq!(
        (after.rows.len(), after.adaptive.len()),
        (4, 2),
        "what he left stays, and nothing is asked of the defence"
    );
    assert!(after.adaptive.values().all(|outcome| outcome.n == 5));
}

#[test]
fn a_target_that_was_trained_again_by_the_same_recipe_is_another_question() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    killed(&path, 2);
    let mut of_another = json(&path);
    of_another["target"]["weights_sha256"] = json!("00ff");
    std::fs::write(&path, of_another.to_string()).unwrap();
    let text = evaluated(&path, true, &measures(0.2), 0).unwrap_err().to_string();
    assert!(text.contains(r#"target.weights_sha256 is "00ff" there, expected ""#), "{text}");

    // A file from before weights were hashed goes by the recipe, and does not claim more afterwards.
    of_another["target"].as_object_mut().unwrap().remove("weights_sha256").unwrap();
    std::fs::write(&path, of_another.to_string()).unwrap();
    let results = evaluated(&path, true, &measures(0.2), u32::MAX).unwrap();
    assert!(results.finished && results.target["weights_sha256"].is_null(), "{results:?}");
}

#[test]
fn a_network_that_was_trained_with_other_classes_or_other_images_held_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |header: Header| {
        let target = Trained { header, ..target(1) };
        let participants = Participants { target: &target, substitute: None, contestants: &[] };
        let at = Destination { path: &folder.path().join("results.json"), resume: Resume::Never };
        evaluate::run(&set(), (&set().test, "test"), participants, &measures(0.2), at).unwrap_err().to_string()
    };
    let header = || target(1).header;
    let classes = ["go", "stop", "turn", "yield"].map(String::from).to_vec();
    let text = refused(Header { classes, ..header() });
    assert!(text.contains("trained on squares with the classes go, stop, turn, yield, expected 0, 1, 2, 3"), "{text}");
    let text = refused(Header { held_out_sha256: set().train.sha256(), ..header() });
    assert!(text.contains("trained on squares with other images held out, so it may have learned from some"), "{text}");
}

#[test]
fn a_defence_that_is_added_gets_its_column_and_leaves_the_others_alone() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (path, whole) = (folder.path().join("results.json"), folder.path().join("whole.json"));
    let (set, target) = (set(), target(1));
    let evaluated = |path: &Path, resume, contestants: &[(&str, u32, Value)]| {
        let contestant = |(name, calls, about): &(&str, u32, Value)| {
            let noise = PowerCut { calls_left: Cell::new(*calls) };
            Contestant { name: (*name).into(), guard: Guard::Defence(Box::new(noise)), about: about.clone() }
        };
        let contestants: Vec<Contestant> = contestants.iter().map(contestant).collect();
        let participants = Participants { target: &target, substitute: None, contestants: &contestants };
        evaluate::run(&set, (&set.test, "test"), participants, &measures(0.2), Destination { path, resume })
    };
    let (a, b) = (|calls| ("a", calls, Value::Null), |calls| ("b", calls, Value::Null));
    evaluated(&whole, Resume::Never, &[a(u32::MAX), b(u32::MAX)]).unwrap();
    evaluated(&path, Resume::Never, &[b(u32::MAX)]).unwrap();
    // What is known is not computed again.
    evaluated(&path, Resume::Same, &[a(u32::MAX), b(0)]).unwrap();
    assert_eq!(without_seconds(&path), without_seconds(&whole));

    let other = |calls| ("a", calls, json!("longer training"));
    for asked in [vec![b(0)], vec![other(0), b(0)]] {
        let refused = evaluated(&path, Resume::Same, &asked).unwrap_err().to_string();
        let words = "results.json: results with a, which is not asked for or was made in another way";
        assert!(refused.contains(words), "{refused}");
    }
    // Who may measure anew keeps a column that he does not ask for, and exchanges one that was made in another way.
    evaluated(&path, Resume::SameOrAnew, &[a(0)]).unwrap();
    assert_eq!(without_seconds(&path), without_seconds(&whole));
    let results = evaluated(&path, Resume::SameOrAnew, &[other(u32::MAX)]).unwrap();
    assert_eq!(results.defences["a"], "longer training");
    assert!(results.rows.iter().all(|row| row.defended.len() == 2) && results.adaptive.len() == 3, "{results:?}");

    // An attack that comes out otherwise than before is of other pictures: cells of the old ones go.
    let mut other_attack = json(&path);
    let norm = other_attack["rows"][2]["mean_l2"].as_f64().unwrap();
    other_attack["rows"][2]["mean_l2"] = json!(1.01 * norm);
    std::fs::write(&path, other_attack.to_string()).unwrap();
    let again = ("a", u32::MAX, json!("still longer"));
    let results = evaluated(&path, Resume::SameOrAnew, &[again]).unwrap();
    let cells: Vec<usize> = results.rows.iter().map(|row| row.defended.len()).collect();
    assert_eq!(cells, [2, 2, 1, 2]);
    let text = table::section("results", &results);
    assert!(
        results.finished
            && text.contains("\nLost, since b was not there when the row was measured anew: fgsm ε 0.2.\n"),
        "{text}"
    );
    assert!((results.rows[2].mean_l2 - norm).abs() < 1e-9);

    // What another attacker left of a defence that is gone stays, for he cannot attack it again.
    let Measures { adaptive: Some((effort, _)), .. } = measures(0.2) else { unreachable!() };
    let fewer = Measures { adaptive: Some((effort, 5)), ..measures(0.2) };
    let noise = PowerCut { calls_left: Cell::new(u32::MAX) };
    let a = Contestant { name: "a".into(), guard: Guard::Defence(Box::new(noise)), about: json!("still longer") };
    let participants = Participants { target: &target, substitute: None, contestants: &[a] };
    let at = Destination { path: &path, resume: Resume::SameOrAnew };
    let results = evaluate::run(&set, (&set.test, "test"), participants, &fewer, at).unwrap();
    let asked: Vec<usize> = results.adaptive.values().map(|outcome| outcome.n).collect();
    assert_eq!(asked, [5, 6, 5], "a, b and undefended");

    // When it is back, it meets that attacker as well.
    let contestants = [("a", json!("still longer")), ("b", Value::Null)].map(|(name, about)| {
        let noise = PowerCut { calls_left: Cell::new(u32::MAX) };
        Contestant { name: name.into(), guard: Guard::Defence(Box::new(noise)), about }
    });
    let participants = Participants { target: &target, substitute: None, contestants: &contestants };
    let results = evaluate::run(&set, (&set.test, "test"), participants, &fewer, at).unwrap();
    assert!(results.adaptive.values().all(|outcome| outcome.n == 5), "{:?}", results.adaptive);
}

#[test]
fn a_thorough_attacker_takes_along_what_he_makes_on_a_defence_that_is_added() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (path, whole) = (folder.path().join("results.json"), folder.path().join("whole.json"));
    let (set, target) = (set(), target(1));
    let Measures { adaptive: Some((effort, images)), .. } = measures(0.2) else { unreachable!() };
    let effort = Effort { thorough: Some(Thorough { queries: 3 }), ..effort };
    let measures = Measures { adaptive: Some((effort, images)), ..measures(0.2) };
    let evaluated = |path: &Path, resume, names: &[&str]| {
        let contestant = |&name: &&str| {
            let noise = PowerCut { calls_left: Cell::new(u32::MAX) };
            Contestant { name: name.into(), guard: Guard::Defence(Box::new(noise)), about: Value::Null }
        };
        let contestants: Vec<Contestant> = names.iter().map(contestant).collect();
        let participants = Participants { target: &target, substitute: None, contestants: &contestants };
        evaluate::run(&set, (&set.test, "test"), participants, &measures, Destination { path, resume }).unwrap()
    };
    evaluated(&whole, Resume::Never, &["b", "a"]);
    let before = evaluated(&path, Resume::Never, &["b"]);
    let made_on_a = |results: &Results| {
        let rows = &results.adaptive["b"].rows;
        rows.iter().any(|row| row.attack == "then made on a")
    };
    assert!(!made_on_a(&before));
    assert!(made_on_a(&evaluated(&path, Resume::Same, &["b", "a"])));
    assert_eq!(without_seconds(&path), without_seconds(&whole));
}

#[test]
fn what_an_earlier_attacker_left_is_measured_anew() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let whole = evaluated(&path, false, &measures(0.2), u32::MAX).unwrap();
    let mut earlier = json(&path);
    let outcome = earlier["adaptive"]["undefended"].as_object_mut().unwrap();
    assert_eq!(outcome.remove("attacker"), Some(json!(ATTACKER)));
    outcome.insert("worst".into(), json!(99.0));
    std::fs::write(&path, earlier.to_string()).unwrap();
    let results = evaluated(&path, true, &measures(0.2), 0).unwrap();
    let of = |results: &Results| (results.adaptive["undefended"].attacker, results.adaptive["undefended"].worst);
    assert_eq!(of(&results), of(&whole));
}

#[test]
fn two_contestants_of_the_same_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (set, target) = (set(), target(1));
    let contestant = |name: &str| {
        let noise = PowerCut { calls_left: Cell::new(0) };
        Contestant { name: name.into(), guard: Guard::Defence(Box::new(noise)), about: Value::Null }
    };
    for names in [["a", "a"], ["a", "undefended"]] {
        let contestants = names.map(contestant);
        let participants = Participants { target: &target, substitute: None, contestants: &contestants };
        let at = Destination { path: &folder.path().join("results.json"), resume: Resume::Never };
        let refused = evaluate::run(&set, (&set.test, "test"), participants, &measures(0.2), at).unwrap_err();
        assert!(refused.to_string().contains(&format!("two of the same name: {}", names[1])), "{refused}");
    }
}

/// A file of version 2, cut to one row and one outcome.
const VERSION_2: &str = r#"{
  "schema": 2, "command": "puvae-train evaluate --out mnist-a.json", "dataset": "mnist", "split": "test", "seed": 1,
  "device": "CPU, 1 threads", "target": { "config": { "network": { "architecture": "a" } } }, "defences": { "d": null },
  "rows": [{
    "attack": "fgsm", "parameters": { "Fgsm": { "epsilon": 0.3 } }, "n": 10000, "attack_success": 40.0, "zero_gradient": 0.0,
    "mean_l2": 6.2, "mean_linf": 0.3, "undefended": 12.5,
    "defended": { "d": { "accuracy": 90.1, "y_star": 90.1, "rejected": 80.0, "accuracy_of_accepted": 99.0 } }
  }],
  "adaptive": { "undefended": {
    "effort": { "epsilon": 0.3, "alpha": 0.03, "steps": 40, "restarts": 5 }, "n": 500, "clean": 99.2,
    "rows": [{ "attack": "cross-entropy untargeted", "accuracy": 0.0, "zero_gradient": 0.0 }], "worst": 0.0, "unbounded": 0.0
  } },
  "warnings": [], "seconds": 3576.4
}"#;

#[test]
fn results_of_version_2_are_still_read_but_not_gone_on_with() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    std::fs::write(&path, VERSION_2).unwrap();
    let text = table::of_files(std::slice::from_ref(&path)).unwrap();
    assert!(
        text.contains("| fgsm ε 0.3 | 10000 | 6.20 | 0.300 | 40.00 | 12.50 (paper 12.46) | 90.10 | 85.29 |"),
        "{text}"
    );
    assert!(
        text.contains("| attack | d rejects | of the rest right |") && text.contains("| fgsm ε 0.3 | 80.00 | 99.00 |"),
        "{text}"
    );
    let mut few = Results::read(&path).unwrap();
    few.calibrated_on = 12;
    assert!(!table::section("few", &few).contains("rejects"), "a threshold of twelve scores is noise");
    assert!(!text.contains("Not finished"), "{text}");
    assert!(text.contains("different tries than they look: undefended.\n"), "{text}");
    let error = evaluated(&path, true, &measures(0.2), 0).unwrap_err().to_string();
    assert!(
        error.contains("results.json: results of version 2, expected 3; evaluate again without --resume"),
        "{error}"
    );
}

/// Files keep the warnings of the day; a table has those that are looked for now.
#[test]
fn a_table_warns_of_signs_that_nobody_looked_for_when_it_was_measured() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let mut results = evaluated(&folder.path().join("results.json"), false, &measures(0.2), u32::MAX).unwrap();
    assert_eq!(results.calibrated_on, 8, "there are 20 images and 8 held out");
    results.warnings = vec!["an old one".into()];
    results.adaptive.get_mut("undefended").unwrap().unbounded = 40.0;
    let text = table::section("results", &results);
    assert!(text.contains("\nWarning: undefended: an attack without a bound still leaves 40.0 %"), "{text}");
    assert!(!text.contains("an old one"), "{text}");
}

#[test]
fn a_table_of_unfinished_results_says_so() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    killed(&path, 2);
    let text = table::of_files(std::slice::from_ref(&path)).unwrap();
    assert!(text.contains("**Not finished:** rows are missing") && text.contains("| clean | 12 |"), "{text}");
}
