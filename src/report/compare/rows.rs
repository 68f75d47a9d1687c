//! What is compared: figures with their differences to the first run, settings where they differ, and what makes a
//! comparison unfair.

use super::Comparison;
use crate::model::file::ModelInfo;
use crate::preprocess::Region;
use crate::report::Report;
use crate::report::html::stamps;
use crate::report::schema::{Accuracy, Histogram};
use crate::report::table::{NOT_MEASURED, duration, optional, pace, percent, rows as fates};

/// One figure of every run.
pub(super) struct Figure {
    pub(super) name: String,
    /// In the order of the runs.
    pub(super) cells: Vec<Cell>,
}

/// One figure of one run.
pub(super) struct Cell {
    pub(super) value: String,
    /// Against the first run; empty for the first itself.
    pub(super) change: String,
}

/// Figures of one kind.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) figures: Vec<Figure>,
}

/// A setting that is not the same in all runs, with its value in each.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) values: Vec<String>,
}

impl Comparison {
    fn reports(&self) -> impl Iterator<Item = &Report> {
        self.runs.iter().map(|run| &run.report)
    }

    /// Everything that was measured.
    pub(super) fn sections(&self) -> Vec<Section> {
        vec![
            Section { title: "frames", figures: self.ledgers() },
            Section { title: "misses", figures: self.misses() },
            Section { title: "latency", figures: self.latencies() },
            Section { title: "verdicts", figures: self.verdicts() },
        ]
    }

    fn ledgers(&self) -> Vec<Figure> {
        let names = fates(&self.runs[0].report).map(|(name, _)| name);
        let mut figures = vec![self.count("captured", |report| report.ledger.captured)];
        figures.extend(names.iter().enumerate().map(|(at, name)| self.count(name, |report| fates(report)[at].1)));
        figures
    }

    fn misses(&self) -> Vec<Figure> {
        vec![
            self.share("missed", |report| report.miss_ratio),
            self.count("longest run", |report| report.longest_miss_run),
            self.share("verdict too old", |report| report.age_over_deadline_ratio),
        ]
    }

    fn latencies(&self) -> Vec<Figure> {
        type Pick = fn(&Histogram) -> Option<u64>;
        let quantiles: [(&str, Pick); 4] = [
            ("response p50", |histogram| histogram.p50),
            ("response p99", |histogram| histogram.p99),
            ("response p99.9", |histogram| histogram.p99_9),
            ("response max", |histogram| histogram.max),
        ];
        let mut figures: Vec<Figure> =
            quantiles.map(|(name, pick)| self.time(name, |report| pick(&report.latency_us.response))).into();
        figures.push(self.count("responses", |report| report.latency_us.response.count));
        figures.extend([
            self.time("purify p50", |report| report.latency_us.purify.p50),
            self.time("classify p50", |report| report.latency_us.classify.p50),
        ]);
        figures
    }

    fn verdicts(&self) -> Vec<Figure> {
        let hash = |model: &ModelInfo| model.sha256.short();
        vec![
            self.share("correct", |report| report.accuracy.as_ref().and_then(Accuracy::correct_ratio)),
            self.count("labelled", |report| report.accuracy.as_ref().map_or(0, |accuracy| accuracy.labelled)),
            self.count("suspects", |report| report.suspects),
            self.count("not purified", |report| report.unpurified),
            self.count("held", |report| report.held),
            self.text("provider", |report| report.provider.used.clone()),
            self.text("purifier", |report| report.models.purifier.as_ref().map_or("none".into(), hash)),
            self.text("classifier", |report| hash(&report.models.classifier)),
        ]
    }

