//! The program `puvae`: purifies and classifies frames within a deadline, and accounts for every one.

mod annotate;
mod bench;
mod cameras;
mod cli;
mod inspect;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
