//! Pictures of tensors, as PNG files.

use std::path::Path;

use anyhow::Result;
use image::{ColorType, ImageFormat};
use tch::{Device, Kind, Tensor};

use crate::files;

/// Writes a picture `[C, H, W]` in `[0, 1]`, grey with one channel and colour with three.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(picture: &Tensor, path: &Path) -> Result<()> {
    let (channels, height, width) = picture.size3()?;
    let bytes = (picture.permute([1, 2, 0]) * 255.0).round().to_kind(Kind::Uint8); // [H, W, C]
    let bytes: Vec<u8> = Vec::try_from(&bytes.to_device(Device::Cpu).contiguous().reshape([-1]))?;
    let colour = if channels == 1 { ColorType::L8 } else { ColorType::Rgb8 };
    files::replace_with(path, |partial| {
        let (width, height) = (width as u32, height as u32);
        Ok(image::save_buffer_with_format(partial, &bytes, width, height, colour, ImageFormat::Png)?)
    })
}
