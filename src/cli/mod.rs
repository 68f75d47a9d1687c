//! The command line: what the user typed, one match over commands, exit codes.
//!
//! Standard output carries results only; everything else goes to standard error.

mod args;
mod bench;
mod calibrate;
mod cameras;
mod inspect;
mod log;
mod opening;
mod outputs;
mod progress;
mod report;
mod run;
mod signals;
mod spec;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser as _;
use puvae::config::ConfigError;
use puvae::live::LiveError;
use puvae::pipeline::PipelineError;
use puvae::report::compare::NumberOfRuns;

use self::args::{Args, Command};
use self::log::complain;

/// Something went wrong, if only with a frame: an interruption does not hide that.
const ERROR: u8 = 1;
/// The command line or the configuration makes no sense.
const USAGE: u8 = 2;
/// The deadline is impossible on this machine.
const IMPOSSIBLE: u8 = 3;
/// A signal ended the run: after a full report, if there was anything to report.
const INTERRUPTED: u8 = 130;

/// Parses, runs, and turns whatever happens into an exit code.
pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    log::start();
    let ended = dispatch(args.command).unwrap_or_else(|error| {
        complain(&format!("error: {error}\n"));
        ExitCode::from(code(&error))
    });
    log::release();
    ended
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args.into_config()?),
        Command::Bench(args) => bench::run(args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Spec(args) => spec::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Cameras => cameras::run(),
    }
}

fn code(error: &anyhow::Error) -> u8 {
    let usage = error.is::<ConfigError>() || error.is::<NumberOfRuns>();
    if usage || matches!(error.downcast_ref(), Some(LiveError::NotATerminal)) {
        USAGE
    } else if matches!(error.downcast_ref(), Some(PipelineError::DeadlineImpossible { .. })) {
        IMPOSSIBLE
    } else if error.is::<run::InterruptedEarly>() {
        INTERRUPTED
    } else {
        ERROR
    }
}

/// Writes a result to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written
        .map_err(|error| anyhow!("cannot write to standard output: {error}; keep its reader open, or write to a file"))
}
