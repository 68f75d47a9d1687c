//! Cameras against a real V4L2 device: the kernel's virtual camera driver, vivid, with its faults.
//!
//! `cargo xtask vivid` runs these in a virtual machine that has two such cameras, one test after the other.

#![cfg(all(feature = "camera", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

#[path = "../support/conformance.rs"]
mod conformance;
mod device;
mod faults;
mod frames;
#[path = "../support/indifferent.rs"]
mod indifferent;
mod opening;
mod pipeline;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
