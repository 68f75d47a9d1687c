//! What a run shall do: what the user wrote ([`Config`], from a TOML file and flags), and what came of it
//! once it was checked ([`Settings`]).
//!
//! Keys of the file are the names of the flags without their dashes: `deadline = "33ms"`. A flag wins over the file.

mod files;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deadline::Deadline;
use crate::model::engine::{EngineOptions, MAX_THREADS, Provider};
use crate::preprocess::Prep;
use crate::source::{HIGHEST_FPS, LOWEST_FPS, SourceUri, SourceUriError};

pub use files::{NamedFile, check_files_differ};

/// Deadline when none is given: one frame period at 30 frames a second.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(33);

/// Reports count in whole microseconds.
const SHORTEST_DEADLINE: Duration = Duration::from_micros(1);
const LONGEST_DEADLINE: Duration = Duration::from_secs(3600);

/// What the user wrote; everything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where frames come from, as a URI.
    pub source: Option<String>,
    /// The purifier's ONNX file, or `none`.
    pub purifier: Option<PurifierChoice>,
    /// The classifier's ONNX file.
    pub classifier: Option<PathBuf>,
    /// Longest time from capture to verdict, such as `33ms`; [`DEFAULT_DEADLINE`] when absent.
    pub deadline: Option<String>,
    /// The most frames to take from the source.
    pub frames: Option<u64>,
    /// Frames a second; without it a file source waits for the pipeline.
    pub fps: Option<f64>,
    /// How pictures become tensors; plain when absent.
    pub prep: Option<Prep>,
    /// Who computes.
    pub provider: Option<Provider>,
    /// Intra-op threads of each model.
    pub threads: Option<usize>,
    /// ONNX Runtime's library.
    pub ort_lib: Option<PathBuf>,
    /// Seed of the latent noise; 0 when absent.
    pub seed: Option<u64>,
    /// Where the JSON report goes.
    pub json: Option<PathBuf>,
    /// Where the HTML report goes.
    pub html: Option<PathBuf>,
    /// Where a JSON line for each frame goes; `-` is standard output.
    pub verdicts: Option<PathBuf>,
    /// Run even if the deadline is impossible on this machine.
    pub force: Option<bool>,
    /// The file that it was read from; a run must not write there.
    #[serde(skip)]
    pub read_from: Option<PathBuf>,
}

/// `--purifier FILE` or `--purifier none`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum PurifierChoice {
    /// No defence: frames are classified as they are.
    None,
    /// This ONNX file. A file that is named `none` is written `./none`.
    File(PathBuf),
}

impl From<PathBuf> for PurifierChoice {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "none" { Self::None } else { Self::File(path) }
    }
}

impl From<PurifierChoice> for PathBuf {
    fn from(choice: PurifierChoice) -> Self {
        match choice {
            PurifierChoice::None => "none".into(),
            PurifierChoice::File(path) => path,
        }
    }
}

