//! Writes tiny ONNX files that ONNX Runtime really runs: the messages of `onnx.proto`, as far as needed.
//!
//! The classifier's logit k is ten times pixel k, so a picture with pixel k lit is of class k. The
//! purifier darkens a picture a little; its distances are made of the noise alone, so they show its seed, and its
//! score, if it has one, is the picture's brightest pixel.

use std::path::{Path, PathBuf};

use prost::Message;
use puvae::model::spec::{
    Distance, InputShape, METADATA_KEY, ModelSpec, Provenance, PurifierSpec, Role, SPEC_VERSION, Score, Selection,
    SuspectThreshold,
};

const FLOAT: i32 = 1;
const INT64: i32 = 7;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<Opset>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
    /// 1: in another file.
    #[prost(int32, optional, tag = "14")]
    data_location: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    dim_param: Option<String>,
}

/// A model to write; change a field to break it.
#[derive(Clone)]
pub(crate) struct TestModel {
    /// What the spec says.
    pub(crate) spec: ModelSpec,
    /// What the graph is built for.
    pub(crate) graph: ModelSpec,
    /// Whether the spec goes into the file.
    pub(crate) with_spec: bool,
    /// Purified values and logits above this become NaN.
    pub(crate) nan_above: f32,
    /// Scores above this become NaN.
    pub(crate) score_nan_above: f32,
    /// Sides of the score after the batch; none if all is well.
    pub(crate) score_sides: &'static [usize],
    /// An output that the graph lacks.
    pub(crate) without: Option<&'static str>,
    /// A batch of this size instead of a free one.
    pub(crate) batch: Option<i64>,
    /// Puts the values of the first initializer into a file of this name.
    pub(crate) weights_in: Option<&'static str>,
}

pub(crate) const SHAPE: InputShape = InputShape { channels: 1, height: 4, width: 4 };
const LATENT: usize = 3;
/// For [`TestModel::nan_above`]: every output, and none.
pub(crate) const ALWAYS: f32 = -1e6;
const NEVER: f32 = 1e6;

impl TestModel {
    pub(crate) fn classifier() -> Self {
        Self::of(Role::Classifier, None)
    }

    /// Selects a class and says how far it is; suspects what is further than 0.05.
    pub(crate) fn purifier() -> Self {
        let selection = Some(Selection { latent: LATENT, sigma_eps: 0.1, distance: Distance::RmseToInput });
        Self::of(Role::Purifier, Some(PurifierSpec { selection, score: None, suspect_above: suspect_above(0.05) }))
    }

    /// Selects no class; suspects pictures with a pixel above one half.
    pub(crate) fn reformer() -> Self {
        let (selection, score) = (None, Some(Score::MeanPowerToInput { exponent: 1.0 }));
        Self::of(Role::Purifier, Some(PurifierSpec { selection, score, suspect_above: suspect_above(0.5) }))
    }

    /// What the graph selects, if it is built to select anything.
    pub(crate) fn graph_selection(&mut self) -> &mut Option<Selection> {
        &mut self.graph.purifier.as_mut().unwrap().selection
    }

    fn of(role: Role, purifier: Option<PurifierSpec>) -> Self {
        let spec = ModelSpec {
            version: SPEC_VERSION,
            role,
            input: SHAPE,
            classes: ["Ant", "Bee", "Cat", "Dog"].map(String::from).into(),
            purifier,
            provenance: Provenance {
                architecture: "test".into(),
                dataset: "none".into(),
                config: serde_json::json!({}),
                seed: 0,
                crate_version: "0".into(),
            },
        };
        Self {
            graph: spec.clone(),
            spec,
            with_spec: true,
            nan_above: NEVER,
            score_nan_above: NEVER,
            score_sides: &[],
            without: None,
            batch: None,
            weights_in: None,
        }
    }

    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let mut graph = match self.graph.role {
            Role::Classifier => classifier_graph(&self.graph, self.nan_above),
            Role::Purifier => self.purifier_graph(),
        };
        if self.batch.is_some() {
            graph.input.iter_mut().chain(&mut graph.output).for_each(|tensor| tensor.fix_batch(self.batch));
        }
        if let Some(name) = self.weights_in {
            graph.initializer[0].move_to(folder, name);
        }
        let entry = Entry { key: METADATA_KEY.into(), value: self.spec.to_json() };
        let model = Model {
            ir_version: 8,
            graph: Some(graph),
            opset_import: vec![Opset { domain: String::new(), version: 13 }],
            metadata_props: if self.with_spec { vec![entry] } else { Vec::new() },
        };
        let path = folder.join(name);
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        path
    }

    fn purifier_graph(&self) -> Graph {
        let (shape, classes) = (picture(&self.graph), self.graph.classes.len());
        let purifier = self.graph.purifier.as_ref().unwrap();
        let mut graph = Graph {
            name: "purifier".into(),
            node: vec![node("Mul", &["frames", "darker"], "dark", vec![])],
            initializer: [vec![floats("darker", &[1], vec![0.9])], limit(self.nan_above)].concat(),
            input: vec![value("frames", FLOAT, &shape)],
            output: vec![value("purified", FLOAT, &shape)],
        };
        graph.node.extend(nan_if_above("dark", "purified"));
        if let Some(selection) = &purifier.selection {
            graph.input.push(value("noise", FLOAT, &[classes, selection.latent]));
            graph.node.extend([
                node("ReduceMean", &["noise"], "means", vec![ints("axes", &[2]), int("keepdims", 0)]),
                node("Abs", &["means"], "distances", vec![]),
                node("ArgMin", &["distances"], "label", vec![int("axis", 1), int("keepdims", 0)]),
            ]);
            graph.output.extend([value("label", INT64, &[]), value("distances", FLOAT, &[classes])]);
        }
        if purifier.score.is_some() {
            let axes: Vec<i64> = (1 + self.score_sides.len() as i64..4).collect();
            graph.node.extend([
                node("ReduceMax", &["frames"], "brightest", vec![ints("axes", &axes), int("keepdims", 0)]),
                node("Greater", &["brightest", "score_limit"], "above", vec![]),
                node("Where", &["above", "nan", "brightest"], "score", vec![]),
            ]);
            let limits = [("score_limit", self.score_nan_above), ("nan", f32::NAN)];
            graph.initializer.extend(limits.map(|(name, limit)| floats(name, &[1], vec![limit])));
            graph.output.push(value("score", FLOAT, self.score_sides));
        }
        graph.output.retain(|output| Some(output.name.as_str()) != self.without);
        graph
    }
}

