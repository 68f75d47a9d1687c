//! The black-box attacker's substitute (Papernot et al., "Practical Black-Box Attacks against Machine Learning", 2017,
//! Algorithm 1).
//!
//! The attacker has a few pictures, and may ask the target about any picture: it answers with a class and nothing else. He
//! trains a classifier of his own on the answers, asks about pictures that lie a step along its gradients, and so on. What
//! he then makes on his classifier is tried on the target ([`crate::attack::transfer`]).

use std::cell::Cell;
use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::attack::{ATTACK_BATCH, Victim, answers, at_class, percent_right, value_and_gradient};
use crate::classifier::{Classifier, ClassifierTask};
use crate::data::{Batch, Split, batches, permutation};
use crate::fit::{Task as _, scalar};
use crate::optim::Adam;
use crate::progress::{self, ProgressBar, timed};
use crate::random;
use crate::resumable::EpochLog;

/// Random stream of the attacker's first pictures: none that training or samples draw from.
const START_STREAM: u64 = u64::MAX - 1;
/// Held-out images, none of them the attacker's, on which substitute and oracle are compared.
const COMPARED: usize = 1000;
/// Most pictures an attacker asks about.
const MOST_QUERIES: usize = 1_000_000;

/// What an attacker does to get a substitute. The defaults are those of CleverHans' tutorial, except that this one augments six
/// times and always along the gradient, as the paper says; the tutorial trains six times, augments five times in between,
/// and goes against the gradient the first three times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct SubstituteConfig {
    /// Held-out images the attacker begins with.
    #[arg(long, default_value_t = Self::default().images)]
    pub images: usize,
    /// How often the set of pictures is doubled by augmentation.
    #[arg(long, default_value_t = Self::default().rounds)]
    pub rounds: u32,
    /// Size of the augmentation's step (λ).
    #[arg(long, default_value_t = Self::default().lambda)]
    pub lambda: f64,
    /// Passes over the pictures before the first and after each augmentation.
    #[arg(long, default_value_t = Self::default().epochs)]
    pub epochs: u32,
    /// Images a step.
    #[arg(long, default_value_t = Self::default().batch)]
    pub batch: usize,
    /// Adam's learning rate.
    #[arg(long, default_value_t = Self::default().rate)]
    pub rate: f64,
}

impl Default for SubstituteConfig {
    fn default() -> Self {
        Self { images: 150, rounds: 6, lambda: 0.1, epochs: 10, batch: 128, rate: 1e-3 }
    }
}

impl SubstituteConfig {
    /// Refuses what is no training.
    ///
    /// # Errors
    /// Names the option, the rule and the value.
    pub fn check(&self) -> Result<()> {
        let Self { images, rounds, lambda, epochs, batch, rate } = *self;
        for (name, value) in [("--images", images), ("--epochs", epochs as usize), ("--batch", batch)] {
            ensure!(value > 0, "{name} is 0, expected at least 1");
        }
        for (name, value) in [("--lambda", lambda), ("--rate", rate)] {
            ensure!(value.is_finite() && value > 0.0, "{name} is {value}, expected a number above 0");
        }
        ensure!(
            images as f64 * 2f64.powf(rounds.into()) <= MOST_QUERIES as f64,
            "--rounds is {rounds}: {images} images doubled so often are more than {MOST_QUERIES} queries; expected fewer rounds"
        );
        Ok(())
    }

    /// Passes of the whole training.
    #[must_use]
    pub fn all_epochs(&self) -> u32 {
        self.epochs * (self.rounds + 1)
    }

    fn steps(&self) -> usize {
        (0..=self.rounds).map(|round| self.epochs as usize * (self.images << round).div_ceil(self.batch)).sum()
    }
}

/// All that a black-box attacker sees of a victim: its answers, which are counted.
pub struct Oracle<'a> {
    victim: &'a dyn Victim,
    queries: Cell<usize>,
}

impl<'a> Oracle<'a> {
    /// An oracle that nobody has asked yet.
    #[must_use]
    pub fn new(victim: &'a dyn Victim) -> Self {
        Self { victim, queries: Cell::new(0) }
    }

    /// The classes `[N]` i64 it says of pictures `[N, C, H, W]`.
    pub fn ask(&self, x: &Tensor) -> Tensor {
        self.queries.set(self.queries.get() + x.size()[0] as usize);
        answers(self.victim, x)
    }

    /// The number of pictures it was asked about.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.queries.get()
    }
}

/// The pictures' neighbours x + λ·sign ∂F_ŷ(x)/∂x, clipped to `[0, 1]` because an oracle takes pictures only: `x` `[N, C, H, W]`
/// with the oracle's answers ŷ `[N]`. F is the substitute's logit: the softmax's gradient vanishes where it is sure.
pub fn augment(substitute: &dyn Victim, x: &Tensor, y: &Tensor, lambda: f64) -> Tensor {
    let parts: Vec<Tensor> = batches(y.numel(), ATTACK_BATCH)
        .map(|range| {
            let part = |all: &Tensor| all.narrow(0, range.start as i64, range.len() as i64);
            let (x, y) = (part(x), part(y));
            let (_, gradient) = value_and_gradient(&x, |x| at_class(&substitute.logits(x), &y));
            (x + gradient.sign() * lambda).clamp(0.0, 1.0)
        })
        .collect();
    Tensor::cat(&parts, 0)
}

