//! Cameras through nokhwa, on every system that it knows.
//!
//! It says nothing of lost and faulty frames, gives no stamp that can be compared with our clock, and waits for a frame
//! without limit: a camera that stalls looks like a driver that does not return.
//!
//! Frames that nobody asked for are kept, a few by the driver or, on macOS, without limit by nokhwa, and how old they are
//! cannot be told. So the camera streams only from the first frame that is asked for, and after a pause whatever comes at once
//! is let go, until a frame had to be waited for. While frames are asked for without a pause, one that was kept is taken for
//! new: it is stamped when it is taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nokhwa::Camera as Nokhwa;
use nokhwa::utils::{
    ApiBackend, CameraFormat as NokhwaFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType,
};

use super::error::{CameraError, Reason};
use super::limited::{self, PAUSE};
use super::meter::Meter;
use super::offer::{Interval, Offer, choose};
use super::picture::Decoder;
use super::spec::{CameraDevice, CameraFormat, CameraSpec};
use crate::clock::Clock;
use crate::frame::PixelFormat;
use crate::source::{Next, PATIENCE};

const FORMATS: [FrameFormat; 3] = [FrameFormat::GRAY, FrameFormat::YUYV, FrameFormat::MJPEG];

/// A frame that comes sooner than this was kept, not waited for.
const AT_ONCE: Duration = Duration::from_millis(2);

/// A camera, ready to stream or streaming.
pub(super) struct Camera {
    camera: String,
    device: Nokhwa,
    streams: bool,
    /// Frames that nokhwa gave, those that were let go among them.
    taken: u32,
    meter: Meter,
    decoder: Decoder,
    clock: Arc<dyn Clock>,
    /// When the last frame was given.
    answered: Option<Instant>,
}

impl Camera {
    pub(super) fn open(spec: &CameraSpec, pixels: PixelFormat, clock: Arc<dyn Clock>) -> Result<Self, CameraError> {
        let camera = format!("camera {}", spec.device);
        let mut device = open_device(&spec.device)?;
        let mode = choose(&camera, &offers_of(&camera, &mut device)?, spec, pixels)?;
        let rate = mode.interval.map_or(0, |interval| interval.rate().millihertz / 1000);
        let wanted = NokhwaFormat::new_from(mode.size.0, mode.size.1, frame_format(mode.format), rate);
        let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(wanted), &FORMATS);
        device.set_camera_requset(exact).map_err(refused(&camera, "set the format"))?;
        let decoder = Decoder::new(mode, 0, pixels);
        Ok(Self { camera, device, streams: false, taken: 0, meter: Meter::default(), decoder, clock, answered: None })
    }

    /// Lets frames flow.
    fn start(&mut self) -> Result<(), CameraError> {
        if !self.streams {
            self.device.open_stream().map_err(refused(&self.camera, "start streaming"))?;
            self.streams = true;
        }
        Ok(())
    }
}

impl limited::Capture for Camera {
    fn capture(&mut self) -> Result<Next, CameraError> {
        self.start()?;
        let began = self.clock.now();
        let paused = self.answered.is_some_and(|answered| began.saturating_duration_since(answered) > PAUSE);
        let mut asked = began;
        let next = loop {
            let bytes = self.device.frame_raw().map_err(|error| {
                let (camera, reason) = (self.camera.clone(), words(&error));
                CameraError::Lost { camera, reason }
            })?;
            let dequeued_at = self.clock.now();
            self.taken = self.taken.wrapping_add(1);
            if paused && was_kept(began, asked, dequeued_at) {
                asked = dequeued_at;
                continue;
            }
            // What was let go shows in these numbers.
            let capture = self.meter.capture(Some(self.taken), dequeued_at, None);
            break self.decoder.next(capture, dequeued_at, Ok(&bytes));
        };
        self.answered = Some(self.clock.now());
        Ok(next)
    }
}

/// Whether a frame that was `asked` for after a pause, and came at `dequeued_at`, was there before. Of a camera so fast that
/// this cannot be told frames are let go for a tenth of a second, no longer.
fn was_kept(began: Instant, asked: Instant, dequeued_at: Instant) -> bool {
    dequeued_at.saturating_duration_since(asked) < AT_ONCE && dequeued_at.saturating_duration_since(began) < PATIENCE
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
    let formats = device.compatible_camera_formats().map_err(refused(camera, "tell its formats"))?;
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

fn refused<'a>(camera: &'a str, step: &'static str) -> impl Fn(nokhwa::NokhwaError) -> CameraError + 'a {
    move |error| CameraError::Refused { camera: camera.into(), step, reason: words(&error) }
}

fn words(error: &nokhwa::NokhwaError) -> Reason {
    Reason::Words(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    #[test]
    fn after_a_pause_frames_are_let_go_until_one_had_to_be_waited_for() {
        let (ms, began) = (Duration::from_millis, SimulatedClock::new().start());
        let was_kept = |asked: u64, came: u64| was_kept(began, began + ms(asked), began + ms(came));
        assert!(was_kept(0, 0) && was_kept(0, 1) && was_kept(40, 41));
        assert!(!was_kept(0, 2) && !was_kept(1, 30));
        assert!(!was_kept(99, 100), "of a camera of a thousand frames a second no longer than that");
    }
}
