//! A pipeline that does nothing until the test says so: a source that waits for frames, models that wait at a
//! gate, and a clock that stands still. So the fate of every frame is decided by the script, not by the machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ndarray::{Array2, ArrayView4};
use puvae::classifier::Classifier;
use puvae::clock::{Clock, SimulatedClock, StopFlag};
use puvae::deadline::Deadline;
use puvae::frame::{Capture, Frame, FrameId, PixelFormat, PooledBytes, StampSource};
use puvae::model::ModelError;
use puvae::model::spec::InputShape;
use puvae::pipeline::{self, FrameTensors, Outcome, PipelineConfig, PipelineFailure, Sink, SinkError, Summary};
use puvae::purifier::{Purified, Purifier};
use puvae::source::{self, Pacing, Source, SourceError};

pub(crate) const SHAPE: InputShape = InputShape { channels: 1, height: 2, width: 2 };
/// Never waited for, unless a test fails: then it fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);
const WARM_UP_RUNS: usize = 2;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a gate lets a stage do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Go {
    Pass,
    Fail,
    Panic,
}

/// The test's end of a gate.
pub(crate) struct Gate {
    entered: Receiver<()>,
    go: Sender<Go>,
}

impl Gate {
    /// Waits until a frame stands at the gate.
    pub(crate) fn arrives(&self) {
        self.entered.recv_timeout(PATIENCE).expect("a frame comes to the gate");
    }

    /// Lets the frame go that stands there or comes next.
    pub(crate) fn open(&self, go: Go) {
        self.go.send(go).expect("the stage is there");
    }

    /// A frame comes and passes.
    pub(crate) fn pass(&self) {
        self.arrives();
        self.open(Go::Pass);
    }
}

/// The stage's end of a gate; open during the warm-up.
struct Gatekeeper {
    entered: Sender<()>,
    go: Receiver<Go>,
    warm_up: usize,
}

fn gate() -> (Gate, Gatekeeper) {
    let ((enter, entered), (go, going)) = (channel(), channel());
    (Gate { entered, go }, Gatekeeper { entered: enter, go: going, warm_up: WARM_UP_RUNS })
}

impl Gatekeeper {
    fn wait(&mut self) -> Result<(), ModelError> {
        if self.warm_up > 0 {
            self.warm_up -= 1;
            return Ok(());
        }
        let _ = self.entered.send(());
        match self.go.recv_timeout(PATIENCE).expect("the test opens the gate") {
            Go::Pass => Ok(()),
            Go::Fail => Err(broken_model()),
            Go::Panic => panic!("as the script says"),
        }
    }
}

pub(crate) fn broken_model() -> ModelError {
    ModelError::Run { path: PathBuf::from("scripted.onnx"), reason: "as the script says".into() }
}

struct GatedPurifier(Gatekeeper);

impl Purifier for GatedPurifier {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn purify(&mut self, _: &[FrameId], frames: ArrayView4<'_, f32>, out: &mut Purified) -> Result<(), ModelError> {
        out.frames.assign(&frames);
        self.0.wait()
    }
}

struct GatedClassifier(Gatekeeper, [String; 2]);

impl Classifier for GatedClassifier {
    fn input(&self) -> InputShape {
        SHAPE
    }

    fn classes(&self) -> &[String] {
        &self.1
    }

    fn classify(&mut self, _: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError> {
        logits.fill(0.0);
        self.0.wait()
    }
}

/// What the source does next.
pub(crate) enum Next {
    Frame(Frame),
    Error(SourceError),
    Panic,
}

struct ScriptedSource {
    asked: Sender<()>,
    next: Receiver<Next>,
    pacing: Pacing,
}

impl Source for ScriptedSource {
    fn next(&mut self, _stop: &StopFlag) -> Result<source::Next, SourceError> {
        let _ = self.asked.send(());
        match self.next.recv() {
            Ok(Next::Frame(frame)) => Ok(source::Next::Frame(frame)),
            Ok(Next::Error(error)) => Err(error),
            Ok(Next::Panic) => panic!("as the script says"),
            Err(_) => Ok(source::Next::End),
        }
    }

    fn pacing(&self) -> Pacing {
        self.pacing
    }
}

/// Keeps every outcome and tells the test of it.
struct Log {
    outcomes: Vec<Outcome>,
    decided: Sender<FrameId>,
    fail_at: Option<FrameId>,
}

impl Sink for Log {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        self.outcomes.push(outcome.clone());
        let _ = self.decided.send(outcome.frame);
        if self.fail_at == Some(outcome.frame) { Err("the disk is full".into()) } else { Ok(()) }
    }
}

