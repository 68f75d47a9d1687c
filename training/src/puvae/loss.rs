//! What a purifier is trained to make small: Eq. 15–19 of the paper, and two losses of ours.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::config::{CrossEntropy, PuvaeConfig, Reduction};
use super::network::{choose, decode, denoise, encode, quantise, trunk};
use super::{Puvae, zero};
use crate::attack::{self, Aim, Attack, Plan, Victim, percent_right};
use crate::classifier::Sources;
use crate::data::{Batch, Split};
use crate::defence::purify_all;
use crate::fit::{Scalars, Task, scalar};
use crate::nn::Classes;
use crate::nn::params::Params;
use crate::nn::torch::Torch;
use crate::noise;
use crate::paper;
use crate::progress;

/// Keeps the logarithm of a variance finite.
const SMALLEST_VARIANCE: f64 = 1e-12;

/// Training a purifier against frozen source classifiers M_s; the paper has one.
#[derive(Debug)]
pub struct PuvaeTask<'a> {
    puvae: &'a Puvae,
    sources: Sources<'a>,
    held_out: Split,
    attacked: Tensor,
}

impl<'a> PuvaeTask<'a> {
    /// Also attacks the sources on the held-out images that each epoch ends with a look at.
    ///
    /// # Errors
    /// When the configuration is absurd or there are no held-out images.
    pub fn new(puvae: &'a Puvae, sources: Sources<'a>, held_out: Split) -> Result<Self> {
        puvae.config.check()?;
        let attacked = {
            let epsilon = paper::strength(puvae.config.channels).epsilon;
            let plan = Plan { attack: Attack::Fgsm { epsilon }, aim: Aim::Targeted, seed: 0 };
            attack::run(&sources, plan, &held_out, puvae.config.classes)?.x
        };
        Ok(Self { puvae, sources, held_out, attacked })
    }

    fn selected_rightly(&self, x: &Tensor) -> f64 {
        let labels = self.held_out.labels();
        let label = purify_all(self.puvae, x, 0, &progress::hidden()).label.expect("a PuVAE selects a class");
        percent_right(&label, &labels) / 100.0
    }
}

impl Task for PuvaeTask<'_> {
    fn params(&self) -> &Params {
        &self.puvae.params
    }

    fn loss(&self, batch: &Batch) -> (Tensor, Scalars) {
        let config = &self.puvae.config;
        let b = &mut Torch::train(&self.puvae.params);
        let n = batch.y.numel() as i64;
        let batch = &noise::mirror(config.mirror_share, batch);
        let frames = noise::add(self.puvae, &self.sources, batch);
        let frames = quantise(b, config, &frames).unwrap_or(frames);

        let denoised = denoise(b, config, &frames);
        let hidden = trunk(b, config, choose(config.encoder_input, &frames, denoised.as_ref())); // [N, F]
        let latent = encode(b, config, &hidden, 1, Classes::Given(&batch.y));
        let z = &latent.mu + latent.sigma.randn_like() * &latent.sigma; // Eq. 13 with σ_ε = 1
        let reconstruction = decode(b, config, &z, Classes::Given(&batch.y)); // [N, C, H, W]

        let rc = reduce(&bernoulli(&reconstruction, &batch.x), config);
        let kl = reduce(&divergence(&latent.mu, &latent.sigma), config);
        let ce = cross_entropy(config, &self.sources, &reconstruction, &batch.y);
        let denoising = denoised
            .as_ref()
            .map_or_else(|| zero(frames.device()), |denoised| reduce(&bernoulli(denoised, &batch.x), config));
        let selection = if config.lambda_select > 0.0 {
            let count = share(n, config.select_share);
            let reference = choose(config.reference, &frames, denoised.as_ref()).narrow(0, 0, count);
            selector(b, config, &hidden.narrow(0, 0, count), &reference, &batch.y.narrow(0, 0, count))
        } else {
            zero(frames.device())
        };
        let loss = &rc * config.lambda_rc
            + &kl * config.lambda_kl
            + &ce * config.lambda_ce
            + &denoising * config.lambda_denoise
            + &selection * config.lambda_select;
        let mut scalars =
            vec![("reconstruction", scalar(&rc)), ("kl", scalar(&kl)), ("source_cross_entropy", scalar(&ce))];
        if config.denoiser {
            scalars.push(("denoising", scalar(&denoising)));
        }
        if config.lambda_select > 0.0 {
            scalars.push(("selection", scalar(&selection)));
        }
        (loss, scalars)
    }

    fn validate(&self) -> Result<Scalars> {
        Ok(vec![
            ("held_out_clean_y_star", self.selected_rightly(&self.held_out.all().x)),
            ("held_out_source_fgsm_y_star", self.selected_rightly(&self.attacked)),
        ])
    }
}

