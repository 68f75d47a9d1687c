//! Numbers and stamps of a camera's frames, out of what the driver says.

use std::time::{Duration, Instant};

use crate::frame::{Capture, FrameId, StampSource};

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

impl Meter {
    /// The capture of a frame with the driver's number `sequence`, taken from it at `dequeued_at`, when it was `age` old by
    /// the driver's stamp; `None` for a stamp by another clock, or from the future.
    ///
    /// A stamp that lies before that of the frame before stays as it is: the pipeline corrects and counts it.
    pub(super) fn capture(&mut self, sequence: Option<u32>, dequeued_at: Instant, age: Option<Duration>) -> Capture {
        let lost = self.lost(sequence);
        let id = FrameId(self.next + lost);
        self.next = id.0 + 1;
        let (at, stamp_source) = match age.and_then(|age| dequeued_at.checked_sub(age)) {
            Some(stamp) => (stamp, StampSource::Driver),
            None => (dequeued_at, StampSource::Dequeue),
        };
        Capture { id, lost, at, stamp_source }
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

    fn numbers(sequences: &[u32]) -> Vec<(u64, u64)> {
        let (mut meter, start) = (Meter::default(), SimulatedClock::new().start());
        let capture = |sequence: &u32| meter.capture(Some(*sequence), start, None);
        sequences.iter().map(capture).map(|capture| (capture.id.0, capture.lost)).collect()
    }

    #[test]
    fn a_gap_in_the_drivers_numbers_is_what_was_lost() {
        assert_eq!(numbers(&[7, 8, 10, 14]), [(0, 0), (1, 0), (3, 1), (7, 3)]);
    }

    #[test]
    fn the_drivers_numbers_may_run_over() {
        assert_eq!(numbers(&[u32::MAX - 1, 1]), [(0, 0), (3, 2)]);
    }

    #[test]
    fn a_driver_that_does_not_count_or_begins_anew_has_lost_nothing() {
        assert_eq!(numbers(&[0, 0, 0]), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(numbers(&[5, 6, 0, 1]), [(0, 0), (1, 0), (2, 0), (3, 0)]);
        let jump = [7, 8 + MOST_LOST, 9 + MOST_LOST, 9 + 2 * MOST_LOST];
        assert_eq!(numbers(&jump), [(0, 0), (1, 0), (2, 0), (2 + u64::from(MOST_LOST), u64::from(MOST_LOST) - 1)]);
    }

    #[test]
    fn the_drivers_stamp_counts_where_there_is_one() {
        let (mut meter, start) = (Meter::default(), SimulatedClock::new().start());
        let ms = Duration::from_millis;
        let mut stamp = |at: u64, age: Option<u64>| {
            let capture = meter.capture(None, start + ms(at), age.map(ms));
            (capture.at - start, capture.stamp_source)
        };
        assert_eq!(stamp(100, Some(20)), (ms(80), StampSource::Driver));
        assert_eq!(stamp(133, Some(53)), (ms(80), StampSource::Driver), "twice the same stamp is possible");
        assert_eq!(
            stamp(166, Some(90)),
            (ms(76), StampSource::Driver),
            "before the frame before: rather too old than too young"
        );
        assert_eq!(stamp(200, None), (ms(200), StampSource::Dequeue));
        assert_eq!(stamp(233, Some(10)), (ms(223), StampSource::Driver));
    }
}
