//! The one fault of a script that is not the source's: see [`faults`](super::faults).

use std::sync::Arc;

use ndarray::ArrayView4;

use super::Fault;
use crate::clock::{Clock, StopFlag};
use crate::frame::FrameId;
use crate::model::ModelError;
use crate::model::spec::InputShape;
use crate::purifier::{Purified, Purifier};

/// A purifier that takes long for some frames.
pub struct Slowed {
    inner: Box<dyn Purifier>,
    slow: Vec<Fault>,
    clock: Arc<dyn Clock>,
}

impl Slowed {
    /// `inner`, which for each frame that one of `slow` concerns takes at least that fault's time.
    #[must_use]
    pub fn new(inner: Box<dyn Purifier>, slow: Vec<Fault>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, slow, clock }
    }
}

impl Purifier for Slowed {
    fn input(&self) -> InputShape {
        self.inner.input()
    }

    fn room(&self, batch: usize) -> Purified {
        self.inner.room(batch)
    }

    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        let begin = self.clock.now();
        self.inner.purify(ids, frames, out)?;
        let concerned = |fault: &&Fault| ids.iter().any(|id| fault.concerns(id.0));
        if let Some(fault) = self.slow.iter().find(concerned) {
            self.clock.sleep_until(begin + fault.time, &StopFlag::new());
        }
        Ok(())
    }

    fn suspect_above(&self) -> Option<f32> {
        self.inner.suspect_above()
    }

    fn is_defence(&self) -> bool {
        self.inner.is_defence()
    }
}
