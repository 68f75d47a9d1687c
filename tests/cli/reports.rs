//! What a run leaves behind, and what happens when it cannot.

use crate::fixture::{FRAMES, Fixture};

#[test]
fn a_report_that_cannot_be_written_is_noticed_before_the_run() {
    let fixture = Fixture::new();
    let words = ["nowhere/r.json: cannot write here: No such file", "give another path for --json"];
    let ran = fixture.run(&["--json", "nowhere/r.json", "--verdicts", "v.jsonl"]).expect(1, &words);
    assert!(ran.stdout.is_empty() && !fixture.path().join("v.jsonl").exists(), "nothing was run");
    fixture.run(&["--html", "."]).expect(1, &["Is a directory", "--html"]);
    fixture.run(&["--verdicts", "nowhere/v.jsonl"]).expect(1, &["nowhere/v.jsonl: cannot write here", "--verdicts"]);
}

#[test]
fn a_disk_that_is_full_at_the_end_loses_no_report() {
    let fixture = Fixture::new();
    let mut command = fixture.command(&crate::fixture::run_args(&["--json", "/dev/full"]));
    let ran = crate::fixture::Ran::from(command.env("TMPDIR", fixture.path()).output().unwrap());
    let ran =
        ran.expect(1, &["/dev/full: cannot write here: No space left on device", "the whole report as JSON is in "]);
    assert!(ran.stdout.contains("12 of 12 frames on time"), "the table is printed all the same");
    let saved =
        std::fs::read_dir(fixture.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let saved = saved.into_iter().find(|name| name.starts_with("puvae-report-")).unwrap();
    assert_eq!(fixture.json(&saved)["ledger"]["captured"], FRAMES);
}

#[test]
fn verdicts_that_cannot_be_written_to_the_end_fail_the_run_with_its_report() {
    let fixture = Fixture::new();
    fixture.run(&["--verdicts", "/dev/full", "--json", "r.json"]).expect(1, &["No space left on device"]);
    let report = fixture.json("r.json");
    assert!(report["run"]["failure"].as_str().unwrap().contains("No space left on device"));
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
