//! The engine for processors with dot products of bytes: maps of u8 in blocks of sixteen channels.
//!
//! ```text
//!   a map     one plane for each sixteen channels; in it rows of pixels, sixteen bytes each
//!
//!             border  border  border  border          border: the stored zero, as wide as the padding that
//!             border  px 0,0  px 0,1  border          the convolutions reading the map need
//!             border  px 1,0  px 1,1  border          px: channel 16 b, 16 b + 1, ... 16 b + 15
//!             border  border  border  border
//! ```
//!
//! A signed number is stored 128 higher, since the instruction wants one factor unsigned; the surplus of a sum,
//! 128 times the sum of its weights, is known beforehand and taken off where the sum begins. The picture has
//! four bytes a pixel, not sixteen.
//!
//! What has no kernel of its own (odd poolings, depthwise windows other than 3 x 3) is computed one number
//! at a time by `plain.rs`, on the same layout.

mod map;
mod plain;
mod step;

use map::Map;
use step::Step;

use super::Network;
use super::graph::{Graph, Node, Op, TensorSpec};
use super::kernels::vnni::Vnni;
use super::plan::assign_buffers;

/// The network with all its buffers, ready to run without allocation.
#[derive(Debug)]
pub(super) struct Engine {
    input: TensorSpec,
    output: TensorSpec,
    places: Vec<Place>,
    output_at: usize,
    /// Each with the tensors it reads and the one it makes.
    steps: Vec<(Step, Vec<usize>, usize)>,
    buffers: Vec<Vec<u8>>,
}

/// Where a tensor is while it is needed.
#[derive(Debug)]
struct Place {
    map: Map,
    buffer: usize,
}

impl Engine {
    pub(super) fn new(network: &Network, vnni: Vnni) -> Self {
        let graph = network.graph();
        let maps = maps(graph);
        let steps = graph
            .nodes()
            .iter()
            .map(|node| (Step::new(graph, node, &maps, vnni), node.inputs.clone(), node.output));
        let steps = steps.collect();
        let lens: Vec<usize> = maps.iter().map(Map::len_bytes).collect();
        let (assigned, sizes) = assign_buffers(graph, &lens);
        let places =
            maps.into_iter().zip(assigned).map(|(map, buffer)| Place { map, buffer }).collect();
        Self {
            input: graph.input().clone(),
            output: graph.output().clone(),
            places,
            output_at: graph.output,
            steps,
            buffers: sizes.into_iter().map(|len| vec![0; len]).collect(),
        }
    }

    pub(super) fn run(&mut self, input: &[u8], output: &mut [u8]) {
        assert_eq!(input.len(), self.input.len_bytes(), "bytes of the network's input");
        assert_eq!(output.len(), self.output.len_bytes(), "bytes of the network's output");
        let Place { map, buffer } = &self.places[0];
        map.unpack(input, &mut self.buffers[*buffer]);
        for (step, inputs, output) in &self.steps {
            let Place { map: to, buffer } = &self.places[*output];
            // Taken out so that it can be written while others are read; a Vec moves without allocation.
            let mut made = std::mem::take(&mut self.buffers[*buffer]);
            let input = |index: usize| {
                let Place { map, buffer } = &self.places[inputs[index]];
                (map, self.buffers[*buffer].as_slice())
            };
            to.clear_border(&mut made);
            step.run(&input, (to, &mut made));
            self.buffers[*buffer] = made;
        }
        let Place { map, buffer } = &self.places[self.output_at];
        map.pack(&self.buffers[*buffer], output);
    }

    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffers.iter().map(Vec::len).sum()
    }
}

/// The layout of each tensor: a border as wide as the padding of the convolutions that read it.
fn maps(graph: &Graph) -> Vec<Map> {
    let mut borders = vec![[0; 4]; graph.tensors().len()];
    // Only dense convolutions manage without whole blocks of channels; a picture has three.
    let mut narrow = graph.input().channels <= 4;
    for node in graph.nodes() {
        let wanted = border(graph, node);
        for &tensor in &node.inputs {
            borders[tensor] = std::array::from_fn(|i| wanted[i].max(borders[tensor][i]));
        }
        let dense = matches!(&node.op, Op::Conv(conv) if !conv.is_depthwise());
        narrow &= dense || !node.inputs.contains(&0);
    }
    let map = |(index, (spec, border)): (usize, (&TensorSpec, [usize; 4]))| {
        Map::new(spec, if index == 0 && narrow { 4 } else { 16 }, border)
    };
    graph.tensors().iter().zip(borders).enumerate().map(map).collect()
}

/// Pixels around the picture that `node` reads.
fn border(graph: &Graph, node: &Node) -> [usize; 4] {
    match &node.op {
        Op::Conv(conv) if step::takes(graph, node) => conv.window.padding,
        _ => [0; 4],
    }
}
