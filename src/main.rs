//! The program `puvae`: purifies and classifies frames within a deadline, and accounts for every one.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