/// Where verdicts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerdictsTo {
    /// Standard output, which then holds nothing else.
    Stdout,
    /// A file; what it held is lost.
    File(PathBuf),
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where frames come from.
    pub source: SourceUri,
    /// The purifier.
    pub purifier: PurifierChoice,
    /// The classifier's ONNX file.
    pub classifier: PathBuf,
    /// What verdicts are measured against.
    pub deadline: Deadline,
    /// At least 1.
    pub frames: Option<u64>,
    /// From [`LOWEST_FPS`] to [`HIGHEST_FPS`].
    pub fps: Option<f64>,
    /// How pictures become tensors.
    pub prep: Prep,
    /// How ONNX Runtime is started.
    pub engine: EngineOptions,
    /// Seed of the latent noise.
    pub seed: u64,
    /// Where the JSON report goes.
    pub json: Option<PathBuf>,
    /// Where the HTML report goes.
    pub html: Option<PathBuf>,
    /// Where verdicts go.
    pub verdicts: Option<VerdictsTo>,
    /// Run even if the deadline is impossible.
    pub force: bool,
    /// The configuration file, where there was one.
    pub config: Option<PathBuf>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot read the configuration: {source}; check the path after --config and its permissions", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("{}: not a valid configuration: {message}\ncorrect the file; its keys are the flags of `puvae run` without their dashes, for example deadline = \"33ms\"", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// Something that has no default is missing.
    #[error("{0} is missing; give it as a flag, or as a key of the file that --config names")]
    Missing(&'static str),
    /// A value no run makes sense with.
    #[error("{flag} is {got}, expected {expected}")]
    Absurd {
        /// Which setting.
        flag: &'static str,
        /// What it is.
        got: String,
        /// What it may be.
        expected: String,
    },
    /// The source's URI is not one.
    #[error("--source: {0}")]
    Source(#[from] SourceUriError),
    /// One file for two purposes.
    #[error("{} is given as {first} and as {second}; one would overwrite the other, give two different files", path.display())]
    SameFile {
        /// Which file.
        path: PathBuf,
        /// The one purpose.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// An output in a folder that is read.
    #[error("{} is given as {second} and lies in {}, the folder of {first}; it would be taken for an input, give a path outside that folder", path.display(), folder.display())]
    AmongInputs {
        /// Which output.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
        /// Who reads the folder.
        first: &'static str,
        /// Who would write into it.
        second: &'static str,
    },
}

impl FromStr for Config {
    type Err = toml::de::Error;

    fn from_str(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or has unknown keys or values of another type.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let config = text.parse().map_err(|error: toml::de::Error| ConfigError::Toml {
            path: path.into(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        Ok(Self { read_from: Some(path.into()), ..config })
    }

    /// This configuration, with what is missing taken from `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            source: self.source.or(below.source),
            purifier: self.purifier.or(below.purifier),
            classifier: self.classifier.or(below.classifier),
            deadline: self.deadline.or(below.deadline),
            frames: self.frames.or(below.frames),
            fps: self.fps.or(below.fps),
            prep: self.prep.or(below.prep),
            provider: self.provider.or(below.provider),
            threads: self.threads.or(below.threads),
            ort_lib: self.ort_lib.or(below.ort_lib),
            seed: self.seed.or(below.seed),
            json: self.json.or(below.json),
            html: self.html.or(below.html),
            verdicts: self.verdicts.or(below.verdicts),
            force: self.force.or(below.force),
            read_from: self.read_from.or(below.read_from),
        }
    }

    /// Checks everything that can be checked without opening a file.
    ///
    /// # Errors
    /// When something is missing, makes no sense, or would overwrite something else.
    pub fn check(self) -> Result<Settings, ConfigError> {
        let settings = Settings {
            source: self.source.ok_or(ConfigError::Missing("--source URI"))?.parse()?,
            deadline: deadline(self.deadline.as_deref())?,
            frames: frames(self.frames)?,
            fps: fps(self.fps)?,
            prep: self.prep.unwrap_or_default(),
            engine: EngineOptions {
                library: self.ort_lib,
                provider: self.provider.unwrap_or_default(),
                threads: threads(self.threads)?,
            },
            seed: self.seed.unwrap_or(0),
            purifier: self.purifier.ok_or(ConfigError::Missing("--purifier FILE (or --purifier none)"))?,
            classifier: self.classifier.ok_or(ConfigError::Missing("--classifier FILE"))?,
            json: self.json,
            html: self.html,
            verdicts: self.verdicts.map(|path| match path.as_os_str() == "-" {
                true => VerdictsTo::Stdout,
                false => VerdictsTo::File(path),
            }),
            force: self.force.unwrap_or(false),
            config: self.read_from,
        };
        check_files_differ(&settings.inputs(), &settings.outputs())?;
        Ok(settings)
    }
}

fn absurd(flag: &'static str, got: impl fmt::Display, expected: impl Into<String>) -> ConfigError {
    ConfigError::Absurd { flag, got: got.to_string(), expected: expected.into() }
}

fn deadline(text: Option<&str>) -> Result<Deadline, ConfigError> {
    let Some(text) = text else {
        return Ok(Deadline::new(DEFAULT_DEADLINE).expect("the default is not zero"));
    };
    let refuse = || absurd("--deadline", text, "a time from 1us to 1h, such as 33ms or 1500us");
    let time = humantime::parse_duration(text).map_err(|_| refuse())?;
    if !(SHORTEST_DEADLINE..=LONGEST_DEADLINE).contains(&time) {
        return Err(refuse());
    }
    Deadline::new(time).map_err(|_| refuse())
}

fn frames(frames: Option<u64>) -> Result<Option<u64>, ConfigError> {
    if frames == Some(0) {
        return Err(absurd("--frames", 0, "at least 1; leave it out to take all"));
    }
    Ok(frames)
}

fn fps(fps: Option<f64>) -> Result<Option<f64>, ConfigError> {
    match fps {
        Some(fps) if !(LOWEST_FPS..=HIGHEST_FPS).contains(&fps) => {
            let expected = format!("{LOWEST_FPS} to {HIGHEST_FPS}; leave it out to go as fast as the models");
            Err(absurd("--fps", fps, expected))
        }
        fps => Ok(fps),
    }
}

/// Checks a number of intra-op threads.
///
/// # Errors
/// When it is 0 or more than [`MAX_THREADS`].
pub fn threads(threads: Option<usize>) -> Result<Option<NonZeroUsize>, ConfigError> {
    let Some(threads) = threads else { return Ok(None) };
    let checked = NonZeroUsize::new(threads).filter(|threads| threads.get() <= MAX_THREADS);
    checked.map(Some).ok_or_else(|| absurd("--threads", threads, format!("1 to {MAX_THREADS}")))
}

impl Settings {
    /// Every file and folder that a run reads, as far as the settings name it.
    #[must_use]
    pub fn inputs(&self) -> Vec<NamedFile<'_>> {
        let mut inputs = vec![("--classifier", self.classifier.as_path())];
        if let PurifierChoice::File(path) = &self.purifier {
            inputs.push(("--purifier", path));
        }
        match &self.source {
            SourceUri::Dir(folder) => inputs.push(("--source", folder)),
            SourceUri::Idx { images, labels } => {
                inputs.extend(
                    [Some(images), labels.as_ref()].into_iter().flatten().map(|file| ("--source", file.as_path())),
                );
            }
            SourceUri::Synthetic(_) => {}
        }
        inputs.extend(self.config.as_deref().map(|path| ("--config", path)));
        inputs.extend(self.engine.library_file());
        inputs
    }

    /// Every file that a run writes.
    #[must_use]
    pub fn outputs(&self) -> Vec<NamedFile<'_>> {
        let verdicts = match &self.verdicts {
            Some(VerdictsTo::File(path)) => Some(path.as_path()),
            _ => None,
        };
        let outputs = [("--json", self.json.as_deref()), ("--html", self.html.as_deref()), ("--verdicts", verdicts)];
        outputs.into_iter().filter_map(|(flag, path)| Some((flag, path?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        r#"
            source = "synthetic:"
            purifier = "none"
            classifier = "c.onnx"
        "#
        .parse()
        .unwrap()
    }

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = config();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = Config { deadline: Some("5ms".into()), ..Config::default() };
        let merged = flags.over(Config { deadline: Some("9ms".into()), seed: Some(3), ..config() });
        assert_eq!((merged.deadline.as_deref(), merged.seed), (Some("5ms"), Some(3)));
    }

    #[test]
    fn preprocessing_is_plain_unless_told_and_another_kind_is_refused() {
        assert_eq!(config().check().unwrap().prep, Prep::Plain);
        let ink: Config = "prep = \"ink\"".parse().unwrap();
        assert_eq!(Config::default().over(ink).over(config()).check().unwrap().prep, Prep::Ink);
        let text = "prep = \"paper\"".parse::<Config>().unwrap_err().to_string();
        assert!(text.contains("unknown variant `paper`, expected `plain` or `ink`"), "{text}");
    }

    #[test]
    fn an_unknown_key_is_named() {
        let text = "dead-line = \"33ms\"".parse::<Config>().unwrap_err().to_string();
        assert!(text.contains("unknown field `dead-line`"), "{text}");
    }

    #[test]
    fn absurd_values_are_refused_with_what_may_be_given() {
        for (change, words) in [
            (
                (|c: &mut Config| c.deadline = Some("0ms".into())) as fn(&mut Config),
                "--deadline is 0ms, expected a time from 1us to 1h",
            ),
            (|c| c.deadline = Some("soon".into()), "--deadline is soon, expected a time from 1us"),
            (|c| c.deadline = Some("999ns".into()), "--deadline is 999ns, expected a time from 1us"),
            (|c| c.frames = Some(0), "--frames is 0, expected at least 1"),
            (|c| c.fps = Some(0.0), "--fps is 0, expected 0.001 to 10000"),
            (|c| c.fps = Some(-3.0), "--fps is -3, expected 0.001"),
            (|c| c.fps = Some(f64::NAN), "--fps is NaN, expected 0.001"),
            (|c| c.fps = Some(1e9), "--fps is 1000000000, expected 0.001"),
            (|c| c.threads = Some(0), "--threads is 0, expected 1 to 256"),
            (|c| c.threads = Some(10_000), "--threads is 10000, expected 1 to 256"),
            (|c| c.source = None, "--source URI is missing"),
            (|c| c.purifier = None, "--purifier FILE (or --purifier none) is missing"),
        ] {
            let text = refusal(change);
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn one_file_for_two_purposes_is_refused() {
        let text = refusal(|c| (c.json, c.html) = (Some("r".into()), Some("./r".into())));
        assert!(text.contains("./r is given as --json and as --html"), "{text}");
        let text = refusal(|c| c.json = Some("c.onnx".into()));
        assert!(text.contains("c.onnx is given as --classifier and as --json"), "{text}");
    }
}
