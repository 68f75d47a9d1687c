//! `--live`, in a terminal that `script` makes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::fixture::{Fixture, Ran, run_args};
use crate::running::Running;

/// Runs in a terminal of its own; standard output goes into the file `out`. Returns all that the terminal got.
fn in_a_terminal(fixture: &Fixture, more: &[&str], keys: &str) -> Ran {
    let words: Vec<String> = run_args(more).iter().map(|word| format!("'{word}'")).collect();
    let command = format!("stty cols 80 rows 24; '{}' {} > out", env!("CARGO_BIN_EXE_puvae"), words.join(" "));
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(fixture.path())
        .envs([("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("SHELL", "/bin/sh")])
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let running = Running::start(&mut script);
    let (mut stdin, mut stdout) = (running.stdin(), running.stdout());
    let mut shown = Vec::new();
    let mut keys = Some(keys);
    let mut part = [0; 4096];
    loop {
        match stdout.read(&mut part).unwrap() {
            0 => break,
            count => shown.extend(&part[..count]),
        }
        // What is typed before the view is there would go to the shell.
        if String::from_utf8_lossy(&shown).contains("captured")
            && let Some(keys) = keys.take()
        {
            stdin.write_all(keys.as_bytes()).unwrap();
        }
    }
    let code = running.end().code;
    // Until here: the end of its input would end the terminal.
    drop(stdin);
    Ran { code, stdout: String::from_utf8_lossy(&shown).into_owned(), stderr: String::new() }
}

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

#[test]
fn without_a_terminal_it_is_refused_with_what_to_do() {
    let words = ["--live draws on standard error, which is not a terminal here", "leave --live out"];
    Fixture::new().run(&["--live"]).expect(2, &words);
}

#[test]
fn a_run_is_shown_and_the_terminal_is_given_back_before_anything_else_is_written() {
    let fixture = Fixture::new();
    let ran = in_a_terminal(&fixture, &["--live", "--fps", "20", "--metrics", "0"], "");
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    let (before, shown) = ran.stdout.split_once(ENTER).unwrap();
    assert!(before.contains("metrics on http://127.0.0.1:"), "{before}");
    let (shown, after) = shown.split_once(LEAVE).unwrap();
    for words in ["idx:images,labels", "purified", "captured", "deadline"] {
        assert!(shown.contains(words), "`{words}` is not in {shown:?}");
    }
    assert!(after.contains("\u{1b}[?25h"), "the cursor is there again: {after:?}");
    let table = std::fs::read_to_string(fixture.path().join("out")).unwrap();
    assert!(table.contains("12 of 12 frames on time") && !table.contains('\u{1b}'), "{table}");
}

#[test]
fn q_and_control_c_end_a_run_as_a_signal_does() {
    for key in ["q", "\u{3}"] {
        let fixture = Fixture::new();
        let endless = ["--live", "--source", "synthetic:4x4?classes=4&channels=1", "--fps", "50", "--json", "r.json"];
        let ran = in_a_terminal(&fixture, &endless, key);
        assert_eq!(ran.code, Some(130), "{}", ran.stdout);
    }
}

#[test]
fn a_failure_is_told_on_a_terminal_that_is_free_again() {
    let fixture = Fixture::new();
    crate::onnx::TestModel { nan_above: 0.8, ..crate::onnx::TestModel::purifier() }.write(fixture.path(), "p.onnx");
    let ran = in_a_terminal(&fixture, &["--live", "--fps", "50"], "");
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    let (shown, after) = ran.stdout.split_once(LEAVE).unwrap();
    assert!(shown.contains(ENTER) && after.contains("the purify stage failed on frame"), "{after:?}");
}
