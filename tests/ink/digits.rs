//! Clean MNIST digits, and what preprocessing makes of sheets with them.

use std::path::{Path, PathBuf};

use image::GrayImage;
use puvae::idx::{self, Images};
use puvae::model::spec::InputShape;
use puvae::preprocess::{Picture, PixelFormat, Prep, Preprocessor};

pub(crate) const SHAPE: InputShape = InputShape { channels: 1, height: 28, width: 28 };

/// Names a pair `IMAGES,LABELS` of IDX files that are taken instead of the repository's.
const OTHERS: &str = "PUVAE_INK_DIGITS";

pub(crate) fn in_repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The first 500 of MNIST's test digits, with their labels; or others, to try preprocessing on.
pub(crate) fn digits() -> (Images, Vec<u8>) {
    let (images, labels) = match std::env::var(OTHERS) {
        Ok(pair) => {
            let (images, labels) = pair.split_once(',').unwrap_or_else(|| panic!("{OTHERS} is IMAGES,LABELS: {pair}"));
            (images.into(), labels.into())
        }
        Err(_) => {
            let file = |ending: &str| in_repository(&format!("examples/frames/mnist-digits-{ending}.gz"));
            (file("images.idx3-ubyte"), file("labels.idx1-ubyte"))
        }
    };
    idx::read_labelled(&images, &labels).unwrap_or_else(|error| panic!("{error}"))
}

/// What `--prep ink` makes of a photograph.
pub(crate) fn ink(preprocessor: &mut Preprocessor, photograph: &GrayImage) -> Vec<f32> {
    let (width, height) = (photograph.width() as usize, photograph.height() as usize);
    let picture = Picture { width, height, format: PixelFormat::Gray8, pixels: photograph.as_raw() };
    let mut tensor = vec![f32::NAN; SHAPE.pixels()];
    preprocessor.apply(&picture, &mut tensor).unwrap_or_else(|error| panic!("{error}"));
    tensor
}

pub(crate) fn preprocessor() -> Preprocessor {
    Preprocessor::new(Prep::Ink, SHAPE)
}
