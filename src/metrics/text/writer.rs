//! The text format itself: comments, samples, escapes.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use crate::board::{Buckets, Edges};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A value as the format wants it.
pub(super) trait Value {
    fn write(&self, into: &mut String) -> fmt::Result;
}

impl Value for u64 {
    fn write(&self, into: &mut String) -> fmt::Result {
        write!(into, "{self}")
    }
}

impl Value for f64 {
    fn write(&self, into: &mut String) -> fmt::Result {
        write!(into, "{self}")
    }
}

/// In seconds, exactly.
impl Value for Duration {
    fn write(&self, into: &mut String) -> fmt::Result {
        into.push_str(&seconds(*self));
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[derive(Default)]
pub(super) struct Writer(String);

impl Writer {
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn write(&mut self, line: fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("a string takes what is written to it");
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Value) {
        self.0.push_str(name);
        self.labels(labels, None);
        self.0.push(' ');
        value.write(&mut self.0).expect("a string takes what is written to it");
        self.0.push('\n');
    }

    /// A family with one sample.
    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Value) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], buckets: &Buckets, edges: &Edges) {
        let count = buckets.count();
        let finite = buckets.cumulative(edges).map(|(edge, below)| (seconds(edge), below));
        for (edge, below) in finite.chain([("+Inf".to_owned(), count)]) {
            self.write(format_args!("{name}_bucket"));
            self.labels(labels, Some(&edge));
            self.write(format_args!(" {below}\n"));
        }
        for (part, value) in [("sum", seconds(buckets.sum())), ("count", count.to_string())] {
            self.write(format_args!("{name}_{part}"));
            self.labels(labels, None);
            self.write(format_args!(" {value}\n"));
        }
    }

    fn labels(&mut self, labels: &[(&str, &str)], edge: Option<&str>) {
        let all = labels.iter().copied().chain(edge.map(|edge| ("le", edge)));
        let mut before = '{';
        for (name, value) in all {
            self.write(format_args!("{before}{name}=\"{}\"", Escaped(value)));
            before = ',';
        }
        if before == ',' {
            self.0.push('}');
        }
    }
}

/// The value of a label.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            _ => f.write_char(letter),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_times_are_exact() {
        let mut out = Writer::default();
        out.sample("a", &[("path", "C:\\\"x\"\n"), ("b", "é")], Duration::from_micros(33_300));
        out.one("c", Kind::Gauge, "Help.", f64::NAN);
        assert_eq!(
            out.finish(),
            "a{path=\"C:\\\\\\\"x\\\"\\n\",b=\"é\"} 0.0333\n# HELP c Help.\n# TYPE c gauge\nc NaN\n"
        );
        assert_eq!(
            [0, 1, 1_500_000_000, 60_000_000_000].map(|ns| seconds(Duration::from_nanos(ns))),
            ["0", "0.000000001", "1.5", "60"]
        );
    }
}
