//! The training crate seen from outside, as one program: libtorch is linked once, and has one random stream.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod attacks;
mod cli;
mod commands;
mod common;
mod data;
mod defences;
mod defense_gan;
mod evaluate;
mod import;
mod judged;
mod networks;
mod reproduce;
mod substitute;
mod training;
