//! `puvae-train attack`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use puvae_training::attack::Plan;
use puvae_training::{files, frames, npz, runs};
use tch::Device;

use super::args::{Attacks, DataArgs, SplitName};

#[derive(Debug, Args)]
pub(super) struct Attack {
    #[command(flatten)]
    data: DataArgs,
    /// Run folder, or exported .onnx file, of the classifier that is attacked.
    #[arg(long)]
    target: PathBuf,
    #[command(flatten)]
    attacks: Attacks,
    /// Number of images.
    #[arg(long, default_value_t = 600)]
    images: usize,
    /// Seed of the choice of images and targets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Frames of test images, in turns clean and under each attack: `OUT-images.idx3-ubyte.gz` and so on, or of colour pictures
    /// `OUT/PART/CLASS/NUMBER.png`.
    #[arg(long, required_unless_present_any = ["npz", "weights"])]
    out: Option<PathBuf>,
    /// Arrays `x`, `x_adv`, `y`, `y_target` and `parameters` of one attack, for NumPy.
    #[arg(long)]
    npz: Option<PathBuf>,
    /// Which images the arrays are of.
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// The target's parameters by name, for NumPy.
    #[arg(long)]
    weights: Option<PathBuf>,
}

impl Attack {
    pub(super) fn run(self, device: Device) -> Result<()> {
        let Self { data, target, attacks, images, seed, out, npz, split, weights } = self;
        npz.iter().chain(&weights).try_for_each(|path| npz::check(path))?;
        out.iter().chain(&npz).chain(&weights).try_for_each(|path| files::check_writable(path))?;
        let target = runs::load_classifier(&target, device)?;
        let set = data.load()?;
        let kinds = attacks.kinds(&set)?;
        ensure!(
            npz.is_none() || kinds.len() == 1,
            "--npz takes one attack, got {}; name it with --attacks",
            kinds.len()
        );
        if let Some(weights) = weights {
            npz::weights(&target.network, &weights)?;
        }
        if let Some(out) = out {
            frames::write(&target, &set, &kinds, images, seed, &out)?;
        }
        if let Some(path) = npz {
            let (attack, aim) = kinds[0];
            let (split, name) = split.of(&set);
            npz::attack(&target, &set, (&split.sample(images, seed), name), Plan { attack, aim, seed }, &path)?;
        }
        Ok(())
    }
}
