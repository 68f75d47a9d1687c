//! Defense-GAN: its networks, their training, and the projection onto what the generator makes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use puvae_training::checkpoint::{Checkpoint, Header, Learning};
use puvae_training::data::{DataSet, Split};
use puvae_training::defence::defense_gan::{DefenseGan, Projection};
use puvae_training::defence::{Defence, purify_all};
use puvae_training::evaluate::contestants;
use puvae_training::gan::{Critic, GanConfig, GanSchedule, GanTask, Generator, gradient_penalty};
use puvae_training::nn::params::Params;
use puvae_training::progress::{self, ProgressBar};
use puvae_training::resumable::{self, Learner, Run};
use puvae_training::runs::{self, Place};
use tch::{Device, Kind, Tensor};

use crate::common::{my_turn, squares};

const CLASSES: i64 = 4;

/// Both networks, small enough for tests.
fn small() -> (Generator, Critic) {
    let config = GanConfig { width: 8, latent: 16, ..GanConfig::published(28, 1) };
    (Generator::new(config.clone(), Params::new(1, Device::Cpu)), Critic::new(config, Params::new(1, Device::Cpu)))
}

fn schedule(iterations: u32) -> GanSchedule {
    GanSchedule {
        iterations,
        checkpoint_every: 2,
        batch: 8,
        rate: 1e-3,
        beta1: 0.5,
        beta2: 0.9,
        critic_steps: 2,
        penalty: 10.0,
    }
}

fn run(out: &Path, resume: bool, schedule: GanSchedule) -> Run {
    let header = Header {
        kind: "defense-gan".into(),
        dataset: "squares".into(),
        config: serde_json::json!({ "schedule": schedule }),
        seed: 5,
        epochs: schedule.epochs(),
        ..Header::default()
    };
    Run { out: out.into(), resume, header, reread: |_| None }
}

#[test]
fn the_networks_have_the_published_layers() {
    let dense = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
    let transposed = |inputs: usize, outputs: usize| 25 * inputs * outputs + outputs;
    for (side, channels) in [(28, 1), (32, 3)] {
        let config = GanConfig::published(side, channels);
        let c = channels as usize;
        let generator = Generator::new(config.clone(), Params::new(1, Device::Cpu));
        let layers = dense(128, 4096) + transposed(256, 128) + transposed(128, 64) + transposed(64, c);
        assert_eq!(generator.params.count(), layers, "generator of {config:?}");
        let critic = Critic::new(config.clone(), Params::new(1, Device::Cpu));
        let layers = dense(25 * c, 64) + dense(25 * 64, 128) + dense(25 * 128, 256) + dense(256 * 4 * 4, 1);
        assert_eq!(critic.params.count(), layers, "critic of {config:?}");
    }
}

#[test]
fn generated_pictures_have_the_size_of_the_data_and_values_from_0_to_1() {
    let _turn = my_turn();
    for side in [20, 24, 28, 32] {
        let config = GanConfig::published(side, 3);
        config.check().unwrap();
        let generator = Generator::new(config.clone(), Params::new(1, Device::Cpu));
        let pictures = generator.pictures(&(generator.draw(2) * 10.0));
        assert_eq!(pictures.size(), [2, 3, side, side]);
        assert!(pictures.min().double_value(&[]) >= 0.0 && pictures.max().double_value(&[]) <= 1.0);
        assert_eq!(Critic::new(config, Params::new(1, Device::Cpu)).scores(&pictures).size(), [2]);
    }
}

#[test]
fn the_penalty_of_a_linear_critic_and_its_slope_are_those_of_the_closed_form() {
    let _turn = my_turn();
    let data = squares(16, CLASSES, 1).all().x;
    let (real, generated) = (data.narrow(0, 0, 8), data.narrow(0, 8, 8));
    // D(x) = w · Σ x over 784 values has a gradient of norm 28·w everywhere.
    for w in [0.0f32, 0.02, 0.1] {
        let weight = Tensor::from(w).set_requires_grad(true);
        let critic = |x: &Tensor| x.flatten(1, -1).sum_dim_intlist(1, false, Kind::Float) * &weight;
        let penalty = gradient_penalty(critic, &real, &generated);
        let slope = Tensor::run_backward(&[&penalty], &[&weight], false, false).remove(0);
        let norm = 28.0 * f64::from(w);
        assert!((penalty.double_value(&[]) - (norm - 1.0).powi(2)).abs() < 1e-4, "{w}: {penalty}");
        let expected = if w > 0.0 { 56.0 * (norm - 1.0) } else { 0.0 };
        assert!((slope.double_value(&[]) - expected).abs() < 1e-2, "{w}: {slope}, expected {expected}");
    }
}

