//! What a run leaves behind: a JSON report, an HTML page made from it, a table for the terminal, and a
//! JSON line for each frame.
//!
//! The JSON report is the whole of it: everything else is a view, and can be made from it later.

mod build;
pub mod compare;
mod findings;
pub mod html;
pub mod output;
mod plot;
pub mod schema;
pub mod table;
pub mod verdicts;

pub use build::Surroundings;
pub(crate) use build::micros;
pub use schema::Report;
pub(crate) use table::{duration, percent};

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file could not be read.
    #[error("{}: cannot read the report: {source}; give a file written by `puvae run --json`", path.display())]
    Read {
        /// Which file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a report of this version.
    #[error("{}: not a report of schema {}: {source}; give a file written by `puvae run --json`", path.display(), schema::SCHEMA)]
    NotAReport {
        /// Which file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: NotAReport,
    },
}

/// Why a text is no report of this version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAReport {
    /// Not JSON, or not this shape of JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Another version's.
    #[error("it has schema {got}")]
    Schema {
        /// Which one.
        got: u32,
    },
    /// A histogram of what no run can measure: its axis would have no end.
    #[error("latency_us.{histogram} has a range that is impossible: {range:?}")]
    Impossible {
        /// Which histogram.
        histogram: &'static str,
        /// Its range.
        range: schema::Bucket,
    },
}

impl Report {
    /// Whether several parts of each frame were looked at: a label is of the whole frame, and says nothing of one of them.
    pub(crate) fn has_several_regions(&self) -> bool {
        self.run.regions.len() > 1
    }

    /// Reads a report that was written with `--json`.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a report of this schema.
    pub fn read(path: &std::path::Path) -> Result<Self, ReportError> {
        let text = crate::files::read_text(path).map_err(|source| ReportError::Read { path: path.into(), source })?;
        Self::from_json(&text).map_err(|source| ReportError::NotAReport { path: path.into(), source })
    }

    /// Reads the text of a report.
    ///
    /// # Errors
    /// When it is not a report of this schema.
    pub fn from_json(text: &str) -> Result<Self, NotAReport> {
        #[derive(serde::Deserialize)]
        struct Versioned {
            schema: u32,
        }
        // First: a report of another schema lacks what this one has, or has it in another form.
        match serde_json::from_str(text)? {
            Versioned { schema: schema::SCHEMA } => {
                let report: Self = serde_json::from_str(text)?;
                report.measurable()
            }
            Versioned { schema } => Err(NotAReport::Schema { got: schema }),
        }
    }

    fn measurable(self) -> Result<Self, NotAReport> {
        for (name, histogram) in self.latency_us.named() {
            if let Some(bucket) = histogram.buckets.iter().find(|bucket| !bucket.is_possible()) {
                return Err(NotAReport::Impossible { histogram: name, range: *bucket });
            }
        }
        Ok(self)
    }

    /// The report as JSON, on several lines.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("a report has string keys and finite numbers");
        json + "\n"
    }
}
