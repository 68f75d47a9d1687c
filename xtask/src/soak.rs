//! `cargo xtask soak`: the filter at work for a long time, watched from outside: does its memory grow, do verdicts get
//! older, does every frame stay accounted for?

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;

use crate::bundle::Library;
use crate::setup::ensure_library;
use crate::step::command_step;
use crate::workspace::{CLASSIFIER, PURIFIER, Workspace};

const FRAMES_PER_SECOND: u64 = 30;
/// How often the memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The memory may lie so far from its mean, once a minute has passed.
const MEMORY_TOLERANCE: f64 = 0.04;
/// The age in the last minute may be so much of that in the first.
const AGE_TOLERANCE: f64 = 1.2;
const MINUTE_US: u64 = 60_000_000;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// How long
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(2..=10_000))]
    minutes: u64,
    /// The deadline, counted from a frame's capture
    #[arg(long, default_value = "33ms")]
    deadline: String,
    /// Faults of the synthetic camera, such as unplug@900+2s,stall@1800+3s
    #[arg(long)]
    faults: Option<String>,
}

/// Runs the soak and prints what it found as a Markdown table.
///
/// # Errors
/// When the run fails, or something grew or went missing.
pub(crate) fn run(soak: &Soak) -> Result<()> {
    let workspace = Workspace::find()?;
    let runtime = ensure_library(Library::Onnxruntime)?;
    command_step("build puvae", &mut workspace.build_puvae())?;
    let report = workspace.target.join("soak.json");
    if report.exists() {
        fs::remove_file(&report).with_context(|| format!("{}: cannot remove the last one", report.display()))?;
    }
    let frames = soak.minutes * 60 * FRAMES_PER_SECOND;
    let faults = soak.faults.as_ref().map(|faults| format!("&faults={faults}")).unwrap_or_default();
    let mut command = Command::new(workspace.release("puvae"));
    command
        .current_dir(&workspace.root)
        .env("ORT_DYLIB_PATH", &runtime)
        .args(["run", "--source", &format!("synthetic:640x480?classes=10&channels=3&frames={frames}{faults}")])
        .args(["--fps", &FRAMES_PER_SECOND.to_string(), "--deadline", &soak.deadline])
        .args(["--purifier", PURIFIER, "--classifier", CLASSIFIER, "--verdicts", "-", "--json"])
        .arg(&report)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start puvae")?;
    let (deliveries, memory_kib) = watch(&mut child, soak.minutes)?;
    let status = child.wait().context("cannot wait for puvae")?;
    let text = fs::read_to_string(&report)
        .with_context(|| format!("puvae run: {status}, {}: cannot read", report.display()))?;
    let report: Value = serde_json::from_str(&text).with_context(|| format!("{}: not a report", report.display()))?;
    let broke_frames = soak.faults.is_some() && status.code() == Some(1) && only_frames_failed(&report);
    ensure!(status.success() || broke_frames, "puvae run: {status}; its reason is above");
    let found = Found::new(&deliveries, &memory_kib, &report)?;
    println!("{}", found.table(soak));
    found.check()
}

/// Whether nothing is wrong with a run but frames that failed, as they do when that is asked for.
fn only_frames_failed(report: &Value) -> bool {
    report["run"]["failure"].is_string() && report["run"]["aborted"] == false
}

/// A verdict: when it came, and how long after its frame's capture.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Delivery {
    at_us: u64,
    response_us: u64,
}

#[derive(Deserialize)]
struct Line {
    captured_us: u64,
    response_us: Option<u64>,
}

