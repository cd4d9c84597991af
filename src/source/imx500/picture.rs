//! From a raw picture to one that can be shown: RAW10 Bayer to RGB at half the size.
//!
//! ```text
//!   row 2y       R G R G | low bits     five bytes hold four pixels: the high 8 bits of each, then the
//!   row 2y + 1   G B G B | low bits     low 2 bits of all, those of the first pixel lowest
//!                +-+ +-+
//!                a cell of 2 x 2 pixels becomes one RGB pixel: R, (G + G) / 2, B
//!
//!   code (0..=1023) -- minus black level -- times gain -- sRGB curve --> byte
//! ```
//!
//! Nothing is interpolated, so no colour is made up along an edge, and what is between code and byte fits
//! into one table a colour. Only the inference window is developed: the picture then covers exactly
//! what the mask covers, and whoever draws one over the other needs to know of no window.
//!
//! The window counts pixels of the picture as it is read out, so it turns with the sensor's flips, as the
//! input tensor does. Not done: lens shading, colour correction matrix, noise, defective pixels.

use crate::source::simulated::isp::{Gains, InferenceWindow, SENSOR_HEIGHT, SENSOR_WIDTH};
use crate::source::{BayerOrder, RawPicture};

/// How codes become light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Development {
    /// Code of a pixel in the dark.
    pub black_level: u16,
    /// White balance.
    pub gains: Gains,
}

impl Default for Development {
    /// Black level and white balance as in libcamera's tuning of this sensor (`pisp/data/imx500.json` of
    /// raspberrypi/libcamera 3d8be9d): 4096 of 16 bits, and at 4570 K red and blue of a grey surface at
    /// 0.4752 and 0.6046 of its green, which is a white LED's light between the lamp and the sky.
    fn default() -> Self {
        let gains = Gains { red: 1.0 / 0.4752, green: 1.0, blue: 1.0 / 0.6046 };
        Self { black_level: 4096 >> (16 - CODE_BITS), gains }
    }
}

/// Why a raw picture cannot be developed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Not one cell of four pixels.
    #[error("raw picture: {width}x{height} pixels, want at least 2x2")]
    Empty {
        /// Pixels a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Rows overlap.
    #[error("raw picture: {got} bytes from row to row, want at least {want} for {width} pixels")]
    Stride {
        /// Bytes from row to row.
        got: usize,
        /// Bytes of a row.
        want: usize,
        /// Pixels a row.
        width: usize,
    },
    /// It ends before its last row does.
    #[error("raw picture: {got} bytes, want {want} for {width}x{height} pixels")]
    Truncated {
        /// Bytes there are.
        got: usize,
        /// Bytes up to the end of the last row.
        want: usize,
        /// Pixels a row.
        width: usize,
        /// Rows.
        height: usize,
    },
}

/// Develops raw pictures. Its tables are made once.
#[derive(Debug, Clone)]
pub struct Darkroom {
    window: InferenceWindow,
    red: Box<[u8; CODES]>,
    /// By the sum of both greens.
    green: Box<[u8; 2 * CODES]>,
    blue: Box<[u8; CODES]>,
}

/// The whole sensor.
impl Default for Darkroom {
    fn default() -> Self {
        Self::new(InferenceWindow::default(), Development::default())
    }
}

impl Darkroom {
    /// Pictures will show this window of the sensor; a width or height of 0 is all of it.
    #[must_use]
    pub fn new(window: InferenceWindow, development: Development) -> Self {
        let Development { black_level, gains } = development;
        Self {
            window,
            red: table(1.0, black_level, gains.red),
            green: table(2.0, black_level, gains.green),
            blue: table(1.0, black_level, gains.blue),
        }
    }

    /// Pictures show this window from now on.
    pub fn look_at(&mut self, window: InferenceWindow) {
        self.window = window;
    }

