//! The report as tables for a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table, TableComponent};

use super::findings::findings;
use super::schema::{Histogram, Report, RunInfo};

/// What stands where nothing was measured.
pub(super) const NOT_MEASURED: &str = "n/a";

/// Everything a person wants to know at the end of a run, on about 30 lines.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut add = |part: String| writeln!(text, "{part}").expect("a string takes what is written to it");
    add(headline(report));
    add(ledger(report));
    add(latencies(report));
    for (name, line) in findings(report) {
        add(format!(" {name:<10}{line}"));
    }
    text
}

/// One line: how long, how many, how many in time.
#[must_use]
pub fn headline(report: &Report) -> String {
    let ledger = &report.ledger;
    let ended = match (&report.run.failure, report.run.interrupted) {
        (Some(_), _) => ", failed",
        (None, true) => ", interrupted",
        (None, false) => "",
    };
    format!(
        "{} of {} frames on time ({} missed), deadline {}, {:.1} s{ended}",
        ledger.on_time,
        ledger.captured,
        report.miss_ratio.map_or(NOT_MEASURED.into(), percent),
        duration(report.deadline_us),
        report.duration_s,
    )
}

/// Columns under a header, the first `left` aligned to the left and the numbers after them to the right.
#[must_use]
pub fn lay_out(header: &[&str], left: usize, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_preset(UTF8_HORIZONTAL_ONLY)
        .remove_style(TableComponent::HorizontalLines)
        .remove_style(TableComponent::MiddleIntersections)
        .set_header(header);
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.add_rows(rows);
    table.to_string()
}

fn ledger(report: &Report) -> String {
    let ledger = &report.ledger;
    let share = |count: u64| match ledger.captured {
        0 => NOT_MEASURED.into(),
        captured => percent(count as f64 / captured as f64),
    };
    let row = |name: &str, count: u64| vec![name.to_owned(), count.to_string(), share(count)];
    let fates = rows(report).into_iter().chain([("captured", ledger.captured)]);
    lay_out(&["fate", "frames", "share"], 1, fates.map(|(name, count)| row(name, count)).collect())
}

