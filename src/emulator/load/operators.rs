//! One function for each operator: its inputs and attributes checked, its node prepared.

use std::ops::RangeInclusive;

use super::attributes::Attributes;
use super::constants::{floats, integers, quantise_weight, weight_scales};
use super::{Loader, Pending, SENSOR_BYTES, Value, check, refused};
use crate::emulator::LoadError;
use crate::emulator::graph::{Activation, Conv, MAX_CHANNELS, MAX_SIDE, Op, ResizeTo, TensorSpec};
use crate::emulator::onnx::NodeProto;

impl<'a> Loader<'a> {
    pub(super) fn conv(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(
            node,
            &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
        )?;
        let (input, weights, bias) = match node.input.as_slice() {
            [input, weights] => (input, weights, ""),
            [input, weights, bias] => (input, weights, bias.as_str()),
            inputs => {
                return Err(refused(node, format!("{} inputs", inputs.len()), "2 or 3"));
            }
        };
        let Some(Value::Weights { node: quantiser, weights, thresholds }) =
            self.values.get(weights.as_str())
        else {
            return Err(refused(
                node,
                format!("weights {weights:?}"),
                "the output of a WeightsSymmetricQuantizer",
            ));
        };
        let (quantiser, weights, thresholds) = (*quantiser, *weights, *thresholds);

        let dims = weights.dims.iter().map(|&n| usize::try_from(n).ok());
        let Some([out_channels, group_channels, kernel_rows, kernel_columns]) =
            dims.collect::<Option<Vec<usize>>>().and_then(|d| <[usize; 4]>::try_from(d).ok())
        else {
            return Err(refused(
                node,
                format!("weights of shape {:?}", weights.dims),
                "[outputs, inputs, rows, columns]",
            ));
        };
        let groups = attributes.count("group", 1)?;
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
        let window = attributes.window(Some([kernel_rows, kernel_columns]))?;
        let products = group_channels * kernel_rows * kernel_columns;
        check(node, "products in a sum", products, MAX_PRODUCTS)?;
        self.weights += out_channels * products;
        check(node, "weights of the network so far", self.weights, SENSOR_BYTES)?;
        if groups != out_channels || group_channels != 1 {
            let filled = out_channels * products * groups;
            check(node, "weights once zeros stand between the groups", filled, SENSOR_BYTES)?;
        }

        let weight_scales = weight_scales(quantiser, thresholds, out_channels)?;
        let weights = floats(weights)?;
        // The product of in-range dimensions; `floats` has checked that the data has as many.
        let stored = weights
            .chunks_exact(products)
            .zip(&weight_scales)
            .flat_map(|(kernel, &scale)| kernel.iter().map(move |&w| quantise_weight(w, scale)))
            .collect();
        let bias = if bias.is_empty() {
            vec![0.0; out_channels]
        } else {
            let tensor = self.constant(node, bias)?;
            let bias = floats(tensor)?;
            if bias.len() != out_channels || bias.iter().any(|b| !b.is_finite()) {
                return Err(refused(
                    node,
                    format!("bias {:?} with {} values", tensor.name, bias.len()),
                    &format!("{out_channels} finite ones"),
                ));
            }
            bias
        };
        let input = self.stored(node, input)?;
        let conv = Conv {
            out_channels,
            group_channels,
            groups,
            window,
            weights: stored,
            weight_scales,
            bias,
        };
        Ok(Pending::new(node, Op::Conv(conv), vec![input]))
    }

    pub(super) fn sum(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        Attributes::of(node, &[])?;
        let [a, b] = node.input.as_slice() else {
            return Err(refused(node, format!("{} inputs", node.input.len()), "2"));
        };
        let inputs = vec![self.stored(node, a)?, self.stored(node, b)?];
        let [a, b] = [inputs[0], inputs[1]].map(|i| self.graph.tensors[i].scale);
        if (a / b).max(b / a) > MAX_SCALE_RATIO {
            return Err(refused(
                node,
                format!("input scales {a} and {b}"),
                &format!("a ratio of at most {MAX_SCALE_RATIO}, so that the sum is exact"),
            ));
        }
        Ok(Pending::new(node, Op::Add, inputs))
    }

    pub(super) fn max_pool(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(
            node,
            &[
                "auto_pad",
                "ceil_mode",
                "dilations",
                "kernel_shape",
                "pads",
                "storage_order",
                "strides",
            ],
        )?;
        attributes.only("ceil_mode", 0)?;
        attributes.only("storage_order", 0)?;
        let window = attributes.window(None)?;
        let input = self.only_input(node)?;
        Ok(Pending::new(node, Op::MaxPool(window), vec![input]))
    }

