//! What an ONNX file holds, whether or not the emulator can run it.
//!
//! ```text
//!   MCTQ    activations through ActivationPOTQuantizer      what Sony's converter takes
//!   QDQ     QuantizeLinear, DequantizeLinear                what other engines take
//!   float   neither                                         not quantised yet
//! ```
//!
//! Only facts are gathered here; `preflight.rs` says what they mean for the sensor.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::load::{self, LoadError};
use super::onnx::{GraphProto, NodeProto, TensorProto, ValueInfoProto};

mod memory;
mod shapes;

pub use memory::{LARGEST_MAPS, Live};
use shapes::{Shape, shape, shapes};

/// Facts about a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// Program that wrote it, with its version.
    pub producer: String,
    /// Operator sets; the empty domain is ONNX's own.
    pub opsets: Vec<(String, i64)>,
    /// How it is quantised.
    pub kind: Kind,
    /// Inputs.
    pub inputs: Vec<TensorFacts>,
    /// Outputs.
    pub outputs: Vec<TensorFacts>,
    /// Operators and how often each occurs; those of other domains with the domain before them.
    pub operators: BTreeMap<String, usize>,
    /// Names of the nodes of each operator, the first of them.
    #[serde(skip)]
    pub first_nodes: BTreeMap<String, String>,
    /// Weights and biases.
    pub parameters: u64,
    /// Multiply-accumulates of convolutions and matrix products; `None` where a shape is not stated.
    pub macs: Option<u64>,
    /// Tensors that are alive at the same time, at the worst moment; `None` where a shape is not stated.
    pub live: Option<Live>,
}

/// How a file is quantised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// By model-compression-toolkit's quantisers.
    Mctq,
    /// By ONNX's own.
    Qdq,
    /// Not at all.
    Float,
}

impl Kind {
    /// As people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mctq => "MCTQ",
            Self::Qdq => "QDQ",
            Self::Float => "float",
        }
    }
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorFacts {
    /// Name.
    pub name: String,
    /// N, C, H, W in most files; `None` for an axis that is left open.
    pub shape: Vec<Option<u64>>,
    /// Its quantiser, where there is one.
    pub quantiser: Option<Quantiser>,
    /// Operator that makes an output, behind its quantiser; `None` for inputs.
    pub made_by: Option<String>,
}

/// A quantiser of activations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiser {
    /// Bits of an element.
    pub bits: i64,
    /// Whether negative numbers can be stored.
    pub signed: bool,
    /// Real value of one step.
    pub scale: f32,
}

impl Survey {
    /// Surveys a file.
    ///
    /// # Errors
    /// When it is no ONNX file or is cut short.
    pub fn new(file: &[u8]) -> Result<Self, LoadError> {
        let model = load::decode(file)?;
        let graph = model
            .graph
            .as_ref()
            .ok_or_else(|| LoadError::NotOnnx { reason: "it has no graph".to_owned() })?;
        let wires = Wires::new(graph);
        let mut operators = BTreeMap::new();
        let mut first_nodes = BTreeMap::new();
        for node in &graph.node {
            let name = operator(node);
            first_nodes.entry(name.clone()).or_insert_with(|| node.name.clone());
            *operators.entry(name).or_default() += 1;
        }
        let has = |name: &str| graph.node.iter().any(|node| node.op_type == name);
        let kind = if has(ACTIVATION_QUANTISER) {
            Kind::Mctq
        } else if has("QuantizeLinear") || has("DequantizeLinear") {
            Kind::Qdq
        } else {
            Kind::Float
        };
        let constants: HashSet<&str> =
            graph.initializer.iter().map(|constant| constant.name.as_str()).collect();
        let inputs = graph.input.iter().filter(|input| !constants.contains(input.name.as_str()));
        Ok(Self {
            producer: format!("{} {}", model.producer_name, model.producer_version)
                .trim()
                .to_owned(),
            opsets: model.opset_import.iter().map(|o| (o.domain.clone(), o.version)).collect(),
            kind,
            inputs: inputs.map(|input| wires.input(input)).collect(),
            outputs: graph.output.iter().map(|output| wires.output(output)).collect(),
            operators,
            first_nodes,
            parameters: wires.parameters(),
            macs: wires.macs(),
            live: memory::live(graph, &wires),
        })
    }
}

/// The graph by names.
struct Wires<'a> {
    graph: &'a GraphProto,
    shapes: HashMap<&'a str, Shape>,
    constants: HashMap<&'a str, &'a TensorProto>,
    makers: HashMap<&'a str, &'a NodeProto>,
}

impl<'a> Wires<'a> {
    fn new(graph: &'a GraphProto) -> Self {
        let shapes = shapes(graph);
        let mut constants: HashMap<&str, &TensorProto> =
            graph.initializer.iter().map(|constant| (constant.name.as_str(), constant)).collect();
        let mut makers = HashMap::new();
        for node in &graph.node {
            for output in &node.output {
                makers.insert(output.as_str(), node);
            }
            let value = node.attribute.iter().find(|attribute| attribute.name == "value");
            if let (true, Some(name), Some(tensor)) =
                (node.op_type == "Constant", node.output.first(), value.and_then(|v| v.t.as_ref()))
            {
                constants.insert(name, tensor);
            }
        }
        Self { graph, shapes, constants, makers }
    }

