//! From graph to steps: which kernel runs each node, and which buffer holds each tensor when.
//!
//! ```text
//!   bytes C,H,W --unpack--> map --step--> map --step--> ... map --pack--> bytes C,H,W
//! ```
//!
//! A buffer is free again after the last step that reads its tensor; the next tensor takes the free one
//! that fits best. All of it is decided and allocated in [`Engine::new`]; [`Engine::run`] allocates nothing.

use super::Network;
use super::graph::{Activation, Graph, Node, Op, TensorSpec};
use super::kernels::Layout;
use super::kernels::dense::Dense;
use super::kernels::depthwise::Depthwise;
use super::kernels::pointwise::{Add, Table};
use super::kernels::requantise::widen_i16;
use super::kernels::spatial::{MaxPool, Pick};
use super::kernels::winograd::Winograd;
use super::reference;

/// The network with all its buffers, ready to run without allocation.
#[derive(Debug)]
pub(super) struct Engine {
    input: TensorSpec,
    output: TensorSpec,
    places: Vec<Place>,
    output_at: usize,
    steps: Vec<Step>,
    buffers: Vec<Vec<i16>>,
}

/// Where a tensor is while it is needed.
#[derive(Debug)]
struct Place {
    layout: Layout,
    buffer: usize,
}

#[derive(Debug)]
struct Step {
    kernel: Kernel,
    inputs: Vec<usize>,
    output: usize,
}

#[derive(Debug)]
enum Kernel {
    /// Whatever has no kernel of its own, by the reference's arithmetic.
    Plain(Plain),
    Dense(Dense),
    Winograd(Winograd),
    Depthwise(Depthwise),
    Add(Add),
    MaxPool(MaxPool),
    Pick(Pick),
}

impl Engine {
    /// Plans the layout and allocates every buffer.
    pub(super) fn new(network: &Network) -> Self {
        let graph = network.graph();
        let layouts = layouts(graph);
        let steps = graph.nodes().iter().map(|node| step(graph, node, &layouts)).collect();
        let (assigned, sizes) =
            assign_buffers(graph, &layouts.iter().map(Layout::len).collect::<Vec<_>>());
        let places = layouts
            .into_iter()
            .zip(assigned)
            .map(|(layout, buffer)| Place { layout, buffer })
            .collect();
        Self {
            input: graph.input().clone(),
            output: graph.output().clone(),
            places,
            output_at: graph.output,
            steps,
            buffers: sizes.into_iter().map(|len| vec![0; len]).collect(),
        }
    }

    /// Runs one inference. `input`: stored bytes C, H, W. `output`: stored bytes C, H, W.
    pub(super) fn run(&mut self, input: &[u8], output: &mut [u8]) {
        assert_eq!(input.len(), self.input.len_bytes(), "bytes of the network's input");
        assert_eq!(output.len(), self.output.len_bytes(), "bytes of the network's output");
        let Place { layout, buffer } = &self.places[0];
        unpack(&self.input, input, layout, &mut self.buffers[*buffer]);
        for step in &mut self.steps {
            let Place { layout: to, buffer } = &self.places[step.output];
            // Taken out so that it can be written while others are read; a Vec moves without allocation.
            let mut made = std::mem::take(&mut self.buffers[*buffer]);
            let input = |index: usize| {
                let Place { layout, buffer } = &self.places[step.inputs[index]];
                (layout, self.buffers[*buffer].as_slice())
            };
            let a = input(0);
            let to = (to, made.as_mut_slice());
            match &mut step.kernel {
                Kernel::Dense(dense) => dense.run(a, to),
                Kernel::Winograd(winograd) => winograd.run(a, to),
                Kernel::Depthwise(depthwise) => depthwise.run(a, to),
                Kernel::Add(add) => add.run([a, input(1)], to),
                Kernel::Plain(plain) => plain.run(&input, to),
                Kernel::MaxPool(pool) => pool.run(a, to),
                Kernel::Pick(pick) => pick.run(a, to),
            }
            self.buffers[*buffer] = made;
        }
        let Place { layout, buffer } = &self.places[self.output_at];
        pack(layout, &self.buffers[*buffer], output);
    }

    /// Bytes of all buffers for tensors.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffers.iter().map(|buffer| size_of_val(buffer.as_slice())).sum()
    }
}

/// The layout of each tensor: a border as wide as the padding of the convolutions that read it.
fn layouts(graph: &Graph) -> Vec<Layout> {
    let mut borders = vec![[0; 4]; graph.tensors().len()];
    // Only dense convolutions manage without whole vectors of lanes; a picture has three channels.
    let mut narrow = graph.input().channels <= 4;
    for node in graph.nodes() {
        let wanted = border(graph, node, &graph.tensors()[node.output]);
        for &tensor in &node.inputs {
            borders[tensor] = std::array::from_fn(|i| wanted[i].max(borders[tensor][i]));
        }
        let dense = matches!(&node.op, Op::Conv(conv) if !conv.is_depthwise());
        narrow &= dense || !node.inputs.contains(&0);
    }
    let layout = |(index, (spec, border)): (usize, (&TensorSpec, [usize; 4]))| {
        let lanes = if index == 0 && narrow { 4 } else { spec.channels.next_multiple_of(8) };
        Layout::new(spec, lanes, border)
    };
    graph.tensors().iter().zip(borders).enumerate().map(layout).collect()
}

/// Pixels around the picture that `node` reads.
fn border(graph: &Graph, node: &Node, output: &TensorSpec) -> [usize; 4] {
    let Op::Conv(conv) = &node.op else { return [0; 4] };
    if !has_kernel(graph, node) {
        return [0; 4];
    }
    let [above, left, below, right] = conv.window.padding;
    let [rows, columns] = Winograd::overhang(&conv.window, output);
    [above, left, below + rows, right + columns]
}

