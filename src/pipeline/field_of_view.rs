//! The lit disc of a fundus picture: where vessels are looked for.
//!
//! ```text
//!   picture, at the mask's grid       lit           opened: no lines      largest piece,
//!                                                                         its holes filled
//!      . .:ooo:.  .                 # ##### #           #####                 #####
//!       :oo  ooo:                    ###.####          ###.####              ########
//!       :ooooooo:         ->         ########    ->    ########      ->      ########
//!        ':ooo:'   .                  #####  #          #####                 #####
//! ```
//!
//! It is found anew in every picture: that costs less than to know that nothing has moved, and a field that is not the
//! picture's own would be wrong exactly when it matters, while somebody aligns the camera. On CHASE_DB1 the area is that
//! of the published masks to 0.7 % (tests/measurements/chase.rs).
//!
//! A picture without a dark surround is all field. How large and how round the field is, is not judged here.

/// Finds one field after the other; nothing is allocated once its buffers have grown.
#[derive(Debug, Default)]
pub struct FieldOfView {
    /// Lit pixels, 1, with a frame of dark ones round them, so that each has four neighbours.
    framed: Vec<u8>,
    /// The other side of a step of the opening.
    opened: Vec<u8>,
    pieces: Pieces,
    field: Vec<u8>,
}

impl FieldOfView {
    /// The field at a grid of `width` x `height`: row-major, 1 inside and 0 outside. `rgb` is `picture_width` x
    /// `picture_height`, interleaved, and covers the same scene; every place of the grid looks at the pixel under its
    /// middle.
    ///
    /// # Panics
    /// When `rgb` is not as long as its sizes say.
    pub fn find(
        &mut self,
        rgb: &[u8],
        (picture_width, picture_height): (usize, usize),
        (width, height): (usize, usize),
    ) -> &[u8] {
        assert_eq!(rgb.len(), picture_width * picture_height * 3, "three bytes a pixel");
        self.field.clear();
        if rgb.is_empty() || width == 0 || height == 0 {
            self.field.resize(width * height, 0);
            return &self.field;
        }
        let stride = width + 2;
        self.framed.clear();
        self.framed.resize(stride * (height + 2), 0);
        let row_len = 3 * picture_width;
        for (y, row) in inner_rows(&mut self.framed, stride).enumerate() {
            let start = under(y, height, picture_height) * row_len;
            let seen = &rgb[start..start + row_len];
            if width == picture_width {
                for (lit, pixel) in row.iter_mut().zip(seen.as_chunks().0) {
                    *lit = is_lit(pixel);
                }
            } else {
                for (x, lit) in row.iter_mut().enumerate() {
                    *lit = is_lit(&seen.as_chunks().0[under(x, width, picture_width)]);
                }
            }
        }
        self.open(stride);
        self.keep_the_largest_piece(stride);
        self.fill_holes(stride);
        inner_rows(&mut self.framed, stride).for_each(|row| self.field.extend_from_slice(row));
        &self.field
    }

    /// Takes away what is thinner than [`OPENING`] to either side; beyond the picture it is dark.
    fn open(&mut self, stride: usize) {
        self.opened.clear();
        self.opened.resize(self.framed.len(), 0);
        for step in 0..2 * OPENING {
            let shrink = step < OPENING;
            cross(&self.framed, &mut self.opened, stride, |five| {
                let [here, beside @ ..] = five;
                beside.iter().fold(here, |all, one| if shrink { all & one } else { all | one })
            });
            std::mem::swap(&mut self.framed, &mut self.opened);
        }
    }

    fn keep_the_largest_piece(&mut self, stride: usize) {
        self.pieces.find(&self.framed, stride, 1);
        let largest = self.pieces.largest();
        for run in 0..self.pieces.runs.len() {
            if Some(self.pieces.of(run)) != largest {
                self.framed[self.pieces.pixels(run)].fill(0);
            }
        }
    }

