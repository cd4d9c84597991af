//! Quantisers of activations, of either kind of file.
//!
//! ```text
//!   MCTQ   real --ActivationPOTQuantizer--> real numbers of a stored tensor
//!   QDQ    real --QuantizeLinear--> codes --DequantizeLinear--> real numbers of a stored tensor
//! ```
//!
//! Only a `DequantizeLinear` of the same scale and zero point may read codes, so the two of QDQ are one.

use super::attributes::Attributes;
use super::constants::{codes, floats};
use super::{Loader, Pending, Steps, Value, refused};
use crate::emulator::LoadError;
use crate::emulator::graph::Op;
use crate::emulator::onnx::{NodeProto, data_type};

impl<'a> Loader<'a> {
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

    pub(super) fn quantize_linear(
        &mut self,
        node: &'a NodeProto,
        output: &str,
    ) -> Result<Value<'a>, LoadError> {
        let input = node.input.first().map_or("", String::as_str);
        if self.constants.contains_key(input) {
            return Ok(Value::ConstantCodes(node));
        }
        let steps = self.steps(node)?;
        Ok(Value::Codes(self.close(node, input, output, steps)?))
    }

    pub(super) fn dequantize_linear(
        &mut self,
        node: &'a NodeProto,
        output: &str,
    ) -> Result<Value<'a>, LoadError> {
        let input = node.input.first().map_or("", String::as_str);
        if let Some(values) = self.constants.get(input) {
            return self.dequantised_constant(node, values);
        }
        if let Some(Value::ConstantCodes(quantiser)) = self.values.get(input) {
            return self.rounded_constant(node, quantiser);
        }
        let steps = self.steps(node)?;
        let tensor = match self.values.get(input) {
            Some(&Value::Codes(tensor)) => tensor,
            Some(&Value::PictureCodes { signed }) if signed == steps.signed => {
                if let Some(picture) = self.values.get_mut(input) {
                    *picture = Value::Codes(0);
                }
                steps.write(&mut self.graph.tensors[0]);
                0
            }
            _ => {
                return Err(refused(
                    node,
                    format!("input {input:?}"),
                    "the output of a QuantizeLinear, a constant, or an input of the same 8 bits",
                ));
            }
        };
        let spec = &mut self.graph.tensors[tensor];
        let wanted = Steps::of(spec);
        if steps != wanted {
            return Err(refused(
                node,
                format!("{steps}"),
                &format!("those of the QuantizeLinear before it: {wanted}"),
            ));
        }
        // People and other files know the tensor by the name of its real numbers.
        if spec.name == input && tensor > 0 {
            output.clone_into(&mut spec.name);
        }
        Ok(Value::Stored(tensor))
    }

    /// Scale and zero point of one tensor, checked.
    fn steps(&self, node: &NodeProto) -> Result<Steps, LoadError> {
        let attributes = Attributes::of(node, &["axis", "block_size", "output_dtype", "saturate"])?;
        attributes.only("block_size", 0)?;
        let (scale, zero_point) = match node.input.as_slice() {
            [_, scale] => (scale, ""),
            [_, scale, zero_point] => (scale, zero_point.as_str()),
            inputs => return Err(refused(node, format!("{} inputs", inputs.len()), "2 or 3")),
        };
        let scale = match floats(self.constant(node, scale)?)?.as_slice() {
            &[scale] if SCALES.contains(&scale) => scale,
            &[scale] => {
                return Err(refused(node, format!("scale {scale}"), &format!("within {SCALES:?}")));
            }
            scales => {
                return Err(refused(
                    node,
                    format!("{} scales", scales.len()),
                    "one: activations are not quantised by channel",
                ));
            }
        };
        let wanted_type = attributes.count("output_dtype", 0)?;
        let (kind, zero_point) = if zero_point.is_empty() {
            let signed = wanted_type == 3;
            (if signed { data_type::INT8 } else { data_type::UINT8 }, 0)
        } else {
            let zero_points = codes(self.constant(node, zero_point)?)?;
            let [zero_point] = zero_points.values[..] else {
                let found = format!("{} zero points", zero_points.values.len());
                return Err(refused(node, found, "one"));
            };
            (zero_points.kind, zero_point)
        };
        let stated = matches!(wanted_type, 0 | 2 | 3);
        let signed = match kind {
            data_type::UINT8 if stated => false,
            data_type::INT8 if stated => true,
            _ => {
                return Err(refused(
                    node,
                    format!("data type {kind}, output_dtype {wanted_type}"),
                    "2 (uint8) or 3 (int8)",
                ));
            }
        };
        Ok(Steps { scale, zero_point, signed })
    }
}

/// Keeps every product of scales a normal float32. Trained networks stay within 1e-6 to 10.
const SCALES: std::ops::RangeInclusive<f32> = 1e-12..=1e9;
