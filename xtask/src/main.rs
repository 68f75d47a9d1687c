//! `cargo xtask …`: everything that takes more than one cargo command.
//!
//! `setup` fetches the native libraries into the user's cache, `demo` shows the filter at work, `test` runs every
//! check there is (`vivid` those that need a camera); `run` and `train` start the two programs of the workspace with all that they need.

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
mod vivid;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

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
    Test {
        /// Also what takes long or a virtual machine: `vivid`
        #[arg(long)]
        all: bool,
    },
    /// Run the tests that need a camera, in a virtual machine that has two (Debian; fetches 85 MB)
    Vivid {
        /// Seconds that the virtual machine may take
        #[arg(long, default_value_t = VIVID_LIMIT_S)]
        limit: u64,
        /// Arguments of the test program, after `--`: a test's name, say
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Run `test`, then `demo` with the program that was tested
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

/// Several times what the camera tests take on two cores.
const VIVID_LIMIT_S: u64 = 900;

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
        Command::Test { all } => test::run().and_then(|()| if all { vivid(&[], VIVID_LIMIT_S) } else { Ok(()) }),
        Command::Vivid { limit, args } => vivid(&args, limit),
        Command::Ci => test::run().and_then(|()| demo::run_tested(demo::DEADLINE)),
        Command::Soak(soak) => soak::run(&soak),
        Command::Run { args } => launch::puvae(&args),
        Command::Train { args } => launch::train(&args),
    }
}

fn vivid(args: &[String], limit_s: u64) -> Result<()> {
    vivid::run(args, Duration::from_secs(limit_s))
}
