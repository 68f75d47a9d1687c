//! From a run to a file that the runtime loads: the graph, the spec inside it, the golden file beside it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use puvae::model::spec::{
    Distance, InputShape, METADATA_KEY, ModelSpec, Provenance, PurifierSpec, Role, SPEC_VERSION, Score, Selection,
    SuspectThreshold,
};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::attack::Victim;
use crate::checkpoint::Header;
use crate::classifier::Classifier;
use crate::data::DataSet;
use crate::defence::magnet::Magnet;
use crate::defence::{self, ACCEPTED_QUANTILE, Cleaned, Defence};
use crate::files;
use crate::golden::{Case, Golden};
use crate::nn::int8::Weights;
use crate::nn::onnx::Onnx;
use crate::nn::params::Params;
use crate::nn::proto::{FLOAT, INT64, ValueInfo};
use crate::progress;
use crate::puvae::{Form, Input, Puvae, PuvaeConfig, Size};
use crate::runs::{Trained, same_data};

/// Images in a golden file.
const GOLDEN_IMAGES: usize = 4;
/// Largest difference between the two engines that is still right.
const GOLDEN_TOLERANCE: f32 = 1e-4;

/// Writes `path` and its golden file for a classifier. Weights in eight bits are rounded in `trained` too, and what that does to the
/// accuracy on held-out images is printed.
///
/// # Errors
/// When the run is of other data, when there are no held-out images to look at the rounding with, or a file cannot be written.
pub fn classifier(trained: &Trained<Classifier>, set: &DataSet, weights: Weights, path: &Path) -> Result<()> {
    same_data(set, &trained.header)?;
    let network = &trained.network;
    if weights == Weights::Int8 {
        let before = network.accuracy(&set.held_out)?;
        network.params.round_to_int8();
        let after = network.accuracy(&set.held_out)?;
        println!(
            "accuracy on {} held-out images: {:.2} %, in eight bits {:.2} %",
            set.held_out.len(),
            before * 100.0,
            after * 100.0
        );
    }
    let config = &network.config;
    let (side, k) = (config.side_px, config.classes);
    let mut onnx = Onnx::new(&network.params, weights);
    let logits = config.architecture.logits(&mut onnx, &"frames".to_owned(), side, k);
    let mut spec = spec(&trained.header, config.architecture.name(), set, None)?;
    if weights == Weights::Int8 {
        spec.provenance.config["network"]["weights"] = serde_json::to_value(weights)?;
    }
    let bytes = onnx.finish(
        vec![ValueInfo::tensor("frames", FLOAT, &[-1, config.channels, side, side])],
        vec![(logits, ValueInfo::tensor("logits", FLOAT, &[-1, k]))],
        vec![(METADATA_KEY.into(), spec.to_json())],
    );
    let frames = set.held_out.first(GOLDEN_IMAGES).all().x;
    let logits = tch::no_grad(|| network.logits(&frames));
    write(path, &bytes, case([("frames", &frames)], [("logits", &logits)]))
}

/// Writes `path` and its golden file for a purifier; the threshold for suspects is calibrated here.
///
/// # Errors
/// When the run is of other data, or a file cannot be written.
pub fn puvae(trained: &Trained<Puvae>, set: &DataSet, form: Form, path: &Path) -> Result<()> {
    same_data(set, &trained.header)?;
    let network = &trained.network;
    let config = &network.config;
    let purifier = puvae_spec(config, Some(calibrate(network, set)));
    let spec = spec(&trained.header, &config.name(), set, Some(purifier))?;
    let golden = puvae_golden(network, &set.held_out.first(GOLDEN_IMAGES).all().x);
    write(path, &puvae_graph(network, form, &spec), golden)
}

fn puvae_golden(network: &Puvae, frames: &Tensor) -> Golden {
    tch::manual_seed(1);
    let noise = network.draw_noise(frames.size()[0]);
    let purified = tch::no_grad(|| network.purify(frames, &noise));
    case(
        [("frames", frames), ("noise", &noise)],
        [
            ("purified", &purified.frames),
            ("label", &purified.label),
            ("distances", &purified.distances),
            ("score", &purified.score),
        ],
    )
}

/// Writes `path` and its golden file for a MagNet, a purifier that selects no class; the threshold for suspects is
/// calibrated here.
///
/// # Errors
/// When the run is of other data, or a file cannot be written.
pub fn magnet(trained: &Trained<Magnet>, set: &DataSet, path: &Path) -> Result<()> {
    same_data(set, &trained.header)?;
    let network = &trained.network;
    let config = &network.config;
    let picture = [-1, config.channels, config.side_px, config.side_px];
    let purifier = PurifierSpec {
        selection: None,
        score: Some(Score::MeanPowerToInput { exponent: config.exponent }),
        suspect_above: Some(calibrate(network, set)),
    };
    let spec = spec(&trained.header, &network.name(), set, Some(purifier))?;
    let mut onnx = Onnx::new(&network.params, Weights::F32);
    let (purified, score) = defence::magnet::purify(&mut onnx, config, &"frames".to_owned());
    let bytes = onnx.finish(
        vec![ValueInfo::tensor("frames", FLOAT, &picture)],
        vec![
            (purified, ValueInfo::tensor("purified", FLOAT, &picture)),
            (score, ValueInfo::tensor("score", FLOAT, &[-1])),
        ],
        vec![(METADATA_KEY.into(), spec.to_json())],
    );
    let frames = set.held_out.first(GOLDEN_IMAGES).all().x;
    let Cleaned { frames: purified, score, .. } = tch::no_grad(|| network.purify(&frames));
    let score = score.expect("a MagNet has a detector");
    write(path, &bytes, case([("frames", &frames)], [("purified", &purified), ("score", &score)]))
}

