//! Pooling and resizing.

use std::ops::RangeInclusive;

use super::attributes::Attributes;
use super::constants::{floats, integers};
use super::{Loader, Pending, refused};
use crate::emulator::LoadError;
use crate::emulator::graph::{
    AveragePool, Coordinates, MAX_SIDE, Op, ResizeLinear, ResizeTo, TensorSpec,
};
use crate::emulator::onnx::NodeProto;

impl Loader<'_> {
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
        let window = attributes.pool_window()?;
        let input = self.only_input(node)?;
        Ok(Pending::new(node, Op::MaxPool(window), vec![input]).picking())
    }

    pub(super) fn average_pool(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(
            node,
            &[
                "auto_pad",
                "ceil_mode",
                "count_include_pad",
                "dilations",
                "kernel_shape",
                "pads",
                "strides",
            ],
        )?;
        attributes.only("ceil_mode", 0)?;
        let counts_padding = attributes.flag("count_include_pad")?;
        let window = attributes.pool_window()?;
        let input = self.only_input(node)?;
        let pool = AveragePool { window, counts_padding };
        Ok(Pending::new(node, Op::AveragePool(pool), vec![input]))
    }

    pub(super) fn global_average_pool(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        Attributes::of(node, &[])?;
        let input = self.only_input(node)?;
        Ok(Pending::new(node, Op::GlobalAveragePool, vec![input]))
    }

    pub(super) fn resize(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(
            node,
            &[
                "antialias",
                "coordinate_transformation_mode",
                "cubic_coeff_a",
                "mode",
                "nearest_mode",
            ],
        )?;
        attributes.only("antialias", 0)?;
        let linear = match attributes.word("mode", "nearest")? {
            "nearest" => None,
            "linear" => Some(coordinates(node, &attributes)?),
            other => {
                return Err(refused(node, format!("mode {other:?}"), "nearest or linear"));
            }
        };
        if linear.is_none() {
            for (name, default, wanted) in [
                ("coordinate_transformation_mode", "half_pixel", "asymmetric"),
                ("nearest_mode", "round_prefer_floor", "floor"),
            ] {
                let found = attributes.word(name, default)?;
                if found != wanted {
                    return Err(refused(node, format!("{name} {found:?} for nearest"), wanted));
                }
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
        Ok(match linear {
            None => Pending::new(node, Op::Resize(to), vec![input]).picking(),
            Some(coordinates) => {
                let linear = ResizeLinear { to, coordinates };
                Pending::new(node, Op::ResizeLinear(linear), vec![input])
            }
        })
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
}

fn coordinates(node: &NodeProto, attributes: &Attributes<'_>) -> Result<Coordinates, LoadError> {
    match attributes.word("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => Ok(Coordinates::HalfPixel),
        "pytorch_half_pixel" => Ok(Coordinates::PytorchHalfPixel),
        "align_corners" => Ok(Coordinates::AlignCorners),
        "asymmetric" => Ok(Coordinates::Asymmetric),
        other => Err(refused(
            node,
            format!("coordinate_transformation_mode {other:?}"),
            "half_pixel, pytorch_half_pixel, align_corners or asymmetric",
        )),
    }
}

/// Beyond these a picture would leave the limits of `graph.rs` anyway.
const SCALES: RangeInclusive<f32> = 1.0 / 64.0..=64.0;
