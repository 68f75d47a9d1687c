//! `puvae-train reproduce` from a data set to a page, on a data set small enough for a test.

use std::path::Path;
use std::process::Command;

use puvae_training::evaluate::Results;

use crate::common::{squares, write_idx};

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
    write_idx(&data, "train", &squares(90, 10, 1));
    write_idx(&data, "t10k", &squares(20, 10, 2));

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
    assert_eq!(
        names,
        [&["adversarial", "binarise", "class-mean", "classifier-a", "magnet", "median"][..], &purifiers].concat()
    );
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

    let refused = Command::new(env!("CARGO_BIN_EXE_puvae-train"))
        .current_dir(root)
        .args(["reproduce", "table3", "--data", "data", "--costly-images", "0"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("--costly-images is 0, expected at least 1") && !root.join("results").exists(), "{stderr}");

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

    let picture = root.join("quick/docs/figures/table3-a.png");
    let before = std::fs::read(&picture).unwrap();
    std::fs::rename(root.join("runs/quick/mnist-puvae-paper"), root.join("elsewhere")).unwrap();
    let (code, _, stderr) = reproduce(root, &["table3", "--target", "a", "--no-training"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("keeps what it has of puvae-paper"), "{stderr}");
    assert!(
        stderr.contains("table3-a.png: stays, for the table has columns of networks that are not there"),
        "{stderr}"
    );
    assert_eq!(std::fs::read(&picture).unwrap(), before);

    let page = || {
        let (code, _, stderr) = reproduce(root, &["page"]);
        assert_eq!(code, Some(0), "{stderr}");
        std::fs::read_to_string(root.join("quick/docs/results.md")).unwrap()
    };
    std::fs::copy(&path, path.with_file_name("table3-b-thorough.json")).unwrap();
    std::fs::copy(&path, path.with_file_name("table3-b-thorough.before.json")).unwrap();
    assert!(
        page().contains("Beside <code>table3-b</code>, and measured apart: <b>thorough</b>."),
        "what was measured beside the table"
    );
    assert!(!page().contains("before</b>"), "what was set aside is not of the table");

    std::fs::remove_file(&path).unwrap();
    let page = page();
    assert!(page.contains("Target B is not measured yet: `puvae-train reproduce table3 --target b`"), "{page}");
}

#[test]
fn the_page_in_the_repository_is_what_the_results_in_it_make() {
    let (folder, repository) = (tempfile::tempdir().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    for part in ["results", "results/logs", "docs/figures"] {
        std::fs::create_dir_all(folder.path().join(part)).unwrap();
        let entries = std::fs::read_dir(repository.join(part)).unwrap().map(|entry| entry.unwrap().path());
        for path in entries.filter(|path| path.is_file()) {
            std::fs::copy(&path, folder.path().join(part).join(path.file_name().unwrap())).unwrap();
        }
    }
    let output = Command::new(env!("CARGO_BIN_EXE_puvae-train"))
        .current_dir(folder.path())
        .args(["reproduce", "page", "--data", "none"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |root: &Path| std::fs::read_to_string(root.join("docs/results.md")).unwrap();
    assert!(
        read(folder.path()) == read(repository),
        "docs/results.md is of other results or another version: run `puvae-train reproduce page`"
    );
    for entry in std::fs::read_dir(folder.path().join("docs/figures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "svg") {
            let there = repository.join("docs/figures").join(path.file_name().unwrap());
            let same = std::fs::read(&path).unwrap() == std::fs::read(&there).unwrap_or_default();
            assert!(same, "{}: of other results; run `puvae-train reproduce page`", there.display());
        }
    }
}

#[test]
fn what_is_missing_and_may_not_be_trained_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data/mnist");
    std::fs::create_dir_all(&data).unwrap();
    write_idx(&data, "train", &squares(20, 10, 1));
    write_idx(&data, "t10k", &squares(20, 10, 2));
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
