//! The paper's classifiers (Table 1): the target M_t that is defended and the source M_s that the purifier
//! learns from.
//!
//! Convolutions are unpadded, the default of the frameworks: the paper states no padding. Only E's first one is padded
//! (3 pixels on every side, which is TensorFlow's `same` at even sides): without it 28×28 pictures would be used up
//! before its last one.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::attack::{Goal, Victim, answers, check_epsilon, clip, direction, percent_right, random_point};
use crate::data::{Batch, Split, batches};
use crate::fit::{Scalars, Task, scalar};
use crate::nn::int8::Weights;
use crate::nn::params::{HasParams, Params};
use crate::nn::torch::Torch;
use crate::nn::{Backend, Conv};

/// Images in memory as floats while an accuracy is measured.
const JUDGED: usize = 250;

/// Which column of Table 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Conv(64, 5×5, 1) Conv(64, 5×5, 2) Dropout ¼ FC 128 Dropout ½ FC K.
    A,
    /// Conv(128, 3×3, 1) Conv(64, 3×3, 2) Dropout ¼ FC 128 Dropout ½ FC K.
    B,
    /// Conv(64, 5×5, 1) Conv(128, 5×5, 1) Conv(256, 5×5, 2) Dropout ¼ FC 512 Dropout ½ FC 256 FC K.
    C,
    /// Conv(128, 3×3, 1) Conv(256, 3×3, 1) Conv(512, 3×3, 2) Dropout ¼ FC 512 Dropout ½ FC K.
    D,
    /// Dropout ⅕ Conv(64, 8×8, 2) Conv(128, 6×6, 2) Conv(128, 5×5, 1) Dropout ½ FC K: the black-box attacker's substitute.
    E,
}

/// A column of Table 1, all but its last layer. ReLU follows every convolution and every hidden layer.
struct Layers {
    /// Dropout of the pictures.
    first_dropout: f64,
    convs: Vec<Conv>,
    /// Dropout of the convolutions' features.
    features_dropout: f64,
    /// Width of each hidden layer, and the dropout after it.
    hidden: Vec<(i64, f64)>,
}

impl Architecture {
    /// The name in model files: `classifier-a`, `classifier-b`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "classifier-a",
            Self::B => "classifier-b",
            Self::C => "classifier-c",
            Self::D => "classifier-d",
            Self::E => "classifier-e",
        }
    }

    /// The letter of its column.
    #[must_use]
    pub fn letter(self) -> &'static str {
        self.name().trim_start_matches("classifier-")
    }

    fn layers(self) -> Layers {
        let (convs, hidden) = match self {
            Self::A => (vec![Conv::new(64, 5), Conv::new(64, 5).stride(2)], vec![(128, 0.5)]),
            Self::B => (vec![Conv::new(128, 3), Conv::new(64, 3).stride(2)], vec![(128, 0.5)]),
            Self::C => {
                let convs = vec![Conv::new(64, 5), Conv::new(128, 5), Conv::new(256, 5).stride(2)];
                (convs, vec![(512, 0.5), (256, 0.0)])
            }
            Self::D => {
                let convs = vec![Conv::new(128, 3), Conv::new(256, 3), Conv::new(512, 3).stride(2)];
                (convs, vec![(512, 0.5)])
            }
            Self::E => {
                let padded = Conv::new(64, 8).stride(2).padding(3);
                (vec![padded, Conv::new(128, 6).stride(2), Conv::new(128, 5)], Vec::new())
            }
        };
        let (first_dropout, features_dropout) = if self == Self::E { (0.2, 0.5) } else { (0.0, 0.25) };
        Layers { first_dropout, convs, features_dropout, hidden }
    }

    /// Refuses pictures that the convolutions would use up.
    ///
    /// # Errors
    /// Names the size.
    pub fn check_side(self, side: i64) -> Result<()> {
        let left = self.layers().convs.iter().try_fold(side, |side, conv| {
            let span = side + conv.padding.iter().sum::<i64>() - conv.kernel;
            (span >= 0).then_some(span / conv.stride + 1)
        });
        ensure!(
            left.is_some(),
            "pictures of {side} pixels a side, too small for {}: nothing is left after its convolutions; use larger pictures or another --arch",
            self.name()
        );
        Ok(())
    }

    /// Pictures `[N, C, H, W]` in `[0, 1]` → logits `[N, K]`.
    pub fn logits<B: Backend>(self, b: &mut B, frames: &B::Value, side: i64, classes: i64) -> B::Value {
        let Layers { first_dropout, convs, features_dropout, hidden } = self.layers();
        let mut x = b.dropout(frames, first_dropout);
        let (mut side, mut channels) = (side, 0);
        for (index, &conv) in convs.iter().enumerate() {
            x = b.conv(&x, &format!("conv{}", index + 1), conv);
            x = b.relu(&x);
            side = (side + conv.padding.iter().sum::<i64>() - conv.kernel) / conv.stride + 1;
            channels = conv.out;
        }
        x = b.dropout(&x, features_dropout);
        x = b.reshape(&x, &[-1, channels * side * side]);
        for (index, &(width, dropout)) in hidden.iter().enumerate() {
            x = b.linear(&x, &format!("fc{}", index + 1), width);
            x = b.relu(&x);
            x = b.dropout(&x, dropout);
        }
        b.linear(&x, &format!("fc{}", hidden.len() + 1), classes)
    }
}