    /// Fills `rgb` with interleaved pixels, row by row; gives width and height. A last row or column that
    /// has no partner is left out. Allocates only when `rgb` has never been as long.
    ///
    /// # Errors
    /// When sizes and bytes disagree; `rgb` is then as it was.
    pub fn develop(
        &self,
        raw: &RawPicture,
        rgb: &mut Vec<u8>,
    ) -> Result<(usize, usize), PictureError> {
        check(raw)?;
        let cells = Cells::of(self.window, raw);
        rgb.resize(cells.width * cells.height * 3, 0);
        match raw.order {
            BayerOrder::Rggb => self.cells(raw, cells, rgb, |[a, b, c, d]| [a, b + c, d]),
            BayerOrder::Grbg => self.cells(raw, cells, rgb, |[a, b, c, d]| [b, a + d, c]),
            BayerOrder::Gbrg => self.cells(raw, cells, rgb, |[a, b, c, d]| [c, a + d, b]),
            BayerOrder::Bggr => self.cells(raw, cells, rgb, |[a, b, c, d]| [d, b + c, a]),
        }
        Ok((cells.width, cells.height))
    }

    /// `sort` gives red, the sum of the greens, and blue of a cell's four codes, row by row.
    fn cells(
        &self,
        raw: &RawPicture,
        cells: Cells,
        rgb: &mut [u8],
        sort: impl Fn([u16; 4]) -> [u16; 3],
    ) {
        // Five bytes hold two cells of a row; the first of a window may be the second of its group.
        let group = cells.left / 2 * GROUP_LEN_BYTES;
        for (y, pixels) in rgb.chunks_exact_mut(cells.width * 3).enumerate() {
            let row = (cells.top + y) * 2 * raw.stride_bytes;
            let upper = raw.bytes.get(row + group..).unwrap_or_default();
            let lower = raw.bytes.get(row + raw.stride_bytes + group..).unwrap_or_default();
            let (upper, lower) = (upper.as_chunks().0, lower.as_chunks().0);
            let mut groups = upper.iter().zip(lower);
            let (pixels, _) = pixels.as_chunks_mut::<3>();
            let (first, pixels) = pixels.split_at_mut(cells.left % 2);
            if let [first] = first
                && let Some((upper, lower)) = groups.next()
            {
                *first = self.pixel(sort(codes::<1>(upper, lower)));
            }
            let (pairs, last) = pixels.as_chunks_mut::<2>();
            for (pair, (upper, lower)) in pairs.iter_mut().zip(&mut groups) {
                pair[0] = self.pixel(sort(codes::<0>(upper, lower)));
                pair[1] = self.pixel(sort(codes::<1>(upper, lower)));
            }
            if let ([last], Some((upper, lower))) = (last, groups.next()) {
                *last = self.pixel(sort(codes::<0>(upper, lower)));
            }
        }
    }

    fn pixel(&self, [red, greens, blue]: [u16; 3]) -> [u8; 3] {
        [
            self.red[usize::from(red) % CODES],
            self.green[usize::from(greens) % (2 * CODES)],
            self.blue[usize::from(blue) % CODES],
        ]
    }
}

/// The four codes of a group's first or second cell (`NTH` 0 or 1), row by row.
fn codes<const NTH: usize>(upper: &Group, lower: &Group) -> [u16; 4] {
    let code = |group: &Group, pixel: usize| {
        u16::from(group[pixel]) << 2 | u16::from(group[4] >> (2 * pixel) & 0b11)
    };
    let (left, right) = (2 * NTH, 2 * NTH + 1);
    [code(upper, left), code(upper, right), code(lower, left), code(lower, right)]
}

/// A rectangle of whole cells, inside the picture and not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cells {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Cells {
    /// Those nearest to the window: its edges are at most half a cell off.
    fn of(window: InferenceWindow, raw: &RawPicture) -> Self {
        let InferenceWindow { left, top, width, height } = window;
        if width == 0 || height == 0 {
            return Self { left: 0, top: 0, width: raw.width / 2, height: raw.height / 2 };
        }
        let (left, width) = along(left, width, SENSOR_WIDTH, raw.width / 2);
        let (top, height) = along(top, height, SENSOR_HEIGHT, raw.height / 2);
        Self { left, top, width, height }
    }
}

