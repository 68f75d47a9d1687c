//! Attacks and the harness that judges them.

use proptest::prelude::*;
use puvae_training::attack::{
    Aim, Attack, CarliniWagner, Goal, Plan, Preset, SignGradient, Victim, clip, draw_targets, run, transfer,
};
use puvae_training::data::{Split, permutation};
use puvae_training::substitute::augment;
use tch::{Device, Kind, Tensor};

use crate::common::my_turn;

/// Logits = pictures · weights: every gradient is known by hand.
struct Linear {
    weights: Tensor, // [4, 2]
}

impl Linear {
    fn new() -> Self {
        Self { weights: Tensor::from_slice(&[1f32, -1.0, -2.0, 3.0, 0.5, 0.25, 4.0, -4.0]).reshape([4, 2]) }
    }
}

impl Victim for Linear {
    fn logits(&self, x: &Tensor) -> Tensor {
        x.flatten(1, -1).matmul(&self.weights)
    }
}

fn grey(n: i64) -> Tensor {
    Tensor::full([n, 1, 2, 2], 0.5, (Kind::Float, Device::Cpu))
}

fn plan(attack: Attack) -> Plan {
    Plan { attack, aim: Aim::Targeted, seed: 1 }
}

/// Pictures of random bytes whose labels are what the linear victim says of them.
fn random(n: i64) -> Split {
    let bytes: Vec<u8> = permutation((4 * n) as usize, 3, 0).into_iter().map(|value| (value % 256) as u8).collect();
    let images = Tensor::from_slice(&bytes).reshape([n, 1, 2, 2]);
    let labels = Linear::new().logits(&(images.to_kind(Kind::Float) / 255.0)).argmax(1, false);
    Split::new(images, labels)
}

/// Towards class 0 every pixel moves by the sign of (weight to 0 − weight to 1).
const TOWARDS_0: [f32; 4] = [1.0, -1.0, 1.0, 1.0];

#[test]
fn fgsm_on_a_linear_victim_is_the_sign_of_its_weights() {
    let _turn = my_turn();
    let target = Goal::Targeted(Tensor::from_slice(&[0i64]));
    let x =
        SignGradient { epsilon: 0.25, alpha: 0.25, steps: 1, restarts: 0 }.perturb(&Linear::new(), &grey(1), &target);
    let expected = Tensor::from_slice(&TOWARDS_0.map(|sign| 0.5 + 0.25 * sign)).reshape([1, 1, 2, 2]);
    assert!(x.allclose(&expected, 0.0, 1e-6, false), "{x}");
}

#[test]
fn a_saturated_softmax_keeps_both_parts_of_the_gradient() {
    let _turn = my_turn();
    // log p_0 at logits (z, 0): its gradient is e^−z · (∇z_0 − ∇z_1), both parts equally large.
    let logits = Tensor::from_slice(&[40f32, 0.0]).reshape([1, 2]).set_requires_grad(true);
    let loss = Goal::Untargeted(Tensor::from_slice(&[0i64])).cross_entropy(&logits);
    let gradient = Tensor::run_backward(&[loss.sum(Kind::Float)], &[&logits], false, false).remove(0);
    let small = (-40f64).exp();
    for (class, expected) in [(0, small), (1, -small)] {
        let got = gradient.double_value(&[0, class]);
        assert!((got / expected - 1.0).abs() < 1e-4, "class {class}: {got}, expected {expected}");
    }
}

#[test]
fn the_cross_entropy_is_that_of_a_log_softmax() {
    let _turn = my_turn();
    let logits = Tensor::from_slice(&[1f32, -2.0, 0.5, 30.0, 0.0, -30.0]).reshape([2, 3]);
    let classes = Tensor::from_slice(&[2i64, 1]);
    let expected = -logits.log_softmax(1, Kind::Float).gather(1, &classes.unsqueeze(1), false).squeeze_dim(1);
    let got = Goal::Targeted(classes.shallow_clone()).cross_entropy(&logits);
    assert!(got.allclose(&expected, 1e-6, 1e-6, false), "{got}");
    assert!(Goal::Untargeted(classes).cross_entropy(&logits).allclose(&-expected, 1e-6, 1e-6, false));
}

