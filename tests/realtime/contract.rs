//! Models that do not keep to what their traits promise: the run ends with an error that says so, and no panic gets out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ndarray::{Array2, Array4, ArrayView4};
use puvae::classifier::Classifier;
use puvae::clock::{StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::frame::FrameId;
use puvae::model::ModelError;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, OnUnpurified, PipelineConfig, PipelineFailure};
use puvae::preprocess::Region;
use puvae::purifier::{Purified, Purifier};

use crate::capture::synthetic;
use crate::indifferent::Indifferent;
use crate::lockstep::{SHAPE, Stub};

/// What [`Breaking`] gets wrong, from frame 2 on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Breach {
    /// As many values, colours last.
    ColoursLast,
    /// As many distances, one row for each class.
    Distances,
    /// An error that concerns one frame, after frames of another size were put in.
    ShapeAndError,
    /// Panics when asked for room.
    NoRoom,
    /// Room for more frames than were asked for.
    TooMuchRoom,
    /// Panics when it is dropped.
    Drop,
}

/// A defence that does not keep its promise.
struct Breaking {
    breach: Breach,
    rooms: AtomicU32,
}

/// Calls of `room` before the first frame.
const ROOMS_BEFORE: u32 = 1;

impl Purifier for Breaking {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn room(&self, batch: usize) -> Purified {
        let begun = self.rooms.fetch_add(1, Ordering::SeqCst) >= ROOMS_BEFORE;
        match self.breach {
            Breach::NoRoom if begun => panic!("no room"),
            Breach::TooMuchRoom if begun => Purified::new(20, SHAPE).with_selection(4),
            _ => Purified::new(batch, SHAPE).with_selection(4),
        }
    }

    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        out.frames.assign(&frames);
        let batch = frames.dim().0;
        if ids.iter().any(|id| id.0 >= 2) {
            match self.breach {
                Breach::ColoursLast => out.frames = Array4::zeros((batch, SHAPE.height, SHAPE.width, 1)),
                Breach::Distances => out.selected.as_mut().unwrap().distances = Array2::zeros((4, batch)),
                Breach::ShapeAndError => {
                    out.frames = Array4::zeros((batch, 1, 1, 1));
                    return Err(ModelError::NotFinite { path: "test".into(), output: "purified", index: 0 });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Breaking {
    fn drop(&mut self) {
        assert!(self.breach != Breach::Drop, "it cannot be dropped");
    }
}

/// Gives its logits the other way round.
struct Turned([String; 4]);

impl Classifier for Turned {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn classes(&self) -> &[String] {
        &self.0
    }

    fn classify(&mut self, frames: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError> {
        *logits = Array2::zeros((4, frames.dim().0));
        Ok(())
    }
}

fn failure(purifier: Box<dyn Purifier>, classifier: Box<dyn Classifier>, regions: &[&str]) -> Box<PipelineFailure> {
    let config = PipelineConfig {
        deadline: Deadline::new(Duration::from_secs(3600)).unwrap(),
        regions: regions.iter().map(|region| region.parse::<Region>().unwrap()).collect(),
        on_unpurified: OnUnpurified::Flag,
        ..PipelineConfig::default()
    };
    let (clock, stop) = (Arc::new(SystemClock), StopFlag::new());
    pipeline::run(synthetic(5), purifier, classifier, &config, clock, &stop, &mut []).unwrap_err()
}

fn breaking(breach: Breach, regions: &[&str]) -> Box<PipelineFailure> {
    failure(Box::new(Breaking { breach, rooms: 0.into() }), Indifferent::new(SHAPE, 4), regions)
}

#[test]
fn a_model_that_breaks_its_contract_ends_the_run_and_is_named_with_the_frame() {
    for (breach, words) in [
        (
            Breach::ColoursLast,
            "the purify stage failed on frame 2: `purified` has the shape [1, 6, 6, 1], expected [1, 1, 6, 6]",
        ),
        (Breach::Distances, "the purify stage failed on frame 2: `distances` has the shape [4, 1], expected [1, 4]"),
        (Breach::ShapeAndError, "`purified` has the shape [1, 1, 1, 1], expected [1, 1, 6, 6]"),
        (Breach::NoRoom, "the purify stage panicked on frame 0: no room"),
        (Breach::TooMuchRoom, "the purify stage failed on frame 0: `purified` has the shape [20, 1, 6, 6], expected"),
        (Breach::Drop, "the purify stage panicked outside any frame: it cannot be dropped"),
    ] {
        let failure = breaking(breach, &[]);
        assert!(failure.to_string().contains(words), "{breach:?}: {failure}");
        assert!(failure.summary.ledger.balances(), "{breach:?}: {:?}", failure.summary.ledger);
    }
}

#[test]
fn as_many_values_as_all_regions_take_are_no_result_in_another_shape() {
    let regions = ["0,0,3,3", "3,0,3,3", "0,3,3,3", "3,3,3,3", "1,1,3,3", "2,2,3,3"];
    let failed = breaking(Breach::Distances, &regions);
    let words = "the purify stage failed on frame 2: `distances` has the shape [4, 6], expected [6, 4]";
    assert!(failed.to_string().starts_with(words), "{failed}");
    for (regions, got) in [(&regions[..], "[4, 6], expected [6, 4]"), (&[], "[4, 1], expected [1, 4]")] {
        let failed = failure(Box::new(Stub), Box::new(Turned(["a", "b", "c", "d"].map(String::from))), regions);
        let words = format!("the classify stage failed while warming up: `logits` has the shape {got}");
        assert!(failed.to_string().starts_with(&words) && failed.summary.ledger.balances(), "{failed}");
    }
}

/// A defence in 0…255, as a model has it that takes pictures in 0…1 and gives bytes.
struct Bytes;

impl Purifier for Bytes {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn purify(&mut self, _: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        out.frames.assign(&(&frames * 255.0));
        Ok(())
    }
}

#[test]
fn a_classifier_with_nothing_to_choose_from_is_refused_before_the_first_frame() {
    for classes in [0, 1] {
        let failed = failure(Box::new(Stub), Indifferent::new(SHAPE, classes), &[]);
        let words = format!("the classifier has {classes} classes, expected at least 2; use another one");
        assert_eq!((failed.to_string(), failed.summary.ledger.captured), (words, 0));
    }
}

#[test]
fn a_run_that_is_refused_has_nothing_of_the_one_before_with_the_same_configuration() {
    let config = PipelineConfig { deadline: Deadline::new(Duration::from_secs(3600)).unwrap(), ..Default::default() };
    let run = |classes| {
        let (clock, stop) = (Arc::new(SystemClock), StopFlag::new());
        let classifier = Indifferent::new(SHAPE, classes);
        pipeline::run(synthetic(5), Box::new(Stub), classifier, &config, clock, &stop, &mut [])
    };
    assert_eq!(run(4).unwrap().capture.captured, 5);
    let refused = run(0).unwrap_err().summary;
    assert_eq!((refused.capture, config.health.snapshot()), Default::default());
    assert_eq!((refused.ledger.captured, refused.ledger.balances()), (0, true));
}

#[test]
fn a_purifier_of_another_range_is_refused_before_the_first_frame() {
    let failed = failure(Box::new(Bytes), Indifferent::new(SHAPE, 4), &[]);
    let words = "the purify stage failed while warming up: `purified` lies in 127.5…127.5, expected 0…1; scale it";
    assert!(failed.to_string().starts_with(words), "{failed}");
    assert_eq!(failed.summary.ledger.captured, 0);
}
