//! The classifier in an ONNX file: `frames [N,C,H,W] → logits [N,K]`.

use std::path::Path;

use ndarray::{Array2, ArrayView4};

use super::ModelError;
use super::engine::Engine;
use super::file::ModelInfo;
use super::graph::{Graph, check_shape};
use super::spec::{InputShape, Role};
use crate::classifier::Classifier;

/// A classifier run by ONNX Runtime.
pub struct OnnxClassifier {
    graph: Graph,
    info: ModelInfo,
}

impl OnnxClassifier {
    /// Opens the file and checks its spec against its graph.
    ///
    /// # Errors
    /// When the file is not a whole and consistent classifier.
    pub fn open(engine: &mut Engine, path: &Path) -> Result<Self, ModelError> {
        Self::from_graph(Graph::open(engine, path)?)
    }

    /// As [`OnnxClassifier::open`], for a file that is open already.
    ///
    /// # Errors
    /// As [`OnnxClassifier::open`].
    pub fn from_graph(graph: Graph) -> Result<Self, ModelError> {
        let info = ModelInfo::of(&graph, Role::Classifier)?;
        Ok(Self { graph, info })
    }

    /// A graph without a spec of its own, by what [`ModelInfo::claimed`] made of it.
    #[must_use]
    pub fn claimed(graph: Graph, info: ModelInfo) -> Self {
        Self { graph, info }
    }

    /// Which model it is.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }
}

impl Classifier for OnnxClassifier {
    fn input(&self) -> InputShape {
        self.info.spec.input
    }

    fn classes(&self) -> &[String] {
        &self.info.spec.classes
    }

    fn classify(&mut self, frames: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError> {
        let classes = self.info.spec.classes.len();
        self.info.check_frames(&frames)?;
        check_shape(&self.info.path, "logits", logits.shape(), &[frames.dim().0, classes])?;
        let outputs = self.graph.run(&[("frames", frames.into_dyn())])?;
        outputs.copy_f32("logits", logits.view_mut().into_dyn())
    }
}
