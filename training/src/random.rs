//! Random draws: torch's stream, begun from several numbers, and draws that no device changes.
//!
//! A file of its own because the CPU's generator looks at the low 32 bits of a seed only: numbers that are shifted beside
//! each other there begin the same stream, whatever the high ones say.

use anyhow::{Result, ensure};
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

/// Seeds and epochs of training runs below which no two epochs of two runs begin the same stream.
const SEEDS: u64 = 1 << 16;

/// Refuses a run whose epochs would begin the streams of another seed's.
///
/// # Errors
/// Names the option and the rule.
pub(crate) fn check_streams(seed: u64, epochs: u32) -> Result<()> {
    ensure!(
        seed < SEEDS,
        "--seed is {seed}, expected less than {SEEDS}: a larger one would draw what a smaller one draws"
    );
    ensure!(
        u64::from(epochs) <= SEEDS,
        "{epochs} epochs, expected at most {SEEDS}, or they would draw what another seed's draw; of a Defense-GAN take a larger --checkpoint-every"
    );
    Ok(())
}

/// Begins torch's stream of an epoch, counted from 0, of a training run.
pub(crate) fn begin_epoch(seed: u64, epoch: u32) {
    tch::manual_seed((seed * SEEDS) as i64 + i64::from(epoch));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_would_draw_what_another_seeds_draws_is_refused() {
        assert!(check_streams(SEEDS - 1, 65_536).is_ok());
        let error = check_streams(0, 65_537).unwrap_err().to_string();
        assert!(error.starts_with("65537 epochs, expected at most 65536"), "{error}");
        let error = check_streams(SEEDS, 1).unwrap_err().to_string();
        assert!(error.starts_with("--seed is 65536, expected less than 65536"), "{error}");
    }
}
