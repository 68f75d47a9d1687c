//! What a purifier sees in training: clean pictures, as they are or mirrored, random noise, FGSM of the source classifier, and
//! attacks at its own selection.

use tch::{Kind, Tensor};

use crate::attack::{Goal, Victim, clip, direction, value_and_gradient};
use crate::data::Batch;
use crate::puvae::Puvae;

/// The batch's pictures, the configured shares of them disturbed; each disturbed image has an ε of its own,
/// uniform up to the configured largest, but half of those attacked through the purifier have the largest. The first images of the batch are those attacked through the purifier, so
/// that the selector loss, which takes the start of the batch, sees all of them; which of the others are
/// disturbed, and how, is random.
pub fn add(puvae: &Puvae, source: &dyn Victim, batch: &Batch) -> Tensor {
    let config = &puvae.config;
    let n = batch.y.numel() as i64;
    let count = |share: f64, most: i64| ((share * n as f64).round() as i64).min(most);
    let own = count(config.self_share, n);
    let random = count(config.random_share, n - own);
    let attacked = count(config.fgsm_share, n - own - random);
    if own + random + attacked == 0 {
        return batch.x.shallow_clone();
    }
    let order = Tensor::randperm(n - own, (Kind::Int64, batch.x.device())) + own;
    let pick = |index: &Tensor| Batch { x: batch.x.index_select(0, index), y: batch.y.index_select(0, index) };
    let part = |start, len| pick(&order.narrow(0, start, len));
    let noisy = random_noise(config.epsilon_max, &part(0, random).x);
    let adversarial = fgsm(config.epsilon_max, source, config.classes, &part(random, attacked));
    let clean = part(random + attacked, n - own - random - attacked).x;
    let rest = Tensor::cat(&[noisy, adversarial, clean], 0).index_select(0, &order.argsort(0, false)); // in the batch's order
    if own == 0 {
        return rest;
    }
    let first = Batch { x: batch.x.narrow(0, 0, own), y: batch.y.narrow(0, 0, own) };
    Tensor::cat(&[at_selection(puvae, &first), rest], 0)
}

/// The batch with the configured share of its pictures mirrored left to right.
pub fn mirror(share: f64, batch: &Batch) -> Batch {
    let y = batch.y.shallow_clone();
    if share == 0.0 {
        return Batch { x: batch.x.shallow_clone(), y };
    }
    let drawn = Tensor::rand([batch.x.size()[0], 1, 1, 1], (Kind::Float, batch.x.device())).lt(share);
    Batch { x: batch.x.flip([3]).where_self(&drawn, &batch.x), y }
}

/// ε for each image, `[N, 1, 1, 1]`, uniform in `(0, most)`.
fn draw_epsilons(most: f64, x: &Tensor) -> Tensor {
    Tensor::rand([x.size()[0], 1, 1, 1], (Kind::Float, x.device())) * most
}

/// Half of the images get uniform noise in ±ε; half get ±ε in patches of a few pixels, the look of a gradient's
/// sign without any network's gradient.
fn random_noise(epsilon_max: f64, x: &Tensor) -> Tensor {
    let n = x.size()[0];
    let uniform = x.narrow(0, 0, n / 2).rand_like() * 2.0 - 1.0;
    let patches =
        x.narrow(0, n / 2, n - n / 2).randn_like().avg_pool2d([3, 3], [1, 1], [1, 1], false, true, None).sign();
    let direction = Tensor::cat(&[uniform, patches], 0);
    (x + direction * draw_epsilons(epsilon_max, x)).clamp(0.0, 1.0)
}

/// Targeted FGSM of the source at random classes; for half of the images with the gradient at a randomly disturbed
/// picture, so that more gradients are met than each image's one.
fn fgsm(epsilon_max: f64, source: &dyn Victim, classes: i64, batch: &Batch) -> Tensor {
    let n = batch.x.size()[0];
    let epsilons = draw_epsilons(epsilon_max, &batch.x);
    let shift = Tensor::randint(classes - 1, [n], (Kind::Int64, batch.x.device())) + 1;
    let target = (&batch.y + shift).remainder(classes);
    let disturbed = Tensor::from_slice(&[0f32, 0.5]).to_device(batch.x.device()).repeat([(n + 1) / 2]).narrow(0, 0, n);
    let start = &batch.x + (batch.x.rand_like() * 2.0 - 1.0) * &epsilons * disturbed.reshape([n, 1, 1, 1]);
    let step = direction(source, &start.clamp(0.0, 1.0), &Goal::Targeted(target)) * epsilons;
    clip(&(&batch.x - step), &batch.x, epsilon_max)
}

