//! The device seen from its other side: a second open file, through which faults are ordered; and the source under test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use puvae::clock::{Clock, StopFlag, SystemClock};
use puvae::frame::{Frame, PixelFormat};
use puvae::source::{self, BrokenFrame, Feed, Next, Source, SourceError, SourceOptions};
use v4l::control::{Control, Value};
use v4l::device::Device;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Format, FourCC, Fraction};

/// What nearly all tests open: the only size that the device gives at 30 frames a second.
pub(crate) const CAMERA: &str = "camera:/dev/video0?size=320x180&fps=30&format=yuyv";
/// Frames a second of [`CAMERA`].
pub(crate) const FPS: f64 = 30.0;

/// Controls of the driver.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The share of frames to lose, in percent.
    Dropped = 0x00f0_f040,
    /// Unplugs the device, until the last open file is closed.
    Disconnect = 0x00f0_f041,
    /// Marks one frame as faulty.
    Marked = 0x00f0_f042,
    /// Refuses buffers once.
    Buffers = 0x00f0_f043,
    /// Refuses to take a buffer once.
    Queue = 0x00f0_f044,
    /// Refuses to start once.
    Start = 0x00f0_f045,
    /// Ends the stream for good.
    Fatal = 0x00f0_f046,
}

/// A second open file on the device.
pub(crate) struct Vivid(Device);

impl Vivid {
    /// A device without faults, whose stamps are those of the start of exposure. (Those of the end lie in the future: the
    /// driver adds the exposure to the present.)
    pub(crate) fn healthy() -> Self {
        let vivid = Self(Device::with_path("/dev/video0").unwrap());
        vivid.order(Fault::Dropped, 0);
        vivid.stamp_at_end(false);
        vivid
    }

    pub(crate) fn order(&self, fault: Fault, value: i64) {
        self.0.set_control(Control { id: fault as u32, value: Value::Integer(value) }).unwrap();
    }

    pub(crate) fn stamp_at_end(&self, at_end: bool) {
        let controls = self.0.query_controls().unwrap();
        let id = controls.iter().find(|control| control.name == "Timestamp Source").unwrap().id;
        self.0.set_control(Control { id, value: Value::Integer(i64::from(!at_end)) }).unwrap();
    }

    /// What another program may have left behind.
    pub(crate) fn leave(&self, fourcc: &[u8; 4], interval: (u32, u32)) {
        Capture::set_format(&self.0, &Format::new(640, 360, FourCC::new(fourcc))).unwrap();
        Capture::set_params(&self.0, &Parameters::new(Fraction::new(interval.0, interval.1))).unwrap();
    }
}

pub(crate) fn feed(uri: &str, pixels: PixelFormat) -> Result<Feed, SourceError> {
    let options = SourceOptions { pixels: Some(pixels), ..SourceOptions::default() };
    source::open(&uri.parse().unwrap(), &options, Arc::new(SystemClock))
}

pub(crate) fn open(uri: &str) -> Box<dyn Source> {
    feed(uri, PixelFormat::Gray8).unwrap().source
}

pub(crate) fn refusal(uri: &str) -> String {
    feed(uri, PixelFormat::Gray8).unwrap_err().to_string()
}

/// The next thing that is not nothing.
pub(crate) fn something(source: &mut dyn Source) -> Result<Next, SourceError> {
    for _ in 0..100 {
        match source.next(&StopFlag::new()) {
            Ok(Next::Nothing) => {}
            other => return other,
        }
    }
    panic!("nothing came within ten seconds");
}

pub(crate) fn frame(source: &mut dyn Source) -> Frame {
    match something(source).unwrap() {
        Next::Frame(frame) => frame,
        other => panic!("expected a frame, got {other:?}"),
    }
}

pub(crate) fn frames(source: &mut dyn Source, count: usize) -> Vec<Frame> {
    (0..count).map(|_| frame(source)).collect()
}

pub(crate) fn broken(source: &mut dyn Source) -> Option<BrokenFrame> {
    match something(source).unwrap() {
        Next::Broken(frame) => Some(frame),
        _ => None,
    }
}

/// The error that ends the source, before ten seconds are over.
pub(crate) fn error(source: &mut dyn Source) -> String {
    let until = now() + Duration::from_secs(10);
    while now() < until {
        if let Err(error) = source.next(&StopFlag::new()) {
            return error.to_string();
        }
    }
    panic!("no error came within ten seconds");
}

pub(crate) fn now() -> Instant {
    SystemClock.now()
}

/// Frames that were exposed between two stamps, the later one included.
pub(crate) fn exposed_between(first: Instant, last: Instant) -> f64 {
    (last - first).as_secs_f64() * FPS
}
