//! `cargo xtask run` and `cargo xtask train`: build a program of the workspace, then become it.
//!
//! The process is replaced, so that signals, exit code and terminal are the program's own.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bundle::Library;
use crate::setup::ensure_library;
use crate::step::succeed;
use crate::workspace::Workspace;

/// OpenMP's threads sleep while they wait, instead of taking cores from the others.
pub(crate) const PASSIVE_WAIT: (&str, &str) = ("OMP_WAIT_POLICY", "passive");

/// Set for training where the user has not: the GNU allocator gives every large tensor back to the kernel, and half of
/// the time goes into page faults, unless it is told to keep its memory.
const TRAINING_SETTINGS: [(&str, &str); 4] = [
    PASSIVE_WAIT,
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_TRIM_THRESHOLD_", "17179869184"),
    ("MALLOC_TOP_PAD_", "268435456"),
];

/// Builds `puvae` with all features and becomes it.
///
/// # Errors
/// When ONNX Runtime or libclang cannot be had, the build fails or the program cannot be started.
pub(crate) fn puvae(args: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    let runtime = ensure_library(Library::Onnxruntime)?;
    let libclang = ensure_library(Library::Libclang)?;
    succeed(workspace.build_puvae().arg("--all-features").env(Library::Libclang.bundle().variable, libclang))?;
    become_command(Command::new(workspace.release("puvae")).args(args).env("ORT_DYLIB_PATH", runtime))
}

/// Builds `puvae-train` and becomes it.
///
/// # Errors
/// When libtorch cannot be had, the build fails or the program cannot be started.
pub(crate) fn train(args: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    let libtorch = ensure_library(Library::Libtorch)?;
    let build = ["build", "--release", "--package", "puvae-training"];
    succeed(workspace.cargo(&build).env("LIBTORCH", &libtorch))?;
    let unset = TRAINING_SETTINGS.into_iter().filter(|(name, _)| env::var_os(name).is_none());
    become_command(Command::new(workspace.release("puvae-train")).args(args).envs(unset).env("LIBTORCH", libtorch))
}

fn become_command(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    Err(command.exec()).with_context(|| format!("cannot start {}", program.display()))
}
