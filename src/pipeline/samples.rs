//! A few pictures for the report, spread evenly over a run whose length nobody knows.
//!
//! Every frame is kept at first; each time there is no room left, every second one is given up and from then
//! on half as many are kept. So there are between half of `limit` and `limit` in the end.

use ndarray::{Array4, Axis, Slice};

use super::outcome::{FrameTensors, Outcome};
use super::summary::Sample;

/// The longest side of a picture that is kept, so that a report does not grow with the models' input.
const MAX_SIDE_PX: usize = 256;

pub(super) struct Samples {
    limit: usize,
    kept: Vec<Sample>,
    /// One of how many delivered frames is kept.
    stride: u64,
    offered: u64,
}

impl Samples {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), stride: 1, offered: 0 }
    }

    pub(super) fn offer(&mut self, outcome: &Outcome, pictures: &FrameTensors) {
        let wanted = self.limit > 0 && self.offered.is_multiple_of(self.stride);
        self.offered += 1;
        if !wanted {
            return;
        }
        if self.kept.len() == self.limit {
            self.stride *= 2;
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            if !(self.offered - 1).is_multiple_of(self.stride) {
                return;
            }
        }
        if self.kept.len() < self.limit {
            self.kept.push(sample(outcome, pictures));
        }
    }

    pub(super) fn into_vec(self) -> Vec<Sample> {
        self.kept
    }
}

fn sample(outcome: &Outcome, pictures: &FrameTensors) -> Sample {
    let (_, channels, height, width) = pictures.input.dim();
    let step = height.max(width).div_ceil(MAX_SIDE_PX).max(1);
    let purified = outcome.verdict().is_some_and(|verdict| verdict.purified);
    Sample {
        outcome: outcome.clone(),
        width: width.div_ceil(step),
        height: height.div_ceil(step),
        channels,
        input: bytes(&pictures.input, step),
        purified: purified.then(|| bytes(&pictures.purified.frames, step)),
    }
}

/// Every `step`-th pixel, both ways, of the first picture of `[R, C, H, W]` in `[0, 1]` to bytes, row by row, channels interleaved.
fn bytes(tensor: &Array4<f32>, step: usize) -> Vec<u8> {
    let every = Slice::new(0, None, isize::try_from(step).expect("a side fits into memory"));
    let first = tensor.slice_axis(Axis(0), Slice::from(..1));
    let rows = first.slice_axis(Axis(2), every);
    let pixels = rows.slice_axis(Axis(3), every).permuted_axes([0, 2, 3, 1]);
    pixels.iter().map(|value| (value * 255.0).round() as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameId, StampSource};
    use crate::ledger::Fate;
    use crate::model::spec::InputShape;
    use crate::purifier::Purified;
    use std::time::Duration;

    fn outcome(frame: u64) -> Outcome {
        Outcome {
            frame: FrameId(frame),
            fate: Fate::OnTime,
            captured_at: Duration::ZERO,
            stamp_source: StampSource::Dequeue,
            label: None,
            times: Default::default(),
            verdicts: Default::default(),
            held: None,
        }
    }

    fn kept(limit: usize, frames: u64) -> Vec<u64> {
        let pictures = FrameTensors::new(Purified::new(1, InputShape { channels: 1, height: 1, width: 1 }));
        let mut samples = Samples::new(limit);
        (0..frames).for_each(|frame| samples.offer(&outcome(frame), &pictures));
        samples.into_vec().iter().map(|sample| sample.outcome.frame.0).collect()
    }

    #[test]
    fn samples_are_spread_evenly_over_a_run_of_any_length() {
        assert_eq!(kept(4, 3), [0, 1, 2]);
        assert_eq!(kept(4, 5), [0, 2, 4]);
        assert_eq!(kept(4, 100), [0, 32, 64, 96]);
        assert_eq!(kept(3, 100), [0, 64]);
        assert_eq!(kept(1, 100), [0]);
        assert!(kept(0, 100).is_empty());
    }

    #[test]
    fn planes_become_interleaved_bytes() {
        let tensor = Array4::from_shape_vec((1, 3, 1, 2), vec![0.0, 1.0, 0.2, 0.4, 0.5, 0.6]).unwrap();
        assert_eq!(bytes(&tensor, 1), [0, 51, 128, 255, 102, 153]);
    }

    #[test]
    fn of_large_pictures_every_so_many_pixels_are_kept() {
        let pictures = FrameTensors::new(Purified::new(1, InputShape { channels: 3, height: 513, width: 300 }));
        let Sample { width, height, input, .. } = sample(&outcome(0), &pictures);
        assert_eq!((width, height, input.len()), (100, 171, 3 * 100 * 171));
        let row = Array4::from_shape_vec((1, 1, 1, 5), vec![0.0, 1.0, 0.2, 0.4, 0.6]).unwrap();
        assert_eq!(bytes(&row, 2), [0, 51, 153]);
    }
}
