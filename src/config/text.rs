//! The configuration file's text: every unknown key is named with the nearest known one, and a value of the wrong kind
//! with a line that would do.

use std::fmt;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, Error};

use super::{Config, EXAMPLE};

/// Below this similarity (Jaro-Winkler, 0 to 1) a known key says nothing about what was meant.
const NEAR: f64 = 0.8;

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Keys that do not exist: all of them.
    #[error("{}\n{}", lines("", .0), all_keys())]
    UnknownKeys(Vec<UnknownKey>),
    /// Not TOML, or a value of the wrong kind.
    #[error("not a valid configuration: {message}\ncorrect the file; {advice}")]
    Toml {
        /// Where and what.
        message: String,
        /// What would do.
        advice: String,
    },
}

/// A key that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// The key.
    pub key: String,
    /// Its line, from 1.
    pub line: usize,
    /// The known key that is most like it, if one is.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown key `{}` in line {}", self.key.escape_debug(), self.line)?;
        self.nearest.as_ref().map_or(Ok(()), |nearest| write!(f, ", did you mean `{nearest}`?"))
    }
}

impl TextError {
    /// The message for a text that came from a file: each place is named with the file.
    pub(super) fn in_file(&self, path: &Path) -> String {
        let place = format!("{}: ", path.display());
        match self {
            Self::UnknownKeys(unknown) => format!("{}\n{}", lines(&place, unknown), all_keys()),
            Self::Toml { .. } => format!("{place}{self}"),
        }
    }
}

fn lines(place: &str, unknown: &[UnknownKey]) -> String {
    unknown.iter().map(|key| format!("{place}{key}")).collect::<Vec<_>>().join("\n")
}

fn all_keys() -> String {
    let keys = Config::keys().join(", ");
    format!("correct the file; its keys are the flags of `puvae run` without their dashes: {keys}")
}

pub(super) fn parse(text: &str) -> Result<Config, TextError> {
    let table = DeTable::parse(text).map_err(|error| refuse(&error, None))?;
    let unknown = unknown_keys(text, table.get_ref());
    if !unknown.is_empty() {
        return Err(TextError::UnknownKeys(unknown));
    }
    toml::from_str(text).map_err(|error| refuse(&error, Some(table.get_ref())))
}

/// In the order of the file.
fn unknown_keys(text: &str, table: &DeTable<'_>) -> Vec<UnknownKey> {
    let known = Config::keys();
    let mut keys: Vec<&Spanned<_>> = table.keys().collect();
    keys.sort_by_key(|key| key.span().start);
    keys.into_iter()
        .filter(|key| !known.iter().any(|known| *known == **key.get_ref()))
        .map(|key| UnknownKey {
            key: key.get_ref().to_string(),
            line: 1 + text[..key.span().start].matches('\n').count(),
            nearest: nearest(key.get_ref(), known.iter().map(String::as_str)).map(str::to_owned),
        })
        .collect()
}

/// The candidate that is most like what was written, if one is like it at all. Case, underscores and dashes in front make
/// no difference.
fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.trim_start_matches('-').to_lowercase().replace('_', "-");
    let by_similarity = candidates.map(|candidate| (strsim::jaro_winkler(&written, candidate), candidate));
    let best = by_similarity.max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(similarity, _)| *similarity >= NEAR).map(|(_, candidate)| candidate)
}

/// `table` is what the text holds, where it is TOML at all.
fn refuse(error: &Error, table: Option<&DeTable<'_>>) -> TextError {
    let mut message = error.to_string().trim_end().replace("unknown variant", "unknown value");
    if let Some(value) = nearest_value(error.message()) {
        message += &format!("; did you mean `{value}`?");
    }
    let example = table.zip(error.span()).and_then(|(table, span)| {
        let (key, _) = table.iter().find(|(_, value)| value.span().contains(&span.start))?;
        EXAMPLE.lines().find(|line| line.split_once(" =").is_some_and(|(name, _)| *name == **key.get_ref()))
    });
    let advice = match example {
        Some(line) => format!("a line that would do: {line}"),
        None => "its keys are the flags of `puvae run` without their dashes, for example deadline = \"33ms\"".into(),
    };
    TextError::Toml { message, advice }
}

/// Of what serde says when it knows all values that are possible: the one that is most like what was written.
fn nearest_value(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown variant `")?.split('`').step_by(2);
    nearest(quoted.next()?, quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Config>().unwrap_err().to_string()
    }

    #[test]
    fn every_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
        let text = refusal("seed = 3\n\ndead-line = \"33ms\"\nxyz = 1\nort_lib = \"x\"\n\n[table]\nseed = 1\n");
        let keys = Config::keys().join(", ");
        assert_eq!(
            text,
            format!(
                "unknown key `dead-line` in line 3, did you mean `deadline`?\nunknown key `xyz` in line 4\n\
                 unknown key `ort_lib` in line 5, did you mean `ort-lib`?\nunknown key `table` in line 7\n\
                 correct the file; its keys are the flags of `puvae run` without their dashes: {keys}"
            )
        );
    }

    #[test]
    fn the_nearest_key_is_what_was_meant_or_none() {
        let keys = Config::keys();
        for (written, meant) in [
            ("--deadline", Some("deadline")),
            ("Classifer", Some("classifier")),
            ("thread", Some("threads")),
            ("purifier-sha", Some("purifier-sha256")),
            ("sead", Some("seed")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, keys.iter().map(String::as_str)), meant, "{written}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_answered_with_a_line_that_would_do() {
        for (line, words) in [
            ("deadline = 33", "line 1, column 12"),
            ("deadline = 33", "correct the file; a line that would do: deadline = \"33ms\""),
            ("fps = \"30\"", "a line that would do: fps = 30.0"),
            ("threads = -1", "a line that would do: threads = 2"),
            ("provider = \"gpu\"", "unknown value `gpu`, expected one of `auto`, `cpu`, `cuda`"),
            ("provider = \"gpu\"", "a line that would do: provider = \"auto\""),
            ("provider = \"CUDA\"", "did you mean `cuda`?"),
            ("force = \"yes\"", "a line that would do: force = false"),
            ("deadline 33ms", "its keys are the flags of `puvae run` without their dashes, for example deadline"),
            ("seed = 1\nseed = 2", "duplicate key"),
        ] {
            let text = refusal(line);
            assert!(text.contains(words), "{text}");
        }
    }
}
