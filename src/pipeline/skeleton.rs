//! Thins a mask to centrelines one pixel wide.
//!
//! Guo and Hall, "Parallel thinning with two-subiteration algorithms", CACM 32(3), 1989, algorithm
//! A1: two half-steps in turn delete every pixel of the rim that neither ends a line nor joins two
//! parts. Chosen over Zhang-Suen because that one erases 2 x 2 blocks and so loses small vessels
//! whole.
//!
//! ```text
//!   neighbours of p:   8 1 2        connectivity is 8 for vessels, 4 for the background
//!                      7 p 3        pixels outside the mask count as background
//!                      6 5 4
//! ```

/// The buffers of one thinning after another; nothing is allocated once they have grown.
#[derive(Debug)]
pub struct Thinning {
    /// The mask with a frame of background, so that every pixel has eight neighbours: 1 is vessel.
    framed: Vec<u8>,
    /// Indexes into `framed` of the pixels that still stand, row by row.
    standing: Vec<usize>,
    deleted: Vec<usize>,
    /// What [`deletable`] says of each of the 256 neighbourhoods, by half-step.
    deletable: [Box<[bool; 256]>; 2],
}

impl Default for Thinning {
    fn default() -> Self {
        let table = |step| {
            let mut table = Box::new([false; 256]);
            for (bits, entry) in table.iter_mut().enumerate() {
                let neighbour = |place: usize| bits >> place & 1 == 1;
                *entry = deletable(std::array::from_fn(neighbour), step);
            }
            table
        };
        Self {
            framed: Vec::new(),
            standing: Vec::new(),
            deleted: Vec::new(),
            deletable: [table(HalfStep::NorthEast), table(HalfStep::SouthWest)],
        }
    }
}

impl Thinning {
    /// Thins `mask` in place: non-zero is vessel, and what stays keeps its value. `mask` is
    /// row-major with `width` pixels a row; a last row cut short is treated as background beyond
    /// its end.
    pub fn thin(&mut self, mask: &mut [u8], width: usize) {
        if width == 0 {
            return;
        }
        let stride = width + 2;
        self.framed.clear();
        self.framed.resize(stride * (mask.len().div_ceil(width) + 2), 0);
        self.standing.clear();
        for (row, pixels) in mask.chunks(width).enumerate() {
            let start = (row + 1) * stride + 1;
            for (at, _) in pixels.iter().enumerate().filter(|(_, pixel)| **pixel != 0) {
                self.framed[start + at] = 1;
                self.standing.push(start + at);
            }
        }
        loop {
            let before = self.standing.len();
            self.half_step(stride, HalfStep::NorthEast);
            self.half_step(stride, HalfStep::SouthWest);
            if self.standing.len() == before {
                break;
            }
        }
        for (row, pixels) in mask.chunks_mut(width).enumerate() {
            let framed = &self.framed[(row + 1) * stride + 1..];
            for (pixel, stands) in pixels.iter_mut().zip(framed) {
                *pixel *= stands;
            }
        }
    }

    /// Decides for all pixels on the same mask, then deletes: the order of pixels must not matter.
    fn half_step(&mut self, stride: usize, step: HalfStep) {
        let Self { framed, standing, deleted, deletable } = self;
        let deletable = &deletable[step as usize];
        deleted.resize(standing.len(), 0);
        let (mut kept, mut gone) = (0, 0);
        // Without a branch, which nobody can foretell: each pixel is written to both lists, and one of them moves on.
        for place in 0..standing.len() {
            let at = standing[place];
            let goes = deletable[usize::from(neighbours(framed, stride, at))];
            standing[kept] = at;
            deleted[gone] = at;
            kept += usize::from(!goes);
            gone += usize::from(goes);
        }
        standing.truncate(kept);
        deleted.truncate(gone);
        for &at in deleted.iter() {
            framed[at] = 0;
        }
    }
}

#[derive(Clone, Copy)]
enum HalfStep {
    NorthEast,
    SouthWest,
}

/// One bit each, clockwise from north in the lowest: north, north-east, east, ... north-west. `framed` holds 0 and 1
/// and has a frame round it.
#[inline]
pub(super) fn neighbours(framed: &[u8], stride: usize, at: usize) -> u8 {
    let north = &framed[at - stride - 1..at - stride + 2];
    let here = &framed[at - 1..at + 2];
    let south = &framed[at + stride - 1..at + stride + 2];
    north[1]
        | north[2] << 1
        | here[2] << 2
        | south[2] << 3
        | south[1] << 4
        | south[0] << 5
        | here[0] << 6
        | north[0] << 7
}

