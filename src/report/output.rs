//! Files that are written at the end of a run, but must be known to be writable before it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::files::{check_replaceable, replace_with};

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot write here: {source}; give another path for {purpose}", path.display())]
#[non_exhaustive]
pub struct OutputError {
    /// Which file.
    pub path: PathBuf,
    /// What it was for, such as `--json`.
    pub purpose: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// A path that was found writable.
///
/// An ordinary file is replaced in one step: until then what it held is still there, and nobody sees
/// half a report. Anything else (a device, a pipe) is written to directly.
#[derive(Debug, Clone)]
pub struct OutputFile {
    path: PathBuf,
    purpose: &'static str,
}

impl OutputFile {
    /// Finds out whether `path` can be written, and leaves no trace.
    ///
    /// # Errors
    /// When its folder does not exist or takes no new file, or `path` is a folder or is read-only. Devices and
    /// pipes are not tried out: opening one has effects, and may wait for somebody at its other end.
    pub fn reserve(path: &Path, purpose: &'static str) -> Result<Self, OutputError> {
        let output = Self { path: path.into(), purpose };
        output.try_out().map_err(|source| output.error(source))?;
        Ok(output)
    }

    /// As [`OutputFile::reserve`], for a file that somebody else writes: one that is there need not be replaced, so its
    /// folder may take no new file.
    ///
    /// # Errors
    /// When the file cannot be written, or is not there and cannot be made.
    pub fn check_in_place(path: &Path, purpose: &'static str) -> Result<(), OutputError> {
        let output = Self { path: path.into(), purpose };
        let tried = if path.is_file() { output.try_append() } else { output.try_out() };
        tried.map_err(|source| output.error(source))
    }

    /// Refuses read-only files; changes nothing.
    fn try_append(&self) -> io::Result<()> {
        OpenOptions::new().append(true).open(&self.path).map(drop)
    }

    fn try_out(&self) -> io::Result<()> {
        if self.path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if self.path.is_file() {
            self.try_append()?;
        }
        if self.is_ordinary() {
            check_replaceable(&self.path)?;
        }
        Ok(())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When that fails: the disk may be full by now.
    pub fn write(&self, contents: impl AsRef<[u8]>) -> Result<(), OutputError> {
        let contents = contents.as_ref();
        let written = if self.is_ordinary() {
            replace_with(&self.path, |partial| std::fs::write(partial, contents))
        } else {
            self.write_directly(contents)
        };
        written.map_err(|source| self.error(source))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write_directly(&self, contents: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        file.write_all(contents)?;
        file.flush()
    }

    /// Whether it is a file or nothing yet, so that it can wait until there is something to write.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        std::fs::metadata(&self.path).map_or(true, |metadata| metadata.is_file())
    }

    fn error(&self, source: io::Error) -> OutputError {
        OutputError { path: self.path.clone(), purpose: self.purpose, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserving_leaves_no_trace_and_writing_leaves_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let names =
            || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        let output = OutputFile::reserve(&folder.path().join("report.json"), "--json").unwrap();
        assert!(names().is_empty());
        output.write("{}").unwrap();
        assert_eq!(names(), ["report.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_keeps_who_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        std::fs::write(&path, "old").unwrap();
        for mode in [0o600, 0o664] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            OutputFile::reserve(&path, "--json").unwrap().write("new").unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_folder_that_does_not_exist_is_noticed_before_the_run() {
        let text = OutputFile::reserve(Path::new("/nowhere/report.json"), "--json").unwrap_err().to_string();
        assert!(text.contains("/nowhere/report.json: cannot write here: No such file"), "{text}");
        assert!(text.contains("give another path for --json"), "{text}");
    }

    #[test]
    fn a_folder_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(OutputFile::reserve(folder.path(), "--html").unwrap_err().to_string().contains("is a directory"));
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_not_opened_for_a_trial() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(!OutputFile::reserve(&pipe, "--json").unwrap().is_ordinary());
    }

    #[test]
    fn a_file_that_is_written_in_place_needs_no_other_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        // No longer name is possible: nothing can be made beside it, as in a folder that is read-only.
        let path = folder.path().join("v".repeat(255));
        std::fs::write(&path, "").unwrap();
        OutputFile::check_in_place(&path, "--verdicts").unwrap();
        assert!(OutputFile::reserve(&path, "--json").is_err());
        let text = OutputFile::check_in_place(folder.path(), "--verdicts").unwrap_err().to_string();
        assert!(text.contains("is a directory; give another path for --verdicts"), "{text}");
        assert!(OutputFile::check_in_place(Path::new("/nowhere/v.jsonl"), "--verdicts").is_err());
    }

    #[test]
    fn a_full_disk_is_an_error_when_it_is_written() {
        let output = OutputFile::reserve(Path::new("/dev/full"), "--json").unwrap();
        assert!(output.write("{}").unwrap_err().to_string().contains("/dev/full: cannot write here: No space left"));
    }
}
