//! Picture to tensor: size, colour, scale. The same code for the pipeline and for evaluating models in training.
//!
//! - **Size**: stretched to the model's size with a triangle filter as wide as the reduction, so that shrinking
//!   averages instead of skipping pixels. A picture that has the size already is not filtered.
//! - **Colour**: RGB to grey by the luma of ITU-R BT.601, `0.299 R + 0.587 G + 0.114 B`; grey to RGB by repeating.
//! - **Scale**: bytes 0–255 to `[0, 1]`. Mean and standard deviation are the models' own business.
//!
//! [`Prep::Ink`] does more: it looks for dark writing on paper, and makes of it what MNIST would have made.

mod filter;
mod ink;
mod region;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::spec::InputShape;
use crate::names::{self, UnknownName};
use filter::Filter;
use ink::Ink;
pub use region::{Region, RegionError};

/// ITU-R BT.601 weights of red, green and blue in the luma.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// How pictures become tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Prep {
    /// Size, colour and scale, nothing else.
    #[default]
    Plain,
    /// Dark writing on paper: found, whatever the light, and turned into light strokes on black, scaled and centred as
    /// MNIST's digits are. All black where nothing is written. With three channels, three equal ones.
    Ink,
}

impl fmt::Display for Prep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for Prep {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        names::parse(text, "preprocessing", "plain (size, colour and scale) or ink (dark writing on paper)")
    }
}

/// What a picture's bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelFormat {
    /// One byte a pixel, 0 black and 255 white.
    Gray8,
    /// Three bytes a pixel: red, green, blue.
    Rgb8,
}

impl PixelFormat {
    /// Bytes a pixel.
    #[must_use]
    pub fn channels(self) -> usize {
        match self {
            Self::Gray8 => 1,
            Self::Rgb8 => 3,
        }
    }
}

/// A picture that belongs to somebody else.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Meaning of `pixels`.
    pub format: PixelFormat,
    /// `height × width × channels` bytes, row by row, channels interleaved.
    pub pixels: &'a [u8],
}

/// Why a picture could not be made into a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// The bytes are not as many as the size says.
    #[error(
        "a picture of {width}×{height} pixels with {channels} channels came with {got} bytes, expected {expected} and at least one pixel; check what the source delivers"
    )]
    Bytes {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes a pixel.
        channels: usize,
        /// Bytes by the size.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A region that the picture does not have.
    #[error("the region {region} does not lie in the picture of {width}×{height} pixels; give a --roi inside of it")]
    Region {
        /// X, Y, width and height.
        region: Region,
        /// Columns of the picture.
        width: usize,
        /// Rows of the picture.
        height: usize,
    },
    /// The tensor has no room for exactly one picture.
    #[error(
        "the tensor has room for {got} values, expected {expected} for a picture of {shape} (channels×height×width); give exactly that many"
    )]
    Tensor {
        /// Shape of one picture.
        shape: InputShape,
        /// Values of one picture.
        expected: usize,
        /// Room in the tensor.
        got: usize,
    },
}

/// Makes pictures of any size into tensors of one shape. Allocates only when the pictures' size changes.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    prep: Prep,
    shape: InputShape,
    filter: Option<Filter>,
    ink: Option<Box<Ink>>,
}

impl Preprocessor {
    /// For tensors of this shape, with 1 or 3 channels.
    #[must_use]
    pub fn new(prep: Prep, shape: InputShape) -> Self {
        Self { prep, shape, filter: None, ink: None }
    }

    /// Writes `picture` to `tensor`: `[C, H, W]` in a row, values in `[0, 1]`.
    ///
    /// # Errors
    /// When the picture has no pixels or another number of bytes than its size says, or `tensor` is not
    /// as long as the shape.
    pub fn apply(&mut self, picture: &Picture<'_>, tensor: &mut [f32]) -> Result<(), PreprocessError> {
        self.check(picture, tensor)?;
        match self.prep {
            Prep::Plain => self.plain(picture, tensor),
            Prep::Ink => self.ink(picture, tensor),
        }
        Ok(())
    }

    fn ink(&mut self, picture: &Picture<'_>, tensor: &mut [f32]) {
        let ink = match self.ink.take() {
            Some(ink) if ink.fits(picture) => self.ink.insert(ink),
            _ => self.ink.insert(Box::new(Ink::new(picture, self.shape))),
        };
        ink.apply(picture.pixels, tensor);
    }

    fn plain(&mut self, picture: &Picture<'_>, tensor: &mut [f32]) {
        let InputShape { channels, height, width } = self.shape;
        let same_size = (picture.width, picture.height) == (width, height);
        if same_size && channels == 1 && picture.format == PixelFormat::Gray8 {
            for (value, byte) in tensor.iter_mut().zip(picture.pixels) {
                *value = scaled(f32::from(*byte));
            }
            return;
        }
        let mut store = |index: usize, pixel: &[f32]| store(&mut tensor[index..], height * width, channels, pixel);
        if same_size {
            for (index, pixel) in picture.pixels.chunks_exact(picture.format.channels()).enumerate() {
                let mut values = [0.0; 3];
                values.iter_mut().zip(pixel).for_each(|(value, byte)| *value = f32::from(*byte));
                store(index, &values[..pixel.len()]);
            }
        } else {
            let from = (picture.width, picture.height, picture.format.channels());
            let filter = match self.filter.take() {
                Some(filter) if filter.fits(from) => self.filter.insert(filter),
                _ => self.filter.insert(Filter::new(from, (width, height))),
            };
            filter.apply(picture.pixels, store);
        }
    }

    fn check(&self, picture: &Picture<'_>, tensor: &[f32]) -> Result<(), PreprocessError> {
        let Picture { width, height, format, pixels } = *picture;
        let channels = format.channels();
        let expected = width.saturating_mul(height).saturating_mul(channels);
        if expected == 0 || expected != pixels.len() {
            return Err(PreprocessError::Bytes { width, height, channels, expected, got: pixels.len() });
        }
        let shape = self.shape;
        if tensor.len() != shape.pixels() {
            return Err(PreprocessError::Tensor { shape, expected: shape.pixels(), got: tensor.len() });
        }
        Ok(())
    }
}

/// Writes one pixel (bytes as floats, grey or RGB) to planes that lie `plane` values apart.
fn store(tensor: &mut [f32], plane: usize, channels: usize, pixel: &[f32]) {
    match (pixel, channels) {
        ([red, green, blue], 1) => tensor[0] = scaled(LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue),
        (pixel, channels) => {
            for channel in 0..channels {
                tensor[channel * plane] = scaled(pixel[channel.min(pixel.len() - 1)]);
            }
        }
    }
}

/// A byte's value to `[0, 1]`; the weights' rounding errors must not lead out of it.
fn scaled(value: f32) -> f32 {
    (value / 255.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests;
