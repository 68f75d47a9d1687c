//! `puvae run --prep ink` over a folder of photographs.

use std::io::{BufRead as _, BufReader, Write as _};
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
    let mut command = puvae(&format!("dir:{}", folder.display()));
    command.args(["--prep", prep, "--json"]).arg(&report);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap()
}

/// The program, reading the digits of MNIST.
fn puvae(source: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_puvae"));
    command.args(["run", "--source", source]);
    command.arg("--purifier").arg(in_repository("models/mnist-puvae-lite.onnx"));
    command.arg("--classifier").arg(in_repository("models/mnist-classifier-a.onnx"));
    command.args(["--deadline", "30s", "--provider", "cpu", "--threads", "1"]);
    command
}

#[test]
fn the_same_photographs_are_read_from_standard_input() {
    let (images, labels) = digits();
    let mut command = puvae("stdin:gray:640x480");
    command.args(["--prep", "ink", "--verdicts", "-"]);
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut into = running.stdin.take().unwrap();
    let mut verdicts = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut correct = 0;
    for (index, &label) in labels.iter().enumerate().take(SHEETS) {
        into.write_all(&Sheet::new(Some(images.get(index)), &ALL, SEED, index as u64).photograph()).unwrap();
        // The next photograph is taken when this one is read: none takes the place of another.
        let verdict: Value = serde_json::from_str(&verdicts.next().unwrap().unwrap()).unwrap();
        assert_eq!((&verdict["frame"], &verdict["stamp_source"]), (&index.into(), &"dequeue".into()));
        correct += u64::from(verdict["class"] == label);
    }
    drop(into);
    assert!(running.wait().unwrap().success());
    println!("{SHEETS} photographs, seed {SEED}: {correct} read from standard input");
    assert!(correct >= LEAST, "{correct}");
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
