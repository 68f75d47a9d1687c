//! Shipped files read back as networks: they compute what their golden files say.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::path::{Path, PathBuf};

use puvae_training::attack::Victim as _;
use puvae_training::golden::{Array, Golden};
use puvae_training::runs::{load_classifier, load_puvae};
use tch::{Device, Tensor};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn golden(name: &str) -> Golden {
    serde_json::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

fn tensor(array: &Array) -> Tensor {
    let shape = array.shape.as_slice();
    Tensor::from_slice(&array.data).reshape(shape)
}

#[test]
fn a_shipped_classifier_read_back_gives_its_golden_logits() {
    let trained = load_classifier(&file("models/fashion-mnist-classifier-a.onnx"), Device::Cpu).unwrap();
    assert_eq!((trained.header.dataset.as_str(), trained.header.seed), ("fashion-mnist", 2));
    for case in golden("models/fashion-mnist-classifier-a.golden.json").cases {
        let logits = tch::no_grad(|| trained.network.logits(&tensor(&case.inputs["frames"])));
        assert!(logits.allclose(&tensor(&case.outputs["logits"]), 1e-4, 1e-4, false));
    }
}

#[test]
fn a_shipped_purifier_read_back_gives_its_golden_pictures() {
    for data in ["mnist", "fashion-mnist"] {
        let trained = load_puvae(&file(&format!("models/{data}-puvae-lite.onnx")), Device::Cpu).unwrap();
        for case in golden(&format!("models/{data}-puvae-lite.golden.json")).cases {
            let (frames, noise) = (tensor(&case.inputs["frames"]), tensor(&case.inputs["noise"]));
            let purified = tch::no_grad(|| trained.network.purify(&frames, &noise));
            assert!(purified.frames.allclose(&tensor(&case.outputs["purified"]), 1e-4, 1e-4, false));
            assert!(purified.distances.allclose(&tensor(&case.outputs["distances"]), 1e-4, 1e-4, false));
        }
    }
}

#[test]
fn what_was_not_exported_here_is_refused_by_name() {
    let refused = |path: &Path| format!("{:#}", load_classifier(path, Device::Cpu).unwrap_err());
    let error = refused(&file("tests/golden/conv.onnx"));
    assert!(
        error.contains("conv.onnx: no puvae.model_spec in it; expected a file that `puvae-train export` wrote"),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    std::fs::write(&path, "no model").unwrap();
    assert!(refused(&path).contains("x.onnx: not an ONNX file"), "{}", refused(&path));
    let error = refused(&file("models/mnist-puvae-lite.onnx"));
    assert!(error.contains("a checkpoint of a puvae, expected one of a classifier"), "{error}");
}
