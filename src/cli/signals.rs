//! SIGINT and SIGTERM.

use std::thread;

use anyhow::anyhow;
use puvae::live;
use puvae::pipeline::StopFlag;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::exit;

use super::INTERRUPTED;

/// The first signal sets the flag; one that comes when it is set ends the process at once.
pub(super) fn stop_on_signals() -> anyhow::Result<StopFlag> {
    let stop = StopFlag::new();
    let set = stop.clone();
    let work = move |mut signals: Signals| {
        for _ in signals.forever() {
            if set.is_set() {
                live::restore();
                exit(i32::from(INTERRUPTED));
            }
            set.set();
        }
    };
    Signals::new([SIGINT, SIGTERM])
        .and_then(|signals| thread::Builder::new().name("puvae-signals".into()).spawn(move || work(signals)))
        .map_err(|error| anyhow!("cannot catch SIGINT and SIGTERM: {error}; try again, or report it"))?;
    Ok(stop)
}
