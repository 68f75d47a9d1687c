//! `dir:FOLDER`: picture files in natural order; sub-folders name the classes.
//!
//! One level of sub-folders. Hidden files (a leading dot) are skipped; any other file that is no picture is
//! refused rather than skipped in silence. Every file's header is read before the run.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use super::SourceError;
use super::paced::{Picture, Pictures};
use crate::picture;

pub(super) struct Folder {
    folder: PathBuf,
    pictures: Vec<(PathBuf, Option<usize>)>,
}

impl Folder {
    /// Lists the folder and checks each picture's header; matches sub-folders to `classes`, where these are known.
    pub(super) fn open(path: &Path, classes: Option<&[String]>) -> Result<Self, SourceError> {
        if !fs::metadata(path).map_err(|source| SourceError::Io { path: path.into(), source })?.is_dir() {
            return Err(SourceError::NotAFolder { path: path.into() });
        }
        let (mut pictures, mut folders) = (Vec::new(), Vec::new());
        for entry in list(path)? {
            if entry.is_dir() { folders.push(entry) } else { pictures.push((entry, None)) }
        }
        let labels = labels(&folders, classes)?;
        for (folder, &label) in folders.iter().zip(&labels) {
            pictures.extend(list(folder)?.into_iter().map(|picture| (picture, Some(label))));
        }
        if pictures.is_empty() {
            return Err(SourceError::Empty { path: path.into(), hint: "give a folder of pictures" });
        }
        pictures.iter().try_for_each(|(file, _)| picture::check(file))?;
        Ok(Self { folder: path.into(), pictures })
    }
}

/// What is in a folder and not hidden, in natural order.
fn list(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let io = |source| SourceError::Io { path: folder.into(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if !name(&path).starts_with('.') {
            entries.push(path);
        }
    }
    entries.sort_by(|a, b| natural(&name(a), &name(b)));
    Ok(entries)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Compares texts so that numbers in them count as numbers: `2` before `10`. Equal numbers: fewer leading zeros first.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(l), Some(r)) = (left.chars().next(), right.chars().next()) {
        let order = if l.is_ascii_digit() && r.is_ascii_digit() {
            let (number_l, number_r) = (take_digits(&mut left), take_digits(&mut right));
            number_l.len().cmp(&number_r.len()).then_with(|| number_l.cmp(number_r))
        } else {
            (left, right) = (&left[l.len_utf8()..], &right[r.len_utf8()..]);
            l.cmp(&r)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.len().cmp(&b.len())).then_with(|| a.cmp(b))
}

/// Cuts the digits off the front; they come back without leading zeros.
fn take_digits<'a>(text: &mut &'a str) -> &'a str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.trim_start_matches('0')
}

/// The class of each sub-folder.
fn labels(folders: &[PathBuf], classes: Option<&[String]>) -> Result<Vec<usize>, SourceError> {
    let Some(classes) = classes else { return Ok((0..folders.len()).collect()) };
    let mut labels: Vec<usize> = Vec::new();
    for folder in folders {
        let label = class_of(&name(folder), classes)
            .ok_or_else(|| SourceError::UnknownClass { path: folder.clone(), classes: classes.to_vec() })?;
        if let Some(first) = labels.iter().position(|&other| other == label) {
            let (first, second) = (folders[first].clone(), folder.clone());
            return Err(SourceError::SameClass { first, second, class: label });
        }
        labels.push(label);
    }
    Ok(labels)
}

/// The class that a folder's name means: its name, else its name whatever the case and the signs between where that is
/// only one's (`t-shirt_top` is `T-shirt/top`), else its number.
fn class_of(folder: &str, classes: &[String]) -> Option<usize> {
    let plain =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let name = plain(folder);
    let mut alike = (0..classes.len()).filter(|&label| !name.is_empty() && plain(&classes[label]) == name);
    let exact = classes.iter().position(|class| class == folder);
    let by_name = exact.or_else(|| alike.next().filter(|_| alike.next().is_none()));
    by_name.or_else(|| folder.parse().ok().filter(|&label| label < classes.len()))
}

impl Pictures for Folder {
    fn len(&self) -> Option<u64> {
        Some(self.pictures.len() as u64)
    }

    fn read(&mut self, index: u64, pixels: &mut Vec<u8>) -> Result<Picture, SourceError> {
        let index = usize::try_from(index).expect("the index is below the number of pictures in the list");
        let (path, label) = &self.pictures[index];
        let picture::Header { width, height, format } = picture::read(path, pixels)?;
        Ok(Picture { width, height, format, label: *label })
    }

    fn files(&self) -> Vec<String> {
        let relative = |path: &Path| path.strip_prefix(&self.folder).unwrap_or(path).to_string_lossy().into_owned();
        self.pictures.iter().map(|(path, _)| relative(path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["b1", "a10", "a2", "a02", "a", "a2b", "a1"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "a1", "a2", "a02", "a2b", "a10", "b1"]);
    }

    #[test]
    fn a_folder_is_matched_to_a_class_by_name_before_number() {
        let classes = ["T-shirt/top", "1", "0"].map(String::from);
        assert_eq!(class_of("t-shirt_TOP", &classes), Some(0));
        assert_eq!(class_of("0", &classes), Some(2), "by name");
        assert_eq!(class_of("2", &classes), Some(2), "by number");
        assert_eq!((class_of("3", &classes), class_of("dress", &classes)), (None, None));
    }

    #[test]
    fn classes_whose_names_differ_in_signs_only_are_told_apart() {
        let classes = ["C", "C++", "+", "-", "1.5", "15"].map(String::from);
        let labels: Vec<_> = classes.iter().map(|class| class_of(class, &classes)).collect();
        assert_eq!(labels, (0..classes.len()).map(Some).collect::<Vec<_>>());
        assert_eq!(["c", "1-5", "&"].map(|folder| class_of(folder, &classes)), [None; 3], "which of two, or of none");
    }
}
