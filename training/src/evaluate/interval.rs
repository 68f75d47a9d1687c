//! How far an accuracy on few images can be believed.

/// Quantile of the normal distribution for intervals of 95 %.
const Z: f64 = 1.96;

/// The 95 % interval of an accuracy in percent, measured on `n` images (Wilson, 1927): where the accuracy on all images of the kind
/// lies. Unlike the normal approximation it says something of 0 and 100 % too.
pub(crate) fn wilson(percent: f64, n: usize) -> (f64, f64) {
    let (share, n) = (percent / 100.0, n as f64);
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    (100.0 * (middle - half).max(0.0), 100.0 * (middle + half).min(1.0))
}

/// Whether other images would hardly turn it round: the 95 % interval of the difference of two accuracies in percent, each with its
/// number of images, with a success and a failure added to either (Agresti and Caffo, 2000).
pub(crate) fn clearly_above(above: (f64, usize), below: (f64, usize)) -> bool {
    let estimate = |(percent, n): (f64, usize)| {
        let n = n as f64;
        let share = (percent / 100.0 * n + 1.0) / (n + 2.0);
        (share, share * (1.0 - share) / (n + 2.0))
    };
    let ((above, spread), (below, other)) = (estimate(above), estimate(below));
    above - below > Z * (spread + other).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_wilsons() {
        // Brown, Cai and DasGupta (2001) and the closed form n / (n + z²) at the ends.
        let close = |(low, high): (f64, f64), expected: (f64, f64)| {
            assert!((low - expected.0).abs() < 0.05 && (high - expected.1).abs() < 0.05, "{low} {high}");
        };
        close(wilson(0.0, 64), (0.0, 5.66));
        close(wilson(100.0, 64), (94.34, 100.0));
        close(wilson(50.0, 100), (40.38, 59.62));
    }

    #[test]
    fn a_difference_is_clear_where_other_images_would_hardly_turn_it_round() {
        assert!(clearly_above((60.0, 1000), (50.0, 1000)));
        assert!(!clearly_above((60.0, 20), (50.0, 20)));
        assert!(!clearly_above((50.0, 1000), (60.0, 1000)));
    }
}
