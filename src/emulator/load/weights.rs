//! The weights of a convolution, as either kind of file has them, made int8 with scales.
//!
//! ```text
//!   MCTQ   float32 constant --WeightsSymmetricQuantizer(thresholds)-->   w = clip(round_half_even(v / scale))
//!   QDQ    int8 or uint8 constant --DequantizeLinear(scale, zero)--->    w = v - zero, which must fit int8
//!          float32 constant --QuantizeLinear--> --DequantizeLinear-->    the same, v rounded first
//! ```

use super::attributes::Attributes;
use super::constants::{Codes, codes, floats, weight_scales};
use super::{Loader, Value, refused};
use crate::emulator::LoadError;
use crate::emulator::onnx::{NodeProto, TensorProto, data_type};

/// Weights that a convolution will take; which axis has its channels, it knows.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// What quantises or dequantises them.
    node: &'a NodeProto,
    values: &'a TensorProto,
    scales: &'a TensorProto,
    kind: Kind<'a>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    /// The scales are thresholds.
    Mctq,
    Qdq(Qdq<'a>),
}

#[derive(Clone, Copy)]
struct Qdq<'a> {
    zero_point: Option<&'a TensorProto>,
    values: Constants,
}

#[derive(Clone, Copy, PartialEq)]
enum Constants {
    Codes,
    /// Which a `QuantizeLinear` of the same scales has rounded.
    Reals,
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
        Ok(Value::Weights(Weights { node, values, scales, kind: Kind::Mctq }))
    }

    /// `DequantizeLinear` of a constant: weights, or a bias or slopes.
    pub(super) fn dequantised_constant(
        &self,
        node: &'a NodeProto,
        values: &'a TensorProto,
    ) -> Result<Value<'a>, LoadError> {
        self.qdq(node, values, Constants::Codes)
    }

    /// The same, where the file has the constant as real numbers and rounds it by `quantiser`.
    pub(super) fn rounded_constant(
        &self,
        node: &'a NodeProto,
        quantiser: &'a NodeProto,
    ) -> Result<Value<'a>, LoadError> {
        let axis =
            |node| Attributes::of(node, &["axis", "block_size", "saturate"])?.count("axis", 1);
        let same_axis = axis(quantiser)? == axis(node)?;
        let [name, parameters @ ..] = quantiser.input.as_slice() else {
            return Err(refused(quantiser, "no inputs".to_owned(), "2 or 3"));
        };
        if !same_axis || node.input.get(1..) != Some(parameters) {
            return Err(refused(
                node,
                format!("inputs {:?}", node.input),
                "axis, scales and zero points of the QuantizeLinear before it",
            ));
        }
        self.qdq(node, self.constant(quantiser, name)?, Constants::Reals)
    }

    fn qdq(
        &self,
        node: &'a NodeProto,
        values: &'a TensorProto,
        kind: Constants,
    ) -> Result<Value<'a>, LoadError> {
        let input = |at: usize| node.input.get(at).map_or("", String::as_str);
        let scales = self.constant(node, input(1))?;
        let zero_point = match input(2) {
            "" => None,
            name => Some(self.constant(node, name)?),
        };
        let kind = Kind::Qdq(Qdq { zero_point, values: kind });
        Ok(Value::Weights(Weights { node, values, scales, kind }))
    }

    /// Real numbers of a bias or of slopes: float32 constants, or dequantised ones.
    pub(super) fn reals(&self, node: &NodeProto, name: &str) -> Result<Vec<f32>, LoadError> {
        match self.values.get(name) {
            Some(Value::Weights(weights @ Weights { kind: Kind::Qdq(qdq), .. })) => {
                let (steps, scales) = weights.steps(*qdq, 0)?;
                let inner = inner_len(weights.dims());
                let scale = |i: usize| scales[i / inner % scales.len()];
                Ok(steps.iter().enumerate().map(|(i, &n)| n as f32 * scale(i)).collect())
            }
            _ => floats(self.constant(node, name)?),
        }
    }
}

