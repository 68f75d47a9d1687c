//! What the pipeline itself costs a frame of 640×480: everything but decoding, resizing and the two models, as quantiles
//! over single frames. `cargo bench --bench overhead`.
//!
//! Budget: p50 ≤ 100 µs, p99 ≤ 500 µs on two cores.

use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, ArrayView4};
use puvae::classifier::Classifier;
use puvae::clock::{StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::frame::FrameId;
use puvae::latency::{LatencyHistogram, Stage};
use puvae::model::ModelError;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, FrameTensors, Outcome, PipelineConfig, Sink, SinkError};
use puvae::purifier::{Purified, Purifier};
use puvae::source::{self, SourceOptions};

const SHAPE: InputShape = InputShape { channels: 1, height: 28, width: 28 };
const FRAMES: u64 = 3000;
const FPS: f64 = 200.0;
/// Each model's time: it sleeps, as one does that runs on a GPU.
const MODEL: Duration = Duration::from_millis(1);

struct Stub([String; 2]);

impl Classifier for Stub {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn classes(&self) -> &[String] {
        &self.0
    }

    fn classify(&mut self, _: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError> {
        std::thread::sleep(MODEL);
        logits.fill(0.0);
        Ok(())
    }
}

impl Purifier for Stub {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn purify(&mut self, _: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        std::thread::sleep(MODEL);
        out.frames.assign(&frames);
        Ok(())
    }
}

/// Of each delivered frame: its response without decoding, resizing and models; and what of it came before dequeuing.
#[derive(Default)]
struct Overhead {
    hand_overs: LatencyHistogram,
    wake_up: LatencyHistogram,
}

impl Sink for Overhead {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        if let Some(verdict) = outcome.verdict() {
            let time = |stage: Stage| outcome.times[stage as usize].unwrap_or_default();
            let work = time(Stage::Decode) + time(Stage::Preprocess) + time(Stage::Purify) + time(Stage::Classify);
            let overhead = verdict.response.saturating_sub(work);
            self.wake_up.record(time(Stage::Capture));
            self.hand_overs.record(overhead.saturating_sub(time(Stage::Capture)));
        }
        Ok(())
    }
}

fn main() {
    // `cargo test` builds and starts benches as well, and only wants to see that they start.
    let frames = if std::env::args().any(|arg| arg == "--bench") { FRAMES } else { 20 };
    let uri = format!("synthetic:640x480?classes=2&channels=3&frames={frames}").parse().expect("it is a source");
    let options = SourceOptions { fps: Some(FPS), ..SourceOptions::default() };
    let feed = source::open(&uri, &options, Arc::new(SystemClock)).expect("it makes sense");
    let config = PipelineConfig {
        deadline: Deadline::new(Duration::from_secs(1)).expect("it is not zero"),
        ..PipelineConfig::default()
    };
    let stub = || Box::new(Stub(["a", "b"].map(String::from)));
    let mut overhead = Overhead::default();
    let clock = Arc::new(SystemClock);
    let summary = pipeline::run(feed, stub(), stub(), &config, clock, &StopFlag::new(), &mut [&mut overhead])
        .expect("nothing fails");
    println!("640×480 RGB at {FPS} a second, {} of {} frames delivered", summary.ledger.delivered(), frames);
    for (name, histogram) in [
        ("hand-overs between threads", &overhead.hand_overs),
        ("source woken late", &overhead.wake_up),
        ("decode (not overhead)", &summary.latency[Stage::Decode]),
        ("resize (not overhead)", &summary.latency[Stage::Preprocess]),
    ] {
        let us = |quantile| histogram.quantile(quantile).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6);
        println!("{name:<28} p50 {:>7.1} µs   p99 {:>7.1} µs   max {:>7.1} µs", us(0.5), us(0.99), us(1.0));
    }
}
