//! Golden files: inputs with the outputs that libtorch computed, for ONNX Runtime to be held against.
//!
//! libtorch and ONNX Runtime are never in one process, so they meet in these files. Besides one file for each
//! shipped model there is a tiny graph for each kind of layer.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::defence::magnet::{self, MagnetConfig};
use crate::files;
use crate::nn::int8::Weights;
use crate::nn::onnx::{Onnx, floats};
use crate::nn::params::Params;
use crate::nn::proto::{self, ValueInfo};
use crate::nn::torch::Torch;
use crate::nn::{Backend, Classes, Conv, Deconv};

/// The content of a golden file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Largest absolute difference of a value that is still right; integers must be equal.
    pub tolerance: f32,
    /// Runs of the model.
    pub cases: Vec<Case>,
}

/// One run: tensors by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What goes in.
    pub inputs: BTreeMap<String, Array>,
    /// What must come out.
    pub outputs: BTreeMap<String, Array>,
}

/// A tensor in row-major order; integers are whole numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Array {
    /// Sizes of its dimensions.
    pub shape: Vec<i64>,
    /// All values.
    pub data: Vec<f32>,
}

impl From<&Tensor> for Array {
    fn from(tensor: &Tensor) -> Self {
        Self { shape: tensor.size(), data: floats(tensor) }
    }
}

impl Golden {
    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self)?;
        files::replace(path, (text + "\n").as_bytes())
    }
}

/// Every kind of layer, and the small networks of which no trained one is shipped, by the name of their golden files.
pub const LAYERS: [&str; 33] = [
    "add",
    "conv",
    "conv-int8",
    "conv-strided",
    "conv-dilated",
    "conv-even",
    "conv-even-dilated",
    "conv-padded-before",
    "deconv",
    "deconv-output-padding",
    "deconv-pixel",
    "deconv-same",
    "deconv-valid",
    "linear",
    "linear-int8",
    "class-rows",
    "softplus",
    "sigmoid",
    "quantise",
    "pixel-shuffle",
    "deconv-relu-deconv",
    "concat",
    "columns",
    "repeat-each",
    "mean-power",
    "root-mean",
    "relu",
    "select",
    "sub",
    "halve",
    "double",
    "magnet-grey",
    "magnet-colour-score",
];

/// Writes `folder/<layer>.onnx` and `folder/<layer>.golden.json` for every kind of layer.
///
/// # Errors
/// When a file cannot be written.
pub fn write_layers(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot create the folder", folder.display()))?;
    for name in LAYERS {
        let (onnx, golden) = layer_files(name);
        let path = folder.join(format!("{name}.onnx"));
        files::replace(&path, &onnx)?;
        golden.write(&folder.join(format!("{name}.golden.json")))?;
    }
    Ok(())
}

/// The graph of one layer and what libtorch computes with it, for a batch of one and one of three.
#[must_use]
pub fn layer_files(name: &str) -> (Vec<u8>, Golden) {
    let params = Params::new(7, Device::Cpu);
    let (kind, weights) = name.strip_suffix("-int8").map_or((name, Weights::F32), |kind| (kind, Weights::Int8));
    if weights == Weights::Int8 {
        let _ = tch::no_grad(|| layer(&mut Torch::eval(&params), kind, &input(kind, 1)));
        params.round_to_int8();
    }
    let cases = [1, 3].map(|n| {
        let x = input(kind, n);
        let y = tch::no_grad(|| layer(&mut Torch::eval(&params), kind, &x));
        let case = Case {
            inputs: BTreeMap::from([("x".into(), (&x).into())]),
            outputs: BTreeMap::from([("y".into(), (&y).into())]),
        };
        (case, x.size(), y)
    });
    let batch = |sizes: &[i64]| [&[-1], &sizes[1..]].concat();
    let mut onnx = Onnx::new(&params, weights);
    let y = layer(&mut onnx, kind, &"x".to_owned());
    let y_type = if cases[0].2.kind() == Kind::Int64 { proto::INT64 } else { proto::FLOAT };
    let bytes = onnx.finish(
        vec![ValueInfo::tensor("x", proto::FLOAT, &batch(&cases[0].1))],
        vec![(y, ValueInfo::tensor("y", y_type, &batch(&cases[0].2.size())))],
        Vec::new(),
    );
    (bytes, Golden { tolerance: 1e-5, cases: cases.into_iter().map(|case| case.0).collect() })
}