fn deletable([n, ne, e, se, s, sw, w, nw]: [bool; 8], step: HalfStep) -> bool {
    let count = |pairs: [bool; 4]| pairs.into_iter().filter(|&set| set).count();
    // One connected group of neighbours: deleting joins nothing and splits nothing.
    let groups = count([!n && (ne || e), !e && (se || s), !s && (sw || w), !w && (nw || n)]);
    // Two ways of pairing adjacent neighbours; the smaller is 1 at a line's end, which must stay.
    let paired = count([nw || n, ne || e, se || s, sw || w]).min(count([
        n || ne,
        e || se,
        s || sw,
        w || nw,
    ]));
    let rim = match step {
        HalfStep::NorthEast => !((n || ne || !se) && e),
        HalfStep::SouthWest => !((s || sw || !nw) && w),
    };
    groups == 1 && (2..=3).contains(&paired) && rim
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn thinned(drawing: &[&str]) -> Vec<String> {
        let width = drawing[0].len();
        let mut mask: Vec<u8> =
            drawing.iter().flat_map(|row| row.bytes().map(|c| u8::from(c == b'#'))).collect();
        Thinning::default().thin(&mut mask, width);
        mask.chunks(width)
            .map(|row| row.iter().map(|&p| if p == 0 { '.' } else { '#' }).collect())
            .collect()
    }

    #[test]
    fn a_thick_bar_becomes_its_middle_row() {
        let got = thinned(&[
            "............",
            ".##########.",
            ".##########.",
            ".##########.",
            "............",
        ]);
        assert_eq!(got[1], "............");
        assert_eq!(got[3], "............");
        assert!(got[2].contains("########"), "{got:?}");
    }

    #[test]
    fn lines_one_pixel_wide_stay_as_they_are() {
        let drawing = [
            "#......#", //
            ".#....#.", "..#..#..", "...##...", "...#....", "...#....",
        ];
        assert_eq!(thinned(&drawing), drawing);
    }

    #[test]
    fn a_block_of_four_leaves_one_pixel() {
        let got = thinned(&["....", ".##.", ".##.", "...."]).concat();
        assert_eq!(got.matches('#').count(), 1, "{got}");
    }

    #[test]
    fn a_ring_stays_closed() {
        let got = thinned(&[
            ".........", //
            "..#####..",
            ".#######.",
            ".###.###.",
            ".##...##.",
            ".###.###.",
            ".#######.",
            "..#####..",
            ".........",
        ]);
        let mask: Vec<bool> = got.concat().chars().map(|c| c == '#').collect();
        assert_eq!(components(&mask, 9, true), 1);
        assert_eq!(components(&invert(&mask), 9, false), 2, "a ring has an inside: {got:?}");
    }

    #[test]
    fn a_vessel_at_the_border_keeps_to_the_border() {
        assert_eq!(thinned(&["####", "....", "...."]), ["####", "....", "...."]);
    }

    #[test]
    fn empty_and_widthless_masks_are_left_alone() {
        Thinning::default().thin(&mut [], 0);
        Thinning::default().thin(&mut [], 5);
        let mut mask = [1, 1];
        Thinning::default().thin(&mut mask, 0);
        assert_eq!(mask, [1, 1]);
    }

    proptest! {
        /// The theorem of the paper: components and holes are as many as before. And a second run
        /// changes nothing.
        #[test]
        fn topology_survives(
            width in 1_usize..14,
            bits in prop::collection::vec(any::<bool>(), 1..160),
        ) {
            let len = bits.len() / width * width;
            let before = &bits[..len];
            let mut mask: Vec<u8> = before.iter().map(|&bit| u8::from(bit) * 255).collect();
            let mut thinning = Thinning::default();
            thinning.thin(&mut mask, width);
            let after: Vec<bool> = mask.iter().map(|&p| p != 0).collect();
            prop_assert!(before.iter().zip(&after).all(|(&b, &a)| b || !a), "a pixel was added");
            prop_assert_eq!(components(before, width, true), components(&after, width, true));
            let (outside_before, outside_after) = (framed(before, width), framed(&after, width));
            prop_assert_eq!(
                components(&outside_before, width + 2, false),
                components(&outside_after, width + 2, false)
            );
            let once = mask.clone();
            thinning.thin(&mut mask, width);
            prop_assert_eq!(once, mask);
        }
    }

    fn invert(mask: &[bool]) -> Vec<bool> {
        mask.iter().map(|&p| !p).collect()
    }

    /// The background, with a border of background round it.
    fn framed(mask: &[bool], width: usize) -> Vec<bool> {
        let height = mask.len() / width;
        let mut background = vec![true; (width + 2) * (height + 2)];
        for (i, &vessel) in mask.iter().enumerate() {
            background[(i / width + 1) * (width + 2) + i % width + 1] = !vessel;
        }
        background
    }

    fn components(mask: &[bool], width: usize, diagonal: bool) -> usize {
        let mut seen = vec![false; mask.len()];
        let mut found = 0;
        for start in 0..mask.len() {
            if !mask[start] || seen[start] {
                continue;
            }
            found += 1;
            let mut open = vec![start];
            seen[start] = true;
            while let Some(i) = open.pop() {
                let steps = [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)];
                for (dx, dy) in steps.into_iter().filter(|(dx, dy)| diagonal || dx * dy == 0) {
                    let x = (i % width).checked_add_signed(dx).filter(|&x| x < width);
                    let (Some(x), Some(y)) = (x, (i / width).checked_add_signed(dy)) else {
                        continue;
                    };
                    let next = y * width + x;
                    if next < mask.len() && mask[next] && !seen[next] {
                        seen[next] = true;
                        open.push(next);
                    }
                }
            }
        }
        found
    }
}