#[test]
fn training_brings_generated_pictures_nearer_to_the_data() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let data = squares(64, CLASSES, 1);
    let (generator, critic) = small();
    let bright = |generator: &Generator| {
        tch::manual_seed(3);
        tch::no_grad(|| generator.pictures(&generator.draw(64))).mean(Kind::Double).double_value(&[])
    };
    let truth = data.all().x.mean(Kind::Double).double_value(&[]);
    let before = (bright(&generator) - truth).abs();
    let longer = GanSchedule { checkpoint_every: 20, critic_steps: 3, ..schedule(80) };
    let mut task = GanTask::new((&generator, &critic), longer, (&data, &data), 5).unwrap();
    resumable::train(&mut task, &run(folder.path(), false, longer)).unwrap();

    let after = (bright(&generator) - truth).abs();
    assert!(after < 0.5 * before, "mean brightness is off by {after}, before training by {before}");
    let log = std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let epochs: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wasserstein = |epoch: usize| epochs[epoch]["scalars"]["wasserstein"].as_f64().unwrap();
    assert!(wasserstein(0) > 0.0, "the critic tells them apart: {log}");
    assert!(wasserstein(3) < wasserstein(0), "the generator makes that harder: {log}");
    for name in ["gradient_penalty", "generator_loss", "held_out_wasserstein"] {
        assert!(epochs[3]["scalars"][name].as_f64().unwrap().is_finite(), "{log}");
    }
    assert!(folder.path().join("curves.svg").exists());
    assert!(image::open(folder.path().join("samples.png")).is_ok());
}

/// Learns until the power fails before an epoch is saved.
struct PowerCut<'a> {
    task: GanTask<'a>,
    epoch: u32,
}

impl Learner for PowerCut<'_> {
    fn networks(&mut self) -> Vec<Learning<'_>> {
        self.task.networks()
    }

    fn steps_before(&self, epoch: u32) -> usize {
        self.task.steps_before(epoch)
    }

    fn learn(&mut self, epoch: u32, bar: &ProgressBar) -> Result<BTreeMap<String, f64>> {
        let figures = self.task.learn(epoch, bar)?;
        ensure!(epoch < self.epoch, "power cut");
        Ok(figures)
    }
}

fn train_until(data: &Split, out: &Path, resume: bool, epoch: u32) -> Result<()> {
    let (generator, critic) = small();
    let task = GanTask::new((&generator, &critic), schedule(7), (data, data), 5)?;
    resumable::train(&mut PowerCut { task, epoch }, &run(out, resume, schedule(7)))
}

#[test]
fn both_networks_resume_exactly_where_they_were() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    // 3 batches a pass and 4 critic steps an epoch: the power fails in the middle of a pass.
    let data = squares(24, CLASSES, 1);
    train_until(&data, &whole, false, 9).unwrap();
    assert!(train_until(&data, &broken, false, 2).is_err());
    let checkpoint = |out: &Path| Checkpoint::load(&Run::checkpoint(out)).unwrap();
    assert_eq!(checkpoint(&broken).header.epoch, 2);
    train_until(&data, &broken, true, 9).unwrap();

    let (whole, broken) = (checkpoint(&whole), checkpoint(&broken));
    assert_eq!((whole.header.epochs, whole.header.epoch), (4, 4), "7 iterations are 4 epochs of at most 2");
    let names: Vec<&str> = whole.params.keys().map(String::as_str).collect();
    assert!(names.contains(&"generator.deconv1.weight") && names.contains(&"critic.conv1.weight"), "{names:?}");
    for (name, tensor) in &whole.params {
        assert!(tensor.equal(&broken.params[name]), "parameter {name} differs");
    }
}

/// A generator whose pictures differ from each other as those of a trained one do.
fn contrasting() -> Generator {
    let generator = Generator::new(GanConfig::published(28, 1), Params::new(1, Device::Cpu));
    tch::no_grad(|| {
        let _ = generator.params.all()["generator.deconv3.weight"].shallow_clone().g_mul_scalar_(8.0);
    });
    generator.params.freeze();
    generator
}

fn defence(steps: u32, restarts: u32) -> DefenseGan {
    DefenseGan::new(contrasting(), Projection { steps, restarts, ..Projection::default() }).unwrap()
}

#[test]
fn the_projection_finds_a_picture_that_the_generator_made() {
    let _turn = my_turn();
    tch::manual_seed(8);
    let generator = contrasting();
    let made = tch::no_grad(|| generator.pictures(&generator.draw(4)));
    let others = (&made - made.roll([1], [0])).square().mean(Kind::Double).double_value(&[]);
    let cleaned = purify_all(&defence(150, 2), &made, 1, &progress::hidden());
    let score = cleaned.score.unwrap();
    assert!(score.max().double_value(&[]) < 0.03 * others, "{score}, from picture to picture {others}");
    let by_hand = (&made - &cleaned.frames).square().flatten(1, -1).mean_dim(1, false, Kind::Float);
    assert!(score.allclose(&by_hand, 1e-4, 1e-7, false), "{score}, by hand {by_hand}");
    assert!(cleaned.label.is_none());
}

