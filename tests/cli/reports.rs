//! What a run leaves behind, and what happens when it cannot.

use std::process::Stdio;

use crate::fixture::{FRAMES, Fixture, Ran, balanced, run_args};
use crate::limit::until;
use crate::running::Running;

#[test]
fn a_report_that_cannot_be_written_is_noticed_before_the_run() {
    let fixture = Fixture::new();
    let words = ["nowhere/r.json: cannot write here: No such file", "give another path for --json"];
    let ran = fixture.run(&["--json", "nowhere/r.json", "--verdicts", "v.jsonl"]).expect(1, &words);
    assert!(ran.stdout.is_empty() && !fixture.path().join("v.jsonl").exists(), "nothing was run");
    fixture.run(&["--html", "."]).expect(1, &["is a directory", "--html"]);
    fixture.run(&["--verdicts", "nowhere/v.jsonl"]).expect(1, &["nowhere/v.jsonl: cannot write here", "--verdicts"]);
}

#[test]
fn a_disk_that_is_full_at_the_end_loses_no_report() {
    let fixture = Fixture::new();
    let mut command = fixture.command(&run_args(&["--json", "/dev/full"]));
    let ran = Ran::from(command.env("TMPDIR", fixture.path()).output().unwrap());
    let ran =
        ran.expect(1, &["/dev/full: cannot write here: No space left on device", "the whole report as JSON is in "]);
    assert!(ran.stdout.contains("12 of 12 frames on time"), "the table is printed all the same");
    let saved =
        std::fs::read_dir(fixture.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let saved = saved.into_iter().find(|name| name.starts_with("puvae-report-")).unwrap();
    assert_eq!(fixture.json(&saved)["ledger"]["captured"], FRAMES);
}

#[test]
fn a_closed_standard_output_or_error_loses_no_report() {
    for (closed, more) in
        [("stdout", ["--html", "r.html"]), ("stderr", ["--verdicts", "-"]), ("both", ["--html", "r.html"])]
    {
        let fixture = Fixture::new();
        let args = run_args(&[&["--json", "r.json"], &more[..]].concat());
        let mut child = fixture.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if closed != "stderr" {
            drop(child.stdout.take());
        }
        if closed != "stdout" {
            drop(child.stderr.take());
        }
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(i32::from(closed != "stderr")), "{closed}: {}", ran.stderr);
        assert!(closed != "stdout" || ran.stderr.contains("cannot write to standard output"), "{}", ran.stderr);
        assert_eq!(balanced(&fixture.json("r.json"))["captured"], FRAMES, "{closed}");
    }
}

#[test]
fn a_line_of_verdicts_is_in_the_file_as_soon_as_it_is_decided() {
    let fixture = Fixture::new();
    let args =
        ["--fps", "1", "--frames", "3600", "--source", "synthetic:4x4?classes=4&channels=1", "--verdicts", "v.jsonl"];
    let running = Running::start(fixture.command(&run_args(&args)).stderr(Stdio::null()).stdout(Stdio::null()));
    let path = fixture.path().join("v.jsonl");
    until("a line is there", || {
        assert!(!running.has_ended(), "the run goes on for an hour");
        std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))
    });
    drop(running);
    assert_eq!(fixture.lines("v.jsonl")[0]["frame"], 0);
}

#[test]
fn a_later_report_with_more_in_it_is_read() {
    let fixture = Fixture::new();
    fixture.run(&["--json", "r.json"]).expect(0, &[]);
    let mut report = fixture.json("r.json");
    for part in ["ledger", "run", "provider"] {
        report[part]["from_the_future"] = 1.into();
    }
    std::fs::write(fixture.path().join("r.json"), report.to_string()).unwrap();
    fixture.puvae(&["report", "r.json"]).expect(0, &["wrote r.html"]);
}

#[test]
fn verdicts_that_cannot_be_written_to_the_end_fail_the_run_with_its_report() {
    let fixture = Fixture::new();
    let words =
        "/dev/full: No space left on device (os error 28); make room there, or give another path for --verdicts";
    fixture.run(&["--verdicts", "/dev/full", "--json", "r.json"]).expect(1, &["the outcome of frame 0", words]);
    let report = fixture.json("r.json");
    assert!(report["run"]["failure"].as_str().unwrap().contains(words));
    assert_eq!(report["run"]["aborted"], true);
}

#[test]
fn a_source_that_was_slower_than_its_rate_is_named() {
    let fixture = Fixture::new();
    fixture.run(&["--json", "r.json"]).expect(0, &[]);
    let mut report = fixture.json("r.json");
    report["run"]["fps"] = 40.0.into();
    for (lag_us, named) in [(1_000, false), (90_000, true)] {
        report["latency_us"]["capture"]["p50"] = lag_us.into();
        std::fs::write(fixture.path().join("r.json"), report.to_string()).unwrap();
        fixture.puvae(&["report", "r.json"]).expect(0, &[]);
        let page = std::fs::read_to_string(fixture.path().join("r.html")).unwrap();
        // 12 frames: 0.3 s at 40 a second, and the last 0.18 s behind.
        assert_eq!(page.contains("about 25 frames a second came, 40 were asked for"), named, "{lag_us} µs");
    }
}

#[test]
fn verdicts_that_nobody_reads_fail_the_run_and_say_so() {
    let fixture = Fixture::new();
    let mut command = fixture.command(&run_args(&["--verdicts", "-"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let words =
        "standard output: Broken pipe (os error 32); keep whoever reads it running, or give a file for --verdicts";
    Ran::from(child.wait_with_output().unwrap()).expect(1, &[words]);
}

#[test]
fn a_report_replaces_the_old_one_in_one_step() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("r.json"), "old").unwrap();
    fixture.run(&["--json", "r.json"]).expect(0, &[]);
    assert_eq!(fixture.json("r.json")["schema"], 1);
    let partial = std::fs::read_dir(fixture.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("partial"));
    assert_eq!(partial.count(), 0);
}

#[test]
fn the_page_is_one_file_and_the_same_whether_made_now_or_later() {
    let fixture = Fixture::new();
    fixture.run(&["--json", "r.json", "--html", "now.html"]).expect(0, &[]);
    fixture.puvae(&["report", "r.json", "-o", "later.html"]).expect(0, &["wrote later.html"]);
    let page = std::fs::read_to_string(fixture.path().join("now.html")).unwrap();
    assert_eq!(page, std::fs::read_to_string(fixture.path().join("later.html")).unwrap());
    assert!(
        page.contains("12 of 12 frames on time") && page.contains("<svg") && page.contains("data:image/png;base64,")
    );
    for outside in ["<script", "<link", "src=\"http", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    fixture.puvae(&["report", "r.json"]).expect(0, &["wrote r.html"]);
}

#[test]
fn what_is_no_report_is_refused() {
    let fixture = Fixture::new();
    fixture.puvae(&["report", "images"]).expect(1, &["images"]);
    std::fs::write(fixture.path().join("x.json"), "{}").unwrap();
    fixture
        .puvae(&["report", "x.json"])
        .expect(1, &["x.json: not a report of schema 1: missing field", "puvae run --json"]);
}
