//! Putting a new file in the place of an old one in one step: whoever reads it sees the old content or the new, whatever ends the
//! program and however full the disk is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Links that are followed one after the other: as many as Linux follows.
const MOST_LINKS: usize = 40;

/// Puts a file in the place of the one at `path`, which need not be there. `write` gets the path of a new, empty file beside
/// it and fills that.
///
/// A link stays one: what it leads to is replaced, or made. The new file may be read and written by whoever might do so with
/// the old one.
///
/// # Errors
/// When `write` fails or the file cannot be put in place: the old content is still there, and nothing else is left.
pub fn replace_with<E: From<io::Error>>(path: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let target = behind_links(path);
    let partial = beside(&target);
    let replaced = fill(&partial, &target, write).and_then(|()| Ok(fs::rename(&partial, &target)?));
    if replaced.is_err() {
        // Best effort: the error that matters is the one above.
        let _ = fs::remove_file(&partial);
    }
    replaced
}

/// Finds out whether there can be a new file beside the one at `path`, and leaves no trace.
///
/// # Errors
/// When there cannot.
pub fn check_replaceable(path: &Path) -> io::Result<()> {
    let partial = beside(&behind_links(path));
    File::create(&partial)?;
    fs::remove_file(&partial)
}

/// What a link leads to, which need not be there yet; `path` itself of anything else.
#[must_use]
pub fn behind_links(path: &Path) -> PathBuf {
    let mut target = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let Ok(next) = fs::read_link(&target) else { break };
        target = target.parent().unwrap_or(Path::new("")).join(next);
    }
    target
}

/// Another name in the same folder: of this file and this process alone.
fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    target.with_file_name(format!(".{name}.{}.partial", std::process::id()))
}

fn fill<E: From<io::Error>>(
    partial: &Path,
    target: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let file = File::create(partial)?;
    if let Ok(old) = fs::metadata(target) {
        // Before there is anything in it. Best effort: a file system without permissions must not cost the file.
        let _ = file.set_permissions(old.permissions());
    }
    write(partial)?;
    // Without this the new name may be on the disk before the content is.
    Ok(File::open(partial)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(path: &Path, content: &str) -> io::Result<()> {
        replace_with(path, |partial| fs::write(partial, content))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_cannot_be_filled_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        replace(&path, "old").unwrap();
        let failed = replace_with(&path, |partial| {
            fs::write(partial, "half")?;
            Err(io::Error::other("no more room"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more room");
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(folder.path())),
            ("old", vec!["report.json".into()])
        );
    }

    #[test]
    fn two_files_that_differ_in_their_ends_only_are_not_in_each_others_way() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["run.json", "run.html"].map(|name| folder.path().join(name));
        replace_with(&one, |partial| {
            fs::write(partial, "{}")?;
            replace(&other, "<html>")
        })
        .unwrap();
        assert_eq!([one, other].map(|path| fs::read_to_string(path).unwrap()), ["{}", "<html>"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_what_they_lead_to_is_made_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::create_dir(place("far")).unwrap();
        std::os::unix::fs::symlink("far/second", place("first")).unwrap();
        std::os::unix::fs::symlink("file", place("far/second")).unwrap();
        for content in ["new", "newer"] {
            check_replaceable(&place("first")).unwrap();
            replace(&place("first"), content).unwrap();
            assert!(place("first").is_symlink() && place("far/second").is_symlink());
            assert_eq!(fs::read_to_string(place("far/file")).unwrap(), content);
        }
        assert_eq!(
            (names(folder.path()), names(&place("far"))),
            (vec!["far".into(), "first".into()], vec!["file".into(), "second".into()])
        );
    }

    #[cfg(unix)]
    #[test]
    fn who_may_read_the_old_file_may_read_the_new_one_from_its_first_byte() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        replace(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut while_written = 0;
        replace_with(&path, |partial| {
            fs::write(partial, "new")?;
            while_written = mode(partial);
            Ok::<(), io::Error>(())
        })
        .unwrap();
        assert_eq!((while_written, mode(&path)), (0o600, 0o600));
    }
}
