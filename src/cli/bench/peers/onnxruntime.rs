//! onnxruntime on the CPU, all graph optimisations; input and output are bound, so that no run copies them.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use bytemuck::cast_slice;
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session};
use ort::value::{DynTensor, DynValue, Outlet, TensorElementType};
use qsegment::emulator::graph::Activation;
use qsegment::emulator::{Network, TensorSpec, reference};

use super::{Load, Peer, sign_flip};

/// Opens the library; a process can do so once.
pub(super) fn open(library: &Path) -> anyhow::Result<Load> {
    let environment = ort::init_from(library)
        .with_context(|| {
            format!("--onnxruntime {}: want libonnxruntime.so of onnxruntime 1.24 or later, as in PyPI's onnxruntime", library.display())
        })?
        .with_telemetry(false)
        .build()?;
    Ok(Box::new(move |file, network, threads| {
        Ok(Box::new(OnnxRuntime::new(&environment, file, network, threads)?))
    }))
}

struct OnnxRuntime {
    session: Session,
    binding: IoBinding,
    input: Bound,
    output: Bound,
}

/// One of the file's two tensors, and ours that it stands for.
struct Bound {
    name: String,
    element: TensorElementType,
    spec: TensorSpec,
}

impl OnnxRuntime {
    fn new(
        environment: &Environment,
        file: &[u8],
        network: &Network,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let session = session(environment, file, threads)?;
        let ([taken], [made]) = (session.inputs(), session.outputs()) else {
            let (inputs, outputs) = (session.inputs().len(), session.outputs().len());
            bail!("it has {inputs} inputs and {outputs} outputs, want one of each");
        };
        let input = Bound::new("input", taken, network.input())?;
        let output = Bound::new("output", made, network.output())?;
        let mut binding = session.create_binding()?;
        binding.bind_output(&output.name, output.tensor()?)?;
        Ok(Self { session, binding, input, output })
    }
}

fn session(environment: &Environment, file: &[u8], threads: usize) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        // Its threads wait by spinning, which helps it between two layers. After its turn it would cost the next
        // engine a processor.
        .with_config_entry("session.force_spinning_stop", "1")?
        .commit_from_memory(file)
}

impl Peer for OnnxRuntime {
    fn show(&mut self, input: &[u8]) -> anyhow::Result<()> {
        let mut tensor = self.input.tensor()?;
        self.input.fill(&mut tensor, input)?;
        self.binding.bind_input(&self.input.name, &tensor)?;
        Ok(())
    }

    fn run(&mut self) -> anyhow::Result<()> {
        self.session.run_binding(&self.binding)?;
        Ok(())
    }

    fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        let outputs = self.session.run_binding(&self.binding)?;
        self.output.read(&outputs[self.output.name.as_str()])
    }
}

impl Bound {
    fn new(what: &str, outlet: &Outlet, spec: &TensorSpec) -> anyhow::Result<Self> {
        let name = outlet.name().to_owned();
        let found = outlet.dtype();
        let want = [1, spec.channels, spec.height, spec.width].map(|side| side as i64);
        let shape = found.tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
        ensure!(shape == want, "its {what} {name} has the shape {shape:?}, want {want:?}");
        match found.tensor_type() {
            Some(
                element @ (TensorElementType::Uint8
                | TensorElementType::Int8
                | TensorElementType::Float32),
            ) => Ok(Self { name, element, spec: spec.clone() }),
            _ => bail!("its {what} {name} is {found}, want uint8, int8 or float32"),
        }
    }

    fn tensor(&self) -> ort::Result<DynTensor> {
        let TensorSpec { channels, height, width, .. } = self.spec;
        DynTensor::new(&Allocator::default(), self.element, [1, channels, height, width])
    }

    fn fill(&self, tensor: &mut DynTensor, stored: &[u8]) -> ort::Result<()> {
        let spec = &self.spec;
        match self.element {
            TensorElementType::Float32 => {
                let (_, to) = tensor.try_extract_tensor_mut::<f32>()?;
                for (to, &byte) in to.iter_mut().zip(stored) {
                    *to = spec.real(spec.widen(byte));
                }
            }
            TensorElementType::Int8 => {
                let (_, to) = tensor.try_extract_tensor_mut::<i8>()?;
                for (to, &byte) in to.iter_mut().zip(stored) {
                    *to = (byte ^ sign_flip(spec, true)).cast_signed();
                }
            }
            _ => {
                let (_, to) = tensor.try_extract_tensor_mut::<u8>()?;
                for (to, &byte) in to.iter_mut().zip(stored) {
                    *to = byte ^ sign_flip(spec, false);
                }
            }
        }
        Ok(())
    }

    fn read(&self, tensor: &DynValue) -> anyhow::Result<Vec<u8>> {
        let spec = &self.spec;
        Ok(match self.element {
            TensorElementType::Float32 => {
                let (_, reals) = tensor.try_extract_tensor::<f32>()?;
                reals
                    .iter()
                    .map(|&real| reference::quantise(real, Activation::None, spec))
                    .collect()
            }
            TensorElementType::Int8 => {
                let (_, bytes) = tensor.try_extract_tensor::<i8>()?;
                cast_slice(bytes).iter().map(|byte: &u8| byte ^ sign_flip(spec, true)).collect()
            }
            _ => {
                let (_, bytes) = tensor.try_extract_tensor::<u8>()?;
                bytes.iter().map(|byte| byte ^ sign_flip(spec, false)).collect()
            }
        })
    }
}
