//! The README's picture: sheets above, what becomes of them below.

use image::{GrayImage, Luma, imageops};

use crate::accuracy::ALL;
use crate::digits::{digits, ink, preprocessor};
use crate::sheet::Sheet;

const SEED: u64 = 11;

/// Sheets in rows of `columns`, each above its result.
fn contact_sheet(first: usize, count: usize, columns: u32, width: u32) -> GrayImage {
    let (images, _) = digits();
    let height = width * 3 / 4;
    let cell = height + width + 6;
    let rows = (count as u32).div_ceil(columns);
    let mut figure = GrayImage::from_pixel(columns * (width + 4) - 4, rows * cell - 4, Luma([255]));
    let mut preprocessor = preprocessor();
    for (at, index) in (0_u32..).zip(first..first + count) {
        let photograph = Sheet::new(Some(images.get(index)), &ALL, SEED, index as u64).photograph();
        let bytes = ink(&mut preprocessor, &photograph).iter().map(|value| (value * 255.0).round() as u8).collect();
        let seen = imageops::resize(&photograph, width, height, imageops::FilterType::Triangle);
        let result =
            imageops::resize(&GrayImage::from_raw(28, 28, bytes).unwrap(), width, width, imageops::FilterType::Nearest);
        let (left, top) = (i64::from(at % columns * (width + 4)), i64::from(at / columns * cell));
        imageops::replace(&mut figure, &seen, left, top);
        imageops::replace(&mut figure, &result, left, top + i64::from(height) + 2);
    }
    figure
}

#[test]
#[ignore = "draws docs/figures/ink.png, for the README"]
fn draw_the_readmes_picture() {
    let path = crate::digits::in_repository("docs/figures/ink.png");
    contact_sheet(0, 6, 6, 140).save(path).unwrap();
}

#[test]
#[ignore = "draws many sheets, to be looked at"]
fn draw_many_sheets() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("ink.png");
    contact_sheet(0, 48, 12, 140).save(&path).unwrap();
    println!("{}", path.display());
}
