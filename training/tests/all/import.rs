//! Shipped files read back as networks: they compute what their golden files say.

use std::path::{Path, PathBuf};

use prost::Message as _;
use puvae_training::attack::Victim as _;
use puvae_training::checkpoint::Header;
use puvae_training::classifier::{Architecture, Classifier, ClassifierConfig};
use puvae_training::data::{DataSet, Split};
use puvae_training::defence::Defence as _;
use puvae_training::defence::magnet::{Magnet, MagnetConfig};
use puvae_training::export;
use puvae_training::fit::Schedule;
use puvae_training::golden::{Array, Golden};
use puvae_training::nn::int8::Weights;
use puvae_training::nn::params::Params;
use puvae_training::nn::proto::{Model, TensorData};
use puvae_training::runs::{Stored, Trained, load_classifier, load_puvae};
use tch::{Device, Kind, Tensor};

use crate::common::my_turn;

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
    let _turn = my_turn();
    let trained = load_classifier(&file("models/fashion-mnist-classifier-a.onnx"), Device::Cpu).unwrap();
    assert_eq!((trained.header.dataset.as_str(), trained.header.seed), ("fashion-mnist", 2));
    for case in golden("models/fashion-mnist-classifier-a.golden.json").cases {
        let logits = tch::no_grad(|| trained.network.logits(&tensor(&case.inputs["frames"])));
        assert!(logits.allclose(&tensor(&case.outputs["logits"]), 1e-4, 1e-4, false));
    }
}

#[test]
fn a_shipped_purifier_read_back_gives_its_golden_pictures() {
    let _turn = my_turn();
    for name in ["mnist-puvae-lite", "fashion-mnist-puvae-lite", "cifar10-puvae-lite"] {
        let trained = load_puvae(&file(&format!("models/{name}.onnx")), Device::Cpu).unwrap();
        for case in golden(&format!("models/{name}.golden.json")).cases {
            let (frames, noise) = (tensor(&case.inputs["frames"]), tensor(&case.inputs["noise"]));
            let purified = tch::no_grad(|| trained.network.purify(&frames, &noise));
            assert_eq!(purified.label.to_kind(Kind::Float), tensor(&case.outputs["label"]), "{name}");
            assert!(purified.frames.allclose(&tensor(&case.outputs["purified"]), 1e-4, 1e-4, false));
            assert!(purified.score.allclose(&tensor(&case.outputs["score"]), 1e-4, 1e-4, false));
            assert!(purified.distances.allclose(&tensor(&case.outputs["distances"]), 1e-4, 1e-4, false));
        }
    }
}

/// A data set of eight pictures with nothing on them but ramps.
fn ramps(side_px: i64, channels: i64) -> DataSet {
    let split = || {
        let ramp = Tensor::arange(8 * channels * side_px * side_px, (Kind::Float, Device::Cpu));
        let images = ramp.remainder(256).to_kind(Kind::Uint8).reshape([8, channels, side_px, side_px]);
        Split::new(images, Tensor::zeros([8], (Kind::Int64, Device::Cpu)))
    };
    DataSet {
        name: "ramps".into(),
        classes: ["a", "b"].map(String::from).into(),
        channels,
        side_px,
        train: split(),
        held_out: split(),
        test: split(),
    }
}

fn header(kind: &str, network: &impl serde::Serialize) -> Header {
    Header {
        kind: kind.into(),
        dataset: "ramps".into(),
        config: serde_json::json!({ "network": network, "schedule": Schedule { epochs: 1, batch: 128, rate: 1e-3 } }),
        seed: 5,
        epochs: 1,
        epoch: 1,
        ..Header::default()
    }
}

#[test]
fn a_magnet_is_exported_as_a_reformer_and_read_back_the_same() {
    let _turn = my_turn();
    for (side, channels) in [(28, 1), (32, 3)] {
        let network = Magnet::new(MagnetConfig::published(side, channels), Params::new(5, Device::Cpu));
        let header = header("magnet", &network.config);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        export::magnet(&Trained { network, header }, &ramps(side, channels), &path).unwrap();
        let trained = Stored::read(&path).unwrap().magnet(Device::Cpu).unwrap();
        assert_eq!(trained.header.kind, "magnet");
        let golden = std::fs::read_to_string(folder.path().join("m.golden.json")).unwrap();
        let golden: Golden = serde_json::from_str(&golden).unwrap();
        let case = &golden.cases[0];
        assert_eq!((case.inputs.len(), case.outputs.len()), (1, 2), "frames in; purified and score out");
        let cleaned = tch::no_grad(|| trained.network.purify(&tensor(&case.inputs["frames"])));
        assert!(cleaned.frames.allclose(&tensor(&case.outputs["purified"]), 1e-5, 1e-6, false));
        assert!(cleaned.score.unwrap().allclose(&tensor(&case.outputs["score"]), 1e-5, 1e-6, false));
    }
}