/// The ledger's entries, in the order of the report.
pub(super) fn rows(report: &Report) -> [(&'static str, u64); 7] {
    let ledger = &report.ledger;
    [
        ("on time", ledger.on_time),
        ("late", ledger.late),
        ("expired", ledger.expired),
        ("dropped in the queue", ledger.dropped_queue),
        ("dropped by the driver", ledger.dropped_driver),
        ("dropped at shutdown", ledger.dropped_shutdown),
        ("failed", ledger.failed),
    ]
}

fn latencies(report: &Report) -> String {
    let row = |(name, histogram): (&str, &Histogram)| {
        let Histogram { p50, p90, p99, p99_9, max, .. } = *histogram;
        let mut row = vec![name.to_owned()];
        row.extend([p50, p90, p99, p99_9, max].map(optional));
        row.push(histogram.count.to_string());
        row
    };
    let header = ["latency", "p50", "p90", "p99", "p99.9", "max", "samples"];
    lay_out(&header, 1, report.latency_us.named().map(row).into())
}

/// What the age could be at best, where the frame rate alone makes the newest verdict older than the deadline:
/// between two verdicts it grows to a response time and a frame period.
pub(super) fn age_limit(report: &Report) -> Option<String> {
    let fps = rate(report)?;
    let response = &report.latency_us.response;
    let period_us = 1e6 / fps;
    if period_us + response.p50? as f64 <= report.deadline_us as f64 {
        return None;
    }
    let peak_us = period_us + response.p99? as f64;
    let round_to = if peak_us < 1e5 { 100.0 } else { 1000.0 };
    let possible = duration(((peak_us / round_to).ceil() * round_to) as u64);
    let who = if period_us > report.deadline_us as f64 { "no purifier can" } else { "these models cannot" };
    let fps = tenths(fps);
    Some(format!(
        "at {fps} frames a second {who} keep the newest verdict younger than {}; {possible} is possible \
         (frame period + response p99)",
        duration(report.deadline_us)
    ))
}

/// A file's frames that came well below the rate that was asked for.
pub(super) fn slow_source(report: &Report) -> Option<String> {
    let asked = report.run.fps.filter(|_| !report.run.live)?;
    let came = slower_than(asked, report.ledger.captured, Duration::from_micros(report.latency_us.capture.p50?))?;
    Some(format!(
        "about {came} frames a second came, {asked} were asked for: reading one takes longer than there is time"
    ))
}

/// Frames a second that came, where a source was asked for more and kept well below that. Of `frames` that lag behind their
/// schedule more and more, half are behind by `lag` or less.
#[must_use]
pub fn slower_than(asked: f64, frames: u64, lag: Duration) -> Option<f64> {
    let came = frames as f64 / (frames as f64 / asked + 2.0 * lag.as_secs_f64());
    (came < 0.9 * asked).then(|| tenths(came))
}

/// Frames a second, to be shown.
#[must_use]
pub fn tenths(fps: f64) -> f64 {
    (fps * 10.0).round() / 10.0
}

/// Frames a second: those asked for, or those that came of a source with a pace of its own.
fn rate(report: &Report) -> Option<f64> {
    let came = || report.ledger.captured as f64 / report.duration_s;
    let came = (report.run.live && report.ledger.captured > 0 && report.duration_s > 0.0).then(came);
    report.run.fps.or(came)
}

/// When frames came.
pub(super) fn pace(run: &RunInfo) -> String {
    match (run.fps, run.live) {
        (Some(fps), _) => format!("{fps} frames a second"),
        (None, true) => "as the source gives them".into(),
        (None, false) => "waits for the pipeline".into(),
    }
}

/// A share of 1 in percent, so that a few never look like none, nor most like all.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent > 0.0 && percent < 0.01 => "< 0.01 %".into(),
        _ if percent > 99.99 && percent < 100.0 => "> 99.99 %".into(),
        _ if percent > 0.0 && percent < 0.1 || percent > 99.9 && percent < 100.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// `1 thread`, `2 threads`.
#[must_use]
pub fn threads(count: usize) -> String {
    format!("{count} thread{}", if count == 1 { "" } else { "s" })
}

pub(super) fn optional(us: Option<u64>) -> String {
    us.map_or(NOT_MEASURED.into(), duration)
}

/// Microseconds with three significant digits.
pub(crate) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.2} ms", us as f64 / 1e3),
        10_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits_and_below_a_millisecond_are_not_lost() {
        let texts = [0, 7, 999, 1_000, 2_900, 33_000, 250_000, 3_000_000].map(duration);
        assert_eq!(texts, ["0 µs", "7 µs", "999 µs", "1.00 ms", "2.90 ms", "33.0 ms", "250 ms", "3.00 s"]);
    }

    #[test]
    fn what_was_not_measured_is_not_zero() {
        assert_eq!(optional(None), "n/a");
    }

    #[test]
    fn a_source_that_lags_more_and_more_is_slower_than_was_asked() {
        // Each of 100 frames takes 40 ms instead of 25: the last is 1.5 s behind, half are 0.75 s behind or less.
        assert_eq!(slower_than(40.0, 100, Duration::from_millis(750)), Some(25.0));
        // As late each time, by less than the schedule's own period.
        assert_eq!(slower_than(40.0, 100, Duration::from_millis(20)), None);
    }

    #[test]
    fn one_miss_in_ten_thousand_is_not_none() {
        assert_eq!(percent(0.0001), "0.01 %");
        assert_eq!(percent(0.0), "0.0 %");
    }

    #[test]
    fn one_miss_in_a_hundred_thousand_is_neither_none_nor_all() {
        assert_eq!((percent(0.00001), percent(0.99999)), ("< 0.01 %".into(), "> 99.99 %".into()));
        assert_eq!((percent(0.9995), percent(1.0)), ("99.95 %".into(), "100.0 %".into()));
    }

    #[test]
    fn nouns_are_in_their_number() {
        assert_eq!([1, 2].map(threads), ["1 thread", "2 threads"]);
    }
}
