//! MagNet (Meng and Chen, 2017): an autoencoder trained on clean pictures pulls a disturbed one back to them (the
//! reformer), and how far it has to pull tells disturbed ones apart (the detector).

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Cleaned, Defence, purify_all};
use crate::data::{Batch, Split};
use crate::fit::{Scalars, Task, scalar};
use crate::nn::params::Params;
use crate::nn::torch::Torch;
use crate::nn::{Backend, Conv};
use crate::progress;

/// Channels of the hidden layers.
const HIDDEN: i64 = 3;

/// What can be chosen about a MagNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MagnetConfig {
    /// Side of the square pictures, in pixels, even.
    pub side_px: i64,
    /// Standard deviation of the Gaussian noise on the pictures it learns from.
    pub noise: f64,
    /// Weight of the squared activations of the hidden layers.
    pub activity: f64,
    /// Exponent p of the detector's mean |x − AE(x)|^p.
    pub exponent: f64,
}

impl MagnetConfig {
    /// The published constants for grey digits.
    #[must_use]
    pub fn published(side_px: i64) -> Self {
        Self { side_px, noise: 0.1, activity: 1e-9, exponent: 1.0 }
    }

    /// Refuses what cannot be trained.
    ///
    /// # Errors
    /// Names the field, the rule and the value.
    pub fn check(&self) -> Result<()> {
        ensure!(self.side_px > 0 && self.side_px % 2 == 0, "side_px is {}, expected an even number", self.side_px);
        for (name, value) in [("noise", self.noise), ("activity", self.activity)] {
            ensure!(value.is_finite() && value >= 0.0, "{name} is {value}, expected a number of at least 0");
        }
        ensure!(self.exponent > 0.0, "exponent is {}, expected a number above 0", self.exponent);
        Ok(())
    }
}

/// A reformer with its parameters. The gradient is exact.
#[derive(Debug)]
pub struct Magnet {
    /// What it is.
    pub config: MagnetConfig,
    /// Its weights.
    pub params: Params,
}

impl Magnet {
    /// Makes a reformer and, with a first forward pass, its parameters.
    #[must_use]
    pub fn new(config: MagnetConfig, params: Params) -> Self {
        let one = Tensor::zeros([1, 1, config.side_px, config.side_px], (Kind::Float, params.device()));
        let _ = tch::no_grad(|| reform(&mut Torch::eval(&params), &one));
        Self { config, params }
    }
}

/// Pictures `[N, 1, H, W]` → reformed pictures, and the hidden activations for the penalty. Sigmoid everywhere.
fn reform<B: Backend>(b: &mut B, x: &B::Value) -> (B::Value, Vec<B::Value>) {
    let layer = |b: &mut B, x: &B::Value, name: &str, out: i64| {
        let y = b.conv(x, name, Conv::new(out, 3).same());
        b.sigmoid(&y)
    };
    let first = layer(b, x, "encode.conv1", HIDDEN); // [N, 3, H, W]
    let small = b.halve(&first); // [N, 3, H/2, W/2]
    let second = layer(b, &small, "encode.conv2", HIDDEN);
    let third = layer(b, &second, "decode.conv1", HIDDEN);
    let large = b.double(&third); // [N, 3, H, W]
    let fourth = layer(b, &large, "decode.conv2", HIDDEN);
    let y = layer(b, &fourth, "decode.out", 1);
    (y, vec![first, second, third, fourth])
}

impl Defence for Magnet {
    fn name(&self) -> String {
        "magnet".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let frames = reform(&mut Torch::eval(&self.params), x).0; // a sigmoid: already in [0, 1]
        let score =
            (x - &frames).abs().pow_tensor_scalar(self.config.exponent).flatten(1, -1).mean_dim(1, false, Kind::Float);
        Cleaned { frames, label: None, score: Some(score) }
    }
}

/// Training a reformer: squared error to the clean picture.
#[derive(Debug)]
pub struct MagnetTask<'a> {
    /// What is trained.
    pub magnet: &'a Magnet,
    /// What each epoch ends with a look at.
    pub held_out: &'a Split,
}

impl Task for MagnetTask<'_> {
    fn params(&self) -> &Params {
        &self.magnet.params
    }

    fn loss(&self, batch: &Batch) -> (Tensor, Scalars) {
        let config = &self.magnet.config;
        let noisy = (&batch.x + batch.x.randn_like() * config.noise).clamp(0.0, 1.0);
        let (reformed, hidden) = reform(&mut Torch::train(&self.magnet.params), &noisy);
        let error = reformed.mse_loss(&batch.x, tch::Reduction::Mean);
        let activity = hidden.iter().fold(error.zeros_like(), |sum, layer| sum + layer.square().sum(Kind::Float));
        let loss = &error + activity * (config.activity / batch.y.numel() as f64);
        let scalars = vec![("squared_error", scalar(&error))];
        (loss, scalars)
    }

    fn validate(&self) -> Result<Scalars> {
        let score = purify_all(self.magnet, &self.held_out.all().x, 0, &progress::hidden()).score;
        let score = score.expect("a MagNet has a detector").mean(Kind::Double);
        Ok(vec![("held_out_score", scalar(&score))])
    }
}
