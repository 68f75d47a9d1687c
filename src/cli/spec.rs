//! `puvae spec`: writes a model spec into a classifier that was exported elsewhere.

mod advice;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use ndarray::{Array2, Array4};
use puvae::classifier::Classifier as _;
use puvae::config::check_files_differ;
use puvae::files::{MAX_MODEL_BYTES, read_at_most, read_text};
use puvae::model::ModelError;
use puvae::model::engine::{Engine, EngineOptions, Provider};
use puvae::model::file::ModelInfo;
use puvae::model::graph::Graph;
use puvae::model::metadata::with_spec;
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::spec::{InputShape, ModelSpec, Provenance, Role, SPEC_VERSION, SpecError};
use puvae::report::output::OutputFile;

use super::args::SpecArgs;

pub(super) fn run(args: &SpecArgs) -> anyhow::Result<ExitCode> {
    let names = Path::new(&args.classes);
    let mut inputs = vec![("the model", args.file.as_path())];
    inputs.extend(names.is_file().then_some(("--classes", names)));
    let options = EngineOptions { library: args.ort_lib.clone(), provider: Provider::Cpu, threads: None };
    inputs.extend(options.library_file());
    check_files_differ(&inputs, &[("--out", &args.out)])?;
    let out = OutputFile::reserve(&args.out, "--out")?;
    let classes = classes(&args.classes)?;
    let mut engine = Engine::start(&options)?;
    check_files_differ(&[("ONNX Runtime's library", engine.library())], &[("--out", &args.out)])?;
    // Read once: what is checked is what is written.
    let model = read_at_most(&args.file, MAX_MODEL_BYTES)
        .map_err(|source| ModelError::Read { path: args.file.clone(), source })?;
    let graph = Graph::from_bytes(&mut engine, &args.file, &model)?;
    if graph.spec_json().is_some() && !args.replace {
        bail!(
            "{}: there is a model spec in it already; look at it with `puvae inspect`, or give --replace",
            args.file.display()
        );
    }
    let spec = spec(args, &graph, classes)?;
    let info =
        ModelInfo::claimed(&graph, spec).map_err(|error| advice::on_graph(error, graph.inputs(), graph.outputs()))?;
    let spec = info.spec.clone();
    try_out(OnnxClassifier::claimed(graph, info)).map_err(advice::on_trial)?;
    let model = with_spec(&model, &spec)
        .ok_or_else(|| anyhow!("{}: not a whole ONNX file; export it again", args.file.display()))?;
    out.write(&model)?;
    tracing::info!("wrote {}; look at it with `puvae inspect`", args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// Names separated by commas, or a file with one on each line.
fn classes(given: &str) -> anyhow::Result<Vec<String>> {
    let path = Path::new(given);
    if !given.contains(',') || path.is_file() {
        let text = read_text(path).map_err(|error| {
            anyhow!("--classes {given}: cannot read the file: {error}; give names separated by commas, or a file with one on each line")
        })?;
        // Editors on Windows begin a text with this sign.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        return Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect());
    }
    let names: Vec<String> = given.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(at) = names.iter().position(String::is_empty) {
        bail!(
            "--classes {given}: name {} of {} is empty, expected one for each logit; fill it in",
            at + 1,
            names.len()
        );
    }
    Ok(names)
}

/// The spec, its picture's shape taken from the graph.
fn spec(args: &SpecArgs, graph: &Graph, classes: Vec<String>) -> anyhow::Result<ModelSpec> {
    let path = args.file.display();
    let inputs: Vec<String> = graph.inputs().iter().map(ToString::to_string).collect();
    let Some(frames) = graph.inputs().iter().find(|input| input.name == "frames") else {
        bail!(
            "{path}: expected an input `frames`, found {}; export it again with that name ({})",
            inputs.join(", "),
            advice::NAMES
        );
    };
    let &[_, Some(channels), Some(height), Some(width)] = frames.shape.as_slice() else {
        bail!(
            "{path}: expected an input frames f32 [N,C,H,W] with fixed C, H and W, found {frames}; export it again with only the batch free ({})",
            advice::FREE_BATCH
        );
    };
    let spec = ModelSpec {
        version: SPEC_VERSION,
        role: Role::Classifier,
        input: InputShape { channels, height, width },
        classes,
        purifier: None,
        provenance: Provenance {
            architecture: args.name.clone(),
            dataset: args.dataset.clone(),
            config: serde_json::json!({}),
            seed: 0,
            crate_version: env!("CARGO_PKG_VERSION").into(),
        },
    };
    check_names(args, graph, &spec.classes)?;
    // What is written is what can be read.
    ModelSpec::from_json(&spec.to_json()).map_err(|error| match error {
        SpecError::Contradiction(what) => {
            anyhow!("{path}: no usable spec comes out of this model and --classes: {what}; correct what is named")
        }
        error => anyhow!("{path}: no usable spec comes out of this model and --classes: {error}"),
    })
}

/// One name for each logit, where the graph says how many there are.
fn check_names(args: &SpecArgs, graph: &Graph, names: &[String]) -> anyhow::Result<()> {
    let logits = graph.outputs().iter().find(|output| output.name == "logits");
    let Some(&[_, Some(classes)]) = logits.map(|logits| logits.shape.as_slice()) else { return Ok(()) };
    if classes != names.len() {
        let (path, got) = (args.file.display(), names.len());
        bail!(
            "{path}: the model has {classes} logits, --classes has {got} names; give {classes} names, in the order of the logits"
        );
    }
    Ok(())
}

/// Classifies two black pictures: the outputs must be there and finite.
fn try_out(mut classifier: OnnxClassifier) -> Result<(), ModelError> {
    let InputShape { channels, height, width } = classifier.input();
    let frames = Array4::zeros((2, channels, height, width));
    let mut logits = Array2::zeros((2, classifier.classes().len()));
    classifier.classify(frames.view(), &mut logits)
}