/// Writes an untrained purifier for ten classes, to measure speed with; the shape is `(channels, side)`.
///
/// # Errors
/// When there are no layers for that shape, or the file cannot be written.
pub fn untrained(size: Size, (channels, side): (i64, i64), form: Form, path: &Path) -> Result<()> {
    let config = PuvaeConfig::preset(size, side, channels, 10);
    config.check()?;
    let network = Puvae::new(config, Params::new(1, Device::Cpu));
    let spec = ModelSpec {
        version: SPEC_VERSION,
        role: Role::Purifier,
        input: InputShape { channels: channels as usize, height: side as usize, width: side as usize },
        classes: (0..10).map(|class| class.to_string()).collect(),
        purifier: Some(puvae_spec(&network.config, None)),
        provenance: Provenance {
            architecture: format!("{}-untrained", network.config.name()),
            dataset: "none".into(),
            config: serde_json::to_value(&network.config)?,
            seed: 1,
            crate_version: env!("CARGO_PKG_VERSION").into(),
        },
    };
    let ramp = Tensor::arange(2 * channels * side * side, (Kind::Float, Device::Cpu)) * 0.1;
    let frames = ramp.sin().abs().reshape([2, channels, side, side]);
    write(path, &puvae_graph(&network, form, &spec), puvae_golden(&network, &frames))
}

fn puvae_spec(config: &PuvaeConfig, suspect_above: Option<SuspectThreshold>) -> PurifierSpec {
    let selection = Selection {
        latent: config.latent as usize,
        sigma_eps: config.sigma_eps as f32,
        distance: match config.reference {
            Input::Frame => Distance::RmseToInput,
            Input::Denoised => Distance::RmseToDenoised,
        },
    };
    PurifierSpec { selection: Some(selection), score: Some(Score::RmseToInput), suspect_above }
}

/// The graph of a PuVAE (the contract between training and runtime), with its spec inside.
#[must_use]
pub fn puvae_graph(network: &Puvae, form: Form, spec: &ModelSpec) -> Vec<u8> {
    let config = &network.config;
    let (side, k) = (config.side_px, config.classes);
    let mut onnx = Onnx::new(&network.params, Weights::F32);
    let (frames, noise) = ("frames".to_owned(), "noise".to_owned());
    let purified = crate::puvae::purify(&mut onnx, config, &frames, &noise, form);
    onnx.finish(
        vec![
            ValueInfo::tensor("frames", FLOAT, &[-1, config.channels, side, side]),
            ValueInfo::tensor("noise", FLOAT, &[-1, k, config.latent]),
        ],
        vec![
            (purified.frames, ValueInfo::tensor("purified", FLOAT, &[-1, config.channels, side, side])),
            (purified.label, ValueInfo::tensor("label", INT64, &[-1])),
            (purified.distances, ValueInfo::tensor("distances", FLOAT, &[-1, k])),
            (purified.score, ValueInfo::tensor("score", FLOAT, &[-1])),
        ],
        vec![(METADATA_KEY.into(), spec.to_json())],
    )
}

fn calibrate(defence: &dyn Defence, set: &DataSet) -> SuspectThreshold {
    let bar = progress::bar("calibrate", set.held_out.len());
    let threshold = defence::threshold(defence, &set.held_out, 1, &bar).expect("what is exported has a detector");
    SuspectThreshold {
        threshold: threshold as f32,
        quantile: ACCEPTED_QUANTILE,
        calibrated_on: format!("{} held-out {}", set.name, set.held_out.len()),
    }
}

/// What the runtime will read in the file, checked as it will check it.
fn spec(header: &Header, architecture: &str, set: &DataSet, purifier: Option<PurifierSpec>) -> Result<ModelSpec> {
    let side = set.side_px as usize;
    let spec = ModelSpec {
        version: SPEC_VERSION,
        role: if purifier.is_some() { Role::Purifier } else { Role::Classifier },
        input: InputShape { channels: set.channels as usize, height: side, width: side },
        classes: set.classes.clone(),
        purifier,
        provenance: Provenance {
            architecture: architecture.into(),
            dataset: set.name.clone(),
            config: with_progress(header),
            seed: header.seed,
            crate_version: env!("CARGO_PKG_VERSION").into(),
        },
    };
    ModelSpec::from_json(&spec.to_json()).context("the runtime would refuse the file")
}

/// The configuration with how far the run got, and with which images were held out where that was told.
fn with_progress(header: &Header) -> Value {
    let mut config = header.config.clone();
    config["epochs_done"] = header.epoch.into();
    if !header.held_out_sha256.is_empty() {
        config["held_out_sha256"] = header.held_out_sha256.clone().into();
    }
    config
}

fn case<const I: usize, const O: usize>(inputs: [(&str, &Tensor); I], outputs: [(&str, &Tensor); O]) -> Golden {
    let named = |tensors: &[(&str, &Tensor)]| -> BTreeMap<_, _> {
        tensors.iter().map(|&(name, tensor)| (name.to_owned(), tensor.into())).collect()
    };
    Golden { tolerance: GOLDEN_TOLERANCE, cases: vec![Case { inputs: named(&inputs), outputs: named(&outputs) }] }
}

fn write(path: &Path, bytes: &[u8], golden: Golden) -> Result<()> {
    files::replace(path, bytes)?;
    golden.write(&path.with_extension("golden.json"))?;
    println!("{}: {:.1} MB", path.display(), bytes.len() as f64 / 1e6);
    Ok(())
}
