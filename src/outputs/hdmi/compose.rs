//! Pixels on their way to the screen: brought into the screen's order, turned, and scaled.
//!
//! A screen's memory is slow to read on a Raspberry Pi (it is not cached): it is only written, each row once and
//! from left to right.
//!
//! ```text
//!   RGB --pack--> blue green red X, mirrored, upside down --Scaler--> across, once a source row
//!                                                                     down, once a screen row --> screen
//! ```
//!
//! Enlarged three times, each row is scaled across once and used in three screen rows; the way down is the
//! same arithmetic in every byte, which compilers turn into vectors.

use crate::outputs::canvas::Area;
use crate::pipeline::geometry::{Size, Tap, Transform};

/// How the screen is mounted and looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orientation {
    /// The screen hangs upside down: everything is turned by 180 degrees.
    pub turned: bool,
    /// Left and right of the picture are exchanged, as in a mirror; words are not.
    pub mirrored: bool,
}

/// A screen's or plane's memory.
#[derive(Debug)]
pub struct Pixels<'a> {
    /// Four bytes a pixel.
    pub bytes: &'a mut [u8],
    /// From one row to the next.
    pub pitch_bytes: usize,
}

impl Pixels<'_> {
    fn row(&mut self, y: usize, left: usize, width: usize) -> &mut [u8] {
        &mut self.bytes[y * self.pitch_bytes + left * 4..][..width * 4]
    }
    /// Copies pixels of this size to the upper left corner.
    pub fn put(&mut self, pixels: &[[u8; 4]], size: Size) {
        for (y, row) in pixels.chunks_exact(size.width()).enumerate().take(size.height()) {
            self.row(y, 0, size.width()).copy_from_slice(row.as_flattened());
        }
    }
}

/// Interleaved RGB of this size as blue, green, red and an unused byte, oriented.
pub fn pack(rgb: &[u8], size: Size, orientation: Orientation, into: &mut Vec<[u8; 4]>) {
    into.clear();
    into.extend(rgb.chunks_exact(3).map(|p| [p[2], p[1], p[0], 0xff]));
    orient(into, size, orientation);
}

/// Upside down first, then mirrored.
pub fn orient(pixels: &mut [[u8; 4]], size: Size, orientation: Orientation) {
    if orientation.turned {
        pixels.reverse();
    }
    if orientation.mirrored {
        for row in pixels.chunks_exact_mut(size.width()) {
            row.reverse();
        }
    }
}

/// Copies a part of an RGB canvas to the same place of the screen; to the opposite one of a turned screen.
pub fn put_canvas(
    rgb: &[u8],
    size: Size,
    part: Area,
    turned: bool,
    screen: &mut Pixels<'_>,
    line: &mut Vec<[u8; 4]>,
) {
    let place = if turned { super::layout::turned(part, size) } else { part };
    for (down, row) in
        rgb.chunks_exact(size.width() * 3).skip(part.top).take(part.height).enumerate()
    {
        let row = &row[part.left * 3..][..part.width * 3];
        line.clear();
        line.extend(row.chunks_exact(3).map(|p| [p[2], p[1], p[0], 0xff]));
        let y = if turned {
            line.reverse();
            place.top + part.height - 1 - down
        } else {
            place.top + down
        };
        screen.row(y, place.left, part.width).copy_from_slice(line.as_flattened());
    }
}

/// Bilinear scaling of packed pixels, with its tables; the same for every frame.
#[derive(Debug)]
pub struct Scaler {
    from: Size,
    to: Size,
    columns: Columns,
    rows: Vec<Tap>,
    /// The two source rows around a screen row, scaled across.
    around: [Scaled; 2],
    row: SourceRow,
}

/// Which screen columns lie between which source columns.
#[derive(Debug)]
struct Columns {
    /// For each source column, how many screen columns begin at it.
    runs: Vec<usize>,
    /// For each screen column, the share of the source column after the one at which it begins.
    weights: Vec<u64>,
}

/// A source row scaled across: the four bytes of a pixel in four 16-bit lanes of one word, so that one
/// multiplication does for four.
#[derive(Debug)]
struct Scaled {
    source_row: Option<usize>,
    lanes: Vec<u64>,
}

