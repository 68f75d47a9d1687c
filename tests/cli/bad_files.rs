//! Files that are not what they should be. Each error says what was expected, what was found, where, and
//! what to do. What is found before the first frame leaves the results of earlier runs as they are.

use std::path::PathBuf;
use std::process::Command;

use puvae::model::spec::{InputShape, PurifierSpec, Score};

use crate::fixture::{FRAMES, Fixture, INTO_OLD, balanced, write_idx, write_lit};
use crate::onnx::{ALWAYS, TestModel};

/// Puts another purifier into the fixture and runs it.
#[track_caller]
fn with_purifier(change: impl FnOnce(&mut TestModel), words: &[&str]) {
    let fixture = Fixture::new();
    let mut model = TestModel::purifier();
    change(&mut model);
    model.write(fixture.path(), "p.onnx");
    refused(&fixture, &[], words);
}

/// Runs with every kind of result, which must stay as it was.
#[track_caller]
fn refused(fixture: &Fixture, more: &[&str], words: &[&str]) {
    fixture.write_old_results();
    let ran = fixture.run(&[&INTO_OLD, more].concat()).expect(1, words);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    fixture.expect_old_results();
}

#[test]
fn a_missing_model_is_named() {
    Fixture::new()
        .run(&["--purifier", "nowhere.onnx"])
        .expect(1, &["nowhere.onnx: cannot read the model: No such file", "check the path"]);
}

#[test]
fn files_that_are_larger_than_any_of_their_kind_are_not_read() {
    let fixture = Fixture::new();
    for (name, mebibytes) in [("p.onnx", 2049), ("run.toml", 65), ("r.json", 65)] {
        // Without contents: it takes no room.
        let file = std::fs::File::create(fixture.path().join(name)).unwrap();
        file.set_len(mebibytes << 20).unwrap();
    }
    fixture.run(&[]).expect(1, &["p.onnx: cannot read the model: it is larger than 2048 MiB, the most that such"]);
    fixture
        .run(&["--config", "run.toml"])
        .expect(2, &["run.toml: cannot read the configuration: it is larger than 64"]);
    fixture.puvae(&["report", "r.json"]).expect(1, &["r.json: cannot read the report: it is larger than 64 MiB"]);
    let spec = ["spec", "c.onnx", "--replace", "--out", "mine.onnx", "--classes", "run.toml"];
    fixture.puvae(&spec).expect(1, &["--classes run.toml: cannot read the file: it is larger than 64 MiB"]);
}

#[test]
fn a_file_that_is_not_onnx_is_refused() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("p.onnx"), "this is a text, no model").unwrap();
    fixture
        .run(&[])
        .expect(1, &["p.onnx: not an ONNX model that ONNX Runtime accepts", "check that the file is whole"]);
}

#[test]
fn a_truncated_model_is_refused() {
    let fixture = Fixture::new();
    let path = fixture.path().join("c.onnx");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fixture.run(&[]).expect(1, &["c.onnx: not an ONNX model that ONNX Runtime accepts"]);
}

#[test]
fn a_model_without_a_spec_is_refused() {
    let words = ["p.onnx: no model spec in the file (metadata key `puvae.model_spec`)", "`puvae-train export`"];
    with_purifier(|model| model.with_spec = false, &words);
}

#[test]
fn swapped_models_are_refused_by_role() {
    let swapped = ["--purifier", "c.onnx", "--classifier", "p.onnx"];
    let words = ["p.onnx: expected a classifier, found a purifier", "--purifier and --classifier are not swapped"];
    Fixture::new().run(&swapped).expect(1, &words);
    let words = ["c.onnx: expected a purifier, found a classifier"];
    Fixture::new().run(&["--purifier", "c.onnx"]).expect(1, &words);
}

#[test]
fn a_purifier_of_another_shape_is_refused() {
    let words = ["c.onnx takes pictures of 1×4×4, but p.onnx gives pictures of 1×5×5", "exported for the same data"];
    let other = InputShape { channels: 1, height: 5, width: 5 };
    with_purifier(|model| (model.spec.input, model.graph.input) = (other, other), &words);
}

#[test]
fn a_purifier_of_other_classes_is_refused_with_the_first_difference() {
    let words = [
        "c.onnx and p.onnx know different classes: class 2 is `Cat` to the classifier and `Cow` to the purifier",
        "names and their order must be equal: use models exported for the same data, or, if the logits stand in that order, give `puvae spec --classes` the purifier's names",
    ];
    with_purifier(|model| model.spec.classes[2] = "Cow".into(), &words);
    let fewer = |model: &mut TestModel| {
        model.spec.classes.pop();
        model.graph.classes.pop();
    };
    with_purifier(fewer, &["the classifier has 4, the purifier 3"]);
}

