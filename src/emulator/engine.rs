//! The engine: a plan for one network, by the instructions that the processor has.

use std::fmt;
use std::str::FromStr;

use rayon::ThreadPoolBuilder;

use super::Network;
use super::kernels::Instructions;
use super::plan::Plan;

/// The network with all its buffers, ready to run without allocation.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    kernel: Kernel,
    /// Bytes of input and output.
    lens: [usize; 2],
}

/// Instructions that an engine may use. Every one gives the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kernel {
    /// Safe code for every processor, in vectors of 128 bits where there are any.
    Scalar,
    /// x86-64: products of pairs of 16 bits.
    Avx2,
    /// x86-64: dot products of bytes in vectors of 256 bits.
    AvxVnni,
    /// x86-64: dot products of bytes in vectors of 512 bits.
    Avx512Vnni,
    /// aarch64: products of bytes.
    Neon,
    /// aarch64: dot products of bytes (Raspberry Pi 5).
    Sdot,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A name that is none of a kernel's.
    #[error("kernel {found:?} is not known; want one of {}", names(&Kernel::ALL))]
    UnknownKernel {
        /// What was asked for.
        found: String,
    },
    /// A kernel for other processors.
    #[error("this processor has no kernel {kernel}; it has {}", names(&Kernel::here()))]
    NoSuchInstructions {
        /// What was asked for.
        kernel: Kernel,
    },
    /// Threads that cannot be had.
    #[error("{threads} threads for the emulator: {reason}; want 1 to {MAX_THREADS}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
}

impl Kernel {
    /// Slowest first, within a processor's family.
    pub const ALL: [Self; 6] =
        [Self::Scalar, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni, Self::Neon, Self::Sdot];

    /// Those that this processor has, slowest first.
    #[must_use]
    pub fn here() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_here()).collect()
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn is_here(self) -> bool {
        Instructions::detect(self).is_some()
    }

    /// That of [`KERNEL_VARIABLE`], else the fastest that this processor has.
    ///
    /// # Errors
    /// When the variable names none, or one for another processor.
    pub fn chosen() -> Result<Self, EngineError> {
        match std::env::var(KERNEL_VARIABLE) {
            Ok(name) if !name.is_empty() => {
                let kernel: Self = name.parse()?;
                if kernel.is_here() {
                    Ok(kernel)
                } else {
                    Err(EngineError::NoSuchInstructions { kernel })
                }
            }
            _ => Ok(Self::fastest()),
        }
    }

    /// The fastest that this processor has.
    #[must_use]
    pub fn fastest() -> Self {
        Self::ALL.into_iter().rfind(|kernel| kernel.is_here()).unwrap_or(Self::Scalar)
    }

    /// Does the kernel's dot products of bytes in registers and nothing else, for a benchmark to time: how many
    /// multiply-accumulates it did in `rounds` rounds, or `None` where the kernel has no such instruction.
    #[must_use]
    pub fn dot_products(self, rounds: usize) -> Option<u64> {
        Instructions::detect(self)?.dot_products(rounds)
    }

    /// As [`KERNEL_VARIABLE`] wants it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512Vnni => "avx512vnni",
            Self::Neon => "neon",
            Self::Sdot => "sdot",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        let found = Self::ALL.into_iter().find(|kernel| kernel.name() == name);
        found.ok_or_else(|| EngineError::UnknownKernel { found: name.to_owned() })
    }
}

impl Engine {
    /// Plans the layout and allocates every buffer, with the network's number of threads and the kernel of
    /// [`Kernel::chosen`]. Where the environment names a kernel that is not here, the fastest; where the system gives
    /// no more threads, one.
    #[must_use]
    pub fn new(network: &Network) -> Self {
        let kernel = Kernel::chosen().unwrap_or_else(|_| Kernel::fastest());
        let instructions = Instructions::detect(kernel).unwrap_or(Instructions::Scalar);
        Self::with(network, kernel, network.threads).unwrap_or_else(|_| {
            Self::planned(network, kernel, Plan::new(network.graph(), instructions, None))
        })
    }

    /// The same for one kernel and a number of threads.
    ///
    /// # Errors
    /// When the processor has not got the kernel, or the system not as many threads.
    pub fn with(network: &Network, kernel: Kernel, threads: usize) -> Result<Self, EngineError> {
        let instructions =
            Instructions::detect(kernel).ok_or(EngineError::NoSuchInstructions { kernel })?;
        let refused = |reason| EngineError::Threads { threads, reason };
        if !(1..=MAX_THREADS).contains(&threads) {
            return Err(refused("out of range".to_owned()));
        }
        let name = |index| format!("emulator-{index}");
        let pool = || ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build();
        let pool = (threads > 1).then(pool).transpose();
        let pool = pool.map_err(|error| refused(error.to_string()))?;
        Ok(Self::planned(network, kernel, Plan::new(network.graph(), instructions, pool)))
    }

    fn planned(network: &Network, kernel: Kernel, plan: Plan) -> Self {
        let lens = [network.input(), network.output()].map(super::TensorSpec::len_bytes);
        Self { plan, kernel, lens }
    }

    /// Runs one inference. `input`: stored bytes C, H, W. `output`: stored bytes C, H, W.
    ///
    /// # Panics
    /// When a length is not that of the network's input or output.
    pub fn run(&mut self, input: &[u8], output: &mut [u8]) {
        assert_eq!(input.len(), self.lens[0], "bytes of the network's input");
        assert_eq!(output.len(), self.lens[1], "bytes of the network's output");
        self.plan.run(input, output);
    }

    /// Which instructions it uses.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// How many threads share a frame.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.plan.threads()
    }

    /// Bytes of all buffers for tensors.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.plan.buffer_bytes()
    }
}

fn names(kernels: &[Kernel]) -> String {
    kernels.iter().map(|kernel| kernel.name()).collect::<Vec<_>>().join(", ")
}

/// The environment variable that forces a kernel.
pub const KERNEL_VARIABLE: &str = "QSEGMENT_KERNEL";

/// More than any machine for this has cores.
pub const MAX_THREADS: usize = 256;
