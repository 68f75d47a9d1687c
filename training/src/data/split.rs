//! Labelled pictures, and the ways to take some of them.

use std::io::Read;
use std::ops::Range;

use puvae::model::hash::FileHash;
use tch::{Device, Kind, Tensor};

use crate::random::Draws;

/// Random stream of [`Split::sample`]: none that training draws from.
const SAMPLE_STREAM: u64 = u64::MAX;

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

    /// Shape of a picture: `[C, H, W]`.
    #[must_use]
    pub fn shape(&self) -> [i64; 3] {
        let (_, channels, height, width) = self.images.size4().expect("pictures are [N, C, H, W]");
        [channels, height, width]
    }

    /// The same images on `device`.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Split {
        Split { images: self.images.to_device(device), labels: self.labels.to_device(device) }
    }

    /// All images of `parts`, one part after the other.
    pub(super) fn cat(parts: &[Split]) -> Split {
        let images: Vec<&Tensor> = parts.iter().map(|part| &part.images).collect();
        let labels: Vec<&Tensor> = parts.iter().map(|part| &part.labels).collect();
        Split { images: Tensor::cat(&images, 0), labels: Tensor::cat(&labels, 0) }
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

    /// `count` images drawn by `seed`, in the order drawn; all of them in their own order, if there are no more. A smaller
    /// sample of the same seed is the beginning of a larger one that is not of all.
    #[must_use]
    pub fn sample(&self, count: usize, seed: u64) -> Split {
        if count >= self.len() {
            return self.shallow_clone();
        }
        self.subset(&permutation(self.len(), seed, SAMPLE_STREAM)[..count])
    }

    /// SHA-256 of the labels and the pictures, in order, as 64 hex digits: which images these are, however they came.
    #[must_use]
    pub fn sha256(&self) -> String {
        let labels = Vec::<i64>::try_from(self.labels.to_device(Device::Cpu)).expect("labels are whole numbers");
        let labels: Vec<u8> = labels.into_iter().flat_map(i64::to_le_bytes).collect();
        let pixels = self.images.to_device(Device::Cpu).flatten(0, -1);
        let pixels = Vec::<u8>::try_from(pixels).expect("pictures are bytes");
        FileHash::read(labels.as_slice().chain(&pixels[..])).expect("memory can be read").to_string()
    }

    pub(super) fn from(&self, start: usize) -> Split {
        let len = (self.len() - start) as i64;
        Split { images: self.images.narrow(0, start as i64, len), labels: self.labels.narrow(0, start as i64, len) }
    }
}

fn floats(bytes: &Tensor) -> Tensor {
    bytes.to_kind(Kind::Float) / 255.0
}

/// Consecutive ranges of at most `size` that cover `0..len`.
pub fn batches(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(size).map(move |start| start..(start + size).min(len))
}

/// `of` each batch of pictures `[N, C, H, W]`, without gradients, one behind the other.
pub(crate) fn by_batch(x: &Tensor, size: usize, of: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let parts: Vec<Tensor> = batches(x.size()[0] as usize, size)
        .map(|range| tch::no_grad(|| of(&x.narrow(0, range.start as i64, range.len() as i64))))
        .collect();
    Tensor::cat(&parts, 0)
}

/// A random permutation of `0..len` (Fisher–Yates), the same for the same seed and stream.
#[must_use]
pub fn permutation(len: usize, seed: u64, stream: u64) -> Vec<i64> {
    let mut draws = Draws::new(seed, stream);
    let mut indices: Vec<i64> = (0..len as i64).collect();
    for last in (1..len).rev() {
        indices.swap(last, draws.below(last as u64 + 1) as usize);
    }
    indices
}
