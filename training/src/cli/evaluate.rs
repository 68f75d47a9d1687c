//! `puvae-train evaluate`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use puvae_training::defence::defense_gan::Projection;
use puvae_training::evaluate::{self, Destination, Measures, Participants, Resume, contestants};
use puvae_training::{files, runs};
use tch::Device;

use super::args::{Adaptive, Attacks, DataArgs, SplitName};

#[derive(Debug, Args)]
pub(super) struct Evaluate {
    #[command(flatten)]
    data: DataArgs,
    /// Run folder, or exported .onnx file, of the target classifier M_t, which is attacked.
    #[arg(long)]
    target: PathBuf,
    /// Defences: run folders or exported files of purifiers, or `binarise`, `median` and `class-mean`, which need none; each optionally as NAME=PATH.
    #[arg(long)]
    defence: Vec<String>,
    /// Run folders or exported files of classifiers to put in the target's place (another one, one trained adversarially), each optionally as NAME=PATH.
    #[arg(long)]
    replacement: Vec<String>,
    /// Run folder of the black-box attacker's substitute for the target: adds each attack made on it.
    #[arg(long)]
    substitute: Option<PathBuf>,
    /// Which images; choices are made on the held-out ones, the test images are for reporting.
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// Only so many images, drawn by the seed.
    #[arg(long)]
    images: Option<usize>,
    /// Images for the costly attacks, PGD and CW.
    #[arg(long, default_value_t = 1000)]
    costly_images: usize,
    #[command(flatten)]
    attacks: Attacks,
    /// Images for the attacker who knows the defence; 0 leaves him out.
    #[arg(long, default_value_t = 1000)]
    adaptive_images: usize,
    #[command(flatten)]
    adaptive: Adaptive,
    #[command(flatten)]
    projection: Projection,
    /// Seed of targets, latent noise and the choice of images.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Results file, written after each row.
    #[arg(long)]
    out: PathBuf,
    /// Go on from the file at --out, if there is one: what it has of the same question is kept.
    #[arg(long)]
    resume: bool,
}

impl Evaluate {
    pub(super) fn run(self, device: Device) -> Result<()> {
        files::check_writable(&self.out)?;
        let set = self.data.load()?;
        let measures = Measures {
            attacks: self.attacks.kinds(&set)?,
            images: self.images,
            costly_images: self.costly_images,
            adaptive: (self.adaptive_images > 0).then(|| (self.adaptive.effort(&set), self.adaptive_images)),
            seed: self.seed,
        };
        let target = runs::load_classifier(&self.target, device)?;
        let substitute = self.substitute.map(|run| runs::load_classifier(&run, device)).transpose()?;
        let defence = |given: &String| contestants::defence(&set, given, self.projection, device);
        let replacement = |given: &String| contestants::replacement(&set, given, device);
        let contestants: Vec<_> =
            self.defence.iter().map(defence).chain(self.replacement.iter().map(replacement)).collect::<Result<_>>()?;
        let participants = Participants { target: &target, substitute: substitute.as_ref(), contestants: &contestants };
        let resume = if self.resume { Resume::Same } else { Resume::Never };
        let at = Destination { path: &self.out, resume };
        evaluate::run(&set, self.split.of(&set), participants, &measures, at).map(drop)
    }
}
