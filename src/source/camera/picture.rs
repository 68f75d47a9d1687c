//! From a camera's bytes to a frame: decoded into a pooled buffer, or broken.

use std::time::Instant;

use super::mjpeg;
use super::offer::Mode;
use super::raw::{self, Layout};
use super::spec::CameraFormat;
use crate::frame::{Capture, Frame, PixelFormat, Pool};
use crate::source::{BrokenFrame, FrameFault, Next};

/// Decodes the pictures of one opening.
pub(super) struct Decoder {
    format: CameraFormat,
    layout: Layout,
    pixels: PixelFormat,
    pool: Pool<Vec<u8>>,
}

impl Decoder {
    /// For frames of `mode`, of which rows lie `stride` bytes apart. A grey camera gives grey whatever is wanted.
    pub(super) fn new(mode: Mode, stride: usize, wanted: PixelFormat) -> Self {
        let (width, height) = (mode.size.0 as usize, mode.size.1 as usize);
        let pixels = if mode.format == CameraFormat::Grey { PixelFormat::Gray8 } else { wanted };
        let layout = Layout { width, height, stride };
        Self { format: mode.format, layout, pixels, pool: Pool::new() }
    }

    /// The frame of this capture, of `bytes` or broken for a reason.
    pub(super) fn next(&self, capture: Capture, dequeued_at: Instant, bytes: Result<&[u8], FrameFault>) -> Next {
        let mut pixels = self.pool.take_or(Vec::new);
        match bytes.and_then(|bytes| self.decode(bytes, &mut pixels)) {
            Ok(()) => Next::Frame(Frame {
                capture,
                dequeued_at,
                width: self.layout.width,
                height: self.layout.height,
                format: self.pixels,
                pixels,
                label: None,
            }),
            Err(reason) => Next::Broken(BrokenFrame { capture, reason }),
        }
    }

    fn decode(&self, bytes: &[u8], pixels: &mut Vec<u8>) -> Result<(), FrameFault> {
        let layout = self.layout;
        match (self.format, self.pixels) {
            (CameraFormat::Grey, _) => raw::grey(bytes, layout, pixels),
            (CameraFormat::Yuyv, PixelFormat::Gray8) => raw::yuyv_to_grey(bytes, layout, pixels),
            (CameraFormat::Yuyv, PixelFormat::Rgb8) => raw::yuyv_to_rgb(bytes, layout, pixels),
            (CameraFormat::Mjpeg, format) => mjpeg::decode(bytes, (layout.width, layout.height), format, pixels),
        }
    }
}
