//! Training runs: what resuming, another configuration and a broken checkpoint do.

use std::cell::Cell;
use std::path::Path;

use anyhow::{Result, bail};
use puvae_training::checkpoint::{Checkpoint, Header};
use puvae_training::classifier::{Architecture, Classifier, ClassifierConfig, ClassifierTask, Sources};
use puvae_training::data::{Batch, Split};
use puvae_training::fit::{Run, Scalars, Schedule, Task, fit};
use puvae_training::nn::params::Params;
use puvae_training::puvae::{Puvae, PuvaeConfig, PuvaeTask, Size};
use puvae_training::resumable::reread;
use tch::{Device, Tensor};

use crate::common::{my_turn, squares};

const CLASSES: i64 = 4;

fn classifier() -> Classifier {
    let config = ClassifierConfig::new(Architecture::B, 28, 1, CLASSES);
    Classifier::new(config, Params::new(3, Device::Cpu))
}

fn run(out: &Path, resume: bool, schedule: Schedule) -> Run {
    let header = Header {
        kind: "classifier".into(),
        dataset: "squares".into(),
        config: serde_json::json!({ "schedule": schedule }),
        seed: 5,
        epochs: schedule.epochs,
        ..Header::default()
    };
    Run { out: out.into(), resume, header, reread: |_| None }
}

fn schedule(epochs: u32) -> Schedule {
    Schedule { epochs, batch: 16, rate: 1e-3 }
}

/// Trains until the power fails at the end of an epoch.
struct PowerCut<'a> {
    task: &'a dyn Task,
    epochs_left: Cell<u32>,
}

impl Task for PowerCut<'_> {
    fn params(&self) -> &Params {
        self.task.params()
    }

    fn loss(&self, batch: &Batch) -> (Tensor, Scalars) {
        self.task.loss(batch)
    }

    fn validate(&self) -> Result<Scalars> {
        match self.epochs_left.get().checked_sub(1) {
            None => bail!("power cut"),
            Some(left) => self.epochs_left.set(left),
        }
        self.task.validate()
    }
}

fn train(classifier: &Classifier, data: &Split, out: &Path, resume: bool, epochs_until_power_cut: u32) -> Result<()> {
    let task = ClassifierTask { classifier, held_out: data };
    train_task(&task, data, out, resume, epochs_until_power_cut)
}

fn train_task(task: &dyn Task, data: &Split, out: &Path, resume: bool, epochs_until_power_cut: u32) -> Result<()> {
    let task = PowerCut { task, epochs_left: Cell::new(epochs_until_power_cut) };
    fit(&task, data, &schedule(3), &run(out, resume, schedule(3)))
}

fn same_parameters(left: &Path, right: &Path) {
    let params = |out: &Path| Checkpoint::load(&Run::checkpoint(out)).unwrap().params;
    let right = params(right);
    for (name, tensor) in params(left) {
        assert!(tensor.equal(&right[&name]), "parameter {name} differs");
    }
}

#[test]
fn a_resumed_run_ends_exactly_where_an_uninterrupted_one_does() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let data = squares(64, CLASSES, 1);
    train(&classifier(), &data, &whole, false, 9).unwrap();
    assert!(train(&classifier(), &data, &broken, false, 1).is_err());
    assert_eq!(Checkpoint::load(&Run::checkpoint(&broken)).unwrap().header.epoch, 1);
    train(&classifier(), &data, &broken, true, 9).unwrap();

    same_parameters(&whole, &broken);
    let log = std::fs::read_to_string(broken.join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 3);
    assert!(std::fs::read_to_string(broken.join("curves.svg")).unwrap().contains("held_out_accuracy"));
}

