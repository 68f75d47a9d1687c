//! An exported file read back as a trained network, so that what was shipped can be attacked and evaluated without
//! the run that made it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use puvae::model::spec::{METADATA_KEY, ModelSpec};
use tch::{Kind, Tensor};

use crate::checkpoint::{Checkpoint, Header};
use crate::nn::int8::Int8;
use crate::nn::onnx::STEPS;
use crate::nn::proto::{FLOAT, INT8, Model, TensorData};

/// Reads `path` as the checkpoint it was exported from, without optimiser state.
///
/// Layers whose weights the exporter rearranged (transposed convolutions) have no parameters of their own in the file;
/// whoever asks for one is told that it is missing.
///
/// # Errors
/// When the file cannot be read, is not ONNX, or was not exported by this program.
pub fn checkpoint(path: &Path) -> Result<Checkpoint> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot read the model", path.display()))?;
    let model = Model::decode(bytes.as_slice()).with_context(|| format!("{}: not an ONNX file", path.display()))?;
    let spec = model.metadata_props.iter().find(|entry| entry.key == METADATA_KEY);
    let spec = spec.with_context(|| {
        format!("{}: no {METADATA_KEY} in it; expected a file that `puvae-train export` wrote", path.display())
    })?;
    let spec = ModelSpec::from_json(&spec.value)
        .with_context(|| format!("{}: its {METADATA_KEY} is not a model spec", path.display()))?;
    let graph = model.graph.with_context(|| format!("{}: an ONNX file without a graph", path.display()))?;
    let params = params(&graph.initializer).with_context(|| format!("{}: a broken initializer", path.display()))?;
    let header = header(&spec).with_context(|| path.display().to_string())?;
    Ok(Checkpoint::of_params(header, params))
}

/// By name; what is stored in eight bits becomes floating-point numbers.
fn params(stored: &[TensorData]) -> Result<BTreeMap<String, Tensor>> {
    let of_type = |data_type| stored.iter().filter(move |stored| stored.data_type == data_type);
    let mut params = of_type(FLOAT)
        .map(|stored| Ok((stored.name.clone(), tensor(stored, Kind::Float)?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    for stored in of_type(INT8) {
        let numbers = tensor(stored, Kind::Int8)?;
        let steps = params.remove(&format!("{}{STEPS}", stored.name));
        let steps = steps.with_context(|| format!("{}: in eight bits, but without its steps", stored.name))?;
        let weight = Int8 { numbers, steps };
        ensure!(
            weight.numbers.dim() > 1 && weight.steps.size() == weight.shape_of_steps(),
            "{}: in eight bits, its shape is {:?} and that of its steps {:?}, expected {:?}",
            stored.name,
            weight.numbers.size(),
            weight.steps.size(),
            weight.shape_of_steps()
        );
        params.insert(stored.name.clone(), weight.weight());
    }
    Ok(params)
}

fn header(spec: &ModelSpec) -> Result<Header> {
    let architecture = &spec.provenance.architecture;
    let kind = match &spec.purifier {
        None => "classifier",
        Some(purifier) if purifier.selection.is_some() => "puvae",
        Some(_) if architecture == "magnet" => "magnet",
        Some(_) => {
            bail!("a purifier of the architecture {architecture}, expected a PuVAE or magnet: no other is known here")
        }
    };
    let mut config = spec.provenance.config.clone();
    let mut take = |name| config.as_object_mut().and_then(|config| config.remove(name));
    let (done, held_out) = (take("epochs_done"), take("held_out_sha256"));
    let epochs = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_u64).unwrap_or(0) as u32;
    Ok(Header {
        kind: kind.into(),
        dataset: spec.provenance.dataset.clone(),
        classes: spec.classes.clone(),
        held_out_sha256: held_out.and_then(|hash| hash.as_str().map(Into::into)).unwrap_or_default(),
        seed: spec.provenance.seed,
        epochs: epochs(config["schedule"].get("epochs")),
        epoch: epochs(done.as_ref()),
        config,
    })
}

/// A table of classes is stored as `[1, K, width]` and was made as `[K, width]`.
fn tensor(stored: &TensorData, kind: Kind) -> Result<Tensor> {
    let shape = match stored.dims.as_slice() {
        [1, rows, width] => vec![*rows, *width],
        other => other.to_vec(),
    };
    let count = shape.iter().product::<i64>() as usize;
    let size = kind.elt_size_in_bytes();
    ensure!(
        stored.raw_data.len() == size * count,
        "{}: {} bytes for {count} values of {size} bytes",
        stored.name,
        stored.raw_data.len()
    );
    Ok(Tensor::f_from_data_size(&stored.raw_data, &shape, kind)?)
}