#[test]
fn untargeted_goes_the_other_way() {
    let _turn = my_turn();
    let truth = Goal::Untargeted(Tensor::from_slice(&[0i64]));
    let x =
        SignGradient { epsilon: 0.25, alpha: 0.25, steps: 1, restarts: 0 }.perturb(&Linear::new(), &grey(1), &truth);
    let expected = Tensor::from_slice(&TOWARDS_0.map(|sign| 0.5 - 0.25 * sign)).reshape([1, 1, 2, 2]);
    assert!(x.allclose(&expected, 0.0, 1e-6, false), "{x}");
}

#[test]
fn ifgsm_stops_at_the_edge_of_the_ball() {
    let _turn = my_turn();
    let target = Goal::Targeted(Tensor::from_slice(&[0i64]));
    let one =
        SignGradient { epsilon: 0.25, alpha: 0.25, steps: 1, restarts: 0 }.perturb(&Linear::new(), &grey(1), &target);
    let many =
        SignGradient { epsilon: 0.25, alpha: 0.1, steps: 20, restarts: 0 }.perturb(&Linear::new(), &grey(1), &target);
    assert!(many.allclose(&one, 0.0, 1e-6, false), "{many}");
}

/// The output of class 0 grows along the signs +, −, +, + of its weights, that of class 1 along −, +, +, −.
#[test]
fn augmentation_on_a_linear_victim_is_a_step_along_the_answers_weights_within_the_picture() {
    let _turn = my_turn();
    let x = Tensor::from_slice(&[0.5f32, 0.5, 0.95, 0.5]).reshape([1, 1, 2, 2]).repeat([2, 1, 1, 1]);
    let new = augment(&Linear::new(), &x, &Tensor::from_slice(&[0i64, 1]), 0.1);
    let expected = Tensor::from_slice(&[0.6f32, 0.4, 1.0, 0.6, 0.4, 0.6, 1.0, 0.4]).reshape([2, 1, 2, 2]);
    assert!(new.allclose(&expected, 0.0, 1e-6, false), "{new}");
}

#[test]
fn a_target_is_never_the_true_class_and_every_other_class_is_drawn() {
    let _turn = my_turn();
    let y = Tensor::arange(1000, (Kind::Int64, Device::Cpu)).remainder(10);
    let targets = draw_targets(&y, 10, 1);
    let shift = Vec::<i64>::try_from((targets.copy() - &y).remainder(10)).unwrap();
    assert!(!shift.contains(&0));
    assert!((1..10).all(|class| shift.contains(&class)));
    assert!(targets.equal(&draw_targets(&y, 10, 1)) && !targets.equal(&draw_targets(&y, 10, 2)));
}

#[test]
fn the_harness_measures_the_perturbation_and_the_success() {
    let _turn = my_turn();
    let images = Tensor::full([6, 1, 2, 2], 128, (Kind::Uint8, Device::Cpu));
    let split = Split::new(images, Tensor::from_slice(&[0i64, 1, 0, 1, 0, 1]));
    let adversarial = run(&Linear::new(), plan(Attack::Fgsm { epsilon: 0.25 }), &split, 2).unwrap();
    assert!((adversarial.mean_linf - 0.25).abs() < 1e-6, "{adversarial:?}");
    assert!((adversarial.mean_l2 - 0.5).abs() < 1e-6, "{adversarial:?}");
    // Towards class 0 the linear victim follows; towards class 1 the same step turns it as well.
    assert!((adversarial.success - 1.0).abs() < 1e-9, "{adversarial:?}");
}

