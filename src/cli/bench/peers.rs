//! Other engines beside ours in `qsegment bench engine`, each in its own library that is opened at run time.
//!
//! ```text
//!   library --open--> Library --load a file--> Peer --one fundus picture--> Agreement --> its turns
//! ```
//!
//! A peer's file holds our network in the peer's format, so nothing but its output tells whether it is that one. No two
//! engines agree byte by byte; where the vessels are, they must.
//! Which kernels a library takes for a file is not seen from here: benches/peers asks for that.

#[cfg(feature = "tflite")]
mod litert;
#[cfg(feature = "ort")]
mod onnxruntime;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use qsegment::emulator::{Engine, EngineError, Kernel, Network, TensorSpec};
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::pipeline::host::quant;
use qsegment::pipeline::vessels;
use qsegment::source::simulated::isp::{Encoding, Gains, Isp};
use qsegment::source::simulated::scene::{OpenScene, Scene};
use serde::Serialize;

use crate::cli::{Failure, read};

/// Which other engines take turns with ours.
#[derive(Debug, Args)]
pub(super) struct PeersArgs {
    /// Time onnxruntime, too: this libonnxruntime.so (needs a build with `--features ort`)
    #[arg(long, value_name = "PATH", requires = "qdq")]
    onnxruntime: Option<PathBuf>,
    /// The network for onnxruntime: a QDQ ONNX file for the same size
    #[arg(long, value_name = "FILE", requires = "onnxruntime")]
    qdq: Option<PathBuf>,
    /// Time TensorFlow Lite, too: this libtensorflowlite_c.so or libLiteRt.so (needs a build with `--features tflite`)
    #[arg(long, value_name = "PATH", requires = "tflite")]
    tflite_library: Option<PathBuf>,
    /// The network for TensorFlow Lite: an int8 file for the same size
    #[arg(long, value_name = "FILE", requires = "tflite_library")]
    tflite: Option<PathBuf>,
}

/// An engine with the network loaded. Bytes are as the network's own tensors store them, planes first.
pub(super) trait Peer {
    /// Takes the input of all runs that follow.
    fn show(&mut self, input: &[u8]) -> anyhow::Result<()>;
    /// What is timed: from the input in the engine's own memory to the output there.
    fn run(&mut self) -> anyhow::Result<()>;
    /// Runs, and copies the output out.
    fn answer(&mut self) -> anyhow::Result<Vec<u8>>;
}

/// What our rows are called.
pub(super) const OURS: &str = "qsegment";

/// Our engine, seen as the others are.
pub(super) struct Ours {
    pub(super) engine: Engine,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Ours {
    pub(super) fn new(
        network: &Network,
        kernel: Kernel,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let engine = Engine::with(network, kernel, threads)?;
        Ok(Self { engine, input: Vec::new(), output: vec![0; network.output().len_bytes()] })
    }
}

impl Peer for Ours {
    fn show(&mut self, input: &[u8]) -> anyhow::Result<()> {
        input.clone_into(&mut self.input);
        Ok(())
    }

    fn run(&mut self) -> anyhow::Result<()> {
        self.engine.run(&self.input, &mut self.output);
        Ok(())
    }

    fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        self.run()?;
        Ok(self.output.clone())
    }
}

/// An open library, and the file that it is to load.
pub(super) struct Library {
    pub(super) engine: &'static str,
    /// What it computes with.
    pub(super) kernel: &'static str,
    file: PathBuf,
    load: Load,
}

/// Loads a file's bytes for so many threads.
type Load = Box<dyn Fn(&[u8], &Network, usize) -> anyhow::Result<Box<dyn Peer>>>;

impl Library {
    /// The network in this engine.
    pub(super) fn load(&self, network: &Network, threads: usize) -> anyhow::Result<Box<dyn Peer>> {
        let shown = self.file.display();
        let file = read::at_most(&self.file, &shown, read::MAX_ONNX_BYTES, read::ONNX_REASON)?;
        (self.load)(&file, network, threads).with_context(|| {
            let TensorSpec { height, width, .. } = network.input();
            format!(
                "{} cannot run {shown} on {width} x {height} pixels with --threads {threads} \
                 (`benches/peers/run --write --size {width}` writes a file that it can)",
                self.engine
            )
        })
    }

