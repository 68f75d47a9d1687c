//! Runs to which no frame comes: they say why, and what an earlier run left stays.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use signal_hook::consts::SIGINT;

use crate::fixture::{Fixture, INTO_OLD, run_args};
use crate::running::Running;

#[test]
fn a_run_without_a_single_frame_is_an_error_and_leaves_older_results_alone() {
    let fixture = Fixture::new();
    fixture.write_old_results();
    // Standard input is empty.
    let ran = fixture.run(&[&["--source", "stdin:gray:2x2"], &INTO_OLD[..]].concat());
    let words = "error: no frame came from stdin:gray:2x2; nothing was written, check that the source has frames";
    assert!(ran.expect(1, &[words]).stdout.is_empty());
    fixture.expect_old_results();
}

/// Starts a run to which no frame comes, waits for a warning with these words and interrupts it. All that it said.
fn interrupted(source: &str, warning: &str) -> String {
    let fixture = Fixture::new();
    fixture.write_old_results();
    let args = [&["--source", source, "--fps", "30"], &INTO_OLD[..]].concat();
    let mut command = fixture.command(&run_args(&args));
    let running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let (mut stderr, mut said) = (BufReader::new(running.stderr()), String::new());
    while !said.contains(warning) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    running.send(SIGINT);
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(running.end().code, Some(130), "{said}");
    fixture.expect_old_results();
    said
}

/// A pipe that nobody writes into opens as a device does whose driver hangs: not at all.
#[test]
fn a_run_whose_source_does_not_open_can_be_interrupted() {
    let fixture = Fixture::new();
    assert!(Command::new("mkfifo").arg(fixture.path().join("pipe")).status().unwrap().success());
    let mut command = fixture.command(&run_args(&["--source", "idx:pipe"]));
    let running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let (mut stderr, mut said) = (BufReader::new(running.stderr()), String::new());
    // The models are open: signals are caught.
    assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    running.send(SIGINT);
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(running.end().code, Some(130), "{said}");
    assert!(said.contains("error: interrupted while idx:pipe was being opened; nothing was written"), "{said}");
}

#[test]
fn a_camera_that_fails_before_its_first_frame_says_so_once_and_again_when_the_run_is_interrupted() {
    let trouble = "the synthetic camera was unplugged, as its script says";
    let warning = format!("WARN capture: {trouble}; trying to open the source again");
    let said = interrupted("synthetic:2x2?classes=4&faults=unplug@0+1h", &warning);
    assert_eq!(said.matches("WARN").count(), 1, "{said}");
    let error = format!("error: interrupted before the first frame: {trouble}; nothing was written, run again");
    assert!(said.contains(&error), "{said}");
}

#[test]
fn a_camera_without_frames_is_said_to_be_stalled() {
    let said = interrupted("synthetic:2x2?classes=4&faults=stall@0+1h", "WARN capture: no frame for more than 1s");
    let error = "error: interrupted before the first frame: no frame for more than 1s; nothing was written, run again";
    assert!(said.contains(error), "{said}");
}
