//! A camera as a source: it ends when it is stopped or has given all frames that were asked for, and never goes on after
//! its end or an error.

use std::time::Duration;

use super::error::CameraError;
use super::picture::Quota;
use crate::clock::StopFlag;
use crate::source::{Next, Pacing, Source, SourceError};

/// Nobody asked for a frame for this long: what was kept meanwhile is old.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// What a backend has to do.
pub(super) trait Capture: Send {
    /// The next frame, or that there is none yet.
    fn capture(&mut self) -> Result<Next, CameraError>;
}

/// A backend with its limit.
pub(super) struct Limited<C> {
    camera: C,
    quota: Quota,
    ended: bool,
}

impl<C> Limited<C> {
    pub(super) fn new(camera: C, quota: Quota) -> Self {
        Self { camera, quota, ended: false }
    }
}

impl<C: Capture> Source for Limited<C> {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        self.ended |= stop.is_set() || self.quota.is_used_up();
        if self.ended {
            return Ok(Next::End);
        }
        let next = self.camera.capture();
        self.ended = matches!(next, Err(_) | Ok(Next::End));
        Ok(next?)
    }

    fn frames(&self) -> Option<u64> {
        self.quota.most()
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}
