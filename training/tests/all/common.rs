//! What several files of tests need: a data set small enough, what learns from it, and turns.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use puvae::idx::{Images, write_images, write_labels};
use puvae_training::classifier::{Classifier, ClassifierTask};
use puvae_training::data::{DataSet, Split, permutation};
use puvae_training::fit::Task as _;
use puvae_training::optim::Adam;
use tch::{Device, Kind, Tensor};

/// libtorch has one random stream for the whole process, so tests that seed it or draw from it take turns.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) fn my_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each class is a bright square in a place of its own, under noise: `count` pictures of 28×28 bytes in `classes` classes, the same for the same seed.
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

/// The squares as a data set, for training, held out and for testing.
pub(crate) fn data_set(classes: i64, train: Split, held_out: Split, test: Split) -> DataSet {
    let names = (0..classes).map(|class| class.to_string()).collect();
    DataSet { name: "squares".into(), classes: names, channels: 1, side_px: 28, train, held_out, test }
}

/// Writes pictures and labels as `PREFIX-images-idx3-ubyte.gz` and `PREFIX-labels-idx1-ubyte.gz`.
pub(crate) fn write_idx(folder: &Path, prefix: &str, split: &Split) {
    let batch = split.all();
    let pixels = Vec::try_from(&(batch.x * 255.0).round().to_kind(Kind::Uint8).reshape([-1])).unwrap();
    let images = Images { count: split.len(), height: 28, width: 28, pixels };
    write_images(&folder.join(format!("{prefix}-images-idx3-ubyte.gz")), &images).unwrap();
    let labels: Vec<u8> = Vec::try_from(&batch.y.to_kind(Kind::Uint8)).unwrap();
    write_labels(&folder.join(format!("{prefix}-labels-idx1-ubyte.gz")), &labels).unwrap();
}

/// So many steps of training on squares of a classifier's classes: few, so that it errs.
pub(crate) fn learn_squares(classifier: &Classifier, steps: u32) {
    let data = squares(64, classifier.config.classes, 1);
    tch::manual_seed(1);
    let mut adam = Adam::new(&classifier.params);
    for _ in 0..steps {
        let task = ClassifierTask { classifier, held_out: &data };
        adam.step(&task.loss(&data.all()).0, 3e-3);
    }
}