    /// What was set otherwise, the files' paths included.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let path = |model: &ModelInfo| model.path.display().to_string();
        let all = [
            self.setting("deadline", |report| duration(report.deadline_us)),
            self.setting("source", |report| report.run.source.clone()),
            self.setting("pace", |report| pace(&report.run)),
            self.setting("preparation", |report| report.run.prep.to_string()),
            self.setting("regions", |report| regions(&report.run.regions)),
            self.setting("on unpurified", |report| report.run.on_unpurified.to_string()),
            self.setting("purifier", |report| report.models.purifier.as_ref().map_or("none".into(), path)),
            self.setting("classifier", |report| path(&report.models.classifier)),
            self.setting("seed", |report| report.run.seed.to_string()),
            self.setting("asked for", |report| report.provider.requested.to_string()),
            self.setting("provider", |report| format!("{} ({})", report.provider.used, report.provider.reason)),
            self.setting("threads", |report| report.run.threads.to_string()),
            self.setting("time stamps", |report| report.run.stamp_source.map_or(NOT_MEASURED, stamps).into()),
            self.setting("ONNX Runtime", |report| report.run.onnxruntime.clone()),
            self.setting("puvae", |report| report.run.puvae_version.clone()),
        ];
        all.into_iter().filter(|setting| setting.values.windows(2).any(|pair| pair[0] != pair[1])).collect()
    }

    /// What keeps these runs from being compared without a second thought.
    pub(super) fn warnings(&self) -> Vec<String> {
        let first = &self.runs[0].report;
        let mut warnings = Vec::new();
        if self.reports().any(|report| report.deadline_us != first.deadline_us) {
            warnings.push("the deadlines differ: every run's misses are counted against its own".to_owned());
        }
        let frames = |report: &Report| (report.run.source.clone(), report.ledger.captured);
        if self.reports().any(|report| frames(report) != frames(first)) {
            warnings.push("the frames differ: accuracy and suspects may differ for that reason alone".into());
        }
        let labelled = |report: &Report| report.accuracy.as_ref().map(|accuracy| accuracy.labelled);
        if self.reports().any(|report| labelled(report) != labelled(first)) {
            warnings.push("accuracy is over the labelled frames that got a verdict, and these differ in number".into());
        }
        if self.reports().any(|report| (report.run.fps, report.run.live) != (first.run.fps, first.run.live)) {
            warnings.push("the pace differs: so does the load under which the latencies were measured".into());
        }
        for (letter, run) in self.lettered() {
            let run = &run.report.run;
            if let Some(failure) = &run.failure {
                let what = if run.aborted { "failed before its end" } else { "has frames that failed" };
                warnings.push(format!("{letter} {what}: {failure}"));
            }
            if run.interrupted {
                warnings.push(format!("{letter} was interrupted before its end"));
            }
        }
        warnings
    }

    fn count(&self, name: &str, of: impl Fn(&Report) -> u64) -> Figure {
        self.figure(name, of, u64::to_string, |&first, &other| match other.cmp(&first) {
            std::cmp::Ordering::Less => format!("−{}", first - other),
            std::cmp::Ordering::Equal => "=".into(),
            std::cmp::Ordering::Greater => format!("+{}", other - first),
        })
    }

    fn time(&self, name: &str, of: impl Fn(&Report) -> Option<u64>) -> Figure {
        self.figure(
            name,
            of,
            |us| optional(*us),
            |first, other| match (first, other) {
                (Some(first), Some(other)) if first == other => "=".into(),
                (Some(first @ 1..), Some(other)) => format!("×{:.2}", *other as f64 / *first as f64),
                _ => NOT_MEASURED.into(),
            },
        )
    }

    fn share(&self, name: &str, of: impl Fn(&Report) -> Option<f64>) -> Figure {
        self.figure(
            name,
            of,
            |share| share.map_or(NOT_MEASURED.into(), percent),
            |first, other| match (first, other) {
                (Some(first), Some(other)) if first == other => "=".into(),
                (Some(first), Some(other)) => points(other - first),
                _ => NOT_MEASURED.into(),
            },
        )
    }

    fn text(&self, name: &str, of: impl Fn(&Report) -> String) -> Figure {
        let same = |first: &String, other: &String| if first == other { "=" } else { "other" }.to_owned();
        self.figure(name, of, String::clone, same)
    }

    fn figure<T>(
        &self,
        name: &str,
        of: impl Fn(&Report) -> T,
        show: impl Fn(&T) -> String,
        change: impl Fn(&T, &T) -> String,
    ) -> Figure {
        let values: Vec<T> = self.reports().map(of).collect();
        let against_first = |at: usize| if at == 0 { String::new() } else { change(&values[0], &values[at]) };
        let cell = |(at, value)| Cell { value: show(value), change: against_first(at) };
        Figure { name: name.into(), cells: values.iter().enumerate().map(cell).collect() }
    }

    fn setting(&self, name: &'static str, of: impl Fn(&Report) -> String) -> Setting {
        Setting { name, values: self.reports().map(of).collect() }
    }
}

fn regions(regions: &[Region]) -> String {
    let regions: Vec<String> = regions.iter().map(ToString::to_string).collect();
    if regions.is_empty() { "the whole frame".into() } else { regions.join(" ") }
}

/// A difference of two shares, in percentage points; one that is there never looks like none.
fn points(difference: f64) -> String {
    let sign = if difference < 0.0 { '−' } else { '+' };
    match difference.abs() * 100.0 {
        points if points < 0.01 => format!("{sign}< 0.01 pp"),
        points => format!("{sign}{points:.2} pp"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_shares_has_its_sign_and_is_never_rounded_to_none() {
        assert_eq!(
            [0.012, -0.5, 0.000_01, -0.000_01].map(points),
            ["+1.20 pp", "−50.00 pp", "+< 0.01 pp", "−< 0.01 pp"]
        );
    }
}
