//! The weights of a convolution, made int8 with scales.
//!
//! ```text
//!   float32 constant --WeightsSymmetricQuantizer(thresholds)-->   w = clip(round_half_even(v / scale))
//! ```

use super::attributes::Attributes;
use super::constants::{floats, weight_scales};
use super::{Loader, Value, refused};
use crate::emulator::LoadError;
use crate::emulator::onnx::{NodeProto, TensorProto};

/// Weights that a convolution will take; which axis has its channels, it knows.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// What quantises them.
    node: &'a NodeProto,
    values: &'a TensorProto,
    thresholds: &'a TensorProto,
}

impl<'a> Loader<'a> {
    pub(super) fn mctq_weights(&mut self, node: &'a NodeProto) -> Result<Value<'a>, LoadError> {
        let attributes = Attributes::of(node, &MCTQ_ATTRIBUTES)?;
        attributes.only("num_bits", 8)?;
        attributes.only("signed", 1)?;
        let [values, scales] = node.input.as_slice() else {
            return Err(refused(
                node,
                format!("{} inputs", node.input.len()),
                "weights, thresholds",
            ));
        };
        let [values, scales] = [self.constant(node, values)?, self.constant(node, scales)?];
        if !attributes.flag("per_channel")? && scales.dims.iter().any(|&n| n != 1) {
            return Err(refused(
                node,
                format!("per_channel 0 and thresholds of shape {:?}", scales.dims),
                "one threshold",
            ));
        }
        Ok(Value::Weights(Weights { node, values, thresholds: scales }))
    }

    /// Real numbers of a bias or of slopes.
    pub(super) fn reals(&self, node: &NodeProto, name: &str) -> Result<Vec<f32>, LoadError> {
        floats(self.constant(node, name)?)
    }
}

impl Weights<'_> {
    /// Lengths of the four axes.
    pub(super) fn sides(&self, node: &NodeProto) -> Result<[usize; 4], LoadError> {
        let sides = self.values.dims.iter().map(|&n| usize::try_from(n).ok());
        let sides = sides.collect::<Option<Vec<_>>>().and_then(|s| <[usize; 4]>::try_from(s).ok());
        sides.ok_or_else(|| {
            refused(
                node,
                format!("weights of shape {:?}", self.values.dims),
                "[outputs, inputs, rows, columns]",
            )
        })
    }

    /// The weights in the order of the file, and one scale, or one for each position on `axis`.
    pub(super) fn stored(&self, axis: usize) -> Result<(Vec<i8>, Vec<f32>), LoadError> {
        let attributes = Attributes::of(self.node, &MCTQ_ATTRIBUTES)?;
        if attributes.flag("per_channel")? {
            attributes.is("channel_axis", 0, axis)?;
        }
        let scales = weight_scales(self.node, self.thresholds, self.values.dims[axis])?;
        let values = floats(self.values)?;
        let inner = inner_len(&self.values.dims[axis..]);
        let scale = |i: usize| scales[i / inner % scales.len()];
        let stored = values.iter().enumerate().map(|(i, &v)| quantise_weight(v, scale(i)));
        Ok((stored.collect(), scales))
    }
}

/// How many values in a row belong to one channel. `dims`: from the channels' axis on, of a constant that has
/// as many values as they say.
fn inner_len(dims: &[i64]) -> usize {
    let inner: i64 = dims.iter().skip(1).product();
    usize::try_from(inner).unwrap_or(1).max(1)
}

/// `clip(round_half_even(w / scale), -128, 127)`; not-a-number becomes 0.
#[expect(clippy::cast_possible_truncation, reason = "clipped first")]
fn quantise_weight(weight: f32, scale: f32) -> i8 {
    (weight / scale).round_ties_even().clamp(-128.0, 127.0) as i8
}

const MCTQ_ATTRIBUTES: [&str; 5] =
    ["channel_axis", "mctq_version", "num_bits", "per_channel", "signed"];