impl Scaler {
    /// All of `from` stretched to all of `to`.
    #[must_use]
    pub fn new(from: Size, to: Size) -> Self {
        let transform = Transform::stretch(from, to);
        let (columns, rows) = (transform.column_taps(from, to), transform.row_taps(from, to));
        let mut runs = vec![0; from.width()];
        columns.iter().for_each(|tap| runs[tap.first] += 1);
        let weights = columns.iter().map(|tap| tap.weight.into()).collect();
        let scaled = || Scaled { source_row: None, lanes: vec![0; to.width()] };
        let (around, row) = ([scaled(), scaled()], SourceRow::default());
        Self { from, to, columns: Columns { runs, weights }, rows, around, row }
    }

    /// From what to what it scales.
    #[must_use]
    pub fn sizes(&self) -> (Size, Size) {
        (self.from, self.to)
    }

    /// Writes all of the target, its upper left corner at `(left, top)` of the screen.
    ///
    /// # Panics
    /// When `source` has fewer pixels than its size says, or the target lies outside the screen.
    pub fn run(
        &mut self,
        source: &[[u8; 4]],
        screen: &mut Pixels<'_>,
        (left, top): (usize, usize),
    ) {
        for scaled in &mut self.around {
            scaled.source_row = None;
        }
        for (y, &Tap { first, second, weight }) in self.rows.iter().enumerate() {
            // Rows only go down: what was the second row becomes the first.
            if self.around[0].source_row != Some(first) {
                self.around.swap(0, 1);
            }
            for (scaled, wanted) in self.around.iter_mut().zip([first, second]) {
                if scaled.source_row != Some(wanted) {
                    self.row.read(&source[wanted * self.from.width()..][..self.from.width()]);
                    self.row.scale_across(&self.columns, &mut scaled.lanes);
                    scaled.source_row = Some(wanted);
                }
            }
            let [above, below] = &self.around;
            let [above, below] = [above, below].map(|scaled| bytemuck::cast_slice(&scaled.lanes));
            mix(above, below, weight, screen.row(top + y, left, self.to.width()));
        }
    }
}

/// A source row as the straight lines between its pixels: a value is `(start + weight * step) / 256`, which needs one
/// multiplication where two shares of two pixels need two.
#[derive(Debug, Default)]
struct SourceRow {
    spread: Vec<u64>,
    starts: Vec<u64>,
    /// To the next pixel. Its lanes borrow from each other; in the sum, where no lane is negative, that is even again.
    steps: Vec<u64>,
}

impl SourceRow {
    fn read(&mut self, row: &[[u8; 4]]) {
        self.spread.clear();
        self.spread.extend(row.iter().map(|&pixel| spread(pixel)));
        // The row goes on with its last pixel.
        self.spread.extend(self.spread.last().copied());
        self.starts.clear();
        self.starts.extend(self.spread.iter().map(|&pixel| (pixel << 8) + HALF));
        self.steps.clear();
        self.steps.extend(self.spread.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])));
    }

    fn scale_across(&self, columns: &Columns, mut lanes: &mut [u64]) {
        let mut weights = &columns.weights[..];
        for ((&start, &step), &run) in self.starts.iter().zip(&self.steps).zip(&columns.runs) {
            let (of_run, after) = lanes.split_at_mut(run);
            let (weights_of_run, weights_after) = weights.split_at(run);
            for (lanes, &weight) in of_run.iter_mut().zip(weights_of_run) {
                // No lane carries into the next: 255 * 256 + 128 still fits in 16 bits.
                *lanes = (start.wrapping_add(step.wrapping_mul(weight)) >> 8) & LANES;
            }
            (lanes, weights) = (after, weights_after);
        }
    }
}

/// In the order of the lanes in memory, which is that of the bytes: both are little-endian.
fn spread(pixel: [u8; 4]) -> u64 {
    let bytes = u64::from(u32::from_le_bytes(pixel));
    let halves = (bytes | bytes << 16) & 0x0000_ffff_0000_ffff;
    (halves | halves << 8) & LANES
}

fn mix(above: &[u16], below: &[u16], weight: u16, line: &mut [u8]) {
    for ((value, &a), &b) in line.iter_mut().zip(above).zip(below) {
        // The high byte of a sum that is at most 255 * 256 + 128.
        *value = (a * (256 - weight) + b * weight + 128).to_be_bytes()[0];
    }
}

