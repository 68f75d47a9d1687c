//! `cargo xtask test`: every check there is.
//!
//! What needs no build comes first, then the whole workspace, so that the C++ of torch-sys is compiled beside everything else.
//! One profile for everything: a dependency is checked once for the lints and built once for the rest, and again only where
//! fewer features are asked of it.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bundle::Library;
use crate::launch::PASSIVE_WAIT;
use crate::setup::ensure_library;
use crate::step::{command_step, step};
use crate::workspace::Workspace;

/// A name for people, and cargo's arguments.
type Check = (&'static str, &'static [&'static str]);

const FORMAT: Check = ("format", &["fmt", "--all", "--check"]);

/// A workspace of its own.
const FORMAT_OF_FUZZING: Check =
    ("format of the fuzz targets", &["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]);

const TREE: Check = (
    "puvae does not depend on libtorch",
    &["tree", "--package", "puvae", "--edges", "normal", "--all-features", "--prefix", "none", "--format", "{p}"],
);

/// The crates that bring libtorch; only training may have them.
const LIBTORCH_CRATES: [&str; 2] = ["tch", "torch-sys"];

const CHECKS: [Check; 5] = [
    ("lints, whole workspace", &["clippy", "--workspace", "--all-features", "--all-targets", "--", "-Dwarnings"]),
    // Without features only what training shares is left, so there is nothing but the library.
    ("lints, puvae without features", &["clippy", "-p", "puvae", "--no-default-features", "--lib", "--", "-Dwarnings"]),
    ("lints, puvae with default features", &["clippy", "-p", "puvae", "--all-targets", "--", "-Dwarnings"]),
    ("tests of all crates", &["test", "--workspace", "--all-features"]),
    ("examples", &["build", "--workspace", "--all-features", "--examples"]),
];

const DOCUMENTATION: Check = ("documentation", &["doc", "--workspace", "--all-features", "--no-deps"]);

/// Runs every check; stops at the first that fails.
///
/// # Errors
/// The name of the check that failed.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    let environment = [
        (Library::Onnxruntime.bundle().variable, ensure_library(Library::Onnxruntime)?.into_os_string()),
        (Library::Libclang.bundle().variable, ensure_library(Library::Libclang)?.into_os_string()),
        (Library::Libtorch.bundle().variable, ensure_library(Library::Libtorch)?.into_os_string()),
        (PASSIVE_WAIT.0, PASSIVE_WAIT.1.into()),
    ];
    let cargo = |args: &[&str]| {
        let mut command = workspace.cargo(args);
        command.envs(environment.clone());
        command
    };
    step("all checks", || {
        command_step(FORMAT.0, &mut cargo(FORMAT.1))?;
        command_step(FORMAT_OF_FUZZING.0, &mut cargo(FORMAT_OF_FUZZING.1))?;
        step(TREE.0, || check_tree(&mut cargo(TREE.1)))?;
        for (name, args) in CHECKS {
            command_step(name, &mut cargo(args))?;
        }
        command_step(DOCUMENTATION.0, cargo(DOCUMENTATION.1).env("RUSTDOCFLAGS", "-D warnings"))
    })
}

fn check_tree(tree: &mut Command) -> Result<()> {
    let output = tree.output().context("cargo cannot be started")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = libtorch_crates(&String::from_utf8_lossy(&output.stdout));
    ensure!(
        found.is_empty(),
        "expected no crate that brings libtorch among the dependencies of puvae, found {}; \
         what needs libtorch belongs into training/",
        found.join(", ")
    );
    Ok(())
}

/// Which of the forbidden crates are in a list of `name version` lines.
fn libtorch_crates(tree: &str) -> Vec<&'static str> {
    let has = |name: &&str| tree.lines().any(|line| line.split_whitespace().next() == Some(name));
    LIBTORCH_CRATES.into_iter().filter(has).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_is_found_by_the_whole_name_of_a_crate() {
        assert_eq!(libtorch_crates("puvae v0.1.0 (/here/tch)\nwatch v1.0.0\ntorch-sys-like v1.0.0\n"), [""; 0]);
        assert_eq!(libtorch_crates("puvae v0.1.0\ntch v0.24.0\ntorch-sys v0.24.0 (*)\n"), ["tch", "torch-sys"]);
    }
}
