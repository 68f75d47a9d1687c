//! Several runs beside each other, each against the first.
//!
//! What is compared is worked out once, in `rows`; the terminal's table and the page are two views of it.

mod page;
mod rows;
mod table;

use std::path::PathBuf;

use super::Report;

/// The most runs that can still be told apart on a page.
pub const MOST_RUNS: usize = 8;

/// A report, and the file that it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The file, as it was named.
    pub path: PathBuf,
    /// What it holds.
    pub report: Report,
}

/// Two or more runs; the first is what the others are held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub(super) runs: Vec<Run>,
}

/// There is nothing to compare, or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} reports, expected 2 to {MOST_RUNS} to compare; give fewer, or compare them in groups with the same first one"
)]
pub struct NumberOfRuns(pub usize);

impl Comparison {
    /// Compares `runs` with the first of them.
    ///
    /// # Errors
    /// When there are fewer than 2, or more than [`MOST_RUNS`].
    pub fn new(runs: Vec<Run>) -> Result<Self, NumberOfRuns> {
        match runs.len() {
            2..=MOST_RUNS => Ok(Self { runs }),
            number => Err(NumberOfRuns(number)),
        }
    }

    /// The comparison as tables for a terminal.
    #[must_use]
    pub fn to_table(&self) -> String {
        table::render(self)
    }

    /// The comparison as one HTML page that needs nothing else.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::render(self)
    }

    /// The runs with the letters that stand for them.
    fn lettered(&self) -> impl Iterator<Item = (char, &Run)> {
        ('A'..).zip(&self.runs)
    }
}
