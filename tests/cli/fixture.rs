//! A temporary folder with models and frames, and the program run in it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::onnx::{SHAPE, TestModel};

/// Frames in the fixture's IDX files.
pub(crate) const FRAMES: usize = 12;

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

/// `images` and `labels`: frame n has pixel n mod 4 lit, and label n mod 4.
pub(crate) fn write_idx(folder: &Path, frames: usize) {
    let mut images = vec![0, 0, 8, 3];
    let mut labels = vec![0, 0, 8, 1];
    for side in [frames, SHAPE.height, SHAPE.width] {
        images.extend((side as u32).to_be_bytes());
    }
    labels.extend((frames as u32).to_be_bytes());
    for frame in 0..frames {
        let lit = frame % 4;
        images.extend((0..SHAPE.pixels()).map(|pixel| if pixel == lit { 255 } else { 0 }));
        labels.push(lit as u8);
    }
    std::fs::write(folder.join("images"), images).unwrap();
    std::fs::write(folder.join("labels"), labels).unwrap();
}
