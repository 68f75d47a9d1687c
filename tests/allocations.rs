//! Nobody allocates per frame once the pipeline runs: 4000 more frames cost none more. The models are stubs here: what ONNX Runtime
//! and its binding allocate for each run of a model comes on top.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

#[path = "support/indifferent.rs"]
mod indifferent;

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use indifferent::Indifferent;
use ndarray::ArrayView4;
use puvae::board::Board;
use puvae::clock::{StopFlag, SystemClock};
use puvae::deadline::Deadline;
use puvae::frame::FrameId;
use puvae::ledger::Ledger;
use puvae::model::ModelError;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, PipelineConfig, Sink};
use puvae::preprocess::{Picture, PixelFormat, Prep, Preprocessor};
use puvae::purifier::{Identity, Purified, Purifier};
use puvae::report::verdicts::VerdictLines;
use puvae::source::{self, SourceOptions};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SHAPE: InputShape = InputShape { channels: 1, height: 16, width: 16 };

/// Allocations that one run may make and another may not, however long they are: a thread that waits at a channel
/// for the first time makes four, and there are six places to wait.
const ONCE: usize = 24;

/// Allocations for items that are out at once in one run and not in another: 32 fates and a few frames may wait, each with its
/// pixels or its tensors.
const IN_FLIGHT: usize = 160;

/// Scores frames and changes nothing else about them.
struct Reformer;

impl Purifier for Reformer {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn room(&self, batch: usize) -> Purified {
        Purified::new(batch, SHAPE).with_score()
    }

    fn purify(&mut self, _: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        out.frames.assign(&frames);
        out.score.as_mut().unwrap().fill(1.0);
        Ok(())
    }

    fn suspect_above(&self) -> Option<f32> {
        Some(0.5)
    }
}

/// A reformer that takes a millisecond for each frame.
struct Sluggish;

impl Purifier for Sluggish {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn room(&self, batch: usize) -> Purified {
        Reformer.room(batch)
    }

    fn purify(&mut self, ids: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        std::thread::sleep(Duration::from_millis(1));
        Reformer.purify(ids, frames, out)
    }

    fn suspect_above(&self) -> Option<f32> {
        Reformer.suspect_above()
    }
}

/// Allocations of a whole run over synthetic pictures of this `size` and number of channels.
fn allocations(purifier: Box<dyn Purifier>, size: &str, channels: usize, frames: u64) -> usize {
    let uri = format!("synthetic:{size}?classes=2&channels={channels}&frames={frames}");
    let (allocations, ledger) = allocations_of(&uri, None, Duration::from_secs(3600), purifier);
    assert_eq!(ledger.on_time, frames);
    allocations
}

/// Allocations of a run with a board and verdict lines, and what became of its frames.
fn allocations_of(uri: &str, fps: Option<f64>, deadline: Duration, purifier: Box<dyn Purifier>) -> (usize, Ledger) {
    let region = Region::new(ALLOCATOR);
    let options = SourceOptions { fps, ..SourceOptions::default() };
    let source = source::open(&uri.parse().unwrap(), &options, Arc::new(SystemClock)).unwrap();
    let deadline = Deadline::new(deadline).unwrap();
    let config = PipelineConfig { deadline, force: true, ..PipelineConfig::default() };
    let mut board = Board::new(Arc::new(SystemClock), deadline, config.health.clone());
    let mut lines = VerdictLines::new(std::io::sink(), ["a", "b"].map(String::from).into(), Some("0123".into()));
    let (classifier, clock) = (Indifferent::new(SHAPE, 2), Arc::new(SystemClock));
    let sinks: &mut [&mut dyn Sink] = &mut [&mut board, &mut lines];
    let summary = pipeline::run(source, purifier, classifier, &config, clock, &StopFlag::new(), sinks).unwrap();
    (region.change().allocations, summary.ledger)
}

/// Allocations of a run whose frames come ten times as fast as they are purified.
fn allocations_under_overload(deadline: Duration, frames: u64) -> usize {
    let uri = format!("synthetic:16x16?classes=2&frames={frames}");
    let (allocations, ledger) = allocations_of(&uri, Some(10_000.0), deadline, Box::new(Sluggish));
    assert!(ledger.captured == frames && ledger.dropped_queue > frames / 2, "{ledger:?}");
    allocations
}

/// Allocations of preparing sheets with a ring on them, which grows and is thin or thick; among them empty and noisy ones.
fn allocations_of_ink() -> usize {
    const SIDE: usize = 120;
    let sheet = |number: usize| -> Vec<u8> {
        let pixel = |at: usize| {
            let (x, y) = ((at % SIDE) as f32 - 60.0, (at / SIDE) as f32 - 60.0);
            let is_ink = (x.hypot(y) - number as f32).abs() < 0.5 + (number % 4) as f32;
            let noise = if number % 10 == 9 { at * 7919 % 200 } else { 0 };
            (if is_ink { 40 } else { 200 - noise }) as u8
        };
        (0..SIDE * SIDE).map(pixel).collect()
    };
    let sheets: Vec<Vec<u8>> = (0..50).map(sheet).collect();
    let mut preprocessor = Preprocessor::new(Prep::Ink, SHAPE);
    let mut tensor = vec![0.0; SHAPE.pixels()];
    let mut prepare = |pixels: &[u8]| {
        let picture = Picture { width: SIDE, height: SIDE, format: PixelFormat::Gray8, pixels };
        preprocessor.apply(&picture, &mut tensor).unwrap();
        tensor.iter().any(|&value| value > 0.0)
    };
    prepare(&sheets[0]);
    let region = Region::new(ALLOCATOR);
    let written = sheets.iter().filter(|sheet| prepare(sheet)).count();
    let allocations = region.change().allocations;
    assert!(written > 30, "{written} rings were found");
    allocations
}

#[test]
fn more_frames_cost_no_more_allocations() {
    let identity = || -> Box<dyn Purifier> { Box::new(Identity::new(SHAPE)) };
    for (size, channels) in [("16x16", 1), ("16x16", 3), ("40x30", 3)] {
        allocations(identity(), size, channels, 100);
        let (few, many) =
            (allocations(identity(), size, channels, 1000), allocations(identity(), size, channels, 5000));
        assert!(many <= few + ONCE, "{size}, {channels} channels: {few} allocations for 1000 frames, {many} for 5000");
    }
    let reformer = |frames| allocations(Box::new(Reformer), "16x16", 1, frames);
    let (few, many) = (reformer(1000), reformer(5000));
    assert!(many <= few + ONCE, "a reformer: {few} allocations for 1000 frames, {many} for 5000");
    for deadline in [Duration::from_secs(3600), Duration::from_micros(1100)] {
        let (few, many) = (allocations_under_overload(deadline, 1000), allocations_under_overload(deadline, 5000));
        assert!(
            many <= few + ONCE + IN_FLIGHT,
            "overload, {deadline:?}: {few} allocations for 1000 frames, {many} for 5000"
        );
    }
    assert_eq!(allocations_of_ink(), 0);
}