#[test]
fn absurd_parameters_are_refused() {
    let _turn = my_turn();
    let images = Tensor::zeros([1, 1, 2, 2], (Kind::Uint8, Device::Cpu));
    let split = Split::new(images, Tensor::from_slice(&[0i64]));
    let refused = |kind| run(&Linear::new(), plan(kind), &split, 2).unwrap_err().to_string();
    assert!(refused(Attack::Fgsm { epsilon: 0.0 }).contains("epsilon is 0, expected more than 0 and at most 1"));
    assert!(refused(Attack::Fgsm { epsilon: 8.0 }).contains("8 of 255 levels are 0.0314"));
    assert!(refused(Attack::IFgsm { epsilon: 0.1, alpha: f64::NAN, steps: 3 }).contains("alpha is NaN"));
    let none = Split::new(
        Tensor::zeros([0, 1, 2, 2], (Kind::Uint8, Device::Cpu)),
        Tensor::zeros([0], (Kind::Int64, Device::Cpu)),
    );
    let error = run(&Linear::new(), plan(Attack::Fgsm { epsilon: 0.1 }), &none, 2).unwrap_err().to_string();
    assert!(error.contains("no images to attack"), "{error}");
}

#[test]
fn every_attack_stays_in_the_picture_and_bounded_ones_in_the_ball() {
    let _turn = my_turn();
    let split = random(40);
    let attacks = [
        Attack::Fgsm { epsilon: 0.2 },
        Attack::IFgsm { epsilon: 0.2, alpha: 0.05, steps: 10 },
        Attack::Pgd { epsilon: 0.2, alpha: 0.05, steps: 10, restarts: 3 },
        Attack::CarliniWagner { preset: Preset::Api, confidence: 0 },
        Attack::CarliniWagner { preset: Preset::Tutorial, confidence: 0 },
        Attack::CarliniWagner { preset: Preset::DefenseGan, confidence: 0 },
    ];
    for attack in attacks {
        for aim in [Aim::Targeted, Aim::Untargeted] {
            let adversarial = run(&Linear::new(), Plan { attack, aim, seed: 1 }, &split, 2).unwrap();
            let furthest = (&adversarial.x - split.all().x).abs().max().double_value(&[]);
            assert!(attack.epsilon().is_none_or(|epsilon| furthest <= epsilon + 1e-6), "{attack:?}: {furthest}");
            let (low, high) = (adversarial.x.min().double_value(&[]), adversarial.x.max().double_value(&[]));
            assert!(low >= 0.0 && high <= 1.0, "{attack:?}: {low} to {high}");
            assert!(adversarial.success > 0.3 && adversarial.mean_l2 > 0.0, "{adversarial:?}");
        }
    }
}

#[test]
fn fgsm_is_ifgsm_with_one_step_of_epsilon() {
    let _turn = my_turn();
    let split = random(20);
    let of = |attack| run(&Linear::new(), plan(attack), &split, 2).unwrap().x;
    let one = of(Attack::IFgsm { epsilon: 0.2, alpha: 0.2, steps: 1 });
    assert!(of(Attack::Fgsm { epsilon: 0.2 }).equal(&one));
}

#[test]
fn more_random_starts_reach_more_images_and_a_seed_draws_the_same_ones() {
    let _turn = my_turn();
    let split = random(60);
    let seeded = |restarts, seed| {
        let attack = Attack::Pgd { epsilon: 0.03, alpha: 0.01, steps: 2, restarts };
        run(&Linear::new(), Plan { seed, aim: Aim::Untargeted, attack }, &split, 2).unwrap()
    };
    let of = |restarts| seeded(restarts, 1);
    assert!(of(4).success > of(1).success, "{} and {}", of(4).success, of(1).success);
    assert!(of(4).x.equal(&of(4).x));
    assert!(!of(4).x.equal(&seeded(4, 2).x), "another seed draws other starts");
}

