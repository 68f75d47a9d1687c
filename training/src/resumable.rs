//! Training that may be killed at any time: it goes epoch by epoch, and what the next epoch needs is on disk after
//! each one.
//!
//! A file of its own because it knows neither what learns nor how: [`crate::fit`] makes one network's loss small,
//! [`crate::gan`] lets two networks learn from each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, Header, Learning};
use crate::curves::{self, Series};
use crate::files;
use crate::progress::{self, ProgressBar};
use crate::random;
use crate::runs::as_known;

/// Named figures of a batch or of held-out images.
pub type Scalars = Vec<(&'static str, f64)>;

const LOG: &str = "log.jsonl";

/// What learns, epoch by epoch. What an epoch is, is its own affair; epochs are counted from 0.
pub trait Learner {
    /// Everything that learning changes.
    fn networks(&mut self) -> Vec<Learning<'_>>;
    /// Steps in all epochs before this one.
    fn steps_before(&self, epoch: u32) -> usize;
    /// Learns for an epoch, which begins with a random stream of its own; returns the figures of the epoch. Moves `bar` by
    /// one for each step.
    ///
    /// # Errors
    /// When a loss stops being finite, or there is nothing to measure on.
    fn learn(&mut self, epoch: u32, bar: &ProgressBar) -> Result<BTreeMap<String, f64>>;
    /// Writes pictures for people to look at into the run's folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn draw(&self, _folder: &Path) -> Result<()> {
        Ok(())
    }
}

/// One line of `log.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EpochLog {
    /// Epochs done, this one included.
    pub epoch: u32,
    /// Wall time of the epoch, in seconds.
    pub seconds: f64,
    /// Means over the epoch and held-out figures, by name.
    pub scalars: BTreeMap<String, f64>,
}

/// Where a run writes, and what it is called.
#[derive(Debug, Clone)]
pub struct Run {
    /// Folder of the run: `checkpoint.safetensors`, `log.jsonl`, `curves.svg`.
    pub out: PathBuf,
    /// Go on from the checkpoint there.
    pub resume: bool,
    /// What the checkpoint belongs to; `epoch` is 0.
    pub header: Header,
    /// A checkpoint's configuration as this version writes it, with the fields that are newer than the checkpoint; `None` where
    /// it is no such configuration.
    pub reread: fn(&serde_json::Value) -> Option<serde_json::Value>,
}

/// A configuration read as `C` and written again.
#[must_use]
pub fn reread<C: Serialize + DeserializeOwned>(config: &serde_json::Value) -> Option<serde_json::Value> {
    serde_json::to_value(C::deserialize(config).ok()?).ok()
}

impl Run {
    /// The run's checkpoint.
    #[must_use]
    pub fn checkpoint(out: &Path) -> PathBuf {
        out.join("checkpoint.safetensors")
    }
}

/// Trains to the last epoch of the run's header, with a checkpoint, a log line and curves after every epoch.
///
/// Every epoch draws from a random stream of its own, so a resumed run goes on exactly as an uninterrupted one.
///
/// # Errors
/// When a checkpoint is in the way or does not fit, the learner fails, or a file cannot be written.
#[expect(clippy::disallowed_methods, reason = "the log tells how long an epoch took")]
pub fn train(learner: &mut dyn Learner, run: &Run) -> Result<()> {
    random::check_streams(run.header.seed, run.header.epochs)?;
    std::fs::create_dir_all(&run.out)
        .with_context(|| format!("{}: cannot create the run's folder", run.out.display()))?;
    let mut run = run.clone();
    let mut log = start(learner, &mut run)?;
    let [done, all] = [log.len() as u32, run.header.epochs].map(|epochs| learner.steps_before(epochs));
    let bar = progress::bar_from(&run.header.kind, done, all);
    for epoch in log.len() as u32..run.header.epochs {
        let started = Instant::now();
        random::begin_epoch(run.header.seed, epoch);
        let scalars = learner.learn(epoch, &bar)?;
        log.push(EpochLog { epoch: epoch + 1, seconds: started.elapsed().as_secs_f64(), scalars });
        finish_epoch(learner, &run, &log)?;
        bar.suspend(|| eprintln!("{}", line(&log[log.len() - 1])));
    }
    bar.finish();
    Ok(())
}

