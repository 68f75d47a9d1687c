//! One ONNX file, opened: what it declares, and running it.
//!
//! Knows nothing of purifiers and classifiers; those are built on it. It serves any graph whose inputs
//! are f32, so golden files of single layers run through the very code that runs the real models.

use std::fmt;
use std::path::{Path, PathBuf};

use ndarray::{ArrayViewD, ArrayViewMutD};
use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::{PrimitiveTensorElementType, TensorElementType, TensorRef, ValueType};
use serde::Serialize;

use super::ModelError;
use super::engine::{Engine, one_line};
use super::external::weights_outside;
use super::hash::FileHash;
use super::spec::METADATA_KEY;
use crate::files::{MAX_MODEL_BYTES, read_at_most};

/// An input or output as the graph declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Type of its elements, `f32`, `i64`, or ONNX Runtime's name for any other.
    pub element: String,
    /// Its sides; `None` is free.
    pub shape: Vec<Option<usize>>,
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<usize>| side.map_or("N".into(), |side| side.to_string());
        let sides: Vec<String> = self.shape.iter().map(side).collect();
        write!(f, "{} {} [{}]", self.name.escape_debug(), self.element, sides.join(","))
    }
}

/// An ONNX file, ready to run.
pub struct Graph {
    session: Session,
    path: PathBuf,
    sha256: FileHash,
    bytes: u64,
    spec_json: Option<String>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

impl Graph {
    /// Opens the file. What is hashed is exactly what runs: the file is read once, and holds all its weights.
    ///
    /// # Errors
    /// When the file cannot be read, is not an ONNX model, has weights in another file, or the provider refuses it.
    pub fn open(engine: &mut Engine, path: &Path) -> Result<Self, ModelError> {
        Self::open_expecting(engine, path, None)
    }

    /// As [`Graph::open`], but only if the file has this hash: of another one not a byte is looked at.
    ///
    /// # Errors
    /// As [`Graph::open`], and when the hash differs.
    pub fn open_expecting(engine: &mut Engine, path: &Path, hash: Option<FileHash>) -> Result<Self, ModelError> {
        let bytes =
            read_at_most(path, MAX_MODEL_BYTES).map_err(|source| ModelError::Read { path: path.into(), source })?;
        let got = FileHash::of(&bytes);
        match hash {
            Some(expected) if expected != got => Err(ModelError::Hash { path: path.into(), expected, got }),
            _ => Self::start(engine, path, &bytes, got),
        }
    }

    /// As [`Graph::open`], of a file that was read already.
    ///
    /// # Errors
    /// As [`Graph::open`].
    pub fn from_bytes(engine: &mut Engine, path: &Path, bytes: &[u8]) -> Result<Self, ModelError> {
        Self::start(engine, path, bytes, FileHash::of(bytes))
    }