/// Steps from a random start that bring another class's candidate nearer than the true class's (the attack that
/// knows the purifier; Madry et al., 2018, trained against their own victim in the same way). The largest ε is drawn
/// by half of the images, so that the edge of the ball is seen often.
fn at_selection(puvae: &Puvae, batch: &Batch) -> Tensor {
    let config = &puvae.config;
    let n = batch.x.size()[0];
    let draw = Tensor::rand([n, 1, 1, 1], (Kind::Float, batch.x.device())) * (2.0 * config.self_epsilon_max);
    let epsilons = draw.clamp_max(config.self_epsilon_max); // [N, 1, 1, 1]
    let alpha = &epsilons * (1.25 / f64::from(config.self_steps));
    let (low, high) = ((&batch.x - &epsilons).clamp_min(0.0), (&batch.x + &epsilons).clamp_max(1.0));
    let mut x = &batch.x + (batch.x.rand_like() * 2.0 - 1.0) * &epsilons;
    let away = Goal::Untargeted(batch.y.shallow_clone());
    for _ in 0..config.self_steps {
        let (_, gradient) = value_and_gradient(&x, |x| away.margin(&puvae.class_scores(x)));
        x = (x - gradient.sign() * &alpha).clamp_tensor(Some(&low), Some(&high));
    }
    x.detach()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::{Architecture, Classifier, ClassifierConfig};
    use crate::nn::params::Params;
    use crate::puvae::{PuvaeConfig, Size};
    use crate::turns::my_turn;

    #[test]
    fn the_attack_at_the_selection_brings_another_class_nearer_and_stays_in_its_ball() {
        let _turn = my_turn();
        tch::manual_seed(1);
        let config = PuvaeConfig {
            self_share: 1.0,
            self_epsilon_max: 0.2,
            self_steps: 4,
            sigma_eps: 0.0,
            ..PuvaeConfig::preset(Size::Lite, 16, 1, 3)
        };
        let puvae = Puvae::new(config, Params::new(2, tch::Device::Cpu));
        let x = Tensor::rand([8, 1, 16, 16], (Kind::Float, tch::Device::Cpu));
        let scores = |x: &Tensor| tch::no_grad(|| puvae.class_scores(x));
        let label = tch::no_grad(|| puvae.purify(&x, &puvae.no_noise(8))).label;
        assert_eq!(scores(&x).argmax(1, false), label, "larger is nearer");
        let attacked = at_selection(&puvae, &Batch { x: x.shallow_clone(), y: label.shallow_clone() });
        assert!((&attacked - &x).abs().max().double_value(&[]) <= 0.2 + 1e-6);
        assert!(attacked.min().double_value(&[]) >= 0.0 && attacked.max().double_value(&[]) <= 1.0);
        let margin = |x: &Tensor| Goal::Untargeted(label.shallow_clone()).margin(&scores(x));
        let nearer = margin(&attacked).lt_tensor(&margin(&x)).sum(Kind::Int64).int64_value(&[]);
        assert_eq!(nearer, 8);
    }

    #[test]
    fn the_configured_shares_are_disturbed_within_their_ball_and_every_picture_stays_in_its_place() {
        let _turn = my_turn();
        tch::manual_seed(1);
        let n = 40;
        let config = PuvaeConfig {
            self_share: 0.2,
            self_epsilon_max: 0.002,
            self_steps: 1,
            random_share: 0.25,
            fgsm_share: 0.35,
            epsilon_max: 0.005,
            ..PuvaeConfig::preset(Size::Lite, 28, 1, 3)
        };
        let puvae = Puvae::new(config, Params::new(2, tch::Device::Cpu));
        let network = ClassifierConfig::new(Architecture::E, 28, 1, 3);
        let source = Classifier::new(network, Params::new(3, tch::Device::Cpu));
        // Each picture is of one brightness, further from all others than noise can move it.
        let brightness = Tensor::linspace(0.1, 0.9, n, (Kind::Float, tch::Device::Cpu)).reshape([n, 1, 1, 1]);
        let y = Tensor::arange(n, (Kind::Int64, tch::Device::Cpu)).remainder(3);
        let batch = Batch { x: brightness.expand([n, 1, 28, 28], false).contiguous(), y };
        let furthest = (add(&puvae, &source, &batch) - &batch.x).abs().amax([1, 2, 3], false);
        assert!(furthest.max().double_value(&[]) <= 0.005 + 1e-6, "{furthest}");
        // Those that are attacked at the selection are the first, and the others disturbed at random places behind.
        let (own, rest) = (furthest.narrow(0, 0, 8), furthest.narrow(0, 8, n - 8));
        let own = (own.min().double_value(&[]), own.max().double_value(&[]));
        assert!(own.0 > 0.0 && own.1 <= 0.002 + 1e-6, "{furthest}");
        assert_eq!(rest.gt(0.0).sum(Kind::Int64).int64_value(&[]), 10 + 14);
        assert!(rest.narrow(0, 24, 8).gt(0.0).any().int64_value(&[]) == 1, "not all clean ones are the last");
    }

    #[test]
    fn the_configured_share_of_the_pictures_is_mirrored_each_as_a_whole() {
        let _turn = my_turn();
        tch::manual_seed(1);
        let x = Tensor::arange(3 * 4, (Kind::Float, tch::Device::Cpu)).reshape([1, 3, 2, 2]).repeat([1000, 1, 1, 1]);
        let batch = Batch { x, y: Tensor::zeros([1000], (Kind::Int64, tch::Device::Cpu)) };
        let (as_is, mirrored) = (batch.x.narrow(0, 0, 1), batch.x.narrow(0, 0, 1).flip([3]));
        let count = |share: f64, picture: &Tensor| {
            let same = mirror(share, &batch).x.eq_tensor(picture).flatten(1, -1).all_dim(1, false);
            same.sum(Kind::Int64).int64_value(&[])
        };
        assert_eq!((count(0.0, &as_is), count(1.0, &mirrored)), (1000, 1000));
        let quarter = count(0.25, &mirrored);
        assert!((200..300).contains(&quarter), "{quarter} of 1000 mirrored");
    }
}