/// A binary linear victim is fooled nearest across its hyperplane: at |margin| / ‖w₀ − w₁‖.
#[test]
fn carlini_and_wagner_find_the_nearest_point_across_a_hyperplane() {
    let _turn = my_turn();
    let target = Goal::Targeted(Tensor::from_slice(&[0i64]));
    let x = Tensor::from_slice(&[0.5f32, 0.6, 0.5, 0.5]).reshape([1, 1, 2, 2]);
    let victim = Linear::new();
    let margin = target.margin(&victim.logits(&x)).double_value(&[]);
    let weights = victim.weights.select(1, 1) - victim.weights.select(1, 0);
    let nearest = margin / weights.norm().double_value(&[]);
    assert!(
        nearest < 0.0,
        "the victim must already be fooled at this picture for the first half of the test: {margin}"
    );
    let truth = Goal::Untargeted(Tensor::from_slice(&[0i64]));
    let attack = CarliniWagner { rate: 0.01, search_steps: 9, initial_c: 0.01, iterations: 500, confidence: 0.0 };
    let found = attack.perturb(&victim, &x, &truth);
    assert_eq!(victim.logits(&found).argmax(1, false).int64_value(&[0]), 1);
    let distance = (found - &x).norm().double_value(&[]);
    assert!(distance >= -nearest * 0.999 && distance < -nearest * 1.05, "{distance}, nearest {}", -nearest);
    // With a confidence it goes on until the wrong logit leads by that much.
    let confident = CarliniWagner { confidence: 0.1, ..attack };
    let found = confident.perturb(&victim, &x, &truth);
    let lead = -Goal::Untargeted(Tensor::from_slice(&[0i64])).margin(&victim.logits(&found)).double_value(&[]);
    assert!((0.1..0.12).contains(&lead), "{lead}");
    // A target that is reached already costs nothing.
    let distance = (attack.perturb(&victim, &x, &target) - &x).norm().double_value(&[]);
    assert!(distance < 1e-3, "{distance}");
}

#[test]
fn a_picture_that_carlini_and_wagner_fail_on_comes_back_clean() {
    let _turn = my_turn();
    let black = Tensor::zeros([1, 1, 2, 2], (Kind::Float, Device::Cpu));
    let attack = CarliniWagner { iterations: 10, ..Preset::Api.constants() };
    let found = attack.perturb(&Stubborn, &black, &Goal::Targeted(Tensor::from_slice(&[0i64])));
    assert!(found.equal(&black));
}

/// Says class 1 whatever it sees, with a gradient.
struct Stubborn;

impl Victim for Stubborn {
    fn logits(&self, x: &Tensor) -> Tensor {
        let sum = x.flatten(1, -1).sum_dim_intlist(1, true, Kind::Float) * 1e-3;
        Tensor::cat(&[&sum, &(&sum + 50.0)], 1)
    }
}

/// An answer without a gradient.
struct Masked;

impl Victim for Masked {
    fn logits(&self, x: &Tensor) -> Tensor {
        Linear::new().logits(&x.round())
    }
}

#[test]
fn a_victim_that_masks_its_gradient_is_noticed() {
    let _turn = my_turn();
    let adversarial = run(&Masked, plan(Attack::Fgsm { epsilon: 0.2 }), &random(10), 2).unwrap();
    assert!((adversarial.zero_gradient - 1.0).abs() < 1e-9, "{adversarial:?}");
    let adversarial = run(&Linear::new(), plan(Attack::Fgsm { epsilon: 0.2 }), &random(10), 2).unwrap();
    assert!(adversarial.zero_gradient < 1e-9, "{adversarial:?}");
}

#[test]
fn what_is_made_on_one_victim_is_judged_on_the_other() {
    let _turn = my_turn();
    let attack = plan(Attack::Fgsm { epsilon: 0.5 });
    let made = run(&Linear::new(), attack, &random(20), 2).unwrap();
    let judged = transfer(&Linear::new(), &Stubborn, attack, &random(20), 2).unwrap();
    assert!(judged.x.equal(&made.x));
    let targets = draw_targets(&random(20).labels(), 2, 1);
    assert!(judged.reached.equal(&targets.eq(1)));
}

proptest! {
    #[test]
    fn whatever_is_proposed_stays_within_epsilon_and_the_picture_range(
        proposal in prop::collection::vec(-3f32..3.0, 8),
        start in prop::collection::vec(0f32..=1.0, 8),
        epsilon in 0.001f64..1.0,
    ) {
    let _turn = my_turn();
        let (proposal, start) = (Tensor::from_slice(&proposal), Tensor::from_slice(&start));
        let clipped = clip(&proposal, &start, epsilon);
        prop_assert!((&clipped - &start).abs().max().double_value(&[]) <= epsilon + 1e-6);
        prop_assert!(clipped.min().double_value(&[]) >= 0.0 && clipped.max().double_value(&[]) <= 1.0);
    }
}
