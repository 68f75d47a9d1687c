//! A camera as a source: it ends when it is stopped or has given all frames that were asked for, and never goes on after
//! its end or an error.

use std::time::Duration;

use super::error::CameraError;
use crate::clock::StopFlag;
use crate::source::{Next, Pacing, Source, SourceError};

/// Nobody asked for a frame for this long: what was kept meanwhile is old.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// What a backend has to do.
pub(super) trait Capture: Send {
    /// The next frame, or that there is none yet.
    fn capture(&mut self) -> Result<Next, CameraError>;
}

/// How many frames there may be, lost and broken ones among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// Over all openings of the camera.
    pub(super) most: Option<u64>,
    /// Of earlier openings. What these may still bring is taken by nobody, and counts for nothing.
    pub(super) taken: u64,
}

/// A backend with its limit.
pub(super) struct Limited<C> {
    camera: C,
    most: Option<u64>,
    /// Frames that this opening may still give.
    left: u64,
    ended: bool,
}

impl<C> Limited<C> {
    pub(super) fn new(camera: C, Limit { most, taken }: Limit) -> Self {
        Self { camera, most, left: most.unwrap_or(u64::MAX).saturating_sub(taken), ended: false }
    }

    /// Where a frame would be one too many, the lost ones before it that are not.
    fn limit(&mut self, next: Next) -> Next {
        let frames = match &next {
            Next::Frame(frame) => frame.capture.lost + 1,
            Next::Broken(frame) => frame.capture.lost + 1,
            Next::Lost(count) => *count,
            Next::Nothing | Next::End => 0,
        };
        let left = self.left;
        self.left = left.saturating_sub(frames);
        if frames <= left { next } else { Next::Lost(left) }
    }
}

impl<C: Capture> Source for Limited<C> {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        self.ended |= stop.is_set() || self.left == 0;
        if self.ended {
            return Ok(Next::End);
        }
        let next = self.camera.capture();
        self.ended = matches!(next, Err(_) | Ok(Next::End));
        Ok(self.limit(next?))
    }

    fn frames(&self) -> Option<u64> {
        self.most
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::frame::{self, FrameId, StampSource};
    use crate::source::{BrokenFrame, FrameFault};

    /// Loses so many frames before each.
    struct Lossy(u64);

    impl Capture for Lossy {
        fn capture(&mut self) -> Result<Next, CameraError> {
            let (at, stamp_source) = (SimulatedClock::new().start(), StampSource::Driver);
            let capture = frame::Capture { id: FrameId(0), lost: self.0, at, stamp_source };
            Ok(Next::Broken(BrokenFrame { capture, reason: FrameFault::Marked }))
        }
    }

    /// Frames until the end, lost ones among them.
    fn given(lost: u64, limit: Limit) -> u64 {
        let (mut source, stop) = (Limited::new(Lossy(lost), limit), StopFlag::new());
        let frames = |next| match next {
            Ok(Next::Broken(frame)) => Some(frame.capture.lost + 1),
            Ok(Next::Lost(count)) => Some(count),
            _ => None,
        };
        std::iter::from_fn(|| frames(source.next(&stop))).sum()
    }

    #[test]
    fn there_are_as_many_frames_as_were_asked_for_over_all_openings() {
        for lost in [0, 1, 2, 9] {
            assert_eq!(given(lost, Limit { most: Some(7), taken: 0 }), 7);
            assert_eq!(given(lost, Limit { most: Some(7), taken: 5 }), 2);
            assert_eq!(given(lost, Limit { most: Some(7), taken: 7 }), 0);
        }
    }
}
