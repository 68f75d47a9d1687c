//! Adam (Kingma & Ba, 2015) with a state that can be saved: libtorch's own optimisers are reachable from here
//! but their moments are not, and a resumed run without moments is another run.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::nn::params::Params;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Adam over the parameters of one network.
#[derive(Debug)]
pub struct Adam {
    slots: Vec<Slot>,
    steps: i64,
}

#[derive(Debug)]
struct Slot {
    name: String,
    parameter: Tensor,
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// Fresh moments for every parameter that exists.
    #[must_use]
    pub fn new(params: &Params) -> Self {
        let slots = params.all().into_iter().map(|(name, parameter)| {
            let zeros = || parameter.detach().zeros_like();
            Slot { name, mean: zeros(), square: zeros(), parameter }
        });
        Self { slots: slots.collect(), steps: 0 }
    }

    /// One step down the gradient of `loss`.
    pub fn step(&mut self, loss: &Tensor, rate: f64) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
        loss.backward();
        self.steps += 1;
        let correction1 = 1.0 - BETA1.powf(self.steps as f64);
        let correction2 = 1.0 - BETA2.powf(self.steps as f64);
        tch::no_grad(|| {
            for slot in self.slots.iter_mut().filter(|slot| slot.parameter.grad().defined()) {
                let gradient = slot.parameter.grad();
                let _ = slot.mean.lerp_(&gradient, 1.0 - BETA1);
                let _ = slot.square.g_mul_scalar_(BETA2);
                let _ = slot.square.addcmul_(&gradient, &(&gradient * (1.0 - BETA2)));
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
        state.insert("steps".into(), Tensor::from(self.steps));
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
        self.steps = get("steps".into(), &[])?.to_kind(Kind::Int64).int64_value(&[]);
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
}
