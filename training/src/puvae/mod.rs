//! PuVAE: a class-conditional VAE that reconstructs an image once for every class; the nearest candidate is
//! the purified image (Hwang et al., IEEE Access 2019).
//!
//! `paper` is the network of the paper's Table 2. `lite` is ours: a strided trunk, sub-pixel convolutions in
//! the decoder, and a small denoiser in front. They share everything but the layers.

mod config;
mod loss;
mod network;

use tch::{Device, Kind, Tensor};

use crate::nn::params::{HasParams, Params};
use crate::nn::torch::Torch;

pub use config::{CrossEntropy, Input, PuvaeConfig, Reduction, Size};
pub use loss::PuvaeTask;
pub use network::{Form, purify};

/// A purifier with its parameters.
#[derive(Debug)]
pub struct Puvae {
    /// What it is.
    pub config: PuvaeConfig,
    /// Its weights.
    pub params: Params,
}

/// What purifying a batch gives: tensors, or their names in a graph that is written.
#[derive(Debug)]
pub struct Purified<V = Tensor> {
    /// The selected candidates, `[N, C, H, W]` in `[0, 1]`.
    pub frames: V,
    /// y*, `[N]` i64 (Eq. 21).
    pub label: V,
    /// From each class's candidate to the reference, `[N, K]`.
    pub distances: V,
    /// Root-mean-square error of the selected candidate to the frame as it came, `[N]`.
    pub score: V,
}

impl HasParams for Puvae {
    fn params(&self) -> &Params {
        &self.params
    }
}

impl Puvae {
    /// Makes a purifier and, with a first forward pass, its parameters.
    #[must_use]
    pub fn new(config: PuvaeConfig, params: Params) -> Self {
        let puvae = Self { config, params };
        let PuvaeConfig { side_px, channels, .. } = puvae.config;
        let one = Tensor::zeros([1, channels, side_px, side_px], (Kind::Float, puvae.params.device()));
        let _ = tch::no_grad(|| puvae.purify(&one, &puvae.no_noise(1)));
        puvae
    }

    /// Purifies `x` `[N, C, H, W]` with latent noise `[N, K, Z]`, already scaled.
    #[must_use]
    pub fn purify(&self, x: &Tensor, noise: &Tensor) -> Purified {
        network::purify(&mut Torch::eval(&self.params), &self.config, x, noise, Form::Shared)
    }

    /// Multiply-adds to purify one picture, all its classes included.
    #[must_use]
    pub fn multiply_adds(&self) -> usize {
        let PuvaeConfig { side_px, channels, .. } = self.config;
        let one = Tensor::zeros([1, channels, side_px, side_px], (Kind::Float, self.params.device()));
        let mut backend = Torch::eval(&self.params);
        let _ = tch::no_grad(|| network::purify(&mut backend, &self.config, &one, &self.no_noise(1), Form::Shared));
        backend.multiply_adds()
    }

    /// What the selection compares, with a gradient to `x`: for each class minus the squared distance of its candidate,
    /// times the number of values in a picture: `[N, K]`, larger is likelier.
    pub fn class_scores(&self, x: &Tensor) -> Tensor {
        let values = x.size()[1..].iter().product::<i64>();
        -self.purify(x, &self.draw_noise(x.size()[0])).distances.square() * values
    }

    /// The candidates of one class each, `[N]`, for pictures `[N, C, H, W]`, without latent noise.
    pub fn reconstruct(&self, x: &Tensor, class: &Tensor) -> Tensor {
        let b = &mut Torch::eval(&self.params);
        network::reconstruct(b, &self.config, x, class)
    }

    /// Latent noise of zero for `n` images: purifying with it is deterministic.
    pub fn no_noise(&self, n: i64) -> Tensor {
        Tensor::zeros([n, self.config.classes, self.config.latent], (Kind::Float, self.params.device()))
    }

    /// Latent noise of standard deviation σ_ε for `n` images, from torch's random stream.
    pub fn draw_noise(&self, n: i64) -> Tensor {
        self.no_noise(n).normal_(0.0, self.config.sigma_eps)
    }
}

/// A loss that is switched off.
fn zero(device: Device) -> Tensor {
    Tensor::zeros([], (Kind::Float, device))
}
