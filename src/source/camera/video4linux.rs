//! Cameras on Linux, spoken to directly: what a deadline needs is a limit to each wait, the driver's own number and stamp
//! of each frame, and its word on which frames are faulty.
//!
//! The driver fills four buffers in turn. One of them is always in our hands, the one that was decoded last: it goes back
//! when the next one is taken.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use v4l::buffer::{Flags, Metadata, Type};
use v4l::device::Device;
use v4l::format::FieldOrder;
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Format, FourCC, Fraction};

use super::error::{CameraError, Reason};
use super::limited::{self, PAUSE};
use super::meter::Meter;
use super::offer::{Mode, Offer, choose};
use super::picture::Decoder;
use super::spec::{CameraDevice, CameraFormat, CameraSpec};
use super::v4l_offers;
use super::v4l_stream::ClosableStream;
use crate::clock::{Clock, monotonic};
use crate::frame::PixelFormat;
use crate::source::{FrameFault, Next, PATIENCE};

/// Buffers that the driver is asked for.
const BUFFERS: u32 = 4;
/// The most buffers that a driver may give instead.
const MOST_BUFFERS: usize = 32;

/// After a pause, frames that are older than this are let go.
const OLD: Duration = Duration::from_millis(250);

/// A camera, ready to stream or streaming.
pub(super) struct Camera {
    tap: Tap,
    meter: Meter,
    decoder: Decoder,
    clock: Arc<dyn Clock>,
    /// When somebody was last answered, with a frame or with that there is none.
    answered: Option<Instant>,
}

impl Camera {
    /// Opens the camera and sets it up, up to the point where frames would flow.
    pub(super) fn open(spec: &CameraSpec, pixels: PixelFormat, clock: Arc<dyn Clock>) -> Result<Self, CameraError> {
        let camera = path(&spec.device).display().to_string();
        let device = open_device(&spec.device)?;
        let mode = choose(&camera, &v4l_offers::of(&camera, &device, spec)?, spec, pixels)?;
        let stride = set(&camera, &device, mode)?;
        let stream =
            Stream::with_buffers(&device, Type::VideoCapture, BUFFERS).map_err(refused(&camera, "give buffers"))?;
        let decoder = Decoder::new(mode, stride, pixels);
        let stream = ClosableStream::new(camera.clone(), stream);
        let tap = Tap { camera, stream, buffers: 0, streams: false, holds: false };
        Ok(Self { tap, meter: Meter::default(), decoder, clock, answered: None })
    }
}

impl limited::Capture for Camera {
    fn capture(&mut self) -> Result<Next, CameraError> {
        let now = self.clock.now();
        let paused = self.answered.is_some_and(|answered| now.saturating_duration_since(answered) > PAUSE);
        self.tap.start()?;
        // As many as there are buffers may have been filled meanwhile.
        let mut kept = if paused { self.tap.buffers } else { 0 };
        let next = loop {
            let patience = if kept > 0 { Duration::ZERO } else { PATIENCE };
            if !self.tap.wait(patience)? {
                if kept == 0 {
                    break Next::Nothing;
                }
                kept = 0;
                continue;
            }
            let Some((buffer, about)) = self.tap.take()? else { break Next::Nothing };
            let dequeued_at = self.clock.now();
            let age = age(&about);
            // What was let go shows in the driver's numbers, as what it lost itself does.
            if kept > 0 && age.is_none_or(|age| age > OLD) {
                kept -= 1;
                continue;
            }
            let capture = self.meter.capture(Some(about.sequence), dequeued_at, age);
            break self.decoder.next(capture, dequeued_at, contents(buffer, &about));
        };
        self.answered = Some(self.clock.now());
        Ok(next)
    }
}

/// The stream, and what state it is in.
struct Tap {
    camera: String,
    stream: ClosableStream,
    /// How many buffers the driver has, once frames flow.
    buffers: usize,
    streams: bool,
    /// Whether a buffer is in our hands.
    holds: bool,
}

impl Tap {
    /// Gives the driver all buffers, and lets frames flow.
    fn start(&mut self) -> Result<(), CameraError> {
        if self.streams {
            return Ok(());
        }
        self.buffers = 0;
        for index in 0..MOST_BUFFERS {
            match CaptureStream::queue(&mut *self.stream, index) {
                Ok(()) => self.buffers += 1,
                // There is no buffer of this number: the driver gave fewer than it was asked for.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && index > 1 => break,
                Err(error) => return Err(refused(&self.camera, "take a buffer")(error)),
            }
        }
        self.stream.start().map_err(refused(&self.camera, "start streaming"))?;
        self.stream.set_timeout(PATIENCE);
        self.streams = true;
        Ok(())
    }

