//! Where the pixels of a map lie in its buffer.

use crate::emulator::graph::TensorSpec;

/// A tensor in blocks of channels.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct Map {
    /// Bytes a pixel in one plane: 16, or 4 for a picture.
    pub(in crate::emulator) lanes: usize,
    pub(in crate::emulator) blocks: usize,
    pub(in crate::emulator) channels: usize,
    pub(in crate::emulator) height: usize,
    pub(in crate::emulator) width: usize,
    /// Rows above, columns left, rows below, columns right.
    border: [usize; 4],
    /// The stored zero: 128 where the tensor is signed.
    pub(in crate::emulator) zero: u8,
}

impl Map {
    pub(super) fn new(spec: &TensorSpec, lanes: usize, border: [usize; 4]) -> Self {
        let TensorSpec { channels, height, width, signed, .. } = *spec;
        let zero = if signed { 128 } else { 0 };
        Self { lanes, blocks: channels.div_ceil(lanes), channels, height, width, border, zero }
    }

    /// Bytes from one row to the next.
    pub(in crate::emulator) fn row_stride(&self) -> usize {
        (self.border[1] + self.width + self.border[3]) * self.lanes
    }

    /// Bytes from one block of channels to the next.
    pub(in crate::emulator) fn plane_len(&self) -> usize {
        (self.border[0] + self.height + self.border[2]) * self.row_stride()
    }

    /// Bytes of the buffer. A vector of 64 bytes may begin at any pixel.
    pub(super) fn len_bytes(&self) -> usize {
        self.blocks * self.plane_len() + 64
    }

    /// Where the pixel (0, 0) of a picture with `padding` rows above and columns left begins in its plane.
    pub(in crate::emulator) fn origin(&self, padding: [usize; 2]) -> usize {
        (self.border[0] - padding[0]) * self.row_stride()
            + (self.border[1] - padding[1]) * self.lanes
    }

    /// Where pixel 0 of row `y` of a block begins.
    pub(in crate::emulator) fn row(&self, block: usize, y: usize) -> usize {
        block * self.plane_len() + self.origin([0, 0]) + y * self.row_stride()
    }

    /// Bytes of a row's pixels.
    pub(in crate::emulator) fn row_len(&self) -> usize {
        self.width * self.lanes
    }

    /// The stored number of a channel, 128 taken off where it was added.
    pub(super) fn number(&self, map: &[u8], channel: usize, [y, x]: [usize; 2]) -> i32 {
        i32::from(map[self.at(channel, [y, x])]) - i32::from(self.zero)
    }

    /// Writes a channel's stored byte.
    pub(super) fn store(&self, map: &mut [u8], channel: usize, [y, x]: [usize; 2], stored: u8) {
        map[self.at(channel, [y, x])] = stored ^ self.zero;
    }

    fn at(&self, channel: usize, [y, x]: [usize; 2]) -> usize {
        self.row(channel / self.lanes, y) + x * self.lanes + channel % self.lanes
    }

    /// Writes the stored zero around the picture.
    pub(super) fn clear_border(&self, map: &mut [u8]) {
        let [above, left, below, right] = self.border;
        if self.border == [0; 4] {
            return;
        }
        let (stride, zero) = (self.row_stride(), self.zero);
        for plane in map.chunks_exact_mut(self.plane_len()).take(self.blocks) {
            plane[..above * stride].fill(zero);
            plane[(above + self.height) * stride..(above + self.height + below) * stride]
                .fill(zero);
            for row in plane[above * stride..].chunks_exact_mut(stride).take(self.height) {
                row[..left * self.lanes].fill(zero);
                row[stride - right * self.lanes..].fill(zero);
            }
        }
    }

    /// Fills the map from stored bytes C, H, W.
    pub(super) fn unpack(&self, bytes: &[u8], map: &mut [u8]) {
        self.clear_border(map);
        let plane = self.height * self.width;
        if self.lanes == 4 {
            let planes: [&[u8]; 4] = std::array::from_fn(|channel| {
                // A channel that is not there has weights of zero.
                let channel = channel.min(self.channels - 1);
                &bytes[channel * plane..][..plane]
            });
            for y in 0..self.height {
                let row = self.row(0, y);
                let pixels = map[row..row + self.row_len()].as_chunks_mut::<4>().0;
                let [a, b, c, d] = planes.map(|plane| &plane[y * self.width..][..self.width]);
                for (x, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = [a[x], b[x], c[x], d[x]].map(|byte| byte ^ self.zero);
                }
            }
            return;
        }
        for (channel, plane) in bytes.chunks_exact(plane).enumerate() {
            for (y, line) in plane.chunks_exact(self.width).enumerate() {
                let row = self.row(channel / self.lanes, y);
                let pixels = map[row..row + self.row_len()].chunks_exact_mut(self.lanes);
                for (pixel, &byte) in pixels.zip(line) {
                    pixel[channel % self.lanes] = byte ^ self.zero;
                }
            }
        }
    }

    /// Stored bytes C, H, W of the map.
    pub(super) fn pack(&self, map: &[u8], bytes: &mut [u8]) {
        for (channel, plane) in bytes.chunks_exact_mut(self.height * self.width).enumerate() {
            for (y, line) in plane.chunks_exact_mut(self.width).enumerate() {
                let row = self.row(channel / self.lanes, y);
                let pixels = map[row..row + self.row_len()].chunks_exact(self.lanes);
                for (byte, pixel) in line.iter_mut().zip(pixels) {
                    *byte = pixel[channel % self.lanes] ^ self.zero;
                }
            }
        }
    }
}
