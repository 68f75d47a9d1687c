//! Takes what is needed out of a wheel, and leaves the rest.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use zip::ZipArchive;

use crate::bundle::Keep;

/// Unpacks the kept members of `wheel` into `root`, with a bar on stderr.
///
/// # Errors
/// When the wheel is not a zip file, lacks something that must be kept, or `root` cannot be written.
pub(crate) fn unpack(wheel: &Path, keep: &[Keep], root: &Path) -> Result<()> {
    let file = File::open(wheel).with_context(|| format!("{}: cannot open", wheel.display()))?;
    let mut archive =
        ZipArchive::new(BufReader::new(file)).with_context(|| format!("{}: not a zip file", wheel.display()))?;
    let members = select(&mut archive, keep).with_context(|| format!("{}: cannot unpack", wheel.display()))?;
    let bar = bar(members.iter().map(|member| member.bytes).sum(), "unpack");
    for member in &members {
        extract(&mut archive, member, root, &bar)?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// A bar over bytes; invisible when stderr is no terminal.
pub(crate) fn bar(bytes: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("  {msg:8} {wide_bar} {bytes}/{total_bytes}, {eta} left")
        .expect("the template is a constant");
    ProgressBar::new(bytes).with_style(style).with_message(what)
}

/// A member of a zip file that is unpacked.
struct Member {
    index: usize,
    bytes: u64,
    to: PathBuf,
}

fn select<R: io::Read + io::Seek>(archive: &mut ZipArchive<R>, keep: &[Keep]) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    let mut found = vec![false; keep.len()];
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        let Some(path) = entry.enclosed_name().filter(|_| entry.is_file()) else { continue };
        for (keep, found) in keep.iter().zip(&mut found) {
            if let Some(to) = destination(&path, keep) {
                *found = true;
                members.push(Member { index, bytes: entry.size(), to });
            }
        }
    }
    if let Some(missing) = found.iter().position(|found| !found) {
        ensure!(false, "expected {} inside, found nothing of that name", keep[missing].from);
    }
    Ok(members)
}

/// Where `path` goes if `keep` covers it.
fn destination(path: &Path, keep: &Keep) -> Option<PathBuf> {
    let rest = path.strip_prefix(keep.from).ok()?;
    let whole = rest.as_os_str().is_empty();
    if whole { Some(keep.to.into()) } else { keep.from.ends_with('/').then(|| Path::new(keep.to).join(rest)) }
}

fn extract<R: io::Read + io::Seek>(
    archive: &mut ZipArchive<R>,
    member: &Member,
    root: &Path,
    bar: &ProgressBar,
) -> Result<()> {
    let path = root.join(&member.to);
    let cannot_write = || {
        format!(
            "{}: cannot write; when the disk is full, free some space or set PUVAE_CACHE to a folder on another disk",
            path.display()
        )
    };
    fs::create_dir_all(path.parent().unwrap_or(root)).with_context(cannot_write)?;
    let mut file = File::create(&path).with_context(cannot_write)?;
    let mut entry = bar.wrap_read(archive.by_index(member.index)?);
    io::copy(&mut entry, &mut file).with_context(cannot_write)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: Keep = Keep { from: "torch/include/", to: "include/" };
    const FILE: Keep = Keep { from: "torch/lib/libc10.so", to: "lib/libc10.so" };

    #[test]
    fn a_folder_is_kept_with_all_below_it_and_a_file_alone() {
        let header = destination(Path::new("torch/include/ATen/ATen.h"), &FOLDER);
        assert_eq!(header, Some("include/ATen/ATen.h".into()));
        assert_eq!(destination(Path::new("torch/lib/libc10.so"), &FILE), Some("lib/libc10.so".into()));
        assert_eq!(destination(Path::new("torch/lib/libc10.so/x"), &FILE), None);
        assert_eq!(destination(Path::new("torch/lib/libc10_cuda.so"), &FILE), None);
    }

    #[test]
    fn a_file_that_is_no_zip_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.whl");
        fs::write(&path, "no zip").unwrap();
        let text = format!("{:#}", unpack(&path, &[FILE], folder.path()).unwrap_err());
        assert!(text.contains("some.whl: not a zip file"), "{text}");
    }
}
