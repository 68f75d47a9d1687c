//! A temporary folder with models and frames, and the program run in it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::onnx::{SHAPE, TestModel};

/// Frames in the fixture's IDX files.
pub(crate) const FRAMES: usize = 12;

const OLD: [&str; 3] = ["r.json", "r.html", "v.jsonl"];
/// Writes every kind of result.
pub(crate) const INTO_OLD: [&str; 6] = ["--json", "r.json", "--html", "r.html", "--verdicts", "v.jsonl"];

/// The folder: `p.onnx`, `c.onnx`, `images` and `labels`.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        TestModel::purifier().write(folder.path(), "p.onnx");
        TestModel::classifier().write(folder.path(), "c.onnx");
        write_idx(folder.path(), FRAMES);
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program with these arguments, to be run in the folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_puvae"));
        command.args(args).current_dir(self.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    pub(crate) fn puvae(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// `puvae run` over the fixture's frames and models, with a deadline that any machine meets.
    pub(crate) fn run(&self, more: &[&str]) -> Ran {
        self.puvae(&run_args(more))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path().join(name)).unwrap()).unwrap()
    }

    /// Results of an earlier run, under the names that [`INTO_OLD`] writes to.
    pub(crate) fn write_old_results(&self) {
        OLD.iter().for_each(|name| std::fs::write(self.path().join(name), "old").unwrap());
    }

    #[track_caller]
    pub(crate) fn expect_old_results(&self) {
        for name in OLD {
            assert_eq!(std::fs::read_to_string(self.path().join(name)).unwrap(), "old", "{name}");
        }
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        parse_lines(&std::fs::read_to_string(self.path().join(name)).unwrap())
    }
}

/// Arguments of a run over the fixture; what comes in `more` wins.
pub(crate) fn run_args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["run"];
    for (flag, value) in [
        ("--source", "idx:images,labels"),
        ("--purifier", "p.onnx"),
        ("--classifier", "c.onnx"),
        ("--deadline", "30s"),
        ("--provider", "cpu"),
        ("--threads", "1"),
    ] {
        if !more.contains(&flag) {
            args.extend([flag, value]);
        }
    }
    args.extend(more);
    args
}

pub(crate) fn parse_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Asserts the exit code and that standard error holds all these words.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "stderr: {}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
        self
    }
}

/// Asserts that every captured frame has one fate, and returns the ledger.
#[track_caller]
pub(crate) fn balanced(report: &Value) -> &serde_json::Map<String, Value> {
    let ledger = report["ledger"].as_object().unwrap();
    let fates: u64 =
        ledger.iter().filter(|(name, _)| *name != "captured").map(|(_, count)| count.as_u64().unwrap()).sum();
    assert_eq!(ledger["captured"], fates);
    ledger
}

/// `images` and `labels`: frame n has pixel n mod 4 lit, and label n mod 4.
pub(crate) fn write_idx(folder: &Path, frames: usize) {
    write_lit(folder, frames, |_| 255);
}

/// As [`write_idx`]; `lit_value` says how bright the pixel of frame n is.
pub(crate) fn write_lit(folder: &Path, frames: usize, lit_value: impl Fn(usize) -> u8) {
    let mut images = vec![0, 0, 8, 3];
    let mut labels = vec![0, 0, 8, 1];
    for side in [frames, SHAPE.height, SHAPE.width] {
        images.extend((side as u32).to_be_bytes());
    }
    labels.extend((frames as u32).to_be_bytes());
    for frame in 0..frames {
        let lit = frame % 4;
        images.extend((0..SHAPE.pixels()).map(|pixel| if pixel == lit { lit_value(frame) } else { 0 }));
        labels.push(lit as u8);
    }
    std::fs::write(folder.join("images"), images).unwrap();
    std::fs::write(folder.join("labels"), labels).unwrap();
}
