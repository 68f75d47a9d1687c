//! What a model file says of itself, and the engine that runs it.

pub mod hash;
pub mod spec;

#[cfg(feature = "runtime")]
pub mod engine;
#[cfg(feature = "runtime")]
mod error;
#[cfg(feature = "runtime")]
pub mod external;
#[cfg(feature = "runtime")]
pub mod file;
#[cfg(feature = "runtime")]
pub mod graph;
#[cfg(feature = "runtime")]
pub mod library;
#[cfg(feature = "runtime")]
pub mod metadata;
#[cfg(feature = "runtime")]
pub mod onnx_classifier;
#[cfg(feature = "runtime")]
pub mod onnx_purifier;
#[cfg(feature = "runtime")]
mod protobuf;

#[cfg(feature = "runtime")]
pub use error::ModelError;