/// Smooth numbers in about ±1, no two the same.
fn input(name: &str, n: i64) -> Tensor {
    let sizes: &[i64] = match name {
        "linear" | "deconv-pixel" | "class-rows" | "columns" | "softplus" | "sigmoid" => &[6],
        "mean-power" | "root-mean" | "select" => &[4, 5],
        "pixel-shuffle" => &[8, 3, 3],
        "magnet-grey" => &[1, 8, 8],
        "magnet-colour-score" => &[3, 8, 8],
        _ => &[2, 8, 8],
    };
    let count = n * sizes.iter().product::<i64>();
    let values = (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.7).sin();
    values.reshape([&[n], sizes].concat())
}

fn layer<B: Backend>(b: &mut B, name: &str, x: &B::Value) -> B::Value {
    let deconv = Deconv { out: 3, kernel: 4, stride: 2, padding: 1, output_padding: 0 };
    match name {
        "conv" => b.conv(x, "l", Conv::new(3, 3)),
        "conv-strided" => b.conv(x, "l", Conv::new(3, 5).padding(2).stride(2)),
        "conv-dilated" => b.conv(x, "l", Conv::new(3, 3).dilation(2).same()),
        "conv-even" => b.conv(x, "l", Conv::new(3, 2).same()),
        "conv-even-dilated" => b.conv(x, "l", Conv::new(3, 2).dilation(2).same()),
        "conv-padded-before" => b.conv(x, "l", Conv { padding: [1, 0], ..Conv::new(3, 2) }),
        "deconv" => b.deconv(x, "l", deconv),
        "deconv-output-padding" => b.deconv(x, "l", Deconv { kernel: 5, padding: 2, output_padding: 1, ..deconv }),
        "deconv-same" => b.deconv(x, "l", Deconv { kernel: 3, stride: 1, ..deconv }),
        "deconv-valid" => b.deconv(x, "l", Deconv { kernel: 5, padding: 0, ..deconv }),
        "deconv-relu-deconv" => {
            let y = b.deconv(x, "l", deconv);
            let y = b.relu(&y);
            b.deconv(&y, "m", Deconv { out: 1, kernel: 3, stride: 1, padding: 1, output_padding: 0 })
        }
        "deconv-pixel" => b.deconv_pixel(x, "l", 3, 4),
        "linear" => b.linear(x, "l", 4),
        "class-rows" => {
            let table = b.class_rows("l", 5, 6, Classes::All); // [1, 5, 6]
            let x = b.reshape(x, &[-1, 1, 6]);
            let x = b.mul(&x, &table);
            b.reshape(&x, &[-1, 30])
        }
        "relu" => b.relu(x),
        "add" => {
            let y = b.relu(x);
            b.add(x, &y)
        }
        "sub" => {
            let y = b.relu(x);
            b.sub(x, &y)
        }
        "halve" => b.halve(x),
        "double" => b.double(x),
        "softplus" => b.softplus(x),
        "sigmoid" => b.sigmoid(x),
        "quantise" => b.quantise(x, 4),
        "pixel-shuffle" => b.pixel_shuffle(x, 2),
        "concat" => {
            let y = b.relu(x);
            b.concat(x, &y)
        }
        "columns" => b.columns(x, 2, 3),
        "repeat-each" => {
            let y = b.repeat_each(x, 3, [2, 8, 8]);
            b.reshape(&y, &[-1, 3, 128])
        }
        "mean-power" => b.mean_power(x, 1.5),
        "root-mean" => {
            let y = b.mul(x, x);
            b.root_mean(&y)
        }
        "select" => {
            let square = b.mul(x, x);
            let distances = b.root_mean(&square);
            let label = b.argmin(&distances);
            b.pick(x, &label)
        }
        "magnet-grey" => magnet::purify(b, &MagnetConfig::published(8, 1), x).0,
        "magnet-colour-score" => magnet::purify(b, &MagnetConfig::published(8, 3), x).1,
        other => unreachable!("no layer named {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_layer_files_are_what_this_code_writes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
        for name in LAYERS {
            let (onnx, golden) = layer_files(name);
            let path = folder.join(format!("{name}.onnx"));
            assert!(
                std::fs::read(&path).unwrap() == onnx,
                "{name}.onnx differs; write it again with `puvae-train golden-layers`"
            );
            let text = std::fs::read_to_string(folder.join(format!("{name}.golden.json"))).unwrap();
            let committed: Golden = serde_json::from_str(&text).unwrap();
            assert_eq!((golden.cases.len(), golden.tolerance), (committed.cases.len(), committed.tolerance), "{name}");
            for (new, old) in golden.cases.iter().zip(&committed.cases) {
                assert_eq!(new.inputs, old.inputs, "{name}");
                let (new, old) = (&new.outputs["y"], &old.outputs["y"]);
                assert_eq!(new.shape, old.shape, "{name}");
                let mut pairs = new.data.iter().zip(&old.data);
                assert!(pairs.all(|(new, old)| (new - old).abs() <= golden.tolerance), "{name}: {new:?}, {old:?}");
            }
        }
    }
}
