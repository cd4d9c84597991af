//! The attributes of one node, by name and with their type checked.

use super::refused;
use crate::emulator::LoadError;
use crate::emulator::graph::Window;
use crate::emulator::onnx::{AttributeProto, NodeProto, TensorProto, attribute_type};

pub(super) struct Attributes<'a> {
    node: &'a NodeProto,
}

impl<'a> Attributes<'a> {
    /// The attributes of `node`, which may have no others than `known`: one that nobody reads could change
    /// the result.
    pub(super) fn of(node: &'a NodeProto, known: &[&str]) -> Result<Self, LoadError> {
        match node.attribute.iter().find(|a| !known.contains(&a.name.as_str())) {
            None => Ok(Self { node }),
            Some(stranger) => Err(refused(
                node,
                format!("attribute {:?}", stranger.name),
                &format!(
                    "only {}",
                    if known.is_empty() { "none".into() } else { known.join(", ") }
                ),
            )),
        }
    }

    fn find(&self, name: &str, kind: i32) -> Result<Option<&'a AttributeProto>, LoadError> {
        match self.node.attribute.iter().find(|a| a.name == name) {
            Some(attribute) if attribute.r#type != kind => Err(refused(
                self.node,
                format!("attribute {name} of type {}", attribute.r#type),
                &format!("type {kind}"),
            )),
            attribute => Ok(attribute),
        }
    }

    pub(super) fn tensor(&self, name: &str) -> Result<&'a TensorProto, LoadError> {
        self.find(name, attribute_type::TENSOR)?
            .and_then(|a| a.t.as_ref())
            .ok_or_else(|| refused(self.node, format!("no attribute {name}"), "a constant tensor"))
    }

    pub(super) fn word(&self, name: &str, default: &'a str) -> Result<&'a str, LoadError> {
        let Some(attribute) = self.find(name, attribute_type::STRING)? else {
            return Ok(default);
        };
        str::from_utf8(&attribute.s)
            .map_err(|_| refused(self.node, format!("attribute {name} of other bytes"), "UTF-8"))
    }

    pub(super) fn count(&self, name: &str, default: usize) -> Result<usize, LoadError> {
        let Some(attribute) = self.find(name, attribute_type::INT)? else { return Ok(default) };
        usize::try_from(attribute.i)
            .map_err(|_| refused(self.node, format!("{name} {}", attribute.i), "a count"))
    }

    /// Refuses any value but `wanted`, which is also ONNX's default.
    pub(super) fn only(&self, name: &str, wanted: usize) -> Result<(), LoadError> {
        self.is(name, wanted, wanted)
    }

    /// Refuses any value but `wanted`; `default` is ONNX's.
    pub(super) fn is(&self, name: &str, default: usize, wanted: usize) -> Result<(), LoadError> {
        let found = self.count(name, default)?;
        if found == wanted {
            return Ok(());
        }
        Err(refused(self.node, format!("{name} {found}"), &wanted.to_string()))
    }

    /// Refuses any axis but that of the channels, of which there are N, C, H, W.
    pub(super) fn channels(&self, name: &str, default: Option<i64>) -> Result<(), LoadError> {
        let axis = self.find(name, attribute_type::INT)?.map(|a| a.i).or(default);
        match axis {
            Some(1 | -3) => Ok(()),
            Some(other) => Err(refused(self.node, format!("{name} {other}"), CHANNEL_AXIS)),
            None => Err(refused(self.node, format!("no {name}"), CHANNEL_AXIS)),
        }
    }

    pub(super) fn number(&self, name: &str, default: f32) -> Result<f32, LoadError> {
        match self.find(name, attribute_type::FLOAT)?.map_or(default, |a| a.f) {
            number if number.is_finite() => Ok(number),
            number => Err(refused(self.node, format!("{name} {number}"), "a finite number")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, LoadError> {
        match self.count(name, 0)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(refused(self.node, format!("{name} {other}"), "0 or 1")),
        }
    }

    pub(super) fn power_of_two(&self, name: &str) -> Result<f32, LoadError> {
        let Some(attribute) = self.find(name, attribute_type::FLOAT)? else {
            return Err(refused(self.node, format!("no attribute {name}"), "a power of two"));
        };
        const MANTISSA: u32 = 0x007f_ffff;
        if THRESHOLDS.contains(&attribute.f) && attribute.f.to_bits() & MANTISSA == 0 {
            return Ok(attribute.f);
        }
        Err(refused(
            self.node,
            format!("{name} {}", attribute.f),
            &format!("a power of two within {THRESHOLDS:?}"),
        ))
    }

    /// Kernel, stride and padding of a convolution (whose weights say the kernel's size) or of a pooling.
    pub(super) fn window(&self, weights: Option<[usize; 2]>) -> Result<Window, LoadError> {
        let padding_rule = self.word("auto_pad", "NOTSET")?;
        if padding_rule != "NOTSET" {
            return Err(refused(self.node, format!("auto_pad {padding_rule:?}"), "explicit pads"));
        }
        let dilation = self.sides("dilations", [1, 1])?;
        let kernel = match weights {
            Some(kernel) => self.sides("kernel_shape", kernel)?,
            // Not optional for pooling; an empty kernel is refused below.
            None => self.sides("kernel_shape", [0, 0])?,
        };
        if weights.is_some_and(|w| w != kernel) {
            return Err(refused(
                self.node,
                format!("kernel_shape {kernel:?}"),
                "that of the weights",
            ));
        }
        let stride = self.sides("strides", [1, 1])?;
        let padding = self.sides("pads", [0, 0, 0, 0])?;
        let within = |side: &usize| (1..=MAX_KERNEL).contains(side);
        if !dilation.iter().all(|taps| (1..=MAX_DILATION).contains(taps)) {
            return Err(refused(
                self.node,
                format!("dilations {dilation:?}"),
                &format!("1 to {MAX_DILATION}"),
            ));
        }
        let window = Window { kernel, stride, padding, dilation };
        if kernel.iter().chain(&stride).all(within) {
            let extent = window.extent();
            if (0..4).all(|edge| padding[edge] < extent[edge % 2]) {
                return Ok(window);
            }
        }
        Err(refused(
            self.node,
            format!("kernel {kernel:?}, strides {stride:?}, pads {padding:?}"),
            &format!("kernel and strides of 1 to {MAX_KERNEL}, pads smaller than the kernel"),
        ))
    }

    /// The window of a pooling. With dilation it could miss the picture.
    pub(super) fn pool_window(&self) -> Result<Window, LoadError> {
        let window = self.window(None)?;
        match window.dilation {
            [1, 1] => Ok(window),
            other => Err(refused(self.node, format!("dilations {other:?}"), "[1, 1]")),
        }
    }

    pub(super) fn sides<const N: usize>(
        &self,
        name: &str,
        default: [usize; N],
    ) -> Result<[usize; N], LoadError> {
        let Some(attribute) = self.find(name, attribute_type::INTS)? else { return Ok(default) };
        let sides = attribute.ints.iter().map(|&n| usize::try_from(n).ok());
        let sides = sides.collect::<Option<Vec<_>>>().and_then(|s| <[usize; N]>::try_from(s).ok());
        sides.ok_or_else(|| {
            refused(
                self.node,
                format!("{name} {:?}", attribute.ints),
                &format!("{N} numbers, none negative"),
            )
        })
    }
}

/// 2^-32 to 2^32. Trained networks stay within 2^-4 to 2^8; the bound keeps every product of scales a
/// normal float32.
const THRESHOLDS: std::ops::RangeInclusive<f32> = 2.328_306_4e-10..=4_294_967_296.0;

/// The sensor's converter takes kernels of up to 16 x 16.
const MAX_KERNEL: usize = 16;

/// DeepLab's largest is 36.
const MAX_DILATION: usize = 64;

const CHANNEL_AXIS: &str = "1, the channels";