    fn start(engine: &mut Engine, path: &Path, bytes: &[u8], sha256: FileHash) -> Result<Self, ModelError> {
        if let Some(weights) = weights_outside(bytes) {
            return Err(ModelError::WeightsOutside { path: path.into(), weights });
        }
        let session = engine.session(path, bytes)?;
        let declared = |outlets: &[ort::value::Outlet]| outlets.iter().map(|o| describe(o.name(), o.dtype())).collect();
        let spec_json = session.metadata().ok().and_then(|metadata| metadata.custom(METADATA_KEY));
        let (inputs, outputs) = (declared(session.inputs()), declared(session.outputs()));
        Ok(Self { session, path: path.into(), sha256, bytes: bytes.len() as u64, spec_json, inputs, outputs })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn sha256(&self) -> FileHash {
        self.sha256
    }

    /// Size of the file in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The model spec's text, unchecked, where the file has one.
    #[must_use]
    pub fn spec_json(&self) -> Option<&str> {
        self.spec_json.as_deref()
    }

    /// Declared inputs, in the graph's order.
    #[must_use]
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// Declared outputs, in the graph's order.
    #[must_use]
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Runs the graph once. The inputs are not copied when they are contiguous.
    ///
    /// Each call allocates: two short lists of the inputs here, and in ONNX Runtime and its binding whatever these need for a run
    /// and its outputs. The values themselves go into arrays that the caller keeps ([`Outputs::copy_f32`]).
    ///
    /// # Errors
    /// When ONNX Runtime refuses the inputs or fails.
    pub fn run(&mut self, inputs: &[(&str, ArrayViewD<'_, f32>)]) -> Result<Outputs<'_>, ModelError> {
        let path = &self.path;
        let failed = |error: ort::Error| ModelError::Run { path: path.clone(), reason: one_line(error.message()) };
        let contiguous: Vec<_> = inputs.iter().map(|(name, array)| (*name, array.as_standard_layout())).collect();
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for (name, array) in &contiguous {
            values.push((name, TensorRef::from_array_view(array.view()).map_err(failed)?.into()));
        }
        let values = self.session.run(values).map_err(failed)?;
        Ok(Outputs { path, values })
    }
}

/// What one run returned; borrowed from the graph.
pub struct Outputs<'a> {
    path: &'a Path,
    values: SessionOutputs<'a>,
}

impl Outputs<'_> {
    /// An f32 output: its shape, and its values in row-major order.
    ///
    /// # Errors
    /// When there is no f32 output of that name.
    pub fn f32(&self, name: &str) -> Result<(Vec<usize>, &[f32]), ModelError> {
        self.get(name).map(|(shape, values)| (sides(shape).collect(), values))
    }

    /// An i64 output: its shape, and its values in row-major order.
    ///
    /// # Errors
    /// When there is no i64 output of that name.
    pub fn i64(&self, name: &str) -> Result<(Vec<usize>, &[i64]), ModelError> {
        self.get(name).map(|(shape, values)| (sides(shape).collect(), values))
    }

    /// Copies an f32 output into the caller's array and checks it on the way: its shape must be the array's,
    /// and all its values finite.
    ///
    /// # Errors
    /// When there is no such output, its shape differs, or a value is NaN or infinite.
    pub fn copy_f32(&self, name: &'static str, mut into: ArrayViewMutD<'_, f32>) -> Result<(), ModelError> {
        let values: &[f32] = self.shaped(name, into.shape())?;
        if let Some(broken) = values.iter().position(|value| !value.is_finite()) {
            let index = broken / (values.len() / into.shape()[0]);
            return Err(ModelError::NotFinite { path: self.path.into(), output: name, index });
        }
        let values =
            ArrayViewD::from_shape(into.raw_dim(), values).expect("an output has as many values as its shape says");
        into.assign(&values);
        Ok(())
    }

    /// The values of an output that must have this shape.
    pub(super) fn shaped<T: PrimitiveTensorElementType>(
        &self,
        name: &'static str,
        expected: &[usize],
    ) -> Result<&[T], ModelError> {
        let (shape, values) = self.get(name)?;
        if !sides(shape).eq(expected.iter().copied()) {
            check_shape(self.path, name, &sides(shape).collect::<Vec<_>>(), expected)?;
        }
        Ok(values)
    }

    fn get<T: PrimitiveTensorElementType>(&self, name: &str) -> Result<(&[i64], &[T]), ModelError> {
        let failed = |reason: String| ModelError::Run { path: self.path.into(), reason };
        let value = self.values.get(name).ok_or_else(|| failed(format!("it has no output `{name}`")))?;
        let (shape, values) = value.try_extract_tensor().map_err(|error| failed(one_line(error.message())))?;
        Ok((shape, values))
    }
}

fn sides(shape: &[i64]) -> impl Iterator<Item = usize> {
    shape.iter().map(|&side| usize::try_from(side).expect("a computed tensor has no negative side"))
}

/// Refuses an array of another shape.
pub(super) fn check_shape(
    path: &Path,
    tensor: &'static str,
    got: &[usize],
    expected: &[usize],
) -> Result<(), ModelError> {
    if got == expected {
        return Ok(());
    }
    Err(ModelError::Shape { path: path.into(), tensor, expected: expected.into(), got: got.into() })
}

fn describe(name: &str, dtype: &ValueType) -> TensorInfo {
    let (element, shape) = match dtype {
        ValueType::Tensor { ty, shape, .. } => {
            let element = match ty {
                TensorElementType::Float32 => "f32".into(),
                TensorElementType::Int64 => "i64".into(),
                other => other.to_string(),
            };
            (element, shape.iter().map(|&side| usize::try_from(side).ok()).collect())
        }
        other => (other.to_string(), Vec::new()),
    };
    TensorInfo { name: name.into(), element, shape }
}
