//! What a purifier and a classifier must keep to, whoever wrote them: no verdict is made of a value that is none.
//!
//! A defence whose output is NaN, or 0…255, would otherwise be a frame of nonsense with a class and a confidence.

use std::ops::RangeInclusive;

use ndarray::{Array2, Array4};

use crate::model::spec::InputShape;
use crate::purifier::{Purified, Selected};

/// The values of frames between the models, 0…1, with room for what rounding adds.
const FRAME_VALUES: RangeInclusive<f32> = -1e-3..=1.0 + 1e-3;

/// How a model's result for one frame breaks the contract of its trait.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// NaN or infinite values.
    #[error(
        "`{output}` is not finite; the weights are broken or the input lies outside [0, 1]: check the model with its golden file, or export it again"
    )]
    NotFinite {
        /// Which result.
        output: &'static str,
    },
    /// Values that no frame has.
    #[error(
        "`{output}` lies in {lowest}…{highest}, expected 0…1; scale it inside the model (such as x / 255, or (x + 1) / 2), or end the model with a sigmoid or a clamp"
    )]
    Range {
        /// Which result.
        output: &'static str,
        /// The lowest value.
        lowest: f32,
        /// The highest value.
        highest: f32,
    },
    /// Another shape than these pictures have.
    #[error(
        "`{output}` has the shape {got:?}, expected {expected:?}; the model must fill what it was given, and give room of that shape"
    )]
    Shape {
        /// Which result.
        output: &'static str,
        /// The sides for these pictures.
        expected: Vec<usize>,
        /// The sides that came.
        got: Vec<usize>,
    },
    /// A y* that names no class.
    #[error("the purifier's class y* is {got}, expected 0 to {}; use a purifier made for the classifier's classes", classes.saturating_sub(1))]
    LabelStar {
        /// What it chose.
        got: usize,
        /// Number of classes.
        classes: usize,
    },
}

/// Checks the result of a purifier for `count` pictures of `shape`; selection and score only where it gives them.
pub(super) fn purified(
    result: &Purified,
    shape: InputShape,
    count: usize,
    classes: usize,
) -> Result<(), ContractError> {
    room(result, shape, count)?;
    frames("purified", &result.frames)?;
    if let Some(Selected { label, distances }) = &result.selected {
        sides("distances", distances.shape(), &[count, classes])?;
        finite("distances", distances)?;
        sides("label", &[label.len()], &[count])?;
        if let Some(&got) = label.iter().find(|&&label| label >= classes) {
            return Err(ContractError::LabelStar { got, classes });
        }
    }
    if let Some(score) = &result.score {
        sides("score", score.shape(), &[count])?;
        finite("score", score)?;
    }
    Ok(())
}

/// Checks that there is room for exactly `count` pictures of `shape`.
pub(super) fn room(room: &Purified, shape: InputShape, count: usize) -> Result<(), ContractError> {
    sides("purified", room.frames.shape(), &[count, shape.channels, shape.height, shape.width])
}

/// Checks the result of a classifier for `count` pictures.
pub(super) fn logits(logits: &Array2<f32>, count: usize, classes: usize) -> Result<(), ContractError> {
    sides("logits", logits.shape(), &[count, classes])?;
    finite("logits", logits)
}

fn sides(output: &'static str, got: &[usize], expected: &[usize]) -> Result<(), ContractError> {
    if got == expected {
        return Ok(());
    }
    Err(ContractError::Shape { output, expected: expected.into(), got: got.into() })
}

fn finite<'a>(output: &'static str, values: impl IntoIterator<Item = &'a f32>) -> Result<(), ContractError> {
    if values.into_iter().all(|value| value.is_finite()) { Ok(()) } else { Err(ContractError::NotFinite { output }) }
}

