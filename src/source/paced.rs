//! Plays pictures that are all there already, on a schedule or as fast as they are taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{BrokenFrame, FrameFault, Next, Pacing, Source, SourceError, SourceOptions};
use crate::clock::{Clock, StopFlag};
use crate::frame::{Capture, Frame, FrameId, PixelFormat, Pool, StampSource};

/// Pictures that can be had by their number.
pub(super) trait Pictures: Send {
    /// How many there are; `None` for without end.
    fn len(&self) -> Option<u64>;

    /// Writes the pixels of picture `index` into `pixels`, which has arbitrary contents and length before.
    fn read(&mut self, index: u64, pixels: &mut Vec<u8>) -> Result<Picture, SourceError>;

    /// As [`Source::files`].
    fn files(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Everything about a picture but its pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) format: PixelFormat,
    pub(super) label: Option<usize>,
}

/// A [`Source`] that plays [`Pictures`] once.
pub(super) struct Paced<P> {
    pictures: P,
    clock: Arc<dyn Clock>,
    fps: Option<f64>,
    /// When frame 0 was asked for: the schedule counts from here.
    start: Option<Instant>,
    next: u64,
    end: u64,
    pool: Pool<Vec<u8>>,
}

impl<P: Pictures> Paced<P> {
    pub(super) fn new(pictures: P, options: &SourceOptions, clock: Arc<dyn Clock>) -> Self {
        let end = options.frames.unwrap_or(u64::MAX).min(pictures.len().unwrap_or(u64::MAX));
        Self { pictures, clock, fps: options.fps, start: None, next: 0, end, pool: Pool::new() }
    }

    /// Waits until the next frame is due; when it is, and when the wait was over.
    fn wait(&mut self, stop: &StopFlag) -> (Instant, StampSource, Instant) {
        let now = self.clock.now();
        let Some(fps) = self.fps else { return (now, StampSource::Dequeue, now) };
        let due = *self.start.get_or_insert(now) + Duration::from_secs_f64(self.next as f64 / fps);
        self.clock.sleep_until(due, stop);
        (due, StampSource::Schedule, self.clock.now())
    }
}

impl<P: Pictures> Source for Paced<P> {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        if self.next >= self.end {
            return Ok(Next::End);
        }
        let (at, stamp_source, dequeued_at) = self.wait(stop);
        if stop.is_set() {
            self.end = self.next;
            return Ok(Next::End);
        }
        let mut pixels = self.pool.take_or(Vec::new);
        let capture = Capture { id: FrameId(self.next), lost: 0, at, stamp_source };
        self.next += 1;
        let Picture { width, height, format, label } = match self.pictures.read(capture.id.0, &mut pixels) {
            Ok(picture) => picture,
            // The other pictures can be had all the same.
            Err(error) => {
                let reason = FrameFault::Picture(error.to_string());
                return Ok(Next::Broken(BrokenFrame { capture, reason }));
            }
        };
        Ok(Next::Frame(Frame { capture, dequeued_at, width, height, format, pixels, label }))
    }

    fn frames(&self) -> Option<u64> {
        (self.end < u64::MAX).then_some(self.end)
    }

    fn files(&self) -> Vec<String> {
        self.pictures.files()
    }

    fn pacing(&self) -> Pacing {
        if self.fps.is_some() { Pacing::Paced } else { Pacing::Unpaced }
    }
}
