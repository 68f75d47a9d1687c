//! Named parameters: made on first use, saved and read as safetensors.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use puvae::model::hash::FileHash;
use tch::{Device, Kind, Tensor};

use super::int8::Int8;
use crate::random::Draws;

/// A network, by its parameters.
pub trait HasParams {
    /// All of them.
    fn params(&self) -> &Params;
}

/// The parameters of one network. A parameter is made the first time a forward pass asks for it, from a
/// random stream of its own (seed and name), so the order of layers does not matter.
#[derive(Debug)]
pub struct Params {
    device: Device,
    seed: u64,
    tensors: RefCell<BTreeMap<String, Tensor>>,
}

impl Params {
    /// No parameters yet.
    #[must_use]
    pub fn new(seed: u64, device: Device) -> Self {
        Self { device, seed, tensors: RefCell::default() }
    }

    /// From now on these parameters take no gradients.
    pub fn freeze(&self) {
        for tensor in self.tensors.borrow().values() {
            let _ = tensor.shallow_clone().requires_grad_(false);
        }
    }

    /// Where the parameters live.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Shares the parameter `name`; made on first use, uniform in ±√(3 / `fan_in`) (variance 1 / `fan_in`), or
    /// zero when `fan_in` is `None`.
    ///
    /// # Panics
    /// When the parameter exists with another shape: one name, two layers.
    pub fn get(&self, name: &str, shape: &[i64], fan_in: Option<i64>) -> Tensor {
        let mut tensors = self.tensors.borrow_mut();
        if let Some(tensor) = tensors.get(name) {
            assert_eq!(tensor.size(), shape, "shape of parameter {name}");
            return tensor.shallow_clone();
        }
        let tensor = match fan_in {
            None => Tensor::zeros(shape, (Kind::Float, self.device)),
            Some(fan_in) => self.uniform(name, shape, (3.0 / fan_in as f64).sqrt()).to_device(self.device),
        };
        let tensor = tensor.set_requires_grad(true);
        tensors.insert(name.into(), tensor.shallow_clone());
        tensor
    }

    fn uniform(&self, name: &str, shape: &[i64], bound: f64) -> Tensor {
        let mut draws = Draws::new(self.seed, fnv1a(name));
        let count = shape.iter().product::<i64>() as usize;
        let scale = 2.0 * bound / f64::from(u32::MAX);
        let values: Vec<f32> = (0..count).map(|_| (f64::from(draws.word()) * scale - bound) as f32).collect();
        Tensor::from_slice(&values).reshape(shape)
    }

    /// All parameters by name, sharing their storage.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Tensor> {
        self.tensors.borrow().iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    /// Number of values in all parameters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tensors.borrow().values().map(Tensor::numel).sum()
    }

    /// Rounds every weight of convolutions and linear layers to what eight bits can hold; biases stay.
    pub fn round_to_int8(&self) {
        for weight in self.tensors.borrow().values().filter(|tensor| tensor.dim() > 1) {
            tch::no_grad(|| weight.shallow_clone().copy_(&Int8::nearest(weight).weight()));
        }
    }

    /// SHA-256 of every parameter's name, shape and values, 64 hex digits: whether two networks are the same one.
    ///
    /// # Panics
    /// When a parameter is not of floats.
    #[must_use]
    pub fn sha256(&self) -> String {
        let line = |(name, tensor): (&String, &Tensor)| {
            let values = Vec::<f32>::try_from(tensor.detach().to_device(Device::Cpu).reshape([-1]));
            let bytes: Vec<u8> =
                values.expect("parameters are floats").into_iter().flat_map(f32::to_le_bytes).collect();
            format!("{name} {:?} {}\n", tensor.size(), FileHash::of(&bytes))
        };
        FileHash::of(self.tensors.borrow().iter().map(line).collect::<String>().as_bytes()).to_string()
    }

    /// Overwrites every parameter with the one of the same name.
    ///
    /// # Errors
    /// When a name is missing or a shape differs.
    pub fn copy_from(&self, saved: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, tensor) in self.tensors.borrow().iter() {
            let saved = saved.get(name).with_context(|| format!("no parameter {name} among the saved ones"))?;
            if saved.size() != tensor.size() {
                bail!("parameter {name}: expected shape {:?}, the saved one has {:?}", tensor.size(), saved.size());
            }
            tch::no_grad(|| tensor.shallow_clone().copy_(saved));
        }
        Ok(())
    }
}

/// 64-bit FNV-1a (the published constants): a stable number for a name.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
