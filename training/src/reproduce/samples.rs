//! Pictures of what was done: clean, attacked, and what each defence made of it, with the difference to the clean one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::{RgbImage, imageops};
use tch::{Kind, Tensor};

use crate::evaluate::{Contestant, Guard};
use crate::files;

/// Test images that are shown.
pub(super) const COUNT: usize = 10;
/// Pixels on the page for each pixel of a picture.
const ZOOM: u32 = 2;
const GAP: u32 = 4;

/// Writes a sheet with a column for each image. Rows: clean, attacked, and for each defence, in the order given, the
/// purified pictures and their difference to the clean ones (grey is none, white +½ and more, black −½ and less). The defences' names go
/// into a text file beside it: not all that were measured need be there when the sheet is drawn.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(
    path: &Path,
    (clean, attacked): (&Tensor, &Tensor),
    contestants: &[Contestant],
    seed: u64,
) -> Result<()> {
    let difference = |x: &Tensor| (x - clean + 0.5).clamp(0.0, 1.0);
    let mut rows = vec![clean.shallow_clone(), attacked.shallow_clone(), difference(attacked)];
    let mut names = Vec::new();
    for contestant in contestants {
        if let Guard::Defence(defence) = &contestant.guard {
            tch::manual_seed(seed as i64);
            let purified = tch::no_grad(|| defence.purify(attacked)).frames;
            names.push(contestant.name.as_str());
            rows.extend([difference(&purified), purified].into_iter().rev());
        }
    }
    let (count, _, height, width) = clean.size4().context("pictures are [N, C, H, W]")?;
    let (step_x, step_y) = (width as u32 * ZOOM + GAP, height as u32 * ZOOM + GAP);
    let mut sheet =
        RgbImage::from_pixel(step_x * count as u32 + GAP, step_y * rows.len() as u32 + GAP, image::Rgb([255; 3]));
    for (row, pictures) in rows.iter().enumerate() {
        for column in 0..count {
            let picture = picture(&pictures.get(column))?;
            let (width, height) = (picture.width() * ZOOM, picture.height() * ZOOM);
            let large = imageops::resize(&picture, width, height, imageops::FilterType::Nearest);
            let (x, y) = (GAP + step_x * column as u32, GAP + step_y * row as u32);
            imageops::replace(&mut sheet, &large, i64::from(x), i64::from(y));
        }
    }
    sheet.save(path).with_context(|| format!("{}: cannot write the pictures", path.display()))?;
    files::replace(&names_of(path), (names.join(", ") + "\n").as_bytes())
}

/// The file with the names of the defences on a sheet.
pub(super) fn names_of(sheet: &Path) -> PathBuf {
    sheet.with_extension("txt")
}

/// `[C, H, W]` in `[0, 1]` → RGB bytes.
fn picture(x: &Tensor) -> Result<RgbImage> {
    let (_, height, width) = x.size3()?;
    let rgb = x.expand([3, height, width], false).permute([1, 2, 0]); // [H, W, 3]
    let bytes: Vec<u8> = Vec::try_from(&(rgb * 255.0).round().to_kind(Kind::Uint8).contiguous().reshape([-1]))?;
    RgbImage::from_raw(width as u32, height as u32, bytes).context("as many bytes as pixels")
}