    /// Compares the peer's output with ours and refuses one of another network.
    pub(super) fn check(
        &self,
        peer: &mut dyn Peer,
        network: &Network,
        threads: usize,
    ) -> anyhow::Result<Agreement> {
        let picture = fundus(network)?;
        let mut ours = Ours::new(network, Kernel::fastest(), 1)?;
        ours.show(&picture)?;
        peer.show(&picture)?;
        let steps = Steps::between(&ours.answer()?, &peer.answer()?, network)?;
        let agreement =
            Agreement { engine: self.engine, threads, size: network.input().width, steps };
        ensure!(
            agreement.steps.mask_share >= LEAST_MASK_SHARE,
            "{agreement}; want {:.0} % of the mask equal: {} is not this network at this size; \
             `benches/peers/run --write` writes the file",
            LEAST_MASK_SHARE * 100.0,
            self.file.display()
        );
        Ok(agreement)
    }
}

/// Opens what the arguments name.
pub(super) fn open(args: &PeersArgs) -> Result<Vec<Library>, Failure> {
    let mut libraries = Vec::new();
    if let (Some(library), Some(file)) = (&args.onnxruntime, &args.qdq) {
        let load = onnxruntime(library)?;
        libraries.push(Library { engine: "onnxruntime", kernel: "MLAS", file: file.clone(), load });
    }
    if let (Some(library), Some(file)) = (&args.tflite_library, &args.tflite) {
        let load = litert(library)?;
        libraries.push(Library { engine: "litert", kernel: "XNNPACK", file: file.clone(), load });
    }
    Ok(libraries)
}

#[cfg(feature = "ort")]
fn onnxruntime(library: &Path) -> Result<Load, Failure> {
    Ok(onnxruntime::open(&found("--onnxruntime", library)?)?)
}

#[cfg(not(feature = "ort"))]
fn onnxruntime(_: &Path) -> Result<Load, Failure> {
    Err(Failure::usage(NotBuiltIn { option: "--onnxruntime", feature: "ort" }))
}

#[cfg(feature = "tflite")]
fn litert(library: &Path) -> Result<Load, Failure> {
    Ok(litert::open(&found("--tflite-library", library)?)?)
}

#[cfg(not(feature = "tflite"))]
fn litert(_: &Path) -> Result<Load, Failure> {
    Err(Failure::usage(NotBuiltIn { option: "--tflite-library", feature: "tflite" }))
}

#[cfg(not(all(feature = "ort", feature = "tflite")))]
#[derive(Debug, thiserror::Error)]
#[error(
    "{option}: this qsegment is built without it; `cargo build --release --locked --features {feature}` builds one with it"
)]
struct NotBuiltIn {
    option: &'static str,
    feature: &'static str,
}

/// The library's full path: a bare name would be looked for in the system's folders, not in this one.
#[cfg(any(feature = "ort", feature = "tflite"))]
fn found(option: &str, library: &Path) -> anyhow::Result<PathBuf> {
    library
        .canonicalize()
        .with_context(|| format!("{option} {} (is the path right?)", library.display()))
}

/// How far a peer's output is from ours.
#[derive(Debug, Serialize)]
pub(super) struct Agreement {
    engine: &'static str,
    threads: usize,
    /// Side of the picture, pixels.
    size: usize,
    #[serde(flatten)]
    steps: Steps,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, threads, size, steps } = self;
        let Steps { equal_share, largest_steps, mean_steps, mask_share } = steps;
        write!(
            f,
            "{engine}, size {size}, threads {threads}, built-in fundus picture: {:.1} % of bytes equal, largest \
             difference {largest_steps} steps, mean {mean_steps:.2}, {:.2} % of the mask equal",
            equal_share * 100.0,
            mask_share * 100.0,
        )
    }
}

/// Differences of two outputs, in units of what is stored.
#[derive(Debug, PartialEq, Serialize)]
struct Steps {
    equal_share: f64,
    largest_steps: u32,
    mean_steps: f64,
    /// Pixels that are a vessel in both, or in none.
    mask_share: f64,
}

