//! The purifier in an ONNX file: `frames [N,C,H,W] → purified [N,C,H,W]`, with `score [N]` where its spec names one.
//!
//! One that selects a class also takes `noise [N,K,Z]` and gives `label [N]` and `distances [N,K]`; a reformer does not.

use std::path::Path;

use ndarray::{Array1, Array3, ArrayView4, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use super::ModelError;
use super::engine::Engine;
use super::file::ModelInfo;
use super::graph::{Graph, Outputs, check_shape};
use super::spec::{InputShape, PurifierSpec, Role};
use crate::frame::FrameId;
use crate::purifier::{Purified, Purifier, Selected};

/// A purifier run by ONNX Runtime.
pub struct OnnxPurifier {
    graph: Graph,
    info: ModelInfo,
    purifier: PurifierSpec,
    /// Of a purifier that selects a class.
    noise: Option<LatentNoise>,
}

/// The latent noise of a purifier: standard normal times σ_ε, a stream of the generator for each frame id.
struct LatentNoise {
    seed: u64,
    sigma_eps: f32,
    /// `[N, K, Z]`, kept from run to run.
    values: Array3<f32>,
}

impl LatentNoise {
    /// Draws the noise for these frames.
    fn draw(&mut self, ids: &[FrameId]) {
        let (batch, classes, latent) = self.values.dim();
        if batch != ids.len() {
            self.values = Array3::zeros((ids.len(), classes, latent));
        }
        for (id, mut noise) in ids.iter().zip(self.values.axis_iter_mut(Axis(0))) {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(id.0);
            for value in &mut noise {
                let normal: f32 = StandardNormal.sample(&mut random);
                *value = normal * self.sigma_eps;
            }
        }
    }
}

impl OnnxPurifier {
    /// Opens the file and checks its spec against its graph.
    ///
    /// `seed` seeds the latent noise, together with each frame's id; a reformer has none.
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
        let classes = info.spec.classes.len();
        let noise = purifier.selection.as_ref().map(|selection| LatentNoise {
            seed,
            sigma_eps: selection.sigma_eps,
            values: Array3::zeros((1, classes, selection.latent)),
        });
        Ok(Self { graph, info, purifier, noise })
    }

    /// Which model it is.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Refuses frames that the model does not take, and an `out` that is not its room for them.
    fn check_shapes(&self, ids: &[FrameId], frames: &ArrayView4<'_, f32>, out: &Purified) -> Result<(), ModelError> {
        self.info.check_frames(frames)?;
        let (batch, classes, path) = (frames.dim().0, self.info.spec.classes.len(), &self.info.path);
        let selects = self.purifier.selection.is_some();
        let [labels, distances] = out.selected.as_ref().map_or([0, 0], |s| [s.label.len(), s.distances.len()]);
        let scores = out.score.as_ref().map_or(0, Array1::len);
        let if_given = |given: bool, len: usize| if given { len } else { 0 };
        if ids.len() != batch {
            return Err(ModelError::Ids { path: path.clone(), got: ids.len(), expected: batch });
        }
        check_shape(path, "purified", out.frames.shape(), frames.shape())?;
        check_shape(path, "label", &[labels], &[if_given(selects, batch)])?;
        check_shape(path, "distances", &[distances], &[if_given(selects, batch * classes)])?;
        check_shape(path, "score", &[scores], &[if_given(self.purifier.score.is_some(), batch)])
    }
}

/// Copies what the model selected, and refuses a label that names no class.
fn copy_selected(outputs: &Outputs<'_>, path: &Path, selected: &mut Selected) -> Result<(), ModelError> {
    outputs.copy_f32("distances", selected.distances.view_mut().into_dyn())?;
    let labels: &[i64] = outputs.shaped("label", &[selected.label.len()])?;
    let classes = selected.distances.dim().1;
    for (index, (into, &got)) in selected.label.iter_mut().zip(labels).enumerate() {
        *into = usize::try_from(got).ok().filter(|&label| label < classes).ok_or_else(|| ModelError::Label {
            path: path.into(),
            got,
            index,
            classes,
        })?;
    }
    Ok(())
}

impl Purifier for OnnxPurifier {
    fn input(&self) -> InputShape {
        self.info.spec.input
    }

    fn room(&self, batch: usize) -> Purified {
        let mut room = Purified::new(batch, self.info.spec.input);
        if self.purifier.selection.is_some() {
            room = room.with_selection(self.info.spec.classes.len());
        }
        if self.purifier.score.is_some() {
            room = room.with_score();
        }
        room
    }

    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        self.check_shapes(ids, &frames, out)?;
        let frames = ("frames", frames.into_dyn());
        let outputs = match &mut self.noise {
            None => self.graph.run(&[frames])?,
            Some(noise) => {
                noise.draw(ids);
                self.graph.run(&[frames, ("noise", noise.values.view().into_dyn())])?
            }
        };
        outputs.copy_f32("purified", out.frames.view_mut().into_dyn())?;
        if let Some(selected) = &mut out.selected {
            copy_selected(&outputs, &self.info.path, selected)?;
        }
        match &mut out.score {
            Some(score) => outputs.copy_f32("score", score.view_mut().into_dyn()),
            None => Ok(()),
        }
    }

    fn suspect_above(&self) -> Option<f32> {
        self.purifier.suspect_above.as_ref().map(|suspect| suspect.threshold)
    }
}
