//! CIFAR-10's binary version: records of one label byte and 3 × 32 × 32 pixel bytes, 10,000 a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tch::{Kind, Tensor};

use super::split::Split;
use super::{Contents, known, trained_on};

const SIDE: i64 = 32;
const PIXELS: usize = 3 * 32 * 32;

/// The folder with the binary files: this one, or the one that the publisher's archive unpacks to.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    [folder.to_owned(), folder.join("cifar-10-batches-bin")]
        .into_iter()
        .find(|folder| folder.join("data_batch_1.bin").exists() || folder.join("test_batch.bin").exists())
}

pub(super) fn read(folder: &Path) -> Result<Contents> {
    let batches: Vec<Split> =
        (1..=5).map(|batch| read_file(&folder.join(format!("data_batch_{batch}.bin")))).collect::<Result<_>>()?;
    let train = Split::cat(&batches);
    let test = read_file(&folder.join("test_batch.bin"))?;
    let count = trained_on(folder, train.len())?;
    let classes = known::CIFAR10.map(String::from).to_vec();
    Ok(Contents { classes, train: train.first(count), held_out: train.from(count), test })
}

fn read_file(path: &Path) -> Result<Split> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("{}: cannot read; all six files of CIFAR-10 must be there", path.display()))?;
    let record = 1 + PIXELS;
    ensure!(
        !bytes.is_empty() && bytes.len() % record == 0,
        "{}: {} bytes, expected whole records of {record} (a label and 3×32×32 pixels); fetch the data set again",
        path.display(),
        bytes.len()
    );
    let count = bytes.len() / record;
    if let Some(at) = bytes.chunks_exact(record).position(|record| usize::from(record[0]) >= known::CIFAR10.len()) {
        bail!("{}: label {} in record {at}, expected 0 to 9", path.display(), bytes[at * record]);
    }
    let records = Tensor::from_slice(&bytes).reshape([count as i64, record as i64]);
    let labels = records.select(1, 0).to_kind(Kind::Int64);
    let pixels = records.narrow(1, 1, PIXELS as i64).reshape([count as i64, 3, SIDE, SIDE]);
    Ok(Split::new(pixels.contiguous(), labels))
}
