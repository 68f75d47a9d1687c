//! Makes a folder in the cache, so that it is either whole or not there.
//!
//! All work is done in a temporary folder beside the target, under a file lock; the last step is a rename. A killed
//! run leaves a temporary folder, which the next one removes; two runs at once wait for each other.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use puvae::model::hash::FileHash;

use crate::bundle::{Bundle, Wheel};
use crate::unpack::{bar, unpack};

/// Downloads a wheel into a folder and says where it lies.
pub(crate) type Download<'a> = dyn Fn(&Wheel, &Path) -> Result<PathBuf> + 'a;

/// Makes sure that `cache` holds the bundle; the bundle's folder. When it is there, nothing is touched.
///
/// # Errors
/// When a download fails or has another hash, or the cache cannot be written. Nothing is left half-made.
pub(crate) fn install(bundle: &Bundle, cache: &Path, download: &Download) -> Result<PathBuf> {
    let place = Place { title: bundle.title, size: bundle.download_size, folder: &bundle.folder(), cache };
    place.fill(|root| bundle.is_whole(root), |staging| assemble(bundle, staging, download))
}

/// A folder in the cache, and what people are told of it.
pub(crate) struct Place<'a> {
    /// The name and version of what is in it.
    pub(crate) title: &'a str,
    /// How much is downloaded for it.
    pub(crate) size: &'a str,
    /// Its name: another version is another folder.
    pub(crate) folder: &'a str,
    /// Where it is.
    pub(crate) cache: &'a Path,
}

