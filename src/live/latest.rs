//! The newest verdict with its pictures, and the last response times: a few slots that are written over and over.
//!
//! Pictures are copied only when those before them have been taken, so at the pace of the drawing and not of the frames;
//! the rest is a few bytes. The lock is held for that copy, or for exchanging two buffers.

use std::sync::Arc;
use std::time::Duration;

use ndarray::Array4;
use parking_lot::Mutex;

use crate::clock::nanoseconds;
use crate::frame::FrameId;
use crate::pipeline::{FrameTensors, Outcome, Verdicts};
use crate::quantile::nearest_rank;

/// Frames whose response times are kept.
pub(super) const KEPT: usize = 512;
/// Instead of a response time: there was no verdict.
const NO_VERDICT: u64 = u64::MAX;

#[derive(Clone, Default)]
pub(super) struct Latest(Arc<Mutex<Slots>>);

#[derive(Default)]
struct Slots {
    verdict: Option<NewestVerdict>,
    shot: Shot,
    /// Whether `shot` was not taken yet.
    fresh: bool,
    times: Ring,
}

/// What was said of the newest frame with a verdict.
#[derive(Debug, Clone)]
pub(super) struct NewestVerdict {
    pub(super) frame: FrameId,
    pub(super) label: Option<usize>,
    pub(super) verdicts: Verdicts,
}

/// Its regions as the models saw them, or those of a frame shortly before it.
#[derive(Debug, Default)]
pub(super) struct Shot {
    /// `[R, C, H, W]`
    pub(super) input: Array4<f32>,
    /// `[R, C, H, W]`
    pub(super) purified: Array4<f32>,
}

/// Response times of the last [`KEPT`] frames, in the order of their fates.
#[derive(Clone)]
pub(super) struct Ring {
    ns: [u64; KEPT],
    /// Frames so far.
    count: u64,
    longest_ns: u64,
}

/// What is drawn.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) verdict: Option<NewestVerdict>,
    pub(super) shot: Shot,
    pub(super) times: Ring,
}

impl Default for Ring {
    fn default() -> Self {
        Self { ns: [0; KEPT], count: 0, longest_ns: 0 }
    }
}

impl Latest {
    pub(super) fn enter(&self, outcome: &Outcome, pictures: Option<&FrameTensors>) {
        let Outcome { frame, label, ref verdicts, .. } = *outcome;
        let slots = &mut *self.0.lock();
        slots.times.push(verdicts.iter().map(|verdict| verdict.response).max());
        if verdicts.is_empty() {
            return;
        }
        slots.verdict = Some(NewestVerdict { frame, label, verdicts: verdicts.clone() });
        if let Some(pictures) = pictures
            && !slots.fresh
        {
            copy(&pictures.input, &mut slots.shot.input);
            copy(&pictures.purified.frames, &mut slots.shot.purified);
            slots.fresh = true;
        }
    }

    /// Brings `shown` up to date.
    pub(super) fn take(&self, shown: &mut Shown) {
        let slots = &mut *self.0.lock();
        shown.verdict.clone_from(&slots.verdict);
        shown.times.clone_from(&slots.times);
        if slots.fresh {
            std::mem::swap(&mut shown.shot, &mut slots.shot);
            slots.fresh = false;
        }
    }
}

/// Allocates only when the shape is another than before.
fn copy(from: &Array4<f32>, to: &mut Array4<f32>) {
    if from.dim() == to.dim() {
        to.assign(from);
    } else {
        to.clone_from(from);
    }
}

impl Ring {
    pub(super) fn push(&mut self, response: Option<Duration>) {
        let ns = response.map(|response| nanoseconds(response).min(NO_VERDICT - 1));
        self.ns[(self.count % KEPT as u64) as usize] = ns.unwrap_or(NO_VERDICT);
        self.longest_ns = self.longest_ns.max(ns.unwrap_or(0));
        self.count += 1;
    }

    /// The newest first; `None` of a frame without a verdict.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = Option<Duration>> {
        let kept = self.count.min(KEPT as u64);
        (1..=kept).map(|back| {
            let ns = self.ns[((self.count - back) % KEPT as u64) as usize];
            (ns != NO_VERDICT).then(|| Duration::from_nanos(ns))
        })
    }

    /// Median, 99 % quantile and longest of those kept, and the longest of all.
    pub(super) fn quantiles(&self) -> Option<[Duration; 4]> {
        let mut kept: Vec<Duration> = self.newest_first().flatten().collect();
        kept.sort_unstable();
        let at = |percent| nearest_rank(&kept, percent);
        Some([at(50)?, at(99)?, at(100)?, Duration::from_nanos(self.longest_ns)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::StampSource;
    use crate::ledger::Fate;
    use crate::model::spec::InputShape;
    use crate::pipeline::Verdict;
    use crate::purifier::Purified;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn outcome(frame: u64, response: Option<Duration>) -> Outcome {
        let verdict = |response| Verdict {
            region: 0,
            class: 0,
            confidence: 1.0,
            purified: true,
            label_star: None,
            distance: None,
            score: None,
            suspect: false,
            response,
        };
        Outcome {
            frame: FrameId(frame),
            fate: if response.is_some() { Fate::OnTime } else { Fate::Late },
            captured_at: ms(0),
            stamp_source: StampSource::Dequeue,
            label: None,
            times: Default::default(),
            verdicts: response.into_iter().map(verdict).collect(),
            held: None,
        }
    }

    #[test]
    fn the_last_frames_are_kept_and_the_longest_of_all() {
        let mut ring = Ring::default();
        assert!(ring.quantiles().is_none());
        ring.push(Some(ms(900)));
        (0..KEPT as u64 - 2).for_each(|_| ring.push(Some(ms(2))));
        ring.push(None);
        assert_eq!(ring.quantiles(), Some([ms(2), ms(2), ms(900), ms(900)]));
        (1..=10).for_each(|response| ring.push(Some(ms(response))));
        assert_eq!(ring.newest_first().take(12).last(), Some(Some(ms(2))));
        assert_eq!(ring.newest_first().nth(10), Some(None));
        assert_eq!(ring.newest_first().count(), KEPT);
        assert_eq!(ring.quantiles(), Some([ms(2), ms(5), ms(10), ms(900)]));
    }

    #[test]
    fn a_picture_is_copied_when_the_one_before_was_taken_and_the_verdict_is_always_the_newest() {
        let latest = Latest::default();
        let mut shown = Shown::default();
        let enter = |frame: u64| {
            let mut pictures = FrameTensors::new(Purified::new(1, InputShape { channels: 1, height: 1, width: 1 }));
            pictures.input.fill(frame as f32);
            latest.enter(&outcome(frame, Some(ms(1))), Some(&pictures));
        };
        let mut look = |latest: &Latest| {
            latest.take(&mut shown);
            (shown.verdict.as_ref().unwrap().frame.0, shown.shot.input[(0, 0, 0, 0)])
        };
        enter(1);
        assert_eq!(look(&latest), (1, 1.0));
        enter(2);
        enter(3);
        latest.enter(&outcome(4, None), None);
        assert_eq!(look(&latest), (3, 2.0));
        assert_eq!(look(&latest), (3, 2.0), "nothing came since");
        enter(5);
        assert_eq!(look(&latest), (5, 5.0));
    }
}