#[test]
fn more_restarts_of_the_same_seed_are_never_worse() {
    let _turn = my_turn();
    let x = squares(4, CLASSES, 1).all().x;
    let scores = |restarts| purify_all(&defence(5, restarts), &x, 1, &progress::hidden()).score.unwrap();
    let (one, three) = (scores(1), scores(3));
    assert!(bool::try_from((&three - &one).le(1e-5).all()).unwrap(), "{three} after three, {one} after one");
    assert!(three.mean(Kind::Double).double_value(&[]) < one.mean(Kind::Double).double_value(&[]));
}

#[test]
fn the_attacker_gets_the_gradient_of_the_identity() {
    let _turn = my_turn();
    let x = squares(2, CLASSES, 1).all().x.set_requires_grad(true);
    let frames = defence(2, 1).purify(&x).frames;
    let gradient = Tensor::run_backward(&[(frames * 3.0).sum(Kind::Float)], &[&x], false, false).remove(0);
    assert!(gradient.allclose(&(x.ones_like() * 3.0), 0.0, 1e-6, false));
}

#[test]
fn many_restarts_mean_fewer_pictures_at_a_time() {
    assert_eq!([1, 20, 5000].map(|restarts| defence(1, restarts).batch()), [1000, 50, 1]);
}

fn data_set(name: &str) -> DataSet {
    let split = || squares(24, CLASSES, 1);
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    DataSet { name: name.into(), classes, channels: 1, side_px: 28, train: split(), held_out: split(), test: split() }
}

#[test]
fn a_trained_run_defends_with_the_projection_that_the_evaluation_chooses() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let set = data_set("squares");
    let place = Place { out: folder.path(), resume: false, seed: 5 };
    runs::train_defense_gan(&set, schedule(1), place, Device::Cpu).unwrap();

    let given = format!("gan={}", folder.path().display());
    let projection = Projection { steps: 3, restarts: 2, ..Projection::default() };
    let contestant = contestants::defence(&set, &given, projection, Device::Cpu).unwrap();
    assert_eq!(contestant.name, "gan");
    assert_eq!(contestant.about["kind"], "defense-gan");
    assert_eq!(contestant.about["projection"]["steps"], 3);
    let refused = |set: &DataSet, projection| {
        contestants::defence(set, &given, projection, Device::Cpu).err().unwrap().to_string()
    };
    assert!(refused(&data_set("digits"), projection).contains("was trained on squares, expected digits"));
    let none = Projection { restarts: 0, ..projection };
    assert!(refused(&set, none).contains("--defense-gan-restarts 0, expected at least 1"));
    let too_many = Projection { restarts: u32::MAX, ..projection };
    assert!(
        refused(&set, too_many).contains("--defense-gan-restarts 4294967295, expected at least 1, and at most 10000")
    );
}

#[test]
fn absurd_sizes_schedules_and_projections_are_refused() {
    let size = |config: GanConfig| config.check().unwrap_err().to_string();
    assert!(size(GanConfig::published(64, 1)).contains("pictures of 64 pixels a side, expected 20, 24, 28 or 32"));
    assert!(size(GanConfig::published(28, 2)).contains("channels is 2, expected 1 (grey) or 3 (colour)"));
    assert!(size(GanConfig { width: 0, ..GanConfig::published(28, 1) }).contains("width 0, expected at least 1"));

    let training = |schedule: GanSchedule| schedule.check().unwrap_err().to_string();
    assert!(training(schedule(0)).contains("--iterations is 0, expected at least 1"));
    assert!(training(GanSchedule { critic_steps: 0, ..schedule(1) }).contains("--critic-steps is 0"));
    assert!(training(GanSchedule { beta1: 1.0, ..schedule(1) }).contains("--beta1 is 1, expected 0 or more and less"));
    assert!(training(GanSchedule { penalty: -1.0, ..schedule(1) }).contains("--penalty is -1"));

    let projection = |projection: Projection| projection.check().unwrap_err().to_string();
    let usual = Projection::default();
    assert!(projection(Projection { steps: 0, ..usual }).contains("--defense-gan-steps is 0"));
    assert!(projection(Projection { rate: f64::NAN, ..usual }).contains("--defense-gan-rate is NaN"));
    assert!(projection(Projection { momentum: 1.0, ..usual }).contains("--defense-gan-momentum is 1, expected"));

    let (generator, critic) = small();
    let data = squares(4, CLASSES, 1);
    let few = GanTask::new((&generator, &critic), schedule(1), (&data, &data), 5).unwrap_err().to_string();
    assert!(few.contains("4 training images, expected at least one batch of 8"), "{few}");
}
