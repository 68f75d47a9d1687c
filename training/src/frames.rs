//! Frames for demonstrations: test images, a third of them clean, a third under FGSM, a third under iFGSM, in
//! turns, as IDX files with labels and parts.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use puvae::idx::{self, Images};
use tch::{Kind, Tensor};

use crate::attack::{self, Attack};
use crate::classifier::Classifier;
use crate::data::{DataSet, permutation};

/// Writes `<prefix>-{images.idx3,labels.idx1,parts.idx1}-ubyte.gz`; part 0 is clean, the others the attacks in
/// order. Pixels are rounded to bytes.
///
/// # Errors
/// When there are fewer test images than asked for, or a file cannot be written.
pub fn write(
    target: &Classifier,
    set: &DataSet,
    attacks: &[Attack],
    count: usize,
    seed: u64,
    prefix: &Path,
) -> Result<()> {
    ensure!(count > 0 && count <= set.test.len(), "--images is {count}, expected 1 to {}", set.test.len());
    let parts = attacks.len() + 1;
    let order = permutation(set.test.len(), seed, 0);
    let split = set.test.subset(&order[..count]);
    let mut versions = vec![split.all().x];
    for &kind in attacks {
        versions.push(attack::run(target, kind, &split, target.config.classes, seed)?.x);
    }
    let frames: Vec<Tensor> = (0..count).map(|index| versions[index % parts].narrow(0, index as i64, 1)).collect();
    let bytes = (Tensor::cat(&frames, 0) * 255.0).round().to_kind(Kind::Uint8).reshape([-1]);
    let side = set.side_px as usize;
    let images = Images { count, height: side, width: side, pixels: Vec::try_from(&bytes)? };
    let labels: Vec<u8> = Vec::try_from(&split.all().y.to_kind(Kind::Uint8))?;
    let part_of: Vec<u8> = (0..count).map(|index| (index % parts) as u8).collect();
    let path = |kind: &str| PathBuf::from(format!("{}-{kind}-ubyte.gz", prefix.display()));
    idx::write_images(&path("images.idx3"), &images)?;
    idx::write_labels(&path("labels.idx1"), &labels)?;
    idx::write_labels(&path("parts.idx1"), &part_of)?;
    Ok(())
}
