//! `idx:IMAGES[,LABELS]`: MNIST's files, held in memory.

use std::path::Path;

use super::SourceError;
use super::paced::{Picture, Pictures};
use crate::frame::PixelFormat;
use crate::idx::{self, Images};

pub(super) struct IdxFile {
    images: Images,
    labels: Option<Vec<u8>>,
}

impl IdxFile {
    /// Reads both files whole; labels must be below the number of `classes`, where these are known.
    pub(super) fn open(images: &Path, labels: Option<&Path>, classes: Option<&[String]>) -> Result<Self, SourceError> {
        let (pictures, values) = match labels {
            Some(labels) => {
                let (pictures, values) = idx::read_labelled(images, labels)?;
                check_labels(labels, &values, classes)?;
                (pictures, Some(values))
            }
            None => (idx::read_images(images)?, None),
        };
        if pictures.count == 0 {
            return Err(SourceError::Empty { path: images.into(), hint: "fetch the file again" });
        }
        Ok(Self { images: pictures, labels: values })
    }
}

fn check_labels(path: &Path, labels: &[u8], classes: Option<&[String]>) -> Result<(), SourceError> {
    let classes = classes.map_or(usize::MAX, <[String]>::len);
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(index) => Err(SourceError::Label { path: path.into(), index, label: labels[index], classes }),
        None => Ok(()),
    }
}

impl Pictures for IdxFile {
    fn len(&self) -> Option<u64> {
        Some(self.images.count as u64)
    }

    fn read(&mut self, index: u64, pixels: &mut Vec<u8>) -> Result<Picture, SourceError> {
        let index = usize::try_from(index).expect("the index is below the number of pictures in memory");
        pixels.clear();
        pixels.extend_from_slice(self.images.get(index));
        Ok(Picture {
            width: self.images.width,
            height: self.images.height,
            format: PixelFormat::Gray8,
            label: self.labels.as_ref().map(|labels| usize::from(labels[index])),
        })
    }
}
