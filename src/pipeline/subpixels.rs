//! A map finer than its tensor: four planes hold the four quarters of every pixel.
//!
//! ```text
//!   plane 0   a0 a1 ..      plane 1   b0 b1 ..          map   a0 b0 a1 b1 ..
//!   plane 2   c0 c1 ..      plane 3   d0 d1 ..                c0 d0 c1 d1 ..
//! ```
//!
//! The sensor has no memory for a map of 640 x 640, nor for the layer that would make one of the planes. On the
//! way out it costs nothing to keep them apart.

/// How the planes of an output become one map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subpixels {
    /// Pixels along each side of one element: 1, or 2 for four planes.
    factor: usize,
    width: usize,
    height: usize,
}

impl Subpixels {
    /// Of planes of this size; `None` unless there are one or four.
    #[must_use]
    pub fn new(planes: usize, width: usize, height: usize) -> Option<Self> {
        let factor = match planes {
            1 => 1,
            4 => 2,
            _ => return None,
        };
        Some(Self { factor, width, height })
    }

    /// Pixels a row of the map.
    #[must_use]
    pub fn map_width(&self) -> usize {
        self.factor * self.width
    }

    /// Rows of the map.
    #[must_use]
    pub fn map_height(&self) -> usize {
        self.factor * self.height
    }

    /// Planes.
    #[must_use]
    pub fn planes(&self) -> usize {
        self.factor * self.factor
    }

    /// Writes the map row-major. `planes`: C, H, W. `into` is reused without allocation.
    pub fn lay_out(&self, planes: &[u8], into: &mut Vec<u8>, pixel: impl Fn(u8) -> u8) {
        into.resize(self.map_width() * self.map_height(), 0);
        let planes = planes.chunks_exact(self.width * self.height).enumerate();
        for (index, plane) in planes.take(self.planes()) {
            let (row, column) = (index / self.factor, index % self.factor);
            let rows = into.chunks_exact_mut(self.map_width()).skip(row).step_by(self.factor);
            for (made, line) in rows.zip(plane.chunks_exact(self.width)) {
                let pixels = made.iter_mut().skip(column).step_by(self.factor);
                for (made, &stored) in pixels.zip(line) {
                    *made = pixel(stored);
                }
            }
        }
    }

    /// The same of elements in ordinal order: planes fastest, then rows, then columns.
    pub(super) fn lay_out_columns<T: Copy>(
        &self,
        columns: &[T],
        into: &mut Vec<u8>,
        pixel: impl Fn(T) -> u8,
    ) {
        into.resize(self.map_width() * self.map_height(), 0);
        let (planes, column_len) = (self.planes(), self.height * self.planes());
        // Along the rows that are written: the columns' lines that are read stay in the cache for the next rows.
        for (y, rows) in into.chunks_exact_mut(self.factor * self.map_width()).enumerate() {
            for (row, made) in rows.chunks_exact_mut(self.map_width()).enumerate() {
                let first = y * planes + row * self.factor;
                for (x, pixels) in made.chunks_exact_mut(self.factor).enumerate() {
                    let elements = &columns[x * column_len + first..][..self.factor];
                    for (made, &element) in pixels.iter_mut().zip(elements) {
                        *made = pixel(element);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Subpixels;

    #[test]
    fn four_planes_are_the_quarters_of_every_pixel() {
        // Planes of 3 x 2; tens are the plane.
        let planes: Vec<u8> =
            (0..4).flat_map(|plane| (0..6).map(move |n| 10 * plane + n)).collect();
        let wanted = [
            [0, 10, 1, 11, 2, 12],
            [20, 30, 21, 31, 22, 32],
            [3, 13, 4, 14, 5, 15],
            [23, 33, 24, 34, 25, 35],
        ];
        let subpixels = Subpixels::new(4, 3, 2).unwrap();
        assert_eq!((subpixels.map_width(), subpixels.map_height()), (6, 4));
        let mut map = Vec::new();
        subpixels.lay_out(&planes, &mut map, |stored| stored);
        assert_eq!(map, wanted.concat());
        let columns: Vec<u8> = (0..3)
            .flat_map(|x| (0..2).flat_map(move |y| (0..4).map(move |p| 10 * p + 3 * y + x)))
            .collect();
        subpixels.lay_out_columns(&columns, &mut map, |stored| stored);
        assert_eq!(map, wanted.concat());
    }

    #[test]
    fn one_plane_is_the_map() {
        let subpixels = Subpixels::new(1, 3, 2).unwrap();
        let mut map = Vec::new();
        subpixels.lay_out(&[1, 2, 3, 4, 5, 6], &mut map, |stored| stored + 1);
        assert_eq!(map, [2, 3, 4, 5, 6, 7]);
        subpixels.lay_out_columns(&[1, 4, 2, 5, 3, 6], &mut map, |stored| stored);
        assert_eq!(map, [1, 2, 3, 4, 5, 6]);
        assert_eq!(Subpixels::new(3, 3, 2), None);
    }
}
