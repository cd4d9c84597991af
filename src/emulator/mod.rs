//! The int8 network on the CPU, exactly as its quantised ONNX defines it.
//!
//! ```text
//!   file --onnx.rs--> messages --load.rs--> Graph --plan/--> Engine       fast, no allocation once planned
//!                                             |      kernels/             the same bits on every processor
//!                                             |
//!                                             +----reference.rs           slow, the definition
//! ```
//!
//! `survey.rs` gathers the facts of any ONNX file, `preflight.rs` says whether the sensor will take it.
//! The engine equals `reference.rs` in every bit; what it has no kernel for it computes by that, over its own
//! layout. Operators other than those of [`graph::Op`] are refused at load. Timing is not modelled: how long
//! [`Engine::run`] takes says nothing about the sensor.

mod engine;
pub mod graph;
mod kernels;
mod load;
pub mod onnx;
mod plan;
pub mod preflight;
pub mod reference;
pub mod survey;

pub use engine::{Engine, EngineError, KERNEL_VARIABLE, Kernel, MAX_THREADS};
pub use graph::TensorSpec;
pub use load::LoadError;

use graph::Graph;

/// A network for one size of input.
#[derive(Debug, Clone)]
pub struct Network {
    graph: Graph,
    threads: usize,
}

impl Network {
    /// Loads an MCTQ or QDQ ONNX.
    ///
    /// # Errors
    /// When the file is damaged, or has a node that the emulator would not compute exactly.
    pub fn load(onnx: &[u8]) -> Result<Self, LoadError> {
        Ok(Self { graph: load::load(onnx)?, threads: 1 })
    }

    /// The same network for another input size, in pixels (parameters do not depend on it).
    ///
    /// # Errors
    /// When the pictures in between no longer fit each other; the shipped networks take multiples of 16.
    pub fn with_input_size(&self, height: usize, width: usize) -> Result<Self, LoadError> {
        Ok(Self { graph: self.graph.with_input_size(height, width)?, ..*self })
    }

    /// The same network, whose engines share a frame among so many threads; the result does not depend on them.
    #[must_use]
    pub fn shared_by(self, threads: usize) -> Self {
        Self { threads: threads.clamp(1, MAX_THREADS), ..self }
    }

    /// The one input.
    #[must_use]
    pub fn input(&self) -> &TensorSpec {
        self.graph.input()
    }

    /// The one output.
    #[must_use]
    pub fn output(&self) -> &TensorSpec {
        self.graph.output()
    }

    /// Multiply-accumulates per inference.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.graph.macs()
    }

    /// Weights and biases that the file holds.
    ///
    /// The shipped network `accurate` was trained with 104,852. Its file has 105,236: folding each batch norm into its
    /// convolution takes 480 away, and the exporter gives a bias to all 26 convolutions (868 values), where
    /// only the last had one.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.graph.parameters()
    }

    /// Nodes and tensors, for [`mod@reference`] and for listings.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}