/// First cell and number of cells of a stretch of the sensor.
fn along(start: u32, len: u32, sensor_len: u32, cells: usize) -> (usize, usize) {
    let nearest = |edge: u64| {
        let halves = 2 * edge * cells as u64 + u64::from(sensor_len);
        usize::try_from(halves / (2 * u64::from(sensor_len))).unwrap_or(usize::MAX)
    };
    let first = nearest(start.into()).min(cells - 1);
    let end = nearest(u64::from(start) + u64::from(len)).clamp(first + 1, cells);
    (first, end - first)
}

fn check(raw: &RawPicture) -> Result<(), PictureError> {
    let RawPicture { width, height, stride_bytes, .. } = *raw;
    if width < 2 || height < 2 {
        return Err(PictureError::Empty { width, height });
    }
    let row = width.div_ceil(GROUP_PIXELS).saturating_mul(GROUP_LEN_BYTES);
    if stride_bytes < row {
        return Err(PictureError::Stride { got: stride_bytes, want: row, width });
    }
    let want = stride_bytes.saturating_mul(height - 1).saturating_add(row);
    let got = raw.bytes.len();
    if got < want {
        return Err(PictureError::Truncated { got, want, width, height });
    }
    Ok(())
}

/// The byte for every sum of `pixels` codes.
fn table<const LEN: usize>(pixels: f32, black_level: u16, gain: f32) -> Box<[u8; LEN]> {
    let mut table = Box::new([0; LEN]);
    for (sum, byte) in (0_u16..).zip(table.iter_mut()) {
        *byte = developed(f32::from(sum) / pixels, black_level, gain);
    }
    table
}

fn developed(code: f32, black_level: u16, gain: f32) -> u8 {
    let black = f32::from(black_level);
    let light = ((code - black) / (WHITE - black) * gain).clamp(0.0, 1.0);
    // IEC 61966-2-1.
    let curved =
        if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float to integer cast saturates, and the curve ends at 1.0"
    )]
    let byte = (curved * 255.0).round() as u8;
    byte
}