    fn input(&self, input: &ValueInfoProto) -> TensorFacts {
        let mut readers =
            self.graph.node.iter().filter(|node| node.input.first() == Some(&input.name));
        let quantiser = readers.find_map(|node| self.quantiser(node));
        let shape = shape(input).unwrap_or_default();
        TensorFacts { name: input.name.clone(), shape, quantiser, made_by: None }
    }

    fn output(&self, output: &ValueInfoProto) -> TensorFacts {
        let mut maker = self.makers.get(output.name.as_str()).copied();
        let mut quantiser = None;
        // Back through the quantiser to what computes the numbers.
        for _ in 0..3 {
            let Some(node) = maker else { break };
            if !is_quantiser(node) {
                break;
            }
            quantiser = quantiser.or_else(|| self.quantiser(node));
            maker = node.input.first().and_then(|name| self.makers.get(name.as_str()).copied());
        }
        TensorFacts {
            name: output.name.clone(),
            shape: shape(output).unwrap_or_default(),
            quantiser,
            made_by: maker.map(operator),
        }
    }

    fn quantiser(&self, node: &NodeProto) -> Option<Quantiser> {
        let attribute = |name| node.attribute.iter().find(|attribute| attribute.name == name);
        if node.op_type == ACTIVATION_QUANTISER {
            let bits = attribute("num_bits")?.i;
            let signed = attribute("signed")?.i != 0;
            let steps = if signed { bits.checked_sub(1)? } else { bits };
            let steps = i32::try_from(steps).ok().filter(|steps| (0..=31).contains(steps))?;
            return Some(Quantiser {
                bits,
                signed,
                scale: attribute("threshold")?.f / 2_f32.powi(steps),
            });
        }
        if node.op_type != "QuantizeLinear" {
            return None;
        }
        let scale = *self.constants.get(node.input.get(1)?.as_str())?;
        let zero_point = *self.constants.get(node.input.get(2)?.as_str())?;
        let (bits, signed) = match zero_point.data_type {
            2 => (8, false),
            3 => (8, true),
            4 => (16, false),
            5 => (16, true),
            _ => return None,
        };
        Some(Quantiser { bits, signed, scale: first_float(scale)? })
    }

    /// Elements of the constants that convolutions and matrix products take, also through quantisers.
    fn parameters(&self) -> u64 {
        let mut counted = HashSet::new();
        let mut parameters = 0_u64;
        for node in self.graph.node.iter().filter(|node| WEIGHTED.contains(&node.op_type.as_str()))
        {
            for input in node.input.iter().skip(1) {
                if let Some(constant) = self.constant_behind(input)
                    && counted.insert(constant.name.as_str())
                {
                    parameters = parameters.saturating_add(elements(&constant.dims));
                }
            }
        }
        parameters
    }

    fn constant_behind(&self, name: &str) -> Option<&'a TensorProto> {
        let mut name = name;
        for _ in 0..4 {
            if let Some(constant) = self.constants.get(name) {
                return Some(constant);
            }
            name = self.makers.get(name)?.input.first()?;
        }
        None
    }

    fn macs(&self) -> Option<u64> {
        let mut macs = 0_u64;
        for node in &self.graph.node {
            if !WEIGHTED.contains(&node.op_type.as_str()) {
                continue;
            }
            let weights = &self.constant_behind(node.input.get(1)?)?.dims;
            // A transposed convolution multiplies each input by its window, the others each output.
            let counted = match node.op_type.as_str() {
                "ConvTranspose" => node.input.first()?,
                _ => node.output.first()?,
            };
            let counted = self.len(counted)?;
            let products = elements(weights.get(1..).unwrap_or_default());
            macs = macs.saturating_add(counted.saturating_mul(products));
        }
        Some(macs)
    }

    /// Elements of a tensor whose shape is stated.
    fn len(&self, name: &str) -> Option<u64> {
        let shape = self.shapes.get(name)?;
        shape.iter().try_fold(1_u64, |product, axis| Some(product.saturating_mul((*axis)?)))
    }
}

/// Operator of a node, with its domain where it is not ONNX's own.
fn operator(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

fn is_quantiser(node: &NodeProto) -> bool {
    let kind = node.op_type.as_str();
    kind == ACTIVATION_QUANTISER || matches!(kind, "QuantizeLinear" | "DequantizeLinear")
}

fn elements(dims: &[i64]) -> u64 {
    dims.iter().fold(1, |product, &n| product.saturating_mul(u64::try_from(n).unwrap_or(0)))
}

fn first_float(tensor: &TensorProto) -> Option<f32> {
    let raw = tensor.raw_data.first_chunk().map(|bytes| f32::from_le_bytes(*bytes));
    tensor.float_data.first().copied().or(raw)
}

pub(super) const ACTIVATION_QUANTISER: &str = "ActivationPOTQuantizer";
const WEIGHTED: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];
