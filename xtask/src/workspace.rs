//! Where the workspace lies, and cargo called on it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The shipped models that are shown at work.
pub(crate) const CLASSIFIER: &str = "models/fashion-mnist-classifier-a.onnx";
pub(crate) const PURIFIER: &str = "models/fashion-mnist-puvae-lite.onnx";

/// The folders that cargo knows, wherever the user has put them.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// When cargo cannot be run, or not in a workspace.
    pub(crate) fn find() -> Result<Self> {
        // Set by `cargo run`; where the program was built otherwise.
        let own = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(Path::new(&own).join("Cargo.toml"))
            .output()
            .context("cargo cannot be started")?;
        ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("cargo metadata: not the expected JSON")
    }

    /// Cargo, at the workspace's root.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = cargo();
        command.args(args).current_dir(&self.root);
        command
    }

    /// Cargo, about to build `puvae` in release mode.
    pub(crate) fn build_puvae(&self) -> Command {
        self.cargo(&["build", "--release", "--package", "puvae", "--bin", "puvae"])
    }

    /// A program built in release mode.
    pub(crate) fn release(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// A program as the tests run it.
    pub(crate) fn tested(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
