//! Weights in eight bits: whole numbers of −127…127 with a step for each output, a quarter of the size.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// How the weights of convolutions and linear layers are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// As they are, four bytes each.
    #[default]
    F32,
    /// Rounded to eight bits. The runtime multiplies them out once, when it loads the file.
    Int8,
}

impl Weights {
    /// Whether they are as they were trained.
    #[must_use]
    pub fn are_exact(&self) -> bool {
        *self == Self::F32
    }
}

/// The largest number.
const LARGEST: f64 = 127.0;

/// A weight in eight bits: `numbers · steps` is the weight.
#[derive(Debug)]
pub struct Int8 {
    /// Whole numbers, in the shape of the weight.
    pub numbers: Tensor,
    /// One for each row, which is an output of a convolution or a linear layer: `[rows, 1, …]`.
    pub steps: Tensor,
}

impl Int8 {
    /// The nearest to `weight` `[rows, …]` with steps that make each row's largest weight ±127.
    #[must_use]
    pub fn nearest(weight: &Tensor) -> Self {
        let columns: Vec<i64> = (1..weight.dim() as i64).collect();
        let largest = weight.detach().abs().amax(columns.as_slice(), true);
        let steps = (largest / LARGEST).clamp_min(f64::from(f32::MIN_POSITIVE));
        let numbers = (weight.detach() / &steps).round().clamp(-LARGEST, LARGEST).to_kind(Kind::Int8);
        Self { numbers, steps }
    }

    /// The shape that the steps must have.
    #[must_use]
    pub fn shape_of_steps(&self) -> Vec<i64> {
        self.numbers.size().iter().enumerate().map(|(dimension, &size)| if dimension == 0 { size } else { 1 }).collect()
    }

    /// As floating-point numbers again.
    pub fn weight(&self) -> Tensor {
        self.numbers.to_kind(Kind::Float) * &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_off_by_half_a_step_at_most_and_what_is_in_eight_bits_stays() {
        let weight = Tensor::from_slice(&[0.5f32, -1.27, 0.013, 0.0, 0.0, 0.0]).reshape([2, 3]);
        let rounded = Int8::nearest(&weight).weight();
        let error = (&rounded - &weight).abs().max().double_value(&[]);
        assert!(error <= 0.005 + 1e-7, "{error}");
        assert!(rounded.allclose(
            &Tensor::from_slice(&[0.5f32, -1.27, 0.01, 0.0, 0.0, 0.0]).reshape([2, 3]),
            1e-6,
            0.0,
            false
        ));
        assert!(Int8::nearest(&rounded).weight().allclose(&rounded, 1e-6, 0.0, false));
    }
}