    pub(super) fn resize(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(
            node,
            &["coordinate_transformation_mode", "cubic_coeff_a", "mode", "nearest_mode"],
        )?;
        for (name, default, wanted) in [
            ("mode", "nearest", "nearest"),
            ("coordinate_transformation_mode", "half_pixel", "asymmetric"),
            ("nearest_mode", "round_prefer_floor", "floor"),
        ] {
            let found = attributes.word(name, default)?;
            if found != wanted {
                return Err(refused(node, format!("{name} {found:?}"), wanted));
            }
        }
        let name = |at: usize| node.input.get(at).map_or("", String::as_str);
        let input = self.stored(node, name(0))?;
        let to = match (name(2), name(3)) {
            (scales, "") if !scales.is_empty() => self.resize_scales(node, scales)?,
            ("", sizes) if !sizes.is_empty() => self.resize_sizes(node, sizes, input)?,
            _ => {
                return Err(refused(node, "no constant scales or sizes".to_owned(), "one of them"));
            }
        };
        Ok(Pending::new(node, Op::Resize(to), vec![input]))
    }

    fn resize_scales(&self, node: &NodeProto, name: &str) -> Result<ResizeTo, LoadError> {
        let values = floats(self.constant(node, name)?)?;
        if let &[1.0, 1.0, rows, columns] = values.as_slice()
            && SCALES.contains(&rows)
            && SCALES.contains(&columns)
        {
            return Ok(ResizeTo::Scales([rows, columns]));
        }
        Err(refused(
            node,
            format!("scales {values:?}"),
            &format!("[1, 1, rows, columns] within {SCALES:?}"),
        ))
    }

    /// As scales where they are whole, so that the network can take another input size.
    fn resize_sizes(
        &self,
        node: &NodeProto,
        name: &str,
        input: usize,
    ) -> Result<ResizeTo, LoadError> {
        let values = integers(self.constant(node, name)?)?;
        let TensorSpec { channels, height, width, .. } = self.graph.tensors[input];
        let sides = values.iter().map(|&n| usize::try_from(n).ok());
        match sides.collect::<Option<Vec<_>>>().as_deref() {
            Some(&[1, planes, rows, columns])
                if planes == channels && rows.max(columns) <= MAX_SIDE =>
            {
                if rows.is_multiple_of(height) && columns.is_multiple_of(width) {
                    let scale = |to: usize, from: usize| (to / from) as f32;
                    Ok(ResizeTo::Scales([scale(rows, height), scale(columns, width)]))
                } else {
                    Ok(ResizeTo::Size([rows, columns]))
                }
            }
            _ => Err(refused(
                node,
                format!("sizes {values:?}"),
                &format!("[1, {channels}, rows, columns], at most {MAX_SIDE} each"),
            )),
        }
    }

    pub(super) fn activation(
        &mut self,
        node: &NodeProto,
        activation: Activation,
    ) -> Result<Pending, LoadError> {
        Attributes::of(node, &[])?;
        let [input] = node.input.as_slice() else {
            return Err(refused(node, format!("{} inputs", node.input.len()), "1"));
        };
        let shared = self.is_shared(input);
        let open = |pending: &Pending| {
            pending.activation == Activation::None && !(shared && pending.only_picks())
        };
        if let Some((_, pending)) = self.take_real(input, open) {
            return Ok(Pending { activation, ..pending });
        }
        let input = self.stored(node, input)?;
        Ok(Pending { activation, ..Pending::new(node, Op::Copy, vec![input]) })
    }

    pub(super) fn weights(&mut self, node: &'a NodeProto) -> Result<Value<'a>, LoadError> {
        let attributes = Attributes::of(
            node,
            &["channel_axis", "mctq_version", "num_bits", "per_channel", "signed"],
        )?;
        attributes.only("num_bits", 8)?;
        attributes.only("signed", 1)?;
        let per_channel = attributes.flag("per_channel")?;
        if per_channel {
            attributes.only("channel_axis", 0)?;
        }
        let [weights, thresholds] = node.input.as_slice() else {
            return Err(refused(
                node,
                format!("{} inputs", node.input.len()),
                "weights, thresholds",
            ));
        };
        let [weights, thresholds] =
            [self.constant(node, weights)?, self.constant(node, thresholds)?];
        if !per_channel && thresholds.dims.iter().any(|&n| n != 1) {
            return Err(refused(
                node,
                format!("per_channel 0 and thresholds of shape {:?}", thresholds.dims),
                "one threshold",
            ));
        }
        Ok(Value::Weights { node, weights, thresholds })
    }

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
        if let Some(Value::Picture) = self.values.get(input.as_str()) {
            self.values.remove(input.as_str());
            let picture = &mut self.graph.tensors[0];
            (picture.scale, picture.signed) = (scale, signed);
            return Ok(0);
        }
        let shared = self.is_shared(input);
        let pending = match self.take_real(input, |pending| !(shared && pending.only_picks())) {
            Some((_, pending)) => pending,
            None => Pending::new(node, Op::Copy, vec![self.stored(node, input)?]),
        };
        self.push(pending, output, scale, signed)
    }
}

/// So many products of 255 and -128 still fit an int32.
const MAX_PRODUCTS: usize = 65_793;

/// The sum of two 8-bit numbers, one shifted by up to 15 bits, is exact in float32.
const MAX_SCALE_RATIO: f32 = 32_768.0;

/// Beyond these a picture would leave the limits of `graph.rs` anyway.
const SCALES: RangeInclusive<f32> = 1.0 / 64.0..=64.0;
