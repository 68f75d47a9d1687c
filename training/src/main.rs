//! `puvae-train`: trains, attacks, evaluates and exports.

mod cli;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    cli::run(cli::Cli::parse())
}
