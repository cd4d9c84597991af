//! Quantised ONNX to [`Graph`]: checks everything, then folds the quantisers into the nodes beside them.
//!
//! ```text
//!   initialiser -> WeightsSymmetricQuantizer -+
//!   stored x ---------------------------------+-> Conv -> Relu -> ActivationPOTQuantizer -> stored y
//!                                                 \___ one Node, made when its quantiser is met ___/
//! ```
//!
//! A QDQ file has a `QuantizeLinear` and a `DequantizeLinear` for the quantiser of activations, and a
//! `DequantizeLinear` of int8 constants for that of weights; see `quantisers.rs` and `weights.rs`.
//!
//! Between an operator and its quantiser values are real numbers; such a value may have one reader only
//! (the quantiser, or one activation before it). `MaxPool`, nearest `Resize`, and `Concat` of tensors stored
//! alike only pick stored numbers, so they need no quantiser. What this file does not know it refuses by name.
//!
//! Not read: several inputs or outputs, quantisers of other than 8 bits, activations quantised by channel.

mod attributes;
mod constants;
mod conv;
mod error;
mod picture;
mod pointwise;
mod quantisers;
mod weights;

use std::collections::HashMap;
use std::fmt;

use prost::Message;

use self::attributes::Attributes;
pub use self::error::LoadError;
use self::weights::Weights;
use super::graph::{Activation, Graph, Node, Op, TensorSpec, check_size};
use super::onnx::{
    self, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, data_type,
};

/// Reads an MCTQ or QDQ ONNX file.
pub(super) fn load(file: &[u8]) -> Result<Graph, LoadError> {
    let model = decode(file)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| LoadError::NotOnnx { reason: "it has no graph".to_owned() })?;
    let mut loader = Loader::new(graph, opset(&model))?;
    for node in &graph.node {
        loader.add(node)?;
    }
    loader.finish(&graph.output)
}

pub(super) fn decode(file: &[u8]) -> Result<ModelProto, LoadError> {
    if file.len() > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge { found: file.len(), limit: MAX_FILE_BYTES });
    }
    let fields = onnx::field_count(file).ok_or_else(|| LoadError::NotOnnx {
        reason: format!("a field does not end within the {} bytes there are", file.len()),
    })?;
    if fields > MAX_FIELDS {
        return Err(LoadError::NotOnnx {
            reason: format!("{fields} fields, more than {MAX_FIELDS}"),
        });
    }
    ModelProto::decode(file).map_err(|error| LoadError::NotOnnx { reason: error.to_string() })
}

/// Version of ONNX's own operators that the file is written in; 0 if it does not say.
fn opset(model: &ModelProto) -> i64 {
    let own = model.opset_import.iter().find(|set| matches!(&*set.domain, "" | "ai.onnx"));
    own.map_or(0, |set| set.version)
}

/// What a name in the file stands for.
enum Value<'a> {
    /// The real numbers of a tensor of the graph.
    Stored(usize),
    /// The stored numbers of one, for a `DequantizeLinear`.
    Codes(usize),
    /// The class numbers of one, which nothing reads.
    Classes(usize),
    /// A result that waits for its quantiser.
    Real(Box<Pending>),
    /// A `QuantizeLinear` of real constants, for a `DequantizeLinear`.
    ConstantCodes(&'a NodeProto),
    /// Constants through a quantiser; the convolution that takes them knows more.
    Weights(Weights<'a>),
    /// The picture as real numbers; its quantiser makes tensor 0 of it.
    Picture,
    /// The picture as stored numbers, whose `DequantizeLinear` has not been met.
    PictureCodes { signed: bool },
}

/// How real numbers are stored in 8 bits.
#[derive(Clone, Copy, PartialEq)]
struct Steps {
    scale: f32,
    zero_point: i32,
    signed: bool,
}

/// A node whose output scale is not known yet.
struct Pending {
    name: String,
    op: Op,
    activation: Activation,
    slopes: Vec<f32>,
    inputs: Vec<usize>,
    /// Whether the operator's every number is one of its inputs'.
    picks: bool,
}

struct Loader<'a> {
    constants: HashMap<&'a str, &'a TensorProto>,
    values: HashMap<&'a str, Value<'a>>,
    graph: Graph,
    /// Weights read so far.
    weights: usize,
    /// Version of ONNX's own operators.
    opset: i64,
    /// How many inputs of nodes carry a name.
    readers: HashMap<&'a str, usize>,
}

