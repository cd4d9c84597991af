//! Convolutions, transposed or not, and the kernels they take.

use super::attributes::Attributes;
use super::weights::Weights;
use super::{Loader, Pending, SENSOR_BYTES, Value, check, refused};
use crate::emulator::LoadError;
use crate::emulator::graph::{Conv, ConvTranspose, MAX_CHANNELS, Op, Window};
use crate::emulator::onnx::NodeProto;

impl<'a> Loader<'a> {
    pub(super) fn conv(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(
            node,
            &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
        )?;
        let (input, weights, bias) = operands(node)?;
        let weights = self.weights_of(node, weights)?;
        let [out_channels, group_channels, rows, columns] = weights.sides(node)?;
        let groups = attributes.count("group", 1)?;
        let sizes = Sizes { out_channels, group_channels, groups, kernel: [rows, columns] };
        let window = self.check_sizes(node, &attributes, &sizes)?;
        let (weights, scales) = weights.stored(0)?;
        let weight_scales = spread(scales, out_channels);
        let conv = self.finish_conv(node, sizes, window, (weights, weight_scales), bias)?;
        let input = self.stored(node, input)?;
        Ok(Pending::new(node, Op::Conv(conv), vec![input]))
    }

    /// The file has the kernels by input plane; the graph by output plane, as for the other convolution.
    pub(super) fn conv_transpose(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(
            node,
            &[
                "auto_pad",
                "dilations",
                "group",
                "kernel_shape",
                "output_padding",
                "pads",
                "strides",
            ],
        )?;
        let (input, weights, bias) = operands(node)?;
        let weights = self.weights_of(node, weights)?;
        let [in_channels, group_outputs, rows, columns] = weights.sides(node)?;
        let groups = attributes.count("group", 1)?;
        check(node, "groups", groups, MAX_CHANNELS)?;
        check(node, "input channels", in_channels, MAX_CHANNELS)?;
        check(node, "output channels of a group", group_outputs, MAX_CHANNELS)?;
        if !in_channels.is_multiple_of(groups) {
            return Err(refused(
                node,
                format!("{groups} groups for {in_channels} input channels"),
                "a divisor",
            ));
        }
        let (group_channels, out_channels) = (in_channels / groups, group_outputs * groups);
        let sizes = Sizes { out_channels, group_channels, groups, kernel: [rows, columns] };
        let window = self.check_sizes(node, &attributes, &sizes)?;
        let output_padding = attributes.sides("output_padding", [0, 0])?;
        if (0..2).any(|axis| output_padding[axis] >= window.stride[axis]) {
            return Err(refused(
                node,
                format!("output_padding {output_padding:?}"),
                &format!("less than the strides {:?}", window.stride),
            ));
        }

        let (stored, scales) = weights.stored(1)?;
        let taps = rows * columns;
        let mut turned = Vec::with_capacity(stored.len());
        for output in 0..out_channels {
            let (group, output) = (output / group_outputs, output % group_outputs);
            for input in 0..group_channels {
                let kernel = (group * group_channels + input) * group_outputs + output;
                turned.extend_from_slice(&stored[kernel * taps..][..taps]);
            }
        }
        // Each group has the same scales.
        let scales = spread(scales, group_outputs).repeat(groups);
        let conv = self.finish_conv(node, sizes, window, (turned, scales), bias)?;
        let input = self.stored(node, input)?;
        let transposed = ConvTranspose { conv, output_padding };
        Ok(Pending::new(node, Op::ConvTranspose(transposed), vec![input]))
    }

    fn weights_of(&self, node: &NodeProto, name: &str) -> Result<Weights<'a>, LoadError> {
        match self.values.get(name) {
            Some(Value::Weights(weights)) => Ok(*weights),
            _ => Err(refused(
                node,
                format!("weights {name:?}"),
                "the output of a WeightsSymmetricQuantizer, or of a DequantizeLinear of constants",
            )),
        }
    }

    /// Before anything of these sizes is made.
    fn check_sizes(
        &mut self,
        node: &NodeProto,
        attributes: &Attributes<'_>,
        sizes: &Sizes,
    ) -> Result<Window, LoadError> {
        let &Sizes { out_channels, group_channels, groups, kernel: [rows, columns] } = sizes;
        check(node, "output channels", out_channels, MAX_CHANNELS)?;
        check(node, "input channels of a group", group_channels, MAX_CHANNELS)?;
        check(node, "groups", groups, MAX_CHANNELS)?;
        if !out_channels.is_multiple_of(groups) {
            return Err(refused(
                node,
                format!("{groups} groups for {out_channels} output channels"),
                "a divisor",
            ));
        }
        let window = attributes.window(Some([rows, columns]))?;
        let products = group_channels * rows * columns;
        check(node, "products in a sum", products, MAX_PRODUCTS)?;
        self.weights += out_channels * products;
        check(node, "weights of the network so far", self.weights, SENSOR_BYTES)?;
        if groups != out_channels || group_channels != 1 {
            let filled = out_channels * products * groups;
            check(node, "weights once zeros stand between the groups", filled, SENSOR_BYTES)?;
        }
        Ok(window)
    }

    fn finish_conv(
        &self,
        node: &NodeProto,
        sizes: Sizes,
        window: Window,
        (weights, weight_scales): (Vec<i8>, Vec<f32>),
        bias: &str,
    ) -> Result<Conv, LoadError> {
        let Sizes { out_channels, group_channels, groups, .. } = sizes;
        let bias = if bias.is_empty() {
            vec![0.0; out_channels]
        } else {
            let values = self.reals(node, bias)?;
            if values.len() != out_channels || values.iter().any(|b| !b.is_finite()) {
                return Err(refused(
                    node,
                    format!("bias {bias:?} with {} values", values.len()),
                    &format!("{out_channels} finite ones"),
                ));
            }
            values
        };
        Ok(Conv { out_channels, group_channels, groups, window, weights, weight_scales, bias })
    }
}

/// What the weights of a convolution are for.
struct Sizes {
    out_channels: usize,
    group_channels: usize,
    groups: usize,
    kernel: [usize; 2],
}

/// Input, weights, bias; the last is empty if there is none.
fn operands(node: &NodeProto) -> Result<(&str, &str, &str), LoadError> {
    match node.input.as_slice() {
        [input, weights] => Ok((input, weights, "")),
        [input, weights, bias] => Ok((input, weights, bias)),
        inputs => Err(refused(node, format!("{} inputs", inputs.len()), "2 or 3")),
    }
}

/// One scale for all channels, or one for each.
fn spread(scales: Vec<f32>, channels: usize) -> Vec<f32> {
    if scales.len() == channels { scales } else { vec![scales[0]; channels] }
}

/// So many products of 255 and -128 still fit an int32.
const MAX_PRODUCTS: usize = 65_793;