impl<'a> Weights<'a> {
    pub(super) fn dims(&self) -> &'a [i64] {
        &self.values.dims
    }

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
        let Kind::Qdq(qdq) = self.kind else { return self.rounded(axis) };
        let (steps, scales) = self.steps(qdq, axis)?;
        let narrow = steps.iter().map(|&step| i8::try_from(step));
        match narrow.collect::<Result<Vec<_>, _>>() {
            Ok(stored) => Ok((stored, scales)),
            Err(_) => Err(refused(
                self.node,
                "weights that are further than int8 from their zero point".to_owned(),
                "int8 with zero point 0, or uint8 with 128",
            )),
        }
    }

    fn rounded(&self, axis: usize) -> Result<(Vec<i8>, Vec<f32>), LoadError> {
        let attributes = Attributes::of(self.node, &MCTQ_ATTRIBUTES)?;
        if attributes.flag("per_channel")? {
            attributes.is("channel_axis", 0, axis)?;
        }
        let scales = weight_scales(self.node, self.scales, self.values.dims[axis])?;
        let values = floats(self.values)?;
        let inner = inner_len(&self.values.dims[axis..]);
        let scale = |i: usize| scales[i / inner % scales.len()];
        let stored = values.iter().enumerate().map(|(i, &v)| quantise_weight(v, scale(i)));
        Ok((stored.collect(), scales))
    }

    /// Each value less its zero point; and one scale, or one for each position on `axis`.
    fn steps(&self, qdq: Qdq<'_>, axis: usize) -> Result<(Vec<i32>, Vec<f32>), LoadError> {
        let scales = self.scales(axis)?;
        let zeros = qdq.zero_point.map(codes).transpose()?;
        // The number of values is checked here, before lengths of axes are multiplied.
        let values = match qdq.values {
            Constants::Codes => Values::Codes(codes(self.values)?),
            Constants::Reals => Values::Reals(floats(self.values)?),
        };
        let kind = match (&values, &zeros) {
            (Values::Codes(stored), _) => stored.kind,
            (Values::Reals(_), None) => data_type::UINT8,
            (Values::Reals(_), Some(zeros)) if zeros.kind == data_type::INT32 => {
                let found = "constants rounded to int32".to_owned();
                return Err(refused(self.node, found, "2 (uint8) or 3 (int8)"));
            }
            (Values::Reals(_), Some(zeros)) => zeros.kind,
        };
        let zeros = zeros.unwrap_or_else(|| Codes { kind, values: vec![0] });
        let fits = zeros.values.len() == scales.len() || zeros.values.len() == 1;
        if zeros.kind != kind || !fits {
            return Err(refused(
                self.node,
                format!("{} zero points of data type {}", zeros.values.len(), zeros.kind),
                &format!("as many as scales ({}), of data type {kind}", scales.len()),
            ));
        }
        let inner = inner_len(self.values.dims.get(axis..).unwrap_or_default());
        let zero = |i: usize| zeros.values[i / inner % zeros.values.len()];
        let stored = match values {
            Values::Codes(stored) => stored.values,
            Values::Reals(reals) => {
                let scale = |i: usize| scales[i / inner % scales.len()];
                let rounded = |(i, v): (usize, f32)| rounded_code(v / scale(i), zero(i), kind);
                reals.into_iter().enumerate().map(rounded).collect()
            }
        };
        // An int32 bias has zero point 0; one that has another could leave int32.
        let steps = stored.iter().enumerate().map(|(i, v)| v.checked_sub(zero(i)));
        match steps.collect::<Option<Vec<_>>>() {
            Some(steps) => Ok((steps, scales)),
            None => Err(refused(self.node, "an int32 zero point".to_owned(), "0")),
        }
    }

    /// One scale, or one for each position on `axis`.
    fn scales(&self, axis: usize) -> Result<Vec<f32>, LoadError> {
        let attributes = Attributes::of(self.node, &["axis", "block_size"])?;
        attributes.only("block_size", 0)?;
        let scales = floats(self.scales)?;
        let channels = self.values.dims.get(axis).copied().unwrap_or(1);
        if scales.len() != 1 {
            attributes.is("axis", 1, axis)?;
            if i64::try_from(scales.len()) != Ok(channels) {
                return Err(refused(
                    self.node,
                    format!("{} scales", scales.len()),
                    &format!("one, or one for each of {channels} channels"),
                ));
            }
        }
        match scales.iter().find(|scale| !WEIGHT_SCALES.contains(*scale)) {
            None => Ok(scales),
            Some(odd) => Err(refused(
                self.node,
                format!("scale {odd}"),
                &format!("within {WEIGHT_SCALES:?}"),
            )),
        }
    }
}

/// What [`Constants`] says, read.
enum Values {
    Codes(Codes),
    Reals(Vec<f32>),
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

/// `clip(round_half_even(steps) + zero)` to uint8 or int8.
#[expect(clippy::cast_possible_truncation, reason = "clipped first")]
fn rounded_code(steps: f32, zero: i32, kind: i32) -> i32 {
    let (low, high) = if kind == data_type::INT8 { (-128.0, 127.0) } else { (0.0, 255.0) };
    (f64::from(steps).round_ties_even() + f64::from(zero)).clamp(low, high) as i32
}

/// Keeps the product of an activation's and a weight's scale a normal float32.
const WEIGHT_SCALES: std::ops::RangeInclusive<f32> = 1e-22..=1e18;

const MCTQ_ATTRIBUTES: [&str; 5] =
    ["channel_axis", "mctq_version", "num_bits", "per_channel", "signed"];
