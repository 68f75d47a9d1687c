//! A latency report as JSON and HTML, from a run inside your own program:
//! `cargo run --release --example latency_report`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use puvae::classifier::Classifier as _;
use puvae::clock::{StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::model::engine::{Engine, EngineOptions};
use puvae::model::file::check_pair;
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::pipeline::{self, PipelineConfig};
use puvae::report::schema::{Models, RunInfo};
use puvae::report::{Report, Surroundings, html, table};
use puvae::source::{self, SourceOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut engine = Engine::start(&EngineOptions::default())?;
    let purifier = OnnxPurifier::open(&mut engine, Path::new("models/mnist-puvae-lite.onnx"), 0)?;
    let classifier = OnnxClassifier::open(&mut engine, Path::new("models/mnist-classifier-a.onnx"))?;
    check_pair(purifier.info(), classifier.info())?;
    let models = Models { purifier: Some(purifier.info().clone()), classifier: classifier.info().clone() };

    // Three seconds of a camera that stalls for half a second in the middle.
    let uri = "synthetic:640x480?classes=10&frames=90&faults=stall@45+500ms";
    let options =
        SourceOptions { fps: Some(30.0), classes: Some(classifier.classes().to_vec()), ..SourceOptions::default() };
    let feed = source::open(&uri.parse()?, &options, Arc::new(SystemClock))?;
    let config =
        PipelineConfig { deadline: Deadline::new(Duration::from_millis(50))?, samples: 6, ..PipelineConfig::default() };
    let (purifier, classifier, clock) = (Box::new(purifier), Box::new(classifier), Arc::new(SystemClock));
    let summary = pipeline::run(feed, purifier, classifier, &config, clock, &StopFlag::new(), &mut [])?;

    let run = RunInfo { source: uri.into(), threads: engine.threads().get(), fps: options.fps, ..RunInfo::default() };
    let report = Report::new(&summary, Surroundings { provider: engine.provider().clone(), models, run });
    println!("{}", table::render(&report));
    let folder = std::env::temp_dir();
    for (name, text) in [("latency.json", report.to_json()), ("latency.html", html::render(&report))] {
        std::fs::write(folder.join(name), text)?;
        println!("wrote {}", folder.join(name).display());
    }
    Ok(())
}