#[test]
fn a_spec_that_the_graph_contradicts_is_refused() {
    let words = [
        "p.onnx: the graph does not match its spec: expected input frames f32 [N,1,4,4], found input frames f32 [N,3,4,4]",
        "export the file again",
    ];
    with_purifier(|model| model.graph.input.channels = 3, &words);
    let words = ["expected input noise f32 [N,4,3], found input noise f32 [N,4,2]"];
    with_purifier(|model| model.graph_selection().as_mut().unwrap().latent = 2, &words);
}

#[test]
fn a_purifier_that_says_it_selects_a_class_must_take_noise_and_give_label_and_distances() {
    let words =
        ["p.onnx: the graph does not match its spec: expected output label i64 [N], found outputs purified, distances"];
    with_purifier(|model| model.without = Some("label"), &words);
    let words = ["expected output distances f32 [N,4], found outputs purified, label", "export the file again"];
    with_purifier(|model| model.without = Some("distances"), &words);
    with_purifier(|model| *model.graph_selection() = None, &["expected input noise f32 [N,4,3], found inputs frames"]);
}

#[test]
fn a_purifier_that_says_it_selects_no_class_takes_no_noise() {
    let words = ["p.onnx: the graph does not match its spec: expected inputs frames, found inputs frames, noise"];
    let reformer = PurifierSpec { selection: None, score: None, suspect_above: None };
    with_purifier(|model| model.spec.purifier = Some(reformer), &words);
}

#[test]
fn a_score_that_is_missing_or_of_another_shape_is_refused() {
    let words = ["p.onnx: the graph does not match its spec: expected output score f32 [N], found outputs purified"];
    with_purifier(|model| *model = TestModel { without: Some("score"), ..TestModel::reformer() }, &words);
    let words = ["expected output score f32 [N], found output score f32 [N,1]"];
    with_purifier(|model| *model = TestModel { score_sides: &[1], ..TestModel::reformer() }, &words);
}

#[test]
fn a_score_that_the_spec_does_not_name_is_refused() {
    let words = [
        "p.onnx: the graph does not match its spec: expected outputs purified, label, distances, as the spec says",
        "found also an output score f32 [N]; name it in the spec or take it out of the graph",
    ];
    with_purifier(|model| model.graph.purifier.as_mut().unwrap().score = Some(Score::RmseToInput), &words);
}

#[test]
fn a_spec_of_another_version_is_refused() {
    with_purifier(|model| model.spec.version = 9, &["p.onnx: the model spec has version 9, expected 1"]);
}

#[test]
fn outputs_that_are_not_finite_end_the_run() {
    with_purifier(
        |model| model.nan_above = ALWAYS,
        &["purify stage failed", "p.onnx: output `purified` is not finite for picture 0"],
    );
    with_purifier(
        |model| *model = TestModel { score_nan_above: ALWAYS, ..TestModel::reformer() },
        &["purify stage failed", "p.onnx: output `score` is not finite for picture 0"],
    );
    let fixture = Fixture::new();
    TestModel { nan_above: ALWAYS, ..TestModel::classifier() }.write(fixture.path(), "c.onnx");
    refused(&fixture, &[], &["classify stage failed", "c.onnx: output `logits` is not finite"]);
}

#[test]
fn outputs_that_stop_being_finite_end_the_run_at_that_frame_and_keep_what_came_before() {
    let fixture = Fixture::new();
    write_lit(fixture.path(), FRAMES, |frame| if frame == 5 { 255 } else { 128 });
    TestModel { nan_above: 0.8, ..TestModel::purifier() }.write(fixture.path(), "p.onnx");
    let words = ["the purify stage failed on frame 5", "p.onnx: output `purified` is not finite"];
    fixture.write_old_results();
    fixture.run(&INTO_OLD).expect(1, &words);
    let report = fixture.json("r.json");
    let ledger = balanced(&report);
    assert_eq!(ledger["failed"], 1);
    assert!(report["run"]["failure"].as_str().unwrap().contains("frame 5"));
    assert_eq!(report["run"]["aborted"], false);
    let lines = fixture.lines("v.jsonl");
    assert_eq!(ledger["captured"], lines.len());
    let of = |frame: u64| lines.iter().find(|line| line["frame"] == frame).unwrap();
    assert!((0..5).all(|frame| of(frame)["fate"].is_string()));
    assert_eq!((&of(0)["class_name"], &of(0)["stage"]), (&"Ant".into(), &serde_json::Value::Null));
    assert_eq!((&of(5)["fate"], &of(5)["stage"]), (&"failed".into(), &"purify".into()));
}

