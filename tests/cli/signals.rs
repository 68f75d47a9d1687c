//! Interrupted runs: what is in flight is finished, and the report is whole.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

#[cfg(target_os = "linux")]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::fixture::{Fixture, balanced, parse_lines, run_args};
use crate::limit::until;
use crate::running::Running;

const ENDLESS: &str = "synthetic:4x4?classes=4&channels=1";

fn command(fixture: &Fixture, source: &str, pace: &[&str]) -> Command {
    fixture.command(&run_args(&[&["--source", source, "--verdicts", "-", "--json", "r.json"], pace].concat()))
}

/// Starts a run without an end, and waits until its first verdict.
fn start(fixture: &Fixture, pace: &[&str]) -> (Running, BufReader<ChildStdout>, String) {
    begin(command(fixture, ENDLESS, pace))
}

/// Starts a run, and waits until its first verdict.
fn begin(mut command: Command) -> (Running, BufReader<ChildStdout>, String) {
    let running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut stdout = BufReader::new(running.stdout());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    if first.is_empty() {
        panic!("{}", running.end().stderr);
    }
    (running, stdout, first)
}

/// Starts a run, as `begin`, by a program that sets what SIGHUP does and then becomes it: whoever started the tests may have
/// had it ignored.
#[cfg(target_os = "linux")]
fn begin_by(fixture: &Fixture, program: &[&str], pace: &[&str]) -> (Running, BufReader<ChildStdout>, String) {
    let run = command(fixture, ENDLESS, pace);
    let mut by = Command::new(program[0]);
    by.args(&program[1..]).arg(run.get_program()).args(run.get_args());
    by.current_dir(fixture.path()).env_remove("RUST_LOG").stdin(Stdio::null());
    begin(by)
}

/// What an interrupted run leaves.
fn expect_report(fixture: &Fixture, (running, mut stdout, mut text): (Running, BufReader<ChildStdout>, String)) {
    std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
    running.end().expect(130, &["interrupted"]);
    let report = fixture.json("r.json");
    let ledger = balanced(&report);
    assert_eq!(ledger["captured"], parse_lines(&text).len());
    assert_eq!(report["run"]["interrupted"], true);
}

#[test]
fn sigint_and_sigterm_end_a_run_with_a_balanced_report() {
    let paced = ["--fps", "50"].as_slice();
    for (signal, pace) in [(SIGINT, paced), (SIGTERM, paced), (SIGINT, &[])] {
        let fixture = Fixture::new();
        let started = start(&fixture, pace);
        started.0.send(signal);
        expect_report(&fixture, started);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn sighup_ends_a_run_with_a_balanced_report() {
    let fixture = Fixture::new();
    let started = begin_by(&fixture, &["env", "--default-signal=HUP"], &["--fps", "50"]);
    started.0.send(SIGHUP);
    expect_report(&fixture, started);
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_was_started_with_sighup_ignored_goes_on() {
    let fixture = Fixture::new();
    let (running, mut stdout, _) = begin_by(&fixture, &["env", "--ignore-signal=HUP"], &["--fps", "200"]);
    running.send(SIGHUP);
    for _ in 0..100 {
        assert!(stdout.read_line(&mut String::new()).unwrap() > 0, "the run goes on");
    }
    running.send(SIGINT);
    drain(&mut stdout);
    running.end().expect(130, &["interrupted"]);
}

#[test]
fn a_failed_frame_is_an_error_even_if_the_run_was_interrupted() {
    let fixture = Fixture::new();
    let (running, mut stdout, _) = begin(command(&fixture, &format!("{ENDLESS}&faults=marked@0+1"), &["--fps", "50"]));
    running.send(SIGINT);
    drain(&mut stdout);
    running.end().expect(1, &["the capture stage failed on frame 0: ", "frames failed in all"]);
    assert_eq!(fixture.json("r.json")["run"]["interrupted"], true);
}

fn drain(stdout: &mut BufReader<ChildStdout>) {
    std::io::Read::read_to_end(stdout, &mut Vec::new()).unwrap();
}

#[test]
fn a_second_signal_ends_a_run_that_cannot_drain_at_once() {
    let fixture = Fixture::new();
    // Nobody reads the verdicts: the pipe fills up and the run is stuck.
    let (running, stdout, _) = start(&fixture, &["--fps", "10000"]);
    let (mut before, mut looks) = (0, 0);
    until("the pipe takes no more", || {
        let unread = rustix::io::ioctl_fionread(stdout.get_ref()).unwrap();
        looks = if unread == before { looks + 1 } else { 0 };
        before = unread;
        unread > 50_000 && looks == 1000
    });
    running.send(SIGINT);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!running.has_ended(), "the first signal waits for the run to drain");
    running.send(SIGTERM);
    assert_eq!(running.end().code, Some(130));
    assert!(!fixture.path().join("r.json").exists(), "a run that was cut short has no report");
    drop(stdout);
}

#[test]
fn a_signal_is_heard_while_nobody_reads_the_pipe_of_the_verdicts() {
    let fixture = Fixture::new();
    let pipe = fixture.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let args = run_args(&["--source", ENDLESS, "--fps", "50", "--verdicts", "pipe"]);
    let running = Running::start(fixture.command(&args).stderr(Stdio::piped()));
    let (mut stderr, mut first) = (BufReader::new(running.stderr()), String::new());
    // The models are open: signals are caught.
    stderr.read_line(&mut first).unwrap();
    running.send(SIGINT);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).unwrap();
    assert_eq!(running.end().code, Some(130), "{first}{rest}");
    assert!(rest.contains("interrupted while pipe was being opened; nothing was written, run again"), "{rest}");
}
