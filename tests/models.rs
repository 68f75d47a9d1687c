//! Every shipped model, and every kind of layer, in ONNX Runtime against what training's engine computed.
//!
//! Beside `X.onnx` lies `X.golden.json`: inputs, the outputs they gave there, and how far these may differ.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ndarray::{Array4, ArrayD, IxDyn};
use puvae::config::{Config, EXAMPLE, PurifierChoice};
use puvae::frame::FrameId;
use puvae::model::engine::{Engine, EngineOptions, Provider};
use puvae::model::file::ModelInfo;
use puvae::model::graph::{Graph, Outputs};
use puvae::model::hash::FileHash;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::purifier::Purifier as _;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// Largest difference of a value, relative to values above 1.
    tolerance: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    inputs: BTreeMap<String, Tensor>,
    outputs: BTreeMap<String, Tensor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

/// The most that a golden file may allow.
const LOOSEST: f64 = 1e-4;
/// What a shipped model may weigh.
const MOST_BYTES: u64 = 15_000_000;
/// All files in `models/` together.
const MOST_BYTES_OF_ALL: u64 = 80_000_000;

/// The ONNX files in a folder of the repository, by name.
fn models_in(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    assert!(!files.is_empty(), "{}: no ONNX files", folder.display());
    files
}

fn engine() -> Engine {
    let options = EngineOptions { provider: Provider::Cpu, ..EngineOptions::default() };
    Engine::start(&options).unwrap_or_else(|error| panic!("{error}"))
}

fn check_golden(graph: &mut Graph) {
    let path = graph.path().with_extension("golden.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let golden: Golden = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!golden.cases.is_empty(), "{}: no cases", path.display());
    assert!(golden.tolerance <= LOOSEST, "{}: a tolerance of {}", path.display(), golden.tolerance);
    let declared: BTreeSet<String> = graph.outputs().iter().map(|output| output.name.clone()).collect();
    for case in &golden.cases {
        let array = |tensor: &Tensor| {
            let values = tensor.data.iter().map(|&value| value as f32).collect();
            ArrayD::from_shape_vec(IxDyn(&tensor.shape), values).unwrap()
        };
        let inputs: Vec<(&str, ArrayD<f32>)> =
            case.inputs.iter().map(|(name, input)| (name.as_str(), array(input))).collect();
        let inputs: Vec<_> = inputs.iter().map(|(name, array)| (*name, array.view())).collect();
        let outputs = graph.run(&inputs).unwrap_or_else(|error| panic!("{error}"));
        assert!(case.outputs.keys().eq(&declared), "{}: outputs other than {declared:?}", path.display());
        for (name, expected) in &case.outputs {
            compare(&outputs, name, expected, golden.tolerance, &path);
        }
    }
}

/// Whole numbers (labels) must be equal; others may differ by the tolerance.
fn compare(outputs: &Outputs<'_>, name: &str, expected: &Tensor, tolerance: f64, path: &Path) {
    let (shape, got, tolerance): (_, Vec<f64>, _) = match outputs.i64(name) {
        Ok((shape, values)) => (shape, values.iter().map(|&value| value as f64).collect(), 0.0),
        Err(_) => {
            let (shape, values) = outputs.f32(name).unwrap_or_else(|error| panic!("{error}"));
            (shape, values.iter().copied().map(f64::from).collect(), tolerance)
        }
    };
    assert_eq!(shape, expected.shape, "{}: shape of `{name}`", path.display());
    assert_eq!(got.len(), expected.data.len(), "{}: values of `{name}`", path.display());
    for (index, (got, expected)) in got.iter().zip(&expected.data).enumerate() {
        let allowed = tolerance * expected.abs().max(1.0);
        // Written so that NaN fails.
        let close = (got - expected).abs() <= allowed;
        assert!(close, "{}: `{name}` [{index}] is {got}, expected {expected} within {allowed}", path.display());
    }
}

#[test]
fn every_kind_of_layer_computes_what_it_computed_in_training() {
    let mut engine = engine();
    for file in models_in("tests/golden") {
        let mut graph = Graph::open(&mut engine, &file).unwrap_or_else(|error| panic!("{error}"));
        check_golden(&mut graph);
    }
}

#[test]
fn every_shipped_model_is_what_it_says_and_computes_what_it_computed_in_training() {
    let mut engine = engine();
    for file in models_in("models") {
        let mut graph = Graph::open(&mut engine, &file).unwrap_or_else(|error| panic!("{error}"));
        ModelInfo::of_any_role(&graph).unwrap_or_else(|error| panic!("{error}"));
        check_golden(&mut graph);
    }
}

#[test]
fn an_output_of_another_shape_than_the_callers_array_is_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mnist-classifier-a.onnx");
    let mut graph = Graph::open(&mut engine(), &path).unwrap();
    let outputs = graph.run(&[("frames", ArrayD::zeros(IxDyn(&[1, 1, 28, 28])).view())]).unwrap();
    let refusal = outputs.copy_f32("logits", ArrayD::zeros(IxDyn(&[1, 3])).view_mut()).unwrap_err().to_string();
    let words =
        "mnist-classifier-a.onnx: `logits` has shape [1, 10], expected [1, 3]; make room for one result a picture";
    assert!(refusal.contains(words) && !refusal.contains("puvae-train"), "{refusal}");
}

#[test]
fn the_shipped_models_are_complete_and_small() {
    let grey = ["classifier-a", "classifier-b", "puvae-lite", "puvae-lite-for-b", "magnet"].as_slice();
    let colour = ["classifier-c", "puvae-lite", "magnet"].as_slice();
    for (data, names) in [("fashion-mnist", grey), ("mnist", grey), ("cifar10", colour)] {
        for name in names {
            let file = |ending: &str| format!("{}/models/{data}-{name}.{ending}", env!("CARGO_MANIFEST_DIR"));
            let bytes = |ending: &str| std::fs::metadata(file(ending)).map(|metadata| metadata.len());
            for ending in ["onnx", "golden.json"] {
                assert!(bytes(ending).is_ok_and(|bytes| bytes > 0), "{} is missing or empty", file(ending));
            }
            assert!(bytes("onnx").unwrap() < MOST_BYTES, "{} is too large to be shipped", file("onnx"));
        }
    }
    let all = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).unwrap();
    let total: u64 = all.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(total <= MOST_BYTES_OF_ALL, "models/ has {total} bytes");
}

#[test]
fn a_purifier_wants_a_number_for_each_picture() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mnist-puvae-lite.onnx");
    let mut purifier = OnnxPurifier::open(&mut engine(), &path, 0).unwrap();
    let frames = Array4::zeros((2, 1, 28, 28));
    let mut room = purifier.room(2);
    let error = purifier.purify(&[FrameId(0)], frames.view(), &mut room).unwrap_err().to_string();
    assert!(
        error.ends_with(".onnx: got the numbers of 1 frames with 2 pictures; give one for each picture"),
        "{error}"
    );
}

#[test]
fn the_example_configuration_pins_the_shipped_models() {
    let settings = EXAMPLE.parse::<Config>().unwrap().check().unwrap();
    let PurifierChoice::File(purifier) = settings.purifier else { panic!("the example has a purifier") };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, hash) in [(purifier, settings.purifier_sha256), (settings.classifier, settings.classifier_sha256)] {
        let bytes = std::fs::read(root.join(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(hash, Some(FileHash::of(&bytes)), "{} in examples/run.toml", file.display());
    }
}