#[test]
fn without_onnx_runtime_the_message_says_how_to_get_it() {
    let words = ["/nowhere/ort.so: no ONNX Runtime library here, though --ort-lib names it", "`cargo xtask setup`"];
    Fixture::new().run(&["--ort-lib", "/nowhere/ort.so"]).expect(1, &words);
    let fixture = Fixture::new();
    let mut command = fixture.command(&crate::fixture::run_args(&[]));
    let ran = crate::fixture::Ran::from(command.env("ORT_DYLIB_PATH", "/nowhere/ort.so").output().unwrap());
    ran.expect(1, &["though ORT_DYLIB_PATH names it"]);
}

#[test]
fn an_onnx_runtime_that_is_too_old_is_refused_with_both_versions() {
    let fixture = Fixture::new();
    let library = old_library(&fixture);
    let words = ["ONNX Runtime 1.10.0 is too old, expected 1.17 or newer", "`cargo xtask setup`"];
    fixture.run(&["--ort-lib", library.to_str().unwrap()]).expect(1, &words);
}

/// A library that says it is version 1.10.0, and can do nothing else.
fn old_library(fixture: &Fixture) -> PathBuf {
    let source = fixture.path().join("old.c");
    let library = fixture.path().join("libonnxruntime.so");
    let code = "static const void *api(unsigned version) { return 0; }\n\
                static const char *version(void) { return \"1.10.0\"; }\n\
                static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };\n\
                const void *OrtGetApiBase(void) { return &base; }\n";
    std::fs::write(&source, code).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
    assert!(built.success(), "the C compiler that building this project needs anyway");
    library
}

#[test]
fn bad_frames_are_refused_before_the_first_one() {
    let fixture = Fixture::new();
    let images = fixture.path().join("images");
    let bytes = std::fs::read(&images).unwrap();
    std::fs::write(&images, &bytes[..bytes.len() - 1]).unwrap();
    refused(&fixture, &[], &["images: truncated: the header promises 192 bytes of data, the file holds 191"]);
    refused(&fixture, &["--source", "idx:labels"], &["labels: not an IDX file of images"]);
    refused(&fixture, &["--source", "idx:nowhere"], &["nowhere: cannot read"]);
}

#[test]
fn other_labels_than_images_are_refused_with_both_counts() {
    let fixture = Fixture::new();
    let other = tempfile::tempdir().unwrap();
    write_idx(other.path(), FRAMES - 1);
    std::fs::copy(other.path().join("labels"), fixture.path().join("labels")).unwrap();
    refused(&fixture, &[], &["images holds 12 images", "labels holds 11 labels", "expected as many labels as images"]);
}

#[test]
fn an_empty_folder_is_no_source() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path().join("empty")).unwrap();
    refused(&fixture, &["--source", "dir:empty"], &["empty: no pictures in it, expected at least one"]);
}

#[test]
fn a_folder_with_a_file_that_is_no_picture_is_refused_with_the_types_that_the_help_names() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path().join("pictures")).unwrap();
    std::fs::write(fixture.path().join("pictures/notes.txt"), "notes").unwrap();
    let types = "png, jpg, jpeg, bmp, pgm, ppm, pnm, pbm";
    let words = format!("notes.txt: not a picture of a known type, expected one of {types}");
    refused(&fixture, &["--source", "dir:pictures"], &[&words]);
    let help = fixture.puvae(&["run", "--help"]).expect(0, &[]).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains(&format!("dir:FOLDER ({types}; other files are refused)")), "{help}");
    assert!(help.contains("its labels mean nothing to the shipped models"), "{help}");
}

