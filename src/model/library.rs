//! Finding ONNX Runtime: a native library that is loaded when the program runs, not when it is built.
//!
//! It is looked for in this order: where `--ort-lib` says, where `ORT_DYLIB_PATH` says, beside the
//! executable, in the user's cache (filled by `cargo xtask setup`), and where the system's loader looks.
//! The first two are orders: what they name is taken or refused, nothing else is tried in its place.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ort::environment::Environment;

use crate::cache;

/// The environment variable that names the library.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

const REMEDY: &str = "`cargo xtask setup` fetches a fitting one; or name one with --ort-lib FILE or ORT_DYLIB_PATH";

/// Why ONNX Runtime could not be loaded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// No place held a library that loads.
    #[error("no ONNX Runtime library found; looked at:{}\n{REMEDY}", list(looked))]
    NotFound {
        /// Each place, with what was found there.
        looked: Vec<String>,
    },
    /// The file that was named does not exist.
    #[error("{}: no ONNX Runtime library here, though {place} names it; {REMEDY}", path.display())]
    Missing {
        /// What was named.
        path: PathBuf,
        /// Who named it.
        place: Place,
    },
    /// The library is older than the API this program was built for.
    #[error("{}: ONNX Runtime {found} is too old, expected 1.{} or newer; {REMEDY}", path.display(), ort::MINOR_VERSION)]
    TooOld {
        /// Which library.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// The file is there, but it is not a usable ONNX Runtime.
    #[error("{}: not a usable ONNX Runtime library: {reason}; {REMEDY}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

/// Where a library may lie; in the order of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Named on the command line or in the configuration.
    Option,
    /// Named by [`VARIABLE`].
    Variable,
    /// The executable's folder.
    Executable,
    /// The user's cache folder.
    Cache,
    /// Wherever the system's loader looks.
    System,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Option => "--ort-lib",
            Place::Variable => VARIABLE,
            Place::Executable => "beside the executable",
            Place::Cache => "the cache",
            Place::System => "the system's libraries",
        })
    }
}

/// The places to look at. Separate from the process's environment so that tests can set them.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// A file, or a folder that holds one.
    pub option: Option<PathBuf>,
    /// A file, or a folder that holds one.
    pub variable: Option<PathBuf>,
    /// Folder of the executable.
    pub executable: Option<PathBuf>,
    /// Folder with `onnxruntime-VERSION-HASH/` folders; the newest version is tried first.
    pub cache: Option<PathBuf>,
    /// Names for the system's loader.
    pub system: Vec<PathBuf>,
}

/// A file that may be the library.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    place: Place,
    path: PathBuf,
}

impl Places {
    /// The places of this process: its environment and executable, and `option` before them.
    #[must_use]
    pub fn of_this_process(option: Option<&Path>) -> Self {
        let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        let executable = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
        Self {
            option: option.map(Path::to_path_buf),
            variable,
            executable,
            cache: cache::folder(|name| std::env::var_os(name)),
            system: ["", ".1"].map(|end| format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}{end}").into()).into(),
        }
    }

    /// What was named: `Some` means that nothing else may be tried.
    fn named(&self) -> Option<Result<Candidate, LibraryError>> {
        let by_option = self.option.as_ref().map(|path| (Place::Option, path));
        let (place, path) = by_option.or_else(|| self.variable.as_ref().map(|path| (Place::Variable, path)))?;
        let file =
            if path.is_dir() { libraries_in(path).into_iter().next() } else { path.is_file().then(|| path.clone()) };
        Some(match file {
            Some(path) => Ok(Candidate { place, path }),
            None => Err(LibraryError::Missing { path: path.clone(), place }),
        })
    }

    /// What may be tried when nothing was named, best first, and a line about each place without any.
    fn unnamed(&self) -> (Vec<Candidate>, Vec<String>) {
        let mut candidates = Vec::new();
        let mut looked = vec!["--ort-lib: not given".into(), format!("{VARIABLE}: not set")];
        let mut add = |place: Place, folder: &Option<PathBuf>, files: fn(&Path) -> Vec<PathBuf>| {
            let found = folder.as_deref().map(files).unwrap_or_default();
            if found.is_empty() {
                let folder = folder.as_ref().map_or("no such folder".into(), |folder| folder.display().to_string());
                looked.push(format!("{place}: {folder}: none there"));
            }
            candidates.extend(found.into_iter().map(|path| Candidate { place, path }));
        };
        add(Place::Executable, &self.executable, libraries_in);
        add(Place::Cache, &self.cache, libraries_in_cache);
        candidates.extend(self.system.iter().map(|path| Candidate { place: Place::System, path: path.clone() }));
        (candidates, looked)
    }
}

/// Library files in a folder: `libonnxruntime.so`, `libonnxruntime.so.1.31.1`, but not its provider libraries.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let prefix = format!("{DLL_PREFIX}onnxruntime.");
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&prefix) && name.contains(DLL_SUFFIX) && path.is_file()
    };
    let mut files: Vec<PathBuf> = entries(folder).filter(is_library).collect();
    files.sort();
    files
}

