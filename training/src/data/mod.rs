//! Data sets: images to train on, images held out of the training files for every choice, and the test files for
//! reporting only.
//!
//! A data set is a folder. What is in it says how it is read: four IDX files, CIFAR-10's binary version, or one
//! folder of pictures for each class.

mod cifar;
mod idx_files;
mod known;
mod pictures;
pub mod publisher;
mod split;

use std::path::Path;

use anyhow::{Result, bail, ensure};
use tch::Device;

pub(crate) use split::by_batch;
pub use split::{Batch, Split, batches, permutation};

/// Images kept back from training, for choices and thresholds; a fifth of the training files where these are fewer
/// than 40,000.
pub const HELD_OUT: usize = 10_000;

/// The size that pictures in folders are brought to.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Shape {
    /// Side of the square that pictures in folders are resized to, in pixels [default: 32].
    #[arg(long)]
    pub side: Option<i64>,
    /// Channels that pictures in folders are converted to: 1 for grey, 3 for colour [default: 3].
    #[arg(long)]
    pub channels: Option<i64>,
}

/// A data set in its three parts.
#[derive(Debug)]
pub struct DataSet {
    /// Name of its folder.
    pub name: String,
    /// Class names in the order of the labels.
    pub classes: Vec<String>,
    /// 1 (grey) or 3 (RGB).
    pub channels: i64,
    /// Side of the square pictures, in pixels.
    pub side_px: i64,
    /// For training.
    pub train: Split,
    /// Of the training files, for choices: the last [`HELD_OUT`] of the published sets, as many of other IDX files, or the last fifth of
    /// each class's pictures.
    pub held_out: Split,
    /// For reporting only.
    pub test: Split,
}

/// What a folder holds, as its format delivers it.
struct Contents {
    classes: Vec<String>,
    train: Split,
    held_out: Split,
    test: Split,
}

impl DataSet {
    /// Reads the folder `root/name`.
    ///
    /// # Errors
    /// When there is no such data set, a file is missing or broken, pictures are not square, a label has no class,
    /// or there are too few images to hold any back.
    pub fn load(root: &Path, name: &str, shape: Shape, device: Device) -> Result<Self> {
        let folder = root.join(name);
        let contents = if idx_files::are_in(&folder) {
            shape.refuse(&folder)?;
            idx_files::read(&folder, name)?
        } else if let Some(folder) = cifar::find(&folder) {
            shape.refuse(&folder)?;
            cifar::read(&folder)?
        } else if pictures::are_in(&folder) {
            pictures::read(&folder, shape)?
        } else {
            bail!("{}", nothing_in(root, &folder, name));
        };
        let Contents { classes, train, held_out, test } = contents;
        ensure!(
            train.shape() == test.shape(),
            "{}: training pictures of {:?} (channels, height, width), test pictures of {:?}; expected one size; fetch the data set again",
            folder.display(),
            train.shape(),
            test.shape()
        );
        let [channels, side_px, _] = train.shape();
        Ok(Self {
            name: name.into(),
            classes,
            channels,
            side_px,
            train: train.to_device(device),
            held_out: held_out.to_device(device),
            test: test.to_device(device),
        })
    }

    /// The same images, sharing their storage.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        let Self { name, classes, channels, side_px, train, held_out, test } = self;
        Self {
            name: name.clone(),
            classes: classes.clone(),
            channels: *channels,
            side_px: *side_px,
            train: train.shallow_clone(),
            held_out: held_out.shallow_clone(),
            test: test.shallow_clone(),
        }
    }

    /// Whether there is only one form to read it in. A set that comes in several has other images held out in each.
    pub(crate) fn has_one_form(&self) -> bool {
        known::idx_classes(&self.name).is_some()
    }

    /// Number of classes K.
    #[must_use]
    pub fn class_count(&self) -> i64 {
        self.classes.len() as i64
    }
}

impl Shape {
    fn refuse(self, folder: &Path) -> Result<()> {
        ensure!(
            self.side.is_none() && self.channels.is_none(),
            "{}: --side and --channels are for folders of pictures; this data set has its size, leave them out",
            folder.display()
        );
        Ok(())
    }
}

fn nothing_in(root: &Path, folder: &Path, name: &str) -> String {
    let entries = std::fs::read_dir(root).map(|entries| {
        let folders = entries.flatten().filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names.join(", ")
    });
    let there = match entries {
        Err(error) => format!("{}: {error}", root.display()),
        Ok(names) if names.is_empty() => format!("{} has no folders", root.display()),
        Ok(names) => format!("{} has the folders {names}", root.display()),
    };
    format!(
        "{}: no data set here; expected train-images-idx3-ubyte[.gz] and its three companions, data_batch_1.bin to data_batch_5.bin with test_batch.bin, or train/CLASS and test/CLASS folders of pictures ({there}); `puvae-train data --fetch` gets {}, and --data names the folder above",
        folder.display(),
        if known::is_known(name) { name } else { "mnist, fashion-mnist and cifar10" }
    )
}

/// Of `count` training images in the order of their files, how many are for training; the others are held out.
fn trained_on(folder: &Path, count: usize) -> Result<usize> {
    let held_out = if count >= 4 * HELD_OUT { HELD_OUT } else { count / 5 };
    ensure!(
        held_out > 0,
        "{}: {count} training images, expected at least 5: a fifth is held out for choices",
        folder.display()
    );
    Ok(count - held_out)
}
