//! Square Attack: random search without gradients (Andriushchenko et al., "Square Attack: a query-efficient black-box
//! adversarial attack via random search", 2020), for the L∞ norm. A square whose draw would change nothing takes the other
//! sign; the published code draws again until something changes.

use tch::{Kind, Tensor};

use super::nearer;
use crate::progress::ProgressBar;

/// Share of a picture that the first square covers, the published choice for MNIST.
const FIRST_SHARE: f64 = 0.8;
/// Queries of 10,000 after which the share is halved.
const HALVED_AFTER: [f64; 9] = [10.0, 50.0, 200.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0, 8000.0];

/// The pictures `[N, C, H, W]` within ε of `x` at which `loss` `[N]` was the smallest: stripes at first, then squares of ±ε that
/// are kept where they make it smaller. Randomness is torch's, which `begin` begins for each query, by its number: a `loss` that draws
/// as well can draw the same each time. `bar` counts the queries.
pub fn square(
    loss: impl Fn(&Tensor) -> Tensor,
    x: &Tensor,
    epsilon: f64,
    queries: u32,
    begin: impl Fn(u32),
    bar: &ProgressBar,
) -> Tensor {
    let (n, channels, height, width) = x.size4().expect("pictures have four dimensions");
    let like = (Kind::Float, x.device());
    let signs = |shape: [i64; 4]| Tensor::randint(2, shape, like) * 2.0 - 1.0;
    let moved = |signs: &Tensor| (x + signs * epsilon).clamp(0.0, 1.0);
    begin(0);
    let mut best = moved(&signs([n, channels, 1, width]));
    let mut least = loss(&best);
    bar.inc(1);
    for query in 1..queries {
        begin(query);
        let side = side(f64::from(query) / f64::from(queries), height.min(width));
        let inside = |length: i64, shape: [i64; 4]| {
            let first = Tensor::randint(length - side + 1, [n, 1, 1, 1], like);
            let at = Tensor::arange(length, like).reshape(shape);
            at.ge_tensor(&first).logical_and(&at.lt_tensor(&(first + side)))
        };
        let here = inside(height, [1, 1, -1, 1]).logical_and(&inside(width, [1, 1, 1, -1])); // [N, 1, H, W]
        let signs = signs([n, channels, 1, 1]);
        let with = |signs: &Tensor| moved(signs).where_self(&here, &best);
        let proposal = with(&signs);
        let changes = (&proposal - &best).abs().flatten(1, -1).amax(1, false).gt(0.0); // [N]
        let proposal = proposal.where_self(&changes.reshape([-1, 1, 1, 1]), &with(&-signs));
        let found = loss(&proposal);
        (best, least) = nearer(&best, &least, &proposal, &found);
        bar.inc(1);
    }
    best
}

/// Side of the squares, in pixels, after this share of the queries.
fn side(spent: f64, picture_px: i64) -> i64 {
    let halvings = HALVED_AFTER.iter().filter(|&&after| spent * 1e4 > after).count() as i32;
    let share = FIRST_SHARE / 2f64.powi(halvings);
    ((share.sqrt() * picture_px as f64).round() as i64).clamp(1, picture_px)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::turns::my_turn;

    #[test]
    fn squares_shrink_from_most_of_the_picture_to_a_pixel() {
        let sides: Vec<i64> = [0.0, 0.002, 0.03, 0.3, 0.7, 1.0].map(|spent| side(spent, 28)).into();
        assert_eq!(sides, [25, 18, 9, 3, 2, 1]);
    }

    #[test]
    fn the_search_comes_nearer_within_its_ball() {
        let _turn = my_turn();
        tch::manual_seed(1);
        let x = Tensor::full([3, 1, 8, 8], 0.5, (Kind::Float, tch::Device::Cpu));
        let dark = |x: &Tensor| x.flatten(1, -1).mean_dim(1, false, Kind::Float);
        let found = square(dark, &x, 0.2, 300, |_| {}, &ProgressBar::hidden());
        assert!((&found - &x).abs().max().double_value(&[]) <= 0.2 + 1e-6);
        let left = dark(&found).max().double_value(&[]);
        assert!(left < 0.32, "{left}, and the darkest allowed is 0.3");
    }

    #[test]
    fn every_query_asks_of_another_picture_than_the_best_so_far() {
        let _turn = my_turn();
        tch::manual_seed(1);
        let black = Tensor::zeros([1, 1, 8, 8], (Kind::Float, tch::Device::Cpu));
        let best = RefCell::new((1.0, &black + 1.0));
        let dark = |x: &Tensor| {
            let loss = x.flatten(1, -1).mean_dim(1, false, Kind::Float);
            let mut best = best.borrow_mut();
            assert_ne!(*x, best.1, "a query for nothing");
            if loss.double_value(&[0]) < best.0 {
                *best = (loss.double_value(&[0]), x.copy());
            }
            loss
        };
        let found = square(dark, &black, 0.3, 1_000, |_| {}, &ProgressBar::hidden());
        assert_eq!(found, black, "from here on half of the signs would change nothing");
    }
}
