//! The one transform between tensor, picture and display.
//!
//! ```text
//!   tensor (160 x 160) --stretch--> picture (320 x 320) --letterbox--> display (640 x 480)
//!   +-----+                         +----------+                       +--+--------+--+
//!   |     |                         |          |                       |  |        |  |
//!   +-----+                         +----------+                       +--+--------+--+
//! ```
//!
//! Coordinates are continuous: pixel `i` covers `i..i + 1` and its centre is at `i + 0.5`. A mask
//! scaled without that half pixel sits half a tensor pixel up and left of the vessels it belongs
//! to. Where all this lies on the sensor, and what its true aspect is, says [`Sight`].

mod sight;

pub use sight::Sight;

/// Width and height of a picture, a tensor or a display; neither is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    width: usize,
    height: usize,
}

impl Size {
    /// None when a side is zero: such a picture has no coordinates.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { width, height })
    }
    /// Pixels a row.
    #[must_use]
    pub fn width(self) -> usize {
        self.width
    }
    /// Rows.
    #[must_use]
    pub fn height(self) -> usize {
        self.height
    }
    /// Width times height.
    #[must_use]
    pub fn pixels(self) -> usize {
        self.width * self.height
    }
}

/// `x' = x * scale_x + offset_x`, and likewise for y: scaling, shifting and mirroring, no rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// Target pixels a source pixel, across.
    pub scale_x: f64,
    /// Target pixels a source pixel, down.
    pub scale_y: f64,
    /// Where the source's left edge lies in the target.
    pub offset_x: f64,
    /// Where the source's upper edge lies in the target.
    pub offset_y: f64,
}

impl Transform {
    /// All of `from` onto all of `to`; the aspect may change.
    #[must_use]
    pub fn stretch(from: Size, to: Size) -> Self {
        Self {
            scale_x: to.width as f64 / from.width as f64,
            scale_y: to.height as f64 / from.height as f64,
            offset_x: 0.0,
            offset_y: 0.0,
        }
    }
    /// All of `from` into `to` with its aspect kept, as large as fits, in the middle.
    #[must_use]
    pub fn letterbox(from: Size, to: Size) -> Self {
        let stretched = Self::stretch(from, to);
        let scale = stretched.scale_x.min(stretched.scale_y);
        Self {
            scale_x: scale,
            scale_y: scale,
            offset_x: (to.width as f64 - from.width as f64 * scale) / 2.0,
            offset_y: (to.height as f64 - from.height as f64 * scale) / 2.0,
        }
    }
    /// Moved right and down.
    #[must_use]
    pub fn shift(right: f64, down: f64) -> Self {
        Self { scale_x: 1.0, scale_y: 1.0, offset_x: right, offset_y: down }
    }
    /// All of `size` onto itself, left and right or top and bottom exchanged.
    #[must_use]
    pub fn mirror(size: Size, horizontal: bool, vertical: bool) -> Self {
        let about =
            |side: usize, turned: bool| if turned { (-1.0, side as f64) } else { (1.0, 0.0) };
        let (scale_x, offset_x) = about(size.width, horizontal);
        let (scale_y, offset_y) = about(size.height, vertical);
        Self { scale_x, scale_y, offset_x, offset_y }
    }
    /// First `self`, then `next`.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self {
            scale_x: self.scale_x * next.scale_x,
            scale_y: self.scale_y * next.scale_y,
            offset_x: self.offset_x * next.scale_x + next.offset_x,
            offset_y: self.offset_y * next.scale_y + next.offset_y,
        }
    }
    /// The way back.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self {
            scale_x: 1.0 / self.scale_x,
            scale_y: 1.0 / self.scale_y,
            offset_x: -self.offset_x / self.scale_x,
            offset_y: -self.offset_y / self.scale_y,
        }
    }
    /// Where a point of the source lies in the target.
    #[must_use]
    pub fn apply(self, (x, y): (f64, f64)) -> (f64, f64) {
        (x * self.scale_x + self.offset_x, y * self.scale_y + self.offset_y)
    }
    /// For every target column, the two source columns around its centre.
    #[must_use]
    pub fn column_taps(self, from: Size, to: Size) -> Vec<Tap> {
        let back = self.inverse();
        taps(back.scale_x, back.offset_x, from.width, to.width)
    }
    /// For every target row, the two source rows around its centre.
    #[must_use]
    pub fn row_taps(self, from: Size, to: Size) -> Vec<Tap> {
        let back = self.inverse();
        taps(back.scale_y, back.offset_y, from.height, to.height)
    }
}

