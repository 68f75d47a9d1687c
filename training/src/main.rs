//! `puvae-train`: trains, attacks, evaluates and exports.

mod cli;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    sigpipe::reset(); // `puvae-train … | head` ends quietly
    cli::run(cli::Cli::parse())
}
