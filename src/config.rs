//! What a run shall do: what the user wrote ([`Config`], from a TOML file and flags), and what came of it
//! once it was checked ([`Settings`]).
//!
//! Keys of the file are the names of the flags without their dashes: `deadline = "33ms"`. A flag wins over the file.
//! [`EXAMPLE`] has them all.

mod check;
mod error;
mod files;
mod settings;
mod text;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::files::read_text;
use crate::model::engine::Provider;
use crate::pipeline::OnUnpurified;
use crate::preprocess::{Prep, Region};

pub use check::threads;
pub use error::ConfigError;
pub use files::{NamedFile, check_files_differ, check_given_once};
pub use settings::Settings;
pub use text::{TextError, UnknownKey};

/// A file with every key.
pub const EXAMPLE: &str = include_str!("../examples/run.toml");

/// What the user wrote; everything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where frames come from, as a URI.
    pub source: Option<String>,
    /// The purifier's ONNX file, or `none`.
    pub purifier: Option<PurifierChoice>,
    /// The SHA-256 that the purifier's file must have, 64 hex digits.
    pub purifier_sha256: Option<String>,
    /// The classifier's ONNX file.
    pub classifier: Option<PathBuf>,
    /// The SHA-256 that the classifier's file must have, 64 hex digits.
    pub classifier_sha256: Option<String>,
    /// Longest time from capture to verdict, such as `33ms`; [`Deadline`](crate::deadline::Deadline)'s default when absent.
    pub deadline: Option<String>,
    /// The most frames to take from the source.
    pub frames: Option<u64>,
    /// Frames a second; without it a file source waits for the pipeline.
    pub fps: Option<f64>,
    /// How pictures become tensors; plain when absent.
    pub prep: Option<Prep>,
    /// The parts of each frame that are looked at, each as `X,Y,WIDTH,HEIGHT`; the whole frame when absent.
    pub roi: Option<Vec<Region>>,
    /// What becomes of a frame that cannot be purified in time; it is dropped when absent.
    pub on_unpurified: Option<OnUnpurified>,
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
    /// Where metrics are served over HTTP, such as `127.0.0.1:9464`; a bare port is for this machine only.
    pub metrics: Option<String>,
    /// Show the run in the terminal.
    pub live: Option<bool>,
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

impl FromStr for Config {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        text::parse(text)
    }
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or has unknown keys or values of another type.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let config: Self = text.parse().map_err(|error| ConfigError::Text { path: path.into(), source: error })?;
        Ok(Self { read_from: Some(path.into()), ..config })
    }

    /// The keys that a file may have.
    #[must_use]
    pub fn keys() -> Vec<String> {
        let all = serde_json::to_value(Self::default()).expect("a configuration has string keys and plain values");
        all.as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    }

    /// This configuration, with what is missing taken from `below`. A hash stays with the file it was
    /// written beside: where this one names another file, the hash of `below` goes with the one that it names.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let purifier_below = below.purifier_sha256.filter(|_| self.purifier.is_none() || below.purifier.is_none());
        let classifier_below =
            below.classifier_sha256.filter(|_| self.classifier.is_none() || below.classifier.is_none());
        Self {
            source: self.source.or(below.source),
            purifier_sha256: self.purifier_sha256.or(purifier_below),
            purifier: self.purifier.or(below.purifier),
            classifier_sha256: self.classifier_sha256.or(classifier_below),
            classifier: self.classifier.or(below.classifier),
            deadline: self.deadline.or(below.deadline),
            frames: self.frames.or(below.frames),
            fps: self.fps.or(below.fps),
            prep: self.prep.or(below.prep),
            roi: self.roi.or(below.roi),
            on_unpurified: self.on_unpurified.or(below.on_unpurified),
            provider: self.provider.or(below.provider),
            threads: self.threads.or(below.threads),
            ort_lib: self.ort_lib.or(below.ort_lib),
            seed: self.seed.or(below.seed),
            json: self.json.or(below.json),
            html: self.html.or(below.html),
            verdicts: self.verdicts.or(below.verdicts),
            metrics: self.metrics.or(below.metrics),
            live: self.live.or(below.live),
            force: self.force.or(below.force),
            read_from: self.read_from.or(below.read_from),
        }
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
    fn a_models_hash_is_left_with_its_file() {
        let below =
            || Config { purifier_sha256: Some("a".repeat(64)), classifier_sha256: Some("b".repeat(64)), ..config() };
        let merged = Config { purifier: Some(PathBuf::from("other.onnx").into()), ..Config::default() }.over(below());
        assert_eq!((merged.purifier_sha256, merged.classifier_sha256), (None, below().classifier_sha256));
        let pin = Config { purifier_sha256: Some("d".repeat(64)), ..Config::default() };
        let named = Config { purifier: Some(PathBuf::from("p.onnx").into()), ..Config::default() };
        assert_eq!(named.over(pin).purifier_sha256, Some("d".repeat(64)), "it stood beside no other file");
        let own =
            Config { classifier: Some("c.onnx".into()), classifier_sha256: Some("c".repeat(64)), ..Config::default() };
        assert_eq!(own.over(below()).classifier_sha256, Some("c".repeat(64)));
    }

    #[test]
    fn preprocessing_is_plain_unless_told_and_another_kind_is_refused() {
        assert_eq!(config().check().unwrap().prep, Prep::Plain);
        let ink: Config = "prep = \"ink\"\nsource = \"dir:sheets\"".parse().unwrap();
        assert_eq!(Config::default().over(ink).over(config()).check().unwrap().prep, Prep::Ink);
        let text = "prep = \"paper\"".parse::<Config>().unwrap_err().to_string();
        assert!(text.contains("unknown value `paper`, expected `plain` or `ink`"), "{text}");
    }

    #[test]
    fn the_example_file_has_every_key_and_makes_sense() {
        EXAMPLE.parse::<Config>().unwrap().check().unwrap();
        // Its one key that would make a run fail as the file stands.
        let whole = EXAMPLE.replace("# ort-lib = ", "ort-lib = ");
        let example: toml::Table = whole.parse().unwrap();
        let keys: Vec<&String> = example.keys().collect();
        assert_eq!(keys, Config::keys().iter().collect::<Vec<_>>(), "examples/run.toml has each key once");
        whole.parse::<Config>().unwrap().check().unwrap();
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
            (
                |c| c.metrics = Some(":9464".into()),
                "--metrics is :9464, expected a port such as 9464 for this machine only",
            ),
            (|c| c.roi = Some(vec![Region::new(0, 0, 1, 1).unwrap(); 17]), "--roi is 17 regions, expected at most 16"),
            (
                |c| c.on_unpurified = Some(OnUnpurified::Flag),
                "--on-unpurified is flag, but --purifier is none; name the purifier's file, or leave it out",
            ),
            (
                |c| c.prep = Some(Prep::Ink),
                "--prep is ink, expected plain with a synthetic source, which draws no dark",
            ),
            (|c| c.source = None, "--source URI is missing"),
            (|c| c.purifier = None, "--purifier FILE (or --purifier none) is missing"),
            (|c| c.classifier_sha256 = Some("12ab".into()), "--classifier-sha256 is 12ab, expected 64 hex digits"),
            (|c| c.classifier_sha256 = Some("x".repeat(64)), "expected 64 hex digits, as `puvae inspect` prints them"),
            (
                |c| c.purifier_sha256 = Some("0".repeat(64)),
                "--purifier-sha256 is given, but --purifier is none; name the purifier's file, or leave the hash out",
            ),
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
