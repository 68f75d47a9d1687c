//! Cameras through nokhwa, on every system that it knows.
//!
//! It says nothing of lost and faulty frames, gives no stamp that can be compared with our clock, and waits for a frame
//! without limit: a camera that stalls looks like a driver that does not return.

use std::sync::Arc;

use nokhwa::Camera as Nokhwa;
use nokhwa::utils::{
    ApiBackend, CameraFormat as NokhwaFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType,
};

use super::error::{CameraError, Reason};
use super::limited;
use super::meter::Meter;
use super::offer::{Interval, Offer, choose};
use super::picture::{Pictures, Quota};
use super::spec::{CameraDevice, CameraFormat, CameraSpec};
use crate::clock::Clock;
use crate::frame::PixelFormat;
use crate::source::Next;

const FORMATS: [FrameFormat; 3] = [FrameFormat::GRAY, FrameFormat::YUYV, FrameFormat::MJPEG];

/// A camera that streams.
pub(super) struct Camera {
    camera: String,
    device: Nokhwa,
    meter: Meter,
    pictures: Pictures,
    clock: Arc<dyn Clock>,
}

impl Camera {
    pub(super) fn open(
        spec: &CameraSpec,
        pixels: PixelFormat,
        quota: &Quota,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CameraError> {
        let camera = format!("camera {}", spec.device);
        let mut device = open_device(&spec.device)?;
        let mode = choose(&camera, &offers_of(&camera, &mut device)?, spec, pixels)?;
        let refused = |step| {
            let camera = camera.clone();
            move |error: nokhwa::NokhwaError| CameraError::Refused { camera, step, reason: words(&error) }
        };
        let rate = mode.interval.map_or(0, |interval| interval.rate().millihertz / 1000);
        let wanted = NokhwaFormat::new_from(mode.size.0, mode.size.1, frame_format(mode.format), rate);
        let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(wanted), &FORMATS);
        device.set_camera_requset(exact).map_err(refused("set the format"))?;
        device.open_stream().map_err(refused("start streaming"))?;
        let pictures = Pictures::new(mode, 0, pixels, quota.clone());
        Ok(Self { camera, device, meter: Meter::default(), pictures, clock })
    }
}

impl limited::Capture for Camera {
    fn capture(&mut self) -> Result<Next, CameraError> {
        let bytes = self.device.frame_raw().map_err(|error| {
            let (camera, reason) = (self.camera.clone(), words(&error));
            CameraError::Lost { camera, reason }
        })?;
        let dequeued_at = self.clock.now();
        Ok(self.pictures.next(self.meter.place(None, dequeued_at, None), dequeued_at, Ok(&bytes)))
    }
}

/// Number and name of every camera.
pub(super) fn list() -> Result<Vec<(CameraDevice, String)>, CameraError> {
    let found = nokhwa::query(ApiBackend::Auto)
        .map_err(|error| CameraError::Open { camera: "cameras".into(), reason: words(&error) })?;
    let mut cameras: Vec<_> = found
        .iter()
        .map(|info| {
            let device = match info.index() {
                CameraIndex::Index(number) => CameraDevice::Number(*number),
                CameraIndex::String(node) => CameraDevice::Node(node.into()),
            };
            (device, info.human_name())
        })
        .collect();
    cameras.sort_by_key(|(device, _)| match device {
        CameraDevice::Number(number) => *number,
        CameraDevice::Node(_) => u32::MAX,
    });
    Ok(cameras)
}

/// The formats, sizes and rates of a device.
#[cfg(not(target_os = "linux"))]
pub(super) fn offers(device: &CameraDevice) -> Result<Vec<Offer>, CameraError> {
    offers_of(&format!("camera {device}"), &mut open_device(device)?)
}

fn open_device(device: &CameraDevice) -> Result<Nokhwa, CameraError> {
    // What it opens with does not matter: the format is set when it is known what there is.
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
    Nokhwa::new(index(device), any)
        .map_err(|error| CameraError::Open { camera: format!("camera {device}"), reason: words(&error) })
}

/// nokhwa's Linux part takes numbers only.
fn index(device: &CameraDevice) -> CameraIndex {
    match device {
        CameraDevice::Number(number) => CameraIndex::Index(*number),
        CameraDevice::Node(path) => {
            let path = path.to_string_lossy();
            let number = path.strip_prefix("/dev/video").and_then(|number| number.parse().ok());
            number.map_or_else(|| CameraIndex::String(path.into_owned()), CameraIndex::Index)
        }
    }
}

fn offers_of(camera: &str, device: &mut Nokhwa) -> Result<Vec<Offer>, CameraError> {
    let refused =
        |error| CameraError::Refused { camera: camera.into(), step: "tell its formats", reason: words(&error) };
    let formats = device.compatible_camera_formats().map_err(refused)?;
    let mut offers: Vec<Offer> = Vec::new();
    for format in formats {
        let Some(kind) = camera_format(format.format()) else { continue };
        let (size, interval) =
            ((format.width(), format.height()), Interval { numerator: 1, denominator: format.frame_rate() });
        match offers.iter_mut().find(|offer| (offer.format, offer.size) == (kind, size)) {
            Some(offer) => offer.intervals.push(interval),
            None => offers.push(Offer { format: kind, size, intervals: vec![interval] }),
        }
    }
    if offers.is_empty() {
        return Err(CameraError::NoFormat { camera: camera.into(), found: "nothing that nokhwa can read".into() });
    }
    Ok(offers)
}

fn frame_format(format: CameraFormat) -> FrameFormat {
    match format {
        CameraFormat::Grey => FrameFormat::GRAY,
        CameraFormat::Yuyv => FrameFormat::YUYV,
        CameraFormat::Mjpeg => FrameFormat::MJPEG,
    }
}

fn camera_format(format: FrameFormat) -> Option<CameraFormat> {
    match format {
        FrameFormat::GRAY => Some(CameraFormat::Grey),
        FrameFormat::YUYV => Some(CameraFormat::Yuyv),
        FrameFormat::MJPEG => Some(CameraFormat::Mjpeg),
        _ => None,
    }
}

fn words(error: &nokhwa::NokhwaError) -> Reason {
    Reason::Words(error.to_string())
}
