//! Table 7: how long the defences take for a batch of 128, in one run.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::Settings;
use crate::defence::Defence;
use crate::defence::defense_gan::{DefenseGan, Projection};
use crate::defence::magnet::{Magnet, MagnetConfig};
use crate::evaluate;
use crate::files;
use crate::gan::{GanConfig, Generator};
use crate::nn::params::Params;
use crate::paper;
use crate::progress::{self, timed};
use crate::puvae::{Puvae, PuvaeConfig, Size};

/// Pictures purified at a time.
pub(super) const BATCH: i64 = 128;

/// The content of `table7.json`; measured, never typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Speeds {
    /// The command that made the file.
    pub(super) command: String,
    /// What computed.
    pub(super) device: String,
    /// Pictures of 28×28 purified at a time.
    pub(super) batch: i64,
    /// How Defense-GAN looks for a picture.
    pub(super) projection: Projection,
    /// The defences.
    pub(super) rows: Vec<Speed>,
}

/// One defence.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Speed {
    /// Its name.
    pub(super) name: String,
    /// Number of runs after one that does not count.
    pub(super) runs: usize,
    /// Median of the runs, in seconds a batch.
    pub(super) seconds: f64,
    /// Times the median of the paper's PuVAE in this run.
    pub(super) over_puvae: f64,
    /// The paper's seconds on its TITAN V, where it has the defence.
    pub(super) paper_seconds: Option<f64>,
}

/// Times untrained networks: weights make no difference to it.
pub(super) fn run(settings: &Settings, device: Device) -> Result<Speeds> {
    let x = Tensor::rand([BATCH, 1, 28, 28], (Kind::Float, device));
    let puvae = |size| Puvae::new(PuvaeConfig::preset(size, 28, 1, 10), Params::new(1, device));
    let (paper, lite) = (puvae(Size::Paper), puvae(Size::Lite));
    let magnet = Magnet::new(MagnetConfig::published(28, 1), Params::new(1, device));
    let generator = Generator::new(GanConfig::published(28, 1), Params::new(1, device));
    let gan = DefenseGan::new(generator, settings.projection())?;
    let defences: [(&dyn Defence, usize); 4] = [(&paper, 10), (&lite, 20), (&magnet, 50), (&gan, 1)];
    let mut rows = Vec::new();
    for (defence, runs) in defences {
        let runs = if settings.quick { 1 } else { runs };
        let seconds = median(defence, &x, runs);
        let over_puvae = seconds / rows.first().map_or(seconds, |first: &Speed| first.seconds);
        rows.push(Speed {
            name: defence.name(),
            runs,
            seconds,
            over_puvae,
            paper_seconds: paper::seconds(&defence.name()),
        });
    }
    Ok(Speeds {
        command: evaluate::command(),
        device: crate::device::name(device),
        batch: BATCH,
        projection: settings.projection(),
        rows,
    })
}

/// Median of the seconds of `runs` runs, after one that does not count.
pub(super) fn median(defence: &dyn Defence, x: &Tensor, runs: usize) -> f64 {
    let bar = progress::bar(&defence.name(), runs + 1);
    let once = || {
        bar.inc(1);
        timed(|| tch::no_grad(|| defence.purify(x)).frames.sum(Kind::Float).double_value(&[])).1
    };
    once();
    let mut seconds: Vec<f64> = (0..runs).map(|_| once()).collect();
    bar.finish_and_clear();
    seconds.sort_by(f64::total_cmp);
    f64::midpoint(seconds[(runs - 1) / 2], seconds[runs / 2])
}

impl Speeds {
    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        files::replace(path, (serde_json::to_string_pretty(self)? + "\n").as_bytes())
    }

    /// Reads what [`Speeds::write`] wrote.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))?;
        serde_json::from_str(&text).with_context(|| {
            format!("{}: not what `puvae-train reproduce table7` writes; make it again", path.display())
        })
    }
}
