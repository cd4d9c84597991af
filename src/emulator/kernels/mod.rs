//! The fast forms of the operators, on one layout; portable vectors, no unsafe code.
//!
//! ```text
//!   a map     rows of pixels, the lanes (channels) of a pixel side by side, i16 each
//!
//!             border  border  border  border          border: zeros, as wide as the padding that the
//!             border  px 0,0  px 0,1  border          convolutions reading the map need
//!             border  px 1,0  px 1,1  border          px: lane 0, lane 1, ... channels - 1, then unused
//!             border  border  border  border
//! ```
//!
//! i16 holds stored numbers of both signs, and one instruction of every baseline multiplies eight pairs
//! of it and adds neighbours: `i16x8::dot`. Unused lanes hold anything; their weights are zero.
//!
//! Every kernel writes every pixel and the whole border of its output, so buffers can be shared.

pub(super) mod dense;
pub(super) mod depthwise;
pub(super) mod pointwise;
mod product;
pub(super) mod requantise;
pub(super) mod spatial;
pub(super) mod vnni;
pub(super) mod winograd;

use super::graph::TensorSpec;

/// Where the pixels of a map lie in its buffer.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// i16 per pixel.
    pub(super) lanes: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Rows above, columns left, rows below, columns right.
    pub(super) border: [usize; 4],
}

impl Layout {
    pub(super) fn new(spec: &TensorSpec, lanes: usize, border: [usize; 4]) -> Self {
        let TensorSpec { height, width, .. } = *spec;
        Self { lanes, height, width, border }
    }

    /// i16 from one row to the next.
    pub(super) fn row_stride(&self) -> usize {
        (self.border[1] + self.width + self.border[3]) * self.lanes
    }

    /// i16 of the whole map.
    pub(super) fn len(&self) -> usize {
        (self.border[0] + self.height + self.border[2]) * self.row_stride()
    }

    /// Where pixel (0, 0) of a picture with `padding` rows above and columns left begins.
    pub(super) fn origin(&self, padding: [usize; 2]) -> usize {
        (self.border[0] - padding[0]) * self.row_stride()
            + (self.border[1] - padding[1]) * self.lanes
    }

    /// The pixels of row `y`.
    pub(super) fn row<'a>(&self, map: &'a [i16], y: usize) -> &'a [i16] {
        let start = self.origin([0, 0]) + y * self.row_stride();
        &map[start..start + self.width * self.lanes]
    }

    /// The pixels of row `y`.
    pub(super) fn row_mut<'a>(&self, map: &'a mut [i16], y: usize) -> &'a mut [i16] {
        let start = self.origin([0, 0]) + y * self.row_stride();
        &mut map[start..start + self.width * self.lanes]
    }

    /// Writes zeros around the picture.
    pub(super) fn clear_border(&self, map: &mut [i16]) {
        let [above, left, below, right] = self.border;
        let stride = self.row_stride();
        map[..above * stride].fill(0);
        map[(above + self.height) * stride..(above + self.height + below) * stride].fill(0);
        for row in map[above * stride..].chunks_exact_mut(stride).take(self.height) {
            row[..left * self.lanes].fill(0);
            row[stride - right * self.lanes..].fill(0);
        }
    }
}
