//! A model file's identity, and the checks that it is what it says: spec against graph, purifier
//! against classifier.
//!
//! All of it happens before a source is opened, so a wrong file costs no frame.

use std::path::PathBuf;

use ndarray::ArrayView4;
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::graph::{Graph, TensorInfo, check_shape};
use super::hash::FileHash;
use super::spec::{InputShape, ModelSpec, Role};

/// Which model it is: file, hash and spec. Goes into reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The file, as it was named.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: FileHash,
    /// What the file says of itself.
    pub spec: ModelSpec,
}

impl ModelInfo {
    /// Reads the graph's spec and checks the graph against it.
    ///
    /// # Errors
    /// When the file has no spec, an unusable one, one of another role than `role`, or one that the graph
    /// contradicts.
    pub fn of(graph: &Graph, role: Role) -> Result<Self, ModelError> {
        let info = Self::of_any_role(graph)?;
        if info.spec.role != role {
            return Err(ModelError::Role { path: info.path, expected: role, got: info.spec.role });
        }
        Ok(info)
    }

    /// As [`ModelInfo::of`], for a file of either role.
    ///
    /// # Errors
    /// As [`ModelInfo::of`], but for the role.
    pub fn of_any_role(graph: &Graph) -> Result<Self, ModelError> {
        let path = graph.path().to_path_buf();
        let json = graph.spec_json().ok_or_else(|| ModelError::NoSpec { path: path.clone() })?;
        let spec = ModelSpec::from_json(json).map_err(|source| ModelError::Spec { path: path.clone(), source })?;
        Self::claimed(graph, spec)
    }

    /// Of a file that says nothing of itself, by what is claimed for it; the graph is checked against that.
    ///
    /// # Errors
    /// When the graph contradicts the spec.
    pub fn claimed(graph: &Graph, spec: ModelSpec) -> Result<Self, ModelError> {
        check_graph(graph, &spec)?;
        Ok(Self { path: graph.path().into(), sha256: graph.sha256(), spec })
    }

    /// Refuses a batch of pictures of another shape than the model's, and an empty one.
    pub(super) fn check_frames(&self, frames: &ArrayView4<'_, f32>) -> Result<(), ModelError> {
        let InputShape { channels, height, width } = self.spec.input;
        let batch = frames.dim().0.max(1);
        check_shape(&self.path, "frames", frames.shape(), &[batch, channels, height, width])
    }
}

/// Checks that what the purifier gives is what the classifier takes.
///
/// # Errors
/// When their pictures or their classes differ.
pub fn check_pair(purifier: &ModelInfo, classifier: &ModelInfo) -> Result<(), ModelError> {
    let (purifier_path, classifier_path) = (purifier.path.clone(), classifier.path.clone());
    let (ours, theirs) = (&purifier.spec, &classifier.spec);
    if ours.input != theirs.input {
        let (purifier, classifier) = (ours.input, theirs.input);
        return Err(ModelError::ShapeMismatch { purifier_path, purifier, classifier_path, classifier });
    }
    if ours.classes != theirs.classes {
        let difference = difference(&ours.classes, &theirs.classes);
        return Err(ModelError::ClassMismatch { purifier_path, classifier_path, difference });
    }
    Ok(())
}

/// The first difference between the purifier's and the classifier's class lists, in words.
fn difference(purifier: &[String], classifier: &[String]) -> String {
    if purifier.len() != classifier.len() {
        return format!("the classifier has {}, the purifier {}", classifier.len(), purifier.len());
    }
    let differs = |(_, (ours, theirs)): &(usize, (&String, &String))| ours != theirs;
    match purifier.iter().zip(classifier).enumerate().find(differs) {
        Some((index, (ours, theirs))) => {
            format!("class {index} is `{theirs}` to the classifier and `{ours}` to the purifier")
        }
        None => "none".into(),
    }
}

/// Inputs and outputs that a spec promises (design: the contract between training and runtime).
fn promised(spec: &ModelSpec) -> (Vec<TensorInfo>, Vec<TensorInfo>) {
    let tensor = |name: &str, element: &str, sides: &[usize]| TensorInfo {
        name: name.into(),
        element: element.into(),
        shape: std::iter::once(None).chain(sides.iter().copied().map(Some)).collect(),
    };
    let picture = [spec.input.channels, spec.input.height, spec.input.width];
    let classes = spec.classes.len();
    let frames = tensor("frames", "f32", &picture);
    let Some(purifier) = &spec.purifier else {
        return (vec![frames], vec![tensor("logits", "f32", &[classes])]);
    };
    let (mut inputs, mut outputs) = (vec![frames], vec![tensor("purified", "f32", &picture)]);
    if let Some(selection) = &purifier.selection {
        inputs.push(tensor("noise", "f32", &[classes, selection.latent]));
        outputs.extend([tensor("label", "i64", &[]), tensor("distances", "f32", &[classes])]);
    }
    if purifier.score.is_some() {
        outputs.push(tensor("score", "f32", &[]));
    }
    (inputs, outputs)
}

/// Outputs of a purifier that mean something to the pipeline: one that the spec does not name is not passed over in silence.
const MEANT: [&str; 3] = ["label", "distances", "score"];

fn check_graph(graph: &Graph, spec: &ModelSpec) -> Result<(), ModelError> {
    let refuse = |expected: String, got: String| Err(ModelError::Graph { path: graph.path().into(), expected, got });
    let (inputs, outputs) = promised(spec);
    for (kind, promised, declared) in [("input", &inputs, graph.inputs()), ("output", &outputs, graph.outputs())] {
        for tensor in promised {
            let expected = format!("{kind} {tensor}");
            match declared.iter().find(|found| found.name == tensor.name) {
                None => return refuse(expected, format!("{kind}s {}", names(declared))),
                Some(found) if !fits(tensor, found) => return refuse(expected, format!("{kind} {found}")),
                Some(_) => {}
            }
        }
    }
    if graph.inputs().len() != inputs.len() {
        return refuse(format!("inputs {}", names(&inputs)), format!("inputs {}", names(graph.inputs())));
    }
    let meant = |found: &&TensorInfo| spec.purifier.is_some() && MEANT.contains(&found.name.as_str());
    let promised = |found: &&TensorInfo| outputs.iter().any(|output| output.name == found.name);
    if let Some(surplus) = graph.outputs().iter().filter(meant).find(|found| !promised(found)) {
        return refuse(
            format!("outputs {}, as the spec says", names(&outputs)),
            format!("also an output {surplus}; name it in the spec or take it out of the graph"),
        );
    }
    Ok(())
}

fn names(tensors: &[TensorInfo]) -> String {
    let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    if names.is_empty() { "(none)".into() } else { names.join(", ") }
}

/// Whether the declared tensor can be the promised one. A side that the graph leaves open fits any number;
/// the batch must be left open.
fn fits(promised: &TensorInfo, declared: &TensorInfo) -> bool {
    let sides = || promised.shape.iter().zip(&declared.shape);
    promised.element == declared.element
        && promised.shape.len() == declared.shape.len()
        && sides().all(|(promised, declared)| declared.is_none() || promised == declared)
}