/// Eq. 15, per value: −x·log x̂ − (1−x)·log(1−x̂).
fn bernoulli(estimate: &Tensor, truth: &Tensor) -> Tensor {
    estimate.binary_cross_entropy::<Tensor>(truth, None, tch::Reduction::None)
}

/// Eq. 16, per value: μ² + σ² − log σ² − 1.
fn divergence(mu: &Tensor, sigma: &Tensor) -> Tensor {
    let variance = sigma.square();
    mu.square() + &variance - variance.clamp_min(SMALLEST_VARIANCE).log() - 1.0
}

/// Over all but the batch as configured, then the mean over the batch.
fn reduce(values: &Tensor, config: &PuvaeConfig) -> Tensor {
    let rows = values.flatten(1, -1);
    let rows = match config.reduction {
        Reduction::Sum => rows.sum_dim_intlist(1, false, Kind::Float),
        Reduction::Mean => rows.mean_dim(1, false, Kind::Float),
    };
    rows.mean(Kind::Float)
}

/// Images in a share of a batch, at least one.
fn share(n: i64, share: f64) -> i64 {
    ((n as f64 * share).round() as i64).clamp(1, n)
}

/// Eq. 17 and 18, on the configured share of the batch: the end of it, since the selector loss takes the start.
fn cross_entropy(config: &PuvaeConfig, source: &dyn Victim, reconstruction: &Tensor, y: &Tensor) -> Tensor {
    if config.lambda_ce == 0.0 {
        return zero(reconstruction.device());
    }
    let n = y.numel() as i64;
    let count = share(n, config.ce_share);
    let y = y.narrow(0, n - count, count);
    label_loss(config, &source.logits(&reconstruction.narrow(0, n - count, count)), &y)
}

/// Eq. 18 in the configured form.
fn label_loss(config: &PuvaeConfig, logits: &Tensor, y: &Tensor) -> Tensor {
    match config.cross_entropy {
        CrossEntropy::Categorical => logits.cross_entropy_for_logits(y),
        CrossEntropy::Binary => {
            let truth = y.one_hot(config.classes).to_kind(Kind::Float);
            let sum = logits
                .softmax(1, Kind::Float)
                .binary_cross_entropy::<Tensor>(&truth, None, tch::Reduction::None)
                .sum_dim_intlist(1, false, Kind::Float);
            sum.mean(Kind::Float)
        }
    }
}

