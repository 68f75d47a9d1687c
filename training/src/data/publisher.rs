//! Fetching the published data sets: each file from its publisher, checked against its hash before it is put in place.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use puvae::model::hash::FileHash;

use super::cifar;
use crate::files;
use crate::progress;

/// A file at its publisher.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Folder of the file at the publisher, without a slash at the end.
    pub base: String,
    /// Name of the file, there and here.
    pub file: String,
    /// What is hashed: the file as it is, or, where copies are compressed differently, what it unpacks to.
    pub hashed: Hashed,
    /// SHA-256 of that, 64 hex digits.
    pub sha256: String,
}

/// What a hash is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashed {
    /// The gzip file's content.
    Unpacked,
    /// The tar.gz file itself, which is unpacked where it lies.
    Archive,
}

const MNIST: &str = "https://ossci-datasets.s3.amazonaws.com/mnist";
const FASHION_MNIST: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";
const CIFAR10: &str = "https://www.cs.toronto.edu/~kriz";

/// The files of a published data set: `mnist`, `fashion-mnist` or `cifar10`.
///
/// # Errors
/// When there is no such set; the error names those there are.
pub fn published(name: &str) -> Result<Vec<Remote>> {
    let idx = |base: &str, hashes: [&str; 4]| {
        let files = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];
        let remotes = files.iter().zip(hashes).map(|(file, sha256)| Remote {
            base: base.into(),
            file: format!("{file}-ubyte.gz"),
            hashed: Hashed::Unpacked,
            sha256: sha256.into(),
        });
        remotes.collect()
    };
    Ok(match name {
        "mnist" => idx(
            MNIST,
            [
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ],
        ),
        "fashion-mnist" => idx(
            FASHION_MNIST,
            [
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ],
        ),
        "cifar10" => vec![Remote {
            base: CIFAR10.into(),
            file: "cifar-10-binary.tar.gz".into(),
            hashed: Hashed::Archive,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd".into(),
        }],
        other => {
            bail!("{other}: not a published data set that is known here; expected mnist, fashion-mnist or cifar10")
        }
    })
}

/// Fetches what is missing into `folder`. Files that are there already, packed or not, are checked, not fetched; of CIFAR-10 unpacked files are
/// taken as they are, since only the archive has a hash. One that is not what its publisher published is never put in place.
///
/// # Errors
/// When a file cannot be fetched or has another hash; the error says how to place it by hand.
pub fn fetch(folder: &Path, remotes: &[Remote]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot create the folder", folder.display()))?;
    remotes.iter().try_for_each(|remote| remote.fetch(folder))
}

impl Remote {
    fn url(&self) -> String {
        format!("{}/{}", self.base, self.file)
    }

    fn fetch(&self, folder: &Path) -> Result<()> {
        let packed = folder.join(&self.file);
        let unpacked = packed.with_extension("");
        if self.hashed == Hashed::Archive && !packed.exists() && cifar::find(folder).is_some() {
            eprintln!(
                "note: {}: unpacked there already; not checked, the archive's hash tells nothing of it",
                folder.display()
            );
            return Ok(());
        }
        let placed = self.hashed == Hashed::Unpacked && unpacked.exists();
        for (path, packed) in [(&unpacked, false), (&packed, true)] {
            if path.exists() && (packed || placed) {
                self.check(path, packed)
                    .with_context(|| format!("{}: there already; remove it to fetch it", path.display()))?;
            }
        }
        if !packed.exists() && !placed {
            let fetched = files::replace_with(&packed, |partial| {
                self.download(partial)?;
                self.check(partial, true).with_context(|| self.url())
            });
            fetched.with_context(|| self.by_hand(folder))?;
        }
        match self.hashed {
            Hashed::Unpacked => Ok(()),
            Hashed::Archive => unpack(&packed, folder),
        }
    }

    fn download(&self, to: &Path) -> Result<()> {
        let url = self.url();
        let response = ureq::get(&url).call().with_context(|| format!("{url}: cannot fetch"))?;
        let bytes = response.body().content_length().unwrap_or(0);
        let bar = progress::bar(&self.file, bytes as usize);
        let mut file = File::create(to)?;
        std::io::copy(&mut bar.wrap_read(response.into_body().into_reader()), &mut file)
            .with_context(|| format!("{url}: the connection broke off"))?;
        bar.finish_and_clear();
        eprintln!("{url}: {} bytes", file.metadata()?.len());
        Ok(())
    }

    fn check(&self, path: &Path, packed: bool) -> Result<()> {
        let file = BufReader::new(File::open(path)?);
        let sha256 = match self.hashed {
            Hashed::Unpacked if packed => FileHash::read(GzDecoder::new(file)),
            Hashed::Unpacked | Hashed::Archive => FileHash::read(file),
        };
        let sha256 = sha256.with_context(|| format!("{}: not a whole gzip file", self.file))?.to_string();
        ensure!(sha256 == self.sha256, "its content has SHA-256 {sha256}, expected {}", self.sha256);
        Ok(())
    }

    fn by_hand(&self, folder: &Path) -> String {
        let of = match self.hashed {
            Hashed::Unpacked => "unpacked content",
            Hashed::Archive => "archive",
        };
        format!(
            "{} was not fetched; get it on another machine and put it at {} (SHA-256 of the {of}: {}), then run this again",
            self.url(),
            folder.join(&self.file).display(),
            self.sha256
        )
    }
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let unpacked = || -> Result<PathBuf> {
        tar::Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?))).unpack(folder)?;
        Ok(folder.into())
    };
    unpacked().map(drop).with_context(|| format!("{}: cannot unpack", archive.display()))
}
