//! The shapes of all tensors, as far as the file states them or they follow from others.
//!
//! Exporters leave out the shapes around operators that they do not know. They follow forwards and
//! backwards through whatever treats each element by itself, and forwards through pools and concatenations.

use std::collections::HashMap;

use super::is_quantiser;
use crate::emulator::onnx::{GraphProto, NodeProto, ValueInfoProto};

/// Sizes along the axes, N C H W in most files; `None` for an axis that is left open.
pub(super) type Shape = Vec<Option<u64>>;

/// Shapes by tensor name.
pub(super) fn shapes(graph: &GraphProto) -> HashMap<&str, Shape> {
    let infos = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
    let stated = infos.filter_map(|info| Some((info.name.as_str(), shape(info)?)));
    let mut shapes: HashMap<&str, Shape> = stated.collect();
    // What follows backwards may let others follow forwards; twice is enough for every chain.
    for _ in 0..2 {
        for node in &graph.node {
            let Some(input) = node.input.first().and_then(|name| shapes.get(name.as_str())) else {
                continue;
            };
            let found = match node.op_type.as_str() {
                "Add" | "Mul" => Some(broadcast(
                    input,
                    node.input.get(1).and_then(|name| shapes.get(name.as_str())),
                )),
                "MaxPool" | "AveragePool" => pooled(node, input),
                "GlobalAveragePool" => Some(one_pixel(input)),
                "Concat" => joined(node, &shapes),
                _ if keeps_shape(node) => Some(input.clone()),
                _ => None,
            };
            if let (Some(found), Some(output)) = (found, node.output.first()) {
                shapes.entry(output).or_insert(found);
            }
        }
        for node in graph.node.iter().rev().filter(|node| keeps_shape(node)) {
            let output = node.output.first().and_then(|name| shapes.get(name.as_str())).cloned();
            if let (Some(output), Some(input)) = (output, node.input.first()) {
                shapes.entry(input).or_insert(output);
            }
        }
    }
    shapes
}

/// The shape that an input or output states.
pub(super) fn shape(info: &ValueInfoProto) -> Option<Shape> {
    let axes = &info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?.dim;
    Some(axes.iter().map(|axis| u64::try_from(axis.dim_value).ok().filter(|&n| n > 0)).collect())
}

/// Whether a node treats each element by itself.
pub(super) fn keeps_shape(node: &NodeProto) -> bool {
    is_quantiser(node) || ELEMENTWISE.contains(&node.op_type.as_str())
}

/// A sum or product of two shapes: an axis of 1 takes the length of the other's.
fn broadcast(shape: &Shape, other: Option<&Shape>) -> Shape {
    let Some(other) = other.filter(|other| other.len() == shape.len()) else {
        return shape.clone();
    };
    let axis = |(&a, &b): (&Option<u64>, &Option<u64>)| if a == Some(1) { b } else { a };
    shape.iter().zip(other).map(axis).collect()
}

fn one_pixel(input: &Shape) -> Shape {
    let axis = |(axis, &len): (usize, &Option<u64>)| if axis < 2 { len } else { Some(1) };
    input.iter().enumerate().map(axis).collect()
}

/// Several tensors, one behind the other along an axis counted from the front.
fn joined(node: &NodeProto, shapes: &HashMap<&str, Shape>) -> Option<Shape> {
    let axis = node.attribute.iter().find(|attribute| attribute.name == "axis")?.i;
    let axis = usize::try_from(axis).ok()?;
    let mut inputs = node.input.iter().map(|name| shapes.get(name.as_str()));
    let mut shape = inputs.next()??.clone();
    for input in inputs {
        let len = *input?.get(axis)?;
        let sum = shape.get_mut(axis)?;
        *sum = (*sum)?.checked_add(len?);
    }
    Some(shape)
}

fn pooled(node: &NodeProto, input: &Shape) -> Option<Shape> {
    let numbers = |name| {
        let attribute = node.attribute.iter().find(|attribute| attribute.name == name)?;
        let numbers = attribute.ints.iter().map(|&n| u64::try_from(n).ok());
        numbers.collect::<Option<Vec<u64>>>()
    };
    let window = numbers("kernel_shape")?;
    let strides = numbers("strides").unwrap_or_else(|| vec![1; window.len()]);
    let pads = numbers("pads").unwrap_or_else(|| vec![0; 2 * window.len()]);
    let mut shape = input.clone();
    for (axis, size) in shape.iter_mut().skip(2).enumerate() {
        let padded = (*size)?.checked_add(*pads.get(axis)?)?;
        let padded = padded.checked_add(*pads.get(axis + window.len())?)?;
        let steps = padded.checked_sub(*window.get(axis)?)?.checked_div(*strides.get(axis)?)?;
        *size = steps.checked_add(1);
    }
    Some(shape)
}

const ELEMENTWISE: [&str; 10] = [
    "Relu",
    "PRelu",
    "Clip",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Tanh",
    "Identity",
    "Softmax",
];
