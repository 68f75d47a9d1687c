//! Frames of your own driver, middleware or simulator: a custom `Source` in front of the shipped models.
//! `cargo run --release --example own_source`.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use puvae::clock::{Clock as _, StopFlag, SystemClock};
use puvae::frame::{Capture, Frame, FrameId, PixelFormat, PooledBytes, StampSource};
use puvae::idx;
use puvae::model::engine::{Engine, EngineOptions};
use puvae::model::file::check_pair;
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::pipeline::{self, FrameTensors, Outcome, PipelineConfig, Sink, SinkError};
use puvae::source::{Next, PATIENCE, Pacing, Source, SourceError};

/// What your driver hands over: pixels and the moment of capture.
struct Picture {
    captured_at: Instant,
    pixels: Vec<u8>,
}

/// A source that takes pictures from a channel.
struct Driver {
    pictures: Receiver<Picture>,
    next: u64,
    width: usize,
    height: usize,
}

impl Source for Driver {
    fn next(&mut self, stop: &StopFlag) -> Result<Next, SourceError> {
        if stop.is_set() {
            return Ok(Next::End);
        }
        // Never for longer than PATIENCE: so a silent driver can be told from one that is stuck.
        let Picture { captured_at, pixels } = match self.pictures.recv_timeout(PATIENCE) {
            Ok(picture) => picture,
            Err(RecvTimeoutError::Timeout) => return Ok(Next::Nothing),
            Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
        };
        let capture = Capture {
            id: FrameId(self.next),
            lost: 0, // where your driver counts what it dropped, say so here: it goes into the ledger
            at: captured_at,
            stamp_source: StampSource::Driver,
        };
        self.next += 1;
        Ok(Next::Frame(Frame {
            capture,
            dequeued_at: SystemClock.now(),
            width: self.width,
            height: self.height,
            format: PixelFormat::Gray8,
            pixels: PooledBytes::from(pixels),
            label: None,
        }))
    }

    fn pacing(&self) -> Pacing {
        Pacing::Live
    }
}

/// Is told of every frame, on the thread that called `run`.
struct Print(Vec<String>);

impl Sink for Print {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        match outcome.verdict() {
            Some(verdict) => println!("{}: {} after {:.1?}", outcome.frame, self.0[verdict.class], verdict.response),
            None => println!("{}: {}", outcome.frame, outcome.fate.as_str()),
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut engine = Engine::start(&EngineOptions::default())?;
    let purifier = OnnxPurifier::open(&mut engine, Path::new("models/fashion-mnist-puvae-lite.onnx"), 0)?;
    let classifier = OnnxClassifier::open(&mut engine, Path::new("models/fashion-mnist-classifier-a.onnx"))?;
    check_pair(purifier.info(), classifier.info())?;
    let names = classifier.info().spec.classes.clone();

    let images = idx::read_images(Path::new("examples/frames/fashion-mnist-demo-images.idx3-ubyte.gz"))?;
    let (width, height) = (images.width, images.height);
    let (send, pictures) = sync_channel(4);
    let driver = thread::spawn(move || {
        for index in 0..images.count.min(30) {
            thread::sleep(Duration::from_millis(33));
            let picture = Picture { captured_at: SystemClock.now(), pixels: images.get(index).to_vec() };
            if send.send(picture).is_err() {
                return;
            }
        }
    });
    let source: Box<dyn Source> = Box::new(Driver { pictures, next: 0, width, height });
    let mut print = Print(names);
    let summary = pipeline::run(
        source,
        Box::new(purifier),
        Box::new(classifier),
        &PipelineConfig::default(),
        Arc::new(SystemClock),
        &StopFlag::new(),
        &mut [&mut print],
    )?;
    driver.join().map_err(|_| "the driver panicked")?;
    println!("{} of {} frames within {}", summary.ledger.on_time, summary.ledger.captured, summary.deadline);
    Ok(())
}
