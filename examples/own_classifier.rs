//! An ONNX model of your own, as it is: other names, its own normalisation, no model spec. A custom `Classifier` behind
//! a shipped purifier. `cargo run --release --example own_classifier [-- MODEL.onnx INPUT OUTPUT]`.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, Array4, ArrayView4};
use puvae::classifier::Classifier;
use puvae::clock::{StopFlag, SystemClock};
use puvae::model::ModelError;
use puvae::model::engine::{Engine, EngineOptions};
use puvae::model::graph::Graph;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, PipelineConfig};
use puvae::purifier::Purifier as _;
use puvae::source::{self, SourceOptions};

/// What your model wants to see: (pixel − MEAN) / DEVIATION. The shipped one normalises inside its graph.
const MEAN: f32 = 0.0;
const DEVIATION: f32 = 1.0;

/// A graph that knows nothing of puvae.
struct Mine {
    graph: Graph,
    input: String,
    output: &'static str,
    shape: InputShape,
    classes: Vec<String>,
    /// Filled again and again.
    normalised: Array4<f32>,
}

impl Classifier for Mine {
    fn input(&self) -> InputShape {
        self.shape
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn classify(&mut self, frames: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError> {
        if self.normalised.dim() != frames.dim() {
            self.normalised = Array4::zeros(frames.dim());
        }
        self.normalised.zip_mut_with(&frames, |normalised, pixel| *normalised = (pixel - MEAN) / DEVIATION);
        let outputs = self.graph.run(&[(&self.input, self.normalised.view().into_dyn())])?;
        // Refuses another number of logits than there are classes, and logits that are not finite.
        outputs.copy_f32(self.output, logits.view_mut().into_dyn())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |index: usize, or: &str| args.get(index).cloned().unwrap_or_else(|| or.into());
    let mut engine = Engine::start(&EngineOptions::default())?;
    let purifier = OnnxPurifier::open(&mut engine, Path::new("models/fashion-mnist-puvae-lite.onnx"), 0)?;
    let classifier = Mine {
        graph: Graph::open(&mut engine, Path::new(&arg(0, "models/fashion-mnist-classifier-a.onnx")))?,
        input: arg(1, "frames"),
        output: arg(2, "logits").leak(),
        shape: purifier.input(),
        classes: purifier.info().spec.classes.clone(),
        normalised: Array4::default((0, 0, 0, 0)),
    };
    let frames = "idx:examples/frames/fashion-mnist-demo-images.idx3-ubyte.gz,\
                  examples/frames/fashion-mnist-demo-labels.idx1-ubyte.gz";
    let options = SourceOptions { classes: Some(classifier.classes.clone()), ..SourceOptions::default() };
    let feed = source::open(&frames.parse()?, &options, Arc::new(SystemClock))?;
    let summary = pipeline::run(
        feed,
        Box::new(purifier),
        Box::new(classifier),
        &PipelineConfig::default(),
        Arc::new(SystemClock),
        &StopFlag::new(),
        &mut [],
    )
    .map_err(|failure| failure.to_string())?;
    let accuracy = summary.accuracy.ok_or("the frames have labels")?;
    println!("{} of {} right behind the purifier", accuracy.correct, accuracy.labelled);
    Ok(())
}
