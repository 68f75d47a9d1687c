//! Downloads one wheel with pip, the way to package indexes, mirrors and proxies that a machine already has.
//!
//! The interpreter's own version and platform do not matter: the wheel is named exactly, never installed.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::bundle::Wheel;

/// Downloads `wheel` into a new folder in `staging`; pip's progress goes to stderr.
///
/// # Errors
/// When there is no python3 or no pip, when no index offers the wheel, when the disk is full. The hash is not
/// looked at here.
pub(crate) fn download(wheel: &Wheel, staging: &Path) -> Result<PathBuf> {
    let folder = staging.join(format!("{}.download", wheel.package));
    fs::create_dir(&folder).with_context(|| format!("{}: cannot make the download's folder", folder.display()))?;
    let mut child = match command(wheel, staging, &folder).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(NO_PYTHON),
        Err(error) => return Err(error).context("python3 cannot be started"),
    };
    let complaints = echo(child.stderr.take().expect("stderr is piped"))?;
    let status = child.wait().context("pip cannot be waited for")?;
    if !status.success() {
        bail!("{}", explain(&complaints, wheel, staging));
    }
    only_file(&folder)
}

const NO_PYTHON: &str = "there is no python3 on the PATH; it is needed to download the native libraries, and for \
                         nothing else: install Python 3 with pip, or set ORT_DYLIB_PATH, LIBCLANG_PATH and LIBTORCH to copies of your \
                         own";

fn command(wheel: &Wheel, staging: &Path, folder: &Path) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"])
        .args(["--disable-pip-version-check", "--python-version", "3.11", "--implementation", "cp"])
        .args(["--platform", wheel.platform, "--dest"])
        .arg(folder)
        .arg(format!("{}=={}", wheel.package, wheel.version))
        // pip downloads here first; the system's temporary folder is often too small.
        .env("TMPDIR", staging)
        .stdin(Stdio::null())
        // stdout carries results only, and pip's words are none.
        .stdout(io::stderr())
        .stderr(Stdio::piped());
    command
}

/// Passes a stream on to stderr line by line, and gives back what was said.
fn echo(stream: impl io::Read) -> Result<String> {
    let mut said = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line.context("pip's output cannot be read")?;
        eprintln!("{line}");
        said.push_str(&line);
        said.push('\n');
    }
    Ok(said)
}

/// What went wrong, by pip's own words, and what to do.
fn explain(complaints: &str, wheel: &Wheel, staging: &Path) -> String {
    let Wheel { package, version, platform, .. } = wheel;
    if complaints.contains("No module named pip") {
        return "python3 has no pip: install it with the system's packages (python3-pip) or `python3 -m ensurepip`"
            .into();
    }
    if complaints.contains("No space left on device") {
        return format!(
            "{}: the disk is full; free some space, or set PUVAE_CACHE to a folder on another disk",
            staging.parent().unwrap_or(staging).display()
        );
    }
    if complaints.contains("No matching distribution") {
        return format!(
            "pip found no wheel {package}=={version} for {platform}. Either no package index can be reached from here \
             (network or proxy: the lines above say so), or the index does not have it. Without a network, put the \
             wheel into a folder and set PIP_NO_INDEX=1 and PIP_FIND_LINKS to that folder"
        );
    }
    format!("pip could not download {package}=={version} for {platform}; its reasons are above")
}

/// The one file in `folder`.
fn only_file(folder: &Path) -> Result<PathBuf> {
    let files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    match files.as_slice() {
        [file] => Ok(file.clone()),
        _ => bail!("{}: expected one file from pip, found {}", folder.display(), files.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEEL: Wheel = Wheel { package: "thing", version: "1.2", platform: "some_platform", sha256: "", keep: &[] };

    #[test]
    fn what_pip_says_becomes_what_to_do() {
        for (said, expected) in [
            ("/usr/bin/python3: No module named pip", "python3 has no pip"),
            (
                "ERROR: Could not install: [Errno 28] No space left on device",
                "set PUVAE_CACHE to a folder on another disk",
            ),
            ("ERROR: No matching distribution found for thing==1.2", "pip found no wheel thing==1.2 for some_platform"),
            ("ERROR: something else", "pip could not download thing==1.2"),
        ] {
            let text = explain(said, &WHEEL, Path::new("/cache"));
            assert!(text.contains(expected), "{said}: {text}");
        }
    }

    #[test]
    fn the_wheel_is_asked_for_by_exact_version_and_platform() {
        let command = command(&WHEEL, Path::new("/cache"), Path::new("/cache/download"));
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        assert!(args.join(" ").ends_with("--platform some_platform --dest /cache/download thing==1.2"), "{args:?}");
    }
}
