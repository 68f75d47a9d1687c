//! Interrupted runs: what is in flight is finished, and the report is whole.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::fixture::{Fixture, Ran, parse_lines, run_args};

/// Starts a run that would take an hour, and waits until its first verdict.
fn start(fixture: &Fixture, fps: &str) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let endless = "synthetic:4x4?classes=4&channels=1";
    let args =
        run_args(&["--source", endless, "--fps", fps, "--frames", "180000", "--verdicts", "-", "--json", "r.json"]);
    let mut child = fixture.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    if first.is_empty() {
        panic!("{}", Ran::from(child.wait_with_output().unwrap()).stderr);
    }
    (child, stdout, first)
}

fn send(signal: i32, child: &Child) {
    let sent =
        std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn sigint_and_sigterm_end_a_run_with_a_balanced_report() {
    for signal in [SIGINT, SIGTERM] {
        let fixture = Fixture::new();
        let (child, mut stdout, mut text) = start(&fixture, "50");
        send(signal, &child);
        std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
        Ran::from(child.wait_with_output().unwrap()).expect(130, &["interrupted"]);
        let report = fixture.json("r.json");
        let ledger = report["ledger"].as_object().unwrap();
        let fates: u64 =
            ledger.iter().filter(|(name, _)| *name != "captured").map(|(_, count)| count.as_u64().unwrap()).sum();
        assert_eq!(ledger["captured"], fates);
        assert_eq!(ledger["captured"], parse_lines(&text).len());
        assert_eq!(report["run"]["interrupted"], true);
    }
}

#[test]
fn a_second_signal_ends_a_run_that_cannot_drain_at_once() {
    let fixture = Fixture::new();
    // Nobody reads the verdicts: the pipe fills up and the run is stuck. (Were it not yet full, the first
    // signal would end the run, with the same code.)
    let (mut child, stdout, _) = start(&fixture, "10000");
    std::thread::sleep(std::time::Duration::from_millis(500));
    send(SIGINT, &child);
    send(SIGTERM, &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(stdout);
}
