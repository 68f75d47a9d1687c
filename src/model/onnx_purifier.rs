//! The purifier in an ONNX file: `frames [N,C,H,W], noise [N,K,Z] → purified [N,C,H,W], label [N], distances [N,K]`.

use std::path::Path;

use ndarray::{Array3, ArrayView4, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use super::ModelError;
use super::engine::Engine;
use super::file::ModelInfo;
use super::graph::{Graph, check_shape};
use super::spec::{InputShape, PurifierSpec, Role};
use crate::frame::FrameId;
use crate::purifier::{Purified, Purifier};

/// A purifier run by ONNX Runtime.
pub struct OnnxPurifier {
    graph: Graph,
    info: ModelInfo,
    purifier: PurifierSpec,
    seed: u64,
    /// `[N, K, Z]`, kept from run to run.
    noise: Array3<f32>,
}

impl OnnxPurifier {
    /// Opens the file and checks its spec against its graph.
    ///
    /// `seed` seeds the latent noise, together with each frame's id.
    ///
    /// # Errors
    /// When the file is not a whole and consistent purifier.
    pub fn open(engine: &mut Engine, path: &Path, seed: u64) -> Result<Self, ModelError> {
        Self::from_graph(Graph::open(engine, path)?, seed)
    }

    /// As [`OnnxPurifier::open`], for a file that is open already.
    ///
    /// # Errors
    /// As [`OnnxPurifier::open`].
    pub fn from_graph(graph: Graph, seed: u64) -> Result<Self, ModelError> {
        let info = ModelInfo::of(&graph, Role::Purifier)?;
        let purifier = info.spec.purifier.clone().expect("a checked spec of a purifier has purifier fields");
        let noise = Array3::zeros((1, info.spec.classes.len(), purifier.latent));
        Ok(Self { graph, info, purifier, seed, noise })
    }

    /// Which model it is.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Fills `noise` for these frames: standard normal times σ_ε, a stream of the generator for each frame id.
    fn draw_noise(&mut self, ids: &[FrameId]) {
        let (_, classes, latent) = self.noise.dim();
        if self.noise.dim().0 != ids.len() {
            self.noise = Array3::zeros((ids.len(), classes, latent));
        }
        for (id, mut noise) in ids.iter().zip(self.noise.axis_iter_mut(Axis(0))) {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(id.0);
            for value in &mut noise {
                let normal: f32 = StandardNormal.sample(&mut random);
                *value = normal * self.purifier.sigma_eps;
            }
        }
    }

    fn check_shapes(&self, ids: &[FrameId], frames: &ArrayView4<'_, f32>, out: &Purified) -> Result<(), ModelError> {
        self.info.check_frames(frames)?;
        let (batch, classes, path) = (frames.dim().0, self.info.spec.classes.len(), &self.info.path);
        check_shape(path, "noise", &[ids.len()], &[batch])?;
        check_shape(path, "purified", out.frames.shape(), frames.shape())?;
        check_shape(path, "label", &[out.label.len()], &[batch])?;
        check_shape(path, "distances", out.distances.shape(), &[batch, classes])
    }
}

impl Purifier for OnnxPurifier {
    fn input(&self) -> InputShape {
        self.info.spec.input
    }

    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        self.check_shapes(ids, &frames, out)?;
        self.draw_noise(ids);
        let outputs = self.graph.run(&[("frames", frames.into_dyn()), ("noise", self.noise.view().into_dyn())])?;
        outputs.copy_f32("purified", out.frames.view_mut().into_dyn())?;
        outputs.copy_f32("distances", out.distances.view_mut().into_dyn())?;
        let (shape, labels) = outputs.i64("label")?;
        check_shape(&self.info.path, "label", &shape, &[out.label.len()])?;
        let classes = self.info.spec.classes.len();
        for (index, (into, &got)) in out.label.iter_mut().zip(labels).enumerate() {
            *into = usize::try_from(got).ok().filter(|&label| label < classes).ok_or_else(|| ModelError::Label {
                path: self.info.path.clone(),
                got,
                index,
                classes,
            })?;
        }
        Ok(())
    }

    fn suspect_above(&self) -> Option<f32> {
        self.purifier.suspect_above.as_ref().map(|suspect| suspect.threshold)
    }
}
