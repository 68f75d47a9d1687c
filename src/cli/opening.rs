//! Opens a source, or a pipe, beside the main thread, which listens to signals meanwhile: a camera's driver may hang, a
//! folder may lie where nobody answers, and nobody may read the pipe.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{anyhow, bail};
use puvae::clock::Clock;
use puvae::pipeline::StopFlag;
use puvae::source::{self, Feed, OPENING_PATIENCE, SourceOptions, SourceUri};

use super::run::InterruptedEarly;

/// How often the stop flag and the clock are looked at.
const TICK: Duration = Duration::from_millis(20);

/// As [`source::open`], until `stop` is set; a camera has [`OPENING_PATIENCE`].
pub(super) fn open(
    uri: &SourceUri,
    options: SourceOptions,
    clock: Arc<dyn Clock>,
    stop: &StopFlag,
) -> anyhow::Result<Feed> {
    let patience = if matches!(uri, SourceUri::Camera(_)) { OPENING_PATIENCE } else { Duration::MAX };
    let (opened, opening_clock) = (uri.clone(), Arc::clone(&clock));
    wait_for(uri, patience, &*clock, stop, move || source::open(&opened, &options, opening_clock))
}

/// What `open` gives, until `stop` is set; one that takes longer than `patience` is left to itself.
pub(super) fn wait_for<T: Send + 'static, E: Into<anyhow::Error> + Send + 'static>(
    name: &dyn Display,
    patience: Duration,
    clock: &dyn Clock,
    stop: &StopFlag,
    open: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> anyhow::Result<T> {
    let (tell, opened) = channel();
    let since = clock.now();
    thread::Builder::new()
        .name("puvae-opening".into())
        .spawn(move || tell.send(open()))
        .map_err(|error| anyhow!("cannot start a thread to open {name}: {error}; free some memory"))?;
    loop {
        match opened.recv_timeout(TICK) {
            Ok(result) => return result.map_err(Into::into),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("{name}: opening it panicked; this is a defect, please report it")
            }
            Err(RecvTimeoutError::Timeout) if stop.is_set() => {
                bail!(InterruptedEarly(format!("while {name} was being opened")))
            }
            Err(RecvTimeoutError::Timeout) if clock.now() - since > patience => bail!(
                "{name}: not open after {patience:?}; plug the camera in again, end other programs that use it, or give another one (`puvae cameras` lists them)"
            ),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use puvae::clock::SimulatedClock;
    use puvae::source::SourceError;

    use super::*;

    /// Why a source is not opened that does not return before this does; `meanwhile` happens while it is being opened.
    fn refusal(meanwhile: impl FnOnce() + Send + 'static, clock: &SimulatedClock, stop: &StopFlag) -> anyhow::Error {
        let (_release, released) = channel::<()>();
        let hanging = move || -> Result<(), SourceError> {
            meanwhile();
            let _ = released.recv();
            Err(SourceError::Unplugged)
        };
        wait_for(&"camera:0", OPENING_PATIENCE, clock, stop, hanging).unwrap_err()
    }

    #[test]
    fn a_camera_that_does_not_open_is_left_to_itself() {
        let clock = SimulatedClock::new();
        let time = clock.clone();
        let error = refusal(move || time.advance(Duration::from_secs(11)), &clock, &StopFlag::new());
        assert_eq!(
            error.to_string(),
            "camera:0: not open after 10s; plug the camera in again, end other programs that use it, or give another one (`puvae cameras` lists them)"
        );
    }

    #[test]
    fn a_signal_is_heard_while_a_source_opens() {
        let stop = StopFlag::new();
        let set = stop.clone();
        let error = refusal(move || set.set(), &SimulatedClock::new(), &stop);
        assert!(error.is::<InterruptedEarly>());
        assert_eq!(error.to_string(), "interrupted while camera:0 was being opened; nothing was written, run again");
    }

    #[test]
    fn what_opens_or_is_refused_in_time_comes_back() {
        let (clock, stop) = (SimulatedClock::new(), StopFlag::new());
        let uri: SourceUri = "synthetic:6x6?frames=3".parse().unwrap();
        let feed = open(&uri, SourceOptions::default(), Arc::new(clock.clone()), &stop).unwrap();
        assert_eq!(feed.source.frames(), Some(3));
        let error = wait_for(&uri, Duration::MAX, &clock, &stop, || Err::<(), _>(SourceError::NoFrames)).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(SourceError::NoFrames)));
        let panics = || -> Result<(), SourceError> { panic!("as the test says") };
        let error = wait_for(&uri, Duration::MAX, &clock, &stop, panics).unwrap_err();
        assert!(error.to_string().ends_with("opening it panicked; this is a defect, please report it"), "{error}");
    }
}
