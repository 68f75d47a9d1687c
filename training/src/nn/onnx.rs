//! Writes a network down as an ONNX graph (opset 17).

use std::collections::BTreeSet;

use prost::Message;
use tch::{Device, Kind, Tensor};

use super::int8::{Int8, Weights};
use super::params::Params;
use super::proto::{self, Attribute, Node, TensorData, ValueInfo};
use super::{Backend, Classes, Conv, Deconv};

const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;
/// What is added to the name of a weight in eight bits, for its steps.
pub(crate) const STEPS: &str = ".steps";

/// A graph being written; values are the names of tensors.
#[derive(Debug)]
pub struct Onnx<'a> {
    params: &'a Params,
    weights: Weights,
    nodes: Vec<Node>,
    initializers: Vec<TensorData>,
    stored: BTreeSet<String>,
    /// Values made so far, for their names.
    made: usize,
}

impl<'a> Onnx<'a> {
    /// An empty graph that takes its weights from `params`, which are already rounded where they are to be stored in eight bits.
    #[must_use]
    pub fn new(params: &'a Params, weights: Weights) -> Self {
        Self { params, weights, nodes: Vec::new(), initializers: Vec::new(), stored: BTreeSet::new(), made: 0 }
    }

    /// The bytes of the file. An output is what it is called here, what it shall be called, its type and shape.
    #[must_use]
    pub fn finish(
        mut self,
        inputs: Vec<ValueInfo>,
        outputs: Vec<(String, ValueInfo)>,
        metadata: Vec<(String, String)>,
    ) -> Vec<u8> {
        for (value, info) in &outputs {
            for name in self.nodes.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output)) {
                if name == value {
                    name.clone_from(&info.name);
                }
            }
        }
        let graph = proto::Graph {
            node: self.nodes,
            name: "puvae".into(),
            initializer: self.initializers,
            input: inputs,
            output: outputs.into_iter().map(|output| output.1).collect(),
        };
        let model = proto::Model {
            ir_version: IR_VERSION,
            producer_name: "puvae-train".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(graph),
            opset_import: vec![proto::OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: metadata.into_iter().map(|(key, value)| proto::Entry { key, value }).collect(),
        };
        model.encode_to_vec()
    }

    fn node(&mut self, op: &str, inputs: &[&str], attribute: Vec<Attribute>) -> String {
        let output = format!("v{}", self.made);
        self.made += 1;
        self.nodes.push(Node {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.clone()],
            name: format!("{}_{}", op.to_lowercase(), self.nodes.len()),
            op_type: op.into(),
            attribute,
        });
        output
    }

    fn tensor(&self, name: &str) -> Tensor {
        self.params.all().remove(name).expect("the network's first forward pass made all its parameters")
    }

    /// Stores the parameter `name`, in another shape if one is given.
    fn parameter(&mut self, name: &str, shape: Option<&[i64]>) -> String {
        let tensor = self.tensor(name);
        let shape = shape.map_or_else(|| tensor.size(), Into::into);
        self.constant(name, &shape, &floats(&tensor))
    }

    /// The weight of a layer, stored as is asked for. ONNX Runtime computes Cast and Mul of constants once, when it loads the file; a
    /// DequantizeLinear it would keep for its kernels in eight bits, and compute each time.
    fn weight(&mut self, name: &str) -> String {
        if self.weights == Weights::F32 {
            return self.parameter(name, None);
        }
        let Int8 { numbers, steps } = Int8::nearest(&self.tensor(name));
        let flat = numbers.reshape([-1]);
        let bytes = Vec::<i8>::try_from(&flat).expect("a flat i8 tensor is a vector of i8");
        let bytes = bytes.into_iter().flat_map(i8::to_le_bytes).collect();
        let stored = self.initializer(name, proto::INT8, &numbers.size(), bytes);
        let steps = self.constant(&format!("{name}{STEPS}"), &steps.size(), &floats(&steps));
        let numbers = self.node("Cast", &[&stored], vec![Attribute::int("to", proto::FLOAT.into())]);
        self.node("Mul", &[&numbers, &steps], vec![])
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let name = format!("ints.{}", values.iter().map(i64::to_string).collect::<Vec<_>>().join("_"));
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(&name, proto::INT64, &[values.len() as i64], bytes)
    }

    /// A transposed convolution whose output is `stride` times as large as its input, as an ordinary one: output
    /// pixel s·q + a takes the taps t = a + padding − s·d of the inputs q + d, so each phase a is a convolution over
    /// the offsets d, and DepthToSpace puts the phases in their places. The same numbers; ONNX Runtime's
    /// convolutions are several times as fast as its transposed ones.
    fn phase_convolution(&mut self, x: &str, name: &str, deconv: Deconv) -> String {
        let Deconv { out, kernel, stride, padding, .. } = deconv;
        let first = -(kernel - 1 - padding).div_euclid(stride);
        let last = (stride - 1 + padding).div_euclid(stride);
        let taps = last - first + 1;
        let weight = self.tensor(&format!("{name}.weight"));
        let inputs = weight.size()[0];
        let phases = Tensor::zeros([out, stride, stride, inputs, taps, taps], (Kind::Float, Device::Cpu));
        // (phase, offset, tap) along one side.
        let moves: Vec<(i64, i64, i64)> = (0..stride)
            .flat_map(|phase| {
                (first..=last).map(move |offset| (phase, offset - first, phase + padding - stride * offset))
            })
            .filter(|&(_, _, tap)| (0..kernel).contains(&tap))
            .collect();
        for &(row_phase, row, row_tap) in &moves {
            for &(column_phase, column, column_tap) in &moves {
                let from = weight.select(3, column_tap).select(2, row_tap).tr(); // [out, in]
                let mut to = phases.select(5, column).select(4, row).select(2, column_phase).select(1, row_phase);
                tch::no_grad(|| to.copy_(&from));
            }
        }
        let channels = out * stride * stride;
        let weight = self.constant(&format!("{name}.phases"), &[channels, inputs, taps, taps], &floats(&phases));
        let bias = self.tensor(&format!("{name}.bias"));
        let bias = floats(&bias.repeat_interleave_self_int(stride * stride, 0, None));
        let bias = self.constant(&format!("{name}.phases_bias"), &[channels], &bias);
        let attributes =
            vec![Attribute::ints("kernel_shape", &[taps; 2]), Attribute::ints("pads", &[-first, -first, last, last])];
        let y = self.node("Conv", &[x, &weight, &bias], attributes); // [N, out·s², H, W]
        if stride == 1 { y } else { self.pixel_shuffle(&y, stride) }
    }

    fn transposed(&mut self, x: &str, name: &str, deconv: Deconv) -> String {
        let attributes = vec![
            Attribute::ints("kernel_shape", &[deconv.kernel; 2]),
            Attribute::ints("strides", &[deconv.stride; 2]),
            Attribute::ints("pads", &[deconv.padding; 4]),
            Attribute::ints("output_padding", &[deconv.output_padding; 2]),
        ];
        self.layer("ConvTranspose", x, name, attributes)
    }

    /// If the last nodes are the DepthToSpace and the Relu that made `x`, takes them back, puts the Relu where it
    /// changes nothing, before the DepthToSpace, and returns its output with the block size.
    fn take_upsampling(&mut self, x: &str) -> Option<(String, i64)> {
        let [.., shuffle, relu] = self.nodes.as_slice() else { return None };
        if shuffle.op_type != "DepthToSpace" || relu.op_type != "Relu" || relu.output[0] != x {
            return None;
        }
        let factor = shuffle.attribute[0].i.expect("its first attribute is its block size");
        let inner = shuffle.input[0].clone();
        self.nodes.truncate(self.nodes.len() - 2);
        Some((self.node("Relu", &[&inner], vec![]), factor))
    }

    /// A convolution that keeps the size and has few outputs, of what DepthToSpace would make of `x` (even sides),
    /// done before it. Output pixel R·q + b, R = 2r, takes tap t from r·i + a with i = 2q + ⌊(b + t − padding) / r⌋
    /// and a the remainder: a convolution of stride 2 from phases a to blocks b. The same numbers without the large
    /// picture between.
    fn conv_before_shuffle(&mut self, x: &str, name: &str, weight: &Tensor, r: i64) -> String {
        const STRIDE: i64 = 2;
        let (out, inputs, kernel, _) = weight.size4().expect("a convolution's weight is [out, in, k, k]");
        let (padding, block) = ((kernel - 1) / 2, STRIDE * r);
        let bias = self.tensor(&format!("{name}.bias"));
        let first = (-padding).div_euclid(r);
        let last = (block + kernel - 2 - padding).div_euclid(r);
        let taps = last - first + 1;
        let phases = Tensor::zeros([out, block, block, inputs, r, r, taps, taps], (Kind::Float, Device::Cpu));
        // (pixel of the block, phase, offset, tap) along one side.
        let moves: Vec<(i64, i64, i64, i64)> = (0..block)
            .flat_map(|b| (0..kernel).map(move |t| (b, t, b + t - padding)))
            .map(|(b, t, at)| (b, at.rem_euclid(r), at.div_euclid(r) - first, t))
            .collect();
        for &(row_out, row_in, row, row_tap) in &moves {
            for &(column_out, column_in, column, column_tap) in &moves {
                let from = weight.select(3, column_tap).select(2, row_tap); // [out, in]
                let to = phases.select(7, column).select(6, row).select(5, column_in).select(4, row_in);
                tch::no_grad(|| to.select(2, column_out).select(1, row_out).copy_(&from));
            }
        }
        let (from, to) = (inputs * r * r, out * block * block);
        let weight = self.constant(&format!("{name}.phases"), &[to, from, taps, taps], &floats(&phases));
        let bias = floats(&bias.repeat_interleave_self_int(block * block, 0, None));
        let bias = self.constant(&format!("{name}.phases_bias"), &[to], &bias);
        let end = last - (STRIDE - 1);
        let attributes = vec![
            Attribute::ints("kernel_shape", &[taps; 2]),
            Attribute::ints("strides", &[STRIDE; 2]),
            Attribute::ints("pads", &[-first, -first, end, end]),
        ];
        let y = self.node("Conv", &[x, &weight, &bias], attributes); // [N, out·R², H/2, W/2]
        self.pixel_shuffle(&y, block)
    }

    fn constant(&mut self, name: &str, shape: &[i64], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, proto::FLOAT, shape, bytes)
    }

    /// Stores values under a name, once.
    fn initializer(&mut self, name: &str, data_type: i32, shape: &[i64], raw_data: Vec<u8>) -> String {
        if self.stored.insert(name.into()) {
            self.initializers.push(TensorData { dims: shape.into(), data_type, name: name.into(), raw_data });
        }
        name.into()
    }

    /// Over the last dimension.
    fn mean(&mut self, x: &str) -> String {
        self.node("ReduceMean", &[x], vec![Attribute::ints("axes", &[-1]), Attribute::int("keepdims", 0)])
    }

    fn layer(&mut self, op: &str, x: &str, name: &str, attributes: Vec<Attribute>) -> String {
        let weight = self.weight(&format!("{name}.weight"));
        let bias = self.parameter(&format!("{name}.bias"), None);
        self.node(op, &[x, &weight, &bias], attributes)
    }
}

