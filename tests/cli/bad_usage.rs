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
    refused(&["--deadline", "0ms"], &["--deadline is 0ms, expected a time from 1us to 1h"]);
    refused(&["--deadline", "soon"], &["--deadline is soon, expected a time from 1us to 1h"]);
    refused(&["--deadline", "1ns"], &["--deadline is 1ns, expected a time from 1us"]);
    refused(&["--fps", "1e-9"], &["--fps is 0.000000001, expected 0.001 to 10000"]);
    refused(&["--fps", "0"], &["--fps is 0, expected 0.001 to 10000"]);
    refused(&["--fps", "-30"], &["--fps is -30, expected 0.001 to 10000"]);
    refused(&["--fps", "NaN"], &["--fps is NaN, expected 0.001 to 10000"]);
    refused(&["--fps", "1e9"], &["--fps is 1000000000, expected 0.001 to 10000"]);
    refused(&["--frames", "0"], &["--frames is 0, expected at least 1"]);
    refused(&["--threads", "0"], &["--threads is 0, expected 1 to 256"]);
    refused(&["--threads", "10000"], &["--threads is 10000, expected 1 to 256"]);
    refused(&["--prep", "paper"], &["unknown preprocessing `paper`, expected plain", "or ink (dark writing on paper)"]);
}

#[test]
fn a_rate_that_the_source_cannot_have_is_refused() {
    refused(&["--source", "stdin:gray:2x2", "--fps", "30"], &["--fps was given, but frames on standard input come"]);
    refused(&["--source", "camera:0?fps=25", "--fps", "30"], &["`--fps 30` and `fps=25` do not agree"]);
    refused(&["--source", "camera:0", "--fps", "2000"], &["2000 frames a second, expected 0.001 to 1000 of a camera"]);
}

#[test]
fn one_file_for_two_purposes_is_refused() {
    refused(&["--html", "./r.json"], &["is given as --json and as --html", "give two different files"]);
    refused(&["--verdicts", "c.onnx"], &["c.onnx is given as --classifier and as --verdicts"]);
}

#[test]
fn no_input_is_overwritten() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("run.toml"), "seed = 1\n").unwrap();
    std::fs::write(fixture.path().join("ort.so"), "").unwrap();
    std::fs::create_dir(fixture.path().join("pictures")).unwrap();
    std::fs::hard_link(fixture.path().join("images"), fixture.path().join("linked")).unwrap();
    for (args, words) in [
        (["--json", "p.onnx"].as_slice(), "p.onnx is given as --purifier and as --json"),
        (&["--html", "images"], "images is given as --source and as --html"),
        (&["--verdicts", "labels"], "labels is given as --source and as --verdicts"),
        (&["--verdicts", "linked"], "linked is given as --source and as --verdicts"),
        (&["--config", "run.toml", "--json", "run.toml"], "run.toml is given as --config and as --json"),
        (&["--ort-lib", "ort.so", "--json", "ort.so"], "ort.so is given as --ort-lib and as --json"),
        (
            &["--source", "dir:pictures", "--json", "pictures/r.json"],
            "pictures/r.json is given as --json and lies in pictures, the folder of --source",
        ),
    ] {
        let before = contents(&fixture);
        fixture.run(args).expect(2, &[words]);
        assert!(before == contents(&fixture), "{args:?} changed a file");
    }
}

#[test]
fn no_other_command_overwrites_its_input_either() {
    let fixture = Fixture::new();
    fixture.run(&["--json", "r.json"]).expect(0, &[]);
    let before = contents(&fixture);
    let words = ["c.onnx is given as a model and as --json", "give two different files"];
    fixture.puvae(&["bench", "p.onnx", "c.onnx", "--json", "c.onnx"]).expect(2, &words);
    fixture
        .puvae(&["report", "r.json", "-o", "./r.json"])
        .expect(2, &["r.json is given as the report and as --output"]);
    assert!(before == contents(&fixture));
}

/// Every file of the folder with its bytes.
fn contents(fixture: &Fixture) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let paths = std::fs::read_dir(fixture.path()).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn an_unknown_source_names_the_forms() {
    refused(&["--source", "film:x"], &["--source: `film:x` names no source, expected camera:N"]);
}

#[test]
fn unknown_keys_of_a_configuration_file_are_named_with_their_lines_and_the_nearest_known_ones() {
    refused_file(
        "deadline = \"20s\"\ndead-line = 3\ncolour = 1\nort_lib = \"x\"\n",
        &[
            "run.toml: unknown key `dead-line` in line 2, did you mean `deadline`?\n",
            "run.toml: unknown key `colour` in line 3\n",
            "run.toml: unknown key `ort_lib` in line 4, did you mean `ort-lib`?\n",
            "correct the file; its keys are the flags of `puvae run` without their dashes: classifier, classifier-sha256, ",
        ],
    );
}

#[test]
fn a_configuration_file_that_is_none_is_refused_by_line_with_what_would_do() {
    let none = "run.toml: not a valid configuration";
    refused_file("seed = 1\ndeadline: 20s\n", &[none, "line 2", "for example deadline = \"33ms\""]);
    refused_file("seed = 1\nfps = \"30\"\n", &[none, "line 2, column 7", "a line that would do: fps = 30.0"]);
    let words = [none, "unknown value `cudo`, expected one of `auto`, `cpu`, `cuda`; did you mean `cuda`?"];
    refused_file("provider = \"cudo\"\n", &words);
    Fixture::new().run(&["--config", "nowhere.toml"]).expect(2, &["nowhere.toml: cannot read the configuration"]);
}

#[test]
fn a_hash_that_is_none_or_has_no_model_is_refused() {
    let words = "--purifier-sha256 is 12ab, expected 64 hex digits, as `puvae inspect` prints them";
    refused(&["--purifier-sha256", "12ab"], &[words]);
    let hash = "0".repeat(64);
    let words = "--purifier-sha256 is given, but --purifier is none; name the purifier's file, or leave the hash out";
    refused(&["--purifier", "none", "--purifier-sha256", &hash], &[words]);
    refused_file("classifier-sha256 = \"x\"\n", &["--classifier-sha256 is x, expected 64 hex digits"]);
}

#[track_caller]
fn refused_file(text: &str, words: &[&str]) {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("run.toml"), text).unwrap();
    fixture.run(&["--config", "run.toml", "--json", "r.json"]).expect(2, words);
    assert!(!fixture.path().join("r.json").exists());
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