const HALF: u64 = 0x0080_0080_0080_0080;
const LANES: u64 = 0x00ff_00ff_00ff_00ff;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(width: usize, height: usize) -> Size {
        Size::new(width, height).unwrap()
    }

    /// The definition: each target pixel from its four neighbours, in floating point.
    fn reference(source: &[[u8; 4]], from: Size, to: Size) -> Vec<[f64; 4]> {
        let transform = Transform::stretch(from, to);
        let (columns, rows) = (transform.column_taps(from, to), transform.row_taps(from, to));
        let mix = |a: f64, b: f64, weight: u16| a + (b - a) * f64::from(weight) / 256.0;
        let mut target = Vec::new();
        for row in &rows {
            for column in &columns {
                target.push(std::array::from_fn(|byte| {
                    let at = |x: usize, y: usize| f64::from(source[y * from.width() + x][byte]);
                    let above = mix(
                        at(column.first, row.first),
                        at(column.second, row.first),
                        column.weight,
                    );
                    let below = mix(
                        at(column.first, row.second),
                        at(column.second, row.second),
                        column.weight,
                    );
                    mix(above, below, row.weight)
                }));
            }
        }
        target
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn scaler_is_the_reference_within_one(
            from in (1_usize..40, 1_usize..40),
            to in (1_usize..90, 1_usize..90),
            seed in any::<u64>(),
        ) {
            let (from, to) = (size(from.0, from.1), size(to.0, to.1));
            let mut state = seed | 1;
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_be_bytes()[0]
            };
            let source: Vec<[u8; 4]> =
                (0..from.pixels()).map(|_| std::array::from_fn(|_| random())).collect();
            // A screen that is larger than the target, full of something else.
            let pitch_bytes = (to.width() + 5) * 4;
            let mut bytes = vec![0xa5; pitch_bytes * (to.height() + 4)];
            let mut scaler = Scaler::new(from, to);
            for _ in 0..2 {
                scaler.run(&source, &mut Pixels { bytes: &mut bytes, pitch_bytes }, (2, 3));
            }
            let want = reference(&source, from, to);
            for y in 0..to.height() + 4 {
                for x in 0..to.width() + 5 {
                    let got = &bytes[y * pitch_bytes + x * 4..][..4];
                    let inside = (2..2 + to.width()).contains(&x) && (3..3 + to.height()).contains(&y);
                    if !inside {
                        prop_assert_eq!(got, &[0xa5; 4]);
                        continue;
                    }
                    let want = want[(y - 3) * to.width() + x - 2];
                    for (got, want) in got.iter().zip(want) {
                        prop_assert!((f64::from(*got) - want).abs() <= 1.0, "{got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn turned_and_mirrored_is_upside_down_alone() {
        let rgb: Vec<u8> = (0..18).collect();
        let packed = |turned, mirrored| {
            let mut packed = Vec::new();
            pack(&rgb, size(3, 2), Orientation { turned, mirrored }, &mut packed);
            packed.iter().map(|pixel| pixel[2] / 3).collect::<Vec<_>>()
        };
        assert_eq!(packed(false, false), [0, 1, 2, 3, 4, 5]);
        assert_eq!(packed(true, false), [5, 4, 3, 2, 1, 0]);
        assert_eq!(packed(false, true), [2, 1, 0, 5, 4, 3]);
        assert_eq!(packed(true, true), [3, 4, 5, 0, 1, 2]);
    }

    #[test]
    fn part_of_a_canvas_goes_to_its_place_also_on_a_turned_screen() {
        let rgb: Vec<u8> = (0..3 * 12).collect();
        let part = Area { left: 1, top: 0, width: 2, height: 2 };
        let put = |turned| {
            let mut bytes = vec![0; 48];
            let mut pixels = Pixels { bytes: &mut bytes, pitch_bytes: 16 };
            put_canvas(&rgb, size(4, 3), part, turned, &mut pixels, &mut Vec::new());
            bytes.chunks(4).map(|pixel| pixel[2] / 3).collect::<Vec<_>>()
        };
        assert_eq!(put(false), [0, 1, 2, 0, 0, 5, 6, 0, 0, 0, 0, 0]);
        assert_eq!(put(true), [0, 0, 0, 0, 0, 6, 5, 0, 0, 2, 1, 0]);
    }
}
