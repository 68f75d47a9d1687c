//! `cargo xtask setup`, and what every other command asks for before it starts: where are the native libraries?

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result, ensure};
use puvae::cache;

use crate::bundle::{Bundle, Library};
use crate::install::install;
use crate::pip;

/// Fetches what is not there yet; prints `VARIABLE=PATH` for each library.
///
/// # Errors
/// As [`ensure_library`].
pub(crate) fn run(only: Option<Library>) -> Result<()> {
    for library in only.map_or(Library::ALL.to_vec(), |only| vec![only]) {
        let path = ensure_library(library)?;
        println!("{}={}", library.bundle().variable, path.display());
    }
    Ok(())
}

/// The value of the library's variable: the user's own copy where one is named, else the one in the cache, which is
/// fetched when it is not there.
///
/// # Errors
/// When the user's variable names nothing, no wheel is pinned for this system, or fetching fails.
pub(crate) fn ensure_library(library: Library) -> Result<PathBuf> {
    let bundle = library.bundle();
    if let Some(path) = own_copy(bundle, env::var_os(bundle.variable))? {
        eprintln!("{}: not fetched, {} is set to {}", bundle.title, bundle.variable, path.display());
        return Ok(path);
    }
    bundle.check_platform(env::consts::OS, env::consts::ARCH)?;
    let cache = user_cache()?;
    let root = install(bundle, &cache, &pip::download).with_context(|| format!("{} is not set up", bundle.title))?;
    eprintln!("{}: {}", bundle.title, root.display());
    Ok(bundle.entry_in(&root))
}

/// The copy that `value`, the content of the bundle's variable, names.
fn own_copy(bundle: &Bundle, value: Option<OsString>) -> Result<Option<PathBuf>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let path = absolute(&value)?;
    let proof = if bundle.proof.is_empty() { path.clone() } else { path.join(bundle.proof) };
    ensure!(
        proof.exists(),
        "{} is set to {}, but {} does not exist; correct it, or unset it and {} is fetched",
        bundle.variable,
        Path::new(&value).display(),
        proof.display(),
        bundle.title
    );
    Ok(Some(path))
}

/// The folder in which fetched things are kept.
///
/// # Errors
/// When no variable says where it is.
pub(crate) fn user_cache() -> Result<PathBuf> {
    cache_folder(|name| env::var_os(name))
}

fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let folder = cache::folder(variable).context(
        "none of PUVAE_CACHE, XDG_CACHE_HOME and HOME is set; set PUVAE_CACHE to a folder for the libraries",
    )?;
    Ok(absolute(folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_an_absolute_folder_or_an_error_that_says_what_to_set() {
        let set = |value: &'static str| move |name: &str| (name == "PUVAE_CACHE").then(|| value.into());
        assert_eq!(cache_folder(set("/c")).unwrap(), Path::new("/c"));
        assert!(cache_folder(set("c")).unwrap().is_absolute());
        let text = cache_folder(|_| None).unwrap_err().to_string();
        assert!(text.contains("none of PUVAE_CACHE, XDG_CACHE_HOME and HOME is set"), "{text}");
        assert!(text.contains("set PUVAE_CACHE to a folder for the libraries"), "{text}");
    }

    #[test]
    fn a_copy_of_ones_own_is_taken_when_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lib")).unwrap();
        let bundle = Library::Libtorch.bundle();
        assert_eq!(own_copy(bundle, Some(folder.path().into())).unwrap(), Some(folder.path().into()));
        assert_eq!(own_copy(bundle, Some("".into())).unwrap(), None);
        assert_eq!(own_copy(bundle, None).unwrap(), None);
    }

    #[test]
    fn a_variable_that_names_nothing_is_an_error_with_its_name() {
        let text = own_copy(Library::Onnxruntime.bundle(), Some("/no/lib.so".into())).unwrap_err().to_string();
        assert!(text.contains("ORT_DYLIB_PATH is set to /no/lib.so, but /no/lib.so does not exist"), "{text}");
    }
}
