//! Pictures in folders: `train/CLASS/*` and `test/CLASS/*`. Any class names, any sizes; every picture is brought to
//! one size and colour by the same code that prepares frames in the runtime, and rounded to bytes, which it does not do.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use puvae::model::spec::InputShape;
use puvae::picture;
use puvae::preprocess::{Picture, Prep, Preprocessor};
use tch::Tensor;

use super::split::{Split, permutation};
use super::{Contents, Shape};
use crate::progress::{self, ProgressBar};

/// The last of every so many pictures of a class are held out.
const HELD_OUT_SHARE: usize = 5;

const DEFAULT: InputShape = InputShape { channels: 3, height: 32, width: 32 };
const LARGEST_SIDE: i64 = 512;

pub(super) fn are_in(folder: &Path) -> bool {
    folder.join("train").is_dir() && folder.join("test").is_dir()
}

pub(super) fn read(folder: &Path, shape: Shape) -> Result<Contents> {
    let shape = shape.checked()?;
    let train = list_classes(&folder.join("train"))?;
    let test = list_classes(&folder.join("test"))?;
    let names =
        |classes: &[(String, Vec<PathBuf>)]| -> Vec<String> { classes.iter().map(|(name, _)| name.clone()).collect() };
    let classes = names(&train);
    same_classes(folder, &classes, &names(&test))?;
    let (mut training, mut held_out, mut testing) = (Vec::new(), Vec::new(), Vec::new());
    for (label, (name, pictures)) in train.into_iter().enumerate() {
        ensure!(
            pictures.len() > 1,
            "{}: {} pictures of class {name}, expected at least 2: some are held out for choices",
            folder.join("train").display(),
            pictures.len()
        );
        let kept = pictures.len() - (pictures.len() / HELD_OUT_SHARE).max(1);
        for (index, picture) in pictures.into_iter().enumerate() {
            if index < kept { &mut training } else { &mut held_out }.push((picture, label as i64));
        }
    }
    for (label, (_, pictures)) in test.into_iter().enumerate() {
        testing.extend(pictures.into_iter().map(|picture| (picture, label as i64)));
    }
    let bar = progress::bar("pictures", training.len() + held_out.len() + testing.len());
    let parts = [training, held_out, testing].map(|files| decode_all(&mixed(files), shape, &bar));
    bar.finish_and_clear();
    let [train, held_out, test] = parts;
    Ok(Contents { classes, train: train?, held_out: held_out?, test: test? })
}

impl Shape {
    fn checked(self) -> Result<InputShape> {
        let side = self.side.unwrap_or(DEFAULT.width as i64);
        let channels = self.channels.unwrap_or(DEFAULT.channels as i64);
        ensure!((1..=LARGEST_SIDE).contains(&side), "--side is {side}, expected 1 to {LARGEST_SIDE} pixels");
        ensure!(matches!(channels, 1 | 3), "--channels is {channels}, expected 1 (grey) or 3 (colour)");
        Ok(InputShape { channels: channels as usize, height: side as usize, width: side as usize })
    }
}

/// The classes with their files, both sorted by name.
fn list_classes(folder: &Path) -> Result<Vec<(String, Vec<PathBuf>)>> {
    let mut classes = Vec::new();
    for class in list(folder)? {
        ensure!(
            class.is_dir(),
            "{}: a file beside the classes' folders; expected one folder of pictures for each class",
            class.display()
        );
        let pictures = list(&class)?;
        ensure!(!pictures.is_empty(), "{}: no pictures in it; add some, or remove the folder", class.display());
        classes.push((class.file_name().unwrap_or_default().to_string_lossy().into_owned(), pictures));
    }
    ensure!(classes.len() > 1, "{}: {} classes, expected at least 2 folders", folder.display(), classes.len());
    Ok(classes)
}

/// What is in a folder and not hidden, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.with_context(|| format!("{}: cannot list the folder", folder.display()))?;
    let visible = entries.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let mut paths: Vec<PathBuf> = visible.map(std::fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

fn same_classes(folder: &Path, train: &[String], test: &[String]) -> Result<()> {
    let only = |a: &[String], b: &[String]| a.iter().find(|name| !b.contains(name)).cloned();
    for (here, there, name) in [("train", "test", only(train, test)), ("test", "train", only(test, train))] {
        if let Some(name) = name {
            bail!("{}: class {name} is in {here} but not in {there}; both need the same classes", folder.display());
        }
    }
    Ok(())
}

/// The files in an order drawn once and for all. They are listed class by class, and the first images of a part, which
/// thresholds and curves look at, have to be of every class.
fn mixed(files: Vec<(PathBuf, i64)>) -> Vec<(PathBuf, i64)> {
    permutation(files.len(), 0, 0).into_iter().map(|index| files[index as usize].clone()).collect()
}

/// Decodes the files on all processors, in the order given.
fn decode_all(files: &[(PathBuf, i64)], shape: InputShape, bar: &ProgressBar) -> Result<Split> {
    let mut bytes = vec![0; files.len() * shape.pixels()];
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = files.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let parts = files.chunks(share).zip(bytes.chunks_mut(share * shape.pixels()));
        let workers: Vec<_> =
            parts.map(|(files, bytes)| scope.spawn(|| decode_part(files, shape, bytes, bar))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("decoding returns its errors"))
    })?;
    let labels: Vec<i64> = files.iter().map(|&(_, label)| label).collect();
    let sizes = [files.len(), shape.channels, shape.height, shape.width].map(|size| size as i64);
    Ok(Split::new(Tensor::from_slice(&bytes).reshape(sizes), Tensor::from_slice(&labels)))
}

fn decode_part(files: &[(PathBuf, i64)], shape: InputShape, bytes: &mut [u8], bar: &ProgressBar) -> Result<()> {
    let mut prepare = Preprocessor::new(Prep::Plain, shape);
    let (mut pixels, mut values) = (Vec::new(), vec![0.0; shape.pixels()]);
    for ((path, _), bytes) in files.iter().zip(bytes.chunks_mut(shape.pixels())) {
        let picture::Header { width, height, format } = picture::read(path, &mut pixels)?;
        prepare
            .apply(&Picture { width, height, format, pixels: &pixels }, &mut values)
            .with_context(|| format!("{}: cannot prepare the picture", path.display()))?;
        bytes.iter_mut().zip(&values).for_each(|(byte, value)| *byte = (value * 255.0).round() as u8);
        bar.inc(1);
    }
    Ok(())
}