#[test]
fn a_broken_picture_in_the_middle_has_failed_and_the_others_are_played() {
    let fixture = Fixture::new();
    let folder = fixture.path().join("pictures");
    std::fs::create_dir(&folder).unwrap();
    let path = |index: usize| folder.join(format!("{index}.png"));
    // Noise, so that half the file is not the whole picture.
    let picture = image::GrayImage::from_fn(64, 64, |x, y| image::Luma([(x * x * 31 + y * y * 17 + x * y * 7) as u8]));
    (0..4).for_each(|index| picture.save(path(index)).unwrap());
    let bytes = std::fs::read(path(2)).unwrap();
    std::fs::write(path(2), &bytes[..bytes.len() / 2]).unwrap();
    let words = [
        "the capture stage failed on frame 2: pictures/2.png: broken picture: ",
        "replace it or remove it from the folder; 1 of 4 frames failed in all",
    ];
    fixture.run(&[&INTO_OLD[..], &["--source", "dir:pictures"]].concat()).expect(1, &words);
    let report = fixture.json("r.json");
    let ledger = balanced(&report);
    assert_eq!(
        (&ledger["captured"], &ledger["failed"], &report["capture"]["broken"]),
        (&4.into(), &1.into(), &1.into())
    );
    let lines = fixture.lines("v.jsonl");
    assert!(lines.iter().map(|line| line["fate"] == "failed").eq([false, false, true, false]));
    let files = lines.iter().map(|line| line["file"].as_str().unwrap());
    assert!(files.eq(["0.png", "1.png", "2.png", "3.png"]), "the failed one too");
}

#[test]
fn weights_in_another_file_are_refused() {
    let fixture = Fixture::new();
    TestModel { weights_in: Some("c.weights"), ..TestModel::classifier() }.write(fixture.path(), "c.onnx");
    let words = ["c.onnx: its weights are in another file, `c.weights`, expected all in one", "external_data=False"];
    refused(&fixture, &[], &words);
    fixture.puvae(&["inspect", "c.onnx"]).expect(1, &words);
}

#[test]
fn a_model_with_another_hash_than_the_pinned_one_is_refused_before_anything_runs() {
    let fixture = Fixture::new();
    let right = sha256(&fixture, "c.onnx");
    let wrong = sha256(&fixture, "p.onnx");
    let words = [&format!("c.onnx: SHA-256 is {right}, expected {wrong}; put the model that was meant there")];
    refused(&fixture, &["--classifier-sha256", &wrong], &words.map(String::as_str));
    let words = [&format!("p.onnx: SHA-256 is {wrong}, expected {right}; put the model that was meant there")];
    refused(&fixture, &["--purifier-sha256", &right], &words.map(String::as_str));
    // Of a file that is not the one that was meant, nothing more is said.
    std::fs::write(fixture.path().join("p.onnx"), "this is a text, no model").unwrap();
    refused(&fixture, &["--purifier-sha256", &wrong], &["p.onnx: SHA-256 is", "if this one is, give its hash"]);
}

#[test]
fn pinned_models_run_and_the_hash_is_the_one_that_inspect_shows_in_either_case() {
    let fixture = Fixture::new();
    let (purifier, classifier) = (sha256(&fixture, "p.onnx"), sha256(&fixture, "c.onnx").to_uppercase());
    std::fs::write(fixture.path().join("run.toml"), format!("purifier-sha256 = \"{purifier}\"\n")).unwrap();
    let args = ["--config", "run.toml", "--classifier-sha256", &classifier, "--json", "r.json"];
    fixture.run(&args).expect(0, &[]);
    assert_eq!(fixture.json("r.json")["models"]["purifier"]["sha256"], purifier);
}

#[test]
fn a_flag_that_leaves_the_pinned_model_for_another_says_that_it_is_not_checked() {
    let fixture = Fixture::new();
    let hash = sha256(&fixture, "c.onnx");
    let pinned = format!("purifier = \"other.onnx\"\npurifier-sha256 = \"{hash}\"\n");
    std::fs::write(fixture.path().join("run.toml"), pinned).unwrap();
    let words = "--purifier names another file than the one that the configuration pins, so its SHA-256 is not checked; give --purifier-sha256 as well";
    fixture.run(&["--config", "run.toml"]).expect(0, &[words]);
    let own = sha256(&fixture, "p.onnx");
    let checked = fixture.run(&["--config", "run.toml", "--purifier-sha256", &own]).expect(0, &[]);
    assert!(!checked.stderr.contains("not checked"), "{}", checked.stderr);
}

/// As `puvae inspect` prints it.
fn sha256(fixture: &Fixture, model: &str) -> String {
    let ran = fixture.puvae(&["inspect", model]).expect(0, &[]);
    ran.stdout.lines().find_map(|line| line.strip_prefix("sha256 ")).unwrap().trim().to_owned()
}