/// All values of a tensor, in order.
#[must_use]
pub fn floats(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).reshape([-1]);
    Vec::try_from(&flat).expect("a flat f32 tensor is a vector of f32")
}

impl Backend for Onnx<'_> {
    type Value = String;

    fn conv(&mut self, x: &String, name: &str, conv: Conv) -> String {
        let [before, after] = conv.padding;
        let attributes = vec![
            Attribute::ints("kernel_shape", &[conv.kernel; 2]),
            Attribute::ints("strides", &[conv.stride; 2]),
            Attribute::ints("pads", &[before, before, after, after]),
            Attribute::ints("dilations", &[conv.dilation; 2]),
        ];
        self.layer("Conv", x, name, attributes)
    }

    fn deconv(&mut self, x: &String, name: &str, deconv: Deconv) -> String {
        if deconv.kernel + deconv.output_padding != deconv.stride + 2 * deconv.padding {
            return self.transposed(x, name, deconv);
        }
        if deconv.out == 1
            && deconv.stride == 1
            && let Some((inner, factor)) = self.take_upsampling(x)
        {
            let weight = self.tensor(&format!("{name}.weight")).transpose(0, 1).flip([2, 3]);
            return self.conv_before_shuffle(&inner, name, &weight, factor);
        }
        self.phase_convolution(x, name, deconv)
    }

    fn deconv_pixel(&mut self, x: &String, name: &str, out: i64, kernel: i64) -> String {
        let (weight, bias) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
        let (inputs, pixels) = (weight.size()[0], kernel * kernel);
        let bias = floats(&bias.repeat_interleave_self_int(pixels, 0, None));
        let weight = self.constant(&format!("{name}.flat"), &[inputs, out * pixels], &floats(&weight));
        let bias = self.constant(&format!("{name}.flat_bias"), &[out * pixels], &bias);
        let y = self.node("Gemm", &[x, &weight, &bias], vec![]); // [N, out·k²]
        self.reshape(&y, &[-1, out, kernel, kernel])
    }

    fn linear(&mut self, x: &String, name: &str, _out: i64) -> String {
        self.layer("Gemm", x, name, vec![Attribute::int("transB", 1)])
    }

    /// # Panics
    /// For given classes: an exported graph is always about all of them.
    fn class_rows(&mut self, name: &str, count: i64, width: i64, classes: Classes<'_, String>) -> String {
        assert!(matches!(classes, Classes::All), "an exported graph decodes every class");
        self.parameter(name, Some(&[1, count, width]))
    }

    fn relu(&mut self, x: &String) -> String {
        self.node("Relu", &[x], vec![])
    }

    fn sigmoid(&mut self, x: &String) -> String {
        self.node("Sigmoid", &[x], vec![])
    }

    fn softplus(&mut self, x: &String) -> String {
        self.node("Softplus", &[x], vec![])
    }

    fn quantise(&mut self, x: &String, levels: u32) -> String {
        let steps = levels - 1;
        let steps = self.constant(&format!("steps.{steps}"), &[1], &[steps as f32]);
        let x = self.node("Mul", &[x, &steps], vec![]);
        let x = self.node("Round", &[&x], vec![]);
        self.node("Div", &[&x, &steps], vec![])
    }

    fn dropout(&mut self, x: &String, _fraction: f64) -> String {
        x.clone()
    }

    fn pixel_shuffle(&mut self, x: &String, factor: i64) -> String {
        self.node("DepthToSpace", &[x], vec![Attribute::int("blocksize", factor), Attribute::text("mode", "CRD")])
    }

    fn halve(&mut self, x: &String) -> String {
        self.node(
            "AveragePool",
            &[x],
            vec![Attribute::ints("kernel_shape", &[2; 2]), Attribute::ints("strides", &[2; 2])],
        )
    }

    fn double(&mut self, x: &String) -> String {
        let scales = self.constant("scales.1_1_2_2", &[4], &[1.0, 1.0, 2.0, 2.0]);
        let attributes = vec![
            Attribute::text("mode", "nearest"),
            Attribute::text("coordinate_transformation_mode", "asymmetric"),
            Attribute::text("nearest_mode", "floor"),
        ];
        self.node("Resize", &[x, "", &scales], attributes)
    }

    fn reshape(&mut self, x: &String, shape: &[i64]) -> String {
        let shape = self.integers(shape);
        self.node("Reshape", &[x, &shape], vec![])
    }

    fn add(&mut self, a: &String, b: &String) -> String {
        self.node("Add", &[a, b], vec![])
    }

    fn sub(&mut self, a: &String, b: &String) -> String {
        self.node("Sub", &[a, b], vec![])
    }

    fn mul(&mut self, a: &String, b: &String) -> String {
        self.node("Mul", &[a, b], vec![])
    }

    fn concat(&mut self, a: &String, b: &String) -> String {
        self.node("Concat", &[a, b], vec![Attribute::int("axis", 1)])
    }

    fn columns(&mut self, x: &String, start: i64, len: i64) -> String {
        let (starts, ends, axes) = (self.integers(&[start]), self.integers(&[start + len]), self.integers(&[1]));
        self.node("Slice", &[x, &starts, &ends, &axes], vec![])
    }

    fn repeat_each(&mut self, x: &String, count: i64, image: [i64; 3]) -> String {
        let (axis, repeats) = (self.integers(&[1]), self.integers(&[1, count, 1, 1, 1]));
        let x = self.node("Unsqueeze", &[x, &axis], vec![]); // [N, 1, C, H, W]
        let x = self.node("Expand", &[&x, &repeats], vec![]); // [N, count, C, H, W]
        let [c, h, w] = image;
        self.reshape(&x, &[-1, c, h, w])
    }

    fn mean_power(&mut self, x: &String, exponent: f64) -> String {
        let exponent = self.constant(&format!("exponent.{exponent}"), &[1], &[exponent as f32]);
        let size = self.node("Abs", &[x], vec![]);
        let power = self.node("Pow", &[&size, &exponent], vec![]);
        self.mean(&power)
    }

    fn root_mean(&mut self, x: &String) -> String {
        let mean = self.mean(x);
        self.node("Sqrt", &[&mean], vec![])
    }

    fn argmin(&mut self, x: &String) -> String {
        self.node("ArgMin", &[x], vec![Attribute::int("axis", 1), Attribute::int("keepdims", 0)])
    }

    fn pick(&mut self, x: &String, index: &String) -> String {
        let axis = self.integers(&[1]);
        let index = self.node("Unsqueeze", &[index, &axis], vec![]); // [N, 1]
        self.node("GatherND", &[x, &index], vec![Attribute::int("batch_dims", 1)]) // [N, P]
    }
}
