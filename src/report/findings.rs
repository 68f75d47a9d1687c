//! What a report says in words, in the terminal and on the page: a name and a line each.

use super::schema::{Accuracy, Histogram, Report};
use super::table::{NOT_MEASURED, age_limit, duration, percent, slow_source, threads};
use crate::pipeline::{CaptureCounters, OnUnpurified};

/// What is left to say: a name and a line each.
pub(super) fn findings(report: &Report) -> Vec<(&'static str, String)> {
    let provider = &report.provider;
    let over = report.age_over_deadline_ratio.map_or(NOT_MEASURED.into(), percent);
    let longest = report.longest_miss_run;
    let misses = format!("longest run {longest}; newest verdict older than the deadline {over} of the time");
    let mut lines = vec![("misses", misses)];
    lines.extend(slow_source(report).map(|line| ("source", line)));
    lines.extend(age_limit(report).map(|note| ("age limit", note)));
    lines.extend(overhead(report).map(|line| ("overhead", line)));
    lines.extend([
        ("accuracy", report.accuracy.as_ref().map_or_else(|| no_accuracy(report).into(), correct)),
        ("suspects", suspects(report)),
    ]);
    lines.extend(raw(report).map(|line| ("raw", line)));
    lines.extend(held(report).map(|line| ("held", line)));
    lines.extend(capture(report).map(|line| ("capture", line)));
    lines.extend([(
        "provider",
        format!(
            "{} (asked for {}: {}), {} for each model",
            provider.used,
            provider.requested,
            provider.reason,
            threads(report.run.threads)
        ),
    )]);
    lines.extend(report.run.failure.clone().map(|failure| ("failure", failure)));
    lines
}

fn correct(accuracy: &Accuracy) -> String {
    let of = |count: u64| {
        let share = accuracy.share(count).map_or(NOT_MEASURED.into(), percent);
        format!("{count} of {} ({share})", accuracy.labelled)
    };
    let star = accuracy.label_star_correct.map(|count| format!(", purifier's own label {}", of(count)));
    format!("correct {}{}", of(accuracy.correct), star.unwrap_or_default())
}

/// Why nothing is known of right and wrong.
fn no_accuracy(report: &Report) -> &'static str {
    match report.has_several_regions() {
        true => "n/a (several regions; labels are of the whole frame)",
        false => "n/a (no labels)",
    }
}

/// What the pipeline itself cost: all that is neither capture, decoding, resizing nor a model, waiting included.
fn overhead(report: &Report) -> Option<String> {
    let Histogram { p50, p99, max, .. } = report.latency_us.queue;
    let [p50, p99, max] = [p50?, p99?, max?].map(duration);
    Some(format!("p50 {p50}, p99 {p99}, max {max} between the stages, waiting for one that is busy included"))
}

/// Frames that passed the purifier by; `None` where that was not asked for.
fn raw(report: &Report) -> Option<String> {
    let delivered = report.ledger.delivered();
    (report.run.on_unpurified == OnUnpurified::Flag).then(|| {
        format!(
            "{} of {delivered} delivered frames were NOT purified, as --on-unpurified flag allows",
            report.unpurified
        )
    })
}

/// Frames with an older verdict; `None` where that was not asked for.
fn held(report: &Report) -> Option<String> {
    let without = report.ledger.captured.saturating_sub(report.ledger.delivered());
    (report.run.on_unpurified == OnUnpurified::Hold).then(|| {
        format!(
            "{} of {without} frames without a verdict were given the newest one again, as --on-unpurified hold says; all are misses",
            report.held
        )
    })
}

/// What went wrong with the capture; `None` where nothing did.
fn capture(report: &Report) -> Option<String> {
    let CaptureCounters { captured: _, lost, broken, stalls, errors, recovered, abandoned, stamps_corrected } =
        report.capture;
    let counts = [
        (lost, "lost by the driver", "lost by the driver"),
        (broken, "broken", "broken"),
        (stalls, "stall", "stalls"),
        (errors, "error", "errors"),
        (recovered, "recovery", "recoveries"),
        (abandoned, "reader left to itself", "readers left to themselves"),
        (stamps_corrected, "stamp corrected", "stamps corrected"),
    ];
    let said = |(count, one, many): (u64, &str, &str)| format!("{count} {}", if count == 1 { one } else { many });
    let counts: Vec<String> = counts.into_iter().filter(|&(count, ..)| count > 0).map(said).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

fn suspects(report: &Report) -> String {
    let purifier = report.models.purifier.as_ref().and_then(|model| model.spec.purifier.as_ref());
    match purifier.map(|purifier| (&purifier.suspect_above, purifier.score)) {
        Some((Some(above), score)) => {
            let what = if score.is_some() { "score" } else { "distance" };
            format!("{} ({what} above {})", report.suspects, significant(above.threshold))
        }
        Some((None, _)) => "n/a (the purifier has no calibrated threshold)".into(),
        None => "n/a (no purifier)".into(),
    }
}

/// A number with three significant digits, without zeros at its end.
fn significant(value: f32) -> String {
    let text = format!("{value:.2e}");
    text.parse::<f64>().map_or(text, |rounded| rounded.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::from_json(include_str!("../../fuzz/seeds/report/run")).expect("the seed is a report")
    }

    #[test]
    fn numbers_are_shown_with_three_digits() {
        assert_eq!([0.258_293_1, 0.05, 12.0, 1234.5].map(significant), ["0.258", "0.05", "12", "1230"]);
    }

    #[test]
    fn of_no_labels_no_share_is_right() {
        let accuracy = Accuracy { labelled: 0, correct: 0, label_star_correct: Some(0) };
        assert_eq!(correct(&accuracy), "correct 0 of 0 (n/a), purifier's own label 0 of 0 (n/a)");
        let report = Report { accuracy: Some(accuracy), ..report() };
        assert!(!crate::report::html::render(&report).contains("NaN"));
    }

    #[test]
    fn what_the_capture_met_is_counted_with_nouns_in_their_number() {
        let mut report = report();
        report.capture = CaptureCounters { stalls: 1, errors: 2, recovered: 1, ..CaptureCounters::default() };
        assert_eq!(capture(&report).as_deref(), Some("1 stall, 2 errors, 1 recovery"));
        report.capture = CaptureCounters::default();
        assert_eq!(capture(&report), None);
    }
}
