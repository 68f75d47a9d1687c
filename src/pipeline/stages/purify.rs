//! The purify thread: picture to tensor, tensor through the purifier.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Captured, Cleaned, Desk, Pictures, Ticket, guard};
use crate::frame::{Frame, FrameId, Pool, Pooled};
use crate::latency::Stage;
use crate::ledger::{ExpiredAt, FailedAt, Fate};
use crate::model::spec::InputShape;
use crate::pipeline::{PipelineError, contract};
use crate::preprocess::{Picture, PreprocessError, Preprocessor, Region};
use crate::purifier::Purifier;
use crate::queue::{Receiver, Sender};

pub(in crate::pipeline) struct Purify {
    pub(in crate::pipeline) desk: Desk,
    pub(in crate::pipeline) input: Receiver<Captured>,
    pub(in crate::pipeline) regions: Regions,
    pub(in crate::pipeline) purifier: Box<dyn Purifier>,
    /// What the purifier takes and returns.
    pub(in crate::pipeline) shape: InputShape,
    /// Whether the purifier changes anything.
    pub(in crate::pipeline) is_defence: bool,
    /// Number of classes K of the classifier.
    pub(in crate::pipeline) classes: usize,
    pub(in crate::pipeline) pool: Pool<Pictures>,
    pub(in crate::pipeline) output: Sender<Cleaned>,
    /// Whether a frame that cannot be purified in time is classified as it is.
    pub(in crate::pipeline) forecast: Option<Forecast>,
}

impl Purify {
    pub(in crate::pipeline) fn run(mut self) {
        while let Some(captured) = self.input.recv() {
            if self.one(captured).is_break() {
                break;
            }
        }
        self.desk.shut_down(self.input.close().into_iter().map(|captured| captured.ticket));
    }

    fn one(&mut self, Captured { mut ticket, frame }: Captured) -> ControlFlow<()> {
        ticket.mark(Stage::Queue, self.desk.clock.now());
        if self.desk.expired(&ticket) {
            self.desk.decide(ticket, Fate::Expired(ExpiredAt::Purify));
            return ControlFlow::Continue(());
        }
        let mut pictures = match self.room(ticket.id) {
            Ok(pictures) => pictures,
            Err(error) => return self.desk.fail_or_go_on(ticket, FailedAt::Purify, error),
        };
        if let Err(error) = self.preprocess(frame, &mut ticket, &mut pictures) {
            return self.desk.fail_or_go_on(ticket, FailedAt::Preprocess, error);
        }
        if self.desk.expired(&ticket) {
            self.desk.decide(ticket, Fate::Expired(ExpiredAt::Purify));
            return ControlFlow::Continue(());
        }
        pictures.raw = self.passes_by(&ticket);
        if pictures.raw {
            let Pictures { input, purified, .. } = &mut *pictures;
            purified.frames.assign(input);
        } else if let Err(error) = self.purify(&mut ticket, &mut pictures) {
            return self.desk.fail_or_go_on(ticket, FailedAt::Purify, error);
        }
        match self.output.send(Cleaned { ticket, pictures }) {
            Ok(_) => ControlFlow::Continue(()),
            Err(closed) => {
                self.desk.shut_down([closed.item.ticket]);
                ControlFlow::Break(())
            }
        }
    }

    /// Room for a frame's pictures; what a purifier left in it has no other shape than its own room.
    fn room(&self, frame: FrameId) -> Result<Pooled<Pictures>, PipelineError> {
        let (stage, count) = ("purify", self.regions.count());
        let make = || Pictures::new(self.purifier.room(count));
        let pictures = guard(stage, Some(frame), || self.pool.take_or(make))?;
        contract::room(&pictures.purified, self.shape, count).map_err(|source| PipelineError::Contract {
            stage,
            frame,
            source,
        })?;
        Ok(pictures)
    }

    /// The frame's pixels go back to their pool at the end of this.
    fn preprocess(&mut self, frame: Frame, ticket: &mut Ticket, pictures: &mut Pictures) -> Result<(), PipelineError> {
        let Frame { width, height, format, ref pixels, .. } = frame;
        let tensor = pictures.input.as_slice_mut().expect("it was made in standard layout");
        let frame = ticket.id;
        guard("preprocess", Some(frame), || self.regions.apply(&Picture { width, height, format, pixels }, tensor))?
            .map_err(|source| PipelineError::Preprocess { frame, source })?;
        ticket.mark(Stage::Preprocess, self.desk.clock.now());
        Ok(())
    }