/// Whether a node is not left to [`Plain`].
fn has_kernel(graph: &Graph, node: &Node) -> bool {
    let dilated = matches!(&node.op, Op::Conv(conv) if conv.window.dilation != [1, 1]);
    let known =
        matches!(node.activation, Activation::None | Activation::Relu | Activation::Sigmoid);
    graph.has_powers_of_two(node) && node.slopes.is_empty() && known && !dilated
}

/// Any node, one number at a time.
#[derive(Debug)]
struct Plain {
    node: Node,
    inputs: Vec<TensorSpec>,
    output: TensorSpec,
}

impl Plain {
    fn new(graph: &Graph, node: &Node) -> Self {
        let spec = |&tensor: &usize| graph.tensors()[tensor].clone();
        let inputs = node.inputs.iter().map(spec).collect();
        Self { inputs, output: spec(&node.output), node: node.clone() }
    }

    fn run<'a>(
        &self,
        input: &impl Fn(usize) -> (&'a Layout, &'a [i16]),
        (to, made): (&Layout, &mut [i16]),
    ) {
        let read = |index: usize, [channel, y, x]: [usize; 3]| {
            let (from, map) = input(index);
            i32::from(from.row(map, y)[x * from.lanes + channel])
        };
        to.clear_border(made);
        for y in 0..to.height {
            let row = to.row_mut(made, y);
            for (x, pixel) in row.chunks_exact_mut(to.lanes).enumerate() {
                for (channel, number) in pixel.iter_mut().enumerate().take(self.output.channels) {
                    let at = [channel, y, x];
                    let byte = reference::value(&self.node, &self.inputs, &self.output, &read, at);
                    *number = widen_i16(&self.output, byte);
                }
            }
        }
    }
}

fn step(graph: &Graph, node: &Node, layouts: &[Layout]) -> Step {
    let inputs = node.inputs.clone();
    let input = |index: usize| &graph.tensors()[node.inputs[index]];
    let a = input(0);
    let output = &graph.tensors()[node.output];
    let table = || Table::new(node.activation, a, output);
    let pick = |to| {
        Kernel::Pick(Pick::new(to, [a.height, a.width], [output.height, output.width], table()))
    };
    let kernel = match &node.op {
        _ if !has_kernel(graph, node) => Kernel::Plain(Plain::new(graph, node)),
        Op::Conv(conv) if conv.is_depthwise() => {
            Kernel::Depthwise(Depthwise::new(conv, node.activation, [a, output]))
        }
        Op::Conv(conv) => {
            let lanes = layouts[inputs[0]].lanes;
            if Winograd::takes(&conv.window, lanes) {
                Kernel::Winograd(Winograd::new(conv, node.activation, [a, output], lanes))
            } else {
                Kernel::Dense(Dense::new(conv, node.activation, [a, output], lanes))
            }
        }
        Op::Add => Kernel::Add(Add::new(node.activation, [a, input(1)], output)),
        Op::MaxPool(window) => Kernel::MaxPool(MaxPool { window: *window, table: table() }),
        Op::Resize(to) => pick(Some(*to)),
        Op::Copy => pick(None),
        _ => Kernel::Plain(Plain::new(graph, node)),
    };
    Step { kernel, inputs, output: node.output }
}

/// A buffer for each tensor, and the length of each buffer.
pub(super) fn assign_buffers(graph: &Graph, lens: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut last_reader: Vec<Option<usize>> = vec![None; lens.len()];
    for (at, node) in graph.nodes().iter().enumerate() {
        for &tensor in &node.inputs {
            last_reader[tensor] = Some(at);
        }
    }
    let mut sizes = vec![lens[0]];
    let mut free: Vec<usize> = Vec::new();
    let mut assigned = vec![0; lens.len()];
    for (at, node) in graph.nodes().iter().enumerate() {
        let wanted = lens[node.output];
        // The smallest that is large enough, else the largest, which then grows.
        let fit = |&&buffer: &&usize| {
            let len = sizes[buffer];
            (len < wanted, if len < wanted { wanted - len } else { len })
        };
        let buffer = match free.iter().min_by_key(fit).copied() {
            Some(buffer) => buffer,
            None => {
                sizes.push(0);
                sizes.len() - 1
            }
        };
        free.retain(|&other| other != buffer);
        sizes[buffer] = sizes[buffer].max(wanted);
        assigned[node.output] = buffer;
        // The output is never freed here; a tensor that nobody reads keeps its buffer too.
        for (index, &tensor) in node.inputs.iter().enumerate() {
            let once = !node.inputs[..index].contains(&tensor);
            if once && last_reader[tensor] == Some(at) && tensor != graph.output {
                free.push(assigned[tensor]);
            }
        }
    }
    (assigned, sizes)
}

fn unpack(spec: &TensorSpec, bytes: &[u8], to: &Layout, map: &mut [i16]) {
    to.clear_border(map);
    for (channel, plane) in bytes.chunks_exact(spec.height * spec.width).enumerate() {
        for (y, row) in plane.chunks_exact(spec.width).enumerate() {
            let pixels = to.row_mut(map, y).chunks_exact_mut(to.lanes);
            for (pixel, &byte) in pixels.zip(row) {
                pixel[channel] = widen_i16(spec, byte);
            }
        }
    }
}

fn pack(from: &Layout, map: &[i16], bytes: &mut [u8]) {
    for (channel, plane) in bytes.chunks_exact_mut(from.height * from.width).enumerate() {
        for (y, row) in plane.chunks_exact_mut(from.width).enumerate() {
            for (byte, pixel) in row.iter_mut().zip(from.row(map, y).chunks_exact(from.lanes)) {
                *byte = pixel[channel].to_le_bytes()[0];
            }
        }
    }
}
