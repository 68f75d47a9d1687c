//! The command line of `puvae-train`.

mod args;
mod attack;
mod evaluate;
mod export;
mod train;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use puvae_training::data::{DataSet, publisher};
use puvae_training::reproduce::{self, Part, Settings};
use puvae_training::{device, golden, table};

use args::DataArgs;

/// Trains, attacks, evaluates and exports the networks that puvae runs.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a classifier (the paper's Table 1).
    Classifier(train::Classifier),
    /// Check that a data set can be read, and say what is in it.
    Data(Data),
    /// Train a Defense-GAN: a generator of clean images, with its critic (WGAN-GP).
    DefenseGan(train::DefenseGan),
    /// Measure accuracy on clean and attacked images, undefended and defended.
    Evaluate(evaluate::Evaluate),
    /// Write a run as an ONNX file, with its golden file beside it.
    Export(export::Export),
    /// Write an untrained purifier as an ONNX file: for measuring speed, and nothing else.
    ExportUntrained(export::ExportUntrained),
    /// Write attacked images: as frames for demonstrations, in turns clean and under each attack, or as arrays.
    Attack(attack::Attack),
    /// Train a MagNet: an autoencoder of clean images.
    Magnet(train::Magnet),
    /// Train a black-box attacker's substitute on a target's answers, for `evaluate --substitute`.
    Substitute(train::Substitute),
    /// Print results files as a Markdown table, with the paper's numbers beside ours.
    Table {
        /// Files that `evaluate` wrote.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write a tiny graph and golden file for every kind of layer.
    GoldenLayers {
        /// Folder for them.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make the paper's tables and figures again, ours beside the paper's: trains what is missing, measures, writes one page.
    Reproduce {
        /// Which table or figure.
        #[arg(value_enum)]
        part: Part,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Train a purifier against a source classifier, or several.
    Puvae(train::Puvae),
}

#[derive(Debug, Args)]
struct Data {
    #[command(flatten)]
    data: DataArgs,
    /// Fetch what is missing of mnist, fashion-mnist or cifar10 from its publisher first.
    #[arg(long)]
    fetch: bool,
    /// Fetch from this folder of a mirror instead.
    #[arg(long, requires = "fetch")]
    mirror: Option<String>,
}

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let device = device::best();
    match cli.command {
        Command::Attack(command) => command.run(device),
        Command::Classifier(command) => command.run(device),
        Command::Data(command) => command.run(),
        Command::DefenseGan(command) => command.run(device),
        Command::Evaluate(command) => command.run(device),
        Command::Export(command) => command.run(device),
        Command::ExportUntrained(command) => command.run(),
        Command::GoldenLayers { out } => golden::write_layers(&out),
        Command::Magnet(command) => command.run(device),
        Command::Puvae(command) => command.run(device),
        Command::Reproduce { part, settings } => reproduce::run(part, &settings, device),
        Command::Substitute(command) => command.run(device),
        Command::Table { files } => {
            print!("{}", table::of_files(&files)?);
            Ok(())
        }
    }
}

impl Data {
    fn run(self) -> Result<()> {
        let Self { data, fetch, mirror } = self;
        if fetch {
            publisher::fetch(&data.data.join(&data.dataset), &data.remotes(mirror)?)?;
        }
        let DataSet { name, classes, channels, side_px, train, held_out, test } = &data.load()?;
        println!(
            "{name}: {side_px}×{side_px} pixels, {channels} channels, {} classes ({}), {} images to train on, {} held out, {} for testing",
            classes.len(),
            classes.join(", "),
            train.len(),
            held_out.len(),
            test.len()
        );
        Ok(())
    }
}