    /// Whether there is no time left to purify this frame, and the user wants it classified all the same.
    fn passes_by(&mut self, ticket: &Ticket) -> bool {
        let left = self.desk.deadline.get().saturating_sub(ticket.since.saturating_duration_since(ticket.captured_at));
        self.is_defence && self.forecast.as_mut().is_some_and(|forecast| forecast.exceeds(left))
    }

    /// Without a defence nothing is purified: the time to hand the tensor on counts as preprocessing.
    fn purify(&mut self, ticket: &mut Ticket, pictures: &mut Pictures) -> Result<(), PipelineError> {
        let (stage, frame) = ("purify", ticket.id);
        let ids = self.regions.ids(frame);
        guard(stage, Some(frame), || self.purifier.purify(ids, pictures.input.view(), &mut pictures.purified))?
            .map_err(|source| PipelineError::Model { stage, frame, source })?;
        contract::purified(&pictures.purified, self.shape, self.regions.count(), self.classes)
            .map_err(|source| PipelineError::Contract { stage, frame, source })?;
        let began = ticket.since;
        ticket.mark(if self.is_defence { Stage::Purify } else { Stage::Preprocess }, self.desk.clock.now());
        if let Some(forecast) = &mut self.forecast {
            forecast.took(ticket.since.saturating_duration_since(began));
        }
        Ok(())
    }
}

/// The parts of a frame that are looked at, one tensor after the other.
pub(in crate::pipeline) struct Regions {
    /// Empty: the whole frame.
    regions: Vec<Region>,
    /// One for each region: each keeps what it needs for pictures of its size.
    preprocessors: Vec<Preprocessor>,
    /// A region's pixels.
    part: Vec<u8>,
    /// The frame's number, once for each region.
    ids: Vec<FrameId>,
}

impl Regions {
    pub(in crate::pipeline) fn new(regions: Vec<Region>, preprocessor: Preprocessor) -> Self {
        let count = regions.len().max(1);
        Self { regions, preprocessors: vec![preprocessor; count], part: Vec::new(), ids: vec![FrameId(0); count] }
    }

    fn count(&self) -> usize {
        self.preprocessors.len()
    }

    fn ids(&mut self, frame: FrameId) -> &[FrameId] {
        self.ids.fill(frame);
        &self.ids
    }

    /// Fills `tensor` `[R, C, H, W]`.
    fn apply(&mut self, picture: &Picture<'_>, tensor: &mut [f32]) -> Result<(), PreprocessError> {
        let [whole] = self.preprocessors.as_mut_slice() else { return self.each(picture, tensor) };
        if self.regions.is_empty() { whole.apply(picture, tensor) } else { self.each(picture, tensor) }
    }

    fn each(&mut self, picture: &Picture<'_>, tensor: &mut [f32]) -> Result<(), PreprocessError> {
        let size = tensor.len() / self.regions.len();
        let parts = self.regions.iter().zip(&mut self.preprocessors).zip(tensor.chunks_exact_mut(size));
        for ((region, preprocessor), tensor) in parts {
            preprocessor.apply(&region.cut(picture, &mut self.part)?, tensor)?;
        }
        Ok(())
    }
}

/// How long purifying and classifying will take.
///
/// It follows a rise at once and forgets it slowly, while frames pass by: so after an overload the purifier is
/// tried again, and a lasting one costs a late frame in about fifty.
#[derive(Debug)]
pub(in crate::pipeline) struct Forecast {
    purify: Duration,
    classify: Duration,
}

impl Forecast {
    /// Share of the forecast that is left after a frame has passed by.
    const KEPT: f64 = 0.95;

    /// Begins with what the warm-up measured.
    pub(in crate::pipeline) fn new(purify: Duration, classify: Duration) -> Self {
        Self { purify, classify }
    }

    /// Whether a frame with so much time `left` cannot be purified and classified within it.
    fn exceeds(&mut self, left: Duration) -> bool {
        let exceeds = self.purify + self.classify > left;
        if exceeds {
            self.purify = self.purify.mul_f64(Self::KEPT);
        }
        exceeds
    }

    fn took(&mut self, purify: Duration) {
        self.purify = purify.max((self.purify + purify) / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_follows_a_rise_at_once_and_tries_again_after_a_while() {
        let ms = Duration::from_millis;
        let mut forecast = Forecast::new(ms(5), ms(1));
        assert!(!forecast.exceeds(ms(6)));
        forecast.took(ms(300));
        let passed = (0..).take_while(|_| forecast.exceeds(ms(30))).count();
        assert_eq!(passed, 46);
        forecast.took(ms(5));
        assert!(!forecast.exceeds(ms(20)), "the overload is over");
    }
}
