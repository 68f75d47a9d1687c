//! WGAN-GP: a critic learns to tell real pictures from generated ones under a penalty that keeps its slope near 1, and the
//! generator learns to please it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::samples;
use super::{Critic, Generator};
use crate::checkpoint::Learning;
use crate::data::{Split, permutation};
use crate::fit::scalar;
use crate::optim::Adam;
use crate::progress::ProgressBar;
use crate::resumable::{Learner, Scalars, Sums};

/// Held-out images that each epoch ends with a look at.
const VALIDATION_IMAGES: usize = 1_000;
/// Keeps the slope of a norm finite at zero.
const SMALLEST_SQUARE: f64 = 1e-12;

/// How long and how fast; the defaults are the published constants. `--checkpoint-every` iterations are an epoch of the run:
/// after each one there is a checkpoint, and the next draws from a random stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct GanSchedule {
    /// Steps of the generator.
    #[arg(long, default_value_t = Self::default().iterations)]
    pub iterations: u32,
    /// Iterations between checkpoints.
    #[arg(long, default_value_t = Self::default().checkpoint_every)]
    pub checkpoint_every: u32,
    /// Images a step.
    #[arg(long, default_value_t = Self::default().batch)]
    pub batch: usize,
    /// Adam's learning rate, for both networks, from the first step to the last.
    #[arg(long, default_value_t = Self::default().rate)]
    pub rate: f64,
    /// Decay rate of Adam's mean of gradients.
    #[arg(long, default_value_t = Self::default().beta1)]
    pub beta1: f64,
    /// Decay rate of Adam's mean of squared gradients.
    #[arg(long, default_value_t = Self::default().beta2)]
    pub beta2: f64,
    /// Steps of the critic before each of the generator.
    #[arg(long, default_value_t = Self::default().critic_steps)]
    pub critic_steps: u32,
    /// Weight λ of the gradient penalty.
    #[arg(long, default_value_t = Self::default().penalty)]
    pub penalty: f64,
}

impl Default for GanSchedule {
    /// The published training.
    fn default() -> Self {
        Self {
            iterations: 200_000,
            checkpoint_every: 500,
            batch: 50,
            rate: 1e-4,
            beta1: 0.5,
            beta2: 0.9,
            critic_steps: 5,
            penalty: 10.0,
        }
    }
}

impl GanSchedule {
    /// Refuses what is no training.
    ///
    /// # Errors
    /// Names the field, the rule and the value.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [
            ("iterations", self.iterations),
            ("checkpoint-every", self.checkpoint_every),
            ("critic-steps", self.critic_steps),
        ] {
            ensure!(value > 0, "--{name} is 0, expected at least 1");
        }
        ensure!(self.batch > 1, "--batch is {}, expected at least 2", self.batch);
        ensure!(self.rate.is_finite() && self.rate > 0.0, "--rate is {}, expected a number above 0", self.rate);
        for (name, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            ensure!((0.0..1.0).contains(&value), "--{name} is {value}, expected 0 or more and less than 1");
        }
        ensure!(
            self.penalty.is_finite() && self.penalty >= 0.0,
            "--penalty is {}, expected a number of at least 0",
            self.penalty
        );
        Ok(())
    }

    /// Epochs of the whole run; the last one may be shorter.
    #[must_use]
    pub fn epochs(&self) -> u32 {
        self.iterations.div_ceil(self.checkpoint_every)
    }
}

/// Mean of (‖∇ D(x̂)‖₂ − 1)² over points x̂ drawn uniformly on the lines between real and generated pictures, both `[N, C, H, W]`, with
/// a gradient to the critic's parameters (Gulrajani et al., 2017, Eq. 3). The norm is that of a whole picture.
pub fn gradient_penalty(critic: impl Fn(&Tensor) -> Tensor, real: &Tensor, generated: &Tensor) -> Tensor {
    let share = Tensor::rand([real.size()[0], 1, 1, 1], (Kind::Float, real.device()));
    let between = (real + (generated - real) * share).detach().set_requires_grad(true);
    let slope = Tensor::run_backward(&[critic(&between).sum(Kind::Float)], &[&between], true, true).remove(0);
    let squares = slope.flatten(1, -1).square().sum_dim_intlist(1, false, Kind::Float); // [N]
    ((squares + SMALLEST_SQUARE).sqrt() - 1.0).square().mean(Kind::Float)
}

/// A generator and a critic, learning from each other.
#[derive(Debug)]
pub struct GanTask<'a> {
    generator: &'a Generator,
    critic: &'a Critic,
    schedule: GanSchedule,
    train: &'a Split,
    held_out: Split,
    seed: u64,
    generator_adam: Adam,
    critic_adam: Adam,
}

