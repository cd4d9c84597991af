//! How bright and of what colour a picture is, where it shows anything.
//!
//! A fundus camera shows a bright disc on black, and an exposure that follows the black burns the disc
//! out. So the picture is averaged into cells, in which noise and vessels hardly matter, and only cells
//! of the field of view are counted: those at least 15 % as bright as the brightest.
//!
//! ```text
//!   . . # # # . .     . black surround: not counted
//!   . # # # # # .     # field of view: median of brightness and of each colour
//!   . # # o o # .     o highlights: pixels, not cells, so that a reflex is seen
//!   . . # # # . .
//! ```
//!
//! "As bright as the brightest" holds four stops under and over alike: what is clipped is bright. Far over,
//! stray light in the surround may count as inside; the highlights then say that it is too bright, and
//! it drops out on the way down.
//!
//! Brightness is that of green: vessels show in it, and the colour gains leave it alone, so that exposure
//! and white balance cannot chase each other. Everything is as encoded, gamma included: the response is its
//! user's to assume.

/// What a picture says about light.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Light {
    /// Share of the picture that is field of view, 0.0 to 1.0.
    pub inside: f64,
    /// Median of red, green and blue over the field of view, 0.0 to 1.0. Never quite 0.0: half of the
    /// least step.
    pub colours: [f64; 3],
    /// Brightness that a fiftieth of the pixels inside exceed in their brightest colour.
    pub highlight: f64,
    /// Share of the pixels inside with a colour that is clipped.
    pub clipped: f64,
}

impl Light {
    /// Median of green.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.colours[1]
    }

    /// Whether a value is so bright that what it stands for may be any brighter.
    #[must_use]
    pub fn is_clipped(value: f64) -> bool {
        value >= f64::from(CLIPPED) / 255.0
    }
}

/// Measures pictures; keeps its memory.
#[derive(Debug, Default)]
pub struct LightMeter {
    cells: Vec<Cell>,
    sorted: Vec<u16>,
}

/// Mean of each colour, 256 to a step of the picture's.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    colours: [u16; 3],
    luma: u16,
}

impl LightMeter {
    /// Reads interleaved RGB, row-major. Without pixels, or with fewer than the size says, all is dark.
    pub fn read(&mut self, width: usize, height: usize, rgb: &[u8]) -> Light {
        let pixels = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
        let Some(rgb) = pixels.filter(|&len| len > 0).and_then(|len| rgb.get(..len)) else {
            return DARK;
        };
        let grid = Grid::over(width, height);
        self.average(grid, rgb);
        let brightest = self.percentile(|_| true, |cell| cell.luma, BRIGHTEST_PERCENT);
        let threshold = (f64::from(brightest) * INSIDE_SHARE).max(f64::from(NOISE * STEP));
        let is_inside = |cell: &Cell| f64::from(cell.luma) >= threshold;
        let inside = self.cells.iter().filter(|cell| is_inside(cell)).count();
        if inside == 0 {
            return DARK;
        }
        let mut median = |value: fn(&Cell) -> u16| {
            scaled(self.percentile(is_inside, value, 50)).max(DARK.median())
        };
        let colours =
            [median(|c| c.colours[0]), median(|c| c.colours[1]), median(|c| c.colours[2])];
        let brightness = self.brightness_histogram(grid, rgb, is_inside);
        Light {
            inside: inside as f64 / self.cells.len() as f64,
            colours,
            highlight: f64::from(exceeded_by(&brightness, HIGHLIGHT_SHARE)) / 255.0,
            clipped: share(&brightness[usize::from(CLIPPED)..], &brightness),
        }
    }

    fn average(&mut self, grid: Grid, rgb: &[u8]) {
        self.cells.clear();
        for row in 0..grid.down {
            for column in 0..grid.across {
                let mut sums = [0_u32; 3];
                for line in grid.lines(rgb, row, column) {
                    for pixel in line.chunks_exact(3) {
                        for (sum, &value) in sums.iter_mut().zip(pixel) {
                            *sum += u32::from(value);
                        }
                    }
                }
                let pixels = grid.pixels(row, column);
                let mean =
                    |sum: u32| u16::try_from(sum * u32::from(STEP) / pixels).unwrap_or(u16::MAX);
                let colours = sums.map(mean);
                self.cells.push(Cell { colours, luma: luma(colours) });
            }
        }
    }

