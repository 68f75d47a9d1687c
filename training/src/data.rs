//! Data sets: 50,000 images to train on, the other 10,000 of the training files for every choice, the test
//! files for reporting only.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use puvae::idx;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Images kept back from training, for choices and thresholds.
pub const HELD_OUT: usize = 10_000;

/// Random stream of [`Split::sample`]: none that training draws from.
const SAMPLE_STREAM: u64 = u64::MAX;

/// A data set by name; the name is also its folder under `--data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// Handwritten digits.
    Mnist,
    /// Articles of clothing.
    FashionMnist,
}

impl Name {
    /// The folder's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
        }
    }

    /// Class names in the order of the labels.
    #[must_use]
    pub fn classes(self) -> Vec<String> {
        let names: [&str; 10] = match self {
            Self::Mnist => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::FashionMnist => [
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
        };
        names.map(String::from).to_vec()
    }
}

/// Images with labels; bytes in memory, floats only a batch at a time.
#[derive(Debug)]
pub struct Split {
    images: Tensor, // [N, C, H, W] u8
    labels: Tensor, // [N] i64
}

/// A batch: pictures in `[0, 1]` and their labels.
#[derive(Debug)]
pub struct Batch {
    /// `[N, C, H, W]` f32.
    pub x: Tensor,
    /// `[N]` i64.
    pub y: Tensor,
}

impl Split {
    /// Pictures `[N, C, H, W]` of bytes with their labels `[N]` i64.
    ///
    /// # Panics
    /// When there are not as many labels as pictures.
    #[must_use]
    pub fn new(images: Tensor, labels: Tensor) -> Self {
        assert_eq!(images.size()[0], labels.size()[0], "as many labels as pictures");
        Self { images, labels }
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.numel()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Images `range`, in order.
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> Batch {
        let (start, len) = (range.start as i64, range.len() as i64);
        Batch { x: floats(&self.images.narrow(0, start, len)), y: self.labels.narrow(0, start, len) }
    }

    /// The images of these indices, in this order.
    #[must_use]
    pub fn select(&self, indices: &[i64]) -> Batch {
        self.subset(indices).all()
    }

    /// All labels, `[N]` i64.
    pub fn labels(&self) -> Tensor {
        self.labels.shallow_clone()
    }

    /// Where the images live.
    #[must_use]
    pub fn device(&self) -> Device {
        self.labels.device()
    }

    /// Every image, in order.
    #[must_use]
    pub fn all(&self) -> Batch {
        self.range(0..self.len())
    }

    /// A split of the images of these indices, in this order.
    #[must_use]
    pub fn subset(&self, indices: &[i64]) -> Split {
        let index = Tensor::from_slice(indices).to_device(self.labels.device());
        Split { images: self.images.index_select(0, &index), labels: self.labels.index_select(0, &index) }
    }

    /// The first `count` images (all, if there are fewer).
    #[must_use]
    pub fn first(&self, count: usize) -> Split {
        let count = count.min(self.len()) as i64;
        Split { images: self.images.narrow(0, 0, count), labels: self.labels.narrow(0, 0, count) }
    }

    /// The same images, sharing their storage.
    #[must_use]
    pub fn shallow_clone(&self) -> Split {
        Split { images: self.images.shallow_clone(), labels: self.labels.shallow_clone() }
    }

    /// `count` images drawn by `seed`, in the order drawn; all of them in order, if there are no more. A smaller
    /// sample of the same seed is the beginning of a larger one.
    #[must_use]
    pub fn sample(&self, count: usize, seed: u64) -> Split {
        if count >= self.len() {
            return self.shallow_clone();
        }
        self.subset(&permutation(self.len(), seed, SAMPLE_STREAM)[..count])
    }

    fn from(&self, start: usize) -> Split {
        let len = (self.len() - start) as i64;
        Split { images: self.images.narrow(0, start as i64, len), labels: self.labels.narrow(0, start as i64, len) }
    }
}

fn floats(bytes: &Tensor) -> Tensor {
    bytes.to_kind(Kind::Float) / 255.0
}

/// A data set in its three parts.
#[derive(Debug)]
pub struct DataSet {
    /// Which one.
    pub name: Name,
    /// For training.
    pub train: Split,
    /// The last [`HELD_OUT`] images of the training files.
    pub held_out: Split,
    /// For reporting only.
    pub test: Split,
    /// Side of the square pictures, in pixels.
    pub side_px: i64,
}

impl DataSet {
    /// Reads `root/<name>/{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]`.
    ///
    /// # Errors
    /// When a file is missing or broken, pictures are not square, a label has no class, or there are too few
    /// images to hold any back.
    pub fn load(root: &Path, name: Name, device: Device) -> Result<Self> {
        let folder = root.join(name.as_str());
        let (train, side_px) = load_split(&folder, "train", name, device)?;
        let (test, test_side_px) = load_split(&folder, "t10k", name, device)?;
        if side_px != test_side_px {
            bail!(
                "{}: training pictures of {side_px} pixels a side, test pictures of {test_side_px}; expected one size; fetch the data set again",
                folder.display()
            );
        }
        if train.len() <= HELD_OUT {
            bail!(
                "{}: {} training images, expected more than the {HELD_OUT} that are held out for choices",
                folder.display(),
                train.len()
            );
        }
        let count = train.len() - HELD_OUT;
        Ok(Self { name, train: train.first(count), held_out: train.from(count), test, side_px })
    }
}

fn load_split(folder: &Path, prefix: &str, name: Name, device: Device) -> Result<(Split, i64)> {
    let images_path = find(folder, &format!("{prefix}-images-idx3-ubyte"))?;
    let labels_path = find(folder, &format!("{prefix}-labels-idx1-ubyte"))?;
    let (images, labels) = idx::read_labelled(&images_path, &labels_path)?;
    if images.height != images.width {
        bail!("{}: pictures of {}×{} pixels, expected square ones", images_path.display(), images.height, images.width);
    }
    let classes = name.classes().len();
    if let Some(at) = labels.iter().position(|&label| usize::from(label) >= classes) {
        bail!("{}: label {} at index {at}, expected 0 to {}", labels_path.display(), labels[at], classes - 1);
    }
    let side_px = images.height as i64;
    let pixels = Tensor::from_slice(&images.pixels).reshape([images.count as i64, 1, side_px, side_px]);
    let labels = Tensor::from_slice(&labels).to_kind(Kind::Int64);
    Ok((Split { images: pixels.to_device(device), labels: labels.to_device(device) }, side_px))
}

fn find(folder: &Path, file: &str) -> Result<PathBuf> {
    [folder.join(file), folder.join(format!("{file}.gz"))].into_iter().find(|path| path.exists()).with_context(|| {
        format!(
            "{}: found neither {file} nor {file}.gz; point --data at the folder that holds the data sets' folders",
            folder.display()
        )
    })
}

/// Consecutive ranges of at most `size` that cover `0..len`.
pub fn batches(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(size).map(move |start| start..(start + size).min(len))
}

/// A random permutation of `0..len` (Fisher–Yates), the same for the same seed and stream.
#[must_use]
pub fn permutation(len: usize, seed: u64, stream: u64) -> Vec<i64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut indices: Vec<i64> = (0..len as i64).collect();
    for last in (1..len).rev() {
        // The bias of `%` is below 2⁻⁴⁰ here.
        indices.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    indices
}
