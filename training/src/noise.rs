//! What a purifier sees in training: clean pictures, random noise, and FGSM of the source classifier.

use tch::{Kind, Tensor};

use crate::attack::{Goal, clip, direction};
use crate::classifier::Classifier;
use crate::data::Batch;
use crate::puvae::PuvaeConfig;

/// The batch's pictures, the configured shares of them disturbed; each disturbed image has an ε of its own,
/// uniform in `(0, epsilon_max)`. Which images are disturbed, and how, is random.
pub fn add(config: &PuvaeConfig, source: &Classifier, batch: &Batch) -> Tensor {
    let n = batch.y.numel() as i64;
    let random = (config.random_share * n as f64).round() as i64;
    let attacked = ((config.fgsm_share * n as f64).round() as i64).min(n - random);
    if random + attacked == 0 {
        return batch.x.shallow_clone();
    }
    let order = Tensor::randperm(n, (Kind::Int64, batch.x.device()));
    let part = |start, len| {
        let index = order.narrow(0, start, len);
        Batch { x: batch.x.index_select(0, &index), y: batch.y.index_select(0, &index) }
    };
    let noisy = random_noise(config, &part(0, random).x);
    let adversarial = fgsm(config, source, &part(random, attacked));
    let clean = part(random + attacked, n - random - attacked).x;
    let mixed = Tensor::cat(&[noisy, adversarial, clean], 0);
    mixed.index_select(0, &order.argsort(0, false)) // back in the batch's order
}

/// ε for each image, `[N, 1, 1, 1]`.
fn draw_epsilons(config: &PuvaeConfig, x: &Tensor) -> Tensor {
    Tensor::rand([x.size()[0], 1, 1, 1], (Kind::Float, x.device())) * config.epsilon_max
}

/// Half of the images get uniform noise in ±ε; half get ±ε in patches of a few pixels, the look of a gradient's
/// sign without any network's gradient.
fn random_noise(config: &PuvaeConfig, x: &Tensor) -> Tensor {
    let n = x.size()[0];
    let uniform = x.narrow(0, 0, n / 2).rand_like() * 2.0 - 1.0;
    let patches =
        x.narrow(0, n / 2, n - n / 2).randn_like().avg_pool2d([3, 3], [1, 1], [1, 1], false, true, None).sign();
    let direction = Tensor::cat(&[uniform, patches], 0);
    (x + direction * draw_epsilons(config, x)).clamp(0.0, 1.0)
}

/// Targeted FGSM of the source at random classes; for half of the images with the gradient at a randomly disturbed
/// picture, so that more gradients are met than each image's one.
fn fgsm(config: &PuvaeConfig, source: &Classifier, batch: &Batch) -> Tensor {
    let n = batch.x.size()[0];
    let epsilons = draw_epsilons(config, &batch.x);
    let shift = Tensor::randint(config.classes - 1, [n], (Kind::Int64, batch.x.device())) + 1;
    let target = (&batch.y + shift).remainder(config.classes);
    let disturbed = Tensor::from_slice(&[0f32, 0.5]).to_device(batch.x.device()).repeat([(n + 1) / 2]).narrow(0, 0, n);
    let start = &batch.x + (batch.x.rand_like() * 2.0 - 1.0) * &epsilons * disturbed.reshape([n, 1, 1, 1]);
    let step = direction(source, &start.clamp(0.0, 1.0), &Goal::Targeted(target)) * epsilons;
    clip(&(&batch.x - step), &batch.x, config.epsilon_max)
}
