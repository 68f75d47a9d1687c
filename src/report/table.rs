//! The report as tables for a terminal.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use super::schema::{Histogram, Report};

/// What stands where nothing was measured.
const NOT_MEASURED: &str = "n/a";

/// Everything a person wants to know at the end of a run, on about 30 lines.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut add = |part: String| writeln!(text, "{part}").expect("a string takes what is written to it");
    add(headline(report));
    add(ledger(report).to_string());
    add(latencies(report).to_string());
    for line in findings(report) {
        add(line);
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

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn ledger(report: &Report) -> Table {
    let ledger = &report.ledger;
    let share = |count: u64| match ledger.captured {
        0 => NOT_MEASURED.into(),
        captured => percent(count as f64 / captured as f64),
    };
    let mut table = table(&["fate", "frames", "share"]);
    for (name, count) in rows(report) {
        table.add_row([name.into(), count.to_string(), share(count)]);
    }
    table.add_row(["captured".into(), ledger.captured.to_string(), share(ledger.captured)]);
    table
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

fn latencies(report: &Report) -> Table {
    let mut table = table(&["latency", "p50", "p90", "p99", "p99.9", "max", "samples"]);
    for (name, histogram) in report.latency_us.named() {
        let Histogram { p50, p90, p99, p99_9, max, .. } = *histogram;
        let mut row = vec![name.to_owned()];
        row.extend([p50, p90, p99, p99_9, max].map(optional));
        row.push(histogram.count.to_string());
        table.add_row(row);
    }
    table
}

/// What is left to say, a line each.
pub(super) fn findings(report: &Report) -> Vec<String> {
    let mut lines = vec![format!(
        "longest run of misses {} · newest verdict older than the deadline {} of the time",
        report.longest_miss_run,
        report.age_over_deadline_ratio.map_or(NOT_MEASURED.into(), percent)
    )];
    if let Some(accuracy) = &report.accuracy {
        let of = |correct: u64| {
            format!("{correct} of {} ({})", accuracy.labelled, percent(correct as f64 / accuracy.labelled as f64))
        };
        let star = accuracy.label_star_correct.map(|correct| format!(" · purifier's own label {}", of(correct)));
        lines.push(format!("correct {}{}", of(accuracy.correct), star.unwrap_or_default()));
    }
    if let Some(purifier) = report.models.purifier.as_ref().and_then(|model| model.spec.purifier.as_ref()) {
        lines.push(match &purifier.suspect_above {
            Some(suspect) => format!("suspects {} (distance above {})", report.suspects, suspect.threshold),
            None => "suspects n/a (the purifier has no calibrated threshold)".into(),
        });
    }
    let provider = &report.provider;
    lines.push(format!(
        "provider {} (asked for {}: {}) · {} threads",
        provider.used, provider.requested, provider.reason, report.run.threads
    ));
    lines.extend(report.run.failure.as_ref().map(|failure| format!("failed: {failure}")));
    lines
}

/// A share of 1 in percent, with one digit more where it would else look like none or all.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 || percent > 99.9 && percent < 100.0 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

pub(super) fn optional(us: Option<u64>) -> String {
    us.map_or(NOT_MEASURED.into(), duration)
}

/// Microseconds with three significant digits.
pub(super) fn duration(us: u64) -> String {
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
    fn one_miss_in_ten_thousand_is_not_none() {
        assert_eq!(percent(0.0001), "0.01 %");
        assert_eq!(percent(0.0), "0.0 %");
    }
}