/// Cross-entropy over classes of softmax(−½‖reference − candidate‖²), every class decoded with the noise of
/// inference: the selection of Eq. 21 made differentiable.
fn selector(b: &mut Torch<'_>, config: &PuvaeConfig, hidden: &Tensor, reference: &Tensor, y: &Tensor) -> Tensor {
    let latent = encode(b, config, hidden, 1, Classes::All);
    let z = &latent.mu + latent.sigma.randn_like() * &latent.sigma * config.sigma_eps;
    let candidates = decode(b, config, &z, Classes::All).reshape([-1, config.classes, config.pixels()]);
    let difference = candidates - reference.flatten(1, -1).unsqueeze(1); // [N, K, P]
    let logits = difference.square().sum_dim_intlist(2, false, Kind::Float) * -0.5; // [N, K]
    logits.cross_entropy_for_logits(y)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LN_2;

    use tch::Device;

    use super::super::config::Size;
    use super::*;
    use crate::classifier::{Architecture, Classifier, ClassifierConfig};
    use crate::turns::my_turn;

    fn close(tensor: &Tensor, expected: f64) {
        let got = tensor.double_value(&[]);
        assert!((got - expected).abs() < 1e-5, "{got}, expected {expected}");
    }

    fn config(reduction: Reduction, cross_entropy: CrossEntropy) -> PuvaeConfig {
        PuvaeConfig { reduction, cross_entropy, ..PuvaeConfig::preset(Size::Paper, 28, 1, 3) }
    }

    #[test]
    fn reconstruction_is_summed_over_pixels_or_averaged_as_configured() {
        let (estimate, truth) =
            (Tensor::from_slice(&[0.5f32; 6]), Tensor::from_slice(&[1f32, 0.0, 1.0, 1.0, 0.0, 0.0]));
        let values = bernoulli(&estimate, &truth).reshape([2, 3]);
        close(&reduce(&values, &config(Reduction::Sum, CrossEntropy::Binary)), 3.0 * LN_2);
        close(&reduce(&values, &config(Reduction::Mean, CrossEntropy::Binary)), LN_2);
    }

    #[test]
    fn the_divergence_has_no_half_and_vanishes_at_the_prior() {
        let at = |mu: f32, sigma: f32| divergence(&Tensor::from(mu), &Tensor::from(sigma));
        close(&at(0.0, 1.0), 0.0);
        close(&at(2.0, 1.0), 4.0);
        close(&at(0.0, 2.0), 3.0 - 4f64.ln());
    }

    #[test]
    fn the_loss_is_the_weighted_sum_of_its_parts_and_the_selection_that_of_inference() {
        let _turn = my_turn();
        tch::manual_seed(1);
        let config = PuvaeConfig {
            sigma_eps: 0.0,
            select_share: 1.0,
            random_share: 0.0,
            fgsm_share: 0.0,
            lambda_rc: 0.03,
            lambda_kl: 0.5,
            lambda_ce: 7.0,
            lambda_denoise: 0.02,
            lambda_select: 3.0,
            ..PuvaeConfig::preset(Size::Lite, 28, 1, 3)
        };
        let puvae = Puvae::new(config, Params::new(2, Device::Cpu));
        let network = ClassifierConfig::new(Architecture::E, 28, 1, 3);
        let source = Classifier::new(network, Params::new(3, Device::Cpu));
        let pictures = Tensor::randint(256, [8, 1, 28, 28], (Kind::Uint8, Device::Cpu));
        let split = Split::new(pictures, Tensor::from_slice(&[0i64, 1, 2, 0, 1, 2, 0, 1]));
        let task = PuvaeTask::new(&puvae, Sources(vec![&source]), split.shallow_clone()).unwrap();
        let (loss, parts) = task.loss(&split.all());
        let part = |name: &str| parts.iter().find(|part| part.0 == name).unwrap().1;
        let near = |got: f64, expected: f64| assert!((got / expected - 1.0).abs() < 1e-4, "{got}, expected {expected}");
        let sum = 0.03 * part("reconstruction")
            + 0.5 * part("kl")
            + 7.0 * part("source_cross_entropy")
            + 0.02 * part("denoising")
            + 3.0 * part("selection");
        near(scalar(&loss), sum);
        let Batch { x, y } = split.all();
        let by_hand = (tch::no_grad(|| puvae.class_scores(&x)) * 0.5).cross_entropy_for_logits(&y);
        near(part("selection"), scalar(&by_hand));
    }

    #[test]
    fn the_printed_form_of_the_label_loss_counts_every_class_and_the_usual_one_the_true_one() {
        let logits = Tensor::from_slice(&[0f32; 3]).reshape([1, 3]);
        let y = Tensor::from_slice(&[1i64]);
        let third = 3f64.ln();
        close(&label_loss(&config(Reduction::Sum, CrossEntropy::Categorical), &logits, &y), third);
        close(&label_loss(&config(Reduction::Sum, CrossEntropy::Binary), &logits, &y), third + 2.0 * 1.5f64.ln());
    }
}
