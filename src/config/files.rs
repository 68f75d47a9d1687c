//! No output may destroy an input or another output: one check for every command that writes files.

use std::path::{Path, PathBuf};

use super::ConfigError;

/// A file that a command reads or writes, with the setting that names it, such as `--json`.
pub type NamedFile<'a> = (&'static str, &'a Path);

/// Refuses an output that is an input, lies in a folder that is one, or is another output.
///
/// # Errors
/// When there is such an output; it names both settings.
pub fn check_files_differ(inputs: &[NamedFile<'_>], outputs: &[NamedFile<'_>]) -> Result<(), ConfigError> {
    for (index, &(second, path)) in outputs.iter().enumerate() {
        for &(first, other) in inputs.iter().chain(&outputs[..index]) {
            if same_file(other, path) {
                return Err(ConfigError::SameFile { path: path.into(), first, second });
            }
        }
        for &(first, folder) in inputs.iter().filter(|(_, input)| input.is_dir()) {
            if resolved(path).starts_with(resolved(folder)) {
                return Err(ConfigError::AmongInputs { path: path.into(), folder: folder.into(), first, second });
            }
        }
    }
    Ok(())
}

/// Refuses a list of files that names one of them twice.
///
/// # Errors
/// When there is such a file.
pub fn check_given_once(paths: &[PathBuf]) -> Result<(), ConfigError> {
    for (index, path) in paths.iter().enumerate() {
        if let Some(first) = paths[..index].iter().find(|first| same_file(first, path)) {
            return Err(ConfigError::GivenTwice { path: path.clone(), first: first.clone() });
        }
    }
    Ok(())
}

/// Whether two paths name one file, as far as that can be told before both exist.
fn same_file(one: &Path, other: &Path) -> bool {
    resolved(one) == resolved(other) || hard_linked(one, other)
}

/// The path without links and dots. The file itself need not exist yet, its folder should.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let by_folder = || Some(absolute.parent()?.canonicalize().ok()?.join(absolute.file_name()?));
    path.canonicalize().ok().or_else(by_folder).unwrap_or(absolute)
}

#[cfg(unix)]
fn hard_linked(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

#[cfg(not(unix))]
fn hard_linked(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_under_two_names_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "").unwrap();
        std::fs::hard_link(path("a"), path("hard")).unwrap();
        std::os::unix::fs::symlink(path("a"), path("soft")).unwrap();
        for other in ["a", "hard", "soft", "./a"] {
            assert!(same_file(&path("a"), &path(other)), "{other}");
        }
        assert!(!same_file(&path("a"), &path("b")));
    }

    #[test]
    fn files_that_do_not_exist_yet_are_compared_by_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("real")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
        assert!(same_file(&folder.path().join("real/r.json"), &folder.path().join("link/r.json")));
    }
}
