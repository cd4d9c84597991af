//! The engine, by the instructions that the processor has.

use super::kernels::vnni::Vnni;
use super::{Network, blocked, plan};

/// The network with all its buffers, ready to run without allocation.
#[derive(Debug)]
pub struct Engine(Form);

#[derive(Debug)]
enum Form {
    Portable(Box<plan::Engine>),
    Vnni(Box<blocked::Engine>),
}

/// Instructions that an engine may use. Every one gives the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Vectors of 128 bits that every processor has.
    Portable,
    /// AVX-512 with VNNI and VBMI: dot products of bytes.
    Vnni,
}

impl Kernel {
    /// Slowest first.
    pub const ALL: [Self; 2] = [Self::Portable, Self::Vnni];

    /// Whether this processor has it.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Vnni => Vnni::detect().is_some(),
        }
    }

    /// The fastest that this processor has.
    #[must_use]
    pub fn fastest() -> Self {
        Self::ALL.into_iter().rfind(|kernel| kernel.is_here()).unwrap_or(Self::Portable)
    }
}

impl Engine {
    /// Plans the layout and allocates every buffer, for the fastest kernel of this processor.
    #[must_use]
    pub fn new(network: &Network) -> Self {
        Self::with(network, Kernel::fastest())
    }

    /// The same for one kernel; the portable one where the processor has not got it.
    #[must_use]
    pub fn with(network: &Network, kernel: Kernel) -> Self {
        let vnni = if kernel == Kernel::Vnni { Vnni::detect() } else { None };
        Self(match vnni {
            Some(vnni) => Form::Vnni(Box::new(blocked::Engine::new(network, vnni))),
            None => Form::Portable(Box::new(plan::Engine::new(network))),
        })
    }

    /// Runs one inference. `input`: stored bytes C, H, W. `output`: stored bytes C, H, W.
    ///
    /// # Panics
    /// When a length is not that of the network's input or output.
    pub fn run(&mut self, input: &[u8], output: &mut [u8]) {
        match &mut self.0 {
            Form::Portable(engine) => engine.run(input, output),
            Form::Vnni(engine) => engine.run(input, output),
        }
    }

    /// Bytes of all buffers for tensors.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        match &self.0 {
            Form::Portable(engine) => engine.buffer_bytes(),
            Form::Vnni(engine) => engine.buffer_bytes(),
        }
    }
}