/// What has become of a substitute.
#[derive(Debug)]
pub struct Learned {
    /// Share of held-out images, none of them asked about, on which it says what the oracle says, in percent.
    pub agreement: f64,
    /// A line for each pass over the pictures; the last of each round tells `queries` and `agreement`.
    pub log: Vec<EpochLog>,
    /// The optimiser of the last round.
    pub adam: Adam,
}

/// An attacker about to train a substitute.
pub struct Attacker<'a> {
    substitute: &'a Classifier,
    oracle: &'a Oracle<'a>,
    config: SubstituteConfig,
    seed: u64,
    start: Split,
    compared: Split,
}

impl<'a> Attacker<'a> {
    /// Draws the pictures to begin with, and those to compare on, from `held_out` by `seed`. Labels are never looked at.
    ///
    /// # Errors
    /// When the configuration is absurd or there are too few held-out images.
    pub fn new(
        substitute: &'a Classifier,
        oracle: &'a Oracle<'a>,
        held_out: &Split,
        config: SubstituteConfig,
        seed: u64,
    ) -> Result<Self> {
        config.check()?;
        ensure!(
            config.images < held_out.len(),
            "--images is {}, expected fewer than the {} held-out images: on some of the others substitute and oracle are compared",
            config.images,
            held_out.len()
        );
        let drawn = permutation(held_out.len(), seed, START_STREAM);
        let (start, others) = drawn.split_at(config.images);
        let compared = &others[..COMPARED.min(others.len())];
        Ok(Self {
            substitute,
            oracle,
            config,
            seed,
            start: held_out.subset(start),
            compared: held_out.subset(compared),
        })
    }

    /// Trains in rounds: ask about the new pictures, train on all of them from the weights of the round before, augment. Each
    /// round's optimiser is new, and its random stream its own.
    ///
    /// # Errors
    /// When the loss stops being finite.
    pub fn learn(&self) -> Result<Learned> {
        let Self { substitute, oracle, config, .. } = self;
        tch::manual_seed(self.seed as i64);
        let expected = answers(oracle.victim, &self.compared.all().x);
        let mut asked = Batch { x: self.start.range(0..0).x, y: expected.narrow(0, 0, 0) };
        let mut learned = Learned { agreement: 0.0, log: Vec::new(), adam: Adam::new(&substitute.params) };
        let bar = progress::bar("substitute", config.steps());
        for round in 0..=config.rounds {
            random::begin_epoch(self.seed, round);
            let new =
                if round == 0 { self.start.all().x } else { augment(*substitute, &asked.x, &asked.y, config.lambda) };
            let y = oracle.ask(&new);
            asked = Batch { x: Tensor::cat(&[&asked.x, &new], 0), y: Tensor::cat(&[&asked.y, &y], 0) };
            learned.adam = Adam::new(&substitute.params);
            for _ in 0..config.epochs {
                let epoch = self.train_epoch(&asked, &mut learned, &bar)?;
                learned.log.push(epoch);
            }
            learned.agreement = percent_right(&answers(*substitute, &self.compared.all().x), &expected);
            let (queries, agreement) = (oracle.queries(), learned.agreement);
            if let Some(last) = learned.log.last_mut() {
                last.scalars.extend([("queries".into(), queries as f64), ("agreement".into(), agreement)]);
            }
            bar.suspend(|| eprintln!("round {round}: {queries} answers, the same class on {agreement:.1} % of others"));
        }
        bar.finish();
        Ok(learned)
    }

    /// One pass over the pictures in an order of its own.
    fn train_epoch(&self, asked: &Batch, learned: &mut Learned, bar: &ProgressBar) -> Result<EpochLog> {
        let epoch = learned.log.len() as u32;
        let task = ClassifierTask { classifier: self.substitute, held_out: &self.compared };
        let order = permutation(asked.y.numel(), self.seed, epoch.into());
        let (losses, seconds) = timed(|| -> Result<Vec<f64>> {
            let losses = order.chunks(self.config.batch).map(|indices| {
                let at = Tensor::from_slice(indices).to_device(asked.x.device());
                let batch = Batch { x: asked.x.index_select(0, &at), y: asked.y.index_select(0, &at) };
                let loss = task.loss(&batch).0;
                let value = scalar(&loss);
                ensure!(value.is_finite(), "the loss became {value}; train again with a lower --rate");
                learned.adam.step(&loss, self.config.rate);
                bar.inc(1);
                bar.set_message(format!("{} answers, loss {value:.4}", asked.y.numel()));
                Ok(value)
            });
            losses.collect()
        });
        let losses = losses?;
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        Ok(EpochLog { epoch: epoch + 1, seconds, scalars: BTreeMap::from([("loss".into(), mean)]) })
    }
}
