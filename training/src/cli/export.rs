//! `puvae-train export` and `export-untrained`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::Args;
use puvae_training::nn::int8::Weights;
use puvae_training::puvae::{Form, Size};
use puvae_training::runs::Stored;
use puvae_training::{export, files};
use tch::Device;

use super::args::DataArgs;

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    data: DataArgs,
    /// Run folder.
    #[arg(long)]
    run: PathBuf,
    /// ONNX file to write.
    #[arg(long)]
    out: PathBuf,
    /// Layout of a purifier's graph.
    #[arg(long, value_enum, default_value = "shared")]
    form: Form,
    /// How a classifier's weights are stored.
    #[arg(long, value_enum, default_value = "f32")]
    weights: Weights,
}

impl Export {
    pub(super) fn run(self, device: Device) -> Result<()> {
        let Self { data, run, out, form, weights } = self;
        check_onnx(&out)?;
        let stored = Stored::read(&run)?;
        ensure!(
            weights == Weights::F32 || stored.kind() == "classifier",
            "{}: a {}, and --weights int8 is for classifiers; leave it out",
            run.display(),
            stored.kind()
        );
        let set = data.load()?;
        match stored.kind() {
            "classifier" => export::classifier(&stored.classifier(device)?, &set, weights, &out),
            "puvae" => export::puvae(&stored.puvae(device)?, &set, form, &out),
            "magnet" => export::magnet(&stored.magnet(device)?, &set, &out),
            other => bail!("{}: a run of a {other}; only classifiers, PuVAEs and MagNets are exported", run.display()),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ExportUntrained {
    /// Which layers.
    #[arg(long, value_enum, default_value = "paper")]
    preset: Size,
    /// Side of the pictures, in pixels.
    #[arg(long, default_value_t = 28)]
    side: i64,
    /// Channels of the pictures: 1 or 3.
    #[arg(long, default_value_t = 1)]
    channels: i64,
    /// ONNX file to write.
    #[arg(long)]
    out: PathBuf,
    /// Layout of the graph.
    #[arg(long, value_enum, default_value = "shared")]
    form: Form,
}

impl ExportUntrained {
    pub(super) fn run(self) -> Result<()> {
        check_onnx(&self.out)?;
        export::untrained(self.preset, (self.channels, self.side), self.form, &self.out)
    }
}

/// An ONNX file can be written there, and nothing else gets lost.
fn check_onnx(path: &Path) -> Result<()> {
    ensure!(
        path.extension().is_some_and(|ending| ending == "onnx"),
        "{}: expected a file name that ends in .onnx",
        path.display()
    );
    files::check_writable(path)
}