fn start(learner: &mut dyn Learner, run: &mut Run) -> Result<Vec<EpochLog>> {
    let path = Run::checkpoint(&run.out);
    match (path.exists(), run.resume) {
        (false, _) => Ok(Vec::new()),
        (true, false) => {
            bail!("{}: a run is there already; go on with --resume, or choose another --out", path.display())
        }
        (true, true) => {
            let mut checkpoint = Checkpoint::load(&path)?;
            if let Some(config) = (run.reread)(&checkpoint.header.config) {
                checkpoint.header.config = config;
            }
            as_known(&mut run.header.config, &checkpoint.header.config);
            // What was not told of the beginning cannot be claimed of the rest.
            if checkpoint.header.classes.is_empty() {
                run.header.classes.clear();
            }
            if checkpoint.header.held_out_sha256.is_empty() {
                run.header.held_out_sha256.clear();
            }
            checkpoint.restore(&path, &run.header, learner.networks())?;
            read_log(&run.out.join(LOG), checkpoint.header.epoch as usize)
        }
    }
}

/// The lines of a `log.jsonl`, `most` of them at most.
///
/// # Errors
/// When it cannot be read or is no such log.
pub(crate) fn read_lines(path: &Path, most: usize) -> Result<Vec<EpochLog>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read the log", path.display()))?;
    let lines = text.lines().take(most).map(serde_json::from_str).collect::<Result<Vec<EpochLog>, _>>();
    lines.with_context(|| format!("{}: not a log of puvae-train", path.display()))
}

/// Each figure of a log over its epochs.
pub(crate) fn series(log: &[EpochLog]) -> Series<'_> {
    let mut series = Series::new();
    for epoch in log {
        for (name, &value) in &epoch.scalars {
            series.entry(name).or_default().push((f64::from(epoch.epoch), value));
        }
    }
    series
}

/// The first `epochs` lines of a log.
fn read_log(path: &Path, epochs: usize) -> Result<Vec<EpochLog>> {
    let log = read_lines(path, epochs)?;
    ensure!(
        log.len() == epochs,
        "{}: {} epochs logged, the checkpoint beside it has {epochs}; train again in another --out",
        path.display(),
        log.len()
    );
    Ok(log)
}

fn finish_epoch(learner: &mut dyn Learner, run: &Run, log: &[EpochLog]) -> Result<()> {
    learner.draw(&run.out)?;
    write(run, log, &learner.networks())
}

/// Writes a run's folder: log, curves and checkpoint, after as many epochs as the log has lines.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(run: &Run, log: &[EpochLog], networks: &[Learning<'_>]) -> Result<()> {
    let lines: Vec<String> = log.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    files::replace(&run.out.join(LOG), (lines.join("\n") + "\n").as_bytes())?;
    curves::write(&run.out.join("curves.svg"), &series(log))?;
    // Last: a checkpoint is never ahead of its log.
    let header = Header { epoch: log.len() as u32, ..run.header.clone() };
    Checkpoint::save(&Run::checkpoint(&run.out), &header, networks)
}

fn line(log: &EpochLog) -> String {
    let scalars: Vec<String> = log.scalars.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    format!("epoch {:>3}  {:.0} s  {}", log.epoch, log.seconds, scalars.join("  "))
}

/// Sums of named figures, for their means over an epoch.
#[derive(Debug, Default)]
pub struct Sums {
    sums: BTreeMap<String, f64>,
    count: f64,
}

impl Sums {
    /// Adds the figures of a step; every step has the same ones.
    pub fn add(&mut self, scalars: &Scalars) {
        for (name, value) in scalars {
            *self.sums.entry((*name).to_owned()).or_default() += value;
        }
        self.count += 1.0;
    }

    /// The means, and beside them figures of the epoch as a whole.
    #[must_use]
    pub fn means_and(self, whole: Scalars) -> BTreeMap<String, f64> {
        let means = self.sums.into_iter().map(|(name, sum)| (name, sum / self.count));
        means.chain(whole.into_iter().map(|(name, value)| (name.to_owned(), value))).collect()
    }
}