#[test]
fn what_a_checkpoint_does_not_tell_is_not_claimed_once_it_goes_on() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(64, CLASSES, 1);
    assert!(train(&classifier(), &data, folder.path(), false, 1).is_err());
    let mut run = run(folder.path(), true, schedule(3));
    run.header.held_out_sha256 = "of now".into();
    run.header.classes = vec!["of now".into()];
    let classifier = classifier();
    fit(&ClassifierTask { classifier: &classifier, held_out: &data }, &data, &schedule(3), &run).unwrap();
    let Header { epoch, held_out_sha256, classes, .. } =
        Checkpoint::load(&Run::checkpoint(folder.path())).unwrap().header;
    assert!(epoch == 3 && held_out_sha256.is_empty() && classes.is_empty());
}

#[test]
fn a_resumed_purifier_goes_on_with_the_noise_of_an_uninterrupted_one() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let data = squares(32, CLASSES, 1);
    let source = classifier();
    source.params.freeze();
    let train = |out: &Path, resume, epochs| {
        let puvae = Puvae::new(PuvaeConfig::preset(Size::Lite, 28, 1, CLASSES), Params::new(1, Device::Cpu));
        train_task(&PuvaeTask::new(&puvae, Sources(vec![&source]), data.first(8)).unwrap(), &data, out, resume, epochs)
    };
    train(&whole, false, 9).unwrap();
    assert!(train(&broken, false, 2).is_err());
    train(&broken, true, 9).unwrap();
    same_parameters(&whole, &broken);
}

#[test]
fn a_run_goes_on_with_the_very_source_it_began_with_as_far_as_it_knows_it() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(64, CLASSES, 1);
    let go_on = |out: &str, source: serde_json::Value, epochs| {
        let mut run = run(&folder.path().join(out), true, schedule(3));
        run.header.config["source"] = source;
        let classifier = classifier();
        let task = ClassifierTask { classifier: &classifier, held_out: &data };
        fit(&PowerCut { task: &task, epochs_left: Cell::new(epochs) }, &data, &schedule(3), &run)
    };
    let source = |weights| serde_json::json!([{ "seed": 1, "weights_sha256": weights }]);
    go_on("known", source("aa"), 1).unwrap_err();
    let refused = go_on("known", source("bb"), 9).unwrap_err().to_string();
    assert!(refused.contains("a checkpoint of another configuration: config.source is"), "{refused}");
    go_on("known", source("aa"), 9).unwrap();

    // A checkpoint from before sources were hashed goes by their recipe, and does not claim more afterwards.
    go_on("unknown", serde_json::json!([{ "seed": 1 }]), 1).unwrap_err();
    go_on("unknown", source("aa"), 9).unwrap();
    let header = Header::of(&Run::checkpoint(&folder.path().join("unknown"))).unwrap();
    assert_eq!((header.epoch, &header.config["source"]), (3, &serde_json::json!([{ "seed": 1 }])));
}

#[test]
fn a_log_shorter_than_its_checkpoint_is_refused() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(32, CLASSES, 1);
    train(&classifier(), &data, folder.path(), false, 9).unwrap();
    std::fs::write(folder.path().join("log.jsonl"), "").unwrap();
    let error = train(&classifier(), &data, folder.path(), true, 9).unwrap_err().to_string();
    assert!(error.contains("log.jsonl: 0 epochs logged, the checkpoint beside it has 3"), "{error}");
}

#[test]
fn training_learns_the_squares() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(64, CLASSES, 1);
    let classifier = classifier();
    let task = ClassifierTask { classifier: &classifier, held_out: &data };
    let fast = Schedule { epochs: 6, batch: 8, rate: 1e-2 };
    fit(&task, &data, &fast, &run(folder.path(), false, fast)).unwrap();
    assert!(classifier.accuracy(&squares(40, CLASSES, 2)).unwrap() > 0.95);
}

#[test]
fn a_run_that_is_there_already_is_not_overwritten() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(32, CLASSES, 1);
    train(&classifier(), &data, folder.path(), false, 9).unwrap();
    let error = train(&classifier(), &data, folder.path(), false, 9).unwrap_err().to_string();
    assert!(error.contains("a run is there already; go on with --resume"), "{error}");
}

