//! Where the pixels of a tensor lie in one row of its map.

use crate::emulator::graph::TensorSpec;
use crate::emulator::kernels::{Instructions, Out, flip};

/// A tensor in blocks of channels, row by row; see [`crate::emulator::kernels`].
#[derive(Debug, Clone)]
pub(super) struct Map {
    /// Bytes a pixel in one block: 16, or 4 for a picture.
    pub(super) lanes: usize,
    pub(super) blocks: usize,
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Pixels left and right that hold the stored zero: as many as the convolutions reading the map pad.
    pub(super) border: [usize; 2],
    /// The stored zero.
    pub(super) zero: u8,
}

impl Map {
    pub(super) fn new(spec: &TensorSpec, lanes: usize, border: [usize; 2]) -> Self {
        let TensorSpec { channels, height, width, signed, .. } = *spec;
        let blocks = channels.div_ceil(lanes);
        Self { lanes, blocks, channels, height, width, border, zero: flip(signed) }
    }

    /// Bytes from one block of channels to the next.
    pub(super) fn block_stride(&self) -> usize {
        (self.border[0] + self.width + self.border[1]) * self.lanes
    }

    /// Bytes of a row.
    pub(super) fn row_len(&self) -> usize {
        self.blocks * self.block_stride()
    }

    /// Where the pixel that lies `left` of pixel 0 begins in the first block.
    pub(super) fn start(&self, left: usize) -> usize {
        (self.border[0] - left) * self.lanes
    }

    /// Where the pixels of a block lie.
    pub(super) fn pixels(&self, block: usize) -> std::ops::Range<usize> {
        let start = block * self.block_stride() + self.start(0);
        start..start + self.width * self.lanes
    }

    /// Where the byte of a channel of pixel `x` is.
    pub(super) fn at(&self, channel: usize, x: usize) -> usize {
        self.pixels(channel / self.lanes).start + x * self.lanes + channel % self.lanes
    }

    pub(super) fn out<'a>(&self, row: &'a mut [u8]) -> Out<'a> {
        let (start, block_stride) = (self.start(0), self.block_stride());
        Out { row, start, block_stride, width: self.width }
    }

    /// Writes the stored zero left and right of the picture.
    pub(super) fn clear_border(&self, row: &mut [u8]) {
        if self.border == [0, 0] {
            return;
        }
        for block in row.chunks_exact_mut(self.block_stride()) {
            let (left, right) = (self.border[0] * self.lanes, self.border[1] * self.lanes);
            let len = block.len();
            block[..left].fill(self.zero);
            block[len - right..].fill(self.zero);
        }
    }

    /// Row `y` of stored bytes C, H, W.
    pub(super) fn unpack(&self, bytes: &[u8], y: usize, row: &mut [u8], with: Instructions) {
        let line =
            |channel: usize| &bytes[(channel * self.height + y) * self.width..][..self.width];
        if self.lanes == 4 {
            // A channel that is not there has weights of zero.
            let planes = [0, 1, 2, 3].map(|channel| line(channel.min(self.channels - 1)));
            with.interleave(planes, self.zero, &mut row[self.pixels(0)]);
            return;
        }
        for channel in 0..self.channels {
            let pixels = row[self.pixels(channel / self.lanes)].chunks_exact_mut(self.lanes);
            for (pixel, &byte) in pixels.zip(line(channel)) {
                pixel[channel % self.lanes] = byte ^ self.zero;
            }
        }
    }

    /// A row into row `y` of stored bytes C, `height`, W.
    pub(super) fn pack(&self, row: &[u8], bytes: &mut [u8], (y, height): (usize, usize)) {
        for channel in 0..self.channels {
            let pixels = row[self.pixels(channel / self.lanes)].chunks_exact(self.lanes);
            let line = &mut bytes[(channel * height + y) * self.width..][..self.width];
            for (byte, pixel) in line.iter_mut().zip(pixels) {
                *byte = pixel[channel % self.lanes] ^ self.zero;
            }
        }
    }
}
