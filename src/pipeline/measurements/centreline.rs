//! Centrelines as links and paths: what length, tortuosity, ends and branchings are read from.
//!
//! ```text
//!   o--o--o            o   a pixel of the skeleton
//!          \           --  a link of length 1
//!           X--o--o    \   a link of length sqrt 2, where no two links of 1 lead the same way
//!          /           X   a branching: 3 or more links; neighbouring ones are one branch point
//!   o--o--o            a path runs from an end or a branching to the next, or round a ring
//! ```

use crate::pipeline::skeleton::neighbours;

/// The skeleton's pixels, and the paths along them; nothing is allocated once they have grown.
#[derive(Debug, Default)]
pub(super) struct Centrelines {
    stride: usize,
    /// The skeleton with a frame of background: 1 is on it.
    framed: Vec<u8>,
    /// Indexes of its pixels into `framed`, row by row.
    pixels: Vec<usize>,
    /// Links of each pixel, by its index into `framed`: one bit each, clockwise from north in the lowest.
    links: Vec<u8>,
    /// Pixels whose path has been walked.
    walked: Vec<bool>,
    open: Vec<usize>,
}

impl Centrelines {
    /// Takes a skeleton: row-major, non-zero is on it.
    pub(super) fn read(&mut self, skeleton: &[u8], width: usize) {
        let stride = width + 2;
        self.stride = stride;
        self.framed.clear();
        self.framed.resize(stride * (skeleton.len() / width.max(1) + 2), 0);
        self.pixels.clear();
        for (row, pixels) in skeleton.chunks_exact(width.max(1)).enumerate() {
            let start = (row + 1) * stride + 1;
            for (at, _) in pixels.iter().enumerate().filter(|(_, pixel)| **pixel != 0) {
                self.framed[start + at] = 1;
                self.pixels.push(start + at);
            }
        }
        self.links.clear();
        self.links.resize(self.framed.len(), 0);
        for &at in &self.pixels {
            self.links[at] = links(neighbours(&self.framed, stride, at));
        }
    }

    /// Column and row of every pixel.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.pixels.iter().map(|&at| self.place(at))
    }

    /// Length of all links, in pixels: each is met from both its ends.
    pub(super) fn length_px(&self) -> f64 {
        let (mut orthogonal, mut diagonal) = (0_u32, 0_u32);
        for &at in &self.pixels {
            orthogonal += (self.links[at] & ORTHOGONAL).count_ones();
            diagonal += (self.links[at] & !ORTHOGONAL).count_ones();
        }
        f64::from(orthogonal) / 2.0 + f64::from(diagonal) / 2.0 * std::f64::consts::SQRT_2
    }

    /// Pixels with one link.
    pub(super) fn end_points(&self) -> usize {
        self.pixels.iter().filter(|&&at| self.links[at].count_ones() == 1).count()
    }

    /// Groups of pixels with three links or more: a crossing of thick vessels is drawn with several.
    pub(super) fn branch_points(&mut self) -> usize {
        self.walked.clear();
        self.walked.resize(self.framed.len(), false);
        let mut groups = 0;
        for place in 0..self.pixels.len() {
            let start = self.pixels[place];
            if !self.branches(start) || self.walked[start] {
                continue;
            }
            groups += 1;
            self.walked[start] = true;
            self.open.push(start);
            while let Some(at) = self.open.pop() {
                for step in 0..8 {
                    let next = self.beside(at, step);
                    if self.framed[next] == 1 && self.branches(next) && !self.walked[next] {
                        self.walked[next] = true;
                        self.open.push(next);
                    }
                }
            }
        }
        groups
    }

    /// Walks every path once, with the places of its pixels from one end to the other. A path begins and ends at the
    /// pixel before a branching; what lies within a branching is none.
    pub(super) fn walk(&mut self, mut path: impl FnMut(&[(f64, f64)]), into: &mut Vec<(f64, f64)>) {
        self.walked.clear();
        self.walked.resize(self.framed.len(), false);
        // Paths with an end first; what is left then are rings.
        for rings in [false, true] {
            for place in 0..self.pixels.len() {
                let start = self.pixels[place];
                if self.walked[start]
                    || self.branches(start)
                    || (!rings && self.ways_on(start) == 2)
                {
                    continue;
                }
                into.clear();
                let mut at = start;
                loop {
                    self.walked[at] = true;
                    let (x, y) = self.place(at);
                    into.push((x as f64, y as f64));
                    let next = (0..8)
                        .filter(|&step| self.links[at] >> step & 1 == 1)
                        .map(|step| self.beside(at, step))
                        .find(|&next| !self.walked[next] && !self.branches(next));
                    match next {
                        Some(next) => at = next,
                        None => break,
                    }
                }
                path(into);
            }
        }
    }

    /// Links to pixels that are no branching.
    fn ways_on(&self, at: usize) -> usize {
        (0..8)
            .filter(|&step| self.links[at] >> step & 1 == 1)
            .filter(|&step| !self.branches(self.beside(at, step)))
            .count()
    }

    fn branches(&self, at: usize) -> bool {
        self.links[at].count_ones() >= 3
    }

    fn beside(&self, at: usize, step: usize) -> usize {
        let (right, down) = STEPS[step];
        at.wrapping_add_signed(down * self.stride.cast_signed() + right)
    }

    fn place(&self, at: usize) -> (usize, usize) {
        (at % self.stride - 1, at / self.stride - 1)
    }
}

/// The neighbours that are linked: a diagonal one only where neither of the two beside it is there.
fn links(neighbours: u8) -> u8 {
    let orthogonal = neighbours & ORTHOGONAL;
    let bridged = orthogonal.rotate_left(1) | orthogonal.rotate_right(1);
    orthogonal | (neighbours & !ORTHOGONAL & !bridged)
}

/// North, east, south and west.
const ORTHOGONAL: u8 = 0b0101_0101;
/// Right and down, clockwise from north.
const STEPS: [(isize, isize); 8] =
    [(0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1)];
