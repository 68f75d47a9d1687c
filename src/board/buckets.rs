//! Durations counted in a few fixed ranges, one of which ends exactly at the deadline: unlike a full histogram they are
//! cheap to copy out, and can be added up over processes and time by whoever collects them.

use std::time::Duration;

use crate::deadline::Deadline;

/// 50 µs to 10 s.
const FIXED_US: [u64; 17] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000,
];
/// The fixed edges, the deadline, and what lies above them all.
const RANGES: usize = FIXED_US.len() + 2;

/// The upper edges of the ranges, rising; each range holds its upper edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edges(Vec<Duration>);

impl Edges {
    /// The fixed ones, and the deadline itself: the durations up to it are exactly those that are on time.
    #[must_use]
    pub fn around(deadline: Deadline) -> Self {
        let mut edges: Vec<Duration> = FIXED_US.into_iter().map(Duration::from_micros).collect();
        if let Err(place) = edges.binary_search(&deadline.get()) {
            edges.insert(place, deadline.get());
        }
        Self(edges)
    }
}

/// How many durations fell into each range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buckets {
    counts: [u64; RANGES],
    sum: Duration,
}

impl Buckets {
    /// Enters one duration.
    pub(super) fn record(&mut self, edges: &Edges, duration: Duration) {
        self.counts[edges.0.partition_point(|edge| *edge < duration)] += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    /// Each edge with the number of durations up to it.
    pub fn cumulative(&self, edges: &Edges) -> impl Iterator<Item = (Duration, u64)> {
        let mut below = 0;
        edges.0.iter().zip(self.counts).map(move |(edge, count)| {
            below += count;
            (*edge, below)
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn what_is_exactly_on_time_lies_below_the_edge_of_the_deadline() {
        let edges = Edges::around(Deadline::new(us(33_000)).unwrap());
        let mut buckets = Buckets::default();
        for duration in [us(0), us(33_000), us(33_001), us(3_600_000_000)] {
            buckets.record(&edges, duration);
        }
        let cumulative: Vec<_> = buckets.cumulative(&edges).collect();
        assert_eq!(cumulative.len(), FIXED_US.len() + 1);
        assert_eq!(cumulative[0], (us(50), 1));
        assert!(cumulative.contains(&(us(20_000), 1)) && cumulative.contains(&(us(33_000), 2)));
        assert_eq!((cumulative.last(), buckets.count()), (Some(&(us(10_000_000), 3)), 4));
        assert_eq!(buckets.sum(), us(3_600_066_001));
    }

    #[test]
    fn a_deadline_on_a_fixed_edge_gives_no_second_one_and_one_above_them_all_has_its_place() {
        let edges = |deadline| Edges::around(Deadline::new(deadline).unwrap()).0;
        assert_eq!(edges(us(50_000)).len(), FIXED_US.len());
        let mut buckets = Buckets::default();
        let high = Edges::around(Deadline::new(us(60_000_000)).unwrap());
        buckets.record(&high, us(60_000_001));
        assert_eq!(buckets.cumulative(&high).last(), Some((us(60_000_000), 0)));
        assert_eq!(buckets.count(), 1);
    }
}
