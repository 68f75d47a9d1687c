//! Several regions of a frame: one batch, one deadline, a verdict each.

use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, ArrayView4};
use puvae::classifier::Classifier;
use puvae::clock::{StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::model::ModelError;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, FrameTensors, Outcome, PipelineConfig, Sink, SinkError, Summary};
use puvae::preprocess::Region;
use puvae::source::{self, SourceOptions};

use crate::lockstep::{SHAPE, Stub};

/// Class 1 for a bright picture, else class 0; keeps how many pictures there were at once.
struct Bright([String; 2]);

impl Classifier for Bright {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn classes(&self) -> &[String] {
        &self.0
    }

    fn classify(&mut self, frames: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError> {
        for (picture, mut logits) in frames.outer_iter().zip(logits.outer_iter_mut()) {
            logits[1] = picture.mean().unwrap() - 0.5;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Log(Vec<(Outcome, usize)>);

impl Sink for Log {
    fn outcome(&mut self, outcome: &Outcome, pictures: Option<&FrameTensors>) -> Result<(), SinkError> {
        self.0.push((outcome.clone(), pictures.map_or(0, |pictures| pictures.input.dim().0)));
        Ok(())
    }
}

/// Plays frames of 12×12 pixels whose upper left, upper right, lower left or lower right quarter is bright.
fn play(regions: &[&str]) -> (Summary, Vec<(Outcome, usize)>) {
    let uri = "synthetic:12x12?classes=4&seed=3&frames=40".parse().unwrap();
    let feed = source::open(&uri, &SourceOptions::default(), Arc::new(SystemClock)).unwrap();
    let regions: Vec<Region> = regions.iter().map(|region| region.parse().unwrap()).collect();
    let deadline = Deadline::new(Duration::from_secs(3600)).unwrap();
    let config = PipelineConfig { deadline, regions, ..PipelineConfig::default() };
    let classifier = Box::new(Bright(["dark", "bright"].map(String::from)));
    let mut log = Log::default();
    let clock = Arc::new(SystemClock);
    let sinks: &mut [&mut dyn Sink] = &mut [&mut log];
    let summary = pipeline::run(feed, Box::new(Stub), classifier, &config, clock, &StopFlag::new(), sinks).unwrap();
    (summary, log.0)
}

#[test]
fn each_region_has_its_verdict_and_they_are_one_batch() {
    let (summary, outcomes) = play(&["0,0,6,6", "6,0,6,6", "0,6,6,6", "6,6,6,6"]);
    assert_eq!((summary.ledger.captured, summary.ledger.on_time), (40, 40));
    for (outcome, batch) in &outcomes {
        assert_eq!(*batch, 4);
        let bright: Vec<usize> =
            outcome.verdicts.iter().filter(|verdict| verdict.class == 1).map(|verdict| verdict.region).collect();
        assert_eq!(bright, [outcome.label.unwrap()], "only the region that holds the bright quarter");
        assert!(outcome.verdicts.iter().map(|verdict| verdict.region).eq(0..4));
        let response = outcome.verdicts[0].response;
        assert!(outcome.verdicts.iter().all(|verdict| verdict.response == response), "the deadline is the frame's");
    }
    assert_eq!(summary.accuracy, None, "a label says nothing of four regions");
}

#[test]
fn one_region_is_a_picture_like_any_other() {
    let (summary, outcomes) = play(&["6,6,6,6"]);
    assert!(outcomes.iter().all(|(outcome, batch)| *batch == 1 && outcome.verdicts.len() == 1));
    assert!(outcomes.iter().all(|(o, _)| (o.verdicts[0].class == 1) == (o.label == Some(3))));
    assert_eq!(summary.accuracy.unwrap().labelled, 40);
}

#[test]
fn a_region_outside_of_the_frames_fails_them_and_says_so() {
    let (summary, _) = play(&["0,0,6,6", "8,8,6,6"]);
    assert_eq!(summary.ledger.failed, 40);
    let faults = summary.faults.unwrap();
    assert_eq!(
        faults.first,
        "the preprocess stage failed on frame 0: the region 8,8,6,6 does not lie in the picture of 12×12 pixels; give a --roi inside of it"
    );
}