impl Place<'_> {
    /// The folder, whole: left alone where it `is_whole`, else what `make` leaves in the staging folder it is given.
    ///
    /// # Errors
    /// Those of `make`, or when the cache cannot be written. Nothing is left half-made.
    pub(crate) fn fill(
        &self,
        is_whole: impl Fn(&Path) -> bool,
        make: impl FnOnce(&Path) -> Result<PathBuf>,
    ) -> Result<PathBuf> {
        let target = self.cache.join(self.folder);
        if is_whole(&target) {
            return Ok(target);
        }
        fs::create_dir_all(self.cache)
            .with_context(|| format!("{}: cannot make the cache folder", self.cache.display()))?;
        let _lock = self.lock()?;
        if is_whole(&target) {
            return Ok(target);
        }
        self.remove_leftovers()?;
        eprintln!("{}: fetching {} into {}", self.title, self.size, target.display());
        let staging = tempfile::Builder::new()
            .prefix(&self.staging_prefix())
            .tempdir_in(self.cache)
            .with_context(|| format!("{}: cannot make a temporary folder", self.cache.display()))?;
        let tree = make(staging.path())?;
        if target.exists() {
            fs::remove_dir_all(&target).with_context(|| format!("{}: incomplete; cannot remove", target.display()))?;
        }
        fs::rename(&tree, &target).with_context(|| format!("{}: cannot move into place", target.display()))?;
        Ok(target)
    }

    /// Held while the folder is made; the system lets go of it even when the process is killed.
    fn lock(&self) -> Result<File> {
        let path = self.cache.join(self.lock_name());
        let file = File::create(&path).with_context(|| format!("{}: cannot make the lock file", path.display()))?;
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                eprintln!("{}: waiting for another process that is fetching it", self.title);
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        locked
            .with_context(|| format!("{}: cannot lock; set PUVAE_CACHE to a folder on a local disk", path.display()))?;
        Ok(file)
    }

    fn lock_name(&self) -> String {
        format!(".{}.lock", self.folder)
    }

    fn staging_prefix(&self) -> String {
        format!(".{}.partial-", self.folder)
    }

    /// Removes what a killed run left; the lock is held, so nobody works there.
    fn remove_leftovers(&self) -> Result<()> {
        let prefix = self.staging_prefix();
        for entry in fs::read_dir(self.cache).with_context(|| format!("{}: cannot list", self.cache.display()))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let path = entry.path();
                fs::remove_dir_all(&path).with_context(|| format!("{}: cannot remove", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Fetches, checks and unpacks every wheel; the finished folder, still inside `staging`.
fn assemble(bundle: &Bundle, staging: &Path, download: &Download) -> Result<PathBuf> {
    let tree = staging.join("tree");
    for wheel in bundle.wheels {
        let file = download(wheel, staging)?;
        check_hash(&file, wheel, bundle)?;
        unpack(&file, wheel.keep, &tree)?;
        fs::remove_file(&file).with_context(|| format!("{}: cannot remove", file.display()))?;
    }
    for (link, to) in bundle.links {
        std::os::unix::fs::symlink(to, tree.join(link)).with_context(|| format!("{link}: cannot link to {to}"))?;
    }
    for (name, text) in bundle.texts {
        fs::write(tree.join(name), text).with_context(|| format!("{name}: cannot write"))?;
    }
    ensure!(
        bundle.is_whole(&tree),
        "{}: something is missing after unpacking; expected {:?}",
        bundle.title,
        bundle.needs
    );
    Ok(tree)
}

fn check_hash(file: &Path, wheel: &Wheel, bundle: &Bundle) -> Result<()> {
    let got = sha256(file).with_context(|| format!("{}: cannot read", file.display()))?;
    ensure!(
        got == wheel.sha256,
        "{}, as pip fetched it, is not the pinned file\n  expected sha256 {}\n  got      sha256 {got}\n\
         It was removed again. If it was damaged on the way, running this once more helps; if the package index holds \
         another build of {} {}, get the library yourself and set {} to it",
        file.file_name().unwrap_or_default().display(),
        wheel.sha256,
        wheel.package,
        wheel.version,
        bundle.variable
    );
    Ok(())
}

fn sha256(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let bar = bar(file.metadata()?.len(), "verify");
    let hash = FileHash::read(bar.wrap_read(file))?;
    bar.finish_and_clear();
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Keep;
    use anyhow::bail;
    use std::io::Write;
    use zip::write::{SimpleFileOptions, ZipWriter};

    /// The bytes of a tiny wheel: a header, a library, and something nobody needs.
    fn wheel_bytes() -> Vec<u8> {
        let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, text) in [("pkg/include/a/b.h", "header"), ("pkg/lib.so", "library"), ("pkg/huge.so", "unneeded")] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn bundle(wheel: &[u8]) -> Bundle {
        let wheel = Wheel {
            package: "pkg",
            version: "1.0",
            platform: "any",
            sha256: FileHash::of(wheel).to_string().leak(),
            keep: &[Keep { from: "pkg/include/", to: "include/" }, Keep { from: "pkg/lib.so", to: "lib/lib.so" }],
        };
        Bundle {
            title: "Pkg 1.0",
            download_size: "1 kB",
            variable: "PKG_HOME",
            entry: "",
            proof: "",
            stem: "pkg-1.0",
            wheels: vec![wheel].leak(),
            links: &[("lib/link.so", "lib.so")],
            texts: &[("build-version", "1.0\n")],
            needs: &["lib/lib.so", "lib/link.so", "build-version", "include/a/b.h"],
        }
    }

    fn lock_name(bundle: &Bundle) -> String {
        format!(".{}.lock", bundle.folder())
    }

    fn deliver(bytes: &[u8]) -> impl Fn(&Wheel, &Path) -> Result<PathBuf> {
        move |wheel, staging| {
            let path = staging.join(format!("{}.whl", wheel.package));
            fs::write(&path, bytes)?;
            Ok(path)
        }
    }

    fn names_in(cache: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_is_needed_is_kept_and_nothing_else_is_left() {
        let (bytes, cache) = (wheel_bytes(), tempfile::tempdir().unwrap());
        let bundle = bundle(&bytes);
        let root = install(&bundle, cache.path(), &deliver(&bytes)).unwrap();
        assert_eq!(fs::read_to_string(root.join("include/a/b.h")).unwrap(), "header");
        assert_eq!(fs::read_to_string(root.join("lib/link.so")).unwrap(), "library");
        assert_eq!(names_in(&root), ["build-version", "include", "lib"]);
        assert_eq!(names_in(cache.path()), [lock_name(&bundle), bundle.folder()]);
    }

    #[test]
    fn a_second_call_downloads_and_touches_nothing() {
        let (bytes, cache) = (wheel_bytes(), tempfile::tempdir().unwrap());
        let bundle = bundle(&bytes);
        let root = install(&bundle, cache.path(), &deliver(&bytes)).unwrap();
        let changed = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        let before = (changed(cache.path()), changed(&root), changed(&root.join("lib/lib.so")));
        let again = install(&bundle, cache.path(), &|_, _| bail!("downloaded again")).unwrap();
        assert_eq!(again, root);
        assert_eq!((changed(cache.path()), changed(&root), changed(&root.join("lib/lib.so"))), before);
    }

    #[test]
    fn another_hash_is_refused_with_both_hashes_and_a_way_out() {
        let (bytes, cache) = (wheel_bytes(), tempfile::tempdir().unwrap());
        let bundle = bundle(&bytes);
        let text = install(&bundle, cache.path(), &deliver(&bytes[1..])).unwrap_err().to_string();
        let got = FileHash::of(&bytes[1..]);
        assert!(text.starts_with("pkg.whl, as pip fetched it, is not the pinned file"), "{text}");
        assert!(text.contains(&format!("expected sha256 {}\n", bundle.wheels[0].sha256)), "{text}");
        assert!(text.contains(&format!("got      sha256 {got}\n")), "{text}");
        assert!(text.contains("set PKG_HOME to it"), "{text}");
        assert_eq!(names_in(cache.path()), [lock_name(&bundle)]);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_not_taken_for_whole() {
        let (bytes, cache) = (wheel_bytes(), tempfile::tempdir().unwrap());
        let bundle = bundle(&bytes);
        let leftover = cache.path().join(format!(".{}.partial-abc", bundle.folder()));
        fs::create_dir_all(leftover.join("tree/lib")).unwrap();
        fs::write(leftover.join("tree/lib/lib.so"), "half").unwrap();
        let half_made = cache.path().join(bundle.folder()).join("lib");
        fs::create_dir_all(&half_made).unwrap();
        fs::write(half_made.join("lib.so"), "half").unwrap();
        let root = install(&bundle, cache.path(), &deliver(&bytes)).unwrap();
        assert_eq!(fs::read_to_string(root.join("lib/lib.so")).unwrap(), "library");
        assert!(!leftover.exists());
    }

    #[test]
    fn a_failed_download_leaves_nothing_that_looks_whole() {
        let (bytes, cache) = (wheel_bytes(), tempfile::tempdir().unwrap());
        let bundle = bundle(&bytes);
        let text = install(&bundle, cache.path(), &|_, _| bail!("no network")).unwrap_err().to_string();
        assert_eq!(text, "no network");
        assert_eq!(names_in(cache.path()), [lock_name(&bundle)]);
        install(&bundle, cache.path(), &deliver(&bytes)).unwrap();
    }

    #[test]
    fn a_wheel_without_the_library_is_named_with_what_it_lacks() {
        let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
        zip.start_file("pkg/include/a/b.h", SimpleFileOptions::default()).unwrap();
        let (bytes, cache) = (zip.finish().unwrap().into_inner(), tempfile::tempdir().unwrap());
        let error = install(&bundle(&bytes), cache.path(), &deliver(&bytes)).unwrap_err();
        assert!(format!("{error:#}").contains("expected pkg/lib.so inside, found nothing"), "{error:#}");
    }

    #[test]
    fn two_at_once_download_once() {
        let (bytes, cache) = (wheel_bytes(), tempfile::tempdir().unwrap());
        let bundle = bundle(&bytes);
        let downloads = std::sync::atomic::AtomicUsize::new(0);
        let counted = |wheel: &Wheel, staging: &Path| {
            downloads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            deliver(&bytes)(wheel, staging)
        };
        std::thread::scope(|scope| {
            let both = [0; 2].map(|_| scope.spawn(|| install(&bundle, cache.path(), &counted).map(drop)));
            for one in both {
                one.join().unwrap().unwrap();
            }
        });
        assert_eq!(downloads.into_inner(), 1);
        assert!(bundle.is_whole(&cache.path().join(bundle.folder())));
    }
}
