//! Training one network: gradient descent on a loss, in passes over the training images. No line of it knows which
//! network it trains.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::checkpoint::Learning;
use crate::data::{Batch, Split, permutation};
use crate::nn::params::Params;
use crate::optim::Adam;
use crate::progress::ProgressBar;
use crate::resumable::{self, Learner, Sums};
pub use crate::resumable::{Run, Scalars};

/// What the loop trains.
pub trait Task {
    /// The parameters that learn.
    fn params(&self) -> &Params;
    /// The loss of a batch, and parts of it worth a curve.
    fn loss(&self, batch: &Batch) -> (Tensor, Scalars);
    /// Figures on held-out images, once an epoch.
    ///
    /// # Errors
    /// When there is nothing to measure on.
    fn validate(&self) -> Result<Scalars>;
}

/// How long and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, clap::Args)]
pub struct Schedule {
    /// Passes over the training images.
    #[arg(long)]
    pub epochs: u32,
    /// Images a step.
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    /// Adam's learning rate at its highest; it rises over the first 200 steps, or the first third of fewer than 600, and falls to a
    /// hundredth along a cosine.
    #[arg(long, default_value_t = 1e-3)]
    pub rate: f64,
}

const WARM_UP_STEPS: usize = 200;
/// Most of a run that the learning rate may rise for: one step of so many.
const WARM_UP_SHARE: usize = 3;

impl Schedule {
    fn check(&self) -> Result<()> {
        ensure!(self.epochs > 0, "--epochs is 0, expected at least 1");
        ensure!(self.batch > 1, "--batch is {}, expected at least 2", self.batch);
        ensure!(self.rate.is_finite() && self.rate > 0.0, "--rate is {}, expected a number above 0", self.rate);
        Ok(())
    }

    fn rate_at(&self, step: usize, steps: usize) -> f64 {
        let warm_up = WARM_UP_STEPS.min(steps.div_ceil(WARM_UP_SHARE));
        let rise = ((step + 1) as f64 / warm_up as f64).min(1.0);
        let fall = 0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
        self.rate * rise * fall
    }
}

/// Trains to the end of the schedule; see [`resumable::train`].
///
/// # Errors
/// When the schedule is absurd, a checkpoint is in the way or does not fit, the loss stops being finite, or a
/// file cannot be written.
pub fn fit(task: &dyn Task, train: &Split, schedule: &Schedule, run: &Run) -> Result<()> {
    schedule.check()?;
    let steps_an_epoch = train.len() / schedule.batch;
    ensure!(steps_an_epoch > 0, "{} training images, expected at least one batch of {}", train.len(), schedule.batch);
    let adam = Adam::new(task.params());
    let mut descent = Descent { task, train, schedule, seed: run.header.seed, steps_an_epoch, adam };
    resumable::train(&mut descent, run)
}

/// A task on its way down.
struct Descent<'a> {
    task: &'a dyn Task,
    train: &'a Split,
    schedule: &'a Schedule,
    seed: u64,
    steps_an_epoch: usize,
    adam: Adam,
}

impl Learner for Descent<'_> {
    fn networks(&mut self) -> Vec<Learning<'_>> {
        vec![(self.task.params(), &mut self.adam)]
    }

    fn steps_before(&self, epoch: u32) -> usize {
        self.steps_an_epoch * epoch as usize
    }

    /// One pass over the training images in an order of its own.
    fn learn(&mut self, epoch: u32, bar: &ProgressBar) -> Result<BTreeMap<String, f64>> {
        let order = permutation(self.train.len(), self.seed, u64::from(epoch));
        let (first, steps) = (self.steps_before(epoch), self.steps_before(self.schedule.epochs));
        let mut sums = Sums::default();
        for (step, indices) in order.chunks_exact(self.schedule.batch).enumerate() {
            let (loss, mut scalars) = self.task.loss(&self.train.select(indices));
            let value = scalar(&loss);
            ensure!(
                value.is_finite(),
                "the loss became {value} in epoch {}, step {step}; train again with a lower --rate in another --out",
                epoch + 1
            );
            scalars.push(("loss", value));
            sums.add(&scalars);
            self.adam.step(&loss, self.schedule.rate_at(first + step, steps));
            bar.inc(1);
            bar.set_message(format!("epoch {} loss {value:.4}", epoch + 1));
        }
        Ok(sums.means_and(self.task.validate()?))
    }
}

/// The value of a scalar tensor, for a curve.
#[must_use]
pub fn scalar(tensor: &Tensor) -> f64 {
    tensor.detach().to_kind(Kind::Double).double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_over_200_steps_or_a_third_of_a_short_run() {
        let schedule = Schedule { epochs: 1, batch: 2, rate: 1.0 };
        let highest = |steps| {
            let rates = (0..steps).map(|step| schedule.rate_at(step, steps));
            rates.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
        };
        assert_eq!(highest(3000).0, 199);
        assert_eq!(highest(42).0, 13);
        assert!(highest(42).1 > 0.7, "a short run learns at nearly the whole rate: {}", highest(42).1);
        assert_eq!(highest(1).0, 0);
    }
}
