//! `cargo xtask vivid`: the tests that need a camera, against a real V4L2 device, on a machine that has none.
//!
//! A Debian kernel with its virtual camera driver, vivid, is booted in qemu; the test program, statically linked, is
//! all that runs in it besides busybox. The kernel and qemu are unpacked in the cache; nothing is installed.

mod cpio;
mod guest;
mod kit;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::bundle::Library;
use crate::setup::ensure_library;
use crate::step::step;
use crate::workspace::Workspace;

/// A build for the machine itself, named, so that its flags are not those of build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the tests, boots the guest and runs them in it; `args` go to the test program.
///
/// # Errors
/// When the guest cannot be made or booted, takes longer than `limit`, or a test fails.
pub(crate) fn run(args: &[String], limit: Duration) -> Result<()> {
    let workspace = Workspace::find()?;
    step("camera tests in a virtual machine", || {
        let kit = kit::ensure()?;
        let program = build(&workspace)?;
        let args = ["--ignored", "--test-threads=1"].map(String::from).iter().chain(args).cloned().collect::<Vec<_>>();
        guest::run(&kit, &workspace.target.join("vivid"), &program, &args, limit)
    })
}

/// Builds `tests/vivid.rs` without shared libraries; the program's path.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let libclang = ensure_library(Library::Libclang)?;
    let build = ["test", "--package", "puvae", "--features", "camera", "--test", "vivid", "--no-run"];
    let output = workspace
        .cargo(&build)
        .args(["--target", TARGET, "--message-format", "json-render-diagnostics"])
        .env(Library::Libclang.bundle().variable, libclang)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    ensure!(output.status.success(), "the camera tests do not build: see above");
    executable(&String::from_utf8_lossy(&output.stdout)).context("cargo built the camera tests but named no program")
}

/// The test program in cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == "vivid"))
        .find_map(|message| message.executable)
}

/// The output of a command that must succeed.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {name}"))?;
    ensure!(output.status.success(), "{name}: {}; its reasons are above", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{name}: its output is no text"))
}

/// Every file below `folder`, in no order.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}: cannot list", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_program_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"puvae"},"executable":"/target/puvae"}"#,
            "\nnot a message\n",
            r#"{"reason":"compiler-artifact","target":{"name":"vivid"},"executable":"/target/vivid-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages), Some("/target/vivid-1".into()));
        assert_eq!(executable(""), None);
    }
}
