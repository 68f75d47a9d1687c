//! The training loop. No line of it knows which network it trains.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::checkpoint::{Checkpoint, Header};
use crate::curves;
use crate::data::{Batch, Split, permutation};
use crate::files;
use crate::nn::params::Params;
use crate::optim::Adam;
use crate::progress::{self, ProgressBar};

/// Named figures of a batch or an epoch.
pub type Scalars = Vec<(&'static str, f64)>;

/// What the loop trains.
pub trait Task {
    /// The parameters that learn.
    fn params(&self) -> &Params;
    /// The loss of a batch, and parts of it worth a curve.
    fn loss(&self, batch: &Batch) -> (Tensor, Scalars);
    /// Figures on held-out images, once an epoch.
    ///
    /// # Errors
    /// When there is nothing to measure on.
    fn validate(&self) -> Result<Scalars>;
}

/// How long and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, clap::Args)]
pub struct Schedule {
    /// Passes over the training images.
    #[arg(long)]
    pub epochs: u32,
    /// Images a step.
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    /// Adam's learning rate at its highest; it rises over the first 200 steps and falls to a hundredth along a cosine.
    #[arg(long, default_value_t = 1e-3)]
    pub rate: f64,
}

const WARM_UP_STEPS: usize = 200;
const LOG: &str = "log.jsonl";

impl Schedule {
    fn check(&self) -> Result<()> {
        ensure!(self.epochs > 0, "--epochs is 0, expected at least 1");
        ensure!(self.batch > 1, "--batch is {}, expected at least 2", self.batch);
        ensure!(self.rate.is_finite() && self.rate > 0.0, "--rate is {}, expected a number above 0", self.rate);
        Ok(())
    }

    fn rate_at(&self, step: usize, steps: usize) -> f64 {
        let rise = ((step + 1) as f64 / WARM_UP_STEPS as f64).min(1.0);
        let fall = 0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
        self.rate * rise * fall
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
#[derive(Debug)]
pub struct Run {
    /// Folder of the run: `checkpoint.safetensors`, `log.jsonl`, `curves.svg`.
    pub out: PathBuf,
    /// Go on from the checkpoint there.
    pub resume: bool,
    /// What the checkpoint belongs to; `epoch` is 0.
    pub header: Header,
}

impl Run {
    /// The run's checkpoint.
    #[must_use]
    pub fn checkpoint(out: &Path) -> PathBuf {
        out.join("checkpoint.safetensors")
    }
}

/// Trains to the end of the schedule, with a checkpoint, a log line and curves after every epoch.
///
/// Every epoch draws from random streams of its own, so a resumed run goes on exactly as an uninterrupted one.
///
/// # Errors
/// When the schedule is absurd, a checkpoint is in the way or does not fit, the loss stops being finite, or a
/// file cannot be written.
#[expect(clippy::disallowed_methods, reason = "the log tells how long an epoch took")]
pub fn fit(task: &dyn Task, train: &Split, schedule: &Schedule, run: &Run) -> Result<()> {
    schedule.check()?;
    std::fs::create_dir_all(&run.out)
        .with_context(|| format!("{}: cannot create the run's folder", run.out.display()))?;
    let mut adam = Adam::new(task.params());
    let mut log = start(task, run, &mut adam)?;
    let steps_an_epoch = train.len() / schedule.batch;
    ensure!(steps_an_epoch > 0, "{} training images, expected at least one batch of {}", train.len(), schedule.batch);
    let bar = progress::bar(&run.header.kind, steps_an_epoch * schedule.epochs as usize);
    bar.set_position((steps_an_epoch * log.len()) as u64);
    bar.reset_eta();
    for epoch in log.len() as u32..schedule.epochs {
        let started = Instant::now();
        let mut scalars = train_epoch(task, train, schedule, (run.header.seed, epoch), &mut adam, &bar)?;
        scalars.extend(task.validate()?.into_iter().map(|(name, value)| (name.to_owned(), value)));
        log.push(EpochLog { epoch: epoch + 1, seconds: started.elapsed().as_secs_f64(), scalars });
        finish_epoch(task, run, &adam, &log)?;
        bar.suspend(|| eprintln!("{}", line(&log[log.len() - 1])));
    }
    bar.finish();
    Ok(())
}

/// One pass over the training images in an order of its own; the means of the epoch's figures.
fn train_epoch(
    task: &dyn Task,
    train: &Split,
    schedule: &Schedule,
    (seed, epoch): (u64, u32),
    adam: &mut Adam,
    bar: &ProgressBar,
) -> Result<BTreeMap<String, f64>> {
    tch::manual_seed((seed << 16) as i64 + i64::from(epoch));
    let order = permutation(train.len(), seed, u64::from(epoch));
    let steps = train.len() / schedule.batch;
    let mut sums = Sums::default();
    for (step, indices) in order.chunks_exact(schedule.batch).enumerate() {
        let (loss, mut scalars) = task.loss(&train.select(indices));
        let value = scalar(&loss);
        ensure!(
            value.is_finite(),
            "the loss became {value} in epoch {}, step {step}; train again with a lower --rate in another --out",
            epoch + 1
        );
        scalars.push(("loss", value));
        sums.add(&scalars);
        adam.step(&loss, schedule.rate_at(epoch as usize * steps + step, steps * schedule.epochs as usize));
        bar.inc(1);
        bar.set_message(format!("epoch {} loss {value:.4}", epoch + 1));
    }
    Ok(sums.means())
}

fn start(task: &dyn Task, run: &Run, adam: &mut Adam) -> Result<Vec<EpochLog>> {
    let path = Run::checkpoint(&run.out);
    match (path.exists(), run.resume) {
        (false, _) => Ok(Vec::new()),
        (true, false) => {
            bail!("{}: a run is there already; go on with --resume, or choose another --out", path.display())
        }
        (true, true) => {
            let checkpoint = Checkpoint::load(&path)?;
            checkpoint.restore(&path, &run.header, task.params(), adam)?;
            read_log(&run.out.join(LOG), checkpoint.header.epoch as usize)
        }
    }
}

/// The first `epochs` lines of a log.
fn read_log(path: &Path, epochs: usize) -> Result<Vec<EpochLog>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read the log", path.display()))?;
    let lines = text.lines().take(epochs).map(serde_json::from_str).collect::<Result<Vec<EpochLog>, _>>();
    let log = lines.with_context(|| format!("{}: not a log of puvae-train", path.display()))?;
    ensure!(
        log.len() == epochs,
        "{}: {} epochs logged, the checkpoint beside it has {epochs}; train again in another --out",
        path.display(),
        log.len()
    );
    Ok(log)
}

/// Writes a run's folder: log, curves and checkpoint, after as many epochs as the log has lines.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn finish_epoch(task: &dyn Task, run: &Run, adam: &Adam, log: &[EpochLog]) -> Result<()> {
    let lines: Vec<String> = log.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    files::replace(&run.out.join(LOG), (lines.join("\n") + "\n").as_bytes())?;
    curves::write(&run.out.join("curves.svg"), log)?;
    // Last: a checkpoint is never ahead of its log.
    let header = Header { epoch: log.len() as u32, ..run.header.clone() };
    Checkpoint::save(&Run::checkpoint(&run.out), &header, task.params(), adam)
}

fn line(log: &EpochLog) -> String {
    let scalars: Vec<String> = log.scalars.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    format!("epoch {:>3}  {:.0} s  {}", log.epoch, log.seconds, scalars.join("  "))
}

#[derive(Default)]
struct Sums {
    sums: BTreeMap<String, f64>,
    count: f64,
}

impl Sums {
    fn add(&mut self, scalars: &Scalars) {
        for (name, value) in scalars {
            *self.sums.entry((*name).to_owned()).or_default() += value;
        }
        self.count += 1.0;
    }

    fn means(self) -> BTreeMap<String, f64> {
        self.sums.into_iter().map(|(name, sum)| (name, sum / self.count)).collect()
    }
}

/// The value of a scalar tensor, for a curve.
#[must_use]
pub fn scalar(tensor: &Tensor) -> f64 {
    tensor.detach().to_kind(Kind::Double).double_value(&[])
}
