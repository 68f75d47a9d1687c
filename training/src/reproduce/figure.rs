//! A figure as numbers: accuracies over something.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::runs::as_known;
use crate::table;

/// Lines that no training is behind, or the target's, which is told apart.
const UNTRAINED: [&str; 4] = ["undefended", "binarise", "median", "class-mean"];

/// The content of a figure's file; measured, never typed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figure {
    /// What it shows.
    pub(super) title: String,
    /// The command that made the lines which do not name their own.
    pub(super) command: String,
    /// The target classifier: how it was made, and the hash of its weights; `null` where there is none, or before it was told.
    #[serde(default)]
    pub(super) target: serde_json::Value,
    /// What the horizontal axis counts.
    pub(super) x: Axis,
    /// Lines, each with a name.
    pub(super) series: Vec<Series>,
    /// Number of images behind each point.
    pub(super) n: usize,
    /// Seed of everything drawn.
    pub(super) seed: u64,
    /// What computed.
    pub(super) device: String,
}

/// An axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Axis {
    /// The quantity, with its unit.
    pub(super) label: String,
    /// Whether equal distances are equal ratios.
    pub(super) logarithmic: bool,
}

/// A line of a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Series {
    /// What was varied or compared.
    pub(super) name: String,
    /// The command that made the line, where it was not the figure's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) command: String,
    /// Where x is a time, the seconds of its unit in the run that measured the line; `null` elsewhere, and before it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unit_seconds: Option<f64>,
    /// How the defence was made, with the hash of its weights; `null` where there is none, and before it was told.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub(super) about: serde_json::Value,
    /// `[x, accuracy in %]`, in the order of x.
    pub(super) points: Vec<[f64; 2]>,
}

impl Series {
    /// A line of the figure that is made now.
    #[must_use]
    pub(super) fn new(name: &str, points: Vec<[f64; 2]>) -> Self {
        Self { name: name.into(), command: String::new(), unit_seconds: None, about: serde_json::Value::Null, points }
    }
}

impl Axis {
    /// Equal distances are equal differences.
    #[must_use]
    pub(super) fn linear(label: &str) -> Self {
        Self { label: label.into(), logarithmic: false }
    }

    /// Equal distances are equal ratios.
    #[must_use]
    pub(super) fn logarithmic(label: &str) -> Self {
        Self { label: label.into(), logarithmic: true }
    }
}

impl Figure {
    /// Puts it into the place of the figure at `path`. Lines of that one stay where this one lacks them or has fewer points of the same
    /// network, as without training; one that answers another question is set aside as [`files::set_aside`] does. A figure without any point is not written.
    ///
    /// # Errors
    /// When the figure there cannot be read or this one not be written.
    pub(super) fn put(mut self, path: &Path) -> Result<()> {
        self.series.retain(|series| !series.points.is_empty());
        if path.exists() {
            let mut before = Self::read(path)?;
            if before.target.is_null() {
                before.target.clone_from(&self.target);
            }
            as_known(&mut self.target, &before.target);
            if before.question() == self.question() {
                self.keep(before);
            } else if !self.series.is_empty() {
                eprintln!("note: {}: has other images, another target, seed or device; measured anew", path.display());
                files::set_aside(path)?;
            }
        }
        if self.series.is_empty() {
            eprintln!("note: {}: nothing to measure; not written", path.display());
            return Ok(());
        }
        self.write(path)
    }

