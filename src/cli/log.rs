//! Log lines on standard error, except while a live view has the terminal: then they wait.

use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;

use puvae::live::{Lines, is_drawing};
use tracing_subscriber::EnvFilter;

use super::complain;

/// Lines that wait for the terminal.
static WAITING: LazyLock<Lines> = LazyLock::new(Lines::default);

pub(super) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,puvae=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        // A closed standard error must not end a run.
        .log_internal_errors(false)
        .init();
}

/// The lines that wait, for a view to show the newest.
pub(super) fn lines() -> Lines {
    WAITING.clone()
}

/// Writes what has waited, once the terminal is free.
pub(super) fn release() {
    if !is_drawing() {
        complain(&WAITING.take());
    }
}

/// A writer that gets a whole line at a time.
struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if is_drawing() {
            WAITING.push(&String::from_utf8_lossy(line));
            return Ok(line.len());
        }
        release();
        io::stderr().write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