/// Looks at each value once when all is well.
fn frames(output: &'static str, frames: &Array4<f32>) -> Result<(), ContractError> {
    if frames.iter().all(|value| FRAME_VALUES.contains(value)) {
        return Ok(());
    }
    finite(output, frames)?;
    let lowest = frames.iter().copied().fold(f32::INFINITY, f32::min);
    let highest = frames.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    Err(ContractError::Range { output, lowest, highest })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: InputShape = InputShape { channels: 1, height: 2, width: 2 };

    fn refusal(change: impl FnOnce(&mut Purified)) -> String {
        let mut result = Purified::new(1, SHAPE).with_selection(3).with_score();
        purified(&result, SHAPE, 1, 3).expect("zeros are a possible result");
        change(&mut result);
        purified(&result, SHAPE, 1, 3).unwrap_err().to_string()
    }

    fn selected(result: &mut Purified) -> &mut Selected {
        result.selected.as_mut().unwrap()
    }

    #[test]
    fn each_result_of_a_purifier_is_checked() {
        assert!(refusal(|result| result.frames[(0, 0, 1, 1)] = f32::NAN).starts_with("`purified` is not finite"));
        assert!(
            refusal(|result| selected(result).distances[(0, 2)] = f32::INFINITY)
                .starts_with("`distances` is not finite")
        );
        assert!(
            refusal(|result| selected(result).label[0] = 3)
                .starts_with("the purifier's class y* is 3, expected 0 to 2")
        );
        assert!(
            refusal(|result| selected(result).label.clear()).starts_with("`label` has the shape [0], expected [1]")
        );
        let score = |values: Vec<f32>| refusal(|result| result.score = Some(values.into()));
        assert!(score(vec![f32::NAN]).starts_with("`score` is not finite"));
        assert!(score(vec![0.0, 0.0]).starts_with("`score` has the shape [2], expected [1]"));
    }

    #[test]
    fn a_purified_frame_lies_in_0_to_1() {
        let outside = |pixel: f32| refusal(|result| result.frames[(0, 0, 1, 0)] = pixel);
        assert_eq!(
            outside(255.0),
            "`purified` lies in 0…255, expected 0…1; scale it inside the model (such as x / 255, or (x + 1) / 2), or end the model with a sigmoid or a clamp"
        );
        assert!(outside(-1.0).starts_with("`purified` lies in -1…0, expected 0…1"));
        assert!(outside(1.002).starts_with("`purified` lies in 0…1.002, expected"));
        for pixel in [-0.0005, 0.0, 1.0, 1.0005] {
            let mut result = Purified::new(1, SHAPE);
            result.frames[(0, 0, 1, 0)] = pixel;
            assert_eq!(purified(&result, SHAPE, 1, 3), Ok(()), "rounding");
        }
    }

    #[test]
    fn as_many_values_in_another_shape_are_not_the_result() {
        let frames = |sides: [usize; 4]| refusal(|result| result.frames = Array4::zeros(sides));
        assert_eq!(
            frames([1, 2, 2, 1]),
            "`purified` has the shape [1, 2, 2, 1], expected [1, 1, 2, 2]; the model must fill what it was given, and give room of that shape"
        );
        assert!(frames([1, 1, 2, 3]).starts_with("`purified` has the shape [1, 1, 2, 3], expected"));
        let distances = refusal(|result| selected(result).distances = Array2::zeros((3, 1)));
        assert!(distances.starts_with("`distances` has the shape [3, 1], expected [1, 3]"), "{distances}");
        let turned = logits(&Array2::zeros((3, 1)), 1, 3).unwrap_err().to_string();
        assert!(turned.starts_with("`logits` has the shape [3, 1], expected [1, 3]"), "{turned}");
    }

    #[test]
    fn what_a_purifier_does_not_give_is_not_missed() {
        assert_eq!(purified(&Purified::new(1, SHAPE), SHAPE, 1, 3), Ok(()));
        assert_eq!(purified(&Purified::new(1, SHAPE).with_score(), SHAPE, 1, 3), Ok(()));
    }

    #[test]
    fn logits_are_as_many_as_classes_and_finite() {
        assert_eq!(logits(&Array2::zeros((1, 3)), 1, 3), Ok(()));
        assert!(matches!(logits(&Array2::zeros((1, 2)), 1, 3), Err(ContractError::Shape { .. })));
        assert!(matches!(logits(&Array2::from_elem((1, 3), f32::NAN), 1, 3), Err(ContractError::NotFinite { .. })));
    }
}
