//! The purify thread: picture to tensor, tensor through the purifier.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Captured, Cleaned, Desk, FrameTensors, Ticket, guard};
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
    pub(in crate::pipeline) pool: Pool<FrameTensors>,
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
        pictures.raw = self.let_by(&ticket);
        if pictures.raw {
            let FrameTensors { input, purified, .. } = &mut *pictures;
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
    fn room(&self, frame: FrameId) -> Result<Pooled<FrameTensors>, PipelineError> {
        let (stage, count) = ("purify", self.regions.count());
        let make = || FrameTensors::new(self.purifier.room(count));
        let pictures = guard(stage, Some(frame), || self.pool.take_or(make))?;
        contract::room(&pictures.purified, self.shape, count).map_err(|source| PipelineError::Contract {
            stage,
            frame,
            source,
        })?;
        Ok(pictures)
    }

    /// The frame's pixels go back to their pool at the end of this.
    fn preprocess(
        &mut self,
        frame: Frame,
        ticket: &mut Ticket,
        pictures: &mut FrameTensors,
    ) -> Result<(), PipelineError> {
        let Frame { width, height, format, ref pixels, .. } = frame;
        let tensor = pictures.input.as_slice_mut().expect("it was made in standard layout");
        let frame = ticket.id;
        guard("preprocess", Some(frame), || self.regions.apply(&Picture { width, height, format, pixels }, tensor))?
            .map_err(|source| PipelineError::Preprocess { frame, source })?;
        ticket.mark(Stage::Preprocess, self.desk.clock.now());
        Ok(())
    }

    /// Decides whether there is no time left to purify this frame, and the user wants it classified all the same.
    fn let_by(&mut self, ticket: &Ticket) -> bool {
        let left = self.left(ticket);
        self.is_defence && self.forecast.as_mut().is_some_and(|forecast| forecast.let_by(left))
    }

    /// Time until the deadline, from the end of the frame's last step.
    fn left(&self, ticket: &Ticket) -> Duration {
        self.desk.deadline.get().saturating_sub(ticket.response())
    }

    /// Without a defence nothing is purified: the time to hand the tensor on counts as preprocessing.
    fn purify(&mut self, ticket: &mut Ticket, pictures: &mut FrameTensors) -> Result<(), PipelineError> {
        let (stage, frame) = ("purify", ticket.id);
        let ids = self.regions.ids(frame);
        guard(stage, Some(frame), || self.purifier.purify(ids, pictures.input.view(), &mut pictures.purified))?
            .map_err(|source| PipelineError::Model { stage, frame, source })?;
        contract::purified(&pictures.purified, self.shape, self.regions.count(), self.classes)
            .map_err(|source| PipelineError::Contract { stage, frame, source })?;
        let (began, left) = (ticket.since, self.left(ticket));
        ticket.mark(if self.is_defence { Stage::Purify } else { Stage::Preprocess }, self.desk.clock.now());
        if let Some(forecast) = &mut self.forecast {
            forecast.took(ticket.since.saturating_duration_since(began), left);
        }
        Ok(())
    }
}

/// The parts of a frame that are looked at, one tensor after the other.
pub(in crate::pipeline) struct Regions {
    /// Empty: the whole frame.
    regions: Vec<Region>,
    /// One for each region, or for the whole frame: each keeps what it needs for pictures of its size.
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
        if self.regions.is_empty() {
            return self.preprocessors[0].apply(picture, tensor);
        }
        let size = tensor.len() / self.regions.len();
        let parts = self.regions.iter().zip(&mut self.preprocessors).zip(tensor.chunks_exact_mut(size));
        for ((region, preprocessor), tensor) in parts {
            preprocessor.apply(&region.cut(picture, &mut self.part)?, tensor)?;
        }
        Ok(())
    }
}

/// How long purifying and classifying will take: the one as long as the last time, the other as long as in the warm-up.
///
/// While that is too long frames pass by, and after some of them one is purified all the same, to see whether it
/// still is: after one, and twice as many each time the purifier was too slow again. So a hiccup costs a raw frame,
/// and a lasting overload a late frame in about fifty.
#[derive(Debug)]
pub(in crate::pipeline) struct Forecast {
    purify: Duration,
    classify: Duration,
    /// Frames that have passed by since the purifier was used last.
    passed: u32,
    /// How many may, before it is tried again.
    pause: u32,
}

impl Forecast {
    /// The most frames that pass by before the purifier is tried again.
    const LONGEST_PAUSE: u32 = 50;

    /// Begins with what the warm-up measured.
    pub(in crate::pipeline) fn new(purify: Duration, classify: Duration) -> Self {
        Self { purify, classify, passed: 0, pause: 1 }
    }

    /// Decides on a frame with so much time `left`: whether it passes the purifier by. If so, it is counted.
    fn let_by(&mut self, left: Duration) -> bool {
        let passes = self.purify + self.classify > left && self.passed < self.pause;
        self.passed += u32::from(passes);
        passes
    }

    /// A frame that had so much time `left` was purified.
    fn took(&mut self, purify: Duration, left: Duration) {
        let (too_slow, tried_again) = (purify + self.classify > left, self.passed > 0);
        self.pause = match (too_slow, tried_again) {
            (false, _) => 1,
            (true, false) => self.pause,
            (true, true) => (2 * self.pause).min(Self::LONGEST_PAUSE),
        };
        (self.purify, self.passed) = (purify, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_millis(30);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// How many frames pass by until one is purified, which takes so long.
    fn passed(forecast: &mut Forecast, takes: Duration) -> usize {
        let passed = (0..).take_while(|_| forecast.let_by(LEFT)).count();
        forecast.took(takes, LEFT);
        passed
    }

    #[test]
    fn a_hiccup_costs_one_raw_frame() {
        let mut forecast = Forecast::new(ms(5), ms(1));
        assert_eq!([ms(300), ms(5), ms(5)].map(|takes| passed(&mut forecast, takes)), [0, 1, 0]);
    }

    #[test]
    fn the_longer_an_overload_lasts_the_less_often_the_purifier_is_tried() {
        let mut forecast = Forecast::new(ms(5), ms(1));
        let overload = [(); 10].map(|()| passed(&mut forecast, ms(300)));
        assert_eq!(overload, [0, 1, 2, 4, 8, 16, 32, 50, 50, 50]);
        assert_eq!([ms(5), ms(300), ms(300)].map(|takes| passed(&mut forecast, takes)), [50, 0, 1], "it was over");
    }

    #[test]
    fn a_frame_that_has_waited_for_long_passes_by_and_the_next_one_does_not() {
        let mut forecast = Forecast::new(ms(5), ms(1));
        assert!(forecast.let_by(ms(4)) && !forecast.let_by(LEFT));
    }
}
