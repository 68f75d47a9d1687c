//! Putting a new file in the place of an old one in one step: whoever reads it sees the old content or the new, whatever ends the
//! program and however full the disk is.
//!
//! A program that is killed meanwhile leaves the half-written file, `.NAME.PROCESS.partial`. Nobody else removes it: whether that
//! process is gone cannot be told in a folder that several machines share.

use std::fs::{self, File, OpenOptions};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Links that are followed one after the other: as many as Linux follows.
const MOST_LINKS: usize = 40;

/// Puts a file in the place of the one at `path`, which need not be there. `write` gets the path of a new, empty file beside
/// it and fills that file itself, not another one that it puts there.
///
/// A link stays one: what it leads to is replaced, or made. The new file has the owner, the group and the permissions of the
/// old one, as far as this user may give them, and is its owner's alone until it is whole. It is on the disk under its name
/// before this returns, where the system lets folders be synced.
///
/// # Errors
/// When `write` fails or the file cannot be put in place: the old content is still there, and nothing else is left.
pub fn replace_with<E: From<io::Error>>(path: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let target = behind_links(path);
    let partial = beside(&target);
    let replaced = fill(&partial, &target, write).and_then(|()| Ok(fs::rename(&partial, &target)?));
    // Best effort, both: the file is in its place, or the error that matters is the one above.
    let _ = if replaced.is_ok() { sync_folder_of(&target) } else { fs::remove_file(&partial) };
    replaced
}

/// Finds out whether there can be a new file beside the one at `path`, and leaves no trace.
///
/// # Errors
/// When there cannot.
pub fn check_replaceable(path: &Path) -> io::Result<()> {
    let partial = beside(&behind_links(path));
    create(&partial, true)?;
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
    let old = fs::metadata(target).ok();
    let file = create(partial, old.is_some())?;
    write(partial)?;
    if let Some(old) = old {
        // Not before: `write` could not open what may be read only. Best effort: a file system without permissions must not
        // cost the file.
        let _ = take_over(&file, &old);
    }
    // Without this the new name may be on the disk before the content is. This handle may write, as some systems ask for.
    Ok(file.sync_all()?)
}

/// Gives a file the owner, the group and the permissions of the old one. Where the group cannot be given, what the old one's might do
/// is nobody's: the file's own group is another one.
#[cfg(unix)]
fn take_over(file: &File, old: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let mut permissions = old.permissions();
    let may_give = |owner| fchown(file, owner, Some(old.gid())).is_ok();
    let same_group = file.metadata()?.gid() == old.gid();
    if !may_give(Some(old.uid())) && !may_give(None) && !same_group {
        permissions.set_mode(permissions.mode() & !0o070);
    }
    file.set_permissions(permissions)
}

#[cfg(not(unix))]
fn take_over(file: &File, old: &fs::Metadata) -> io::Result<()> {
    file.set_permissions(old.permissions())
}

/// A new, empty file; `private` is its owner's alone.
fn create(partial: &Path, private: bool) -> io::Result<File> {
    // A program that was killed may have had the same number.
    fs::remove_file(partial)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    options.open(partial)
}

/// Without this a power cut may undo that `target` has its name. Elsewhere than on Unix a folder cannot be opened for it.
fn sync_folder_of(target: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
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
    fn who_might_read_the_old_file_may_read_the_new_one_and_nobody_else_ever() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        replace(&path, "old").unwrap();
        // One that may be read only can be replaced as well: its owner may write the new one until it is whole.
        for old in [0o600, 0o444, 0o640] {
            fs::set_permissions(&path, fs::Permissions::from_mode(old)).unwrap();
            // What a killed program left, open to all.
            fs::write(beside(&path), "half").unwrap();
            let mut while_written = 0;
            replace_with(&path, |partial| {
                while_written = mode(partial);
                fs::write(partial, format!("{old:o}"))
            })
            .unwrap();
            assert_eq!((while_written, mode(&path)), (0o600, old));
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{old:o}"));
        }
        assert_eq!(names(folder.path()), ["report.json"]);
    }

    /// Only root may give files away; anybody else replaces what is his own.
    #[cfg(unix)]
    #[test]
    fn the_new_file_belongs_to_whom_the_old_one_did() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        replace(&path, "old").unwrap();
        let _ = chown(&path, Some(4711), Some(4712));
        let owner = |path: &Path| fs::metadata(path).map(|file| (file.uid(), file.gid())).unwrap();
        let before = owner(&path);
        replace(&path, "new").unwrap();
        assert_eq!((owner(&path), fs::read_to_string(&path).unwrap().as_str()), (before, "new"));
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_as_open_as_any_other() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let [usual, ours] = ["usual", "ours"].map(|name| folder.path().join(name));
        fs::write(&usual, "").unwrap();
        replace(&ours, "").unwrap();
        let [usual, ours] = [usual, ours].map(|path| fs::metadata(path).unwrap().permissions().mode());
        assert_eq!(usual, ours);
    }

    #[test]
    fn the_folder_of_a_bare_name_is_the_one_the_program_was_started_in() {
        sync_folder_of(Path::new("report.json")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        sync_folder_of(&folder.path().join("report.json")).unwrap();
        let nowhere = sync_folder_of(&folder.path().join("nowhere/report.json"));
        assert_eq!(nowhere.is_err(), cfg!(unix));
    }
}
