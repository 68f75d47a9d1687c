//! Frames for demonstrations: test images, in turns clean and under each attack, as IDX files with labels and
//! parts.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use puvae::idx::{self, Images};
use tch::{Kind, Tensor};

use crate::attack::{self, Aim, Attack, Plan};
use crate::classifier::Classifier;
use crate::data::{DataSet, permutation};
use crate::runs::{Trained, same_data};

/// Writes `<prefix>-{images.idx3,labels.idx1,parts.idx1}-ubyte.gz`; part 0 is clean, the others the attacks in
/// order. Pixels are rounded to bytes, and no byte moves by more than ⌊255·ε⌋: rounding does not widen the attack.
///
/// # Errors
/// When the target was trained on other data, there are fewer test images than asked for, or a file cannot be written.
pub fn write(
    target: &Trained<Classifier>,
    set: &DataSet,
    attacks: &[(Attack, Aim)],
    count: usize,
    seed: u64,
    prefix: &Path,
) -> Result<()> {
    same_data(set, &target.header)?;
    ensure!(set.channels == 1, "{}: pictures with {} channels, but IDX files hold grey ones", set.name, set.channels);
    ensure!(count > 0 && count <= set.test.len(), "--images is {count}, expected 1 to {}", set.test.len());
    let parts = attacks.len() + 1;
    let order = permutation(set.test.len(), seed, 0);
    let split = set.test.subset(&order[..count]);
    let clean = bytes(&split.all().x);
    let mut versions = vec![clean.shallow_clone()];
    for &(attack, aim) in attacks {
        let x = attack::run(&target.network, Plan { attack, aim, seed }, &split, target.network.config.classes)?.x;
        let most = attack.epsilon().map_or(255.0, |epsilon| (255.0 * epsilon).floor());
        versions.push(&clean + (bytes(&x) - &clean).clamp(-most, most));
    }
    let frames: Vec<Tensor> = (0..count).map(|index| versions[index % parts].narrow(0, index as i64, 1)).collect();
    let bytes = Tensor::cat(&frames, 0).to_kind(Kind::Uint8).reshape([-1]);
    let side = set.side_px as usize;
    let images = Images { count, height: side, width: side, pixels: Vec::try_from(&bytes)? };
    let labels: Vec<u8> = Vec::try_from(&split.labels().to_kind(Kind::Uint8))?;
    let part_of: Vec<u8> = (0..count).map(|index| (index % parts) as u8).collect();
    let path = |kind: &str| PathBuf::from(format!("{}-{kind}-ubyte.gz", prefix.display()));
    idx::write_images(&path("images.idx3"), &images)?;
    idx::write_labels(&path("labels.idx1"), &labels)?;
    idx::write_labels(&path("parts.idx1"), &part_of)?;
    Ok(())
}

/// Pictures in `[0, 1]` as whole numbers in 0 to 255.
fn bytes(x: &Tensor) -> Tensor {
    (x * 255.0).round()
}
