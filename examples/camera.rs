//! A camera in front of the shipped digit models, one line a frame: write a digit with a dark pen on paper and show it.
//! `cargo run --release --features camera --example camera [-- camera:0]`.

use std::path::Path;
use std::sync::Arc;

use puvae::classifier::Classifier as _;
use puvae::clock::{StopFlag, SystemClock};
use puvae::frame::PixelFormat;
use puvae::model::engine::{Engine, EngineOptions};
use puvae::model::file::check_pair;
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::pipeline::{self, CaptureHealth, CaptureState, FrameTensors, Outcome, PipelineConfig, Sink, SinkError};
use puvae::preprocess::Prep;
use puvae::source::{self, SourceOptions};

/// Says what each frame shows, and when the camera is not well.
struct Print {
    classes: Vec<String>,
    camera: CaptureHealth,
    state: CaptureState,
}

impl Sink for Print {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        let camera = self.camera.snapshot();
        if camera.state != self.state {
            self.state = camera.state;
            println!("the camera is {}: {}", camera.state, camera.detail);
        }
        match outcome.verdict() {
            Some(verdict) => println!(
                "frame {}: {} ({:.0} %), {:.1?} after its capture",
                outcome.frame,
                self.classes[verdict.class],
                verdict.confidence * 100.0,
                verdict.response
            ),
            None => println!("frame {}: {}", outcome.frame, outcome.fate.as_str()),
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let uri = std::env::args().nth(1).unwrap_or_else(|| "camera:0".into());
    let mut engine = Engine::start(&EngineOptions::default())?;
    let purifier = OnnxPurifier::open(&mut engine, Path::new("models/mnist-puvae-lite.onnx"), 0)?;
    let classifier = OnnxClassifier::open(&mut engine, Path::new("models/mnist-classifier-a.onnx"))?;
    check_pair(purifier.info(), classifier.info())?;
    let classes = classifier.classes().to_vec();
    // The classifier is grey, so the camera's luma is enough.
    let options = SourceOptions { pixels: Some(PixelFormat::Gray8), frames: Some(300), ..SourceOptions::default() };
    let feed = source::open(&uri.parse()?, &options, Arc::new(SystemClock))?;
    let config = PipelineConfig { prep: Prep::Ink, ..PipelineConfig::default() };
    let mut print = Print { classes, camera: config.health.clone(), state: CaptureState::Running };
    let summary = pipeline::run(
        feed,
        Box::new(purifier),
        Box::new(classifier),
        &config,
        Arc::new(SystemClock),
        &StopFlag::new(),
        &mut [&mut print],
    )?;
    println!("{} of {} frames within {}", summary.ledger.on_time, summary.ledger.captured, summary.deadline);
    Ok(())
}
