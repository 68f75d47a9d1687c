//! `puvae-train reproduce` from a data set to a page, on a data set small enough for a test.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::path::Path;
use std::process::Command;

use common::squares;
use puvae::idx::{Images, write_images, write_labels};
use puvae_training::data::Split;
use puvae_training::evaluate::Results;
use tch::Kind;

fn write(folder: &Path, prefix: &str, split: &Split) {
    let batch = split.all();
    let pixels = Vec::try_from(&(batch.x * 255.0).round().to_kind(Kind::Uint8).reshape([-1])).unwrap();
    let images = Images { count: split.len(), height: 28, width: 28, pixels };
    write_images(&folder.join(format!("{prefix}-images-idx3-ubyte.gz")), &images).unwrap();
    let labels: Vec<u8> = Vec::try_from(&batch.y.to_kind(Kind::Uint8)).unwrap();
    write_labels(&folder.join(format!("{prefix}-labels-idx1-ubyte.gz")), &labels).unwrap();
}

fn reproduce(root: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let few = ["--quick", "--images", "12", "--costly-images", "4", "--adaptive-images", "0"];
    let output = Command::new(env!("CARGO_BIN_EXE_puvae-train"))
        .current_dir(root)
        .arg("reproduce")
        .args(args)
        .args(["--data", "data"])
        .args(few)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_table_is_trained_measured_and_written_down_and_a_second_call_trains_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let data = root.join("data/mnist");
    std::fs::create_dir_all(&data).unwrap();
    write(&data, "train", &squares(90, 10, 1));
    write(&data, "t10k", &squares(20, 10, 2));

    let (code, _, stderr) = reproduce(root, &["table3"]);
    assert_eq!(code, Some(0), "{stderr}");
    let runs = ["classifier-a", "classifier-b", "adversarial-a", "puvae-paper", "puvae-lite-for-b", "magnet"];
    for run in runs.into_iter().chain(["puvae-lite-stage-1", "puvae-lite", "puvae-lite-for-b-stage-1"]) {
        assert!(root.join("runs/quick/mnist-".to_owned() + run).join("checkpoint.safetensors").exists(), "{run}");
    }
    let path = root.join("quick/results/table3-b.json");
    let results = Results::read(&path).unwrap();
    let names: Vec<&str> = results.defences.keys().map(String::as_str).collect();
    let purifiers = ["puvae-lite", "puvae-lite-quantised", "puvae-paper"];
    assert_eq!(names, [&["adversarial", "binarise", "classifier-a", "magnet", "median"][..], &purifiers].concat());
    assert!(results.finished && results.rows.len() == 8 && results.rows.iter().all(|row| row.n <= 12));

    let page = std::fs::read_to_string(root.join("quick/docs/results.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with("| ifgsm-40")).unwrap();
    for number in ["(paper 92.33)", "(paper 91.72)", "(paper 72.48)"] {
        assert!(row.contains(number), "{row}");
    }
    assert!(page.contains("puvae-paper on classifier B for 1 epochs (published: 350 epochs; ce_share 0.25"), "{page}");
    assert!(page.contains("Not measured yet: `puvae-train reproduce table4`"), "{page}");
    let pictures = image::open(root.join("quick/docs/figures/table3-a.png")).unwrap();
    assert_eq!(
        pictures.width(),
        4 + 20 * 6 + 4 + 10 * 60,
        "puvae-lite-quantised, then ten columns of 2 × 28 pixels and a gap"
    );

    let (code, _, stderr) = reproduce(root, &["table3", "--target", "c"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("--target c: expected one of what is asked for (a, b)"), "{stderr}");
    let (code, stdout, stderr) = reproduce(root, &["table3", "--target", "b", "--no-training"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("table3-b") && !stdout.contains("table3-a\n"), "{stdout}");
    let (code, stdout, stderr) = reproduce(root, &["table3"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("training"), "everything is there: {stderr}");
    assert!(stdout.contains("ifgsm-40"), "{stdout}");
    assert_eq!(Results::read(&path).unwrap().seconds, results.seconds, "rows that are there are not measured again");

    std::fs::remove_file(&path).unwrap();
    let (code, _, stderr) = reproduce(root, &["page"]);
    assert_eq!(code, Some(0), "{stderr}");
    let page = std::fs::read_to_string(root.join("quick/docs/results.md")).unwrap();
    assert!(page.contains("Target B is not measured yet: `puvae-train reproduce table3 --target b`"), "{page}");
}

#[test]
fn what_is_missing_and_may_not_be_trained_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data/mnist");
    std::fs::create_dir_all(&data).unwrap();
    write(&data, "train", &squares(20, 10, 1));
    write(&data, "t10k", &squares(20, 10, 2));
    let (code, _, stderr) = reproduce(folder.path(), &["table3", "--no-training"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("neither runs/quick/mnist-classifier-a nor models/mnist-classifier-a.onnx is there"),
        "{stderr}"
    );
    assert!(stderr.contains("mnist: no classifier-a; train it by leaving out --no-training"), "{stderr}");
    let (code, _, stderr) = reproduce(folder.path(), &["table4"]);
    assert!(code == Some(1) && stderr.contains("fashion-mnist: no data set here"), "{stderr}");
}