impl<'a> GanTask<'a> {
    /// Ready for the first step; `seed` is that of the order of the images.
    ///
    /// # Errors
    /// When the schedule is absurd, there are fewer training images than a batch, or none are held out.
    pub fn new(
        (generator, critic): (&'a Generator, &'a Critic),
        schedule: GanSchedule,
        (train, held_out): (&'a Split, &Split),
        seed: u64,
    ) -> Result<Self> {
        schedule.check()?;
        ensure!(
            train.len() >= schedule.batch,
            "{} training images, expected at least one batch of {}",
            train.len(),
            schedule.batch
        );
        ensure!(!held_out.is_empty(), "no held-out images to look at");
        let betas = [schedule.beta1, schedule.beta2];
        Ok(Self {
            generator,
            critic,
            schedule,
            train,
            held_out: held_out.first(VALIDATION_IMAGES),
            seed,
            generator_adam: Adam::new(&generator.params).betas(betas).named("generator"),
            critic_adam: Adam::new(&critic.params).betas(betas).named("critic"),
        })
    }

    /// One step of the critic down mean D(G(z)) − mean D(x) + λ · penalty, and its figures.
    fn critic_step(&mut self, real: &Tensor) -> Scalars {
        let generated = tch::no_grad(|| self.generator.pictures(&self.generator.draw(real.size()[0])));
        let distance = self.distance(real, &generated);
        let penalty = gradient_penalty(|x| self.critic.scores(x), real, &generated);
        self.critic_adam.step(&(&penalty * self.schedule.penalty - &distance), self.schedule.rate);
        vec![("wasserstein", scalar(&distance)), ("gradient_penalty", scalar(&penalty))]
    }

    /// One step of the generator down −mean D(G(z)), and its loss.
    fn generator_step(&mut self) -> f64 {
        let generated = self.generator.pictures(&self.generator.draw(self.schedule.batch as i64));
        let loss = -self.critic.scores(&generated).mean(Kind::Float);
        self.generator_adam.step(&loss, self.schedule.rate);
        scalar(&loss)
    }

    /// The critic's estimate of the Wasserstein distance: mean D(x) − mean D(G(z)).
    fn distance(&self, real: &Tensor, generated: &Tensor) -> Tensor {
        self.critic.scores(real).mean(Kind::Float) - self.critic.scores(generated).mean(Kind::Float)
    }

    fn held_out_distance(&self) -> f64 {
        let real = self.held_out.all().x;
        scalar(&tch::no_grad(|| self.distance(&real, &self.generator.pictures(&self.generator.draw(real.size()[0])))))
    }
}

impl Learner for GanTask<'_> {
    fn networks(&mut self) -> Vec<Learning<'_>> {
        vec![(&self.generator.params, &mut self.generator_adam), (&self.critic.params, &mut self.critic_adam)]
    }

    fn steps_before(&self, epoch: u32) -> usize {
        (epoch.saturating_mul(self.schedule.checkpoint_every)).min(self.schedule.iterations) as usize
    }

    fn learn(&mut self, epoch: u32, bar: &ProgressBar) -> Result<BTreeMap<String, f64>> {
        let critic_steps = self.schedule.critic_steps as usize;
        let mut passes = Passes::new(self.train, self.schedule.batch, self.seed);
        let mut sums = Sums::default();
        for iteration in self.steps_before(epoch)..self.steps_before(epoch + 1) {
            let mut figures = Scalars::new();
            for step in 0..critic_steps {
                let real = passes.batch(iteration * critic_steps + step);
                figures = self.critic_step(&real);
            }
            figures.push(("generator_loss", self.generator_step()));
            for (name, value) in &figures {
                ensure!(
                    value.is_finite(),
                    "the {name} became {value} in iteration {iteration}; train again with a lower --rate in another --out"
                );
            }
            bar.inc(1);
            bar.set_message(format!("wasserstein {:.3}", figures[0].1));
            sums.add(&figures);
        }
        Ok(sums.means_and(vec![("held_out_wasserstein", self.held_out_distance())]))
    }

    fn draw(&self, folder: &Path) -> Result<()> {
        samples::write(self.generator, &folder.join("samples.png"))
    }
}

/// Endless batches: passes over the images, each in an order of its own. The position of a batch says what is in it, so
/// that a resumed run may begin in the middle of a pass.
struct Passes<'a> {
    train: &'a Split,
    batch: usize,
    seed: u64,
    pass: usize,
    order: Vec<i64>,
}

impl<'a> Passes<'a> {
    fn new(train: &'a Split, batch: usize, seed: u64) -> Self {
        Self { train, batch, seed, pass: 0, order: permutation(train.len(), seed, 0) }
    }

    /// The pictures of a batch, `[N, C, H, W]`.
    fn batch(&mut self, position: usize) -> Tensor {
        let batches = self.train.len() / self.batch;
        let (pass, start) = (position / batches, position % batches * self.batch);
        if pass != self.pass {
            (self.pass, self.order) = (pass, permutation(self.train.len(), self.seed, pass as u64));
        }
        self.train.select(&self.order[start..start + self.batch]).x
    }
}
