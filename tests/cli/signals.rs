//! Interrupted runs: what is in flight is finished, and the report is whole.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::fixture::{Fixture, balanced, parse_lines, run_args};
use crate::running::Running;

/// Starts a run without an end, and waits until its first verdict.
fn start(fixture: &Fixture, pace: &[&str]) -> (Running, BufReader<ChildStdout>, String) {
    let endless = "synthetic:4x4?classes=4&channels=1";
    let args = [&["--source", endless, "--verdicts", "-", "--json", "r.json"], pace].concat();
    let args = run_args(&args);
    let running = Running::start(fixture.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut stdout = BufReader::new(running.stdout());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    if first.is_empty() {
        panic!("{}", running.end().stderr);
    }
    (running, stdout, first)
}

#[test]
fn sigint_and_sigterm_end_a_run_with_a_balanced_report() {
    let paced = ["--fps", "50"].as_slice();
    for (signal, pace) in [(SIGINT, paced), (SIGTERM, paced), (SIGINT, &[])] {
        let fixture = Fixture::new();
        let (running, mut stdout, mut text) = start(&fixture, pace);
        running.send(signal);
        std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
        running.end().expect(130, &["interrupted"]);
        let report = fixture.json("r.json");
        let ledger = balanced(&report);
        assert_eq!(ledger["captured"], parse_lines(&text).len());
        assert_eq!(report["run"]["interrupted"], true);
    }
}

#[test]
fn a_second_signal_ends_a_run_that_cannot_drain_at_once() {
    let fixture = Fixture::new();
    // Nobody reads the verdicts: the pipe fills up and the run is stuck.
    let (running, stdout, _) = start(&fixture, &["--fps", "10000"]);
    std::thread::sleep(Duration::from_secs(2));
    running.send(SIGINT);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!running.has_ended(), "the first signal waits for the run to drain");
    running.send(SIGTERM);
    assert_eq!(running.end().code, Some(130));
    assert!(!fixture.path().join("r.json").exists(), "a run that was cut short has no report");
    drop(stdout);
}