    /// What has to be the same for lines to be compared.
    fn question(&self) -> impl PartialEq + '_ {
        (&self.title, &self.target, &self.x, self.n, self.seed, &self.device)
    }

    fn keep(&mut self, before: Self) {
        for mut old in before.series {
            if old.command.is_empty() && before.command != self.command {
                old.command.clone_from(&before.command);
            }
            match self.series.iter_mut().find(|series| series.name == old.name) {
                Some(new) if new.points.len() < old.points.len() && new.about == old.about => *new = old,
                Some(_) => {}
                None => self.series.push(old),
            }
        }
    }

    /// How long the networks of its lines were trained, and of which it is not told.
    #[must_use]
    pub(super) fn trained(&self, dataset: &str) -> String {
        let networks = self.series.iter().filter(|series| !UNTRAINED.contains(&series.name.as_str()));
        let (untold, told): (Vec<&Series>, Vec<&Series>) = networks.partition(|series| series.about.is_null());
        let told = told.into_iter().map(|series| table::trained_for(&series.name, &series.about, dataset));
        let told: Vec<String> = told.collect();
        let untold: Vec<&str> = untold.into_iter().map(|series| series.name.as_str()).collect();
        let mut sentences = Vec::new();
        if !told.is_empty() {
            sentences.push(format!("Trained: {}.", told.join(", ")));
        }
        if !untold.is_empty() {
            sentences.push(format!("How long {} had been trained, these earlier runs do not tell.", untold.join(", ")));
        }
        if sentences.is_empty() { String::new() } else { sentences.join(" ") + "\n\n" }
    }

    /// The commands that made it, each but the first with the lines that it made.
    #[must_use]
    pub(super) fn made_by(&self) -> String {
        let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Series { name, command, .. } in self.series.iter().filter(|series| !series.command.is_empty()) {
            others.entry(command).or_default().push(name);
        }
        let others: String =
            others.iter().map(|(command, names)| format!("; {} by `{command}`", names.join(", "))).collect();
        let unit = self.series.iter().find_map(|series| series.unit_seconds);
        let stale = self.series.iter().filter(|series| unit.is_some() && series.unit_seconds != unit);
        let stale: Vec<&str> = stale.map(|series| series.name.as_str()).collect();
        let stale = if stale.is_empty() {
            String::new()
        } else {
            format!("; {} in an earlier run, by the unit of time of that run", stale.join(", "))
        };
        format!("Made by `{}` on {}{others}{stale}", self.command, self.device)
    }

    /// Writes `results/NAME.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        files::replace(path, (text + "\n").as_bytes())
    }

    /// Reads what [`Figure::write`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read or is not a figure.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{}: not a figure of `puvae-train reproduce`; make it again", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(logarithmic: bool) -> Figure {
        let axis = if logarithmic { Axis::logarithmic("λ") } else { Axis::linear("ε") };
        Figure {
            title: "a figure".into(),
            command: "none".into(),
            target: serde_json::json!({ "seed": 2, "weights_sha256": "a" }),
            x: axis,
            series: vec![Series::new("one line", vec![[0.01, 90.0], [1.0, 40.0], [100.0, 0.0]])],
            n: 3,
            seed: 1,
            device: "none".into(),
        }
    }

    #[test]
    fn lines_that_are_not_measured_this_time_stay_and_another_question_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figure.json");
        let with = |series: &[(&str, usize)], n| {
            let line = |&(name, count): &(&str, usize)| Series::new(name, vec![[0.1, 5.0]; count]);
            Figure { series: series.iter().map(line).collect(), n, ..figure(false) }
        };
        with(&[("a", 0)], 3).put(&path).unwrap();
        assert!(!path.exists(), "nothing was measured");
        with(&[("a", 2), ("b", 2), ("c", 2)], 3).put(&path).unwrap();
        let names = || {
            let lines = Figure::read(&path).unwrap().series;
            lines.into_iter().map(|series| (series.name, series.points.len())).collect::<Vec<_>>()
        };
        with(&[("b", 1), ("c", 3)], 3).put(&path).unwrap();
        assert_eq!(names(), [("b".into(), 2), ("c".into(), 3), ("a".into(), 2)]);
        let exchanged = Series { about: serde_json::json!("another"), ..Series::new("c", vec![[0.1, 5.0]]) };
        Figure { series: vec![exchanged], ..figure(false) }.put(&path).unwrap();
        assert_eq!(names()[0], ("c".into(), 1), "of another network");
        with(&[("a", 0)], 4).put(&path).unwrap();
        assert_eq!(names().len(), 3, "nothing was measured");
        with(&[("a", 1)], 4).put(&path).unwrap();
        assert_eq!(names(), [("a".into(), 1)]);
        let before = |name: &str| Figure::read(&folder.path().join(name)).unwrap().series.len();
        assert_eq!(before("figure.before.json"), 3);

        let other = serde_json::json!({ "seed": 2, "weights_sha256": "b" });
        Figure { target: other, ..with(&[("b", 1), ("c", 1)], 4) }.put(&path).unwrap();
        assert_eq!(names().len(), 2, "of another target");
        assert_eq!((before("figure.before.json"), before("figure.before-2.json")), (3, 1), "both are still there");
    }

    #[test]
    fn each_line_is_told_with_the_command_that_made_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figure.json");
        figure(false).put(&path).unwrap();
        let another = Series::new("another", vec![[0.1, 5.0]]);
        let second = Figure { command: "second".into(), series: vec![another], ..figure(false) };
        second.put(&path).unwrap();
        assert_eq!(Figure::read(&path).unwrap().made_by(), "Made by `second` on none; one line by `none`");
    }

    #[test]
    fn the_training_of_a_line_is_told_or_it_is_said_that_it_is_not() {
        let about = serde_json::json!({ "epoch": 6, "config": {} });
        let of = |name: &str, about| Series { about, ..Series::new(name, vec![[0.1, 5.0]]) };
        let untold = serde_json::Value::Null;
        let series = vec![of("undefended", untold.clone()), of("a", about), of("b", untold.clone()), of("c", untold)];
        assert_eq!(
            Figure { series, ..figure(false) }.trained("mnist"),
            "Trained: a for 6 epochs. How long b, c had been trained, these earlier runs do not tell.\n\n"
        );
        assert_eq!(Figure { series: vec![], ..figure(false) }.trained("mnist"), "");
    }

    #[test]
    fn lines_that_an_earlier_run_timed_are_told_for_their_unit_of_time_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figure.json");
        let timed = |name: &str, unit| Series { unit_seconds: unit, ..Series::new(name, vec![[0.1, 5.0]]) };
        let put = |series| Figure { series, ..figure(false) }.put(&path).unwrap();
        put(vec![timed("untold", None), timed("slow", Some(2.0)), timed("fast", Some(2.0))]);
        put(vec![timed("fast", Some(3.0))]);
        let text = Figure::read(&path).unwrap().made_by();
        assert_eq!(text, "Made by `none` on none; untold, slow in an earlier run, by the unit of time of that run");
    }

    #[test]
    fn a_figure_reads_back_as_it_was_written_and_is_drawn_on_both_kinds_of_axis() {
        let folder = tempfile::tempdir().unwrap();
        let (json, svg) = (folder.path().join("figure.json"), folder.path().join("figure.svg"));
        for logarithmic in [false, true] {
            let figure = figure(logarithmic);
            figure.write(&json).unwrap();
            assert_eq!(Figure::read(&json).unwrap(), figure);
            figure.draw(&svg).unwrap();
            let drawing = std::fs::read_to_string(&svg).unwrap();
            assert!(drawing.contains("one line") && drawing.matches("<circle").count() == 3, "{drawing}");
        }
    }
}
