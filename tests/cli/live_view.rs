//! `--live`, in a terminal that `script` makes.

use std::io::{Read, Write};
use std::process::{ChildStdin, Command, Stdio};

use signal_hook::consts::{SIGCONT, SIGSTOP};

use crate::fixture::{Fixture, Ran, balanced, run_args};
use crate::limit::until;
use crate::running::Running;

/// Begins to run in a terminal of its own; standard output goes into the file `out`.
fn begin(fixture: &Fixture, more: &[&str]) -> Running {
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
    Running::start(&mut script)
}

/// Runs in a terminal of its own, as [`begin`]. Returns all that the terminal got.
fn in_a_terminal(fixture: &Fixture, more: &[&str], keys: &str) -> Ran {
    let running = begin(fixture, more);
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

/// Runs in a terminal that takes nothing from when it has shown `words` until there is a report; `hold` makes it so, and then
/// not so.
fn in_a_terminal_that_stops(more: &[&str], words: &str, hold: impl Fn(&Running, &mut ChildStdin, bool)) {
    let fixture = Fixture::new();
    // A frame fails meanwhile, so that there is something to say.
    let source = "synthetic:4x4?classes=4&channels=1&frames=400&faults=marked@350+1";
    let running = begin(&fixture, &[&["--source", source, "--fps", "80", "--json", "r.json"], more].concat());
    let (mut stdin, mut stdout) = (running.stdin(), running.stdout());
    let (mut shown, mut part) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&shown).contains(words) {
        let count = stdout.read(&mut part).unwrap();
        assert!(count > 0, "`{words}` is not in {}", String::from_utf8_lossy(&shown));
        shown.extend(&part[..count]);
    }
    hold(&running, &mut stdin, true);
    until("there is a report", || fixture.path().join("r.json").exists());
    assert_eq!(balanced(&fixture.json("r.json"))["captured"], 400);
    hold(&running, &mut stdin, false);
    stdout.read_to_end(&mut shown).unwrap();
    let shown = String::from_utf8_lossy(&shown);
    assert_eq!(running.end().code, Some(1), "{shown}");
    assert!(shown.contains("WARN") && shown.contains("1 of 400 frames failed in all"), "{shown}");
    drop(stdin);
}

#[test]
fn a_terminal_that_takes_nothing_costs_a_live_view_and_nothing_else() {
    let hold = |terminal: &Running, _: &mut ChildStdin, held| terminal.send(if held { SIGSTOP } else { SIGCONT });
    in_a_terminal_that_stops(&["--live"], "captured", hold);
}

#[test]
fn a_terminal_that_takes_nothing_costs_a_bar_and_nothing_else() {
    let (control_s, control_q) = (b"\x13", b"\x11");
    let hold = |_: &Running, keys: &mut ChildStdin, held| {
        keys.write_all(if held { control_s } else { control_q }).unwrap();
    };
    in_a_terminal_that_stops(&[], "missed", hold);
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
