//! Data sets in four IDX files, MNIST's format. Class names are those of the published sets, or the lines of
//! `classes.txt`, or the labels themselves.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use puvae::idx;
use tch::{Kind, Tensor};

use super::split::{Split, permutation};
use super::{Contents, known, trained_on};

pub(super) fn are_in(folder: &Path) -> bool {
    ["train", "t10k"].iter().any(|part| find(folder, &format!("{part}-images-idx3-ubyte")).is_ok())
}

/// Reads `folder/{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]`.
pub(super) fn read(folder: &Path, name: &str) -> Result<Contents> {
    let train = read_part(folder, "train")?;
    let test = read_part(folder, "t10k")?;
    let classes = classes(folder, name, &train)?;
    check_labels(folder, &train, classes.len())?;
    check_labels(folder, &test, classes.len())?;
    tell_empty(folder, &train, &classes);
    // Nobody knows in which order other files stand, and the images at the end are held out.
    let train = if known::is_known(name) { train } else { train.subset(&permutation(train.len(), 0, 0)) };
    let count = trained_on(folder, train.len())?;
    Ok(Contents { classes, train: train.first(count), held_out: train.from(count), test })
}

fn read_part(folder: &Path, prefix: &str) -> Result<Split> {
    let images_path = find(folder, &format!("{prefix}-images-idx3-ubyte"))?;
    let labels_path = find(folder, &format!("{prefix}-labels-idx1-ubyte"))?;
    let (images, labels) = idx::read_labelled(&images_path, &labels_path)?;
    ensure!(
        images.height == images.width,
        "{}: pictures of {}×{} pixels, expected square ones",
        images_path.display(),
        images.height,
        images.width
    );
    let side = images.height as i64;
    let pixels = Tensor::from_slice(&images.pixels).reshape([images.count as i64, 1, side, side]);
    Ok(Split::new(pixels, Tensor::from_slice(&labels).to_kind(Kind::Int64)))
}

fn find(folder: &Path, file: &str) -> Result<PathBuf> {
    let found = [folder.join(file), folder.join(format!("{file}.gz"))].into_iter().find(|path| path.exists());
    found.with_context(|| {
        format!("{}: found neither {file} nor {file}.gz; all four IDX files must be there", folder.display())
    })
}

fn classes(folder: &Path, name: &str, train: &Split) -> Result<Vec<String>> {
    if let Some(classes) = known::idx_classes(name) {
        return Ok(classes);
    }
    let path = folder.join("classes.txt");
    if path.exists() {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{}: cannot read class names", path.display()))?;
        let names: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
        ensure!(names.len() > 1, "{}: {} class names, expected at least 2, one a line", path.display(), names.len());
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            bail!("{}: the class {:?} stands there twice, expected names that differ", path.display(), twice.1);
        }
        return Ok(names);
    }
    let largest = if train.is_empty() { 0 } else { train.labels().max().int64_value(&[]) };
    Ok((0..=largest.max(1)).map(|label| label.to_string()).collect())
}

/// Says which classes have no training picture: nothing learns them, and attacks that aim at them go astray.
fn tell_empty(folder: &Path, train: &Split, classes: &[String]) {
    let counts: Vec<i64> =
        Vec::try_from(&train.labels().bincount::<Tensor>(None, classes.len() as i64)).unwrap_or_default();
    let empty: Vec<&str> =
        classes.iter().zip(counts).filter(|&(_, count)| count == 0).map(|(name, _)| name.as_str()).collect();
    if !empty.is_empty() {
        eprintln!(
            "note: {}: no training picture of the class {}; number the labels from 0 and without gaps, and name no more classes than there are",
            folder.display(),
            empty.join(", ")
        );
    }
}

fn check_labels(folder: &Path, split: &Split, classes: usize) -> Result<()> {
    if split.is_empty() {
        return Ok(());
    }
    let largest = split.labels().max().int64_value(&[]);
    ensure!(
        largest < classes as i64,
        "{}: label {largest}, expected 0 to {}; name all classes in classes.txt, one a line",
        folder.display(),
        classes - 1
    );
    Ok(())
}
