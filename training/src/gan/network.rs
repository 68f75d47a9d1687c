//! The two networks. Neither has batch norm, and neither is exported: projecting is no single forward pass.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::nn::params::{HasParams, Params};
use crate::nn::torch::Torch;
use crate::nn::{Backend, Conv, Deconv};

/// Side of every kernel, in pixels.
const KERNEL: i64 = 5;
/// Side of the generator's first picture, in pixels; three layers double it.
const BASE_PX: i64 = 4;
/// Slope of the critic's activations below zero.
const SLOPE: f64 = 0.2;

/// Sizes of both networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GanConfig {
    /// Side of the square pictures, in pixels.
    pub side_px: i64,
    /// Channels of the pictures: 1 or 3.
    pub channels: i64,
    /// Latent dimensions.
    pub latent: i64,
    /// Channels of the layers nearest to the pictures; the next have twice, the third four times as many.
    pub width: i64,
}

impl GanConfig {
    /// The published sizes.
    #[must_use]
    pub fn published(side_px: i64, channels: i64) -> Self {
        Self { side_px, channels, latent: 128, width: 64 }
    }

    /// Refuses what cannot be built.
    ///
    /// # Errors
    /// Names the field, the rule and the value.
    pub fn check(&self) -> Result<()> {
        let Self { side_px, channels, latent, width } = *self;
        ensure!(
            side_px % 4 == 0 && side_px > 4 * BASE_PX && side_px <= 8 * BASE_PX,
            "pictures of {side_px} pixels a side, expected 20, 24, 28 or 32: the generator doubles {BASE_PX}×{BASE_PX} pixels three times and cuts off what is too much"
        );
        ensure!(matches!(channels, 1 | 3), "channels is {channels}, expected 1 (grey) or 3 (colour)");
        ensure!(latent > 0 && width > 0, "latent is {latent} and width {width}, expected at least 1");
        Ok(())
    }
}

/// Latent vectors → pictures.
#[derive(Debug)]
pub struct Generator {
    /// What it is.
    pub config: GanConfig,
    /// Its weights.
    pub params: Params,
}

impl HasParams for Generator {
    fn params(&self) -> &Params {
        &self.params
    }
}

impl Generator {
    /// Makes a generator and, with a first forward pass, its parameters.
    #[must_use]
    pub fn new(config: GanConfig, params: Params) -> Self {
        let one = Tensor::zeros([1, config.latent], (Kind::Float, params.device()));
        let generator = Self { config, params };
        let _ = tch::no_grad(|| generator.pictures(&one));
        generator
    }

    /// What it learns to make pictures of: `n` latent vectors of independent N(0, 1), `[N, Z]`, from torch's random stream.
    pub fn draw(&self, n: i64) -> Tensor {
        Tensor::randn([n, self.config.latent], (Kind::Float, self.params.device()))
    }

    /// Latent vectors `[N, Z]` → pictures `[N, C, H, W]` in `[0, 1]`.
    pub fn pictures(&self, z: &Tensor) -> Tensor {
        let GanConfig { side_px, channels, width, .. } = self.config;
        let b = &mut Torch::eval(&self.params);
        let double = |out| Deconv { out, kernel: KERNEL, stride: 2, padding: 2, output_padding: 1 };
        let x = b.linear(z, "generator.fc", 4 * width * BASE_PX * BASE_PX).relu();
        let x = x.reshape([-1, 4 * width, BASE_PX, BASE_PX]); // [N, 256, 4, 4]
        let x = b.deconv(&x, "generator.deconv1", double(2 * width)).relu(); // [N, 128, 8, 8]
        let x = x.narrow(2, 0, side_px / 4).narrow(3, 0, side_px / 4); // [N, 128, 7, 7] for pictures of 28 pixels
        let x = b.deconv(&x, "generator.deconv2", double(width)).relu(); // [N, 64, 14, 14]
        b.deconv(&x, "generator.deconv3", double(channels)).sigmoid() // [N, C, 28, 28]
    }
}

/// Pictures → how real they look.
#[derive(Debug)]
pub struct Critic {
    /// What it is.
    pub config: GanConfig,
    /// Its weights.
    pub params: Params,
}

impl Critic {
    /// Makes a critic and, with a first forward pass, its parameters.
    #[must_use]
    pub fn new(config: GanConfig, params: Params) -> Self {
        let one = Tensor::zeros([1, config.channels, config.side_px, config.side_px], (Kind::Float, params.device()));
        let critic = Self { config, params };
        let _ = tch::no_grad(|| critic.scores(&one));
        critic
    }

    /// Pictures `[N, C, H, W]` in `[0, 1]` → `[N]`, larger for those that look real; without a scale of its own.
    pub fn scores(&self, x: &Tensor) -> Tensor {
        let b = &mut Torch::eval(&self.params);
        let halve = |out| Conv::new(out, KERNEL).stride(2).padding(KERNEL / 2);
        let mut x = x.shallow_clone();
        for (index, factor) in [1, 2, 4].into_iter().enumerate() {
            x = b.conv(&x, &format!("critic.conv{}", index + 1), halve(factor * self.config.width));
            x = x.maximum(&(&x * SLOPE)); // leaky ReLU; [N, 64, 14, 14], [N, 128, 7, 7], [N, 256, 4, 4]
        }
        b.linear(&x.flatten(1, -1), "critic.fc", 1).squeeze_dim(1)
    }
}
