//! What a purifier is to the pipeline, and the one that does nothing.

use ndarray::{Array1, Array2, Array4, ArrayView4};

use crate::frame::FrameId;
use crate::model::ModelError;
use crate::model::spec::InputShape;

/// Result of a purifier for N frames; made once by [`Purifier::room`] and filled again and again.
#[derive(Debug, Clone, Default)]
pub struct Purified {
    /// The purified frames `[N, C, H, W]`, values in `[0, 1]`.
    pub frames: Array4<f32>,
    /// What was selected; `None` of a purifier that selects no class.
    pub selected: Option<Selected>,
    /// How unlike a clean picture each frame was, `[N]`, larger is more suspicious; `None` of a purifier that does not say.
    pub score: Option<Array1<f32>>,
}

/// What a purifier selected for N frames, among K candidates each.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The class y* whose candidate was chosen, `[N]`.
    pub label: Vec<usize>,
    /// Distance of each class's candidate to the reference, `[N, K]`.
    pub distances: Array2<f32>,
}

impl Purified {
    /// Room for `batch` frames of `shape`, all zero, and for nothing else.
    #[must_use]
    pub fn new(batch: usize, shape: InputShape) -> Self {
        let frames = Array4::zeros((batch, shape.channels, shape.height, shape.width));
        Self { frames, selected: None, score: None }
    }

    /// The same with room for a selection among `classes` candidates.
    #[must_use]
    pub fn with_selection(self, classes: usize) -> Self {
        let batch = self.frames.dim().0;
        let selected = Selected { label: vec![0; batch], distances: Array2::zeros((batch, classes)) };
        Self { selected: Some(selected), ..self }
    }

    /// The same with room for a score.
    #[must_use]
    pub fn with_score(self) -> Self {
        let score = Some(Array1::zeros(self.frames.dim().0));
        Self { score, ..self }
    }

    /// The class y* of frame `index`.
    #[must_use]
    pub fn label_star(&self, index: usize) -> Option<usize> {
        self.selected.as_ref().and_then(|selected| selected.label.get(index).copied())
    }

    /// Distance of the candidate that was selected for frame `index`.
    #[must_use]
    pub fn distance(&self, index: usize) -> Option<f32> {
        let label = self.label_star(index)?;
        self.selected.as_ref().and_then(|selected| selected.distances.get((index, label)).copied())
    }

    /// What [`Purifier::suspect_above`] refers to, for frame `index`: the score, or where there is none the distance of the
    /// selected candidate.
    #[must_use]
    pub fn suspicion(&self, index: usize) -> Option<f32> {
        self.score.as_ref().map_or_else(|| self.distance(index), |score| score.get(index).copied())
    }
}

/// Removes adversarial perturbations from frames.
pub trait Purifier: Send {
    /// Shape of one frame it takes and returns.
    fn input(&self) -> InputShape;

    /// Room for what it makes of `batch` frames: with a selection and a score only if it gives them. Without them unless
    /// overridden.
    fn room(&self, batch: usize) -> Purified {
        Purified::new(batch, self.input())
    }

    /// Purifies `frames` `[N, C, H, W]`, values in `[0, 1]`, into `out`, which is [`room`](Self::room) for exactly N frames.
    ///
    /// `ids` are the frames' N numbers: they seed the latent noise, so that a frame's result does not
    /// depend on which other frames were dropped.
    ///
    /// # Errors
    /// When the model fails, or its output is not finite.
    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError>;

    /// The [`suspicion`](Purified::suspicion) above which a frame is suspect, where it was calibrated.
    fn suspect_above(&self) -> Option<f32> {
        None
    }

    /// Whether it changes anything. Without a defence verdicts say so.
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
        let mut identity = Identity::new(shape);
        let mut out = identity.room(2);
        identity.purify(&[FrameId(0), FrameId(1)], frames.view(), &mut out).unwrap();
        assert_eq!(out.frames, frames);
        assert!(!identity.is_defence() && identity.suspect_above().is_none());
        assert_eq!((out.label_star(0), out.distance(0), out.suspicion(0)), (None, None, None));
    }

    #[test]
    fn the_suspicion_is_the_score_and_without_one_the_selected_distance() {
        let mut room = Purified::new(1, InputShape { channels: 1, height: 1, width: 1 }).with_selection(2);
        let selected = room.selected.as_mut().unwrap();
        selected.label[0] = 1;
        selected.distances[(0, 1)] = 0.5;
        assert_eq!(room.suspicion(0), Some(0.5));
        room = room.with_score();
        room.score.as_mut().unwrap()[0] = 0.25;
        assert_eq!((room.label_star(0), room.distance(0), room.suspicion(0)), (Some(1), Some(0.5), Some(0.25)));
    }
}
