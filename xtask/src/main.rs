//! `cargo xtask …`: everything that takes more than one cargo command.
//!
//! `setup` fetches the native libraries into the user's cache, `demo` shows the filter at work, `test` runs every
//! check there is; `run` and `train` start the two programs of the workspace with all that they need.

mod bundle;
mod comparison;
mod demo;
mod install;
mod launch;
mod pip;
mod setup;
mod soak;
mod step;
mod test;
mod unpack;
mod verdicts;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bundle::Library;

/// Fetches the native libraries, runs the demo and every check.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch the native libraries into the cache, where that is not done yet
    Setup {
        /// Fetch one library only
        #[arg(long)]
        only: Option<Library>,
    },
    /// Run 600 frames, two thirds of them attacked, without and with the purifier, and compare
    Demo {
        /// The deadline, counted from a frame's capture
        #[arg(long, default_value = demo::DEADLINE)]
        deadline: String,
    },
    /// Run every check: format, lints, tests of all crates, examples, documentation
    Test,
    /// Run `test`, then `demo`
    Ci,
    /// Run for a long time and watch memory, age and ledger
    Soak(soak::Soak),
    /// Build and run `puvae` with ONNX Runtime at hand
    Run {
        /// Arguments of `puvae`, after `--`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Build and run `puvae-train` with libtorch at hand
    Train {
        /// Arguments of `puvae-train`, after `--`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup { only } => setup::run(only),
        Command::Demo { deadline } => demo::run(&deadline),
        Command::Test => test::run(),
        Command::Ci => test::run().and_then(|()| demo::run(demo::DEADLINE)),
        Command::Soak(soak) => soak::run(&soak),
        Command::Run { args } => launch::puvae(&args),
        Command::Train { args } => launch::train(&args),
    }
}
