//! `--prep ink`: digits on sheets of paper as a camera sees them, drawn by the test, through preprocessing, the shipped models
//! and the program.
//!
//! `PUVAE_INK_SHEETS=500 cargo test --release --test ink -- --nocapture --test-threads 1` prints the accuracies over 500 sheets of each kind.
//! `cargo test --test ink -- --ignored` draws the README's picture, and many more sheets to be looked at. With
//! `PUVAE_INK_DIGITS=IMAGES,LABELS` other digits are taken (IDX files); preprocessing was made on training digits.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod accuracy;
mod digits;
mod figure;
mod pen;
mod program;
mod sheet;