/// Training on adversarial pictures as well as clean ones (Eq. 4): L̂ = α·L(x) + (1 − α)·L(x + ε·sign ∇ₓ L(x)). The gradient
/// is taken with dropout off, at the weights of the moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdversarialTraining {
    /// Weight of the clean pictures' loss, in `[0, 1]`.
    pub alpha: f64,
    /// Bound of the L∞ norm.
    pub epsilon: f64,
    /// Steps of the attack: 1 is FGSM as in the paper, more are projected gradient descent from a random start (Madry et al.,
    /// 2018).
    #[serde(default = "one_step", skip_serializing_if = "is_one_step")]
    pub steps: u32,
}

fn one_step() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one_step(steps: &u32) -> bool {
    *steps == one_step()
}

impl AdversarialTraining {
    /// Refuses what is no training.
    ///
    /// # Errors
    /// Names the field, the rule and the value.
    pub fn check(&self) -> Result<()> {
        ensure!((0.0..=1.0).contains(&self.alpha), "--adversarial-alpha is {}, expected 0 to 1", self.alpha);
        check_epsilon("--adversarial-epsilon", self.epsilon)?;
        ensure!(self.steps > 0, "--adversarial-steps is 0, expected at least 1");
        Ok(())
    }

    /// The pictures `[N, C, H, W]` moved away from their classes `[N]`. Several steps together are a quarter longer than the ball's
    /// diameter, so that each picture can cross it.
    fn attack(&self, classifier: &Classifier, Batch { x, y }: &Batch) -> Tensor {
        let Self { epsilon, steps, .. } = *self;
        let goal = Goal::Untargeted(y.shallow_clone());
        if steps == 1 {
            return (x - direction(classifier, x, &goal) * epsilon).clamp(0.0, 1.0);
        }
        let start = random_point(x, epsilon);
        let alpha = 2.5 * epsilon / f64::from(steps);
        (0..steps).fold(start, |at, _| clip(&(&at - direction(classifier, &at, &goal) * alpha), x, epsilon))
    }
}

/// A classifier's layers and sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Which column of Table 1.
    pub architecture: Architecture,
    /// Side of the square pictures, in pixels.
    pub side_px: i64,
    /// Channels of the pictures: 1 or 3.
    #[serde(default = "grey")]
    pub channels: i64,
    /// Number of classes K.
    pub classes: i64,
    /// Whether it was trained adversarially.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adversarial: Option<AdversarialTraining>,
    /// Whether its weights were rounded after training.
    #[serde(default, skip_serializing_if = "Weights::are_exact")]
    pub weights: Weights,
}

