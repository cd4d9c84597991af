//! What has no kernel of its own: the reference's arithmetic over the blocked layout.

use super::map::Map;
use crate::emulator::graph::{Activation, Graph, Node, TensorSpec};
use crate::emulator::reference;

/// Any node, one number at a time.
#[derive(Debug)]
pub(super) struct Plain {
    node: Node,
    inputs: Vec<TensorSpec>,
    output: TensorSpec,
}

impl Plain {
    pub(super) fn new(graph: &Graph, node: &Node) -> Self {
        let spec = |&tensor: &usize| graph.tensors()[tensor].clone();
        let inputs = node.inputs.iter().map(spec).collect();
        Self { inputs, output: spec(&node.output), node: node.clone() }
    }

    /// `input` gives the map and the bytes of the node's n-th input.
    pub(super) fn run<'a>(
        &self,
        input: &impl Fn(usize) -> (&'a Map, &'a [u8]),
        (to, made): (&Map, &mut [u8]),
    ) {
        let read = |index: usize, [channel, y, x]: [usize; 3]| {
            let (from, map) = input(index);
            from.number(map, channel, [y, x])
        };
        for channel in 0..to.channels {
            for y in 0..to.height {
                for x in 0..to.width {
                    let at = [channel, y, x];
                    let stored =
                        reference::value(&self.node, &self.inputs, &self.output, &read, at);
                    to.store(made, channel, [y, x], stored);
                }
            }
        }
    }
}

/// What each stored byte of one tensor becomes in another; `None` if every byte stays what it is.
pub(super) fn table(
    activation: Activation,
    from: &TensorSpec,
    to: &TensorSpec,
) -> Option<Box<[u8; 256]>> {
    let offset = |spec: &TensorSpec| if spec.signed { 128 } else { 0 };
    let entry = |byte: u8| {
        let real = from.real(from.widen(byte ^ offset(from)));
        reference::quantise(real, activation, to) ^ offset(to)
    };
    let table: [u8; 256] = std::array::from_fn(|byte| entry(byte.to_le_bytes()[0]));
    let changes = table.iter().enumerate().any(|(byte, &entry)| byte != usize::from(entry));
    changes.then(|| Box::new(table))
}
