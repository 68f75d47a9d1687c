//! Auto-PGD (Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
//! attacks", 2020), for the L∞ norm: projected gradient descent with momentum that halves an image's step, and goes back to
//! its best point, where it does not come on. The paper's numbers and checks. Unlike the published
//! code, momentum begins anew after going back, and proposed is the point of the smallest value, not any that fooled the victim.

use tch::{Kind, Tensor};

use super::nearer;

/// Share of the way that a step has from its gradient; the rest is what the step before had.
const FROM_GRADIENT: f64 = 0.75;
/// A step is halved where it came nearer in a smaller share of the tries since the last check.
const ENOUGH: f64 = 0.75;
/// When it is first checked, as a share of the steps; by how much less each wait is, and the shortest one.
const FIRST_WAIT: f64 = 0.22;
const WAIT_LESS: f64 = 0.03;
const SHORTEST_WAIT: f64 = 0.06;

/// The pictures `[N, C, H, W]` within ε of `x` and in `[0, 1]` at which the value was the smallest, after so many steps from
/// `from`. `value_and_gradient` gives the values `[N]` of pictures, and the gradient of each at its own.
pub fn apgd(
    value_and_gradient: impl Fn(&Tensor) -> (Tensor, Tensor),
    from: &Tensor,
    x: &Tensor,
    epsilon: f64,
    steps: u32,
) -> Tensor {
    let (low, high) = ((x - epsilon).clamp_min(0.0), (x + epsilon).clamp_max(1.0));
    let within = |x: Tensor| x.clamp_tensor(Some(&low), Some(&high));
    let each = |values: &Tensor| values.reshape([-1, 1, 1, 1]);
    let mut at = within(from.shallow_clone());
    let (mut value, mut gradient) = value_and_gradient(&at);
    let (mut best, mut least, mut best_gradient) =
        (at.shallow_clone(), value.shallow_clone(), gradient.shallow_clone());
    let mut momentum = at.zeros_like();
    let mut size = value.full_like(2.0 * epsilon); // [N]
    let mut since = Since {
        came_nearer: value.zeros_like(),
        least: least.shallow_clone(),
        halved: value.ones_like().to_kind(Kind::Bool),
    };
    let (mut checked, mut checks) = (0, checks(steps).into_iter().peekable());
    for step in 1..=steps {
        let to = within(&at - each(&size) * gradient.sign());
        let next =
            if step == 1 { to } else { within(&at + (to - &at) * FROM_GRADIENT + &momentum * (1.0 - FROM_GRADIENT)) };
        momentum = &next - &at;
        at = next;
        let before = value;
        (value, gradient) = value_and_gradient(&at);
        since.came_nearer += value.less_tensor(&before).to_kind(Kind::Float);
        let record = each(&value.less_tensor(&least));
        best_gradient = gradient.where_self(&record, &best_gradient);
        (best, least) = nearer(&best, &least, &at, &value);
        if checks.next_if_eq(&step).is_some() {
            let seldom = since.came_nearer.lt(ENOUGH * f64::from(step - checked));
            let stuck = since.halved.logical_not().logical_and(&least.ge_tensor(&since.least));
            let halve = seldom.logical_or(&stuck); // [N]
            size = (&size / 2.0).where_self(&halve, &size);
            value = least.where_self(&halve, &value);
            let there = each(&halve);
            at = best.where_self(&there, &at);
            gradient = best_gradient.where_self(&there, &gradient);
            momentum = momentum.zeros_like().where_self(&there, &momentum);
            since = Since { came_nearer: value.zeros_like(), least: least.shallow_clone(), halved: halve };
            checked = step;
        }
    }
    best
}

/// What happened to each image since the last check, `[N]`.
struct Since {
    /// In how many steps its value became smaller.
    came_nearer: Tensor,
    /// The smallest value up to that check.
    least: Tensor,
    /// Whether its step was halved then.
    halved: Tensor,
}

