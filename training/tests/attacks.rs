//! Attacks and the harness that judges them.

use proptest::prelude::*;
use puvae_training::attack::{Attack, Goal, SignGradient, Victim, clip, draw_targets, run};
use puvae_training::data::Split;
use tch::{Device, Kind, Tensor};

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

/// Towards class 0 every pixel moves by the sign of (weight to 0 − weight to 1).
const TOWARDS_0: [f32; 4] = [1.0, -1.0, 1.0, 1.0];

#[test]
fn fgsm_on_a_linear_victim_is_the_sign_of_its_weights() {
    let target = Goal::Targeted(Tensor::from_slice(&[0i64]));
    let x = SignGradient { epsilon: 0.25, alpha: 0.25, steps: 1 }.perturb(&Linear::new(), &grey(1), &target);
    let expected = Tensor::from_slice(&TOWARDS_0.map(|sign| 0.5 + 0.25 * sign)).reshape([1, 1, 2, 2]);
    assert!(x.allclose(&expected, 0.0, 1e-6, false), "{x}");
}

#[test]
fn untargeted_goes_the_other_way() {
    let truth = Goal::Untargeted(Tensor::from_slice(&[0i64]));
    let x = SignGradient { epsilon: 0.25, alpha: 0.25, steps: 1 }.perturb(&Linear::new(), &grey(1), &truth);
    let expected = Tensor::from_slice(&TOWARDS_0.map(|sign| 0.5 - 0.25 * sign)).reshape([1, 1, 2, 2]);
    assert!(x.allclose(&expected, 0.0, 1e-6, false), "{x}");
}

#[test]
fn ifgsm_stops_at_the_edge_of_the_ball() {
    let target = Goal::Targeted(Tensor::from_slice(&[0i64]));
    let one = SignGradient { epsilon: 0.25, alpha: 0.25, steps: 1 }.perturb(&Linear::new(), &grey(1), &target);
    let many = SignGradient { epsilon: 0.25, alpha: 0.1, steps: 20 }.perturb(&Linear::new(), &grey(1), &target);
    assert!(many.allclose(&one, 0.0, 1e-6, false), "{many}");
}

#[test]
fn a_target_is_never_the_true_class_and_every_other_class_is_drawn() {
    let y = Tensor::arange(1000, (Kind::Int64, Device::Cpu)).remainder(10);
    let targets = draw_targets(&y, 10, 1);
    let shift = Vec::<i64>::try_from((targets.copy() - &y).remainder(10)).unwrap();
    assert!(!shift.contains(&0));
    assert!((1..10).all(|class| shift.contains(&class)));
    assert!(targets.equal(&draw_targets(&y, 10, 1)) && !targets.equal(&draw_targets(&y, 10, 2)));
}

#[test]
fn the_harness_measures_the_perturbation_and_the_success() {
    let images = Tensor::full([6, 1, 2, 2], 128, (Kind::Uint8, Device::Cpu));
    let split = Split::new(images, Tensor::from_slice(&[0i64, 1, 0, 1, 0, 1]));
    let adversarial = run(&Linear::new(), Attack::Fgsm { epsilon: 0.25 }, &split, 2, 1).unwrap();
    assert!((adversarial.mean_linf - 0.25).abs() < 1e-6, "{adversarial:?}");
    assert!((adversarial.mean_l2 - 0.5).abs() < 1e-6, "{adversarial:?}");
    // Towards class 0 the linear victim follows; towards class 1 the same step turns it as well.
    assert!((adversarial.success - 1.0).abs() < 1e-9, "{adversarial:?}");
}

#[test]
fn absurd_parameters_are_refused() {
    let images = Tensor::zeros([1, 1, 2, 2], (Kind::Uint8, Device::Cpu));
    let split = Split::new(images, Tensor::from_slice(&[0i64]));
    let refused = |kind| run(&Linear::new(), kind, &split, 2, 1).unwrap_err().to_string();
    assert!(refused(Attack::Fgsm { epsilon: 0.0 }).contains("epsilon is 0, expected a number above 0"));
    assert!(refused(Attack::IFgsm { epsilon: 0.1, alpha: f64::NAN, steps: 3 }).contains("alpha is NaN"));
    let none = Split::new(
        Tensor::zeros([0, 1, 2, 2], (Kind::Uint8, Device::Cpu)),
        Tensor::zeros([0], (Kind::Int64, Device::Cpu)),
    );
    let error = run(&Linear::new(), Attack::Fgsm { epsilon: 0.1 }, &none, 2, 1).unwrap_err().to_string();
    assert!(error.contains("no images to attack"), "{error}");
}

proptest! {
    #[test]
    fn whatever_is_proposed_stays_within_epsilon_and_the_picture_range(
        proposal in prop::collection::vec(-3f32..3.0, 8),
        start in prop::collection::vec(0f32..=1.0, 8),
        epsilon in 0.001f64..1.0,
    ) {
        let (proposal, start) = (Tensor::from_slice(&proposal), Tensor::from_slice(&start));
        let clipped = clip(&proposal, &start, epsilon);
        prop_assert!((&clipped - &start).abs().max().double_value(&[]) <= epsilon + 1e-6);
        prop_assert!(clipped.min().double_value(&[]) >= 0.0 && clipped.max().double_value(&[]) <= 1.0);
    }
}