pub(crate) type Ended = (Result<Summary, Box<PipelineFailure>>, Vec<Outcome>);

/// A running pipeline with a deadline of 30 ms.
pub(crate) struct Script {
    pub(crate) clock: SimulatedClock,
    pub(crate) stop: StopFlag,
    pub(crate) purifier: Gate,
    pub(crate) classifier: Gate,
    decided: Receiver<FrameId>,
    asked: Receiver<()>,
    next: Sender<Next>,
    frames: u64,
    running: JoinHandle<Ended>,
}

impl Script {
    pub(crate) fn start() -> Self {
        Self::start_with(Pacing::Live, None)
    }

    /// With a sink that fails when it is told of frame `fail_at`.
    pub(crate) fn start_with(pacing: Pacing, fail_at: Option<FrameId>) -> Self {
        let (decide, decided) = channel();
        let mut log = Log { outcomes: Vec::new(), decided: decide, fail_at };
        let (clock, stop) = (SimulatedClock::new(), StopFlag::new());
        let ((purifier, purify), (classifier, classify)) = (gate(), gate());
        let ((ask, asked), (next, give)) = (channel(), channel());
        let (pipeline_clock, pipeline_stop) = (Arc::new(clock.clone()), stop.clone());
        let running = thread::spawn(move || {
            let deadline = Deadline::new(ms(30)).expect("30 ms is not zero");
            let config = PipelineConfig { deadline, warm_up_runs: WARM_UP_RUNS, ..PipelineConfig::default() };
            let result = pipeline::run(
                Box::new(ScriptedSource { asked: ask, next: give, pacing }) as Box<dyn Source>,
                Box::new(GatedPurifier(purify)),
                Box::new(GatedClassifier(classify, ["a", "b"].map(String::from))),
                &config,
                pipeline_clock,
                &pipeline_stop,
                &mut [&mut log],
            );
            (result, log.outcomes)
        });
        let script = Self { clock, stop, purifier, classifier, decided, asked, next, frames: 0, running };
        script.source_waits();
        script
    }

    /// Waits until the source is asked again: what it gave before is in the queue.
    pub(crate) fn source_waits(&self) {
        self.asked.recv_timeout(PATIENCE).expect("the source is asked for a frame");
    }

    /// Whether the source was asked for a frame since somebody last waited for that or looked.
    pub(crate) fn source_was_asked(&self) -> bool {
        self.asked.try_recv().is_ok()
    }

    /// Waits until the fate of a frame is decided. Before the clock moves, whatever shall not see that must have ended.
    pub(crate) fn decided(&self, frame: u64) {
        while self.decided.recv_timeout(PATIENCE).expect("the frame meets its fate") != FrameId(frame) {}
    }

    /// The next frame, captured `age` ago.
    pub(crate) fn frame(&mut self, age: Duration) -> Frame {
        self.frames += 1;
        let (id, stamp_source) = (FrameId(self.frames - 1), StampSource::Driver);
        Frame {
            capture: Capture { id, lost: 0, at: self.clock.now() - age, stamp_source },
            dequeued_at: self.clock.now(),
            width: SHAPE.width,
            height: SHAPE.height,
            format: PixelFormat::Gray8,
            pixels: PooledBytes::from(vec![0; SHAPE.pixels()]),
            label: Some(0),
        }
    }

    /// A frame comes, and has gone into the queue when this returns.
    pub(crate) fn capture(&mut self) {
        let frame = self.frame(Duration::ZERO);
        self.give(Next::Frame(frame));
        self.source_waits();
    }

    /// The source does something, and nobody waits for what follows.
    pub(crate) fn give(&self, next: Next) {
        self.next.send(next).expect("the source is there");
    }

    /// As [`Script::end`], for a run that ends by itself; the last part says whether the source was asked meanwhile.
    pub(crate) fn end_unasked(self) -> (Result<Summary, Box<PipelineFailure>>, Vec<Outcome>, bool) {
        let (result, outcomes) = self.running.join().expect("the pipeline itself never panics");
        (result, outcomes, self.asked.try_recv().is_ok())
    }

    /// The source ends. What came of it all.
    pub(crate) fn end(self) -> Ended {
        drop(self.next);
        self.running.join().expect("the pipeline itself never panics")
    }
}
