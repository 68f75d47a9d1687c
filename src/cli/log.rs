//! Log lines on standard error, written by a thread of their own: whoever has something to say does not wait for a terminal
//! that takes nothing. While a live view has the terminal they wait.

use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use puvae::live::{Lines, is_drawing};
use tracing_subscriber::EnvFilter;

/// Lines that wait to be written.
static WAITING: LazyLock<Lines> = LazyLock::new(Lines::default);

pub(super) fn start() {
    let (wake, woken) = sync_channel(1);
    // Without a thread every line is written where it is said.
    let _ = thread::Builder::new().name("puvae-log".into()).spawn(move || woken.iter().for_each(|()| release()));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,puvae=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Log(wake.clone()))
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
        complain("");
    }
}

/// Writes to standard error, behind the lines that have waited. When nobody reads it there is nobody to tell.
pub(super) fn complain(text: &str) {
    let mut stderr = io::stderr().lock();
    let waited = if is_drawing() { String::new() } else { WAITING.take() };
    let _ = stderr.write_all((waited + text).as_bytes());
}

/// A writer that gets a whole line at a time, and wakes the thread.
struct Log(SyncSender<()>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        WAITING.push(&String::from_utf8_lossy(line));
        if let Err(TrySendError::Disconnected(())) = self.0.try_send(()) {
            release();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