    /// What the outside does not reach is inside. The frame, and so the first dark run, belongs to the outside.
    fn fill_holes(&mut self, stride: usize) {
        self.pieces.find(&self.framed, stride, 0);
        let outside = self.pieces.of(0);
        for run in 0..self.pieces.runs.len() {
            if self.pieces.of(run) != outside {
                self.framed[self.pieces.pixels(run)].fill(1);
            }
        }
    }
}

/// The pixel of the picture that is under the middle of place `at` of the grid.
fn under(at: usize, grid: usize, picture: usize) -> usize {
    (2 * at + 1) * picture / (2 * grid)
}

fn is_lit(pixel: &[u8; 3]) -> u8 {
    u8::from(pixel[0].max(pixel[1]).max(pixel[2]) > DARKEST_LIT)
}

/// Rows without the frame.
fn inner_rows(framed: &mut [u8], stride: usize) -> impl Iterator<Item = &mut [u8]> {
    let rows = framed.len() / stride - 2;
    framed.chunks_exact_mut(stride).skip(1).take(rows).map(move |row| &mut row[1..stride - 1])
}

/// Every pixel but the frame's from itself and its neighbours in west, east, north and south.
fn cross(from: &[u8], into: &mut [u8], stride: usize, of: impl Fn([u8; 5]) -> u8) {
    let inner = stride - 2;
    for (y, row) in inner_rows(into, stride).enumerate() {
        let here = (y + 1) * stride + 1;
        let [north, south] = [here - stride, here + stride].map(|at| &from[at..at + inner]);
        let [west, middle, east] = [here - 1, here, here + 1].map(|at| &from[at..at + inner]);
        for (x, pixel) in row.iter_mut().enumerate() {
            *pixel = of([middle[x], west[x], east[x], north[x], south[x]]);
        }
    }
}

/// Pixels of one value that hang together by sides, as runs within rows.
#[derive(Debug, Default)]
struct Pieces {
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    end: usize,
    /// An earlier run of the same piece, or itself.
    earlier: usize,
    /// Pixels of the piece, where this is its first run.
    pixels: usize,
}

impl Pieces {
    fn find(&mut self, set: &[u8], stride: usize, value: u8) {
        self.runs.clear();
        // The first run of the row above that may still touch one of this row.
        let mut above = 0;
        for (y, row) in set.chunks_exact(stride).enumerate() {
            let first = self.runs.len();
            let mut x = 0;
            while let Some(begin) = row[x..].iter().position(|pixel| *pixel == value) {
                let from = x + begin;
                let len = row[from..].iter().position(|pixel| *pixel != value);
                let to = len.map_or(stride, |len| from + len);
                let (start, end) = (y * stride + from, y * stride + to);
                let run = self.runs.len();
                self.runs.push(Run { start, end, earlier: run, pixels: to - from });
                while above < first && self.runs[above].start + stride < end {
                    if self.runs[above].end + stride > start {
                        self.join(above, run);
                    }
                    // It may reach under the next run, too.
                    if self.runs[above].end + stride > end {
                        break;
                    }
                    above += 1;
                }
                x = to;
            }
            above = first;
        }
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.of(one), self.of(other));
        let (first, second) = (one.min(other), one.max(other));
        if first != second {
            self.runs[second].earlier = first;
            self.runs[first].pixels += self.runs[second].pixels;
        }
    }

    /// The first run of the piece that this run belongs to.
    fn of(&mut self, mut run: usize) -> usize {
        while self.runs[run].earlier != run {
            // Every other step is saved the next time.
            let earlier = self.runs[run].earlier;
            self.runs[run].earlier = self.runs[earlier].earlier;
            run = earlier;
        }
        run
    }

    /// Of two as large as each other, the upper one.
    fn largest(&self) -> Option<usize> {
        let firsts = (0..self.runs.len()).filter(|&run| self.runs[run].earlier == run);
        firsts.rev().max_by_key(|&run| self.runs[run].pixels)
    }

    fn pixels(&self, run: usize) -> std::ops::Range<usize> {
        self.runs[run].start..self.runs[run].end
    }
}

