//! An exported file read back as a trained network, so that what was shipped can be attacked and evaluated without
//! the run that made it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use puvae::model::spec::{METADATA_KEY, ModelSpec};
use tch::{Kind, Tensor};

use crate::checkpoint::{Checkpoint, Header};
use crate::nn::proto::{FLOAT, Model, TensorData};

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
    let stored = graph.initializer.iter().filter(|stored| stored.data_type == FLOAT);
    let params = stored.map(|stored| Ok((stored.name.clone(), tensor(stored)?))).collect::<Result<_>>();
    let params = params.with_context(|| format!("{}: a broken initializer", path.display()))?;
    let header = header(&spec).with_context(|| path.display().to_string())?;
    Ok(Checkpoint::of_params(header, params))
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
    let done = config.as_object_mut().and_then(|config| config.remove("epochs_done"));
    let epochs = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_u64).unwrap_or(0) as u32;
    Ok(Header {
        kind: kind.into(),
        dataset: spec.provenance.dataset.clone(),
        seed: spec.provenance.seed,
        epochs: epochs(config["schedule"].get("epochs")),
        epoch: epochs(done.as_ref()),
        config,
    })
}

/// A table of classes is stored as `[1, K, width]` and was made as `[K, width]`.
fn tensor(stored: &TensorData) -> Result<Tensor> {
    let shape = match stored.dims.as_slice() {
        [1, rows, width] => vec![*rows, *width],
        other => other.to_vec(),
    };
    let count = shape.iter().product::<i64>() as usize;
    ensure!(
        stored.raw_data.len() == 4 * count,
        "{}: {} bytes for {count} values of 4 bytes",
        stored.name,
        stored.raw_data.len()
    );
    Ok(Tensor::f_from_data_size(&stored.raw_data, &shape, Kind::Float)?)
}
