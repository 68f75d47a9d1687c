//! The networks' sizes, and layouts that must not change results.

use puvae_training::attack::Victim as _;
use puvae_training::classifier::{Architecture, Classifier, ClassifierConfig, Sources};
use puvae_training::fit::Task as _;
use puvae_training::nn::params::Params;
use puvae_training::nn::torch::Torch;
use puvae_training::nn::{Backend, Conv};
use puvae_training::optim::Adam;
use puvae_training::puvae::{self, Form, Puvae, PuvaeConfig, PuvaeTask, Reduction, Size};
use tch::{Device, Kind, Tensor};

use crate::common::{my_turn, squares};

/// The pictures that both networks have layers for: side and channels.
const SHAPES: [(i64, i64); 2] = [(28, 1), (32, 3)];

fn puvae(size: Size, (side, channels): (i64, i64)) -> Puvae {
    Puvae::new(PuvaeConfig::preset(size, side, channels, 10), Params::new(1, Device::Cpu))
}

fn classifier(architecture: Architecture, (side_px, channels): (i64, i64)) -> Classifier {
    Classifier::new(ClassifierConfig::new(architecture, side_px, channels, 10), Params::new(2, Device::Cpu))
}

#[test]
fn the_papers_networks_have_the_papers_numbers_of_parameters() {
    let _turn = my_turn();
    for (shape, stated) in SHAPES.into_iter().zip([27.8, 42.1]) {
        let millions = puvae(Size::Paper, shape).params.count() as f64 / 1e6;
        assert!((millions - stated).abs() < 0.1, "{shape:?}: {millions}");
    }
}

#[test]
fn lite_stays_below_three_million_parameters_and_forty_million_multiply_adds() {
    let _turn = my_turn();
    for shape in SHAPES {
        let lite = puvae(Size::Lite, shape);
        assert!(lite.params.count() < 3_000_000, "{shape:?}");
        assert!((30_000_000..40_000_000).contains(&lite.multiply_adds()), "{shape:?}: {}", lite.multiply_adds());
    }
}

#[test]
fn the_classifiers_have_the_layers_of_table_1() {
    let _turn = my_turn();
    let count = |architecture| classifier(architecture, (28, 1)).params.count();
    let colour = |architecture| classifier(architecture, (32, 3)).params.count();
    let dense = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
    assert_eq!(count(Architecture::A), dense(25, 64) + dense(64 * 25, 64) + dense(64 * 10 * 10, 128) + dense(128, 10));
    assert_eq!(count(Architecture::B), dense(9, 128) + dense(128 * 9, 64) + dense(64 * 12 * 12, 128) + dense(128, 10));
    let c = dense(75, 64) + dense(64 * 25, 128) + dense(128 * 25, 256);
    assert_eq!(colour(Architecture::C), c + dense(256 * 10 * 10, 512) + dense(512, 256) + dense(256, 10));
    let d = dense(27, 128) + dense(128 * 9, 256) + dense(256 * 9, 512);
    assert_eq!(colour(Architecture::D), d + dense(512 * 13 * 13, 512) + dense(512, 10));
    let e = |channels: usize| dense(64 * channels, 64) + dense(64 * 36, 128) + dense(128 * 25, 128);
    assert_eq!(count(Architecture::E), e(1) + dense(128, 10));
    assert_eq!(colour(Architecture::E), e(3) + dense(128 * 2 * 2, 10));
}

#[test]
fn pictures_that_the_convolutions_would_use_up_are_refused() {
    let _turn = my_turn();
    assert!(Architecture::C.check_side(13).is_ok());
    let text = Architecture::C.check_side(12).unwrap_err().to_string();
    assert!(text.contains("12 pixels a side, too small for classifier-c"), "{text}");
    assert!(Architecture::E.check_side(28).is_ok());
}

#[test]
fn space_to_batch_gives_the_numbers_of_the_dilated_convolution() {
    let _turn = my_turn();
    let params = Params::new(2, Device::Cpu);
    let x = Tensor::arange(2 * 3 * 12 * 12, (Kind::Float, Device::Cpu)).sin().reshape([2, 3, 12, 12]);
    let mut backend = Torch::eval(&params);
    let fast = backend.conv(&x, "l", Conv::new(4, 5).dilation(2).same());
    assert_eq!(backend.multiply_adds(), fast.numel() * 25 * x.size()[1] as usize);
    let all = params.all();
    let plain = x.conv2d(&all["l.weight"], Some(&all["l.bias"]), [1, 1], [4, 4], [2, 2], 1);
    assert!(fast.allclose(&plain, 1e-5, 1e-6, false));
}

#[test]
fn the_shared_trunk_gives_the_numbers_of_the_naive_form() {
    let _turn = my_turn();
    for (size, shape) in [Size::Lite, Size::Paper].into_iter().flat_map(|size| SHAPES.map(|shape| (size, shape))) {
        let puvae = puvae(size, shape);
        let (side, channels) = shape;
        let ramp = Tensor::arange(2 * channels * side * side, (Kind::Float, Device::Cpu));
        let x = ramp.sin().abs().reshape([2, channels, side, side]);
        let noise = puvae.no_noise(2) + 0.1;
        let [shared, naive] = [Form::Shared, Form::Naive].map(|form| {
            tch::no_grad(|| puvae::purify(&mut Torch::eval(&puvae.params), &puvae.config, &x, &noise, form))
        });
        assert!(shared.frames.allclose(&naive.frames, 1e-5, 1e-6, false), "{size:?} {shape:?}");
        assert!(shared.label.equal(&naive.label), "{size:?} {shape:?}");
        assert!(shared.distances.allclose(&naive.distances, 1e-5, 1e-6, false), "{size:?} {shape:?}");
        assert!(shared.score.allclose(&naive.score, 1e-5, 1e-6, false), "{size:?} {shape:?}");
    }
}

