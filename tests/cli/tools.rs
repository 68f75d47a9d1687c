//! `inspect`, `spec`, `bench` and `calibrate`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use signal_hook::consts::SIGINT;

use crate::fixture::{Fixture, Ran};
use crate::onnx::TestModel;
use crate::running::Running;

#[test]
fn inspect_shows_the_graph_the_spec_and_that_they_agree() {
    let ran = Fixture::new().puvae(&["inspect", "p.onnx"]).expect(0, &[]);
    for words in [
        "frames f32 [N,1,4,4]",
        "noise f32 [N,4,3]",
        "label i64 [N]",
        "purifier",
        "4: Ant, Bee, Cat, Dog",
        "above 0.05 (quantile 0.95 of nothing at all)",
        "the graph is what the spec says",
    ] {
        assert!(ran.stdout.contains(words), "`{words}` is not in: {}", ran.stdout);
    }
}

#[test]
fn inspect_says_what_a_reformer_does_not_do_and_what_a_score_is() {
    let fixture = Fixture::new();
    TestModel::reformer().write(fixture.path(), "r.onnx");
    let ran = fixture.puvae(&["inspect", "r.onnx"]).expect(0, &[]);
    for words in ["score f32 [N]", "none: it gives a picture and no class", "mean of |input − purified|^1", "above 0.5"]
    {
        assert!(ran.stdout.contains(words), "`{words}` is not in: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("latent"), "{}", ran.stdout);
    let ran = fixture.puvae(&["inspect", "p.onnx"]).expect(0, &[]);
    assert!(ran.stdout.contains("none of its own: the selected candidate's distance"), "{}", ran.stdout);
}

#[test]
fn inspect_shows_what_it_can_of_a_file_without_a_spec_and_fails() {
    let fixture = Fixture::new();
    TestModel { with_spec: false, ..TestModel::classifier() }.write(fixture.path(), "bare.onnx");
    let ran = fixture.puvae(&["inspect", "bare.onnx"]).expect(1, &["bare.onnx: no model spec in the file"]);
    assert!(ran.stdout.contains("logits f32 [N,4]"), "{}", ran.stdout);
}

#[test]
fn bench_measures_every_file_at_every_batch_and_their_ratio() {
    let fixture = Fixture::new();
    TestModel::reformer().write(fixture.path(), "r.onnx");
    let args = [
        "bench",
        "p.onnx",
        "c.onnx",
        "r.onnx",
        "--batch",
        "1,3",
        "--seconds",
        "0.01",
        "--threads",
        "1",
        "--json",
        "b.json",
    ];
    let ran = fixture.puvae(&args).expect(0, &[]);
    assert!(ran.stdout.contains("1 thread, provider ") && ran.stdout.contains("images/s"), "{}", ran.stdout);
    let results = fixture.json("b.json");
    let results = results["results"].as_array().unwrap();
    assert_eq!(results.len(), 6);
    assert_eq!((&results[0]["batch"], &results[5]["batch"]), (&1.into(), &3.into()));
    assert_eq!(results[0]["ratio_to_first"], 1.0);
    assert!(results.iter().all(|result| result["iterations"].as_u64().unwrap() >= 5));
}

#[test]
fn bench_that_fails_keeps_what_it_has_measured() {
    let fixture = Fixture::new();
    // The second and third of the pictures are brighter.
    TestModel { nan_above: 2.0, ..TestModel::classifier() }.write(fixture.path(), "c.onnx");
    let bench = |batch| fixture.puvae(&["bench", "c.onnx", "--batch", batch, "--seconds", "0.01", "--json", "b.json"]);
    let failed = ["error: c.onnx: output `logits` is not finite"];
    assert_eq!(bench("3,1").expect(1, &failed).stdout, "", "nothing was measured before");
    assert!(!fixture.path().join("b.json").exists());
    assert!(bench("1,3").expect(1, &failed).stdout.contains("images/s"));
    let results = fixture.json("b.json");
    assert_eq!((results["results"].as_array().unwrap().len(), &results["results"][0]["batch"]), (1, &1.into()));
    assert!(results["failure"].as_str().unwrap().contains("is not finite"), "{results}");
}

#[test]
fn bench_refuses_what_makes_no_sense() {
    let fixture = Fixture::new();
    fixture.puvae(&["bench"]).expect(2, &["<FILE>"]);
    fixture.puvae(&["bench", "c.onnx", "--batch", "0"]).expect(2, &["--batch is 0, expected 1 to 4096"]);
    fixture.puvae(&["bench", "c.onnx", "--seconds", "0"]).expect(2, &["--seconds is 0, expected above 0"]);
    fixture.puvae(&["bench", "nowhere.onnx"]).expect(1, &["nowhere.onnx: cannot read the model"]);
}

/// `puvae spec` on `bare.onnx`, a classifier without a spec.
fn annotate(fixture: &Fixture, model: TestModel, more: &[&str]) -> crate::fixture::Ran {
    model.write(fixture.path(), "bare.onnx");
    fixture.puvae(&[&["spec", "bare.onnx", "--out", "mine.onnx"], more].concat())
}

fn bare() -> TestModel {
    TestModel { with_spec: false, ..TestModel::classifier() }
}

const NAMES: [&str; 2] = ["--classes", "Ant,Bee,Cat,Dog"];

#[test]
fn a_classifier_from_elsewhere_runs_once_it_has_a_spec_and_the_original_stays() {
    let fixture = Fixture::new();
    annotate(&fixture, bare(), &NAMES).expect(0, &["wrote mine.onnx"]);
    fixture.puvae(&["inspect", "bare.onnx"]).expect(1, &["or give a classifier of your own one with `puvae spec`"]);
    let ran = fixture.run(&["--classifier", "mine.onnx", "--json", "r.json"]).expect(0, &[]);
    assert!(ran.stdout.contains("accuracy"), "{}", ran.stdout);
    assert_eq!(fixture.json("r.json")["accuracy"]["correct"], 12);
}

#[test]
fn class_names_may_come_from_a_file() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("names.txt"), "Ant\nBee\n\nCat\nDog\n").unwrap();
    annotate(&fixture, bare(), &["--classes", "names.txt"]).expect(0, &[]);
    let ran = fixture.puvae(&["inspect", "mine.onnx"]).expect(0, &[]);
    assert!(ran.stdout.contains("4: Ant, Bee, Cat, Dog"), "{}", ran.stdout);
    std::fs::write(fixture.path().join("names.txt"), "\u{feff}Ant\r\nBee\r\nCat\r\nDog\r\n").unwrap();
    annotate(&fixture, bare(), &["--classes", "names.txt"]).expect(0, &[]);
    fixture.run(&["--classifier", "mine.onnx"]).expect(0, &[]);
    annotate(&fixture, bare(), &["--classes", "nowhere.txt"])
        .expect(1, &["--classes nowhere.txt: cannot read the file: No such file", "; give names separated by commas"]);
    std::fs::create_dir(fixture.path().join("folder")).unwrap();
    annotate(&fixture, bare(), &["--classes", "folder"])
        .expect(1, &["--classes folder: cannot read the file: Is a directory"]);
}

