//! `puvae run --prep ink` over a folder of photographs.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::accuracy::{ALL, SEED};
use crate::digits::{digits, in_repository};
use crate::sheet::Sheet;

/// Photographs, half of them in colour.
const SHEETS: usize = 20;
/// How many are read at least.
const LEAST: u64 = 16;

/// One sub-folder for each class that occurs.
fn take_photographs(folder: &Path) {
    let (images, labels) = digits();
    for (index, label) in labels.iter().enumerate().take(SHEETS) {
        let class = folder.join(label.to_string());
        std::fs::create_dir_all(&class).unwrap();
        let sheet = Sheet::new(Some(images.get(index)), &ALL, SEED, index as u64);
        let path = class.join(format!("{index}.png"));
        match index % 2 {
            0 => sheet.photograph().save(path).unwrap(),
            _ => sheet.photograph_in_colour().save(path).unwrap(),
        }
    }
}

fn run(folder: &Path, prep: &str) -> Value {
    let report = folder.with_file_name("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_puvae"));
    command.arg("run").arg("--source").arg(format!("dir:{}", folder.display())).args(["--prep", prep]);
    command.arg("--purifier").arg(in_repository("models/mnist-puvae-lite.onnx"));
    command.arg("--classifier").arg(in_repository("models/mnist-classifier-a.onnx"));
    command.args(["--deadline", "30s", "--provider", "cpu", "--threads", "1"]).arg("--json").arg(&report);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap()
}

#[test]
fn photographs_of_digits_are_read_with_ink_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    let photographs = folder.path().join("photographs");
    take_photographs(&photographs);
    let report = run(&photographs, "ink");
    assert_eq!(report["run"]["prep"], "ink");
    assert_eq!(report["accuracy"]["labelled"], SHEETS);
    let correct = report["accuracy"]["correct"].as_u64().unwrap();
    let plain = run(&photographs, "plain");
    assert_eq!(plain["run"]["prep"], "plain");
    let by_chance = plain["accuracy"]["correct"].as_u64().unwrap();
    println!("{SHEETS} photographs, seed {SEED}: {correct} read with ink, {by_chance} with plain");
    assert!(correct >= LEAST && by_chance < LEAST / 2, "{correct} with ink, {by_chance} with plain");
}
