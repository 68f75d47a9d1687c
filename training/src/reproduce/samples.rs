//! Pictures of what was done: clean, attacked, and what each defence made of it, with the difference to the clean one.

use std::convert::Infallible;
use std::path::Path;

use anyhow::{Context, Result};
use embedded_graphics::mono_font::{MonoTextStyle, ascii::FONT_6X10};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size};
use embedded_graphics::text::{Baseline, Text};
use image::{RgbImage, imageops};
use tch::{Kind, Tensor};

use crate::evaluate::{Contestant, Guard};

/// Test images that are shown.
pub(super) const COUNT: usize = 10;
/// Pixels on the page for each pixel of a picture.
const ZOOM: u32 = 2;
const GAP: u32 = 4;

/// Writes a sheet with a column for each image and a name before each row. Rows: clean, attacked, and for each defence, in the order given, the
/// purified pictures and their difference to the clean ones (grey is none, white +½ and more, black −½ and less).
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(
    path: &Path,
    clean: &Tensor,
    (attack, attacked): (&str, &Tensor),
    contestants: &[Contestant],
    seed: u64,
) -> Result<()> {
    let difference = |x: &Tensor| ("difference", (x - clean + 0.5).clamp(0.0, 1.0));
    let mut rows = vec![("clean", clean.shallow_clone()), (attack, attacked.shallow_clone()), difference(attacked)];
    for contestant in contestants {
        if let Guard::Defence(defence) = &contestant.guard {
            tch::manual_seed(seed as i64);
            let purified = tch::no_grad(|| defence.purify(attacked)).frames;
            let difference = difference(&purified);
            rows.extend([(contestant.name.as_str(), purified), difference]);
        }
    }
    sheet(&rows)?.save(path).with_context(|| format!("{}: cannot write the pictures", path.display()))
}

/// Rows with their names, each of as many pictures `[N, C, H, W]` in `[0, 1]`.
fn sheet(rows: &[(&str, Tensor)]) -> Result<RgbImage> {
    let (count, _, height, width) = rows.first().context("a sheet has rows")?.1.size4()?;
    let (width, height) = (width as u32 * ZOOM, height as u32 * ZOOM);
    let style = MonoTextStyle::new(&FONT_6X10, Rgb888::BLACK);
    let letters = rows.iter().map(|(name, _)| name.len() as u32).max().unwrap_or(0);
    let left = GAP + letters * style.font.character_size.width;
    let size = (left + GAP + (width + GAP) * count as u32, GAP + (height + GAP) * rows.len() as u32);
    let mut canvas = Canvas(RgbImage::from_pixel(size.0, size.1, image::Rgb([255; 3])));
    for ((name, pictures), row) in rows.iter().zip(0..) {
        let y = GAP + (height + GAP) * row;
        let middle = Point::new(GAP as i32, (y + height / 2) as i32);
        let Ok(_) = Text::with_baseline(name, middle, style, Baseline::Middle).draw(&mut canvas);
        for column in 0..count {
            let picture = picture(&pictures.get(column))?;
            let large = imageops::resize(&picture, width, height, imageops::FilterType::Nearest);
            let x = left + GAP + (width + GAP) * column as u32;
            imageops::replace(&mut canvas.0, &large, i64::from(x), i64::from(y));
        }
    }
    Ok(canvas.0)
}

/// `[C, H, W]` in `[0, 1]` → RGB bytes.
fn picture(x: &Tensor) -> Result<RgbImage> {
    let (_, height, width) = x.size3()?;
    let rgb = x.expand([3, height, width], false).permute([1, 2, 0]); // [H, W, 3]
    let bytes: Vec<u8> = Vec::try_from(&(rgb * 255.0).round().to_kind(Kind::Uint8).contiguous().reshape([-1]))?;
    RgbImage::from_raw(width as u32, height as u32, bytes).context("as many bytes as pixels")
}

/// A picture that text can be written on.
struct Canvas(RgbImage);

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            if let Some(pixel) = self.0.get_pixel_mut_checked(x as u32, y as u32) {
                *pixel = image::Rgb([colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn rows_have_their_names_on_the_left_and_their_pictures_on_the_right() {
        let of = |value: f64| Tensor::full([3, 1, 4, 5], value, (Kind::Float, Device::Cpu));
        let sheet = sheet(&[("white", of(1.0)), ("a long name", of(0.0))]).unwrap();
        let left = GAP + 11 * 6;
        assert_eq!(sheet.dimensions(), (left + GAP + 3 * (10 + GAP), GAP + 2 * (8 + GAP)));
        let is_dark = |x, y| sheet.get_pixel(x, y).0 == [0; 3];
        let written = |row: u32| (0..left).any(|x| (0..8).any(|y| is_dark(x, GAP + row * (8 + GAP) + y)));
        assert!(written(0) && written(1), "each row has a name");
        assert!(
            is_dark(left + GAP, GAP + 8 + GAP) && !is_dark(left + GAP, GAP),
            "the second row is black, the first is not"
        );
    }
}
