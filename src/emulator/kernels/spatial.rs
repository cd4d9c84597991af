//! Operators that pick pixels: pooling, resizing, copying.

use wide::i16x8;

use super::Layout;
use super::pointwise::Table;
use crate::emulator::graph::{ResizeTo, Window};

/// Largest of a window, per channel.
#[derive(Debug)]
pub(in crate::emulator) struct MaxPool {
    pub(in crate::emulator) window: Window,
    pub(in crate::emulator) table: Option<Table>,
}

impl MaxPool {
    pub(in crate::emulator) fn run(
        &self,
        (from, map): (&Layout, &[i16]),
        (to, made): (&Layout, &mut [i16]),
    ) {
        to.clear_border(made);
        for y in 0..to.height {
            let rows = self.window.inside(0, y, from.height);
            let made = to.row_mut(made, y);
            for (x, pixel) in made.chunks_exact_mut(to.lanes).enumerate() {
                let columns = self.window.inside(1, x, from.width);
                for (eight, largest) in pixel.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                    let mut lanes = i16x8::MIN;
                    for row in rows.clone() {
                        let row = from.row(map, row);
                        for column in columns.clone() {
                            let pixel = &row[column * from.lanes + 8 * eight..];
                            let Some(&pixel) = pixel.first_chunk() else { continue };
                            lanes = lanes.max(i16x8::new(pixel));
                        }
                    }
                    *largest = lanes.to_array();
                }
            }
            if let Some(table) = &self.table {
                table.apply(made);
            }
        }
    }
}

impl Window {
    /// The part of the window of output position `at` that lies on the picture, along one axis.
    pub(in crate::emulator) fn inside(
        &self,
        axis: usize,
        at: usize,
        len: usize,
    ) -> std::ops::Range<usize> {
        let start = at * self.stride[axis];
        let end = (start + self.kernel[axis]).saturating_sub(self.padding[axis]);
        start.saturating_sub(self.padding[axis])..end.min(len)
    }
}

/// Input row of each output row, input column of each output column.
pub(in crate::emulator) fn sources(
    to: Option<ResizeTo>,
    from: [usize; 2],
    size: [usize; 2],
) -> [Vec<usize>; 2] {
    [0, 1].map(|axis| {
        let source = |at| to.map_or(at, |to| to.source(axis, at, from[axis]));
        (0..size[axis]).map(source).collect()
    })
}

/// Copies pixels, from wherever each comes from.
#[derive(Debug)]
pub(in crate::emulator) struct Pick {
    /// Input row of each output row, input column of each output column.
    rows: Vec<usize>,
    columns: Vec<usize>,
    table: Option<Table>,
}

impl Pick {
    pub(in crate::emulator) fn new(
        to: Option<ResizeTo>,
        from: [usize; 2],
        size: [usize; 2],
        table: Option<Table>,
    ) -> Self {
        let [rows, columns] = sources(to, from, size);
        Self { rows, columns, table }
    }

    pub(in crate::emulator) fn run(
        &self,
        (from, map): (&Layout, &[i16]),
        (to, made): (&Layout, &mut [i16]),
    ) {
        to.clear_border(made);
        for (y, &source) in self.rows.iter().enumerate() {
            if y > 0 && self.rows[y - 1] == source {
                let above = to.origin([0, 0]) + (y - 1) * to.row_stride();
                made.copy_within(above..above + to.width * to.lanes, above + to.row_stride());
                continue;
            }
            let source = from.row(map, source);
            let made = to.row_mut(made, y);
            for (pixel, &column) in made.chunks_exact_mut(to.lanes).zip(&self.columns) {
                let source = &source[column * from.lanes..][..from.lanes];
                for (lanes, source) in
                    pixel.as_chunks_mut::<8>().0.iter_mut().zip(source.as_chunks::<8>().0)
                {
                    *lanes = *source;
                }
            }
            if let Some(table) = &self.table {
                table.apply(made);
            }
        }
    }
}