    /// The value that `percent` of the cells chosen do not exceed; 0 without cells.
    fn percentile(
        &mut self,
        chosen: impl Fn(&Cell) -> bool,
        value: impl Fn(&Cell) -> u16,
        percent: usize,
    ) -> u16 {
        self.sorted.clear();
        self.sorted.extend(self.cells.iter().filter(|cell| chosen(cell)).map(value));
        let at = self.sorted.len() * percent / 100;
        let at = at.min(self.sorted.len().saturating_sub(1));
        if self.sorted.is_empty() { 0 } else { *self.sorted.select_nth_unstable(at).1 }
    }

    /// How many pixels of the cells inside have which value in their brightest colour.
    fn brightness_histogram(
        &self,
        grid: Grid,
        rgb: &[u8],
        is_inside: impl Fn(&Cell) -> bool,
    ) -> [u32; 256] {
        let mut histogram = [0; 256];
        for (at, _) in self.cells.iter().enumerate().filter(|(_, cell)| is_inside(cell)) {
            for line in grid.lines(rgb, at / grid.across, at % grid.across) {
                for pixel in line.chunks_exact(3) {
                    let brightest = pixel.iter().copied().max().unwrap_or_default();
                    histogram[usize::from(brightest)] += 1;
                }
            }
        }
        histogram
    }
}

/// About [`CELLS`] cells across and down; the last of a row or column take what is left. Of tall cells not
/// every row is read: no frame should wait for it.
#[derive(Debug, Clone, Copy)]
struct Grid {
    width: usize,
    height: usize,
    /// Pixels of a cell.
    cell: (usize, usize),
    across: usize,
    down: usize,
}

impl Grid {
    fn over(width: usize, height: usize) -> Self {
        let cell = (width.div_ceil(CELLS), height.div_ceil(CELLS));
        let (across, down) = (width.div_ceil(cell.0), height.div_ceil(cell.1));
        Self { width, height, cell, across, down }
    }

    /// First and last column, first and last row.
    fn bounds(self, row: usize, column: usize) -> [usize; 4] {
        let (left, top) = (column * self.cell.0, row * self.cell.1);
        [left, (left + self.cell.0).min(self.width), top, (top + self.cell.1).min(self.height)]
    }

    fn rows_to_next(self) -> usize {
        self.cell.1.div_ceil(ROWS_READ)
    }

    fn lines(self, rgb: &[u8], row: usize, column: usize) -> impl Iterator<Item = &[u8]> {
        let [left, right, top, bottom] = self.bounds(row, column);
        let width = self.width;
        let rows = (top..bottom).step_by(self.rows_to_next());
        rows.map(move |y| &rgb[(y * width + left) * 3..(y * width + right) * 3])
    }

    fn pixels(self, row: usize, column: usize) -> u32 {
        let [left, right, top, bottom] = self.bounds(row, column);
        let rows = (bottom - top).div_ceil(self.rows_to_next());
        u32::try_from((right - left) * rows).unwrap_or(u32::MAX)
    }
}

/// ITU-R BT.601, in 256ths.
fn luma([red, green, blue]: [u16; 3]) -> u16 {
    let sum = 77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue);
    u16::try_from(sum / 256).unwrap_or(u16::MAX)
}

fn scaled(value: u16) -> f64 {
    f64::from(value) / f64::from(255 * STEP)
}

/// The largest value that at least `share` of all exceed or equal.
fn exceeded_by(histogram: &[u32; 256], share: f64) -> u8 {
    let all: u32 = histogram.iter().sum();
    let mut above = 0;
    (0..=u8::MAX)
        .rev()
        .find(|&value| {
            above += histogram[usize::from(value)];
            f64::from(above) > f64::from(all) * share
        })
        .unwrap_or_default()
}

fn share(part: &[u32], whole: &[u32]) -> f64 {
    let sum = |counts: &[u32]| f64::from(counts.iter().sum::<u32>());
    sum(part) / sum(whole).max(1.0)
}

/// A picture in which nothing is seen.
const DARK: Light =
    Light { inside: 0.0, colours: [0.5 / 255.0; 3], highlight: 0.5 / 255.0, clipped: 0.0 };

