//! The synthetic source as a camera that fails by a script: see [`faults`](super::faults).
//!
//! It keeps an absolute schedule on the clock it is given, so under a simulated clock everything it says is the same
//! each time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::camera::mjpeg;
use super::faults::{Fault, FaultKind};
use super::paced::{Picture, Pictures as _};
use super::synthetic::{Generator, Synthetic};
use super::{BrokenFrame, FrameFault, Next, PATIENCE, Pacing, Reopen, Source, SourceError, SourceOptions};
use crate::clock::{Clock, StopFlag};
use crate::frame::{Capture, Frame, FrameId, Pool, StampSource};

/// Frames a second when none are asked for.
const DEFAULT_FPS: f64 = 30.0;
/// A JPEG file that ends within its header (JFIF 1.02).
const CUT_OFF: [u8; 20] = *b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00";

/// The device: what stays when the source is opened again.
struct Device {
    generator: Generator,
    /// Draws frames of twice the size.
    large: Generator,
    faults: Vec<Fault>,
    /// Whether a fault that happens once has happened.
    over: Vec<bool>,
    fps: f64,
    start: Option<Instant>,
    /// The frame that is due next, counted from 0 whether it comes or not.
    index: u64,
    end: u64,
    /// Not there before this.
    gone_until: Option<Instant>,
}

impl Device {
    /// When frame `index` is due.
    fn due(&self, index: u64) -> Instant {
        let start = self.start.expect("it is set before anything is due");
        start + Duration::from_secs_f64(index as f64 / self.fps)
    }

    /// Skips what is due before `until`; how many frames that is.
    fn skip_until(&mut self, until: Instant) -> u64 {
        let before = self.index;
        while self.index < self.end && self.due(self.index) < until {
            self.index += 1;
        }
        self.index - before
    }

    /// A fault of `kind` whose frames include the one that is due next.
    fn has(&self, kind: FaultKind) -> Option<Fault> {
        self.faults.iter().find(|fault| fault.kind == kind && fault.concerns(self.index)).copied()
    }

    /// As [`Device::has`], but only the first time.
    fn once(&mut self, kind: FaultKind) -> Option<Fault> {
        let index = self.index;
        let found = self.faults.iter().zip(&mut self.over);
        let (fault, over) =
            found.into_iter().find(|(fault, over)| fault.kind == kind && fault.at == index && !**over)?;
        *over = true;
        Some(*fault)
    }
}

/// The device, opened.
pub(super) struct ScriptedCamera {
    device: Arc<Mutex<Device>>,
    clock: Arc<dyn Clock>,
    /// Frames of this opening, lost ones among them.
    frames: u64,
    /// Lost since the last frame.
    lost: u64,
    /// Nothing comes before this.
    silent_until: Option<Instant>,
    /// The stamp of the frame before.
    stamp: Option<Instant>,
    pool: Pool<Vec<u8>>,
}

/// Opens the device, and says how to open it again.
pub(super) fn open(
    spec: &Synthetic,
    options: &SourceOptions,
    clock: Arc<dyn Clock>,
) -> Result<(ScriptedCamera, Reopen), SourceError> {
    let classes = options.classes.as_deref();
    let device = Arc::new(Mutex::new(Device {
        generator: Generator::new(spec, classes)?,
        large: Generator::new(&spec.twice_as_large(), classes)?,
        faults: spec.faults.clone(),
        over: vec![false; spec.faults.len()],
        fps: options.fps.unwrap_or(DEFAULT_FPS),
        start: None,
        index: 0,
        end: options.frames.unwrap_or(u64::MAX).min(spec.frames.unwrap_or(u64::MAX)),
        gone_until: None,
    }));
    let camera = ScriptedCamera::new(Arc::clone(&device), Arc::clone(&clock));
    let reopen = move |_| -> Result<Box<dyn Source>, SourceError> {
        let mut opened = device.lock();
        let now = clock.now();
        if opened.gone_until.is_some_and(|until| now < until) {
            return Err(SourceError::Unplugged);
        }
        opened.skip_until(now);
        Ok(Box::new(ScriptedCamera::new(Arc::clone(&device), Arc::clone(&clock))))
    };
    Ok((camera, Arc::new(reopen)))
}

impl ScriptedCamera {
    fn new(device: Arc<Mutex<Device>>, clock: Arc<dyn Clock>) -> Self {
        Self { device, clock, frames: 0, lost: 0, silent_until: None, stamp: None, pool: Pool::new() }
    }

    /// Waits for `at`, but not for long; whether it has come.
    fn wait(&self, at: Instant, stop: &StopFlag) -> bool {
        let patience = self.clock.now() + PATIENCE;
        self.clock.sleep_until(at.min(patience), stop);
        at <= patience && !stop.is_set()
    }