/// Reads the verdicts and looks at the memory until the run has ended.
fn watch(child: &mut Child, minutes: u64) -> Result<(Vec<Delivery>, Vec<u64>)> {
    let lines = read_lines(child)?;
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {msg} · {eta} left")?;
    let bar = ProgressBar::new(minutes * 60 * FRAMES_PER_SECOND).with_style(style);
    let (mut deliveries, mut memory_kib) = (Vec::new(), Vec::new());
    let mut next_look = bar.elapsed() + LOOK_EVERY;
    loop {
        match lines.recv_timeout(LOOK_EVERY) {
            Ok(line) => {
                let line: Line = serde_json::from_str(&line).with_context(|| format!("not a verdict: {line}"))?;
                let delivery = |response_us| Delivery { at_us: line.captured_us + response_us, response_us };
                deliveries.extend(line.response_us.map(delivery));
                bar.inc(1);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if bar.elapsed() >= next_look {
            next_look += LOOK_EVERY;
            let kib = resident_kib(child.id())?;
            memory_kib.push(kib);
            bar.set_message(format!("{:.1} MiB", kib as f64 / 1024.0));
        }
    }
    bar.finish_and_clear();
    Ok((deliveries, memory_kib))
}

fn read_lines(child: &mut Child) -> Result<Receiver<String>> {
    let stdout = BufReader::new(child.stdout.take().context("its standard output is a pipe")?);
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    Ok(lines)
}

/// Resident memory of a process.
fn resident_kib(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("{path}: cannot read; the soak needs Linux"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS line in it")?;
    line.trim().trim_end_matches("kB").trim().parse().with_context(|| format!("{path}: VmRSS is `{line}`"))
}

/// What the soak found.
#[derive(Debug)]
struct Found {
    first_minute_us: f64,
    last_minute_us: f64,
    memory_mib: [f64; 3],
    captured: u64,
    accounted: u64,
    on_time: u64,
    report: Value,
}

impl Found {
    fn new(deliveries: &[Delivery], memory_kib: &[u64], report: &Value) -> Result<Self> {
        let end_us = deliveries.last().context("no verdict at all")?.at_us;
        let age = |from, to| age_quantile(deliveries, from, to, 0.99).context("no verdict in a whole minute");
        // What the first minute allocates for good belongs to no trend.
        let steady: Vec<f64> =
            memory_kib.iter().skip((60 / LOOK_EVERY.as_secs()) as usize).map(|&kib| kib as f64 / 1024.0).collect();
        ensure!(!steady.is_empty(), "the run was over before its memory could be watched");
        let mean = steady.iter().sum::<f64>() / steady.len() as f64;
        let lowest = steady.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = steady.iter().copied().fold(0.0, f64::max);
        let ledger = report["ledger"].as_object().context("the report has no ledger")?;
        let count = |name: &str| ledger[name].as_u64().unwrap_or(0);
        let fates = ledger.iter().filter(|(name, _)| *name != "captured");
        Ok(Self {
            first_minute_us: age(0, MINUTE_US)?,
            last_minute_us: age(end_us.saturating_sub(MINUTE_US), end_us)?,
            memory_mib: [lowest, mean, highest],
            captured: count("captured"),
            accounted: fates.filter_map(|(_, count)| count.as_u64()).sum(),
            on_time: count("on_time"),
            report: report.clone(),
        })
    }

    fn table(&self, soak: &Soak) -> String {
        let [lowest, mean, highest] = self.memory_mib;
        let ms = |us: f64| us / 1000.0;
        let response = &self.report["latency_us"]["response"];
        let at = |name: &str| response[name].as_u64().map_or(f64::NAN, |us| us as f64 / 1000.0);
        format!(
            "| soak | |\n|---|---|\n| length | {} minutes at {FRAMES_PER_SECOND} frames a second, 640×480 RGB, deadline {} |\n\
             | faults | {} |\n| frames | {} captured, {} accounted for, {} on time |\n\
             | response | p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms |\n\
             | p99 of the age | first minute {:.1} ms, last minute {:.1} ms |\n\
             | resident memory after the first minute | {lowest:.1} to {highest:.1} MiB, mean {mean:.1} |\n\
             | models, provider | {PURIFIER}, {CLASSIFIER}, {} with {} threads each |",
            soak.minutes,
            soak.deadline,
            soak.faults.as_deref().unwrap_or("none"),
            self.captured,
            self.accounted,
            self.on_time,
            at("p50"),
            at("p99"),
            at("p99_9"),
            at("max"),
            ms(self.first_minute_us),
            ms(self.last_minute_us),
            self.report["provider"]["used"].as_str().unwrap_or("?"),
            self.report["run"]["threads"],
        )
    }

    fn check(&self) -> Result<()> {
        let [lowest, mean, highest] = self.memory_mib;
        let mut wrong = Vec::new();
        if self.captured != self.accounted {
            wrong.push(format!("{} frames were captured, {} have a fate", self.captured, self.accounted));
        }
        if highest > mean * (1.0 + MEMORY_TOLERANCE) || lowest < mean * (1.0 - MEMORY_TOLERANCE) {
            wrong.push(format!("resident memory went from {lowest:.1} to {highest:.1} MiB, expected {mean:.1} ± 4 %"));
        }
        if self.last_minute_us > self.first_minute_us * AGE_TOLERANCE {
            wrong.push("verdicts are more than 20 % older in the last minute than in the first".into());
        }
        if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("; ")) }
    }
}

/// The age of the newest verdict that it exceeded during `1 − quantile` of the time between `from_us` and `to_us`;
/// `None` without a verdict before the end of that time.
///
/// Between two verdicts the age rises as time passes.
fn age_quantile(deliveries: &[Delivery], from_us: u64, to_us: u64, quantile: f64) -> Option<f64> {
    let ends = deliveries.iter().skip(1).map(|next| next.at_us).chain([to_us]);
    let rises: Vec<(f64, f64)> = deliveries
        .iter()
        .zip(ends)
        .filter_map(|(delivery, end)| {
            let (begin, end) = (delivery.at_us.max(from_us), end.min(to_us));
            let age = |at: u64| (at - delivery.at_us + delivery.response_us) as f64;
            (begin < end).then(|| (age(begin), age(end)))
        })
        .collect();
    let total: f64 = rises.iter().map(|(from, to)| to - from).sum();
    let above = |age: f64| rises.iter().map(|&(from, to)| (to - from.max(age)).max(0.0)).sum::<f64>();
    let (mut low, mut high) = (0.0, rises.iter().map(|rise| rise.1).fold(0.0, f64::max));
    if rises.is_empty() {
        return None;
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if above(middle) > total * (1.0 - quantile) { low = middle } else { high = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn regular(response_us: u64) -> Vec<Delivery> {
        (0..100).map(|n| Delivery { at_us: n * 10_000 + response_us, response_us }).collect()
    }

    #[test]
    fn the_age_rises_from_the_response_by_a_period() {
        let age = |quantile| age_quantile(&regular(2000), 100_000, 500_000, quantile).unwrap();
        assert!((age(0.5) - 7000.0).abs() < 1.0 && (age(0.99) - 11_900.0).abs() < 1.0, "{} {}", age(0.5), age(0.99));
        assert_eq!(age_quantile(&regular(2000), 0, 1000, 0.99), None);
    }

    #[test]
    fn a_run_that_failed_on_frames_is_told_from_one_that_failed() {
        let run =
            |failure: Value, aborted| only_frames_failed(&json!({"run": {"failure": failure, "aborted": aborted}}));
        assert!(run("3 of 300 frames failed".into(), false));
        assert!(!run("the purify stage panicked".into(), true) && !run(Value::Null, false));
    }

    fn found(memory_kib: &[u64], accounted: u64) -> String {
        let mut samples = vec![1; 12];
        samples.extend(memory_kib);
        let report = json!({"ledger": {"captured": 9, "on_time": accounted}});
        Found::new(&regular(2000), &samples, &report)
            .unwrap()
            .check()
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_grows_or_goes_missing_is_named() {
        assert_eq!(found(&[100_000, 101_000, 100_500], 9), "");
        assert_eq!(found(&[100_000, 101_000], 8), "9 frames were captured, 8 have a fate");
        assert!(found(&[100_000, 120_000], 9).starts_with("resident memory went from 97.7 to 117.2 MiB"));
    }
}
