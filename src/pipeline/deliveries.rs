//! When verdicts came, how old they were and how old the ones before had become, over a run whose length nobody knows, in a
//! fixed amount of memory.
//!
//! Every delivery is kept at first. Each time there is no room left, the resolution is halved: of each pair of
//! neighbours the one with the longer response stays, with the higher peak of the two, and from then on one entry stands for
//! twice as many deliveries. So a stall is seen at the end of the run however early it came, and no peak is lost or invented.

use super::summary::Delivery;

pub(super) struct Deliveries {
    limit: usize,
    kept: Vec<Delivery>,
    /// For how many deliveries one entry stands.
    stride: u64,
    /// What the deliveries come to that have no entry yet, and how many these are.
    merged: Option<Delivery>,
    pending: u64,
}

impl Deliveries {
    /// For at most `limit` entries, an even number above 0; room for all of them is made here.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::with_capacity(limit), stride: 1, merged: None, pending: 0 }
    }

    pub(super) fn push(&mut self, delivery: Delivery) {
        self.merged = Some(self.merged.map_or(delivery, |other| merge(other, delivery)));
        self.pending += 1;
        if self.pending == self.stride {
            self.keep();
        }
    }

    /// Makes one entry of what is pending.
    fn keep(&mut self) {
        let Some(merged) = self.merged.take() else { return };
        self.pending = 0;
        self.kept.push(merged);
        if self.kept.len() == self.limit {
            for pair in 0..self.limit / 2 {
                self.kept[pair] = merge(self.kept[2 * pair], self.kept[2 * pair + 1]);
            }
            self.kept.truncate(self.limit / 2);
            self.stride *= 2;
        }
    }

    /// The entries in the order of time, and for how many deliveries each stands (the last perhaps for fewer).
    pub(super) fn into_parts(mut self) -> (Vec<Delivery>, u64) {
        let stride = self.stride;
        self.kept.extend(self.merged.take());
        (self.kept, stride)
    }
}

/// The slower of two neighbours, with the higher peak.
fn merge(one: Delivery, other: Delivery) -> Delivery {
    let slower = if other.response > one.response { other } else { one };
    Delivery { peak_age: one.peak_age.max(other.peak_age), ..slower }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// One delivery each second with these response times and peaks.
    fn kept(limit: usize, values: &[(u64, u64)]) -> (Vec<(u64, u64, u64)>, u64) {
        let seconds = Duration::from_secs;
        let mut deliveries = Deliveries::new(limit);
        let room = deliveries.kept.capacity();
        for (at, &(response, peak)) in (0..).zip(values) {
            deliveries.push(Delivery { at: seconds(at), response: seconds(response), peak_age: seconds(peak) });
        }
        assert_eq!(deliveries.kept.capacity(), room, "nothing is allocated on the way");
        let (kept, stride) = deliveries.into_parts();
        let entry = |kept: &Delivery| (kept.at.as_secs(), kept.response.as_secs(), kept.peak_age.as_secs());
        (kept.iter().map(entry).collect(), stride)
    }

    #[test]
    fn a_short_run_is_kept_whole() {
        assert_eq!(kept(4, &[]), (vec![], 1));
        assert_eq!(kept(4, &[(5, 0), (6, 6), (7, 7)]), (vec![(0, 5, 0), (1, 6, 6), (2, 7, 7)], 1));
    }

    #[test]
    fn a_full_run_is_thinned_to_the_slower_of_each_pair_and_its_higher_peak() {
        let values = [(1, 8), (2, 3), (9, 4), (3, 5)];
        assert_eq!(kept(4, &values), (vec![(1, 2, 8), (2, 9, 5)], 2));
        assert_eq!(kept(4, &[&values[..], &[(4, 6)]].concat()), (vec![(1, 2, 8), (2, 9, 5), (4, 4, 6)], 2));
    }

    #[test]
    fn an_early_stall_is_still_there_after_a_long_run() {
        let mut values = vec![(1, 2); 10_000];
        values[3] = (50, 60);
        let (kept, stride) = kept(8, &values);
        assert!((4..=8).contains(&kept.len()) && stride == 2048, "{kept:?} {stride}");
        assert_eq!(kept[0], (3, 50, 60));
        assert!(kept.is_sorted() && kept[1..].iter().all(|entry| entry.2 == 2), "{kept:?}");
    }
}