    /// What happens instead of the frame that is due next, if anything does.
    fn instead(&mut self, device: &mut Device) -> Result<Option<Next>, SourceError> {
        let due = device.due(device.index);
        if self.lost > 0
            && device.faults.iter().any(|fault| fault.kind == FaultKind::Unplug && fault.at == device.index)
        {
            return Ok(Some(self.tell_lost()));
        }
        if let Some(fault) = device.once(FaultKind::Unplug) {
            let back = due + fault.time;
            device.gone_until = Some(back);
            device.skip_until(back);
            return Err(SourceError::Unplugged);
        }
        if let Some(fault) = device.once(FaultKind::Stall) {
            self.silent_until = Some(due + fault.time);
            return Ok(Some(Next::Nothing));
        }
        if let Some(fault) = device.once(FaultKind::Lose) {
            let left = device.end - device.index;
            self.lost += fault.frames.min(left);
            device.index += fault.frames.min(left);
            return Ok(Some(Next::Nothing));
        }
        Ok(None)
    }

    /// What was lost, where no frame comes that could say so.
    fn tell_lost(&mut self) -> Next {
        let lost = std::mem::take(&mut self.lost);
        self.frames += lost;
        Next::Lost(lost)
    }

    fn stamp(&mut self, device: &Device) -> Instant {
        let due = device.due(device.index);
        let before = self.stamp.unwrap_or(due);
        let backward = device.has(FaultKind::Backward).and_then(|fault| before.checked_sub(fault.time));
        let stamp = backward.unwrap_or(if device.has(FaultKind::Duplicate).is_some() { before } else { due });
        self.stamp = Some(stamp);
        stamp
    }

    /// The frame that is due, whole or broken.
    fn frame(&mut self, device: &mut Device) -> Result<Next, SourceError> {
        let (dequeued_at, at) = (self.clock.now(), self.stamp(device));
        let mut pixels = self.pool.take_or(Vec::new);
        let generator = if device.has(FaultKind::Resize).is_some() { &mut device.large } else { &mut device.generator };
        let picture = generator.read(device.index, &mut pixels)?;
        let lost = std::mem::take(&mut self.lost);
        let id = FrameId(self.frames + lost);
        let capture = Capture { id, lost, at, stamp_source: StampSource::Driver };
        self.frames += lost + 1;
        let reason = if device.has(FaultKind::Marked).is_some() {
            Some(FrameFault::Marked)
        } else {
            device.has(FaultKind::Corrupt).map(|_| cut_off(&picture))
        };
        device.index += 1;
        if let Some(reason) = reason {
            return Ok(Next::Broken(BrokenFrame { capture, reason }));
        }
        let Picture { width, height, format, label } = picture;
        Ok(Next::Frame(Frame { capture, dequeued_at, width, height, format, pixels, label }))
    }
}

impl Source for ScriptedCamera {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        let shared = Arc::clone(&self.device);
        let mut device = shared.lock();
        let now = self.clock.now();
        device.start.get_or_insert(now);
        if let Some(until) = self.silent_until {
            if !self.wait(until, stop) {
                return Ok(if stop.is_set() { Next::End } else { Next::Nothing });
            }
            self.silent_until = None;
            self.lost += device.skip_until(until);
        }
        if stop.is_set() || device.index >= device.end {
            return Ok(if self.lost > 0 { self.tell_lost() } else { Next::End });
        }
        let burst = device.has(FaultKind::Burst).map(|burst| burst.at + burst.frames - 1);
        let comes_at = device.due(burst.map_or(device.index, |last| last.min(device.end - 1)));
        if !self.wait(comes_at, stop) {
            return Ok(if stop.is_set() { Next::End } else { Next::Nothing });
        }
        if let Some(fault) = device.once(FaultKind::Block) {
            let until = device.due(device.index) + fault.time;
            (self.silent_until, device.gone_until) = (Some(until), Some(until));
            drop(device);
            // As a driver that does not come back: nobody is listened to.
            self.clock.sleep_until(until, &StopFlag::new());
            return Ok(Next::Nothing);
        }
        match self.instead(&mut device)? {
            Some(instead) => Ok(instead),
            None => self.frame(&mut device),
        }
    }

    fn frames(&self) -> Option<u64> {
        let end = self.device.lock().end;
        (end < u64::MAX).then_some(end)
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

/// What the decoder says of a JPEG file that ends within its header.
fn cut_off(picture: &Picture) -> FrameFault {
    let (size, mut pixels) = ((picture.width, picture.height), Vec::new());
    mjpeg::decode(&CUT_OFF, size, picture.format, &mut pixels).expect_err("there is no picture in a header")
}