    /// Whether there is a frame, or an error, to be taken before `patience` is over.
    fn wait(&mut self, patience: Duration) -> Result<bool, CameraError> {
        /// "There is data to read", as poll(2) has it.
        const POLLIN: i16 = 1;
        let patience_ms = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        match self.stream.handle().poll(POLLIN, patience_ms) {
            Ok(ready) => Ok(ready > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// The frame that [`Tap::wait`] has seen; `None` when it is none after all.
    ///
    /// The first frame after the start is let go: only by taking one does a buffer come into our hands.
    fn take(&mut self) -> Result<Option<(&[u8], Metadata)>, CameraError> {
        if !self.holds {
            let taken = CaptureStream::dequeue(&mut *self.stream);
            return match taken {
                Ok(_) => {
                    self.holds = true;
                    Ok(None)
                }
                Err(error) if is_none_yet(&error) => Ok(None),
                Err(error) => Err(self.lost(error)),
            };
        }
        match CaptureStream::next(&mut *self.stream) {
            Ok((bytes, about)) => Ok(Some((bytes, *about))),
            Err(error) => {
                // The buffer in our hands has gone back all the same.
                self.holds = false;
                if is_none_yet(&error) {
                    return Ok(None);
                }
                Err(CameraError::Lost { camera: self.camera.clone(), reason: error.into() })
            }
        }
    }

    fn lost(&self, error: io::Error) -> CameraError {
        CameraError::Lost { camera: self.camera.clone(), reason: error.into() }
    }
}

fn is_none_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// How old a frame is by the driver's stamp; `None` when that is of another clock than ours, or from the future.
fn age(about: &Metadata) -> Option<Duration> {
    if about.flags & Flags::TIMESTAMP_MASK != Flags::TIMESTAMP_MONOTONIC {
        return None;
    }
    let (seconds, microseconds) = (u64::try_from(about.timestamp.sec).ok()?, u64::try_from(about.timestamp.usec).ok()?);
    let stamp = Duration::from_secs(seconds).checked_add(Duration::from_micros(microseconds))?;
    monotonic().checked_sub(stamp)
}

/// The bytes that mean something.
fn contents<'a>(buffer: &'a [u8], about: &Metadata) -> Result<&'a [u8], FrameFault> {
    if about.flags.contains(Flags::ERROR) {
        return Err(FrameFault::Marked);
    }
    let bytes = usize::try_from(about.bytesused).unwrap_or(usize::MAX);
    Ok(buffer.get(..bytes).unwrap_or(buffer))
}

/// Where a camera is.
pub(super) fn path(device: &CameraDevice) -> PathBuf {
    match device {
        CameraDevice::Number(number) => format!("/dev/video{number}").into(),
        CameraDevice::Node(path) => path.clone(),
    }
}

pub(super) fn open_device(device: &CameraDevice) -> Result<Device, CameraError> {
    let path = path(device);
    Device::with_path(&path)
        .map_err(|error| CameraError::Open { camera: path.display().to_string(), reason: error.into() })
}

pub(super) fn fourcc(format: CameraFormat) -> FourCC {
    FourCC::new(match format {
        CameraFormat::Grey => b"GREY",
        CameraFormat::Yuyv => b"YUYV",
        CameraFormat::Mjpeg => b"MJPG",
    })
}

/// Sets format and rate, and checks that the driver took them; the bytes from one row to the next.
fn set(camera: &str, device: &Device, mode: Mode) -> Result<usize, CameraError> {
    let (width, height) = mode.size;
    let mut format = Format::new(width, height, fourcc(mode.format));
    format.field_order = FieldOrder::Progressive;
    let got = Capture::set_format(device, &format).map_err(refused(camera, "set the format"))?;
    let taken = (got.width, got.height) == mode.size && got.fourcc == format.fourcc;
    if !taken {
        let got = format!("{} {}x{}", got.fourcc, got.width, got.height);
        return Err(CameraError::NotSet { camera: camera.into(), asked: mode.to_string(), got });
    }
    if let Some(interval) = mode.interval {
        let wanted = Parameters::new(Fraction::new(interval.numerator, interval.denominator));
        let got = device.set_params(&wanted).map_err(refused(camera, "set the rate"))?.interval;
        let got = super::offer::Interval { numerator: got.numerator, denominator: got.denominator };
        if !got.rate().is_about(interval.rate()) {
            let got = format!("{} frames/s", got.rate());
            return Err(CameraError::NotSet { camera: camera.into(), asked: mode.to_string(), got });
        }
    }
    Ok(usize::try_from(got.stride).unwrap_or(0))
}

pub(super) fn refused<'a>(camera: &'a str, step: &'static str) -> impl Fn(io::Error) -> CameraError + 'a {
    move |error| CameraError::Refused { camera: camera.into(), step, reason: Reason::Io(error) }
}

/// The formats, sizes and rates of a device.
pub(super) fn offers(device: &CameraDevice) -> Result<Vec<Offer>, CameraError> {
    let spec = CameraSpec { device: device.clone(), ..CameraSpec::number(0) };
    v4l_offers::of(&path(device).display().to_string(), &open_device(device)?, &spec)
}
