//! The networks' sizes, and layouts that must not change results.

mod common;

use common::squares;
use puvae_training::classifier::{Architecture, Classifier, ClassifierConfig};
use puvae_training::fit::Task as _;
use puvae_training::nn::params::Params;
use puvae_training::nn::torch::Torch;
use puvae_training::nn::{Backend, Conv};
use puvae_training::optim::Adam;
use puvae_training::puvae::{self, Form, Puvae, PuvaeConfig, PuvaeTask, Reduction, Size};
use tch::{Device, Kind, Tensor};

fn puvae(size: Size) -> Puvae {
    Puvae::new(PuvaeConfig::preset(size, 28, 10), Params::new(1, Device::Cpu))
}

#[test]
fn the_papers_network_has_the_papers_number_of_parameters() {
    let millions = puvae(Size::Paper).params.count() as f64 / 1e6;
    assert!((millions - 27.8).abs() < 0.1, "{millions}");
}

#[test]
fn lite_stays_below_three_million_parameters() {
    assert!(puvae(Size::Lite).params.count() < 3_000_000);
}

#[test]
fn classifiers_a_and_b_have_the_layers_of_table_1() {
    let count = |architecture| {
        Classifier::new(
            ClassifierConfig { architecture, side_px: 28, classes: 10, adversarial: None },
            Params::new(1, Device::Cpu),
        )
        .params
        .count()
    };
    let dense = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
    assert_eq!(count(Architecture::A), dense(25, 64) + dense(64 * 25, 64) + dense(64 * 10 * 10, 128) + dense(128, 10));
    assert_eq!(count(Architecture::B), dense(9, 128) + dense(128 * 9, 64) + dense(64 * 12 * 12, 128) + dense(128, 10));
}

#[test]
fn space_to_batch_gives_the_numbers_of_the_dilated_convolution() {
    let params = Params::new(2, Device::Cpu);
    let x = Tensor::arange(2 * 3 * 12 * 12, (Kind::Float, Device::Cpu)).sin().reshape([2, 3, 12, 12]);
    let fast = Torch::eval(&params).conv(&x, "l", Conv::new(4, 5).dilation(2).same());
    let all = params.all();
    let plain = x.conv2d(&all["l.weight"], Some(&all["l.bias"]), [1, 1], [4, 4], [2, 2], 1);
    assert!(fast.allclose(&plain, 1e-5, 1e-6, false));
}

#[test]
fn the_shared_trunk_gives_the_numbers_of_the_naive_form() {
    for size in [Size::Lite, Size::Paper] {
        let puvae = puvae(size);
        let x = Tensor::arange(2 * 784, (Kind::Float, Device::Cpu)).sin().abs().reshape([2, 1, 28, 28]);
        let noise = puvae.no_noise(2) + 0.1;
        let [shared, naive] = [Form::Shared, Form::Naive].map(|form| {
            tch::no_grad(|| puvae::purify(&mut Torch::eval(&puvae.params), &puvae.config, &x, &noise, form))
        });
        assert!(shared.0.allclose(&naive.0, 1e-5, 1e-6, false), "{size:?}");
        assert!(shared.1.equal(&naive.1), "{size:?}");
        assert!(shared.2.allclose(&naive.2, 1e-5, 1e-6, false), "{size:?}");
    }
}

#[test]
fn the_papers_coefficients_mean_a_beta_of_twenty_when_summed() {
    let paper = PuvaeConfig::preset(Size::Paper, 28, 10);
    assert!((paper.effective_beta() - 20.0).abs() < 1e-9);
    let mean = PuvaeConfig { reduction: Reduction::Mean, ..paper };
    assert!((mean.effective_beta() - 490.0).abs() < 1e-9);
}

#[test]
fn absurd_configurations_are_refused_by_field() {
    let lite = PuvaeConfig::preset(Size::Lite, 28, 10);
    let refused = |config: PuvaeConfig| config.check().unwrap_err().to_string();
    assert!(
        refused(PuvaeConfig { fgsm_share: 0.9, ..lite.clone() })
            .contains("random_share + fgsm_share + self_share is 1.2, expected 0 to 1")
    );
    assert!(refused(PuvaeConfig { denoiser: false, ..lite.clone() }).contains("`denoised`, but denoiser is false"));
    assert!(
        refused(PuvaeConfig { self_share: 0.2, ..lite.clone() })
            .contains("self_share is 0.2, but self_steps is 0 and self_epsilon_max 0")
    );
    assert!(refused(PuvaeConfig { latent: 0, ..lite.clone() }).contains("latent is 0"));
    assert!(refused(PuvaeConfig { side_px: 32, ..lite.clone() }).contains("side_px is 32, expected 28"));
    assert!(
        refused(PuvaeConfig { lambda_ce: f64::NAN, ..lite })
            .contains("lambda_ce is NaN, expected a number of at least 0")
    );
}

#[test]
fn the_papers_network_takes_a_step_with_the_papers_losses() {
    let source = Classifier::new(
        ClassifierConfig { architecture: Architecture::A, side_px: 28, classes: 10, adversarial: None },
        Params::new(2, Device::Cpu),
    );
    source.params.freeze();
    let puvae = puvae(Size::Paper);
    let data = squares(4, 10, 1);
    let task = PuvaeTask::new(&puvae, &source, data.first(2)).unwrap();
    let mut adam = Adam::new(&puvae.params);
    let losses = [0, 1, 2].map(|_| {
        tch::manual_seed(1);
        let (loss, _) = task.loss(&data.all());
        adam.step(&loss, 1e-3);
        loss.double_value(&[])
    });
    assert!(losses[2] < losses[0], "{losses:?}");
}
