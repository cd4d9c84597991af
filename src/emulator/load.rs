//! MCTQ ONNX to [`Graph`]: checks everything, then folds the quantisers into the nodes beside them.
//!
//! ```text
//!   initialiser -> WeightsSymmetricQuantizer -+
//!   stored x ---------------------------------+-> Conv -> Relu -> ActivationPOTQuantizer -> stored y
//!                                                 \___ one Node, made when its quantiser is met ___/
//! ```
//!
//! Between an operator and its quantiser values are real numbers; such a value may have one reader only
//! (the quantiser, or one `Relu` or `Sigmoid` before it). `MaxPool` and `Resize` only pick stored numbers,
//! so they need no quantiser. What this file does not know it refuses by name.
//!
//! Not read: QDQ files, several inputs or outputs, quantisers of other than 8 bits, dilation.

mod attributes;
mod constants;
mod error;
mod operators;

use std::collections::HashMap;

use prost::Message;

use self::attributes::Attributes;
pub use self::error::LoadError;
use super::graph::{Activation, Graph, Node, Op, TensorSpec, check_size};
use super::onnx::{
    self, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, data_type,
};

/// Reads an MCTQ ONNX file.
pub(super) fn load(file: &[u8]) -> Result<Graph, LoadError> {
    let model = decode(file)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| LoadError::NotOnnx { reason: "it has no graph".to_owned() })?;
    let mut loader = Loader::new(graph)?;
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

/// What a name in the file stands for.
enum Value<'a> {
    /// A tensor of the graph.
    Stored(usize),
    /// A result that waits for its quantiser.
    Real(Pending),
    /// Weights of a convolution, quantised when it is met.
    Weights { node: &'a NodeProto, weights: &'a TensorProto, thresholds: &'a TensorProto },
    /// The picture as real numbers; its quantiser makes tensor 0 of it.
    Picture,
}

/// A node whose output scale is not known yet.
struct Pending {
    name: String,
    op: Op,
    activation: Activation,
    inputs: Vec<usize>,
}

struct Loader<'a> {
    constants: HashMap<&'a str, &'a TensorProto>,
    values: HashMap<&'a str, Value<'a>>,
    graph: Graph,
    /// Weights read so far.
    weights: usize,
    /// How many inputs of nodes carry a name.
    readers: HashMap<&'a str, usize>,
}

impl<'a> Loader<'a> {
    fn new(graph: &'a GraphProto) -> Result<Self, LoadError> {
        let constants: HashMap<_, _> =
            graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        // Files older than IR version 4 list their initialisers as inputs too.
        let mut inputs = graph.input.iter().filter(|i| !constants.contains_key(i.name.as_str()));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(model("inputs", graph.input.len(), "one, the picture"));
        };
        let picture = picture_spec(input)?;
        let mut readers = HashMap::new();
        for name in graph.node.iter().flat_map(|node| &node.input) {
            *readers.entry(name.as_str()).or_default() += 1;
        }
        Ok(Self {
            constants,
            values: HashMap::from([(input.name.as_str(), Value::Picture)]),
            graph: Graph { tensors: vec![picture], nodes: Vec::new(), output: 0 },
            weights: 0,
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
            ("" | "ai.onnx", "Conv") => Value::Real(self.conv(node)?),
            ("" | "ai.onnx", "Add") => Value::Real(self.sum(node)?),
            ("" | "ai.onnx", "MaxPool") => Value::Real(self.max_pool(node)?),
            ("" | "ai.onnx", "Resize") => Value::Real(self.resize(node)?),
            ("" | "ai.onnx", "Relu") => Value::Real(self.activation(node, Activation::Relu)?),
            ("" | "ai.onnx", "Sigmoid") => Value::Real(self.activation(node, Activation::Sigmoid)?),
            (QUANTISERS, "WeightsSymmetricQuantizer") => self.weights(node)?,
            (QUANTISERS, "ActivationPOTQuantizer") => Value::Stored(self.quantise(node, output)?),
            ("" | "ai.onnx", "QuantizeLinear" | "DequantizeLinear") => {
                return Err(LoadError::Qdq {
                    node: node.name.clone(),
                    operator: node.op_type.clone(),
                });
            }
            ("" | "ai.onnx", operator) => {
                return Err(LoadError::Operator {
                    node: node.name.clone(),
                    operator: operator.to_owned(),
                });
            }
            (domain, operator) => {
                return Err(LoadError::Operator {
                    node: node.name.clone(),
                    operator: format!("{domain}.{operator}"),
                });
            }
        };
        self.values.insert(output, value);
        Ok(())
    }

