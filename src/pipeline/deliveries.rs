//! When verdicts came and how old they were, over a run whose length nobody knows, in a fixed amount of memory.
//!
//! Every delivery is kept at first. Each time there is no room left, the resolution is halved: of each pair of
//! neighbours the one with the longer response stays, and from then on one entry stands for twice as many
//! deliveries. So a stall is seen at the end of the run however early it came.

use std::time::Duration;

/// Time since the run's start, and response time.
type Delivery = (Duration, Duration);

pub(super) struct Deliveries {
    limit: usize,
    kept: Vec<Delivery>,
    /// For how many deliveries one entry stands.
    stride: u64,
    /// The slowest of the deliveries that have no entry yet, and how many these are.
    slowest: Option<Delivery>,
    pending: u64,
}

impl Deliveries {
    /// For at most `limit` entries, an even number above 0; room for all of them is made here.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::with_capacity(limit), stride: 1, slowest: None, pending: 0 }
    }

    pub(super) fn push(&mut self, delivery: Delivery) {
        self.slowest = Some(self.slowest.map_or(delivery, |other| slower(other, delivery)));
        self.pending += 1;
        if self.pending == self.stride {
            self.keep();
        }
    }

    /// Makes one entry of what is pending.
    fn keep(&mut self) {
        let Some(slowest) = self.slowest.take() else { return };
        self.pending = 0;
        self.kept.push(slowest);
        if self.kept.len() == self.limit {
            for pair in 0..self.limit / 2 {
                self.kept[pair] = slower(self.kept[2 * pair], self.kept[2 * pair + 1]);
            }
            self.kept.truncate(self.limit / 2);
            self.stride *= 2;
        }
    }

    /// The entries in the order of time, and for how many deliveries each stands (the last perhaps for fewer).
    pub(super) fn into_parts(mut self) -> (Vec<Delivery>, u64) {
        let stride = self.stride;
        self.kept.extend(self.slowest.take());
        (self.kept, stride)
    }
}

fn slower(one: Delivery, other: Delivery) -> Delivery {
    if other.1 > one.1 { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: usize, responses: &[u64]) -> (Vec<(u64, u64)>, u64) {
        let mut deliveries = Deliveries::new(limit);
        let room = deliveries.kept.capacity();
        for (at, &response) in (0..).zip(responses) {
            deliveries.push((Duration::from_secs(at), Duration::from_secs(response)));
        }
        assert_eq!(deliveries.kept.capacity(), room, "nothing is allocated on the way");
        let (kept, stride) = deliveries.into_parts();
        (kept.iter().map(|(at, response)| (at.as_secs(), response.as_secs())).collect(), stride)
    }

    #[test]
    fn a_short_run_is_kept_whole() {
        assert_eq!(kept(4, &[]), (vec![], 1));
        assert_eq!(kept(4, &[5, 6, 7]), (vec![(0, 5), (1, 6), (2, 7)], 1));
    }

    #[test]
    fn a_full_run_is_thinned_to_the_slower_of_each_pair() {
        assert_eq!(kept(4, &[1, 2, 9, 3]), (vec![(1, 2), (2, 9)], 2));
        assert_eq!(kept(4, &[1, 2, 9, 3, 4]), (vec![(1, 2), (2, 9), (4, 4)], 2));
    }

    #[test]
    fn an_early_stall_is_still_there_after_a_long_run() {
        let mut responses = vec![1; 10_000];
        responses[3] = 50;
        let (kept, stride) = kept(8, &responses);
        assert!((4..=8).contains(&kept.len()) && stride == 2048, "{kept:?} {stride}");
        assert_eq!(kept[0], (3, 50));
        assert!(kept.is_sorted());
    }
}