impl Tensor {
    fn move_to(&mut self, folder: &Path, name: &str) {
        let bytes: Vec<u8> = std::mem::take(&mut self.float_data).into_iter().flat_map(f32::to_le_bytes).collect();
        std::fs::write(folder.join(name), bytes).unwrap();
        self.external_data = vec![Entry { key: "location".into(), value: name.into() }];
        self.data_location = Some(1);
    }
}

impl ValueInfo {
    fn fix_batch(&mut self, batch: Option<i64>) {
        let tensor = self.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut()).unwrap();
        tensor.shape.as_mut().unwrap().dim[0] = Dimension { dim_value: batch, dim_param: None };
    }
}

fn suspect_above(threshold: f32) -> Option<SuspectThreshold> {
    Some(SuspectThreshold { threshold, quantile: 0.95, calibrated_on: "nothing at all".into() })
}

fn classifier_graph(spec: &ModelSpec, nan_above: f32) -> Graph {
    let (pixels, classes) = (spec.input.pixels(), spec.classes.len());
    let weights = (0..pixels * classes).map(|at| if at / classes == at % classes { 10.0 } else { 0.0 }).collect();
    Graph {
        name: "classifier".into(),
        node: [
            vec![node("Flatten", &["frames"], "flat", vec![]), node("MatMul", &["flat", "weights"], "sums", vec![])],
            nan_if_above("sums", "logits"),
        ]
        .concat(),
        initializer: [vec![floats("weights", &[pixels, classes], weights)], limit(nan_above)].concat(),
        input: vec![value("frames", FLOAT, &picture(spec))],
        output: vec![value("logits", FLOAT, &[classes])],
    }
}

/// `output = input + 0 · √(limit − input)`.
fn nan_if_above(input: &str, output: &str) -> Vec<Node> {
    vec![
        node("Sub", &["limit", input], "room", vec![]),
        node("Sqrt", &["room"], "root", vec![]),
        node("Mul", &["root", "zero"], "nothing", vec![]),
        node("Add", &[input, "nothing"], output, vec![]),
    ]
}

fn limit(above: f32) -> Vec<Tensor> {
    vec![floats("limit", &[1], vec![above]), floats("zero", &[1], vec![0.0])]
}

fn picture(spec: &ModelSpec) -> [usize; 3] {
    [spec.input.channels, spec.input.height, spec.input.width]
}

fn node(op_type: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) -> Node {
    let input = inputs.iter().map(|name| (*name).into()).collect();
    Node { input, output: vec![output.into()], op_type: op_type.into(), attribute }
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.into(), i: Some(value), ints: vec![], kind: 2 }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: name.into(), i: None, ints: values.into(), kind: 7 }
}

fn floats(name: &str, dims: &[usize], float_data: Vec<f32>) -> Tensor {
    let dims = dims.iter().map(|&side| side as i64).collect();
    Tensor { dims, data_type: FLOAT, float_data, name: name.into(), ..Tensor::default() }
}

/// An input or output with a free batch before `sides`.
fn value(name: &str, elem_type: i32, sides: &[usize]) -> ValueInfo {
    let fixed = |&side: &usize| Dimension { dim_value: Some(side as i64), dim_param: None };
    let batch = Dimension { dim_value: None, dim_param: Some("N".into()) };
    let shape = Shape { dim: std::iter::once(batch).chain(sides.iter().map(fixed)).collect() };
    ValueInfo {
        name: name.into(),
        r#type: Some(Type { tensor_type: Some(TensorType { elem_type, shape: Some(shape) }) }),
    }
}
