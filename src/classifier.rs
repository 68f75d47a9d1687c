//! What a classifier is to the pipeline, and how logits become a class with a confidence.

use ndarray::{Array2, ArrayView4};

use crate::model::ModelError;
use crate::model::spec::InputShape;

/// Tells what is on a frame.
pub trait Classifier: Send {
    /// Shape of one frame it takes.
    fn input(&self) -> InputShape;

    /// Class names, in the order of the logits.
    fn classes(&self) -> &[String];

    /// Writes the logits `[N, K]` of `frames` `[N, C, H, W]`, values in `[0, 1]`.
    ///
    /// # Errors
    /// When the model fails, or its output is not finite.
    fn classify(&mut self, frames: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError>;
}

/// The class of the largest logit (the first of equals) and its softmax probability, in `(0, 1]`.
///
/// `None` for no logits. Logits must be finite.
#[must_use]
pub fn top_class<'a>(logits: impl IntoIterator<Item = &'a f32> + Clone) -> Option<(usize, f32)> {
    let (class, top) =
        logits.clone().into_iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    let sum: f32 = logits.into_iter().map(|logit| (logit - top).exp()).sum();
    Some((class, 1.0 / sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confidence_is_the_softmax_of_the_top_logit() {
        let (class, confidence) = top_class(&[0.0, 2.0, 1.0]).unwrap();
        assert_eq!(class, 1);
        assert!((confidence - 0.665_241).abs() < 1e-5, "{confidence}");
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(top_class(&[1000.0, -1000.0]), Some((0, 1.0)));
    }

    #[test]
    fn the_first_of_equal_logits_wins_and_no_logits_have_no_class() {
        assert_eq!(top_class(&[1.0, 1.0]), Some((0, 0.5)));
        assert_eq!(top_class(&[]), None);
    }
}
