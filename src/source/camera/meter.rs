//! Numbers and stamps of a camera's frames, out of what the driver says.

use std::time::{Duration, Instant};

use crate::frame::{FrameId, StampSource};

/// A larger gap in the driver's numbers is none: an hour at 30 frames a second, in which a camera would have been opened
/// again.
const MOST_LOST: u32 = 100_000;

/// Counts the frames of one opening.
#[derive(Debug, Default)]
pub(super) struct Meter {
    next: u64,
    /// The driver's number of the frame before.
    sequence: Option<u32>,
    /// Whether the driver's numbers have begun anew: one line in the log.
    begun_anew: bool,
}

/// A frame's place in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: FrameId,
    pub(super) lost: u64,
    pub(super) captured_at: Instant,
    pub(super) stamp_source: StampSource,
}

impl Meter {
    /// The place of a frame with the driver's number `sequence`, taken from it at `dequeued_at`, when it was `age` old by
    /// the driver's stamp; `None` for a stamp by another clock, or from the future.
    ///
    /// A stamp that lies before that of the frame before stays as it is: the pipeline corrects and counts it.
    pub(super) fn place(&mut self, sequence: Option<u32>, dequeued_at: Instant, age: Option<Duration>) -> Place {
        let lost = self.lost(sequence);
        let id = FrameId(self.next + lost);
        self.next = id.0 + 1;
        let (captured_at, stamp_source) = match age.and_then(|age| dequeued_at.checked_sub(age)) {
            Some(stamp) => (stamp, StampSource::Driver),
            None => (dequeued_at, StampSource::Dequeue),
        };
        Place { id, lost, captured_at, stamp_source }
    }

    /// Frames that the driver counted between the one before and this one. One that does not count, or begins anew,
    /// lower or far higher, has lost none.
    fn lost(&mut self, sequence: Option<u32>) -> u64 {
        let before = std::mem::replace(&mut self.sequence, sequence);
        match (before, sequence) {
            (Some(before), Some(sequence)) => match sequence.wrapping_sub(before) {
                0 => 0,
                ahead @ 1..=MOST_LOST => u64::from(ahead - 1),
                _ => {
                    if !std::mem::replace(&mut self.begun_anew, true) {
                        tracing::warn!("the camera's frame numbers went from {before} to {sequence}, and begin anew");
                    }
                    0
                }
            },
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    fn places(sequences: &[u32]) -> Vec<(u64, u64)> {
        let (mut meter, start) = (Meter::default(), SimulatedClock::new().start());
        let place = |sequence: &u32| meter.place(Some(*sequence), start, None);
        sequences.iter().map(place).map(|place| (place.id.0, place.lost)).collect()
    }

    #[test]
    fn a_gap_in_the_drivers_numbers_is_what_was_lost() {
        assert_eq!(places(&[7, 8, 10, 14]), [(0, 0), (1, 0), (3, 1), (7, 3)]);
    }

    #[test]
    fn the_drivers_numbers_may_run_over() {
        assert_eq!(places(&[u32::MAX - 1, 1]), [(0, 0), (3, 2)]);
    }

    #[test]
    fn a_driver_that_does_not_count_or_begins_anew_has_lost_nothing() {
        assert_eq!(places(&[0, 0, 0]), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(places(&[5, 6, 0, 1]), [(0, 0), (1, 0), (2, 0), (3, 0)]);
        let jump = [7, 8 + MOST_LOST, 9 + MOST_LOST, 9 + 2 * MOST_LOST];
        assert_eq!(places(&jump), [(0, 0), (1, 0), (2, 0), (2 + u64::from(MOST_LOST), u64::from(MOST_LOST) - 1)]);
    }

    #[test]
    fn the_drivers_stamp_counts_where_there_is_one() {
        let (mut meter, start) = (Meter::default(), SimulatedClock::new().start());
        let ms = Duration::from_millis;
        let mut place = |at: u64, age: Option<u64>| {
            let place = meter.place(None, start + ms(at), age.map(ms));
            (place.captured_at - start, place.stamp_source)
        };
        assert_eq!(place(100, Some(20)), (ms(80), StampSource::Driver));
        assert_eq!(place(133, Some(53)), (ms(80), StampSource::Driver), "twice the same stamp is possible");
        assert_eq!(
            place(166, Some(90)),
            (ms(76), StampSource::Driver),
            "before the frame before: rather too old than too young"
        );
        assert_eq!(place(200, None), (ms(200), StampSource::Dequeue));
        assert_eq!(place(233, Some(10)), (ms(223), StampSource::Driver));
    }
}
