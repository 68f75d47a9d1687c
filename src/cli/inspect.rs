//! `puvae inspect`: what an ONNX file says of itself, and whether that is so.

use std::fmt::Write as _;
use std::process::ExitCode;

use puvae::model::engine::{Engine, EngineOptions, Provider};
use puvae::model::file::ModelInfo;
use puvae::model::graph::{Graph, TensorInfo};
use puvae::model::spec::{Distance, ModelSpec, PurifierSpec, Score, Selection};

use super::args::InspectArgs;
use super::print;

pub(super) fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let options = EngineOptions { library: args.ort_lib.clone(), provider: Provider::Cpu, threads: None };
    let mut engine = Engine::start(&options)?;
    let graph = Graph::open(&mut engine, &args.file)?;
    print(&describe_file(&graph))?;
    // After what can be said anyway: a file that is refused is inspected to find out why.
    let info = ModelInfo::of_any_role(&graph)?;
    print(&describe_spec(&info.spec))?;
    print("checks      the graph is what the spec says\n")?;
    Ok(ExitCode::SUCCESS)
}

fn describe_file(graph: &Graph) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name:<12}{value}").expect("a string takes all text");
    line("file", graph.path().display().to_string());
    line("sha256", graph.sha256().to_string());
    line("size", format!("{} bytes", graph.bytes()));
    line("inputs", list(graph.inputs()));
    line("outputs", list(graph.outputs()));
    text
}

fn list(tensors: &[TensorInfo]) -> String {
    let lines: Vec<String> = tensors.iter().map(ToString::to_string).collect();
    lines.join("\n            ")
}

fn describe_score(purifier: &PurifierSpec) -> String {
    match (purifier.score, &purifier.selection) {
        (Some(Score::RmseToInput), _) => "root-mean-square error of the purified picture to the input".into(),
        (Some(Score::MeanPowerToInput { exponent }), _) => format!("mean of |input − purified|^{exponent}"),
        (None, Some(_)) => "none of its own: the selected candidate's distance".into(),
        (None, None) => "none".into(),
    }
}

fn describe_spec(spec: &ModelSpec) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name:<12}{value}").expect("a string takes all text");
    line("role", spec.role.to_string());
    line("picture", format!("{} (channels×height×width), values 0 to 1", spec.input));
    line("classes", format!("{}: {}", spec.classes.len(), spec.classes.join(", ")));
    if let Some(purifier) = &spec.purifier {
        match &purifier.selection {
            Some(Selection { latent, sigma_eps, distance }) => {
                let distance = match distance {
                    Distance::RmseToInput => "root-mean-square error to the input",
                    Distance::RmseToDenoised => "root-mean-square error to the denoised input",
                };
                line("latent", format!("{latent} dimensions, noise of standard deviation {sigma_eps}"));
                line("distance", distance.into());
            }
            None => line("selection", "none: it gives a picture and no class".into()),
        }
        line("score", describe_score(purifier));
        line(
            "suspect",
            match &purifier.suspect_above {
                Some(above) => {
                    format!("above {} (quantile {} of {})", above.threshold, above.quantile, above.calibrated_on)
                }
                None => "not calibrated".into(),
            },
        );
    }
    let from = &spec.provenance;
    line(
        "provenance",
        format!("{} on {}, seed {}, puvae {}", from.architecture, from.dataset, from.seed, from.crate_version),
    );
    line("config", from.config.to_string());
    text
}
