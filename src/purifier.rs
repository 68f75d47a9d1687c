//! What a purifier is to the pipeline, and the one that does nothing.

use ndarray::{Array2, Array4, ArrayView4};

use crate::frame::FrameId;
use crate::model::ModelError;
use crate::model::spec::InputShape;

/// Result of a purifier for N frames; allocated once by the caller and filled again and again.
#[derive(Debug, Clone, Default)]
pub struct Purified {
    /// The purified frames `[N, C, H, W]`, values in `[0, 1]`.
    pub frames: Array4<f32>,
    /// The class y* whose candidate was chosen, per frame, `[N]`; meaningless without a defence.
    pub label: Vec<usize>,
    /// Distance of each class's candidate to the reference, `[N, K]`; meaningless without a defence.
    pub distances: Array2<f32>,
}

impl Purified {
    /// Room for `batch` frames of `shape` and `classes` classes, all zero.
    #[must_use]
    pub fn new(batch: usize, shape: InputShape, classes: usize) -> Self {
        Self {
            frames: Array4::zeros((batch, shape.channels, shape.height, shape.width)),
            label: vec![0; batch],
            distances: Array2::zeros((batch, classes)),
        }
    }
}

/// Removes adversarial perturbations from frames.
pub trait Purifier: Send {
    /// Shape of one frame it takes and returns.
    fn input(&self) -> InputShape;

    /// Purifies `frames` `[N, C, H, W]`, values in `[0, 1]`, into `out`, which has room for exactly N frames.
    ///
    /// `ids` are the frames' N numbers: they seed the latent noise, so that a frame's result does not
    /// depend on which other frames were dropped.
    ///
    /// # Errors
    /// When the model fails, or its output is not finite.
    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError>;

    /// The distance above which a frame is suspicious, where it was calibrated.
    fn suspect_above(&self) -> Option<f32>;

    /// Whether it changes anything. Without a defence verdicts say so and have neither y* nor distance.
    fn is_defence(&self) -> bool {
        true
    }
}

/// No defence: hands the frames on as they are.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    input: InputShape,
}

impl Identity {
    /// For frames of this shape.
    #[must_use]
    pub fn new(input: InputShape) -> Self {
        Self { input }
    }
}

impl Purifier for Identity {
    fn input(&self) -> InputShape {
        self.input
    }

    fn purify(&mut self, _ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        out.frames.assign(&frames);
        Ok(())
    }

    fn suspect_above(&self) -> Option<f32> {
        None
    }

    fn is_defence(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_hands_the_frames_on_unchanged() {
        let shape = InputShape { channels: 1, height: 2, width: 3 };
        let frames = Array4::from_shape_fn((2, 1, 2, 3), |(n, _, y, x)| (n + y + x) as f32 / 8.0);
        let mut out = Purified::new(2, shape, 0);
        let mut identity = Identity::new(shape);
        identity.purify(&[FrameId(0), FrameId(1)], frames.view(), &mut out).unwrap();
        assert_eq!(out.frames, frames);
        assert!(!identity.is_defence() && identity.suspect_above().is_none());
    }
}
