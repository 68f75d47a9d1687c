//! Why a model was refused or failed.

use std::io;
use std::path::PathBuf;

use super::hash::FileHash;
use super::library::LibraryError;
use super::spec::{InputShape, Role, SpecError};

/// Why a model could not be opened, or failed while it ran.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// ONNX Runtime itself is not there.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The file could not be read.
    #[error("{}: cannot read the model: {source}; check the path and its permissions", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another file than the one that was asked for.
    #[error("{}: SHA-256 is {got}, expected {expected}; put the model that was meant there, or, if this one is, give its hash", path.display())]
    Hash {
        /// Which file.
        path: PathBuf,
        /// The hash that was asked for.
        expected: FileHash,
        /// The hash that it has.
        got: FileHash,
    },
    /// Weights that no hash of the file covers.
    #[error("{}: its weights are in another file, `{weights}`, expected all in one, so that its hash says what runs; save it as one file (in PyTorch: torch.onnx.export(…, external_data=False))", path.display())]
    WeightsOutside {
        /// Which file.
        path: PathBuf,
        /// The other one, as the file names it.
        weights: String,
    },
    /// ONNX Runtime does not accept the file.
    #[error("{}: not an ONNX model that ONNX Runtime accepts: {reason}; check that the file is whole, or export it again", path.display())]
    NotOnnx {
        /// Which file.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The provider that was asked for refuses.
    #[error("{}: provider {provider} was asked for and refused: {reason}; mend that, or choose --provider auto or cpu", path.display())]
    Provider {
        /// The model that was being opened.
        path: PathBuf,
        /// Which provider.
        provider: &'static str,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The file says nothing about itself.
    #[error("{}: no model spec in the file (metadata key `{}`); export it with `puvae-train export`, or give a classifier of your own one with `puvae spec`", path.display(), super::spec::METADATA_KEY)]
    NoSpec {
        /// Which file.
        path: PathBuf,
    },
    /// The spec cannot be used.
    #[error("{}: {source}", path.display())]
    Spec {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: SpecError,
    },
    /// A classifier where a purifier belongs, or the other way round.
    #[error("{}: expected a {expected}, found a {got}; check that --purifier and --classifier are not swapped", path.display())]
    Role {
        /// Which file.
        path: PathBuf,
        /// What was needed.
        expected: Role,
        /// What the spec says it is.
        got: Role,
    },
    /// The graph is not what the spec says.
    #[error("{}: the graph does not match its spec: expected {expected}, found {got}; export the file again so that it does (`puvae-train export` writes such files)", path.display())]
    Graph {
        /// Which file.
        path: PathBuf,
        /// What the spec promises.
        expected: String,
        /// What the graph declares.
        got: String,
    },
    /// Purifier and classifier take pictures of different shapes.
    #[error("{} takes pictures of {classifier}, but {} gives pictures of {purifier}; use a purifier and a classifier exported for the same data", classifier_path.display(), purifier_path.display())]
    ShapeMismatch {
        /// The purifier's file.
        purifier_path: PathBuf,
        /// Its pictures.
        purifier: InputShape,
        /// The classifier's file.
        classifier_path: PathBuf,
        /// Its pictures.
        classifier: InputShape,
    },
    /// Purifier and classifier know different classes.
    #[error("{} and {} know different classes: {difference}; names and their order must be equal: use models exported for the same data, or, if the logits stand in that order, give `puvae spec --classes` the purifier's names (`puvae inspect` shows them)", classifier_path.display(), purifier_path.display())]
    ClassMismatch {
        /// The purifier's file.
        purifier_path: PathBuf,
        /// The classifier's file.
        classifier_path: PathBuf,
        /// The first difference, in words.
        difference: String,
    },
    /// An array of another shape than the model's, given by the caller or returned by the model.
    #[error("{}: `{tensor}` has shape {got:?}, expected {expected:?}; make room for one result a picture, and if the model itself returns another shape, export it again so that it gives one result for each picture of any batch", path.display())]
    Shape {
        /// Which model.
        path: PathBuf,
        /// Which input or output.
        tensor: &'static str,
        /// The shape by the spec and the batch.
        expected: Vec<usize>,
        /// The shape it has.
        got: Vec<usize>,
    },
    /// Not one number for each frame.
    #[error("{}: got the numbers of {got} frames with {expected} pictures; give one for each picture", path.display())]
    Ids {
        /// Which model.
        path: PathBuf,
        /// Frame numbers.
        got: usize,
        /// Pictures in the batch.
        expected: usize,
    },
    /// ONNX Runtime failed while it ran the model.
    #[error("{}: ONNX Runtime failed to run the model: {reason}; check the file with `puvae inspect`, export it again, or try --provider cpu", path.display())]
    Run {
        /// Which model.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// NaN or infinite values in an output.
    #[error("{}: output `{output}` is not finite for picture {index} of the batch; the weights are broken or the input lies outside [0, 1]: check the model with its golden file, or export it again", path.display())]
    NotFinite {
        /// Which model.
        path: PathBuf,
        /// Which output.
        output: &'static str,
        /// Position in the batch.
        index: usize,
    },
    /// A label that names no class.
    #[error("{}: output `label` is {got} for picture {index} of the batch, expected 0 to {}; export the file again", path.display(), classes - 1)]
    Label {
        /// Which model.
        path: PathBuf,
        /// What the model returned.
        got: i64,
        /// Position in the batch.
        index: usize,
        /// Number of classes.
        classes: usize,
    },
}
