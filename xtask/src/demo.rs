//! `cargo xtask demo`: the same stream of frames without and with the purifier, compared.
//!
//! Needs ONNX Runtime only. The frames and models belong to the repository; nothing but the library is fetched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use puvae::idx;

use crate::bundle::Library;
use crate::comparison::Comparison;
use crate::setup::ensure_library;
use crate::step::{command_step, step};
use crate::verdicts;
use crate::workspace::{CLASSIFIER, PURIFIER, Workspace};

/// As long as one frame lasts at 30 frames a second.
pub(crate) const DEADLINE: &str = "33ms";

const FRAMES_PER_SECOND: usize = 30;

const IMAGES: &str = "examples/frames/fashion-mnist-demo-images.idx3-ubyte.gz";
const LABELS: &str = "examples/frames/fashion-mnist-demo-labels.idx1-ubyte.gz";
/// For each frame what was done to it: 0 nothing, 1 FGSM, 2 iFGSM.
const PARTS: &str = "examples/frames/fashion-mnist-demo-parts.idx1-ubyte.gz";

/// Builds `puvae`, runs the demo and prints the comparison on stdout.
///
/// # Errors
/// When something is missing, a run fails, or the purifier turns out not to help.
pub(crate) fn run(deadline: &str) -> Result<()> {
    let workspace = Workspace::find()?;
    // Before a build that takes minutes.
    check_files(&workspace.root)?;
    command_step("build puvae", &mut workspace.build_puvae())?;
    let puvae = workspace.release("puvae");
    compare(workspace, puvae, deadline)
}

/// The demo with the program that `test` has just built, so that nothing is built twice.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_tested(deadline: &str) -> Result<()> {
    let workspace = Workspace::find()?;
    let puvae = workspace.tested("puvae");
    compare(workspace, puvae, deadline)
}

fn compare(workspace: Workspace, puvae: PathBuf, deadline: &str) -> Result<()> {
    let parts = check_files(&workspace.root)?;
    let runtime = ensure_library(Library::Onnxruntime)?;
    let demo = Demo { puvae, deadline, runtime, folder: workspace.target.join("demo"), frames: parts.len(), workspace };
    fs::create_dir_all(&demo.folder).with_context(|| format!("{}: cannot make the folder", demo.folder.display()))?;
    let undefended = demo.stream("undefended", "none", None)?;
    let purified = demo.stream("purified", PURIFIER, Some("report.html"))?;
    let comparison = Comparison::new(&undefended, &purified, &parts);
    demo.print(&comparison);
    if !comparison.defence_helps() {
        bail!("the purifier did not help: see the table above; {PURIFIER} or the frames are not what they should be");
    }
    Ok(())
}

/// Checks that all that is shipped is there; the part of each frame.
fn check_files(root: &Path) -> Result<Vec<u8>> {
    for file in [IMAGES, LABELS, PARTS, CLASSIFIER, PURIFIER] {
        ensure!(
            root.join(file).is_file(),
            "{file} is missing; it belongs to the repository: `git checkout -- {file}` brings it back"
        );
    }
    let (images, parts) = idx::read_labelled(&root.join(IMAGES), &root.join(PARTS))?;
    ensure!(images.count > 0, "{IMAGES}: expected frames, found none");
    Ok(parts)
}

struct Demo<'a> {
    workspace: Workspace,
    puvae: PathBuf,
    folder: PathBuf,
    runtime: PathBuf,
    deadline: &'a str,
    frames: usize,
}

impl Demo<'_> {
    /// Streams all frames once through `puvae run`; the verdicts.
    fn stream(&self, name: &str, purifier: &str, html: Option<&str>) -> Result<Vec<verdicts::Verdict>> {
        let lines = self.folder.join(name).with_extension("jsonl");
        let seconds = self.frames.div_ceil(FRAMES_PER_SECOND);
        step(&format!("{} frames, {name}, about {seconds} s", self.frames), || {
            let mut command = self.command(purifier, &lines);
            command.arg("--json").arg(self.folder.join(name).with_extension("json"));
            if let Some(html) = html {
                command.arg("--html").arg(self.folder.join(html));
            }
            judge(&mut command)
        })?;
        verdicts::read(&lines, self.frames)
    }

    fn command(&self, purifier: &str, verdicts: &Path) -> Command {
        let mut command = Command::new(&self.puvae);
        command
            .current_dir(&self.workspace.root)
            .env("ORT_DYLIB_PATH", &self.runtime)
            // The comparison takes the place of each run's own table.
            .stdout(Stdio::null())
            .args(["run", "--source", &format!("idx:{IMAGES},{LABELS}")])
            .args(["--fps", &FRAMES_PER_SECOND.to_string(), "--frames", &self.frames.to_string()])
            .args(["--purifier", purifier, "--classifier", CLASSIFIER, "--deadline", self.deadline])
            .arg("--verdicts")
            .arg(verdicts);
        command
    }

    fn print(&self, comparison: &Comparison) {
        let file = |name| self.folder.join(name).display().to_string();
        println!("\n{comparison}\n{}\n", comparison.meaning(self.deadline));
        println!("Open   {} for the purified run in pictures.", file("report.html"));
        println!("Both runs in figures: {}, {}.", file("undefended.json"), file("purified.json"));
        println!("One line per frame:   {}, {}.", file("undefended.jsonl"), file("purified.jsonl"));
    }
}

/// `puvae` ends with this when it measures that the deadline cannot be met.
const IMPOSSIBLE: i32 = 3;

fn judge(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if status.code() == Some(IMPOSSIBLE) {
        bail!("this machine cannot hold the deadline; `cargo xtask demo --deadline TIME` takes a longer one");
    }
    ensure!(status.success(), "puvae run: {status}; its reason is above");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_with_the_command_that_brings_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let text = check_files(folder.path()).unwrap_err().to_string();
        assert!(text.contains(&format!("`git checkout -- {IMAGES}` brings it back")), "{text}");
    }

    #[test]
    fn a_deadline_that_cannot_be_met_is_answered_with_a_longer_one() {
        let text = judge(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(text.contains("demo --deadline TIME"), "{text}");
        let text = judge(Command::new("sh").args(["-c", "exit 1"])).unwrap_err().to_string();
        assert!(text.contains("puvae run: exit status: 1"), "{text}");
    }
}