fn libraries_in_cache(cache: &Path) -> Vec<PathBuf> {
    let version = |folder: &PathBuf| -> Option<Vec<u32>> {
        let name = folder.file_name()?.to_str()?.strip_prefix("onnxruntime-")?;
        name.split('-').next()?.split('.').map(|part| part.parse().ok()).collect()
    };
    let mut folders: Vec<(Vec<u32>, PathBuf)> =
        entries(cache).filter_map(|folder| Some((version(&folder)?, folder))).collect();
    folders.sort();
    folders.iter().rev().flat_map(|(_, folder)| libraries_in(folder)).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// ONNX Runtime, loaded. There is one per process: the first that loads stays.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) environment: Environment,
    pub(super) path: PathBuf,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// Loads the library from the first place that has one.
///
/// # Errors
/// When a named library cannot be used, or no place holds a usable one.
pub(super) fn load(places: &Places) -> Result<Loaded, LibraryError> {
    let mut loaded = LOADED.lock().expect("nothing panics while the library is being loaded");
    if let Some(loaded) = &*loaded {
        return Ok(loaded.clone());
    }
    let found = match places.named() {
        Some(candidate) => load_file(candidate?)?,
        None => load_first(places)?,
    };
    Ok(loaded.insert(found).clone())
}

fn load_first(places: &Places) -> Result<Loaded, LibraryError> {
    let (candidates, mut looked) = places.unnamed();
    for candidate in candidates {
        let (place, path) = (candidate.place, candidate.path.clone());
        match load_file(candidate) {
            Ok(loaded) => return Ok(loaded),
            Err(LibraryError::TooOld { found, .. }) => {
                looked.push(format!(
                    "{place}: {}: version {found}, expected 1.{} or newer",
                    path.display(),
                    ort::MINOR_VERSION
                ));
            }
            Err(_) if place == Place::System => looked.push(format!("{place}: {}: none there", path.display())),
            Err(error) => looked.push(format!("{place}: {error}")),
        }
    }
    Err(LibraryError::NotFound { looked })
}

fn load_file(candidate: Candidate) -> Result<Loaded, LibraryError> {
    let Candidate { path, .. } = candidate;
    let unusable = |reason: String| LibraryError::Unusable { path: path.clone(), reason };
    let builder = ort::init_from(&path).map_err(|error| match error {
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            LibraryError::TooOld { path: path.clone(), found: version_str }
        }
        ort::LoadDynamicError::Dlopen { error, .. } => unusable(error.to_string()),
        ort::LoadDynamicError::MissingApi { .. } => unusable("it does not export `OrtGetApiBase`".into()),
        other => unusable(other.to_string()),
    })?;
    // Errors come back as values as well; printed by the engine itself they would appear twice.
    let logger = Arc::new(|_: ort::logging::LogLevel, _: &str, _: &str, _: &str, message: &str| {
        tracing::debug!(target: "onnxruntime", "{message}");
    });
    let environment = builder
        .with_name("puvae")
        .with_telemetry(false)
        .with_logger(logger)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    environment.set_log_level(ort::logging::LogLevel::Warning);
    Ok(Loaded { environment, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "not a library").unwrap();
        path
    }

    #[test]
    fn the_newest_version_in_the_cache_comes_first() {
        let cache = tempfile::tempdir().unwrap();
        let old = touch(cache.path(), "onnxruntime-1.9.1-00000000/libonnxruntime.so.1.9.1");
        let new = touch(cache.path(), "onnxruntime-1.31.1-ffffffff/libonnxruntime.so.1.31.1");
        touch(cache.path(), "onnxruntime-1.31.1-ffffffff/libonnxruntime_providers_shared.so");
        touch(cache.path(), "onnxruntime-partial/libonnxruntime.so");
        assert_eq!(libraries_in_cache(cache.path()), [new, old]);
    }

    #[test]
    fn nothing_found_lists_every_place_and_the_remedy() {
        let cache = tempfile::tempdir().unwrap();
        let places =
            Places { cache: Some(cache.path().into()), executable: Some("/nowhere".into()), ..Places::default() };
        let text = load_first(&places).err().unwrap().to_string();
        for part in [
            "--ort-lib: not given",
            "ORT_DYLIB_PATH: not set",
            "beside the executable: /nowhere",
            "the cache: ",
            "cargo xtask setup",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_named_library_that_is_not_there_is_an_error_not_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "libonnxruntime.so");
        let places = Places {
            option: Some("/nowhere/ort.so".into()),
            executable: Some(folder.path().into()),
            ..Places::default()
        };
        let text = places.named().unwrap().unwrap_err().to_string();
        assert!(text.contains("/nowhere/ort.so: no ONNX Runtime library here, though --ort-lib names it"), "{text}");
    }

    #[test]
    fn a_named_folder_stands_for_the_library_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = touch(folder.path(), "libonnxruntime.so.1.31.1");
        let places = Places { variable: Some(folder.path().into()), ..Places::default() };
        assert_eq!(places.named().unwrap().unwrap(), Candidate { place: Place::Variable, path });
    }

    #[test]
    fn a_file_that_is_no_library_is_named_with_the_loaders_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = touch(folder.path(), "libonnxruntime.so");
        let text = load_file(Candidate { place: Place::Option, path }).err().unwrap().to_string();
        assert!(text.contains("not a usable ONNX Runtime library"), "{text}");
    }
}
