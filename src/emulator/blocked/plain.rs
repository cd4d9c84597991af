//! What has no kernel of its own, by plain loops over the blocked layout.

use super::map::Map;
use crate::emulator::graph::{Activation, Conv, TensorSpec, Window};
use crate::emulator::reference;

/// Largest of any window, per channel.
pub(super) fn max_pool(window: &Window, (from, map): (&Map, &[u8]), (to, made): (&Map, &mut [u8])) {
    for block in 0..to.blocks {
        for y in 0..to.height {
            for x in 0..to.width {
                let mut largest = [0; 16];
                for row in window.inside(0, y, from.height) {
                    for column in window.inside(1, x, from.width) {
                        let at = from.row(block, row) + 16 * column;
                        for (largest, &byte) in largest.iter_mut().zip(&map[at..at + 16]) {
                            *largest = byte.max(*largest);
                        }
                    }
                }
                let at = to.row(block, y) + 16 * x;
                made[at..at + 16].copy_from_slice(&largest);
            }
        }
    }
}

impl Window {
    /// The tap of the window of output pixel `at` that lies on input pixel `on`.
    fn tap(&self, at: [usize; 2], on: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| on[axis] + self.padding[axis] - at[axis] * self.stride[axis])
    }
}

/// What each stored byte of one tensor becomes in another; `None` if every byte stays what it is.
pub(super) fn table(
    activation: Activation,
    from: &TensorSpec,
    to: &TensorSpec,
) -> Option<Box<[u8; 256]>> {
    let offset = |spec: &TensorSpec| if spec.signed { 128 } else { 0 };
    let entry = |byte: u8| {
        let real = from.widen(byte ^ offset(from)) as f32 * from.scale;
        reference::quantise(real, activation, to) ^ offset(to)
    };
    let table: [u8; 256] = std::array::from_fn(|byte| entry(byte.to_le_bytes()[0]));
    let changes = table.iter().enumerate().any(|(byte, &entry)| byte != usize::from(entry));
    changes.then(|| Box::new(table))
}

/// Convolution of any window and groups, with any activation.
#[derive(Debug)]
pub(super) struct Convolution {
    pub(super) conv: Conv,
    pub(super) activation: Activation,
    pub(super) input_scale: f32,
    pub(super) output: TensorSpec,
}

impl Convolution {
    pub(super) fn run(&self, (from, map): (&Map, &[u8]), (to, made): (&Map, &mut [u8])) {
        let conv = &self.conv;
        for channel in 0..to.channels {
            let group = channel / (conv.out_channels / conv.groups);
            let planes = group * conv.group_channels..(group + 1) * conv.group_channels;
            let multiplier = self.input_scale * conv.weight_scales[channel];
            for y in 0..to.height {
                for x in 0..to.width {
                    let mut sum = 0;
                    for plane in planes.clone() {
                        for row in conv.window.inside(0, y, from.height) {
                            for column in conv.window.inside(1, x, from.width) {
                                let tap = conv.window.tap([y, x], [row, column]);
                                let weight = i32::from(conv.weight_i8(channel, plane, tap));
                                sum += from.number(map, plane, [row, column]) * weight;
                            }
                        }
                    }
                    let real = sum as f32 * multiplier + conv.bias[channel];
                    let stored = reference::quantise(real, self.activation, &self.output);
                    to.store(made, channel, [y, x], stored);
                }
            }
        }
    }
}

/// Sum of two maps whose scales are far apart, or with an activation that is not a clip.
#[derive(Debug)]
pub(super) struct Add {
    pub(super) scales: [f32; 2],
    pub(super) activation: Activation,
    pub(super) output: TensorSpec,
}

impl Add {
    pub(super) fn run(&self, inputs: [(&Map, &[u8]); 2], (to, made): (&Map, &mut [u8])) {
        for channel in 0..to.channels {
            for y in 0..to.height {
                for x in 0..to.width {
                    let [a, b] = [0, 1].map(|i| {
                        let (from, map) = inputs[i];
                        from.number(map, channel, [y, x]) as f32 * self.scales[i]
                    });
                    let stored = reference::quantise(a + b, self.activation, &self.output);
                    to.store(made, channel, [y, x], stored);
                }
            }
        }
    }
}
