//! Random draws: torch's stream, begun from several numbers, and draws that no device changes.
//!
//! A file of its own because the CPU's generator looks at the low 32 bits of a seed only: numbers that are shifted beside
//! each other there begin the same stream, whatever the high ones say.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Begins torch's stream that belongs to these numbers, the user's seed and what it is drawn for.
pub(crate) fn begin(numbers: [u64; 4]) {
    let mut key = [0; 32];
    for (bytes, number) in key.chunks_exact_mut(8).zip(numbers) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    tch::manual_seed(i64::from(ChaCha8Rng::from_seed(key).next_u32()));
}

/// Draws that are the same for the same seed and stream, wherever the tensors live.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// A number below `end`; the bias of the remainder is below 2⁻⁴⁰ for an `end` below 2²⁴.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    /// Any number of 32 bits.
    pub(crate) fn word(&mut self) -> u32 {
        self.0.next_u32()
    }
}
