//! A named command: said when it starts, timed, and an error with its name when it fails.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Runs `work` under a name, which stderr shows before and after.
///
/// # Errors
/// That of `work`, with the name.
pub(crate) fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("── {name}");
    let started = now();
    work().with_context(|| format!("{name}: failed after {}", seconds(now() - started)))?;
    eprintln!("── {name}: done in {}", seconds(now() - started));
    Ok(())
}

/// Runs a command as a step.
///
/// # Errors
/// When it cannot be started or does not end with success.
pub(crate) fn command_step(name: &str, command: &mut Command) -> Result<()> {
    step(name, || succeed(command))
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or does not end with success.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", words(command)))?;
    ensure!(status.success(), "{status}: {}", words(command));
    Ok(())
}

/// The command as one would type it.
fn words(command: &Command) -> String {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The system's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "how long a build takes is shown to people; no test depends on it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_its_status_and_its_words() {
        let error = command_step("lints", Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.starts_with("lints: failed after ") && text.contains("exit status: 7: sh -c exit 7"), "{text}");
    }

    #[test]
    fn a_command_that_does_not_exist_is_named() {
        let text = format!("{:#}", succeed(&mut Command::new("no-such-program")).unwrap_err());
        assert!(text.contains("cannot start no-such-program"), "{text}");
    }
}
