//! Interrupted runs: what is in flight is finished, and the report is whole.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::fixture::{Fixture, Ran, balanced, parse_lines, run_args};

/// Starts a run without an end, and waits until its first verdict.
fn start(fixture: &Fixture, pace: &[&str]) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let endless = "synthetic:4x4?classes=4&channels=1";
    let args = [&["--source", endless, "--verdicts", "-", "--json", "r.json"], pace].concat();
    let args = run_args(&args);
    let mut child = fixture.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    if first.is_empty() {
        panic!("{}", Ran::from(child.wait_with_output().unwrap()).stderr);
    }
    (child, stdout, first)
}

pub(crate) fn send(signal: i32, child: &Child) {
    let sent =
        std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn sigint_and_sigterm_end_a_run_with_a_balanced_report() {
    let paced = ["--fps", "50"].as_slice();
    for (signal, pace) in [(SIGINT, paced), (SIGTERM, paced), (SIGINT, &[])] {
        let fixture = Fixture::new();
        let (child, mut stdout, mut text) = start(&fixture, pace);
        send(signal, &child);
        std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
        Ran::from(child.wait_with_output().unwrap()).expect(130, &["interrupted"]);
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
    let (mut child, stdout, _) = start(&fixture, &["--fps", "10000"]);
    std::thread::sleep(Duration::from_secs(2));
    send(SIGINT, &child);
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "the first signal waits for the run to drain");
    send(SIGTERM, &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!fixture.path().join("r.json").exists(), "a run that was cut short has no report");
    drop(stdout);
}
