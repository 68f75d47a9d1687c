//! MagNet (Meng and Chen, 2017): an autoencoder trained on clean pictures pulls a disturbed one back to them (the
//! reformer), and how far it has to pull tells disturbed ones apart (the detector).

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Cleaned, Defence, scores};
use crate::data::{Batch, Split};
use crate::fit::{Scalars, Task, scalar};
use crate::nn::params::{HasParams, Params};
use crate::nn::torch::Torch;
use crate::nn::{Backend, Conv};
use crate::progress;

/// Channels of the hidden layers.
const HIDDEN: i64 = 3;

/// What can be chosen about a MagNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MagnetConfig {
    /// Side of the square pictures, in pixels; even for grey ones, which are halved on the way.
    pub side_px: i64,
    /// Channels of the pictures: 1 or 3.
    #[serde(default = "grey")]
    pub channels: i64,
    /// Standard deviation of the Gaussian noise on the pictures it learns from.
    pub noise: f64,
    /// Weight of the squared activations of the hidden layers.
    pub activity: f64,
    /// Exponent p of the detector's mean |x − AE(x)|^p.
    pub exponent: f64,
}

fn grey() -> i64 {
    1
}

impl MagnetConfig {
    /// The published constants, for grey digits and for CIFAR-10.
    #[must_use]
    pub fn published(side_px: i64, channels: i64) -> Self {
        let noise = if channels == 1 { 0.1 } else { 0.025 };
        Self { side_px, channels, noise, activity: 1e-9, exponent: 1.0 }
    }

    /// Refuses what cannot be trained.
    ///
    /// # Errors
    /// Names the field, the rule and the value.
    pub fn check(&self) -> Result<()> {
        let Self { side_px, channels, .. } = *self;
        ensure!(matches!(channels, 1 | 3), "channels is {channels}, expected 1 or 3");
        let rule = if channels == 1 { "an even number above 0" } else { "a number above 0" };
        ensure!(side_px > 0 && (channels != 1 || side_px % 2 == 0), "side_px is {side_px}, expected {rule}");
        for (name, value) in [("noise", self.noise), ("activity", self.activity)] {
            ensure!(value.is_finite() && value >= 0.0, "{name} is {value}, expected a number of at least 0");
        }
        ensure!(
            self.exponent.is_finite() && self.exponent > 0.0,
            "exponent is {}, expected a number above 0",
            self.exponent
        );
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

impl HasParams for Magnet {
    fn params(&self) -> &Params {
        &self.params
    }
}

impl Magnet {
    /// Makes a reformer and, with a first forward pass, its parameters.
    #[must_use]
    pub fn new(config: MagnetConfig, params: Params) -> Self {
        let magnet = Self { config, params };
        let MagnetConfig { side_px, channels, .. } = magnet.config;
        let one = Tensor::zeros([1, channels, side_px, side_px], (Kind::Float, magnet.params.device()));
        let _ = tch::no_grad(|| magnet.purify(&one));
        magnet
    }
}

/// Frames `[N, C, H, W]` → reformed frames `[N, C, H, W]` and the detector's score `[N]`, the mean of |x − AE(x)|^p.
pub fn purify<B: Backend>(b: &mut B, config: &MagnetConfig, frames: &B::Value) -> (B::Value, B::Value) {
    let reformed = reform(b, config.channels, frames).0; // a sigmoid: already in [0, 1]
    let moved = b.sub(frames, &reformed);
    let moved = b.reshape(&moved, &[-1, config.channels * config.side_px * config.side_px]); // [N, P]
    let score = b.mean_power(&moved, config.exponent);
    (reformed, score)
}

/// Pictures `[N, C, H, W]` → reformed pictures, and the hidden activations for the penalty. Sigmoid everywhere. Grey
/// pictures pass through half their size, coloured ones do not.
fn reform<B: Backend>(b: &mut B, channels: i64, x: &B::Value) -> (B::Value, Vec<B::Value>) {
    let layer = |b: &mut B, x: &B::Value, name: &str, out: i64| {
        let y = b.conv(x, name, Conv::new(out, 3).same());
        b.sigmoid(&y)
    };
    let mut hidden = vec![layer(b, x, "encode.conv1", HIDDEN)]; // [N, 3, H, W]
    if channels == 1 {
        let small = b.halve(&hidden[0]); // [N, 3, H/2, W/2]
        hidden.push(layer(b, &small, "encode.conv2", HIDDEN));
        hidden.push(layer(b, &hidden[1], "decode.conv1", HIDDEN));
        let large = b.double(&hidden[2]); // [N, 3, H, W]
        hidden.push(layer(b, &large, "decode.conv2", HIDDEN));
    } else {
        hidden.push(layer(b, &hidden[0], "decode.conv1", HIDDEN)); // [N, 3, H, W]
    }
    let y = layer(b, &hidden[hidden.len() - 1], "decode.out", channels);
    (y, hidden)
}

impl Defence for Magnet {
    fn name(&self) -> String {
        "magnet".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let (frames, score) = purify(&mut Torch::eval(&self.params), &self.config, x);
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
        let (reformed, hidden) = reform(&mut Torch::train(&self.magnet.params), config.channels, &noisy);
        let error = reformed.mse_loss(&batch.x, tch::Reduction::Mean);
        let activity = hidden.iter().fold(error.zeros_like(), |sum, layer| sum + layer.square().sum(Kind::Float));
        let loss = &error + activity * (config.activity / batch.y.numel() as f64);
        let scalars = vec![("squared_error", scalar(&error))];
        (loss, scalars)
    }

    fn validate(&self) -> Result<Scalars> {
        let score = scores(self.magnet, self.held_out, 0, &progress::hidden());
        let score = score.expect("a MagNet has a detector").mean(Kind::Double);
        Ok(vec![("held_out_score", scalar(&score))])
    }
}