/// Four pixels of a row.
type Group = [u8; GROUP_LEN_BYTES];
const GROUP_LEN_BYTES: usize = 5;
const GROUP_PIXELS: usize = 4;
const CODE_BITS: u32 = 10;
const CODES: usize = 1 << CODE_BITS;
/// The largest code.
const WHITE: f32 = 1023.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORDERS: [BayerOrder; 4] =
        [BayerOrder::Rggb, BayerOrder::Grbg, BayerOrder::Gbrg, BayerOrder::Bggr];
    const PLAIN: Development =
        Development { black_level: 0, gains: Gains { red: 1.0, green: 1.0, blue: 1.0 } };

    /// Two rows of four pixels: 1023 0 512 3 over 64 1 2 1020.
    const TWO_ROWS: [u8; 10] = [
        0xff,          // pixel 0, high 8 of 0b11_1111_1111
        0x00,          // pixel 1, of 0
        0x80,          // pixel 2, of 0b10_0000_0000
        0x00,          // pixel 3, of 0b00_0000_0011
        0b11_00_00_11, // low 2 bits of pixels 3, 2, 1, 0
        0x10,          // pixel 0, high 8 of 64
        0x00,          // pixel 1, of 1
        0x00,          // pixel 2, of 2
        0xff,          // pixel 3, of 0b11_1111_1100
        0b00_10_01_00,
    ];

    fn two_rows(order: BayerOrder) -> RawPicture {
        RawPicture { bytes: TWO_ROWS.to_vec(), width: 4, height: 2, stride_bytes: 5, order }
    }

    /// One pixel's code, bit by bit.
    fn code_of(raw: &RawPicture, x: usize, y: usize) -> u16 {
        let group = raw.stride_bytes * y + x / 4 * 5;
        let (high, low) = (raw.bytes[group + x % 4], raw.bytes[group + 4]);
        let low = match x % 4 {
            0 => low % 4,
            1 => low / 4 % 4,
            2 => low / 16 % 4,
            _ => low / 64,
        };
        u16::from(high) * 4 + u16::from(low)
    }

    /// Straight from the definition, a pixel at a time. Never optimise this.
    fn reference(
        raw: &RawPicture,
        window: InferenceWindow,
        development: Development,
    ) -> (usize, usize, Vec<u8>) {
        let cells = Cells::of(window, raw);
        let mut rgb = Vec::new();
        for y in cells.top..cells.top + cells.height {
            for x in cells.left..cells.left + cells.width {
                let (mut red, mut greens, mut blue) = (0, 0, 0);
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let code = code_of(raw, 2 * x + dx, 2 * y + dy);
                    let colours = match raw.order {
                        BayerOrder::Rggb => [["red", "green"], ["green", "blue"]],
                        BayerOrder::Grbg => [["green", "red"], ["blue", "green"]],
                        BayerOrder::Gbrg => [["green", "blue"], ["red", "green"]],
                        BayerOrder::Bggr => [["blue", "green"], ["green", "red"]],
                    };
                    match colours[dy][dx] {
                        "red" => red = code,
                        "blue" => blue = code,
                        _ => greens += code,
                    }
                }
                let Development { black_level, gains } = development;
                rgb.push(developed(f32::from(red), black_level, gains.red));
                rgb.push(developed(f32::from(greens) / 2.0, black_level, gains.green));
                rgb.push(developed(f32::from(blue), black_level, gains.blue));
            }
        }
        (cells.width, cells.height, rgb)
    }

    #[test]
    fn five_bytes_are_four_pixels() {
        let raw = two_rows(BayerOrder::Rggb);
        let row = |y| [0, 1, 2, 3].map(|x| code_of(&raw, x, y));
        assert_eq!((row(0), row(1)), ([1023, 0, 512, 3], [64, 1, 2, 1020]));
        let [upper, lower] = [0, 5].map(|at| TWO_ROWS[at..at + 5].try_into().unwrap());
        assert_eq!(codes::<0>(&upper, &lower), [1023, 0, 64, 1]);
        assert_eq!(codes::<1>(&upper, &lower), [512, 3, 2, 1020]);
    }

    #[test]
    fn each_order_has_its_colours_in_their_places() {
        let linear = |code: f32| developed(code, 0, 1.0);
        for (order, cells) in [
            (BayerOrder::Rggb, [[1023.0, 32.0, 1.0], [512.0, 2.5, 1020.0]]),
            (BayerOrder::Grbg, [[0.0, 512.0, 64.0], [3.0, 766.0, 2.0]]),
            (BayerOrder::Gbrg, [[64.0, 512.0, 0.0], [2.0, 766.0, 3.0]]),
            (BayerOrder::Bggr, [[1.0, 32.0, 1023.0], [1020.0, 2.5, 512.0]]),
        ] {
            let mut rgb = vec![0xa5; 100];
            let darkroom = Darkroom::new(InferenceWindow::default(), PLAIN);
            assert_eq!(darkroom.develop(&two_rows(order), &mut rgb), Ok((2, 1)));
            assert_eq!(rgb, cells.concat().into_iter().map(linear).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn black_is_black_white_is_white_and_between_is_the_srgb_curve() {
        let Development { black_level, gains } = Development::default();
        assert_eq!(black_level, 64, "4096 of 16 bits");
        assert_eq!([0.0, 64.0, 1023.0].map(|code| developed(code, 64, 1.0)), [0, 0, 255]);
        // Light 0.5 is 188 on the curve (0.7354 times 255), 0.001 is on its straight part: 3.3.
        assert_eq!(developed(64.0 + 959.0 / 2.0, 64, 1.0), 188);
        assert_eq!(developed(0.001 * 1023.0, 0, 1.0), 3);
        // A grey surface at 4570 K.
        let grey = |share: f32, gain| developed(64.0 + share * 400.0, 64, gain);
        let green = grey(1.0, gains.green);
        assert_eq!([grey(0.4752, gains.red), grey(0.6046, gains.blue)], [green, green]);
        assert_eq!(developed(700.0, 64, 2.0), 255, "a gain saturates");
    }

    #[test]
    fn window_of_the_sensor_is_cut_out_of_the_picture() {
        let cells = |window: [u32; 4], width, height| {
            let [left, top, across, down] = window;
            let window = InferenceWindow { left, top, width: across, height: down };
            let raw = RawPicture { width, height, ..RawPicture::default() };
            let Cells { left, top, width, height } = Cells::of(window, &raw);
            [left, top, width, height]
        };
        // A cell is 4 x 4 pixels of the sensor where it is binned, 2 x 2 where it is not.
        assert_eq!(cells([1268, 760, 1520, 1520], 2028, 1520), [317, 190, 380, 380]);
        assert_eq!(cells([1268, 760, 1520, 1520], 4056, 3040), [634, 380, 760, 760]);
        assert_eq!(cells([0, 0, 0, 0], 2028, 1520), [0, 0, 1014, 760]);
        assert_eq!(cells([0, 0, 4056, 3040], 2028, 1520), [0, 0, 1014, 760]);
        // Between cells the nearest edge counts; a window thinner than a cell is still one.
        assert_eq!(cells([5, 6, 8, 8], 2028, 1520), [1, 2, 2, 2]);
        assert_eq!(cells([4055, 3039, 1, 1], 2028, 1520), [1013, 759, 1, 1]);
        assert_eq!(cells([0, 0, 1, 1], 2028, 1520), [0, 0, 1, 1]);
    }

    #[test]
    fn refuses_every_truncation_and_sizes_that_cannot_be() {
        let darkroom = Darkroom::new(InferenceWindow::default(), PLAIN);
        let mut raw = two_rows(BayerOrder::Rggb);
        for len in 0..TWO_ROWS.len() {
            raw.bytes.truncate(0);
            raw.bytes.extend_from_slice(&TWO_ROWS[..len]);
            let mut rgb = vec![7];
            assert_eq!(
                darkroom.develop(&raw, &mut rgb),
                Err(PictureError::Truncated { got: len, want: 10, width: 4, height: 2 })
            );
            assert_eq!(rgb, [7], "left alone");
        }
        let refused = |raw: RawPicture| darkroom.develop(&raw, &mut Vec::new()).unwrap_err();
        let sound = two_rows(BayerOrder::Rggb);
        let narrow = RawPicture { stride_bytes: 4, ..sound.clone() };
        assert_eq!(refused(narrow), PictureError::Stride { got: 4, want: 5, width: 4 });
        let thin = RawPicture { width: 1, ..sound.clone() };
        assert_eq!(refused(thin), PictureError::Empty { width: 1, height: 2 });
        let endless = RawPicture { height: usize::MAX, ..sound.clone() };
        assert!(matches!(refused(endless), PictureError::Truncated { .. }));
        let wide = RawPicture { width: usize::MAX, ..sound };
        assert!(matches!(refused(wide), PictureError::Stride { .. }));
    }

    proptest! {
        #[test]
        fn fast_equals_the_reference(
            (width, height, padding) in (2_usize..40, 2_usize..20, 0_usize..9),
            order in 0_usize..4,
            window in (0_u32..4056, 0_u32..3040, 0_u32..4056, 0_u32..3040),
            black_level in 0_u16..200,
            gains in (0.5_f32..4.0, 0.5_f32..4.0, 0.5_f32..4.0),
            seed in proptest::collection::vec(any::<u8>(), 20 * (50 + 9)),
        ) {
            let stride_bytes = width.div_ceil(4) * 5 + padding;
            // The last row is not padded.
            let bytes = seed[..stride_bytes * height - padding].to_vec();
            let raw = RawPicture { bytes, width, height, stride_bytes, order: ORDERS[order] };
            let (left, top, width, height) = window;
            let window = InferenceWindow { left, top, width, height };
            let gains = Gains { red: gains.0, green: gains.1, blue: gains.2 };
            let development = Development { black_level, gains };
            let mut rgb = vec![0xa5; 7];
            let (width, height) = Darkroom::new(window, development).develop(&raw, &mut rgb).unwrap();
            prop_assert_eq!((width, height, rgb), reference(&raw, window, development));
        }
    }
}
