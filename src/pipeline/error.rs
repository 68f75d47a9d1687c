//! Why a run ended early, and what it had come to by then.

use std::time::Duration;

use super::contract::ContractError;
use super::outcome::{MAX_REGIONS, SinkError};
use super::summary::Summary;
use crate::deadline::Deadline;
use crate::frame::FrameId;
use crate::ledger::Ledger;
use crate::model::ModelError;
use crate::model::spec::InputShape;
use crate::preprocess::PreprocessError;
use crate::source::{FrameFault, SourceError};

/// The fewest classes that there is anything to choose from.
pub(super) const FEWEST_CLASSES: usize = 2;

/// A run that ended early: the cause, and the summary so far, in which the ledger still balances.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct PipelineFailure {
    /// What ended it.
    pub cause: PipelineError,
    /// Everything up to then.
    pub summary: Summary,
}

/// Why a run ended early or did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// Purifier and classifier do not fit together.
    #[error(
        "the purifier returns frames of {purifier} (channels×height×width), the classifier takes {classifier}; use two models made for the same data"
    )]
    Shapes {
        /// What the purifier returns.
        purifier: InputShape,
        /// What the classifier takes.
        classifier: InputShape,
    },
    /// A classifier with nothing to choose from.
    #[error("the classifier has {got} classes, expected at least {FEWEST_CLASSES}; use another one")]
    TooFewClasses {
        /// How many it has.
        got: usize,
    },
    /// A threshold with nothing to hold against it.
    #[error(
        "the purifier is suspicious above {threshold}, but gives neither a score nor distances to compare with that; give it room for one, or no threshold"
    )]
    NothingToSuspect {
        /// Its threshold.
        threshold: f32,
    },
    /// More regions than there is room for.
    #[error("{got} regions of each frame, expected at most {MAX_REGIONS}; give fewer")]
    TooManyRegions {
        /// How many were asked for.
        got: usize,
    },
    /// Half of all frames or more would miss, whatever the source does.
    #[error(
        "a deadline of {deadline} is impossible on this machine: warmed up, the purifier takes {purify:.1?} and the classifier {classify:.1?} \
         (medians) of every frame; {possible:.1?} would be possible here: give `--deadline` at least that, or `--force` to run anyway"
    )]
    DeadlineImpossible {
        /// What was asked for.
        deadline: Deadline,
        /// Median of the purifier.
        purify: Duration,
        /// Median of the classifier.
        classify: Duration,
        /// The slowest run of both models after the first, rounded up.
        possible: Duration,
    },
    /// A model failed before the first frame.
    #[error("the {stage} stage failed while warming up: {source}")]
    WarmUp {
        /// "purify" or "classify".
        stage: &'static str,
        /// What the model said.
        source: ModelError,
    },
    /// A model returned something that is no result, before the first frame.
    #[error("the {stage} stage failed while warming up: {source}")]
    WarmUpContract {
        /// "purify" or "classify".
        stage: &'static str,
        /// What is wrong with it.
        source: ContractError,
    },
    /// The source failed.
    #[error("the capture stage failed {}: {source}", after(*frames))]
    Source {
        /// Frames that had come before.
        frames: u64,
        /// What the source said.
        source: SourceError,
    },
    /// The source broke its promise on frame numbers.
    #[error(
        "the capture stage failed: the source gave frame number {got}, expected {expected}; a source numbers its frames 0, 1, 2 … without gaps"
    )]
    FrameNumber {
        /// The number after that of the frame before.
        expected: FrameId,
        /// The number it gave.
        got: FrameId,
    },
    /// The source gave a frame that is not fit to be used.
    #[error("the capture stage failed on frame {frame}: {reason}")]
    Broken {
        /// Which frame.
        frame: FrameId,
        /// What is wrong with it.
        reason: FrameFault,
    },
    /// A frame could not be made into a tensor.
    #[error("the preprocess stage failed on frame {frame}: {source}")]
    Preprocess {
        /// Which frame.
        frame: FrameId,
        /// What was wrong with it.
        source: PreprocessError,
    },
    /// A model failed on a frame.
    #[error("the {stage} stage failed on frame {frame}: {source}")]
    Model {
        /// "purify" or "classify".
        stage: &'static str,
        /// Which frame.
        frame: FrameId,
        /// What the model said.
        source: ModelError,
    },
    /// A model returned something that is no result.
    #[error("the {stage} stage failed on frame {frame}: {source}")]
    Contract {
        /// "purify" or "classify".
        stage: &'static str,
        /// Which frame.
        frame: FrameId,
        /// What is wrong with it.
        source: ContractError,
    },
    /// A stage panicked: a defect of that stage, not of the frame.
    #[error("the {stage} stage panicked {}: {message}; this is a defect, please report it", on(*frame))]
    Panicked {
        /// "capture", "preprocess", "purify", "classify", "sink" or "warm-up".
        stage: &'static str,
        /// The frame it was working on.
        frame: Option<FrameId>,
        /// What the panic said.
        message: String,
    },
    /// A sink refused an outcome.
    #[error("the outcome of frame {frame} could not be written: {source}")]
    Sink {
        /// Which frame.
        frame: FrameId,
        /// What the sink said.
        source: SinkError,
    },
    /// A stage's thread could not be started.
    #[error("cannot start a thread for the {stage} stage: {source}; free some memory or raise the limit on processes")]
    Thread {
        /// Which stage.
        stage: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Frames went missing inside the pipeline, or were counted twice.
    #[error("the frame ledger does not balance: {} captured, {} with a fate; this is a defect, please report it", ledger.captured, ledger.decided())]
    LedgerUnbalanced {
        /// The ledger.
        ledger: Ledger,
    },
    /// One frame met two fates.
    #[error("frame {frame} was accounted for twice; this is a defect, please report it")]
    CountedTwice {
        /// Which frame.
        frame: FrameId,
    },
}

impl PipelineError {
    /// Whether the next frame may well be worked on: the run then goes on, and the frame has failed.
    pub(super) fn concerns_one_frame(&self) -> bool {
        match self {
            Self::Broken { .. } => true,
            Self::Preprocess { source, .. } => matches!(source, PreprocessError::Region { .. }),
            Self::Contract { source, .. } => {
                matches!(source, ContractError::NotFinite { .. } | ContractError::Range { .. })
            }
            Self::Model { source, .. } => matches!(source, ModelError::NotFinite { .. }),
            _ => false,
        }
    }
}

fn after(frames: u64) -> String {
    if frames == 0 { "before the first frame".into() } else { format!("after frame {}", frames - 1) }
}

fn on(frame: Option<FrameId>) -> String {
    frame.map_or_else(|| "outside any frame".into(), |frame| format!("on frame {frame}"))
}
