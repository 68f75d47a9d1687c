//! `--prep ink`: digits on sheets of paper as a camera sees them, drawn by the test, through preprocessing, the shipped models
//! and the program.
//!
//! `cargo test --release --test ink -- --nocapture --test-threads 1` prints the accuracies.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod accuracy;
mod digits;
mod figure;
mod pen;
mod program;
mod sheet;