impl ClassifierConfig {
    /// A column of Table 1 for square pictures, trained on clean ones, with exact weights.
    #[must_use]
    pub fn new(architecture: Architecture, side_px: i64, channels: i64, classes: i64) -> Self {
        Self { architecture, side_px, channels, classes, adversarial: None, weights: Weights::F32 }
    }
}

/// Channels of the pictures of configurations from before there was colour.
fn grey() -> i64 {
    1
}

/// A classifier with its parameters.
#[derive(Debug)]
pub struct Classifier {
    /// What it is.
    pub config: ClassifierConfig,
    /// Its weights.
    pub params: Params,
}

impl HasParams for Classifier {
    fn params(&self) -> &Params {
        &self.params
    }
}

impl Classifier {
    /// Makes a classifier and, with a first forward pass, its parameters.
    #[must_use]
    pub fn new(config: ClassifierConfig, params: Params) -> Self {
        let classifier = Self { config, params };
        let ClassifierConfig { side_px, channels, .. } = classifier.config;
        let one = Tensor::zeros([1, channels, side_px, side_px], (Kind::Float, classifier.params.device()));
        let _ = tch::no_grad(|| classifier.logits(&one));
        classifier
    }

    fn forward(&self, mut torch: Torch<'_>, frames: &Tensor) -> Tensor {
        self.config.architecture.logits(&mut torch, frames, self.config.side_px, self.config.classes)
    }

    /// Share of the split's images it classifies rightly, in `[0, 1]`.
    ///
    /// # Errors
    /// When the split is empty.
    pub fn accuracy(&self, split: &Split) -> Result<f64> {
        if split.is_empty() {
            bail!("no images to measure an accuracy on");
        }
        let answers: Vec<Tensor> =
            batches(split.len(), JUDGED).map(|range| answers(self, &split.range(range).x)).collect();
        Ok(percent_right(&Tensor::cat(&answers, 0), &split.labels()) / 100.0)
    }
}

impl Victim for Classifier {
    fn logits(&self, x: &Tensor) -> Tensor {
        self.forward(Torch::eval(&self.params), x)
    }
}

/// Classifiers that share a batch, each reading its part of it: what a purifier that learns from several of them sees as one.
#[derive(Debug, Clone)]
pub struct Sources<'a>(pub Vec<&'a Classifier>);

impl Victim for Sources<'_> {
    fn logits(&self, x: &Tensor) -> Tensor {
        let parts = x.chunk(self.0.len() as i64, 0);
        let logits: Vec<Tensor> = self.0.iter().zip(&parts).map(|(classifier, part)| classifier.logits(part)).collect();
        Tensor::cat(&logits, 0)
    }
}

/// Training a classifier: cross-entropy of the logits.
#[derive(Debug)]
pub struct ClassifierTask<'a> {
    /// What is trained.
    pub classifier: &'a Classifier,
    /// What each epoch ends with a look at.
    pub held_out: &'a Split,
}

impl ClassifierTask<'_> {
    fn cross_entropy(&self, x: &Tensor, y: &Tensor) -> Tensor {
        self.classifier.forward(Torch::train(&self.classifier.params), x).cross_entropy_for_logits(y)
    }
}

impl Task for ClassifierTask<'_> {
    fn params(&self) -> &Params {
        &self.classifier.params
    }

    fn loss(&self, batch: &Batch) -> (Tensor, Scalars) {
        let clean = self.cross_entropy(&batch.x, &batch.y);
        let Some(training @ AdversarialTraining { alpha, .. }) = self.classifier.config.adversarial else {
            return (clean, Scalars::new());
        };
        let attacked = self.cross_entropy(&training.attack(self.classifier, batch), &batch.y);
        let name = if training.steps == 1 { "fgsm_loss" } else { "pgd_loss" };
        let scalars = vec![("clean_loss", scalar(&clean)), (name, scalar(&attacked))];
        (clean * alpha + attacked * (1.0 - alpha), scalars)
    }

    fn validate(&self) -> Result<Scalars> {
        Ok(vec![("held_out_accuracy", self.classifier.accuracy(self.held_out)?)])
    }
}
