//! Adam (Kingma & Ba, 2015) with a state that can be saved: libtorch's own optimisers are reachable from here
//! but their moments are not, and a resumed run without moments is another run.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::nn::params::Params;

const EPSILON: f64 = 1e-8;

/// Adam over the parameters of one network.
#[derive(Debug)]
pub struct Adam {
    slots: Vec<Slot>,
    steps: i64,
    betas: [f64; 2],
    counter: String,
}

#[derive(Debug)]
struct Slot {
    name: String,
    parameter: Tensor,
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// Fresh moments for every parameter that exists, with the usual decay rates 0.9 and 0.999.
    #[must_use]
    pub fn new(params: &Params) -> Self {
        let slots = params.all().into_iter().map(|(name, parameter)| {
            let zeros = || parameter.detach().zeros_like();
            Slot { name, mean: zeros(), square: zeros(), parameter }
        });
        Self { slots: slots.collect(), steps: 0, betas: [0.9, 0.999], counter: "steps".into() }
    }

    /// With other decay rates of the two moments, each in `[0, 1)`.
    #[must_use]
    pub fn betas(self, betas: [f64; 2]) -> Self {
        Self { betas, ..self }
    }

    /// For a checkpoint that holds several optimisers: this one's step count is saved as `NAME.steps`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { counter: format!("{name}.steps"), ..self }
    }

    /// One step down the gradient of `loss`, which is taken to this network's parameters and no others.
    pub fn step(&mut self, loss: &Tensor, rate: f64) {
        let parameters: Vec<&Tensor> = self.slots.iter().map(|slot| &slot.parameter).collect();
        let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
        self.steps += 1;
        let [beta1, beta2] = self.betas;
        let correction1 = 1.0 - beta1.powf(self.steps as f64);
        let correction2 = 1.0 - beta2.powf(self.steps as f64);
        tch::no_grad(|| {
            for (slot, gradient) in self.slots.iter_mut().zip(gradients).filter(|(_, gradient)| gradient.defined()) {
                let _ = slot.mean.lerp_(&gradient, 1.0 - beta1);
                let _ = slot.square.g_mul_scalar_(beta2);
                let _ = slot.square.addcmul_(&gradient, &(&gradient * (1.0 - beta2)));
                let denominator = (&slot.square / correction2).sqrt() + EPSILON;
                let _ = slot.parameter.addcdiv_(&(&slot.mean * (-rate / correction1)), &denominator);
            }
        });
    }

    /// The moments and the step count, by name.
    #[must_use]
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let mut state: BTreeMap<String, Tensor> = BTreeMap::new();
        for slot in &self.slots {
            state.insert(format!("mean.{}", slot.name), slot.mean.shallow_clone());
            state.insert(format!("square.{}", slot.name), slot.square.shallow_clone());
        }
        state.insert(self.counter.clone(), Tensor::from(self.steps));
        state
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// When a moment is missing or has another shape.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
        let get = |name: String, shape: &[i64]| {
            let tensor = state.get(&name).ok_or_else(|| anyhow::anyhow!("no optimiser state {name}"))?;
            anyhow::ensure!(
                tensor.size() == shape,
                "optimiser state {name}: expected shape {shape:?}, found {:?}",
                tensor.size()
            );
            Ok(tensor)
        };
        for slot in &mut self.slots {
            let shape = slot.parameter.size();
            slot.mean.copy_(get(format!("mean.{}", slot.name), &shape)?);
            slot.square.copy_(get(format!("square.{}", slot.name), &shape)?);
        }
        self.steps = get(self.counter.clone(), &[])?.to_kind(Kind::Int64).int64_value(&[]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn two_steps_down_a_parabola_are_those_worked_out_by_hand() {
        let params = Params::new(1, Device::Cpu);
        let x = params.get("x", &[], None);
        tch::no_grad(|| x.shallow_clone().copy_(&Tensor::from(1f32)));
        let mut adam = Adam::new(&params);
        for expected in [0.9, 0.800_412] {
            adam.step(&x.square(), 0.1);
            assert!((x.double_value(&[]) - expected).abs() < 1e-5, "{x}");
        }
    }

    #[test]
    fn a_loss_that_passes_through_another_network_leaves_that_one_alone() {
        let (own, other) = (Params::new(1, Device::Cpu), Params::new(2, Device::Cpu));
        let (x, y) = (own.get("x", &[3], Some(1)), other.get("y", &[3], Some(1)));
        let before = (x.copy(), y.copy());
        Adam::new(&own).betas([0.5, 0.9]).step(&(&x * &y).sum(Kind::Float), 0.1);
        assert!(!x.equal(&before.0) && y.equal(&before.1) && !y.grad().defined());
    }

    #[test]
    fn a_parameter_that_the_loss_does_not_see_stays_as_it_is() {
        let params = Params::new(1, Device::Cpu);
        let (seen, unseen) = (params.get("seen", &[3], Some(1)), params.get("unseen", &[3], Some(1)));
        let before = (seen.copy(), unseen.copy());
        Adam::new(&params).step(&seen.square().sum(Kind::Float), 0.1);
        assert!(!seen.equal(&before.0) && unseen.equal(&before.1));
    }

    #[test]
    fn optimisers_of_one_checkpoint_keep_their_step_counts_apart() {
        let params = Params::new(1, Device::Cpu);
        let x = params.get("x", &[], None);
        let mut adam = Adam::new(&params).named("critic");
        adam.step(&x.square(), 0.1);
        assert_eq!(adam.state()["critic.steps"].int64_value(&[]), 1);
        assert!(
            Adam::new(&params).restore(&adam.state()).unwrap_err().to_string().contains("no optimiser state steps")
        );
    }
}
