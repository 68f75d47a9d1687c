//! A configuration that was checked.

use std::path::PathBuf;

use super::{NamedFile, PurifierChoice, VerdictsTo};
use crate::deadline::Deadline;
use crate::metrics::MetricsAddress;
use crate::model::engine::EngineOptions;
use crate::model::hash::FileHash;
use crate::pipeline::OnUnpurified;
use crate::preprocess::{Prep, Region};
use crate::source::SourceUri;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where frames come from.
    pub source: SourceUri,
    /// The purifier.
    pub purifier: PurifierChoice,
    /// What the purifier's file must be; none without a purifier.
    pub purifier_sha256: Option<FileHash>,
    /// The classifier's ONNX file.
    pub classifier: PathBuf,
    /// What the classifier's file must be.
    pub classifier_sha256: Option<FileHash>,
    /// What verdicts are measured against.
    pub deadline: Deadline,
    /// At least 1.
    pub frames: Option<u64>,
    /// From [`LOWEST_FPS`](crate::source::LOWEST_FPS) to [`HIGHEST_FPS`](crate::source::HIGHEST_FPS).
    pub fps: Option<f64>,
    /// How pictures become tensors.
    pub prep: Prep,
    /// The parts of each frame that are looked at; the whole frame when empty.
    pub regions: Vec<Region>,
    /// What becomes of a frame that cannot be purified in time.
    pub on_unpurified: OnUnpurified,
    /// How ONNX Runtime is started.
    pub engine: EngineOptions,
    /// Seed of the latent noise.
    pub seed: u64,
    /// Where the JSON report goes.
    pub json: Option<PathBuf>,
    /// Where the HTML report goes.
    pub html: Option<PathBuf>,
    /// Where verdicts go.
    pub verdicts: Option<VerdictsTo>,
    /// Where metrics are served.
    pub metrics: Option<MetricsAddress>,
    /// Show the run in the terminal.
    pub live: bool,
    /// Run even if the deadline is impossible.
    pub force: bool,
    /// The configuration file, where there was one.
    pub config: Option<PathBuf>,
}

impl Settings {
    /// Every file and folder that a run reads, as far as the settings name it.
    #[must_use]
    pub fn inputs(&self) -> Vec<NamedFile<'_>> {
        let mut inputs = vec![("--classifier", self.classifier.as_path())];
        if let PurifierChoice::File(path) = &self.purifier {
            inputs.push(("--purifier", path));
        }
        match &self.source {
            SourceUri::Dir(folder) => inputs.push(("--source", folder)),
            SourceUri::Idx { images, labels } => {
                inputs.extend(
                    [Some(images), labels.as_ref()].into_iter().flatten().map(|file| ("--source", file.as_path())),
                );
            }
            SourceUri::Camera(_) | SourceUri::Stdin(_) | SourceUri::Synthetic(_) => {}
        }
        inputs.extend(self.config.as_deref().map(|path| ("--config", path)));
        inputs.extend(self.engine.library_file());
        inputs
    }

    /// Every file that a run writes.
    #[must_use]
    pub fn outputs(&self) -> Vec<NamedFile<'_>> {
        let verdicts = match &self.verdicts {
            Some(VerdictsTo::File(path)) => Some(path.as_path()),
            _ => None,
        };
        let outputs = [("--json", self.json.as_deref()), ("--html", self.html.as_deref()), ("--verdicts", verdicts)];
        outputs.into_iter().filter_map(|(flag, path)| Some((flag, path?))).collect()
    }
}
