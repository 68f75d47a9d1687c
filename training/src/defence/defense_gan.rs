//! Defense-GAN (Samangouei et al., 2018): a picture is replaced by the nearest one that a generator of clean pictures can
//! make, found by gradient descent on the latent vector from several random starts.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Cleaned, Defence};
use crate::attack::value_and_gradient;
use crate::gan::Generator;

/// Rows, images times restarts, that descend at a time.
const ROWS: usize = 1_000;
/// Most random starts for a picture.
const MOST_RESTARTS: u32 = 10_000;
/// Share of the steps after which the rate changes.
const DECAY_AT: f64 = 0.8;

/// How a picture is projected. None of it belongs to the trained weights, so it is chosen at evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// Steps L of Defense-GAN's gradient descent.
    #[arg(id = "defense-gan-steps", long = "defense-gan-steps", default_value_t = Self::default().steps)]
    pub steps: u32,
    /// Its random starts R for each picture.
    #[arg(id = "defense-gan-restarts", long = "defense-gan-restarts", default_value_t = Self::default().restarts)]
    pub restarts: u32,
    /// Its learning rate.
    #[arg(id = "defense-gan-rate", long = "defense-gan-rate", default_value_t = Self::default().rate)]
    pub rate: f64,
    /// Its momentum.
    #[arg(id = "defense-gan-momentum", long = "defense-gan-momentum", default_value_t = Self::default().momentum)]
    pub momentum: f64,
    /// Factor of its learning rate in the last fifth of the steps; 1 keeps it as it was.
    #[arg(id = "defense-gan-decay", long = "defense-gan-decay", default_value_t = Self::default().decay)]
    pub decay: f64,
}

impl Default for Projection {
    /// L and R as the PuVAE paper compares them, the rest as in Defense-GAN's published code.
    fn default() -> Self {
        Self { steps: 200, restarts: 20, rate: 10.0, momentum: 0.7, decay: 1.0 }
    }
}

impl Projection {
    /// Refuses what leads nowhere.
    ///
    /// # Errors
    /// Names the field, the rule and the value.
    pub fn check(&self) -> Result<()> {
        let Self { steps, restarts, rate, momentum, decay } = *self;
        ensure!(
            steps > 0 && (1..=MOST_RESTARTS).contains(&restarts),
            "--defense-gan-steps is {steps} and --defense-gan-restarts {restarts}, expected at least 1, and at most {MOST_RESTARTS} restarts"
        );
        for (name, value) in [("rate", rate), ("decay", decay)] {
            ensure!(value.is_finite() && value > 0.0, "--defense-gan-{name} is {value}, expected a number above 0");
        }
        ensure!(
            (0.0..1.0).contains(&momentum),
            "--defense-gan-momentum is {momentum}, expected 0 or more and less than 1"
        );
        Ok(())
    }

    fn rate_at(&self, step: u32) -> f64 {
        let late = f64::from(step) >= (DECAY_AT * f64::from(self.steps)).ceil();
        if late { self.rate * self.decay } else { self.rate }
    }
}

/// A generator to project onto. The gradient is the identity's: Athalye et al. (2018) attacked Defense-GAN so, since its L steps
/// of descent leave no useful gradient of their own.
#[derive(Debug)]
pub struct DefenseGan {
    generator: Generator,
    projection: Projection,
}

impl DefenseGan {
    /// A defence of a trained generator.
    ///
    /// # Errors
    /// When the projection is absurd.
    pub fn new(generator: Generator, projection: Projection) -> Result<Self> {
        projection.check()?;
        Ok(Self { generator, projection })
    }

    /// For each picture of `x` `[N, C, H, W]` the nearest of the ends of all restarts, and its mean squared error `[N]`. The starting points
    /// are N(0, 1/Z) from torch's random stream, the first restart of all pictures first: more restarts of the same seed
    /// are the same ones and further ones.
    fn project(&self, x: &Tensor) -> (Tensor, Tensor) {
        let (n, restarts) = (x.size()[0], i64::from(self.projection.restarts));
        let every = x.repeat([restarts, 1, 1, 1]); // [R·N, C, H, W]
        let latent = self.generator.config.latent;
        let start = self.generator.draw(restarts * n) / (latent as f64).sqrt(); // [R·N, Z]
        let ends = tch::with_grad(|| self.descend(start, &every));
        let pictures = tch::no_grad(|| self.generator.pictures(&ends)); // [R·N, C, H, W]
        let (least, best) = errors(&pictures, &every).reshape([restarts, n]).min_dim(0, false); // [N]
        let rows = best * n + Tensor::arange(n, (Kind::Int64, x.device()));
        (pictures.index_select(0, &rows), least)
    }

    /// Gradient descent with momentum on each row's mean squared error, from `z` `[R·N, Z]`.
    fn descend(&self, mut z: Tensor, x: &Tensor) -> Tensor {
        let mut velocity = z.zeros_like();
        for step in 0..self.projection.steps {
            let (_, gradient) = value_and_gradient(&z, |z| errors(&self.generator.pictures(z), x));
            velocity = velocity * self.projection.momentum + gradient;
            z -= &velocity * self.projection.rate_at(step);
        }
        z.detach()
    }
}

/// Mean squared difference of each picture, `[N]`.
fn errors(a: &Tensor, b: &Tensor) -> Tensor {
    (a - b).square().flatten(1, -1).mean_dim(1, false, Kind::Float)
}

impl Defence for DefenseGan {
    fn name(&self) -> String {
        "defense-gan".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let (frames, error) = self.project(&x.detach());
        Cleaned { frames: frames + (x - x.detach()), label: None, score: Some(error) }
    }

    fn batch(&self) -> usize {
        (ROWS / self.projection.restarts as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_decays_for_the_last_fifth_of_the_steps() {
        let projection = Projection { steps: 12, decay: 0.1, ..Projection::default() };
        let rates: Vec<f64> = (0..12).map(|step| projection.rate_at(step)).collect();
        assert_eq!(rates, [[10.0; 10].as_slice(), &[1.0; 2]].concat());
        assert!((0..200).all(|step| Projection::default().rate_at(step) == 10.0));
    }
}
