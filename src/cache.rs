//! Where `cargo xtask` keeps what it has fetched, and the program looks for ONNX Runtime.

use std::ffi::OsString;
use std::path::PathBuf;

/// `$PUVAE_CACHE`, or `puvae` in the user's cache folder; `None` where no variable says where that is.
///
/// `variable` tells the value of an environment variable, as `std::env::var_os` does.
#[must_use]
pub fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    path("PUVAE_CACHE")
        .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("puvae")))
        .or_else(|| path("HOME").map(|home| home.join(".cache/puvae")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_cache_is_found_by_the_first_variable_that_says_something() {
        let found = |set: &[(&str, &str)]| {
            folder(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        let home = ("HOME", "/home/me");
        assert_eq!(found(&[("PUVAE_CACHE", "/c"), ("XDG_CACHE_HOME", "/x"), home]).as_deref(), Some(Path::new("/c")));
        let empty = ("PUVAE_CACHE", "");
        assert_eq!(found(&[empty, ("XDG_CACHE_HOME", "/x"), home]).as_deref(), Some(Path::new("/x/puvae")));
        assert_eq!(found(&[home]).as_deref(), Some(Path::new("/home/me/.cache/puvae")));
        assert_eq!(found(&[]), None);
    }
}
