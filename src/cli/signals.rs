//! SIGINT, SIGTERM, and SIGHUP where it means something.

use std::thread;

use anyhow::anyhow;
use puvae::live;
use puvae::pipeline::StopFlag;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
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
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    Signals::new([SIGINT, SIGTERM].into_iter().chain(hang_up))
        .and_then(|signals| thread::Builder::new().name("puvae-signals".into()).spawn(move || work(signals)))
        .map_err(|error| anyhow!("cannot catch signals: {error}; try again, or report it"))?;
    Ok(stop)
}

/// Whether this process was started with the signal ignored, as nohup does: by Linux's `SigIgn`, in which bit n - 1 stands
/// for signal n. Elsewhere it is not known.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
