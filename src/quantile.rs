//! Quantiles of a few values that are all at hand; of many there are histograms ([`crate::latency`]).

/// The smallest of `sorted` that `percent` of them do not exceed (nearest rank); `None` of none.
#[must_use]
pub fn nearest_rank<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_rounded_up_and_the_median_of_two_is_the_smaller() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!([0, 1, 50, 99, 100].map(|percent| nearest_rank(&hundred, percent)), [1, 1, 50, 99, 100].map(Some));
        assert_eq!([50, 99].map(|percent| nearest_rank(&[1, 2], percent)), [Some(1), Some(2)]);
        assert_eq!(nearest_rank::<u32>(&[], 50), None);
    }
}
