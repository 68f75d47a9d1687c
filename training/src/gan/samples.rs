//! What a generator makes, as a picture for people: figures do not tell whether a generator is any good.

use std::path::Path;

use anyhow::Result;
use tch::no_grad;

use super::Generator;
use crate::png;

/// Pictures in a row, and rows.
const GRID: i64 = 8;
/// Seed of the latent vectors: the same ones every time, so that one sees what becomes of them.
const SEED: i64 = 1;

/// Writes a PNG of 8×8 generated pictures. Reseeds torch's random stream.
pub(super) fn write(generator: &Generator, path: &Path) -> Result<()> {
    tch::manual_seed(SEED);
    let pictures = no_grad(|| generator.pictures(&generator.draw(GRID * GRID)));
    let (_, channels, height, width) = pictures.size4()?;
    let grid = pictures.reshape([GRID, GRID, channels, height, width]).permute([2, 0, 3, 1, 4]); // [C, 8, H, 8, W]
    png::write(&grid.reshape([channels, GRID * height, GRID * width]), path)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::gan::GanConfig;
    use crate::nn::params::Params;
    use crate::turns::my_turn;

    #[test]
    fn the_grid_shows_whole_pictures_side_by_side() {
        let _turn = my_turn();
        let folder = tempfile::tempdir().unwrap();
        let generator = Generator::new(GanConfig::published(28, 1), Params::new(1, Device::Cpu));
        let path = folder.path().join("samples.png");
        write(&generator, &path).unwrap();
        let grid = image::open(&path).unwrap().into_luma8();
        assert_eq!(grid.dimensions(), (8 * 28, 8 * 28));
        tch::manual_seed(SEED);
        let pictures = tch::no_grad(|| generator.pictures(&generator.draw(GRID * GRID)));
        let value = (pictures.double_value(&[9, 0, 3, 5]) * 255.0).round(); // second row, second picture
        assert!((f64::from(grid.get_pixel(28 + 5, 28 + 3).0[0]) - value).abs() < 1.5);
    }
}
