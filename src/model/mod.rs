//! What a model file says of itself, and the engine that runs it.

pub mod spec;
