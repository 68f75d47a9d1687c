//! What to do with a classifier from elsewhere that does not fit: words for whoever exported it with a tool of their own.

use anyhow::{Error, anyhow};
use puvae::model::ModelError;
use puvae::model::graph::TensorInfo;

/// How names are given.
pub(super) const NAMES: &str = "in PyTorch: input_names=['frames'], output_names=['logits']";
/// How the batch becomes free.
pub(super) const FREE_BATCH: &str = "in PyTorch: dynamic_axes={'frames': {0: 'N'}, 'logits': {0: 'N'}}";
/// How it becomes free where the graph computes with it.
const FREE_INSIDE: &str =
    "a batch that is free inside the graph too (in PyTorch: x.flatten(1) rather than x.view(1, -1))";

/// On a graph that is not what a classifier's must be; in the order in which it is checked.
pub(super) fn on_graph(error: ModelError, inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Error {
    let ModelError::Graph { path, expected, got } = error else { return error.into() };
    let path = path.display();
    anyhow!("{path}: expected {expected}, found {got}; export it again {}", remedy(inputs, outputs))
}

/// What was wrong with two pictures at once.
pub(super) fn on_trial(error: ModelError) -> Error {
    match error {
        ModelError::Shape { path, tensor, expected, got } => anyhow!(
            "{}: of two pictures `{tensor}` has shape {got:?}, expected {expected:?}; export it again with {FREE_INSIDE}",
            path.display()
        ),
        ModelError::Run { path, reason } => anyhow!(
            "{}: ONNX Runtime failed to classify two pictures at once: {reason}; export it again with {FREE_INSIDE}",
            path.display()
        ),
        ModelError::NotFinite { path, .. } => anyhow!(
            "{}: output `logits` is not finite for a black picture; export it again with sound weights, and a normalisation that divides by no 0",
            path.display()
        ),
        error => error.into(),
    }
}

/// What to change.
fn remedy(inputs: &[TensorInfo], outputs: &[TensorInfo]) -> String {
    let no_floats = |tensor: &TensorInfo| tensor.element != "f32";
    let fixed_batch = |tensor: &TensorInfo| tensor.shape.first().is_some_and(Option::is_some);
    match (named("frames", inputs), named("logits", outputs)) {
        (Some(frames), _) if no_floats(frames) => {
            "with an input of f32 in 0…1: put the conversion to what the network wants inside the graph".into()
        }
        (Some(frames), _) if fixed_batch(frames) => format!("with a free batch ({FREE_BATCH})"),
        (Some(_), Some(logits)) if no_floats(logits) => {
            "with the logits as f32: put the conversion inside the graph".into()
        }
        (Some(_), Some(logits)) if logits.shape.len() != 2 => {
            "with one row of logits for each picture: put the pooling or flattening inside the graph".into()
        }
        (Some(_), Some(logits)) if fixed_batch(logits) => format!("with a free batch ({FREE_BATCH})"),
        (Some(_), Some(_)) => "with the one input `frames`: make constants of the others".into(),
        _ => format!("with these names ({NAMES})"),
    }
}

fn named<'a>(name: &str, tensors: &'a [TensorInfo]) -> Option<&'a TensorInfo> {
    tensors.iter().find(|tensor| tensor.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: [Option<usize>; 4] = [None, Some(1), Some(4), Some(4)];

    fn tensor(name: &str, element: &str, shape: &[Option<usize>]) -> TensorInfo {
        TensorInfo { name: name.into(), element: element.into(), shape: shape.into() }
    }

    fn frames() -> TensorInfo {
        tensor("frames", "f32", &FRAMES)
    }

    fn logits() -> TensorInfo {
        tensor("logits", "f32", &[None, Some(4)])
    }

    #[test]
    fn each_misfit_is_answered_with_what_to_change_where_the_model_was_exported() {
        let batch_of_one = [Some(1), Some(1), Some(4), Some(4)];
        for (inputs, output, words) in [
            (vec![tensor("frames", "Uint8", &FRAMES)], logits(), "put the conversion to what the network wants inside"),
            (
                vec![tensor("frames", "f32", &batch_of_one)],
                logits(),
                "a free batch (in PyTorch: dynamic_axes={'frames'",
            ),
            (
                vec![frames()],
                tensor("logits", "f32", &[Some(1), Some(4)]),
                "with a free batch (in PyTorch: dynamic_axes",
            ),
            (vec![frames()], tensor("output", "f32", &[None, Some(4)]), "output_names=['logits']"),
            (
                vec![frames()],
                tensor("logits", "f32", &[None, Some(4), Some(1)]),
                "put the pooling or flattening inside",
            ),
            (vec![frames()], tensor("logits", "i64", &[None, Some(4)]), "with the logits as f32: put the conversion"),
            (
                vec![frames(), tensor("mask", "f32", &[])],
                logits(),
                "the one input `frames`: make constants of the others",
            ),
        ] {
            let got = remedy(&inputs, &[output]);
            assert!(got.contains(words), "{got}");
        }
    }

    #[test]
    fn a_graph_that_cannot_take_two_pictures_is_told_from_one_that_is_not_finite() {
        let path = std::path::PathBuf::from("mine.onnx");
        let shape = ModelError::Shape { path: path.clone(), tensor: "logits", expected: vec![2, 4], got: vec![1, 8] };
        let text = on_trial(shape).to_string();
        let words = "mine.onnx: of two pictures `logits` has shape [1, 8], expected [2, 4]; export it again with a batch that is free";
        assert!(text.starts_with(words), "{text}");
        let text = on_trial(ModelError::Run { path: path.clone(), reason: "Reshape".into() }).to_string();
        assert!(
            text.contains("failed to classify two pictures at once: Reshape; export it again with a batch"),
            "{text}"
        );
        let text = on_trial(ModelError::NotFinite { path, output: "logits", index: 0 }).to_string();
        assert!(text.contains("output `logits` is not finite for a black picture; export it again"), "{text}");
    }
}
