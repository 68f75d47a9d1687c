//! Cameras and models that fail, loads that are too high, several regions, long runs: what becomes of every frame.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod capture;
mod contract;
mod endings;
mod faults;
#[path = "../support/indifferent.rs"]
mod indifferent;
#[path = "../support/limit.rs"]
mod limit;
mod lockstep;
#[path = "../support/log.rs"]
mod log;
mod long;
mod overload;
mod regions;
mod supervision;
mod together;