impl Steps {
    fn between(ours: &[u8], theirs: &[u8], network: &Network) -> anyhow::Result<Self> {
        let output = network.output();
        let (want, got) = (ours.len(), theirs.len());
        ensure!(want == got, "its output has {got} bytes, want {want}");
        let probability_of = vessels::probabilities(quant(network)?);
        let is_vessel = |byte: u8| probability_of[usize::from(byte)] >= EVEN_ODDS;
        let pairs = || ours.iter().copied().zip(theirs.iter().copied());
        let steps = || pairs().map(|(a, b)| output.widen(a).abs_diff(output.widen(b)));
        let share = |count: usize| count as f64 / want as f64;
        Ok(Self {
            equal_share: share(pairs().filter(|(a, b)| a == b).count()),
            largest_steps: steps().max().unwrap_or_default(),
            mean_steps: steps().map(f64::from).sum::<f64>() / want as f64,
            mask_share: share(pairs().filter(|&(a, b)| is_vessel(a) == is_vessel(b)).count()),
        })
    }
}

/// The built-in fundus picture as the network's input.
fn fundus(network: &Network) -> anyhow::Result<Vec<u8>> {
    let input = network.input();
    let channels = input.channels;
    ensure!(channels == 3, "the network's input has {channels} channels, want 3, for a picture");
    let mut scene = OpenScene::open(&Scene::BuiltIn, Duration::ZERO, 0)?;
    let picture = scene.at(Duration::ZERO)?;
    let mut planes = Vec::new();
    Isp::new(Encoding {
        width: input.width,
        height: input.height,
        signed: input.signed,
        order: ColourOrder::Rgb,
        gains: Gains::default(),
    })
    .look(picture, picture.whole(), &mut planes);
    Ok(planes)
}

/// What turns a stored byte into that of a tensor with the other sign, whose zero point is 128 away: the same real
/// number, from i8 to u8 and back.
#[cfg(any(feature = "ort", feature = "tflite"))]
fn sign_flip(tensor: &TensorSpec, signed: bool) -> u8 {
    if tensor.signed == signed { 0 } else { 0x80 }
}

/// Rounding in other places moves the outline of a vessel by a pixel here and there; another network, or a picture in
/// another order, agrees on less.
const LEAST_MASK_SHARE: f64 = 0.98;
/// A probability of one half.
const EVEN_ODDS: u8 = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::builtin::BuiltIn;

    /// Answers what it is told to.
    struct Parrot(Vec<u8>);

    impl Peer for Parrot {
        fn show(&mut self, _: &[u8]) -> anyhow::Result<()> {
            Ok(())
        }
        fn run(&mut self) -> anyhow::Result<()> {
            Ok(())
        }
        fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
            Ok(self.0.clone())
        }
    }

    fn check(spoil: impl FnOnce(&mut Vec<u8>)) -> anyhow::Result<Agreement> {
        let network = Network::load(BuiltIn::Fast.onnx()).unwrap().with_input_size(128, 128)?;
        let mut answer = vec![0; network.output().len_bytes()];
        Engine::new(&network).run(&fundus(&network)?, &mut answer);
        spoil(&mut answer);
        let load: Load = Box::new(|_, _, _| unreachable!());
        let library = Library { engine: "parrot", kernel: "memory", file: "echo.bin".into(), load };
        library.check(&mut Parrot(answer), &network, 2)
    }

    #[test]
    fn a_step_here_and_there_is_the_same_network() {
        let of_equal = check(|_| {}).unwrap();
        let nothing =
            Steps { equal_share: 1.0, largest_steps: 0, mean_steps: 0.0, mask_share: 1.0 };
        assert_eq!(of_equal.steps, nothing);

        let steps =
            check(|answer| answer.iter_mut().step_by(4).for_each(|b| *b ^= 1)).unwrap().steps;
        assert_eq!((steps.equal_share, steps.largest_steps, steps.mean_steps), (0.75, 1, 0.25));
    }

    #[test]
    fn another_network_is_refused_with_what_was_found() {
        let said = check(|answer| answer.fill(0x80)).unwrap_err().to_string();
        assert!(
            said.starts_with("parrot, size 128, threads 2, built-in fundus picture: "),
            "{said}"
        );
        assert!(
            said.contains("want 98 % of the mask equal: echo.bin is not this network"),
            "{said}"
        );
        let said = check(|answer| answer.reverse()).unwrap_err().to_string();
        assert!(said.contains("of the mask equal"), "{said}");
        let said = check(|answer| answer.truncate(7)).unwrap_err().to_string();
        assert_eq!(said, "its output has 7 bytes, want 16384");
    }
}
