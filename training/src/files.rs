//! Writing files so that a program that is killed, or a full disk, does not cost what was there.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use puvae::files::behind_links;

/// Puts `bytes` in place of the file at `path` in one step: whoever reads it sees the old content or the new.
///
/// # Errors
/// When the file cannot be written; the old content is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_with(path, |partial| Ok(std::fs::write(partial, bytes)?))
}

/// As [`replace`], with the content written by `write` into a new file beside it. A link stays one: what it leads to is replaced.
///
/// # Errors
/// When `write` fails or the file cannot be put in place.
pub fn replace_with(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    puvae::files::replace_with(path, write)
        .with_context(|| format!("{}: cannot write; is the disk full or the folder read-only?", path.display()))
}

/// Keeps the JSON file at `path` beside it, as `NAME.before.json`, or `NAME.before-2.json` and so on where that is taken, and says so.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside(path: &Path) -> Result<()> {
    let further = (2..).map(|count| format!("before-{count}.json"));
    let names = std::iter::once("before.json".to_owned()).chain(further);
    let aside = names.map(|name| path.with_extension(name)).find(|aside| !aside.exists());
    let aside = aside.expect("there are names without end");
    std::fs::rename(path, &aside).with_context(|| format!("{}: cannot be set aside", path.display()))?;
    eprintln!("note: what was there is in {}", aside.display());
    Ok(())
}

/// Finds out, before hours of work, whether a file can be written; makes its folder.
///
/// # Errors
/// When it cannot, or when a device or a folder is there, which a file would take the place of.
pub fn check_writable(path: &Path) -> Result<()> {
    let path = &behind_links(path);
    let existed = path.exists();
    ensure!(
        !existed || path.is_file(),
        "{}: not a regular file, whose place a new one could take; choose another --out",
        path.display()
    );
    let tried = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        OpenOptions::new().append(true).create(true).open(path)?.flush()?;
        if existed { Ok(()) } else { std::fs::remove_file(path) }
    };
    tried().with_context(|| format!("{}: cannot write there; choose another --out", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("results.json"), folder.path().join("link.json"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        check_writable(&link).unwrap();
        assert!(!file.exists(), "nothing is left of the check");
        replace(&link, b"new").unwrap();
        replace(&link, b"newer").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"newer");
    }
}
