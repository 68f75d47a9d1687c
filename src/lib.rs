//! A real-time filter between a camera and an image classifier: each frame is purified, then
//! classified, within a deadline that counts from capture, and every frame's fate is accounted for.
//!
//! ```text
//!  capture thread          purify thread                        classify thread
//!  Source ──Frame──▶ queue ──▶ preprocess ▶ Purifier ──▶ queue ──▶ Classifier ▶ Verdict ──▶ Sinks
//!                    newest     [N, C, H, W] f32         blocking
//!                    wins
//! ```
//!
//! The modules below stand in the order in which a frame meets them.

#[cfg(feature = "runtime")]
pub mod clock;
#[cfg(feature = "runtime")]
pub mod frame;
pub mod idx;
pub mod picture;
#[cfg(feature = "runtime")]
pub mod source;
#[cfg(feature = "runtime")]
pub mod queue;
pub mod preprocess;
#[cfg(feature = "runtime")]
pub mod purifier;
#[cfg(feature = "runtime")]
pub mod classifier;
pub mod model;
#[cfg(feature = "runtime")]
pub mod deadline;
#[cfg(feature = "runtime")]
pub mod ledger;
pub mod quantile;
#[cfg(feature = "runtime")]
pub mod latency;
#[cfg(feature = "runtime")]
pub mod pipeline;
#[cfg(feature = "runtime")]
pub mod report;
#[cfg(feature = "runtime")]
pub mod board;
#[cfg(feature = "runtime")]
pub mod watchdog;
#[cfg(feature = "runtime")]
pub mod metrics;
#[cfg(feature = "runtime")]
pub mod live;
#[cfg(feature = "runtime")]
pub mod config;
pub mod files;
pub mod cache;
pub mod names;
