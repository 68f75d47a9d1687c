//! A data set small enough for tests: each class is a bright square in a place of its own, under noise.

use puvae_training::data::{Split, permutation};
use tch::{Device, Kind, Tensor};

/// `count` pictures of 28×28 bytes in `classes` classes, the same for the same seed.
pub(crate) fn squares(count: i64, classes: i64, seed: u64) -> Split {
    let labels = Tensor::arange(count, (Kind::Int64, Device::Cpu)).remainder(classes);
    let noise: Vec<i64> = permutation((count * 784) as usize, seed, 9);
    let images = Tensor::from_slice(&noise).remainder(100).reshape([count, 1, 28, 28]);
    for image in 0..count {
        let class = image % classes;
        let mut square = images.get(image).narrow(1, 2 + 6 * (class / 4), 5).narrow(2, 2 + 6 * (class % 4), 5);
        let _ = square.fill_(220);
    }
    Split::new(images.to_kind(Kind::Uint8), labels)
}
