//! The binary `puvae`, seen from outside: in a temporary folder, with tiny models that ONNX Runtime really runs.
//!
//! ONNX Runtime is found as the program finds it; without one these tests fail and say how to get one.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod bad_files;
mod bad_usage;
mod comparisons;
mod fixture;
#[path = "../support/limit.rs"]
mod limit;
mod live;
mod live_view;
mod metrics;
mod no_frames;
mod onnx;
mod reports;
mod running;
mod runs;
mod signals;
mod slow_clients;
mod tools;
