//! Names of an enum's values: those that serde gives them in a report are those of the command line and of the terminal.

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error;

/// A text that names no value of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{got}`, expected {expected}")]
#[non_exhaustive]
pub struct UnknownName {
    /// The kind.
    pub what: &'static str,
    /// What was given.
    pub got: String,
    /// The names there are.
    pub expected: &'static str,
}

/// The value that serde knows by the name `text`.
pub(crate) fn parse<T>(text: &str, what: &'static str, expected: &'static str) -> Result<T, UnknownName>
where
    T: for<'de> Deserialize<'de>,
{
    T::deserialize(text.into_deserializer()).map_err(|_: Error| UnknownName { what, got: text.into(), expected })
}