#[test]
fn a_spec_is_only_replaced_when_that_is_asked_for() {
    let fixture = Fixture::new();
    annotate(&fixture, TestModel::classifier(), &NAMES)
        .expect(1, &["bare.onnx: there is a model spec in it already", "or give --replace"]);
    assert!(!fixture.path().join("mine.onnx").exists());
    annotate(&fixture, TestModel::classifier(), &["--classes", "a,b,c,d", "--replace"]).expect(0, &[]);
    let ran = fixture.puvae(&["inspect", "mine.onnx"]).expect(0, &[]);
    assert!(ran.stdout.contains("4: a, b, c, d") && !ran.stdout.contains("Ant"), "{}", ran.stdout);
}

#[test]
fn a_graph_that_does_not_fit_is_refused_and_nothing_is_written() {
    let fixture = Fixture::new();
    for (names, words) in [
        ("a,b,c", "bare.onnx: the model has 4 logits, --classes has 3 names; give 4 names, in the order of the logits"),
        ("a,b,,d", "--classes a,b,,d: name 3 of 4 is empty, expected one for each logit; fill it in"),
        (
            "a,b,c,a",
            "no usable spec comes out of this model and --classes: class \"a\" stands there twice; correct what",
        ),
    ] {
        annotate(&fixture, bare(), &["--classes", names]).expect(1, &[words]);
    }
    let words = [
        "bare.onnx: expected output logits f32 [N,4], found outputs purified, label, distances; export it again with these names (in PyTorch: input_names=['frames'], output_names=['logits'])",
    ];
    annotate(&fixture, TestModel { with_spec: false, ..TestModel::purifier() }, &NAMES).expect(1, &words);
    let words = [
        "bare.onnx: expected input frames f32 [N,1,4,4], found input frames f32 [1,1,4,4]; export it again with a free batch (in PyTorch: dynamic_axes={'frames': {0: 'N'}, 'logits': {0: 'N'}})",
    ];
    let ran = annotate(&fixture, TestModel { batch: Some(1), ..bare() }, &NAMES).expect(1, &words);
    assert!(!ran.stderr.contains("puvae-train"), "the model came from elsewhere: {}", ran.stderr);
    std::fs::write(fixture.path().join("text.onnx"), "no model").unwrap();
    fixture.puvae(&[&["spec", "text.onnx", "--out", "mine.onnx"], &NAMES[..]].concat()).expect(1, &["text.onnx"]);
    fixture.puvae(&[&["spec", "c.onnx", "--out", "c.onnx"], &NAMES[..]].concat()).expect(2, &["--out"]);
    std::fs::write(fixture.path().join("names.txt"), "a\nb\nc\nd\n").unwrap();
    let over = ["spec", "c.onnx", "--replace", "--classes", "names.txt", "--out", "names.txt"];
    fixture.puvae(&over).expect(2, &["names.txt", "--classes", "--out"]);
    assert!(!fixture.path().join("mine.onnx").exists());
}