/// The steps after which it is looked whether they are too long.
fn checks(steps: u32) -> Vec<u32> {
    let (mut at, mut wait) = (FIRST_WAIT, FIRST_WAIT);
    let mut checks = Vec::new();
    while at < 1.0 {
        // Sums of hundredths are a little off, which must not carry them to the next step.
        checks.push((at * f64::from(steps) - 1e-9).ceil() as u32);
        wait = (wait - WAIT_LESS).max(SHORTEST_WAIT);
        at += wait;
    }
    checks.dedup();
    checks
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::attack::value_and_gradient;
    use crate::turns::my_turn;

    #[test]
    fn steps_are_checked_when_the_authors_check_them() {
        assert_eq!(checks(100), [22, 41, 57, 70, 80, 87, 93, 99]);
        assert_eq!(checks(1), [1]);
    }

    /// A narrow valley: full steps jump across it, so only one that halves them comes to its ground.
    #[test]
    fn steps_that_are_too_long_are_halved() {
        let _turn = my_turn();
        let valley = |x: &Tensor| {
            value_and_gradient(x, |x| (x - 0.43).abs().flatten(1, -1).sum_dim_intlist(1, false, Kind::Float))
        };
        let x = Tensor::full([2, 1, 3, 3], 0.5, (Kind::Float, tch::Device::Cpu));
        let few = apgd(valley, &x, &x, 0.3, 5);
        let many = apgd(valley, &x, &x, 0.3, 100);
        let far = |x: &Tensor| (x - 0.43).abs().max().double_value(&[]);
        assert!(far(&many) < 0.005 && far(&many) < far(&few), "{} and {}", far(&many), far(&few));
    }

    /// Two images of one pixel, whose values and gradients are given, so that each step follows from the paper by hand: at the first check
    /// both came nearer all the time; at the second one has found nothing better since, though its last steps came nearer.
    #[test]
    fn each_image_steps_as_the_authors_say() {
        let _turn = my_turn();
        let values = [
            [1.0f32, 0.9, 0.8, 0.7, 0.6, 0.5, 0.8, 0.7, 0.65, 0.60, 0.60, 0.60],
            [1.0f32, 0.9, 0.8, 0.7, 0.6, 0.5, 0.8, 0.7, 0.65, 0.40, 0.60, 0.60],
        ];
        let points = [
            // Back at the fifth point, with half the step and no momentum.
            [0.5, 0.1, 0.6, 0.35, 0.7, 0.3375, 0.66875, 0.325, 0.670_312_5, 0.328_906_25, 0.6375, 0.4125],
            [0.5, 0.1, 0.6, 0.35, 0.7, 0.3375, 0.66875, 0.325, 0.670_312_5, 0.328_906_25, 0.671_875, 0.328_710_94],
        ];
        assert_eq!(checks(20)[..3], [5, 9, 12]);
        let both = |of: &dyn Fn(usize) -> f32| Tensor::from_slice(&[of(0), of(1)]);
        let pixels = |of: &dyn Fn(usize) -> f32| both(of).reshape([2, 1, 1, 1]);
        let asked = Cell::new(0);
        let given = |x: &Tensor| {
            let step = asked.replace(asked.get() + 1);
            let (value, sign) = if step < 12 {
                let expected = pixels(&|image| points[image][step]);
                assert!(x.allclose(&expected, 0.0, 1e-6, false), "step {step}: {x}");
                (both(&|image| values[image][step]), if step.is_multiple_of(2) { 1.0 } else { -1.0 })
            } else {
                (both(&|_| 0.6), 1.0)
            };
            (value, x.full_like(sign))
        };
        let x = Tensor::full([2, 1, 1, 1], 0.5, (Kind::Float, tch::Device::Cpu));
        let found = apgd(given, &x, &x, 0.4, 20);
        assert_eq!(asked.get(), 21);
        assert!(found.allclose(&pixels(&|image| points[image][[5, 9][image]]), 0.0, 1e-6, false), "{found}");
    }

    /// The nearest point of the goal lies outside.
    #[test]
    fn nothing_is_proposed_outside_the_ball_or_that_is_no_picture() {
        let _turn = my_turn();
        let x = Tensor::from_slice(&[0.1f32, 0.5, 0.9, 0.5]).reshape([2, 1, 1, 2]);
        let up = |x: &Tensor| value_and_gradient(x, |x| -x.flatten(1, -1).sum_dim_intlist(1, false, Kind::Float));
        let found = apgd(up, &(&x - 0.7), &x, 0.3, 20);
        assert!(
            found.allclose(&Tensor::from_slice(&[0.4f32, 0.8, 1.0, 0.8]).reshape([2, 1, 1, 2]), 0.0, 1e-6, false),
            "{found:?}"
        );
    }
}