/// What bilinear sampling reads along one axis: `first * (256 - weight) + second * weight`, over
/// 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// Pixel whose centre is at or before the sample.
    pub first: usize,
    /// The next pixel; equals `first` at the edge, where the picture is continued by its last
    /// pixel.
    pub second: usize,
    /// Share of `second`, 0..=255.
    pub weight: u16,
}

fn taps(scale: f64, offset: f64, from_len: usize, to_len: usize) -> Vec<Tap> {
    let last = from_len - 1;
    (0..to_len)
        .map(|target| {
            let source = (target as f64 + 0.5) * scale + offset - 0.5;
            let fixed = to_fixed(source.clamp(0.0, last as f64));
            let first = fixed / 256;
            let weight = u16::try_from(fixed % 256).expect("a remainder of 256 fits in 16 bits");
            Tap { first, second: (first + 1).min(last), weight }
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the caller has clamped to 0..=source length, far inside both types"
)]
fn to_fixed(position: f64) -> usize {
    (position * 256.0).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(width: usize, height: usize) -> Size {
        Size::new(width, height).unwrap()
    }

    #[test]
    fn refuses_sizes_without_pixels() {
        assert_eq!(Size::new(0, 5), None);
        assert_eq!(Size::new(5, 0), None);
    }

    #[test]
    fn letterbox_keeps_aspect_and_centres() {
        let boxed = Transform::letterbox(size(320, 320), size(640, 480));
        assert_eq!(boxed.apply((0.0, 0.0)), (80.0, 0.0));
        assert_eq!(boxed.apply((320.0, 320.0)), (560.0, 480.0));
        assert_eq!(boxed.apply((160.0, 160.0)), (320.0, 240.0));
    }

    #[test]
    fn same_size_reads_each_pixel_itself() {
        let same = Transform::stretch(size(7, 3), size(7, 3));
        for (i, tap) in same.column_taps(size(7, 3), size(7, 3)).into_iter().enumerate() {
            assert_eq!((tap.first, tap.weight), (i, 0));
        }
    }

    /// Worked by hand: target centres 0.5, 1.5, 2.5, 3.5 halve to 0.25, 0.75, 1.25, 1.75, and the
    /// source centres are at 0.5 and 1.5.
    #[test]
    fn doubling_samples_at_quarter_pixels() {
        let double = Transform::stretch(size(2, 1), size(4, 2));
        let taps = double.column_taps(size(2, 1), size(4, 2));
        let expected = [(0, 1, 0), (0, 1, 64), (0, 1, 192), (1, 1, 0)];
        let got: Vec<_> = taps.iter().map(|tap| (tap.first, tap.second, tap.weight)).collect();
        assert_eq!(got, expected);
    }

    proptest! {
        #[test]
        fn there_and_back_is_where_it_started(
            tensor in (1_usize..700, 1_usize..700),
            picture in (1_usize..1500, 1_usize..1500),
            display in (1_usize..4000, 1_usize..2200),
            point in (0.0_f64..1.0, 0.0_f64..1.0),
        ) {
            let tensor = size(tensor.0, tensor.1);
            let picture = size(picture.0, picture.1);
            let display = size(display.0, display.1);
            let shown_at = Transform::letterbox(picture, display);
            let way = Transform::stretch(tensor, picture).then(shown_at);
            let start = (point.0 * tensor.width() as f64, point.1 * tensor.height() as f64);
            let shown = way.apply(start);
            prop_assert!(shown.0 >= -1e-6 && shown.0 <= display.width() as f64 + 1e-6);
            prop_assert!(shown.1 >= -1e-6 && shown.1 <= display.height() as f64 + 1e-6);
            let back = way.inverse().apply(shown);
            prop_assert!((back.0 - start.0).abs() < 1e-6, "{start:?} came back as {back:?}");
            prop_assert!((back.1 - start.1).abs() < 1e-6, "{start:?} came back as {back:?}");
        }

        #[test]
        fn taps_stay_inside_the_source(from in 1_usize..500, to in 1_usize..1500) {
            let (from, to) = (size(from, 1), size(to, 1));
            let taps = Transform::stretch(from, to).column_taps(from, to);
            prop_assert_eq!(taps.len(), to.width());
            for tap in &taps {
                prop_assert!(tap.first <= tap.second && tap.second < from.width());
                prop_assert!(tap.weight <= 255);
            }
            prop_assert!(taps.is_sorted_by_key(|tap| tap.first * 256 + usize::from(tap.weight)));
        }
    }
}