#[test]
fn a_classifier_in_eight_bits_is_a_quarter_of_the_size_and_read_back_as_it_was_rounded() {
    let _turn = my_turn();
    let config = ClassifierConfig::new(Architecture::A, 28, 1, 2);
    let trained = || {
        let network = Classifier::new(config.clone(), Params::new(5, Device::Cpu));
        for bias in network.params.all().values().filter(|tensor| tensor.dim() == 1) {
            let _ = tch::no_grad(|| bias.shallow_clone().fill_(0.123));
        }
        Trained { network, header: header("classifier", &config) }
    };
    let set = ramps(28, 1);
    let folder = tempfile::tempdir().unwrap();
    let [whole, small] = ["whole.onnx", "small.onnx"].map(|name| folder.path().join(name));
    export::classifier(&trained(), &set, Weights::F32, &whole).unwrap();
    let rounded = trained();
    export::classifier(&rounded, &set, Weights::Int8, &small).unwrap();
    let [whole, bytes] = [&whole, &small].map(|path| std::fs::metadata(path).unwrap().len());
    assert!(bytes * 39 / 10 < whole, "{bytes} of {whole} bytes");
    let read = load_classifier(&small, Device::Cpu).unwrap();
    assert_eq!(read.network.config, ClassifierConfig { weights: Weights::Int8, ..config });
    for (name, weight) in read.network.params.all() {
        assert!(weight.allclose(&rounded.network.params.all()[&name], 1e-6, 0.0, false), "{name}");
        let before = &trained().network.params.all()[&name];
        assert_eq!(weight.allclose(before, 1e-6, 0.0, false), name.ends_with("bias"), "{name} was rounded");
    }
    let golden = std::fs::read_to_string(small.with_extension("golden.json")).unwrap();
    let case = &serde_json::from_str::<Golden>(&golden).unwrap().cases[0];
    let logits = tch::no_grad(|| read.network.logits(&tensor(&case.inputs["frames"])));
    assert!(logits.allclose(&tensor(&case.outputs["logits"]), 1e-5, 1e-5, false));

    let bytes = std::fs::read(&small).unwrap();
    let refused = |change: fn(&mut Vec<TensorData>)| {
        let mut model = Model::decode(bytes.as_slice()).unwrap();
        change(&mut model.graph.as_mut().unwrap().initializer);
        std::fs::write(&small, model.encode_to_vec()).unwrap();
        format!("{:#}", load_classifier(&small, Device::Cpu).unwrap_err())
    };
    let error = refused(|stored| stored.retain(|tensor| tensor.name != "fc1.weight.steps"));
    assert!(
        error.contains("small.onnx: a broken initializer: fc1.weight: in eight bits, but without its steps"),
        "{error}"
    );
    let error = refused(|stored| {
        let steps = stored.iter_mut().find(|tensor| tensor.name == "fc2.weight.steps").unwrap();
        steps.dims.reverse();
    });
    assert!(
        error
            .contains("fc2.weight: in eight bits, its shape is [2, 128] and that of its steps [1, 2], expected [2, 1]"),
        "{error}"
    );
}

#[test]
fn what_was_not_exported_here_is_refused_by_name() {
    let _turn = my_turn();
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
    let reformer = std::fs::read(file("models/mnist-magnet.onnx")).unwrap();
    let (from, to) = (b"\"architecture\":\"magnet\"", b"\"architecture\":\"mirror\"");
    let at = reformer.windows(from.len()).position(|window| window == from).unwrap();
    std::fs::write(&path, [&reformer[..at], to, &reformer[at + to.len()..]].concat()).unwrap();
    assert!(refused(&path).contains("a purifier of the architecture mirror, expected a PuVAE or magnet"));
    let error = refused(&file("models/mnist-puvae-lite.onnx"));
    assert!(error.contains("a checkpoint of a puvae, expected one of a classifier"), "{error}");
}