impl<'a> Loader<'a> {
    fn new(graph: &'a GraphProto, opset: i64) -> Result<Self, LoadError> {
        let constants: HashMap<_, _> =
            graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        // Files older than IR version 4 list their initialisers as inputs too.
        let mut inputs = graph.input.iter().filter(|i| !constants.contains_key(i.name.as_str()));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(model("inputs", graph.input.len(), "one, the picture"));
        };
        let (picture, value) = picture(input)?;
        let mut readers = HashMap::new();
        for name in graph.node.iter().flat_map(|node| &node.input) {
            *readers.entry(name.as_str()).or_default() += 1;
        }
        Ok(Self {
            constants,
            values: HashMap::from([(input.name.as_str(), value)]),
            graph: Graph { tensors: vec![picture], nodes: Vec::new(), output: 0 },
            weights: 0,
            opset,
            readers,
        })
    }

    fn add(&mut self, node: &'a NodeProto) -> Result<(), LoadError> {
        let [output] = node.output.as_slice() else {
            return Err(refused(node, format!("{} outputs", node.output.len()), "one"));
        };
        if output.is_empty() || self.values.contains_key(output.as_str()) {
            return Err(refused(node, format!("output name {output:?}"), "a new name"));
        }
        let value = match (node.domain.as_str(), node.op_type.as_str()) {
            ("" | "ai.onnx", "Constant") => {
                let tensor = Attributes::of(node, &["value"])?.tensor("value")?;
                self.constants.insert(output, tensor);
                return Ok(());
            }
            ("" | "ai.onnx", "QuantizeLinear") => self.quantize_linear(node, output)?,
            ("" | "ai.onnx", "DequantizeLinear") => self.dequantize_linear(node, output)?,
            ("" | "ai.onnx", "ArgMax") => Value::Classes(self.arg_max(node, output)?),
            (QUANTISERS, "WeightsSymmetricQuantizer") => self.mctq_weights(node)?,
            (QUANTISERS, "ActivationPOTQuantizer") => Value::Stored(self.quantise(node, output)?),
            _ => Value::Real(Box::new(self.real(node)?)),
        };
        self.values.insert(output, value);
        Ok(())
    }

    /// A node whose result waits for its quantiser.
    fn real(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        match (node.domain.as_str(), node.op_type.as_str()) {
            ("" | "ai.onnx", operator) => match operator {
                "Conv" => self.conv(node),
                "ConvTranspose" => self.conv_transpose(node),
                "Add" => self.sum(node),
                "Mul" => self.product(node),
                "Concat" => self.concat(node),
                "MaxPool" => self.max_pool(node),
                "AveragePool" => self.average_pool(node),
                "GlobalAveragePool" => self.global_average_pool(node),
                "Resize" => self.resize(node),
                "Softmax" => self.softmax(node),
                "Relu" => self.plain_activation(node, Activation::Relu),
                "Sigmoid" => self.plain_activation(node, Activation::Sigmoid),
                "HardSwish" => self.plain_activation(node, Activation::HardSwish),
                "HardSigmoid" => self.hard_sigmoid(node),
                "LeakyRelu" => self.leaky_relu(node),
                "PRelu" => self.prelu(node),
                "Clip" => self.clip(node),
                _ => Err(LoadError::Operator {
                    node: node.name.clone(),
                    operator: operator.to_owned(),
                }),
            },
            (domain, operator) => Err(LoadError::Operator {
                node: node.name.clone(),
                operator: format!("{domain}.{operator}"),
            }),
        }
    }

    fn finish(mut self, outputs: &'a [ValueInfoProto]) -> Result<Graph, LoadError> {
        let [output] = outputs else {
            return Err(model("outputs", outputs.len(), "one, the mask"));
        };
        let output = output.name.as_str();
        let tensor = match self.values.get(output) {
            Some(&(Value::Codes(tensor) | Value::Classes(tensor))) => Some(tensor),
            _ => self.tensor(output)?,
        };
        self.graph.output = match tensor {
            Some(tensor) if tensor > 0 => tensor,
            _ => {
                return Err(model(
                    &format!("output {output:?}"),
                    "nothing, or real numbers",
                    "the result of an ActivationPOTQuantizer, a QuantizeLinear or an ArgMax",
                ));
            }
        };
        self.graph.check_total()?;
        Ok(self.graph)
    }

    fn only_input(&mut self, node: &NodeProto) -> Result<usize, LoadError> {
        match node.input.as_slice() {
            [input] => self.stored(node, input),
            inputs => Err(refused(node, format!("{} inputs", inputs.len()), "1")),
        }
    }

    /// The tensor called `name`, which `node` reads.
    fn stored(&mut self, node: &NodeProto, name: &str) -> Result<usize, LoadError> {
        if let Some(tensor) = self.tensor(name)? {
            return Ok(tensor);
        }
        let (found, wanted) = match self.values.get(name) {
            Some(Value::Codes(_) | Value::PictureCodes { .. }) => {
                ("which are stored numbers", "a DequantizeLinear between the two")
            }
            Some(Value::Classes(_)) => ("which are class numbers", "ArgMax as the last node"),
            Some(Value::Weights(_) | Value::ConstantCodes(_)) => {
                ("which is constant", "a tensor that depends on the picture")
            }
            Some(_) => (
                "which is not quantised",
                "an ActivationPOTQuantizer between the two, or QuantizeLinear and DequantizeLinear",
            ),
            None if self.constants.contains_key(name) => {
                ("which is constant", "a tensor that depends on the picture")
            }
            None => (
                "which no earlier node makes",
                "nodes in the order they run, and each real number with one reader",
            ),
        };
        Err(refused(node, format!("input {name:?}, {found}"), wanted))
    }

    /// The tensor called `name`, if there is one. A pooled or resized picture needs no quantiser: it keeps
    /// its input's.
    fn tensor(&mut self, name: &str) -> Result<Option<usize>, LoadError> {
        if let Some(Value::Stored(tensor)) = self.values.get(name) {
            return Ok(Some(*tensor));
        }
        let Some((name, pending)) = self.take_real(name, Pending::only_picks) else {
            return Ok(None);
        };
        let input = &self.graph.tensors[pending.inputs[0]];
        let steps = Steps::of(input);
        let tensor = self.push(pending, name, steps)?;
        self.values.insert(name, Value::Stored(tensor));
        Ok(Some(tensor))
    }

    /// Takes a real value out, since it has one reader only.
    fn take_real(
        &mut self,
        name: &str,
        wanted: impl Fn(&Pending) -> bool,
    ) -> Option<(&'a str, Pending)> {
        match self.values.get(name) {
            Some(Value::Real(pending)) if wanted(pending) => {}
            _ => return None,
        }
        match self.values.remove_entry(name)? {
            (name, Value::Real(pending)) => Some((name, *pending)),
            _ => None,
        }
    }

    /// Whether several nodes read `name`: a pooled or resized picture then becomes a tensor of its own.
    fn is_shared(&self, name: &str) -> bool {
        self.readers.get(name).is_some_and(|&readers| readers > 1)
    }

    fn push(&mut self, pending: Pending, name: &str, steps: Steps) -> Result<usize, LoadError> {
        let output = self.graph.tensors.len();
        let Pending { name: node_name, op, activation, slopes, inputs, .. } = pending;
        let node = Node { name: node_name, op, activation, slopes, inputs, output };
        let inputs: Vec<&TensorSpec> =
            node.inputs.iter().map(|&i| &self.graph.tensors[i]).collect();
        let [channels, height, width] = node.output_shape(&inputs)?;
        let name = name.to_owned();
        let Steps { scale, zero_point, signed } = steps;
        let tensor = TensorSpec { name, channels, height, width, scale, zero_point, signed };
        self.graph.tensors.push(tensor);
        self.graph.nodes.push(node);
        Ok(output)
    }

    /// Shape of a constant, whether it is dequantised or not.
    fn constant_dims(&self, name: &str) -> &'a [i64] {
        match (self.values.get(name), self.constants.get(name)) {
            (Some(Value::Weights(weights)), _) => weights.dims(),
            (_, Some(tensor)) => &tensor.dims,
            _ => &[],
        }
    }

    fn constant(&self, node: &NodeProto, name: &str) -> Result<&'a TensorProto, LoadError> {
        self.constants.get(name).copied().ok_or_else(|| {
            refused(node, format!("input {name:?}"), "a constant or initialiser of the file")
        })
    }
}

