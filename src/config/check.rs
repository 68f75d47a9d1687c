//! From what the user wrote to what a run can do: everything that can be checked without opening a file.

use std::fmt;
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Config, ConfigError, PurifierChoice, Settings, VerdictsTo, check_files_differ};
use crate::deadline::Deadline;
use crate::metrics::{MetricsAddress, MetricsAddressError};
use crate::model::engine::{EngineOptions, MAX_THREADS};
use crate::model::hash::{FileHash, NotAHash};
use crate::pipeline::{MAX_REGIONS, OnUnpurified};
use crate::preprocess::{Prep, Region};
use crate::source::{HIGHEST_FPS, LOWEST_FPS, SourceUri};

/// Reports count in whole microseconds.
const SHORTEST_DEADLINE: Duration = Duration::from_micros(1);
const LONGEST_DEADLINE: Duration = Duration::from_secs(3600);

impl Config {
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
            regions: regions(self.roi.unwrap_or_default())?,
            on_unpurified: self.on_unpurified.unwrap_or_default(),
            engine: EngineOptions {
                library: self.ort_lib,
                provider: self.provider.unwrap_or_default(),
                threads: threads(self.threads)?,
            },
            seed: self.seed.unwrap_or(0),
            purifier: self.purifier.ok_or(ConfigError::Missing("--purifier FILE (or --purifier none)"))?,
            purifier_sha256: sha256("--purifier-sha256", self.purifier_sha256)?,
            classifier: self.classifier.ok_or(ConfigError::Missing("--classifier FILE"))?,
            classifier_sha256: sha256("--classifier-sha256", self.classifier_sha256)?,
            json: self.json,
            html: self.html,
            verdicts: self.verdicts.map(|path| match path.as_os_str() == "-" {
                true => VerdictsTo::Stdout,
                false => VerdictsTo::File(path),
            }),
            metrics: metrics(self.metrics)?,
            live: self.live.unwrap_or(false),
            force: self.force.unwrap_or(false),
            config: self.read_from,
        };
        if settings.purifier == PurifierChoice::None && settings.purifier_sha256.is_some() {
            return Err(ConfigError::HashOfNothing);
        }
        if settings.live && settings.verdicts == Some(VerdictsTo::Stdout) && std::io::stdout().is_terminal() {
            return Err(ConfigError::LiveOverVerdicts);
        }
        if settings.purifier == PurifierChoice::None && settings.on_unpurified != OnUnpurified::Drop {
            return Err(ConfigError::NothingUnpurified(settings.on_unpurified));
        }
        ink_has_paper(settings.prep, &settings.source)?;
        regions_lie_in(&settings.regions, &settings.source)?;
        settings.fps.map_or(Ok(()), |fps| settings.source.check_fps(fps)).map_err(ConfigError::Rate)?;
        check_files_differ(&settings.inputs(), &settings.outputs())?;
        Ok(settings)
    }
}

fn absurd(flag: &'static str, got: impl fmt::Display, expected: impl Into<String>) -> ConfigError {
    ConfigError::Absurd { flag, got: got.to_string(), expected: expected.into() }
}

fn sha256(flag: &'static str, text: Option<String>) -> Result<Option<FileHash>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|NotAHash| absurd(flag, text, "64 hex digits, as `puvae inspect` prints them"))
}

fn metrics(text: Option<String>) -> Result<Option<MetricsAddress>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|expected: MetricsAddressError| absurd("--metrics", text, expected.to_string()))
}

fn deadline(text: Option<&str>) -> Result<Deadline, ConfigError> {
    let Some(text) = text else {
        return Ok(Deadline::default());
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

fn regions(regions: Vec<Region>) -> Result<Vec<Region>, ConfigError> {
    if regions.len() > MAX_REGIONS {
        return Err(absurd("--roi", format!("{} regions", regions.len()), format!("at most {MAX_REGIONS}")));
    }
    Ok(regions)
}

/// What can be told before there is a frame.
fn regions_lie_in(regions: &[Region], source: &SourceUri) -> Result<(), ConfigError> {
    let Some((width, height)) = source.size() else { return Ok(()) };
    match regions.iter().find(|region| !region.lies_in(width, height)) {
        Some(region) => {
            Err(absurd("--roi", region, format!("a region that lies in the frames of {width}×{height} pixels")))
        }
        None => Ok(()),
    }
}

/// A synthetic picture is light on dark: as writing it is nothing, and every frame would be black.
fn ink_has_paper(prep: Prep, source: &SourceUri) -> Result<(), ConfigError> {
    match (prep, source) {
        (Prep::Ink, SourceUri::Synthetic(_)) => Err(absurd(
            "--prep",
            prep,
            "plain with a synthetic source, which draws no dark writing on paper; give another --source",
        )),
        _ => Ok(()),
    }
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
