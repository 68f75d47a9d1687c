//! The hot steps of a frame's way that are not the models: preprocessing, a hop over a queue, the histograms,
//! and everything together. Run with `cargo bench --bench stages`.

#![expect(missing_docs, reason = "criterion's macro writes a public function without any")]

#[path = "../tests/support/indifferent.rs"]
mod indifferent;

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use indifferent::Indifferent;
use puvae::clock::{StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::latency::LatencyHistogram;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, PipelineConfig};
use puvae::preprocess::{Picture, PixelFormat, Prep, Preprocessor};
use puvae::purifier::Identity;
use puvae::queue::{self, WhenFull};
use puvae::source::{self, SourceOptions};

const SHAPE: InputShape = InputShape { channels: 1, height: 28, width: 28 };

fn preprocess(c: &mut Criterion) {
    let mut group = c.benchmark_group("preprocess to 1×28×28");
    for (name, width, height, format) in [
        ("28x28 grey", 28, 28, PixelFormat::Gray8),
        ("640x480 grey", 640, 480, PixelFormat::Gray8),
        ("640x480 RGB", 640, 480, PixelFormat::Rgb8),
        ("1920x1080 RGB", 1920, 1080, PixelFormat::Rgb8),
    ] {
        let pixels = vec![100; width * height * format.channels()];
        let mut preprocessor = Preprocessor::new(Prep::Plain, SHAPE);
        let mut tensor = vec![0.0; SHAPE.pixels()];
        group.bench_function(name, |b| {
            b.iter(|| {
                let picture = Picture { width, height, format, pixels: black_box(&pixels) };
                preprocessor.apply(&picture, &mut tensor).expect("the picture is whole");
            });
        });
    }
    group.finish();
}

/// A stroke on paper, darker to the right, with noise.
fn sheet(width: usize, height: usize, channels: usize) -> Vec<u8> {
    let mut noise = 1_u32;
    let mut pixel = |x: usize, y: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (across, down) = (x as f64 / width as f64 - 0.5, y as f64 / height as f64 - 0.5);
        let is_ink = (across.hypot(down) - 0.2).abs() < 0.03;
        let paper = 200.0 - 80.0 * across + f64::from(noise >> 28);
        (if is_ink { paper * 0.3 } else { paper }) as u8
    };
    (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| vec![pixel(x, y); channels]).collect()
}

/// A short stroke among thousands of dots, so close that all of them are taken for writing.
fn dots(width: usize, height: usize, channels: usize) -> Vec<u8> {
    let is_ink = |x: usize, y: usize| {
        let is_stroke = x.abs_diff(width / 2) < 2 && y.abs_diff(height / 2) < 14;
        is_stroke || (x % 8 < 3 && y % 8 < 3)
    };
    let pixel = |x, y| if is_ink(x, y) { 60 } else { 200 };
    (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| vec![pixel(x, y); channels]).collect()
}

/// Pixels of a picture of such a width and height and so many channels.
type Draw = fn(usize, usize, usize) -> Vec<u8>;

fn ink(c: &mut Criterion) {
    let mut group = c.benchmark_group("ink to 1×28×28");
    for (name, width, height, format, draw) in [
        ("640x480 grey", 640, 480, PixelFormat::Gray8, sheet as Draw),
        ("640x480 grey, dots", 640, 480, PixelFormat::Gray8, dots),
        ("640x480 RGB", 640, 480, PixelFormat::Rgb8, sheet),
        ("1920x1080 RGB", 1920, 1080, PixelFormat::Rgb8, sheet),
    ] {
        let pixels = draw(width, height, format.channels());
        let mut preprocessor = Preprocessor::new(Prep::Ink, SHAPE);
        let mut tensor = vec![0.0; SHAPE.pixels()];
        group.bench_function(name, |b| {
            b.iter(|| {
                let picture = Picture { width, height, format, pixels: black_box(&pixels) };
                preprocessor.apply(&picture, &mut tensor).expect("the picture is whole");
            });
        });
        assert!(tensor.iter().any(|value| *value > 0.0), "the writing is found");
    }
    group.finish();
}

fn queue_hop(c: &mut Criterion) {
    let capacity = NonZeroUsize::MIN;
    c.bench_function("queue, there and back again", |b| {
        let (mut to, mut from_here) = queue::bounded::<u64>(capacity, WhenFull::Wait);
        let (mut back, mut from_there) = queue::bounded(capacity, WhenFull::Wait);
        let echo = std::thread::spawn(move || {
            while let Some(item) = from_here.recv() {
                back.send(item).expect("the other end waits for it");
            }
        });
        b.iter(|| {
            to.send(black_box(1)).expect("the echo listens");
            from_there.recv()
        });
        drop(to);
        echo.join().expect("the echo does not panic");
    });
}

fn histograms(c: &mut Criterion) {
    c.bench_function("record a duration", |b| {
        let mut histogram = LatencyHistogram::new();
        b.iter(|| histogram.record(black_box(Duration::from_micros(2345))));
    });
    c.bench_function("record an age from 3 ms to 36 ms", |b| {
        let mut histogram = LatencyHistogram::new();
        b.iter(|| histogram.record_rising(black_box(Duration::from_millis(3)), black_box(Duration::from_millis(36))));
    });
}

fn whole_run(frames: u64) {
    let uri = format!("synthetic:28x28?classes=2&frames={frames}").parse().expect("it is a source");
    let source = source::open(&uri, &SourceOptions::default(), Arc::new(SystemClock)).expect("it makes sense");
    let deadline = Deadline::new(Duration::from_secs(3600)).expect("it is not zero");
    pipeline::run(
        source,
        Box::new(Identity::new(SHAPE)),
        Indifferent::new(SHAPE, 2),
        &PipelineConfig { deadline, ..PipelineConfig::default() },
        Arc::new(SystemClock),
        &StopFlag::new(),
        &mut [],
    )
    .expect("nothing fails");
}

fn overhead(c: &mut Criterion) {
    const FRAMES: u64 = 2000;
    let mut group = c.benchmark_group("pipeline without models");
    group.sample_size(10).throughput(Throughput::Elements(FRAMES));
    group.bench_function("2000 frames", |b| b.iter(|| whole_run(FRAMES)));
    group.finish();
}

criterion_group!(benches, preprocess, ink, queue_hop, histograms, overhead);
criterion_main!(benches);
