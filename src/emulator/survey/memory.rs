//! How much of the sensor's memory the tensors of a network take at the worst moment.
//!
//! ```text
//!   a stored tensor   channels rounded up to 32, one byte an element; the input as it is
//!   same place        quantisers, Relu and other functions of one tensor; Add and Mul, in that of
//!                     an input; Resize, whose reader repeats pixels instead
//!   a moment          one convolution, pool, concatenation ...: what it reads, what it makes, and
//!                     what later nodes still read
//! ```
//!
//! The rule is no documentation of Sony's: it was fitted to what imx500-converter 3.19.2 reports for the
//! shipped network at 14 input sizes and for variants of it (packaging/memory.md has the table, and the
//! command that makes it). The converter's own order of computing may be better or worse.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::shapes::keeps_shape;
use super::{Wires, is_quantiser};
use crate::emulator::onnx::GraphProto;

/// What is alive at the worst moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Bytes of all tensors that are alive, without the input.
    pub bytes: u64,
    /// Bytes of the input if it is still read then.
    pub input_bytes: u64,
    /// Bytes of the input.
    pub whole_input_bytes: u64,
    /// The node that is computed then.
    pub node: String,
    /// The largest tensors alive then: name of the first node that made each, shape, bytes.
    pub largest: Vec<(String, Vec<u64>, u64)>,
}

/// How many tensors [`Live::largest`] lists.
pub const LARGEST_MAPS: usize = 4;

/// Walks the nodes in their order; `None` where a shape is not stated.
pub(super) fn live(graph: &GraphProto, wires: &Wires<'_>) -> Option<Live> {
    let places = Places::new(graph, wires);
    let input = graph.input.iter().find(|input| !wires.constants.contains_key(&*input.name))?;
    let input_place = places.of(&input.name)?;
    let whole_input_bytes = wires.len(&input.name)?;
    let mut last_read: HashMap<usize, usize> = HashMap::new();
    for (step, node) in graph.node.iter().enumerate() {
        for place in node.input.iter().filter_map(|name| places.of(name)) {
            last_read.insert(place, step);
        }
    }
    for output in &graph.output {
        last_read.insert(places.of(&output.name)?, graph.node.len());
    }
    let mut alive: HashMap<usize, (String, Vec<u64>, u64)> = HashMap::new();
    let mut worst: Option<Live> = None;
    for (step, node) in graph.node.iter().enumerate() {
        for name in &node.output {
            let Some(place) = places.of(name).filter(|place| *place != input_place) else {
                continue;
            };
            if places.repeated.contains(name.as_str()) {
                continue;
            }
            let shape: Option<Vec<u64>> =
                wires.shapes.get(name.as_str())?.iter().copied().collect();
            let shape = shape?;
            let bytes = stored_bytes(&shape);
            let label = node.name.clone();
            let entry = alive.entry(place).or_insert_with(|| (label, shape.clone(), bytes));
            if entry.2 < bytes {
                (entry.1, entry.2) = (shape, bytes);
            }
        }
        let bytes: u64 = alive.values().map(|(_, _, bytes)| *bytes).sum();
        let is_input_read = last_read.get(&input_place).is_some_and(|&last| last >= step);
        let input_bytes = if is_input_read { whole_input_bytes } else { 0 };
        if worst.as_ref().is_none_or(|w| w.bytes + w.input_bytes < bytes + input_bytes) {
            let mut largest: Vec<_> = alive.values().cloned().collect();
            largest.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
            largest.truncate(LARGEST_MAPS);
            let node = node.name.clone();
            worst = Some(Live { bytes, input_bytes, whole_input_bytes, node, largest });
        }
        alive.retain(|place, _| last_read.get(place).is_some_and(|&last| last > step));
    }
    worst
}

/// Channels are held in groups of 32; an axis that is not there counts 1.
fn stored_bytes(shape: &[u64]) -> u64 {
    let [channels, rest @ ..] = shape.get(1..).unwrap_or_default() else { return 0 };
    let channels = channels.div_ceil(CHANNEL_GROUP).saturating_mul(CHANNEL_GROUP);
    rest.iter().fold(channels, |product, &axis| product.saturating_mul(axis))
}

/// Which names stand for the same memory.
struct Places<'a> {
    by_name: HashMap<&'a str, usize>,
    /// Resized tensors, which are read out of the smaller ones that they repeat.
    repeated: HashSet<&'a str>,
}

impl<'a> Places<'a> {
    fn new(graph: &'a GraphProto, wires: &Wires<'a>) -> Self {
        let inputs = graph.input.iter().map(|input| input.name.as_str());
        let inputs = inputs.filter(|name| !wires.constants.contains_key(name));
        let by_name = inputs.enumerate().map(|(n, name)| (name, n)).collect();
        let mut places = Self { by_name, repeated: HashSet::new() };
        for (step, node) in graph.node.iter().enumerate() {
            let read: Vec<&str> = node.input.iter().map(String::as_str).collect();
            let mut tensors = read.iter().filter(|name| places.by_name.contains_key(**name));
            // A node that reads no tensor makes a constant or quantises weights.
            let Some(&first) = tensors.clone().next() else { continue };
            let operator = node.op_type.as_str();
            let repeats =
                operator == "Resize" || (is_quantiser(node) && places.repeated.contains(first));
            let taken = match operator {
                "Add" | "Mul" => tensors.find(|name| !places.repeated.contains(**name)).copied(),
                _ if repeats || keeps_shape(node) || RESHAPES.contains(&operator) => Some(first),
                _ => None,
            };
            // Numbers of new places go on behind those of the inputs.
            let place = taken.and_then(|name| places.of(name)).unwrap_or(graph.input.len() + step);
            for output in &node.output {
                places.by_name.insert(output, place);
                if repeats {
                    places.repeated.insert(output);
                }
            }
        }
        places
    }

    fn of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

const CHANNEL_GROUP: u64 = 32;
/// The same bytes under another shape.
const RESHAPES: [&str; 3] = ["Reshape", "Squeeze", "Unsqueeze"];