#[test]
fn a_checkpoint_of_another_configuration_is_refused_by_the_field_that_differs() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(32, CLASSES, 1);
    train(&classifier(), &data, folder.path(), false, 9).unwrap();
    let classifier = classifier();
    let task = ClassifierTask { classifier: &classifier, held_out: &data };
    let faster = Schedule { rate: 2e-3, ..schedule(3) };
    let error = fit(&task, &data, &faster, &run(folder.path(), true, faster)).unwrap_err().to_string();
    assert!(error.contains("config.schedule.rate is 0.001 there, expected 0.002"), "{error}");
    assert!(error.contains("checkpoint.safetensors"), "{error}");
}

#[test]
fn a_run_from_before_a_field_of_the_configuration_is_gone_on_with() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Recipe {
        schedule: Schedule,
        #[serde(default)]
        newer: f64,
    }
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (classifier, data) = (classifier(), squares(64, CLASSES, 1));
    train(&classifier, &data, folder.path(), false, u32::MAX).unwrap();
    let task = ClassifierTask { classifier: &classifier, held_out: &data };
    let with = |newer| {
        let run = run(folder.path(), true, schedule(3));
        let config = serde_json::to_value(Recipe { schedule: schedule(3), newer }).unwrap();
        Run { header: Header { config, ..run.header }, reread: reread::<Recipe>, ..run }
    };
    fit(&task, &data, &schedule(3), &with(0.0)).unwrap();
    let error = fit(&task, &data, &schedule(3), &with(0.5)).unwrap_err().to_string();
    assert!(error.contains("config.newer is 0.0 there, expected 0.5"), "{error}");
}

#[test]
fn a_truncated_checkpoint_is_refused_by_name() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(32, CLASSES, 1);
    train(&classifier(), &data, folder.path(), false, 9).unwrap();
    let path = Run::checkpoint(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = format!("{:#}", train(&classifier(), &data, folder.path(), true, 9).unwrap_err());
    assert!(error.contains("checkpoint.safetensors: not a whole checkpoint"), "{error}");
}

#[test]
fn absurd_schedules_are_refused() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (data, classifier) = (squares(32, CLASSES, 1), classifier());
    let task = ClassifierTask { classifier: &classifier, held_out: &data };
    let refused = |schedule: Schedule| {
        fit(&task, &data, &schedule, &run(folder.path(), false, schedule)).unwrap_err().to_string()
    };
    assert!(refused(schedule(0)).contains("--epochs is 0"));
    assert!(refused(Schedule { rate: f64::NAN, ..schedule(1) }).contains("--rate is NaN"));
    assert!(
        refused(Schedule { batch: 500, ..schedule(1) })
            .contains("32 training images, expected at least one batch of 500")
    );
}

#[test]
fn a_purifier_learns_with_every_loss_on() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(64, CLASSES, 1);
    let trained = classifier();
    train(&trained, &data, &folder.path().join("source"), false, 9).unwrap();
    let source = classifier();
    source.params.copy_from(&trained.params.all()).unwrap();
    source.params.freeze();

    let config = PuvaeConfig::preset(Size::Lite, 28, 1, CLASSES);
    let puvae = Puvae::new(config, Params::new(1, Device::Cpu));
    let task = PuvaeTask::new(&puvae, Sources(vec![&source]), data.first(16)).unwrap();
    let out = folder.path().join("puvae");
    fit(&task, &data, &schedule(4), &run(&out, false, schedule(4))).unwrap();

    let log = std::fs::read_to_string(out.join("log.jsonl")).unwrap();
    let loss = |line: usize| -> f64 {
        let epoch: serde_json::Value = serde_json::from_str(log.lines().nth(line).unwrap()).unwrap();
        epoch["scalars"]["loss"].as_f64().unwrap()
    };
    assert!(loss(3) < loss(0), "{log}");
}