const CALIBRATE: [&str; 9] =
    ["calibrate", "--purifier", "p.onnx", "--classifier", "c.onnx", "--provider", "cpu", "--threads", "1"];

#[test]
fn calibrate_finds_a_deadline_and_says_how_sure_that_is() {
    let fixture = Fixture::new();
    let run = |more: &[&str]| fixture.puvae(&[&CALIBRATE, more].concat());
    let ran = run(&["--frames", "400", "--fps", "400", "--json", "c.json"]).expect(0, &[]);
    assert!(
        ran.stdout.contains("400 frames at 400 a second") && ran.stdout.contains("needs 2995 frames"),
        "{}",
        ran.stdout
    );
    let words = "the confidence is for frames independent of each other, under a load as it is now";
    assert!(ran.stdout.contains(words), "{}", ran.stdout);
    let figures = fixture.json("c.json");
    assert_eq!(
        (&figures["frames"], &figures["threads"], &figures["provider"]["used"]),
        (&400.into(), &1.into(), &"cpu".into())
    );
    let deadlines = figures["deadlines"].as_array().unwrap();
    assert_eq!(deadlines[0]["share"], 0.99);
    assert!(deadlines[1]["surely_held_us"].is_null(), "400 frames are too few to be sure of 99.9 %");
    run(&["--frames", "99"]).expect(2, &["--frames is 99, expected at least 100"]);
    run(&["--source", "idx:images,labels"]).expect(1, &["only 12 frames came, expected at least 100"]);
    run(&["--source", "stdin:gray:8x8"]).expect(1, &["only 0 frames came, expected at least 100"]);
    run(&["--fps", "0"]).expect(2, &["--fps is 0, expected 0.001 to 10000"]);
}

#[test]
fn calibrate_says_when_frames_cannot_come_as_fast_as_they_should() {
    let fixture = Fixture::new();
    // No machine draws 4 million pixels in a tenth of a millisecond.
    let args = ["--source", "synthetic:2000x2000?classes=4", "--fps", "10000", "--frames", "100", "--json", "c.json"];
    let ran = fixture.puvae(&[&CALIBRATE, &args[..]].concat()).expect(0, &[]);
    assert!(ran.stdout.contains("100 frames at 10000 a second (about "), "{}", ran.stdout);
    assert!(ran.stdout.contains(" came: reading one takes longer than there is time), "), "{}", ran.stdout);
    assert!(fixture.json("c.json")["fps_came"].as_f64().unwrap() < 9000.0);
}

#[test]
fn calibrate_tells_failed_frames_from_dropped_ones_and_ends_with_the_reason() {
    let fixture = Fixture::new();
    TestModel { nan_above: 0.6, ..TestModel::purifier() }.write(fixture.path(), "p.onnx");
    let args = ["--frames", "100", "--fps", "100", "--json", "c.json"];
    let ran = fixture.puvae(&[&CALIBRATE, &args[..]].concat());
    let ran = ran.expect(1, &["the purify stage failed on frame ", " of 100 frames failed in all"]);
    let figures = fixture.json("c.json");
    let failed = figures["failed"].as_u64().unwrap();
    assert!(failed > 0 && figures["dropped"].as_u64().unwrap() + failed <= 100, "{figures}");
    assert!(ran.stdout.contains(&format!("{failed} failed")), "{}", ran.stdout);
    assert!(ran.stdout.contains("none: too many frames had no verdict"), "{}", ran.stdout);
}

