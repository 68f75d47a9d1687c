//! PuVAE: a class-conditional VAE that reconstructs an image once for every class; the nearest candidate is
//! the purified image (Hwang et al., IEEE Access 2019).
//!
//! `paper` is the network of the paper's Table 2. `lite` is ours: a strided trunk, sub-pixel convolutions in
//! the decoder, and a small denoiser in front. They share everything but the layers.

mod config;
mod loss;
mod network;

use tch::{Device, Kind, Tensor};

use crate::data::batches;
use crate::nn::params::Params;
use crate::nn::torch::Torch;
use crate::progress::ProgressBar;

pub use config::{CrossEntropy, Input, PuvaeConfig, Reduction, Size};
pub use loss::PuvaeTask;
pub use network::{Form, purify};

/// Images purified at a time; each needs memory for K candidates.
const PURIFY_BATCH: usize = 250;

/// A purifier with its parameters.
#[derive(Debug)]
pub struct Puvae {
    /// What it is.
    pub config: PuvaeConfig,
    /// Its weights.
    pub params: Params,
}

/// What purifying a batch gives.
#[derive(Debug)]
pub struct Purified {
    /// The selected candidates, `[N, C, H, W]` in `[0, 1]`.
    pub frames: Tensor,
    /// y*, `[N]` i64 (Eq. 21).
    pub label: Tensor,
    /// From each class's candidate to the reference, `[N, K]`.
    pub distances: Tensor,
}

impl Puvae {
    /// Makes a purifier and, with a first forward pass, its parameters.
    #[must_use]
    pub fn new(config: PuvaeConfig, params: Params) -> Self {
        let puvae = Self { config, params };
        let side = puvae.config.side_px;
        let one = Tensor::zeros([1, 1, side, side], (Kind::Float, puvae.params.device()));
        let _ = tch::no_grad(|| puvae.purify(&one, &puvae.no_noise(1)));
        puvae
    }

    /// Purifies `x` `[N, C, H, W]` with latent noise `[N, K, Z]`, already scaled.
    #[must_use]
    pub fn purify(&self, x: &Tensor, noise: &Tensor) -> Purified {
        let (frames, label, distances) =
            network::purify(&mut Torch::eval(&self.params), &self.config, x, noise, Form::Shared);
        Purified { frames, label, distances }
    }

    /// Latent noise of zero for `n` images: purifying with it is deterministic.
    pub fn no_noise(&self, n: i64) -> Tensor {
        Tensor::zeros([n, self.config.classes, self.config.latent], (Kind::Float, self.params.device()))
    }

    /// Latent noise of standard deviation σ_ε for `n` images, from torch's random stream.
    pub fn draw_noise(&self, n: i64) -> Tensor {
        self.no_noise(n).normal_(0.0, self.config.sigma_eps)
    }

    /// Purifies many pictures `[N, C, H, W]`, a batch at a time, with noise from `seed`; `bar` counts them.
    #[must_use]
    pub fn purify_all(&self, x: &Tensor, seed: i64, bar: &ProgressBar) -> Purified {
        tch::manual_seed(seed);
        let parts: Vec<Purified> = batches(x.size()[0] as usize, PURIFY_BATCH)
            .map(|range| {
                let (start, len) = (range.start as i64, range.len() as i64);
                bar.inc(range.len() as u64);
                tch::no_grad(|| self.purify(&x.narrow(0, start, len), &self.draw_noise(len)))
            })
            .collect();
        bar.finish_and_clear();
        let cat = |pick: fn(&Purified) -> &Tensor| Tensor::cat(&parts.iter().map(pick).collect::<Vec<_>>(), 0);
        Purified {
            frames: cat(|part| &part.frames),
            label: cat(|part| &part.label),
            distances: cat(|part| &part.distances),
        }
    }
}

/// A loss that is switched off.
fn zero(device: Device) -> Tensor {
    Tensor::zeros([], (Kind::Float, device))
}
