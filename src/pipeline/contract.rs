//! What a purifier and a classifier must keep to, whoever wrote them: no verdict is made of a value that is none.
//!
//! A defence whose output is NaN would otherwise be a frame of NaN with a class and a confidence.

use ndarray::Array2;

use crate::model::spec::InputShape;
use crate::purifier::{Purified, Selected};

/// How a model's result for one frame breaks the contract of its trait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// More or fewer values than the pictures have.
    #[error("`{output}` has {got} values, expected {expected}; the model must fill what it was given")]
    Values {
        /// Which result.
        output: &'static str,
        /// Values of these pictures.
        expected: usize,
        /// Values that came.
        got: usize,
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
    values("purified", result.frames.len(), count * shape.pixels())?;
    finite("purified", &result.frames)?;
    if let Some(Selected { label, distances }) = &result.selected {
        values("distances", distances.len(), count * classes)?;
        finite("distances", distances)?;
        values("label", label.len(), count)?;
        if let Some(&got) = label.iter().find(|&&label| label >= classes) {
            return Err(ContractError::LabelStar { got, classes });
        }
    }
    if let Some(score) = &result.score {
        values("score", score.len(), count)?;
        finite("score", score)?;
    }
    Ok(())
}

/// Checks the result of a classifier for `count` pictures.
pub(super) fn logits(logits: &Array2<f32>, count: usize, classes: usize) -> Result<(), ContractError> {
    values("logits", logits.len(), count * classes)?;
    finite("logits", logits)
}

fn values(output: &'static str, got: usize, expected: usize) -> Result<(), ContractError> {
    if got == expected { Ok(()) } else { Err(ContractError::Values { output, expected, got }) }
}

fn finite<'a>(output: &'static str, values: impl IntoIterator<Item = &'a f32>) -> Result<(), ContractError> {
    if values.into_iter().all(|value| value.is_finite()) { Ok(()) } else { Err(ContractError::NotFinite { output }) }
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
        assert!(refusal(|result| selected(result).label.clear()).starts_with("`label` has 0 values, expected 1"));
        let score = |values: Vec<f32>| refusal(|result| result.score = Some(values.into()));
        assert!(score(vec![f32::NAN]).starts_with("`score` is not finite"));
        assert!(score(vec![0.0, 0.0]).starts_with("`score` has 2 values, expected 1"));
        let other = InputShape { width: 3, ..SHAPE };
        assert!(refusal(|result| result.frames = Purified::new(1, other).frames).contains("6 values, expected 4"));
    }

    #[test]
    fn what_a_purifier_does_not_give_is_not_missed() {
        assert_eq!(purified(&Purified::new(1, SHAPE), SHAPE, 1, 3), Ok(()));
        assert_eq!(purified(&Purified::new(1, SHAPE).with_score(), SHAPE, 1, 3), Ok(()));
    }

    #[test]
    fn logits_are_as_many_as_classes_and_finite() {
        assert_eq!(logits(&Array2::zeros((1, 3)), 1, 3), Ok(()));
        assert!(matches!(logits(&Array2::zeros((1, 2)), 1, 3), Err(ContractError::Values { .. })));
        assert!(matches!(logits(&Array2::from_elem((1, 3), f32::NAN), 1, 3), Err(ContractError::NotFinite { .. })));
    }
}
