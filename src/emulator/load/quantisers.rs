//! Quantisers of activations: `ActivationPOTQuantizer` makes a stored tensor of real numbers.

use super::attributes::Attributes;
use super::{Loader, Pending, Steps, Value, refused};
use crate::emulator::LoadError;
use crate::emulator::graph::Op;
use crate::emulator::onnx::NodeProto;

impl Loader<'_> {
    /// Makes the tensor of an activation quantiser, and the node before it.
    pub(super) fn quantise(&mut self, node: &NodeProto, output: &str) -> Result<usize, LoadError> {
        let attributes =
            Attributes::of(node, &["mctq_version", "num_bits", "signed", "threshold"])?;
        attributes.only("num_bits", 8)?;
        let signed = attributes.flag("signed")?;
        let scale = attributes.power_of_two("threshold")? / if signed { 128.0 } else { 256.0 };
        let [input] = node.input.as_slice() else {
            return Err(refused(node, format!("{} inputs", node.input.len()), "1"));
        };
        self.close(node, input, output, Steps { scale, zero_point: 0, signed })
    }

    /// The tensor of what `input` stands for, stored in `steps`: made by the node that waits for them, by one
    /// of its own, or the picture.
    fn close(
        &mut self,
        node: &NodeProto,
        input: &str,
        output: &str,
        steps: Steps,
    ) -> Result<usize, LoadError> {
        if let Some(Value::Picture) = self.values.get(input) {
            self.values.remove(input);
            steps.write(&mut self.graph.tensors[0]);
            return Ok(0);
        }
        let shared = self.is_shared(input);
        let pending = match self.take_real(input, |pending| !(shared && pending.only_picks())) {
            Some((_, pending)) => pending,
            None => Pending::new(node, Op::Copy, vec![self.stored(node, input)?]),
        };
        self.push(pending, output, steps)
    }
}
