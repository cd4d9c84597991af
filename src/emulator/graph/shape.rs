//! The shape of what a node makes, and the limits of shapes.

use super::{AveragePool, Conv, Node, Op, ResizeLinear, TensorSpec, Window};
use crate::emulator::LoadError;

impl Node {
    /// Channels, rows, columns of what the node makes of `inputs`.
    pub(in crate::emulator) fn output_shape(
        &self,
        inputs: &[&TensorSpec],
    ) -> Result<[usize; 3], LoadError> {
        let first = inputs[0];
        let size = [first.height, first.width];
        let shape = |t: &TensorSpec| [t.channels, t.height, t.width];
        let shape = match &self.op {
            Op::Conv(conv) => {
                self.check_planes(conv, first)?;
                let [height, width] = self.windows(&conv.window, size)?;
                [conv.out_channels, height, width]
            }
            Op::ConvTranspose(transposed) => {
                self.check_planes(&transposed.conv, first)?;
                let [height, width] = transposed.output_size(size).ok_or_else(|| {
                    self.refused(
                        format!("pads {:?}", transposed.conv.window.padding),
                        "something left of the picture".to_owned(),
                    )
                })?;
                [transposed.conv.out_channels, height, width]
            }
            Op::MaxPool(window) | Op::AveragePool(AveragePool { window, .. }) => {
                let [height, width] = self.windows(window, size)?;
                [first.channels, height, width]
            }
            Op::GlobalAveragePool => [first.channels, 1, 1],
            Op::Add if shape(first) == shape(inputs[1]) => shape(first),
            Op::Mul if shape(first) == shape(inputs[1]) => shape(first),
            Op::Mul if shape(inputs[1]) == [first.channels, 1, 1] => shape(first),
            Op::Mul if shape(first) == [inputs[1].channels, 1, 1] => shape(inputs[1]),
            Op::Add | Op::Mul => {
                let wanted = match self.op {
                    Op::Mul => "one shape (C, H, W) for both inputs, or (C, 1, 1) for one",
                    _ => "one shape (C, H, W) for both inputs",
                };
                return Err(self.refused(
                    format!("shapes {:?} and {:?}", shape(first), shape(inputs[1])),
                    wanted.to_owned(),
                ));
            }
            Op::Concat => {
                if let Some(odd) = inputs.iter().find(|t| [t.height, t.width] != size) {
                    return Err(self.refused(
                        format!("shapes {:?} and {:?}", shape(first), shape(odd)),
                        "one height and width for all inputs".to_owned(),
                    ));
                }
                [inputs.iter().map(|input| input.channels).sum(), first.height, first.width]
            }
            Op::Resize(to) | Op::ResizeLinear(ResizeLinear { to, .. }) => {
                let [height, width] = to.size(size);
                [first.channels, height, width]
            }
            Op::ArgMax if first.channels > MAX_CLASSES => {
                return Err(self.refused(
                    format!("{} channels", first.channels),
                    format!("at most {MAX_CLASSES}, whose numbers fit a byte"),
                ));
            }
            Op::ArgMax => [1, first.height, first.width],
            Op::Softmax | Op::Copy => shape(first),
        };
        check_size(&self.name, shape)?;
        if !self.slopes.is_empty() && self.slopes.len() != shape[0] {
            return Err(self.refused(
                format!("{} slopes of its PRelu for {} channels", self.slopes.len(), shape[0]),
                "one, or one for each channel".to_owned(),
            ));
        }
        Ok(shape)
    }

    fn check_planes(&self, conv: &Conv, input: &TensorSpec) -> Result<(), LoadError> {
        if conv.group_channels * conv.groups == input.channels {
            return Ok(());
        }
        Err(self.refused(
            format!("{} input channels", input.channels),
            format!("{} (weights times groups)", conv.group_channels * conv.groups),
        ))
    }

    fn windows(&self, window: &Window, size: [usize; 2]) -> Result<[usize; 2], LoadError> {
        window.output_size(size).ok_or_else(|| {
            self.refused(
                format!("a picture of {} x {} pixels", size[0], size[1]),
                format!("at least the kernel's {} x {}", window.extent()[0], window.extent()[1]),
            )
        })
    }

    fn refused(&self, found: String, wanted: String) -> LoadError {
        LoadError::Node {
            node: self.name.clone(),
            operator: self.op.name().to_owned(),
            found,
            wanted,
        }
    }
}

pub(in crate::emulator) fn check_size(name: &str, shape: [usize; 3]) -> Result<(), LoadError> {
    let limits = [MAX_CHANNELS, MAX_SIDE, MAX_SIDE];
    if shape.iter().zip(limits).all(|(&n, limit)| (1..=limit).contains(&n)) {
        return Ok(());
    }
    Err(LoadError::Shape { tensor: name.to_owned(), found: shape, limits })
}

/// Sixteen times the widest layer of the shipped network.
pub(in crate::emulator) const MAX_CHANNELS: usize = 1024;

/// The sensor's picture has 4056 columns; no input tensor can be larger.
pub(in crate::emulator) const MAX_SIDE: usize = 4096;

/// Bytes of all tensors together. The shipped network at 960 x 960 pixels, the size of the paper's
/// pictures, has 230 million.
pub(super) const MAX_ACTIVATIONS: usize = 512 << 20;

/// Rows of all tensors together, each of which an engine plans for. The shipped networks have 7,000.
pub(super) const MAX_ROWS: usize = 1 << 20;

/// Class numbers are stored as u8.
const MAX_CLASSES: usize = 256;
