//! A training run on disk: parameters, optimiser state, and what they belong to, in one safetensors file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Device, Kind, Tensor};

use crate::files;
use crate::nn::params::Params;
use crate::optim::Adam;

/// What a checkpoint belongs to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// `classifier`, `puvae`, `magnet` or `defense-gan`.
    pub kind: String,
    /// The data set's name.
    pub dataset: String,
    /// Its classes in the order of the labels; empty in checkpoints from before they were told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// SHA-256 of its held-out images, in their order; empty in checkpoints from before it was told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub held_out_sha256: String,
    /// The configuration of the network and its training.
    pub config: serde_json::Value,
    /// Seed of the run.
    pub seed: u64,
    /// Epochs of the whole run, as [`crate::resumable::Learner`] counts them; the learning rate's decay may depend on it.
    pub epochs: u32,
    /// Epochs done.
    pub epoch: u32,
}

impl Header {
    /// Reads the header of a checkpoint, and no tensor.
    ///
    /// # Errors
    /// When the file is missing, not safetensors, or not written by this program.
    pub fn of(path: &Path) -> Result<Self> {
        header(path, &read(path)?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: cannot read the checkpoint", path.display()))
}

fn header(path: &Path, bytes: &[u8]) -> Result<Header> {
    let broken = || broken(path);
    let (_, metadata) = SafeTensors::read_metadata(bytes).with_context(broken)?;
    let header = metadata.metadata().as_ref().and_then(|entries| entries.get("header")).with_context(broken)?;
    serde_json::from_str(header).with_context(broken)
}

fn broken(path: &Path) -> String {
    format!("{}: not a whole checkpoint of puvae-train; train again or give another file", path.display())
}

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it belongs to.
    pub header: Header,
    /// The parameters of its networks.
    pub params: BTreeMap<String, Tensor>,
    optimiser: BTreeMap<String, Tensor>,
}

/// A network that learns, with its optimiser. Several of them fit into one checkpoint if their parameters' names differ
/// and their optimisers are named.
pub type Learning<'a> = (&'a Params, &'a mut Adam);

impl Checkpoint {
    /// Writes a checkpoint; the old one stays whole until the new one is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(path: &Path, header: &Header, networks: &[Learning<'_>]) -> Result<()> {
        let named = |prefix: &str, tensors: BTreeMap<String, Tensor>| {
            tensors.into_iter().map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)).collect::<Vec<_>>()
        };
        let tensors =
            networks.iter().flat_map(|(params, adam)| [named("param", params.all()), named("adam", adam.state())]);
        let stored: Vec<(String, Stored)> =
            tensors.flatten().map(|(name, tensor)| Ok((name, Stored::new(&tensor)?))).collect::<Result<_>>()?;
        let views =
            stored.iter().map(|(name, stored)| Ok((name.clone(), stored.view()?))).collect::<Result<Vec<_>>>()?;
        let metadata = HashMap::from([("header".to_owned(), serde_json::to_string(header)?)]);
        files::replace_with(path, |partial| Ok(safetensors::serialize_to_file(views, &Some(metadata), partial)?))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When the file is missing, not safetensors, or not written by this program.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        let header = header(path, &bytes)?;
        let broken = || broken(path);
        let mut checkpoint = Self { header, params: BTreeMap::new(), optimiser: BTreeMap::new() };
        for (name, view) in SafeTensors::deserialize(&bytes).with_context(broken)?.tensors() {
            let tensor = tensor(&view).with_context(broken)?;
            match name.split_once('.') {
                Some(("param", name)) => checkpoint.params.insert(name.into(), tensor),
                Some(("adam", name)) => checkpoint.optimiser.insert(name.into(), tensor),
                _ => bail!("{}: unknown tensor {name}", path.display()),
            };
        }
        Ok(checkpoint)
    }

    /// A checkpoint without optimiser state.
    #[must_use]
    pub fn of_params(header: Header, params: BTreeMap<String, Tensor>) -> Self {
        Self { header, params, optimiser: BTreeMap::new() }
    }

    /// The configuration, as what a run of this kind is made from.
    ///
    /// # Errors
    /// When the checkpoint is of another kind.
    pub fn config<C: DeserializeOwned>(&self, path: &Path, kind: &str) -> Result<C> {
        ensure!(
            self.header.kind == kind,
            "{}: a checkpoint of a {}, expected one of a {kind}; give the run folder of a {kind}",
            path.display(),
            self.header.kind
        );
        serde_json::from_value(self.header.config.clone())
            .with_context(|| format!("{}: the configuration in the checkpoint is of another version", path.display()))
    }

    /// Puts the saved state into a run.
    ///
    /// # Errors
    /// When the checkpoint is of another configuration, naming the first difference.
    pub fn restore(&self, path: &Path, expected: &Header, networks: Vec<Learning<'_>>) -> Result<()> {
        let found = Header { epoch: expected.epoch, ..self.header.clone() };
        if let Some((field, expected, found)) =
            first_difference(&serde_json::to_value(expected)?, &serde_json::to_value(&found)?, "")
        {
            bail!(
                "{}: a checkpoint of another configuration: {field} is {found} there, expected {expected}; resume with the options of that run, or choose another --out",
                path.display()
            );
        }
        for (params, adam) in networks {
            params.copy_from(&self.params)?;
            adam.restore(&self.optimiser)?;
        }
        Ok(())
    }
}

/// The first field in which two JSON objects differ: its path, what was expected and what was found.
pub(crate) fn first_difference(
    expected: &serde_json::Value,
    found: &serde_json::Value,
    at: &str,
) -> Option<(String, String, String)> {
    if let (Some(left), Some(right)) = (expected.as_object(), found.as_object()) {
        let names = left.keys().chain(right.keys());
        let null = serde_json::Value::Null;
        return names.into_iter().find_map(|name| {
            let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            first_difference(left.get(name).unwrap_or(&null), right.get(name).unwrap_or(&null), &at)
        });
    }
    (expected != found).then(|| (at.to_owned(), expected.to_string(), found.to_string()))
}

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn new(tensor: &Tensor) -> Result<Self> {
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        let flat = tensor.detach().to_device(Device::Cpu).reshape([-1]);
        let (dtype, bytes) = match tensor.kind() {
            Kind::Float => {
                (Dtype::F32, Vec::<f32>::try_from(&flat)?.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Kind::Int64 => {
                (Dtype::I64, Vec::<i64>::try_from(&flat)?.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            other => bail!("checkpoints hold f32 and i64, not {other:?}"),
        };
        Ok(Self { dtype, shape, bytes })
    }

    fn view(&self) -> Result<TensorView<'_>> {
        Ok(TensorView::new(self.dtype, self.shape.clone(), &self.bytes)?)
    }
}

fn tensor(view: &TensorView<'_>) -> Result<Tensor> {
    let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::I64 => Kind::Int64,
        other => bail!("a tensor of {other:?}, expected f32 or i64"),
    };
    Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?)
}
