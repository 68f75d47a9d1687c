//! Dark writing on paper, seen by a camera, as MNIST would have it: light strokes on black, of one size, centred.
//!
//! A model that learned from MNIST knows one kind of picture: a scanned character whose longer side is 20 of 28
//! pixels, placed by its centre of mass, on nothing at all. A camera sees a sheet somewhere in uneven light, with noise, shadows
//! and whatever lies around it. The steps from the one to the other:
//!
//! 1. [`shrink`]: grey, and at most 320 pixels wide or high. Averaging costs no legibility (a model sees
//!    28 pixels in the end), removes sensor noise, and makes every later step cheap.
//! 2. [`background`]: how bright the paper is at each pixel, as if nothing were written on it.
//! 3. [`darkness`]: how much darker than its paper each pixel is, as a share. Light multiplies, so the share is the same in
//!    the sun and in the shadow. Then: is there anything darker than paper noise? If not the picture is black;
//!    stretching it regardless would show a model amplified noise.
//! 4. [`parts`]: connected dark pixels.
//! 5. [`writing`]: which parts are the writing, and not a speck, the sheet's edge or something cut off by the picture's.
//! 6. [`place`]: strokes as strong as MNIST's, scaled and centred as MNIST says.
//!
//! A model of another size than 28×28 gets the same proportions; one with three channels gets three equal ones, as [`Prep::Plain`]
//! gives it of a grey frame: a model for digits may well have been made from one for colour pictures.
//!
//! [`Prep::Plain`]: super::Prep::Plain

mod background;
mod darkness;
mod parts;
mod place;
mod shrink;
mod writing;

use super::Picture;
use crate::model::spec::InputShape;
use background::Background;
use darkness::{Levels, darkness, least_light};
use parts::Parts;
use place::Place;
use shrink::Shrink;

/// The steps for pictures of one size, with all the room they need.
#[derive(Debug, Clone)]
pub(super) struct Ink {
    /// Columns, rows and bytes a pixel.
    from: (usize, usize, usize),
    shrink: Shrink,
    background: Background,
    /// Share of the paper's light that is missing, 0 to 255.
    dark: Vec<u8>,
    parts: Parts,
    place: Place,
}

impl Ink {
    pub(super) fn new(picture: &Picture<'_>, shape: InputShape) -> Self {
        let from = (picture.width, picture.height, picture.format.channels());
        let shrink = Shrink::new(from);
        let (width, height) = shrink.size();
        Self {
            from,
            shrink,
            background: Background::new(width, height),
            dark: vec![0; width * height],
            parts: Parts::new(width, height),
            place: Place::new(width, height, shape),
        }
    }

    pub(super) fn fits(&self, picture: &Picture<'_>) -> bool {
        self.from == (picture.width, picture.height, picture.format.channels())
    }

    /// Writes the strokes to `tensor`; all zeros where nothing is written.
    pub(super) fn apply(&mut self, pixels: &[u8], tensor: &mut [f32]) {
        tensor.fill(0.0);
        let grey = self.shrink.apply(pixels);
        let paper = self.background.apply(grey);
        let least_light = least_light(paper);
        darkness(grey, paper, least_light, &mut self.dark);
        let Some(levels) = Levels::of(&self.dark, paper, least_light) else { return };
        self.parts.find(&self.dark, paper, levels.threshold);
        let Some(area) = writing::choose(&mut self.parts) else { return };
        self.place.draw(&self.parts, &self.dark, area, levels.paper);
        self.place.onto(tensor);
    }
}

#[cfg(test)]
mod tests;