#[test]
fn the_papers_coefficients_mean_a_beta_of_twenty_when_summed() {
    let _turn = my_turn();
    let paper = PuvaeConfig::preset(Size::Paper, 28, 1, 10);
    assert!((paper.effective_beta() - 20.0).abs() < 1e-9);
    let mean = PuvaeConfig { reduction: Reduction::Mean, ..paper };
    assert!((mean.effective_beta() - 490.0).abs() < 1e-9);
}

#[test]
fn absurd_configurations_are_refused_by_field() {
    let _turn = my_turn();
    let lite = PuvaeConfig::preset(Size::Lite, 28, 1, 10);
    let refused = |config: PuvaeConfig| config.check().unwrap_err().to_string();
    assert!(
        refused(PuvaeConfig { fgsm_share: 0.95, ..lite.clone() })
            .contains("random_share + fgsm_share + self_share is 1.2, expected 0 to 1")
    );
    assert!(refused(PuvaeConfig { denoiser: false, ..lite.clone() }).contains("`denoised`, but denoiser is false"));
    assert!(
        refused(PuvaeConfig { self_share: 0.2, ..lite.clone() })
            .contains("self_share is 0.2, but self_steps is 0 and self_epsilon_max 0")
    );
    assert!(refused(PuvaeConfig { latent: 0, ..lite.clone() }).contains("latent is 0"));
    assert!(refused(PuvaeConfig { side_px: 30, ..lite.clone() }).contains("side_px is 30, expected a multiple of 4"));
    let paper = PuvaeConfig { size: Size::Paper, side_px: 32, ..lite.clone() };
    assert!(
        refused(paper).contains("32×32 with 1 channels, but the paper's network has layers for 28×28×1 and 32×32×3")
    );
    assert!(refused(PuvaeConfig { channels: 2, ..lite.clone() }).contains("channels is 2, expected 1 or 3"));
    assert!(
        refused(PuvaeConfig { lambda_ce: f64::NAN, ..lite })
            .contains("lambda_ce is NaN, expected a number of at least 0")
    );
}

#[test]
fn several_sources_share_a_batch_in_order() {
    let _turn = my_turn();
    let sources = [Architecture::A, Architecture::B].map(|architecture| classifier(architecture, SHAPES[0]));
    let x = squares(5, 10, 1).all().x;
    let shared = tch::no_grad(|| Sources(sources.iter().collect()).logits(&x));
    for (source, rows) in sources.iter().zip([[0, 3], [3, 2]]) {
        let alone = tch::no_grad(|| source.logits(&x.narrow(0, rows[0], rows[1])));
        assert!(shared.narrow(0, rows[0], rows[1]).allclose(&alone, 1e-5, 1e-6, false));
    }
    let one = tch::no_grad(|| Sources(sources.iter().collect()).logits(&x.narrow(0, 0, 1)));
    assert_eq!(one.size(), [1, 10], "fewer pictures than sources");
}

#[test]
fn the_papers_network_takes_a_step_with_the_papers_losses() {
    let _turn = my_turn();
    let source = classifier(Architecture::A, SHAPES[0]);
    source.params.freeze();
    let puvae = puvae(Size::Paper, SHAPES[0]);
    let data = squares(4, 10, 1);
    let task = PuvaeTask::new(&puvae, Sources(vec![&source]), data.first(2)).unwrap();
    let mut adam = Adam::new(&puvae.params);
    let losses = [0, 1, 2].map(|_| {
        tch::manual_seed(1);
        let (loss, _) = task.loss(&data.all());
        adam.step(&loss, 1e-3);
        loss.double_value(&[])
    });
    assert!(losses[2] < losses[0], "{losses:?}");
}

#[test]
fn training_draws_the_latent_code_and_nothing_else_where_no_picture_is_disturbed() {
    let _turn = my_turn();
    let preset = PuvaeConfig::preset(Size::Lite, 28, 1, 10);
    let config = PuvaeConfig { random_share: 0.0, fgsm_share: 0.0, self_share: 0.0, mirror_share: 0.0, ..preset };
    let puvae = Puvae::new(config, Params::new(1, Device::Cpu));
    let (source, data) = (classifier(Architecture::E, SHAPES[0]), squares(8, 10, 2));
    source.params.freeze();
    let task = PuvaeTask::new(&puvae, Sources(vec![&source]), data.first(8)).unwrap();
    let losses = |seed| {
        tch::manual_seed(seed);
        let scalars = task.loss(&data.all()).1;
        ["kl", "denoising", "reconstruction"].map(|name| scalars.iter().find(|scalar| scalar.0 == name).unwrap().1)
    };
    assert_eq!(losses(1), losses(1));
    let ([kl, denoising, one], [same_kl, same_denoising, other]) = (losses(1), losses(2));
    assert_eq!((kl, denoising), (same_kl, same_denoising));
    assert!((one - other).abs() > 1e-6, "Eq. 13 draws z: {one}, {other}");
}
