//! `stdin:gray|rgb:WxH`: raw frames from another program, such as ffmpeg, one after the other without anything between them.
//!
//! A frame is stamped when its first byte is read. Frames are read whether the pipeline is ready or not, as those of a
//! camera: left in the pipe they would grow old there, and their stamps would hide it. While models are loaded and warmed up
//! nobody reads yet: what a pipe holds by then (64 KiB on Linux) is older than its stamps say, and the first frames with it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};

use super::uri::RawVideo;
use super::{Next, PATIENCE, Pacing, Source, SourceError, SourceOptions};
use crate::clock::{Clock, StopFlag};
use crate::frame::{Capture, Frame, FrameId, Pool, PooledBytes, StampSource};

/// Raw frames from a file descriptor.
pub(super) struct RawFrames {
    from: OwnedFd,
    form: RawVideo,
    clock: Arc<dyn Clock>,
    /// Frames given so far.
    next: u64,
    end: u64,
    pool: Pool<Vec<u8>>,
    /// A frame whose last byte has not come: its room, how many bytes it has, and when the first one was read.
    partial: Option<(PooledBytes, usize, Instant)>,
}

impl RawFrames {
    /// Reads this process's standard input.
    pub(super) fn stdin(form: RawVideo, options: &SourceOptions, clock: Arc<dyn Clock>) -> Result<Self, SourceError> {
        let from = io::stdin().as_fd().try_clone_to_owned().map_err(SourceError::Stdin)?;
        Self::new(from, form, options, clock)
    }

    pub(super) fn new(
        from: OwnedFd,
        form: RawVideo,
        options: &SourceOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        if options.fps.is_some() {
            return Err(SourceError::StdinFps);
        }
        let end = options.frames.unwrap_or(u64::MAX);
        Ok(Self { from, form, clock, next: 0, end, pool: Pool::new(), partial: None })
    }

    /// Waits a while for bytes; whether there are any, or the end.
    fn readable(&self) -> Result<bool, SourceError> {
        let patience = Timespec::try_from(PATIENCE).expect("it is a fraction of a second");
        match poll(&mut [PollFd::new(&self.from, PollFlags::IN)], Some(&patience)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(SourceError::Stdin(errno.into())),
        }
    }

    /// Reads what is there; `None` until the frame is whole.
    fn read(&mut self) -> Result<Option<Next>, SourceError> {
        let whole = self.form.bytes();
        let now = self.clock.now();
        let (mut pixels, mut filled, captured_at) = self.partial.take().unwrap_or_else(|| {
            let mut pixels = self.pool.take_or(Vec::new);
            pixels.resize(whole, 0);
            (pixels, 0, now)
        });
        let got = match read(&self.from, &mut pixels[filled..]) {
            Ok(got) => got,
            Err(Errno::INTR | Errno::AGAIN) => {
                self.partial = Some((pixels, filled, captured_at));
                return Ok(None);
            }
            Err(errno) => return Err(SourceError::Stdin(errno.into())),
        };
        if got == 0 {
            self.end = self.next;
            return match filled {
                0 => Ok(Some(Next::End)),
                got => Err(SourceError::StdinCutOff { frame: self.next, got, expected: whole }),
            };
        }
        filled += got;
        if filled < whole {
            self.partial = Some((pixels, filled, captured_at));
            return Ok(None);
        }
        let (id, stamp_source) = (FrameId(self.next), StampSource::Dequeue);
        let capture = Capture { id, lost: 0, at: captured_at, stamp_source };
        self.next += 1;
        let RawVideo { width, height, format } = self.form;
        let dequeued_at = self.clock.now();
        Ok(Some(Next::Frame(Frame { capture, dequeued_at, width, height, format, pixels, label: None })))
    }
}

impl Source for RawFrames {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        loop {
            if self.next >= self.end || stop.is_set() {
                self.end = self.next;
                return Ok(Next::End);
            }
            if !self.readable()? {
                return Ok(Next::Nothing);
            }
            if let Some(next) = self.read()? {
                return Ok(next);
            }
        }
    }

    fn frames(&self) -> Option<u64> {
        (self.end < u64::MAX).then_some(self.end)
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::frame::PixelFormat;
    use std::io::{PipeWriter, Write as _, pipe};

    const FORM: RawVideo = RawVideo { width: 3, height: 2, format: PixelFormat::Rgb8 };

    fn frames(options: &SourceOptions) -> (RawFrames, PipeWriter) {
        let (reader, writer) = pipe().unwrap();
        (RawFrames::new(reader.into(), FORM, options, Arc::new(SimulatedClock::new())).unwrap(), writer)
    }

    fn frame(next: Next) -> Frame {
        match next {
            Next::Frame(frame) => frame,
            other => panic!("expected a frame, got {other:?}"),
        }
    }

    #[test]
    fn bytes_become_frames_however_they_are_cut() {
        let (mut source, mut writer) = frames(&SourceOptions::default());
        let stop = StopFlag::new();
        writer.write_all(&[1; 10]).unwrap();
        assert!(matches!(source.next(&stop), Ok(Next::Nothing)), "a part of a frame is none");
        writer.write_all(&[2; 20]).unwrap();
        let first = frame(source.next(&stop).unwrap());
        assert_eq!((first.capture.id, first.width, first.height, first.format), (FrameId(0), 3, 2, PixelFormat::Rgb8));
        assert_eq!(first.pixels[..], [[1; 10].as_slice(), &[2; 8]].concat());
        writer.write_all(&[3; 6]).unwrap();
        assert_eq!(frame(source.next(&stop).unwrap()).pixels[12..], [3; 6]);
        drop(writer);
        assert!(matches!(source.next(&stop), Ok(Next::End)));
        assert!(matches!(source.next(&stop), Ok(Next::End)), "the end stays the end");
    }

    #[test]
    fn an_end_in_the_middle_of_a_frame_is_an_error() {
        let (mut source, mut writer) = frames(&SourceOptions::default());
        writer.write_all(&[1; 18 + 7]).unwrap();
        drop(writer);
        let stop = StopFlag::new();
        frame(source.next(&stop).unwrap());
        let text = source.next(&stop).unwrap_err().to_string();
        assert!(text.starts_with("standard input ended in the middle of frame 1: 7 bytes, expected 18"), "{text}");
    }

    #[test]
    fn it_ends_after_the_frames_that_were_asked_for_and_when_it_is_stopped() {
        let (mut source, mut writer) = frames(&SourceOptions { frames: Some(1), ..Default::default() });
        assert_eq!((source.frames(), source.pacing()), (Some(1), Pacing::Live));
        writer.write_all(&[0; 40]).unwrap();
        frame(source.next(&StopFlag::new()).unwrap());
        assert!(matches!(source.next(&StopFlag::new()), Ok(Next::End)));
        let (mut source, _writer) = frames(&SourceOptions::default());
        let stop = StopFlag::new();
        stop.set();
        assert!(matches!(source.next(&stop), Ok(Next::End)));
    }

    #[test]
    fn a_pace_of_its_own_is_refused() {
        let (reader, _writer) = pipe().unwrap();
        let options = SourceOptions { fps: Some(30.0), ..Default::default() };
        let refused = RawFrames::new(reader.into(), FORM, &options, Arc::new(SimulatedClock::new()));
        let text = refused.err().unwrap().to_string();
        assert!(text.starts_with("--fps was given, but frames on standard input come when they come"), "{text}");
    }
}
