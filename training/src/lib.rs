//! Trains, attacks, evaluates and exports the networks that `puvae` runs.
//!
//! A network is described once, as a function over the operations of [`nn::Backend`]. With
//! [`nn::torch::Torch`] the function computes, with [`nn::onnx::Onnx`] it writes an ONNX graph. From data
//! to a shipped file: [`data`] → [`fit`] (of a [`classifier`] or a [`puvae`]) → [`evaluate`] (with
//! [`attack`]) → [`export`]. All training is [`resumable`], also that of two networks against each other ([`gan`]).

pub mod attack;
pub mod checkpoint;
pub mod classifier;
pub mod curves;
pub mod data;
pub mod defence;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod fit;
pub mod frames;
pub mod gan;
pub mod golden;
pub mod import;
pub mod nn;
pub mod noise;
pub mod npz;
pub mod optim;
pub mod paper;
mod png;
pub mod progress;
pub mod puvae;
mod random;
pub mod reproduce;
pub mod resumable;
pub mod runs;
pub mod substitute;
pub mod table;

#[cfg(test)]
mod turns {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// libtorch has one random stream for the whole process, so tests that seed it or draw from it take turns.
    static TURN: Mutex<()> = Mutex::new(());

    pub(crate) fn my_turn() -> MutexGuard<'static, ()> {
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