impl Steps {
    fn of(spec: &TensorSpec) -> Self {
        Self { scale: spec.scale, zero_point: spec.zero_point, signed: spec.signed }
    }

    fn write(self, spec: &mut TensorSpec) {
        (spec.scale, spec.zero_point, spec.signed) = (self.scale, self.zero_point, self.signed);
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.signed { "int8" } else { "uint8" };
        write!(f, "scale {}, zero point {}, {kind}", self.scale, self.zero_point)
    }
}

impl Pending {
    fn new(node: &NodeProto, op: Op, inputs: Vec<usize>) -> Self {
        let (activation, slopes) = (Activation::None, Vec::new());
        Self { name: node.name.clone(), op, activation, slopes, inputs, picks: false }
    }

    fn picking(self) -> Self {
        Self { picks: true, ..self }
    }

    /// Whether every number of the result is one of the inputs.
    fn only_picks(&self) -> bool {
        self.activation == Activation::None && self.picks
    }
}

fn picture(input: &ValueInfoProto) -> Result<(TensorSpec, Value<'static>), LoadError> {
    let what = format!("input {:?}", input.name);
    let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let Some((element, Some(shape))) = tensor.map(|t| (t.elem_type, t.shape.as_ref())) else {
        return Err(model(&what, "no shape", "a tensor [1, C, H, W]"));
    };
    if !matches!(element, data_type::FLOAT | data_type::UINT8 | data_type::INT8) {
        let wanted = "1 (float), 2 (uint8) or 3 (int8)";
        return Err(model(&what, format!("element type {element}"), wanted));
    }
    let dims: Vec<i64> = shape.dim.iter().map(|d| d.dim_value).collect();
    let sides = dims.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>();
    let Some(&[1, channels, height, width]) = sides.as_deref() else {
        return Err(model(&what, format!("shape {dims:?} (0: left open)"), "fixed [1, C, H, W]"));
    };
    // How it is stored is filled in when its quantiser is met; `Value::Picture` guards that it is.
    let (scale, zero_point, signed) = (1.0, 0, false);
    let name = input.name.clone();
    let spec = TensorSpec { name, channels, height, width, scale, zero_point, signed };
    check_size(&spec.name, [channels, height, width])?;
    let value = match element {
        data_type::FLOAT => Value::Picture,
        element => Value::PictureCodes { signed: element == data_type::INT8 },
    };
    Ok((spec, value))
}

fn check(node: &NodeProto, what: &str, found: usize, limit: usize) -> Result<(), LoadError> {
    if (1..=limit).contains(&found) {
        return Ok(());
    }
    Err(refused(node, format!("{found} {what}"), &format!("1 to {limit}")))
}

fn refused(node: &NodeProto, found: String, wanted: &str) -> LoadError {
    LoadError::Node {
        node: node.name.clone(),
        operator: node.op_type.clone(),
        found,
        wanted: wanted.to_owned(),
    }
}

fn model(what: &str, found: impl ToString, wanted: &str) -> LoadError {
    LoadError::Model { what: what.to_owned(), found: found.to_string(), wanted: wanted.to_owned() }
}

/// ONNX domain of MCT's quantisers.
const QUANTISERS: &str = "mct_quantizers";

/// What the sensor has for weights and pictures together.
const SENSOR_BYTES: usize = 8_388_480;

/// An MCTQ file holds its weights as float32, four bytes for each byte in the sensor; twice that leaves
/// room for names and shapes.
const MAX_FILE_BYTES: usize = 2 * 4 * SENSOR_BYTES;

/// A field takes at most some 250 bytes decoded. The shipped network has under 4,000.
const MAX_FIELDS: usize = 1 << 18;
