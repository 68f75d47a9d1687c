//! Networks read back from their runs or from exported files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use tch::Device;

use super::{CLASSIFIER, DEFENSE_GAN, MAGNET, PUVAE, Recipe, Trained};
use crate::checkpoint::{Checkpoint, Header};
use crate::classifier::Classifier;
use crate::defence::magnet::{Magnet, MagnetConfig};
use crate::fit::Schedule;
use crate::gan::{GanConfig, GanSchedule, Generator};
use crate::import;
use crate::nn::params::{HasParams, Params};
use crate::puvae::{Puvae, PuvaeConfig};
use crate::resumable::Run;

/// A run, or an exported file, that was read and may be of any kind.
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    checkpoint: Checkpoint,
}

impl Stored {
    /// Reads the checkpoint in a run's folder, or an exported `.onnx` file.
    ///
    /// # Errors
    /// When there is none, or it is broken.
    pub fn read(out: &Path) -> Result<Self> {
        if out.extension().is_some_and(|ending| ending == "onnx") {
            return Ok(Self { path: out.into(), checkpoint: import::checkpoint(out)? });
        }
        let path = Run::checkpoint(out);
        let checkpoint = Checkpoint::load(&path).with_context(|| format!("{}: no run to read", out.display()))?;
        let Header { epoch, epochs, .. } = checkpoint.header;
        if epoch < epochs {
            eprintln!("note: {} stopped after {epoch} of {epochs} epochs; go on with --resume", out.display());
        }
        Ok(Self { path, checkpoint })
    }

    /// What was trained: `classifier`, `puvae`, `magnet` or `defense-gan`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.checkpoint.header.kind
    }

    /// The classifier.
    ///
    /// # Errors
    /// When it is something else, or not whole; so are those of the other kinds.
    pub fn classifier(self, device: Device) -> Result<Trained<Classifier>> {
        self.network::<_, Schedule, _>(CLASSIFIER, |config| Ok(Classifier::new(config, Params::new(0, device))))
    }

    /// The purifier.
    ///
    /// # Errors
    /// As [`Stored::classifier`].
    pub fn puvae(self, device: Device) -> Result<Trained<Puvae>> {
        self.network::<_, Schedule, _>(PUVAE, |config: PuvaeConfig| {
            config.check()?;
            Ok(Puvae::new(config, Params::new(0, device)))
        })
    }

    /// The MagNet.
    ///
    /// # Errors
    /// As [`Stored::classifier`].
    pub fn magnet(self, device: Device) -> Result<Trained<Magnet>> {
        self.network::<_, Schedule, _>(MAGNET, |config: MagnetConfig| {
            config.check()?;
            Ok(Magnet::new(config, Params::new(0, device)))
        })
    }

    /// The generator of a Defense-GAN.
    ///
    /// # Errors
    /// As [`Stored::classifier`].
    pub fn defense_gan(self, device: Device) -> Result<Trained<Generator>> {
        self.network::<_, GanSchedule, _>(DEFENSE_GAN, |config: GanConfig| {
            config.check()?;
            Ok(Generator::new(config, Params::new(0, device)))
        })
    }

    fn network<C, S, T>(self, kind: &str, make: impl FnOnce(C) -> Result<T>) -> Result<Trained<T>>
    where
        C: DeserializeOwned,
        S: DeserializeOwned,
        T: HasParams,
    {
        let Self { path, checkpoint } = self;
        let recipe: Recipe<C, S> = checkpoint.config(&path, kind)?;
        let network =
            make(recipe.network).with_context(|| format!("{}: the configuration in the checkpoint", path.display()))?;
        let params = network.params();
        params.copy_from(&checkpoint.params).with_context(|| {
            let exported = if path.extension().is_some_and(|ending| ending == "onnx") {
                " (an exported `paper` cannot be read back, for its transposed convolutions were rearranged: give the run's folder)"
            } else {
                ""
            };
            format!("{}: not the network it says it is{exported}", path.display())
        })?;
        params.freeze();
        Ok(Trained { network, header: checkpoint.header })
    }
}

/// Reads a classifier back from its run's folder or its exported file.
///
/// # Errors
/// As [`Stored::read`] and [`Stored::classifier`].
pub fn load_classifier(out: &Path, device: Device) -> Result<Trained<Classifier>> {
    Stored::read(out)?.classifier(device)
}

/// Reads a purifier back.
///
/// # Errors
/// As [`Stored::read`] and [`Stored::puvae`].
pub fn load_puvae(out: &Path, device: Device) -> Result<Trained<Puvae>> {
    Stored::read(out)?.puvae(device)
}