/// The surround is darker than this in all three colours: black, and what a lens scatters into it.
const DARKEST_LIT: u8 = 25;
const OPENING: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each letter is 6 x 6 pixels; what a letter's middle says comes back.
    fn of(picture: &[&str]) -> Vec<String> {
        let width = picture[0].len() * 6;
        let rgb: Vec<u8> = (0..width * picture.len() * 6)
            .map(|at| picture[at / width / 6].as_bytes()[at % width / 6])
            .flat_map(|letter| if letter == b'#' { [26, 0, 0] } else { [25, 25, 25] })
            .collect();
        let size = (width, picture.len() * 6);
        let mut finder = FieldOfView::default();
        let field: Vec<bool> = finder.find(&rgb, size, size).iter().map(|&at| at == 1).collect();
        let middle =
            |x: usize, y: usize| if field[(y * 6 + 3) * width + x * 6 + 3] { '#' } else { '.' };
        (0..picture.len()).map(|y| (0..width / 6).map(|x| middle(x, y)).collect()).collect()
    }

    #[test]
    fn holes_are_filled_and_the_largest_piece_stays() {
        let picture = [
            "............",
            ".#...#####..",
            "....###.###.",
            "....#######.",
            ".....#####..",
            "............",
        ];
        let filled = [
            "............",
            ".....#####..",
            "....#######.",
            "....#######.",
            ".....#####..",
            "............",
        ];
        assert_eq!(of(&picture), filled);
    }

    #[test]
    fn lines_of_four_pixels_are_no_field() {
        let (width, mut rgb) = (40, vec![0; 40 * 40 * 3]);
        for at in 0..40 {
            for x in 18..22 {
                rgb[(at * width + x) * 3 + 1] = 200;
            }
        }
        let found = FieldOfView::default().find(&rgb, (40, 40), (40, 40)).to_vec();
        assert_eq!(found, [0; 1600]);
    }

    #[test]
    fn a_dark_picture_has_no_field() {
        assert!(of(&["....", "...."]).iter().all(|row| row == "...."));
    }

    #[test]
    fn a_grid_of_another_size_sees_the_same_disc() {
        let disc = |side: usize| -> Vec<u8> {
            let inside = |at: usize| {
                let place = |at: usize| (at as f64 + 0.5) / side as f64 - 0.5;
                place(at % side).hypot(place(at / side)) < 0.4
            };
            (0..side * side).map(|at| u8::from(inside(at))).collect()
        };
        let rgb: Vec<u8> = disc(200).iter().flat_map(|&lit| [lit * 90, 0, 0]).collect();
        let mut finder = FieldOfView::default();
        for side in [100, 64, 320] {
            let found = finder.find(&rgb, (200, 200), (side, side)).to_vec();
            let truth = disc(side);
            let (found, truth) =
                (found.iter().filter(|at| **at == 1), truth.iter().filter(|at| **at == 1));
            let over = found.count() as f64 / truth.count() as f64;
            assert!((over - 1.0).abs() < 0.02, "{side}: {over}");
        }
    }

    #[test]
    fn a_picture_of_no_size_has_a_field_of_no_size() {
        let mut finder = FieldOfView::default();
        assert_eq!(finder.find(&[], (0, 0), (0, 0)), [0; 0]);
        assert_eq!(finder.find(&[], (0, 7), (2, 2)), [0; 4]);
        assert_eq!(finder.find(&[255; 3], (1, 1), (0, 4)), [0; 0]);
        // One pixel is thinner than what the opening takes away.
        assert_eq!(finder.find(&[255; 3], (1, 1), (1, 1)), [0]);
    }

    proptest! {
        #[test]
        fn every_picture_has_the_field_that_the_slow_way_finds(
            width in 1_usize..40,
            blots in prop::collection::vec((0_usize..40, 0_usize..40, 1_usize..12, any::<bool>()), 0..12),
            specks in prop::collection::vec(0_usize..1600, 0..60),
        ) {
            let height = 40;
            let mut rgb = vec![0; width * height * 3];
            let mut paint = |x: usize, y: usize, lit: bool| {
                if x < width && y < height {
                    rgb[(y * width + x) * 3 + (x + y) % 3] = if lit { 26 } else { 0 };
                }
            };
            for (left, top, side, lit) in blots {
                for at in 0..side * side {
                    paint(left + at % side, top + at / side, lit);
                }
            }
            for at in specks {
                paint(at % 40, at / 40, at % 2 == 0);
            }
            let size = (width, height);
            let found = FieldOfView::default().find(&rgb, size, size).to_vec();
            let slow: Vec<u8> = slow(&rgb, width).into_iter().map(u8::from).collect();
            prop_assert_eq!(found, slow);
        }
    }

    /// Step by step, a whole picture at a time. Never optimise this.
    fn slow(rgb: &[u8], width: usize) -> Vec<bool> {
        let lit = rgb.chunks_exact(3).map(|pixel| pixel.iter().any(|&byte| byte > DARKEST_LIT));
        let mut disc: Vec<bool> = lit.collect();
        for _ in 0..OPENING {
            disc = shrunk(&disc, width, false);
        }
        for _ in 0..OPENING {
            let dark: Vec<bool> = disc.iter().map(|lit| !lit).collect();
            disc = shrunk(&dark, width, true).iter().map(|dark| !dark).collect();
        }
        let Some(largest) = largest_piece(&disc, width) else { return disc };
        // What the outside does not reach is inside.
        let mut outside: Vec<bool> = largest.iter().map(|inside| !inside).collect();
        let mut reached = vec![false; outside.len()];
        for at in edge(outside.len(), width) {
            if outside[at] {
                flood(&mut outside, width, at, |at| reached[at] = true);
            }
        }
        reached.iter().map(|reached| !reached).collect()
    }

    /// Only pixels whose four neighbours are set; `beyond` is what lies outside the picture.
    fn shrunk(set: &[bool], width: usize, beyond: bool) -> Vec<bool> {
        let height = set.len() / width;
        (0..set.len())
            .map(|at| {
                let (x, y) = (at % width, at / width);
                set[at]
                    && if x > 0 { set[at - 1] } else { beyond }
                    && if x + 1 < width { set[at + 1] } else { beyond }
                    && if y > 0 { set[at - width] } else { beyond }
                    && if y + 1 < height { set[at + width] } else { beyond }
            })
            .collect()
    }

    fn largest_piece(set: &[bool], width: usize) -> Option<Vec<bool>> {
        let mut left = set.to_vec();
        let mut largest: Vec<usize> = Vec::new();
        for at in 0..left.len() {
            if left[at] {
                let mut piece = Vec::new();
                flood(&mut left, width, at, |at| piece.push(at));
                if piece.len() > largest.len() {
                    largest = piece;
                }
            }
        }
        if largest.is_empty() {
            return None;
        }
        let mut piece = vec![false; set.len()];
        for at in largest {
            piece[at] = true;
        }
        Some(piece)
    }

    /// Clears everything that is set and hangs together with `start` by sides.
    fn flood(set: &mut [bool], width: usize, start: usize, mut visit: impl FnMut(usize)) {
        let mut waiting = vec![start];
        set[start] = false;
        while let Some(at) = waiting.pop() {
            visit(at);
            let x = at % width;
            let left = (x > 0).then(|| at - 1);
            let right = (x + 1 < width).then_some(at + 1);
            for next in [left, right, at.checked_sub(width), Some(at + width)].into_iter().flatten()
            {
                if set.get(next).copied().unwrap_or_default() {
                    set[next] = false;
                    waiting.push(next);
                }
            }
        }
    }

    fn edge(len: usize, width: usize) -> impl Iterator<Item = usize> {
        (0..len).filter(move |at| {
            let (x, y) = (at % width, at / width);
            x == 0 || x + 1 == width || y == 0 || y + 1 == len / width
        })
    }
}
