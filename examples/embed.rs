//! A perception loop that owns its frames, with `puvae` as a library in it:
//! `cargo run --release --example embed`.

use std::path::Path;

use ndarray::{Array2, Array4};
use puvae::classifier::{Classifier as _, top_class};
use puvae::frame::FrameId;
use puvae::idx;
use puvae::model::engine::{Engine, EngineOptions};
use puvae::model::file::check_pair;
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::preprocess::{Picture, PixelFormat, Prep, Preprocessor};
use puvae::purifier::Purifier as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut engine = Engine::start(&EngineOptions::default())?;
    let mut purifier = OnnxPurifier::open(&mut engine, Path::new("models/fashion-mnist-puvae-lite.onnx"), 0)?;
    let mut classifier = OnnxClassifier::open(&mut engine, Path::new("models/fashion-mnist-classifier-a.onnx"))?;
    check_pair(purifier.info(), classifier.info())?;
    let (shape, classes) = (purifier.input(), classifier.classes().to_vec());
    let images = idx::read_images(Path::new("examples/frames/fashion-mnist-demo-images.idx3-ubyte.gz"))?;
    // Made once, filled again and again.
    let mut preprocessor = Preprocessor::new(Prep::Plain, shape);
    let mut frame = Array4::<f32>::zeros((1, shape.channels, shape.height, shape.width));
    let mut purified = purifier.room(1);
    let mut logits = Array2::<f32>::zeros((1, classes.len()));
    for index in 0..images.count.min(10) {
        let (width, height, pixels) = (images.width, images.height, images.get(index));
        let picture = Picture { width, height, format: PixelFormat::Gray8, pixels };
        preprocessor.apply(&picture, frame.as_slice_mut().ok_or("a new array is contiguous")?)?;
        purifier.purify(&[FrameId(index as u64)], frame.view(), &mut purified)?;
        classifier.classify(purified.frames.view(), &mut logits)?;
        let (class, confidence) = top_class(&logits).ok_or("a classifier has classes")?;
        println!("frame {index}: {} ({:.0} %)", classes[class], confidence * 100.0);
    }
    Ok(())
}