#[test]
fn calibrate_that_fails_keeps_what_it_has_measured() {
    let fixture = Fixture::new();
    let calibrate = |frames: usize| {
        // The last frame is cut off.
        std::fs::write(fixture.path().join("raw"), vec![0; frames * 16 + 5]).unwrap();
        let args = [&CALIBRATE[..], &["--source", "stdin:gray:4x4", "--json", "c.json"]].concat();
        let raw = std::fs::File::open(fixture.path().join("raw")).unwrap();
        Ran::from(fixture.command(&args).stdin(raw).output().unwrap())
    };
    assert_eq!(calibrate(99).expect(1, &["error: the capture stage failed after frame 98: "]).stdout, "");
    assert!(!fixture.path().join("c.json").exists());
    let ran = calibrate(400).expect(1, &["error: the capture stage failed after frame 399: "]);
    assert!(ran.stdout.contains("held by these frames"), "{}", ran.stdout);
    let figures = fixture.json("c.json");
    assert!(figures["frames"].as_u64().unwrap() >= 100, "{figures}");
    assert!(
        figures["failure"].as_str().unwrap().starts_with("the capture stage failed after frame 399: "),
        "{figures}"
    );
}

#[test]
fn calibrate_measures_the_purifier_as_slow_as_the_script_says() {
    let source = "synthetic:4x4?classes=4&faults=slow@20+60x300ms";
    let args = ["--frames", "100", "--fps", "100", "--source", source];
    let ran = Fixture::new().puvae(&[&CALIBRATE, &args[..]].concat()).expect(0, &[]);
    let slowest = ran.stdout.split("slowest response ").nth(1).and_then(|text| text.split(' ').next());
    assert!(slowest.is_some_and(|ms| ms.parse::<f64>().unwrap() >= 300.0), "{}", ran.stdout);
}

#[test]
fn calibrate_writes_its_file_even_if_nobody_reads_standard_output() {
    let fixture = Fixture::new();
    let args = ["--frames", "100", "--fps", "1000", "--json", "c.json"];
    let mut command = fixture.command(&[&CALIBRATE, &args[..]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    Ran::from(child.wait_with_output().unwrap()).expect(1, &["cannot write to standard output"]);
    assert_eq!(fixture.json("c.json")["frames"], 100);
}

#[test]
fn calibrate_that_is_interrupted_early_says_so() {
    let fixture = Fixture::new();
    let args = ["--frames", "3000", "--fps", "5", "--json", "c.json"];
    let mut command = fixture.command(&[&CALIBRATE, &args[..]].concat());
    let running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let (mut stderr, mut first) = (BufReader::new(running.stderr()), String::new());
    // The models are open: signals are caught.
    stderr.read_line(&mut first).unwrap();
    running.send(SIGINT);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(running.end().code, Some(130), "{first}{rest}");
    assert!(rest.contains("error: interrupted after ") && rest.contains("; nothing was written, run again"), "{rest}");
    assert!(!fixture.path().join("c.json").exists());
}

#[test]
fn no_tool_writes_over_the_library_that_it_uses() {
    let fixture = Fixture::new();
    fixture.run(&["--json", "r.json"]).expect(0, &[]);
    let library = fixture.json("r.json")["run"]["onnxruntime"].as_str().unwrap().to_owned();
    std::fs::copy(library, fixture.path().join("mine.so")).unwrap();
    let calibrate = [&CALIBRATE[..], &["--frames", "100", "--fps", "1000", "--json", "mine.so"]].concat();
    let spec = ["spec", "c.onnx", "--replace", "--classes", "a,b,c,d", "--out", "mine.so"];
    for args in [&calibrate[..], &spec] {
        let given = [args, &["--ort-lib", "mine.so"]].concat();
        fixture.puvae(&given).expect(2, &["mine.so", "--ort-lib"]);
        let found = fixture.command(args).env("ORT_DYLIB_PATH", fixture.path().join("mine.so")).output().unwrap();
        Ran::from(found).expect(2, &["mine.so", "ONNX Runtime's library"]);
    }
}
