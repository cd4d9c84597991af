//! TensorFlow Lite on the CPU, by XNNPACK, from either of the libraries that have it.
//!
//! ```text
//!   libtensorflowlite_c.so   TfLite*   the interpreter; takes XNNPACK and a number of threads
//!   libLiteRt.so             LiteRt*   the compiled model; takes XNNPACK by itself, on one thread
//! ```
//!
//! Tensors are int8, channels last.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use edgefirst_tflite::litert::{CompiledModel, Environment, HwAccelerators, Options, TensorBuffer};
use edgefirst_tflite::{Delegate, Interpreter, Library, Model, TensorType, litert};
use qsegment::emulator::{Network, TensorSpec};

use super::{Load, Peer, sign_flip};

/// Opens the library.
pub(super) fn open(library: &Path) -> anyhow::Result<Load> {
    let shown = library.display();
    let opened = Library::from_path(library).with_context(|| {
        format!("--tflite-library {shown}: want libtensorflowlite_c.so or libLiteRt.so")
    })?;
    // Everything below borrows from it, and nothing is loaded again before the process ends.
    let opened: &'static Library = Box::leak(Box::new(opened));
    let is_classic = opened.as_sys().TfLiteInterpreterCreate.is_ok();
    if !is_classic && let Some(missing) = opened.litert_missing_symbol() {
        bail!(
            "--tflite-library {shown}: has neither TfLiteInterpreterCreate nor {missing}; \
             want libtensorflowlite_c.so or libLiteRt.so"
        );
    }
    Ok(Box::new(move |file, network, threads| {
        if is_classic {
            Ok(Box::new(Classic::new(opened, file, network, threads)?))
        } else {
            Ok(Box::new(Compiled::new(opened, file, network, threads)?))
        }
    }))
}

/// Of libtensorflowlite_c.so.
struct Classic {
    interpreter: Interpreter<'static>,
    tensors: Tensors,
}

impl Classic {
    fn new(
        library: &'static Library,
        file: &[u8],
        network: &Network,
        threads: usize,
    ) -> anyhow::Result<Self> {
        // The interpreter reads weights from the model for as long as it lives, without saying so to the compiler.
        let model: &'static Model<'static> = Box::leak(Box::new(Model::from_bytes(library, file)?));
        let threads = i32::try_from(threads)?;
        let interpreter = Interpreter::builder(library)?
            .num_threads(threads)
            .delegate(Delegate::xnnpack(library, threads)?)
            .build(model)?;
        let tensors = Tensors::of(network);
        for (what, found, want) in [
            ("input", interpreter.inputs()?, &tensors.input),
            ("output", interpreter.outputs()?, &tensors.output),
        ] {
            let [tensor] = found.as_slice() else {
                bail!("it has {} {what}s, want one", found.len());
            };
            let (shape, element) = (tensor.shape()?, tensor.tensor_type());
            let want = [1, want.height, want.width, want.channels];
            ensure!(
                shape == want && element == TensorType::Int8,
                "its {what} is {element:?} {shape:?}, want Int8 {want:?}"
            );
        }
        Ok(Self { interpreter, tensors })
    }
}

impl Peer for Classic {
    fn show(&mut self, input: &[u8]) -> anyhow::Result<()> {
        let mut inputs = self.interpreter.inputs_mut()?;
        Ok(inputs[0].copy_from_bytes(&self.tensors.given(input))?)
    }

    fn run(&mut self) -> anyhow::Result<()> {
        Ok(self.interpreter.invoke()?)
    }

    fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        self.run()?;
        let outputs = self.interpreter.outputs()?;
        Ok(self.tensors.taken(outputs[0].as_bytes()?))
    }
}

/// Of libLiteRt.so.
struct Compiled {
    model: CompiledModel<'static>,
    // One each; a run takes slices.
    inputs: [TensorBuffer<'static>; 1],
    outputs: [TensorBuffer<'static>; 1],
    tensors: Tensors,
}

impl Compiled {
    fn new(
        library: &'static Library,
        file: &[u8],
        network: &Network,
        threads: usize,
    ) -> anyhow::Result<Self> {
        ensure!(
            threads == 1,
            "there is no way to tell this library how many threads; want --threads 1, or \
             --tflite-library libtensorflowlite_c.so"
        );
        let environment: &'static Environment<'static> =
            Box::leak(Box::new(Environment::new(library)?));
        let model: &'static litert::Model<'static> =
            Box::leak(Box::new(litert::Model::from_buffer(environment, file)?));
        let options = Options::new(library)?.hardware_accelerators(HwAccelerators::CPU)?;
        let model = CompiledModel::create(environment, model, &options)?;
        let inputs = [model.create_input_buffer(0, 0)?];
        let outputs = [model.create_output_buffer(0, 0)?];
        let tensors = Tensors::of(network);
        let found = [inputs[0].size(), outputs[0].size()];
        let want = [tensors.input.len_bytes(), tensors.output.len_bytes()];
        ensure!(found == want, "input and output have {found:?} bytes, want {want:?}");
        Ok(Self { model, inputs, outputs, tensors })
    }
}

impl Peer for Compiled {
    fn show(&mut self, input: &[u8]) -> anyhow::Result<()> {
        Ok(self.inputs[0].write_bytes(&self.tensors.given(input))?)
    }

    fn run(&mut self) -> anyhow::Result<()> {
        Ok(self.model.run(0, &mut self.inputs, &mut self.outputs)?)
    }

    fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        self.run()?;
        Ok(self.tensors.taken(&self.outputs[0].read_bytes()?))
    }
}

/// Ours, from and to int8 with channels last.
struct Tensors {
    input: TensorSpec,
    output: TensorSpec,
}

impl Tensors {
    fn of(network: &Network) -> Self {
        Self { input: network.input().clone(), output: network.output().clone() }
    }

    fn given(&self, planes: &[u8]) -> Vec<u8> {
        let flip = sign_flip(&self.input, true);
        let (channels, pixels) = (self.input.channels, self.input.height * self.input.width);
        let at = |i: usize| planes[i % channels * pixels + i / channels];
        (0..planes.len()).map(|i| at(i) ^ flip).collect()
    }

    fn taken(&self, channels_last: &[u8]) -> Vec<u8> {
        let flip = sign_flip(&self.output, true);
        let (channels, pixels) = (self.output.channels, self.output.height * self.output.width);
        let at = |i: usize| channels_last[i % pixels * channels + i / pixels];
        (0..channels_last.len()).map(|i| at(i) ^ flip).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_signed_bytes_channels_last_and_back() {
        let spec = |signed| TensorSpec {
            name: String::new(),
            channels: 3,
            height: 1,
            width: 2,
            scale: 1.0,
            zero_point: 0,
            signed,
        };
        let tensors = Tensors { input: spec(false), output: spec(true) };
        let given = tensors.given(&[0, 1, 10, 11, 128, 255]);
        assert_eq!(given, [0x80, 0x8a, 0x00, 0x81, 0x8b, 0x7f]);
        let back = Tensors { input: spec(true), output: spec(false) }.taken(&given);
        assert_eq!(back, [0, 1, 10, 11, 128, 255]);
        assert_eq!(tensors.taken(&[0, 10, 20, 1, 11, 21]), [0, 1, 10, 11, 20, 21]);
    }
}