/// A cell of a 320 x 320 input has 10 x 10 pixels: wider than its widest vessel.
const CELLS: usize = 32;
/// Of the 10 rows of such a cell every third is read.
const ROWS_READ: usize = 4;
/// 256 to a step of the picture: the mean of many pixels is finer than one of them.
const STEP: u16 = 256;
/// A few cells may be a reflex.
const BRIGHTEST_PERCENT: usize = 98;
/// As encoded; linear light 0.016 of the brightest at gamma 2.2, 0.15 at gamma 1. The rim of a fundus is
/// brighter, the surround darker.
const INSIDE_SHARE: f64 = 0.15;
/// Mean of dark noise that is cut off at 0, in steps of the picture.
const NOISE: u16 = 2;
/// Share of the field of view that may be clipped, as an optic disc may.
const HIGHLIGHT_SHARE: f64 = 0.02;
/// 250 of 255: noise and rounding keep a clipped pixel from being quite 255.
const CLIPPED: u8 = 250;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::simulated::picture::Picture;
    use crate::source::simulated::scene::phantom::Phantom;
    use proptest::prelude::*;

    fn read(picture: &Picture) -> Light {
        LightMeter::default().read(picture.width(), picture.height(), picture.rgb())
    }

    fn painted(width: usize, height: usize, colour: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let rgb = pixels.flat_map(|(x, y)| colour(x, y)).collect();
        Picture::new(width, height, rgb).unwrap()
    }

    #[test]
    fn even_picture_is_all_inside_and_its_own_median() {
        let light = read(&painted(320, 240, |_, _| [100, 50, 25]));
        assert_eq!((light.inside, light.median() * 255.0), (1.0, 50.0));
        assert_eq!(light.colours.map(|c| c * 255.0), [100.0, 50.0, 25.0]);
        assert_eq!(light.highlight * 255.0, 100.0);
        assert_eq!(light.clipped, 0.0);
    }

    #[test]
    fn black_surround_is_not_counted() {
        let half = painted(320, 320, |x, _| if x < 100 { [120; 3] } else { [0; 3] });
        let light = read(&half);
        assert!((light.median() * 255.0 - 120.0).abs() < 0.5, "{light:?}");
        // 10 of 32 columns of cells.
        assert!((light.inside - 10.0 / 32.0).abs() < 1e-9, "{light:?}");
    }

    #[test]
    fn disc_of_a_phantom_is_found_bright_and_dark() {
        let phantom = Phantom::draw(320, 5).picture;
        // The disc has radius 0.47: pi * 0.47^2 = 0.694 of the square.
        // As encoded, in twelfths: 3.6 stops under and two over at gamma 1.
        for twelfths in [1_u16, 3, 12, 48] {
            let scaled = painted(320, 320, |x, y| {
                let at = (y * 320 + x) * 3;
                [0, 1, 2].map(|colour| {
                    let value = u16::from(phantom.rgb()[at + colour]) * twelfths / 12;
                    u8::try_from(value).unwrap_or(u8::MAX)
                })
            });
            let light = read(&scaled);
            assert!((0.66..0.76).contains(&light.inside), "{twelfths} twelfths: {light:?}");
        }
    }

    #[test]
    fn reflex_is_a_highlight_and_moves_no_median() {
        let reflex = painted(320, 320, |x, y| if x < 60 && y < 60 { [255; 3] } else { [90; 3] });
        let light = read(&reflex);
        assert_eq!(light.median() * 255.0, 90.0);
        assert!((light.clipped - 3600.0 / 102_400.0).abs() < 1e-9, "{light:?}");
        assert_eq!(light.highlight, 1.0);
        assert!(Light::is_clipped(light.highlight) && !Light::is_clipped(0.97));
    }

    #[test]
    fn nothing_to_see_is_dark() {
        for (width, height, rgb) in
            [(0, 5, &[][..]), (2, 2, &[0; 11]), (2, 2, &[0; 12]), (usize::MAX, 2, &[9; 12])]
        {
            assert_eq!(LightMeter::default().read(width, height, rgb), DARK);
        }
    }

    proptest! {
        #[test]
        fn every_size_is_read(width in 1_usize..80, height in 1_usize..80, value in 3_u8..) {
            let light = read(&painted(width, height, |_, _| [value; 3]));
            prop_assert!((light.median() * 255.0 - f64::from(value)).abs() < 0.01);
            prop_assert!((light.inside, light.highlight * 255.0) == (1.0, f64::from(value)));
        }
    }
}
