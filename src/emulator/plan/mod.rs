//! From graph to rows: how each tensor is laid out, what is made when, and by which thread.
//!
//! ```text
//!   Graph --step.rs, prepare.rs--> steps     weights laid out for the processor's instructions
//!         --map.rs---------------> maps      rows of pixels, sixteen channels side by side
//!         --schedule.rs----------> events    "row 7 of step 3": each as soon as what it reads is there
//!         --stage.rs-------------> stages    steps whose rows stream through one another; threads share rows
//! ```
//!
//! One thread runs the whole network as one stage: a full-size map is never in memory, only the few rows of it
//! that are still read. Several threads each make a band of rows; where a step reads rows of a neighbour, both make
//! them, so a stage ends before that costs more than a few percent. Whoever makes a row, its bytes are the same.
//!
//! All of it is decided and allocated in [`Plan::new`]; [`Plan::run`] allocates nothing, but for the queue through which
//! a frame reaches several threads: one block for 63 frames.

mod map;
mod prepare;
mod schedule;
mod stage;
mod step;

use std::ops::Range;

use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefMutIterator as _, ParallelIterator as _};

use self::map::Map;
use self::schedule::rows_needed;
use self::stage::{Band, Frame, Results, Stage};
use self::step::Step;
use super::graph::{Graph, Op};
use super::kernels::{Instructions, SLACK};

/// The network with all its buffers, ready to run without allocation.
#[derive(Debug)]
pub(super) struct Plan {
    maps: Vec<Map>,
    steps: Vec<Step>,
    stages: Vec<Stage>,
    zeros: [Vec<u8>; 2],
    output: usize,
    pool: Option<ThreadPool>,
}

impl Plan {
    /// For the threads of `pool`; without one the caller's alone.
    pub(super) fn new(graph: &Graph, instructions: Instructions, pool: Option<ThreadPool>) -> Self {
        let maps = maps(graph);
        let nodes = graph.nodes().iter().map(|node| Step::new(graph, node, &maps, instructions));
        let steps: Vec<Step> = std::iter::once(Step::unpack(instructions)).chain(nodes).collect();
        let threads = pool.as_ref().map_or(1, ThreadPool::current_num_threads);
        let stages = stages(&maps, &steps, graph.output, threads);
        let longest = maps.iter().map(Map::row_len).max().unwrap_or(0) + SLACK;
        let zeros = [vec![0; longest], vec![128; longest]];
        Self { maps, steps, stages, zeros, output: graph.output, pool }
    }

    /// Stored bytes C, H, W in and out, of the right lengths.
    pub(super) fn run(&mut self, input: &[u8], output: &mut [u8]) {
        let Self { maps, steps, stages, zeros, pool, .. } = self;
        let mut work = |together: bool| {
            for index in 0..stages.len() {
                let (done, rest) = stages.split_at_mut(index);
                let frame = Frame { maps, steps, input, zeros, done };
                let bands = &mut rest[0].bands;
                if together {
                    bands.par_iter_mut().for_each(|band| band.run(frame));
                } else {
                    bands.iter_mut().for_each(|band| band.run(frame));
                }
            }
        };
        match pool {
            Some(pool) => pool.install(|| work(true)),
            None => work(false),
        }
        for stage in &self.stages {
            stage.deliver(&self.maps[self.output], output);
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    /// Bytes of all buffers for tensors.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.stages.iter().flat_map(|stage| &stage.bands).map(Band::bytes).sum()
    }
}

/// The layout of each tensor: a border as wide as the padding of the convolutions that read it.
fn maps(graph: &Graph) -> Vec<Map> {
    let mut borders = vec![[0; 2]; graph.tensors().len()];
    // Only dense convolutions manage without whole blocks of channels; a picture has three.
    let mut narrow = graph.input().channels <= 4 && graph.output != 0;
    for node in graph.nodes() {
        if let Op::Conv(conv) = &node.op
            && step::is_fast(graph, node)
        {
            let [_, left, _, right] = conv.window.padding;
            for &tensor in &node.inputs {
                let [known_left, known_right] = borders[tensor];
                borders[tensor] = [left.max(known_left), right.max(known_right)];
            }
        }
        let dense = matches!(&node.op, Op::Conv(conv) if !conv.is_depthwise());
        narrow &= dense || !node.inputs.contains(&0);
    }
    let map =
        |((index, spec), border)| Map::new(spec, if index == 0 && narrow { 4 } else { 16 }, border);
    graph.tensors().iter().enumerate().zip(borders).map(map).collect()
}

/// As many steps in a stage as can be had before the threads compute too much twice.
fn stages(maps: &[Map], steps: &[Step], output: usize, threads: usize) -> Vec<Stage> {
    let mut last_reader = vec![0; maps.len()];
    for (at, step) in steps.iter().enumerate() {
        for &tensor in &step.inputs {
            last_reader[tensor] = at;
        }
    }
    // What is made in `range`, and read after it or given out.
    let results = |range: &Range<usize>| Results {
        kept: {
            let made = steps[range.clone()].iter().map(|step| step.output);
            made.filter(|&tensor| last_reader[tensor] >= range.end).collect()
        },
        output: steps[range.clone()].iter().any(|step| step.output == output).then_some(output),
    };
    let mut stages = Vec::new();
    let mut start = 0;
    while start < steps.len() {
        // One thread computes nothing twice.
        let mut end = if threads == 1 { steps.len() } else { start + 1 };
        while end < steps.len() {
            let longer = start..end + 1;
            if surplus(maps, &steps[longer.clone()], &results(&longer), threads) > MAX_SURPLUS {
                break;
            }
            end += 1;
        }
        let range = start..end;
        let results = results(&range);
        stages.push(Stage::new(maps, steps, range, &results, threads));
        start = end;
    }
    stages
}

/// What several threads compute together, over what one alone would, less one.
fn surplus(maps: &[Map], steps: &[Step], results: &Results, threads: usize) -> f64 {
    let mut work = 0;
    for thread in 0..threads {
        let needed = rows_needed(steps, &results.shares(maps, thread, threads));
        work += steps.iter().map(|s| needed[s.output].len() * s.row_cost(maps)).sum::<usize>();
    }
    let alone: usize = steps.iter().map(|s| maps[s.output].height * s.row_cost(maps)).sum();
    work as f64 / alone as f64 - 1.0
}

const MAX_SURPLUS: f64 = 0.06;
