//! Command lines and configurations that make no sense: exit code 2, and nothing is written.

use crate::fixture::Fixture;

#[track_caller]
fn refused(more: &[&str], words: &[&str]) {
    let fixture = Fixture::new();
    let ran = fixture.run(&[more, &["--json", "r.json"]].concat()).expect(2, words);
    assert!(ran.stdout.is_empty());
    assert!(!fixture.path().join("r.json").exists());
}

#[test]
fn an_absurd_setting_is_refused_with_what_may_be_given() {
    refused(&["--deadline", "0ms"], &["--deadline is 0ms, expected a time above 0"]);
    refused(&["--deadline", "soon"], &["--deadline is soon, expected a time above 0"]);
    refused(&["--fps", "0"], &["--fps is 0, expected above 0 and at most 10000"]);
    refused(&["--fps", "-30"], &["--fps is -30, expected above 0"]);
    refused(&["--fps", "NaN"], &["--fps is NaN, expected above 0"]);
    refused(&["--fps", "1e9"], &["--fps is 1000000000, expected above 0"]);
    refused(&["--frames", "0"], &["--frames is 0, expected at least 1"]);
    refused(&["--threads", "0"], &["--threads is 0, expected 1 to 256"]);
    refused(&["--threads", "10000"], &["--threads is 10000, expected 1 to 256"]);
}

#[test]
fn one_file_for_two_purposes_is_refused() {
    refused(&["--html", "./r.json"], &["is given as --json and as --html", "give two different files"]);
    refused(&["--verdicts", "c.onnx"], &["c.onnx is given as --classifier and as --verdicts"]);
}

#[test]
fn an_unknown_source_names_the_forms() {
    refused(&["--source", "film:x"], &["--source: `film:x` names no source, expected dir:FOLDER"]);
}

#[test]
fn a_configuration_file_that_is_none_is_refused_by_line() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("run.toml"), "deadline = \"20s\"\ndead-line = 3\n").unwrap();
    let words = ["run.toml: not a valid configuration", "line 2", "unknown field `dead-line`"];
    fixture.run(&["--config", "run.toml"]).expect(2, &words);
    fixture.run(&["--config", "nowhere.toml"]).expect(2, &["nowhere.toml: cannot read the configuration"]);
}

#[test]
fn what_is_missing_is_named() {
    let fixture = Fixture::new();
    fixture.puvae(&["run"]).expect(2, &["--source URI is missing"]);
    fixture
        .puvae(&["run", "--source", "idx:images", "--classifier", "c.onnx"])
        .expect(2, &["--purifier FILE (or --purifier none) is missing"]);
    fixture.puvae(&["run", "--provider", "tpu"]).expect(2, &["unknown provider `tpu`, expected auto, cpu or cuda"]);
    fixture.puvae(&["fly"]).expect(2, &[]);
}
