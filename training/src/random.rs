//! torch's random stream, begun from several numbers.
//!
//! A file of its own because the CPU's generator looks at the low 32 bits of a seed only: numbers that are shifted beside
//! each other there begin the same stream, whatever the high ones say.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Begins the stream that belongs to these numbers, the user's seed and what it is drawn for.
pub(crate) fn begin(numbers: [u64; 4]) {
    let mut key = [0; 32];
    for (bytes, number) in key.chunks_exact_mut(8).zip(numbers) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    tch::manual_seed(i64::from(ChaCha8Rng::from_seed(key).next_u32()));
}
