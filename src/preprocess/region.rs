//! A part of a picture, and how it is cut out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Picture, PreprocessError};

/// A rectangle of whole pixels; at least one pixel large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// A text that is no region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{got}` is no region, expected X,Y,WIDTH,HEIGHT in whole pixels, with a width and height above 0, such as 320,40,128,128"
)]
#[non_exhaustive]
pub struct RegionError {
    /// What was given.
    pub got: String,
}

impl Region {
    /// The rectangle whose upper left pixel is (`x`, `y`), counted from 0; `None` when it is empty.
    #[must_use]
    pub fn new(x: usize, y: usize, width: usize, height: usize) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { x, y, width, height })
    }

    /// Whether it lies in a picture of `width`×`height` pixels.
    #[must_use]
    pub fn lies_in(self, width: usize, height: usize) -> bool {
        let fits =
            |start: usize, length: usize, whole: usize| start.checked_add(length).is_some_and(|end| end <= whole);
        fits(self.x, self.width, width) && fits(self.y, self.height, height)
    }

    /// Copies this part of `picture` into `into`, whose room is used again; what comes back is a picture of its own.
    ///
    /// # Errors
    /// When it does not lie in the picture.
    pub fn cut<'a>(self, picture: &Picture<'_>, into: &'a mut Vec<u8>) -> Result<Picture<'a>, PreprocessError> {
        let Self { x, y, width, height } = self;
        if !self.lies_in(picture.width, picture.height) {
            return Err(PreprocessError::Region { region: self, width: picture.width, height: picture.height });
        }
        let channels = picture.format.channels();
        into.clear();
        for row in picture.pixels.chunks_exact(picture.width * channels).skip(y).take(height) {
            into.extend_from_slice(&row[x * channels..(x + width) * channels]);
        }
        Ok(Picture { width, height, format: picture.format, pixels: into })
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let refuse = || RegionError { got: text.into() };
        let mut numbers = [0; 4];
        let mut parts = text.split(',');
        for number in &mut numbers {
            *number = parts.next().and_then(|part| part.trim().parse().ok()).ok_or_else(refuse)?;
        }
        let [x, y, width, height] = numbers;
        match parts.next() {
            None => Self::new(x, y, width, height).ok_or_else(refuse),
            Some(_) => Err(refuse()),
        }
    }
}

impl TryFrom<String> for Region {
    type Error = RegionError;

    fn try_from(text: String) -> Result<Self, RegionError> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.to_string()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { x, y, width, height } = self;
        write!(f, "{x},{y},{width},{height}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::PixelFormat;

    #[test]
    fn a_region_is_cut_out_row_by_row() {
        let pixels: Vec<u8> = (0..4 * 3 * 3).collect();
        let picture = Picture { width: 4, height: 3, format: PixelFormat::Rgb8, pixels: &pixels };
        let mut room = vec![9; 100];
        let part = Region::new(1, 1, 2, 2).unwrap().cut(&picture, &mut room).unwrap();
        assert_eq!((part.width, part.height), (2, 2));
        assert_eq!(part.pixels, [15, 16, 17, 18, 19, 20, 27, 28, 29, 30, 31, 32]);
    }

    #[test]
    fn a_region_outside_the_picture_is_refused_with_both_sizes() {
        let pixels = [0; 12];
        let picture = Picture { width: 4, height: 3, format: PixelFormat::Gray8, pixels: &pixels };
        for region in ["3,0,2,1", "0,2,1,2", "0,18446744073709551615,1,2"] {
            let region: Region = region.parse().unwrap();
            let text = region.cut(&picture, &mut Vec::new()).unwrap_err().to_string();
            assert!(text.contains(&format!("the region {region} does not lie in the picture of 4×3 pixels")), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_region_is_refused_with_an_example() {
        assert_eq!("1, 2, 3, 4".parse::<Region>().unwrap().to_string(), "1,2,3,4");
        for text in ["", "1,2,3", "1,2,3,4,5", "1,2,0,4", "1,2,3,-4", "a,b,c,d"] {
            let refusal = text.parse::<Region>().unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("`{text}` is no region, expected X,Y,WIDTH,HEIGHT")), "{refusal}");
        }
    }
}