    fn finish(mut self, outputs: &'a [ValueInfoProto]) -> Result<Graph, LoadError> {
        let [output] = outputs else {
            return Err(model("outputs", outputs.len(), "one, the mask"));
        };
        let output = output.name.as_str();
        self.graph.output = match self.tensor(output)? {
            Some(tensor) if tensor > 0 => tensor,
            _ => {
                return Err(model(
                    &format!("output {output:?}"),
                    "nothing, or real numbers",
                    "the result of an ActivationPOTQuantizer",
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
        Err(if self.values.contains_key(name) {
            refused(
                node,
                format!("input {name:?}, which is not quantised"),
                "an ActivationPOTQuantizer between the two",
            )
        } else {
            refused(
                node,
                format!("input {name:?}, which no earlier node makes"),
                "nodes in the order they run, and each real number with one reader",
            )
        })
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
        let (scale, signed) = (input.scale, input.signed);
        let tensor = self.push(pending, name, scale, signed)?;
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
            (name, Value::Real(pending)) => Some((name, pending)),
            _ => None,
        }
    }

    /// Whether several nodes read `name`: a pooled or resized picture then becomes a tensor of its own.
    fn is_shared(&self, name: &str) -> bool {
        self.readers.get(name).is_some_and(|&readers| readers > 1)
    }

    fn push(
        &mut self,
        pending: Pending,
        name: &str,
        scale: f32,
        signed: bool,
    ) -> Result<usize, LoadError> {
        let output = self.graph.tensors.len();
        let Pending { name: node_name, op, activation, inputs } = pending;
        let node = Node { name: node_name, op, activation, inputs, output };
        let inputs: Vec<&TensorSpec> =
            node.inputs.iter().map(|&i| &self.graph.tensors[i]).collect();
        let [channels, height, width] = node.output_shape(&inputs)?;
        let name = name.to_owned();
        self.graph.tensors.push(TensorSpec {
            name,
            channels,
            height,
            width,
            scale,
            zero_point: 0,
            signed,
        });
        self.graph.nodes.push(node);
        Ok(output)
    }

    fn constant(&self, node: &NodeProto, name: &str) -> Result<&'a TensorProto, LoadError> {
        self.constants.get(name).copied().ok_or_else(|| {
            refused(node, format!("input {name:?}"), "a constant or initialiser of the file")
        })
    }
}

impl Pending {
    fn new(node: &NodeProto, op: Op, inputs: Vec<usize>) -> Self {
        Self { name: node.name.clone(), op, activation: Activation::None, inputs }
    }

    /// Whether every number of the result is one of the input.
    fn only_picks(&self) -> bool {
        self.activation == Activation::None && matches!(self.op, Op::MaxPool(_) | Op::Resize(_))
    }
}

fn picture_spec(input: &ValueInfoProto) -> Result<TensorSpec, LoadError> {
    let what = format!("input {:?}", input.name);
    let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let Some((element, Some(shape))) = tensor.map(|t| (t.elem_type, t.shape.as_ref())) else {
        return Err(model(&what, "no shape", "a tensor [1, C, H, W]"));
    };
    if element != data_type::FLOAT {
        return Err(model(&what, format!("element type {element}"), "1 (float)"));
    }
    let dims: Vec<i64> = shape.dim.iter().map(|d| d.dim_value).collect();
    let sides = dims.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>();
    let Some(&[1, channels, height, width]) = sides.as_deref() else {
        return Err(model(&what, format!("shape {dims:?} (0: left open)"), "fixed [1, C, H, W]"));
    };
    // Scale and sign are filled in when its quantiser is met; `Value::Picture` guards that it is.
    let (scale, zero_point, signed) = (1.0, 0, false);
    let name = input.name.clone();
    let spec = TensorSpec { name, channels, height, width, scale, zero_point, signed };
    check_size(&spec.name, [channels, height, width])?;
    Ok(spec)
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
