//! A drawn fundus whose vessels are known: the only scene with a truth to compare a mask with.
//!
//! ```text
//!   four trunks leave the optic disc (two up, two down); every few steps a vessel bends a little and
//!   becomes a little narrower; now and then it forks:
//!
//!            \   /            r^2 = a^2 + b^2   (the children keep the parent's cross-section)
//!             \ /
//!              |              a vessel ends when it is thinner than MIN_RADIUS or leaves the disc
//!             (o) optic disc
//! ```
//!
//! It looks like a fundus to a network only in its main lines: background, contrast and tapering are
//! plausible, texture and pathology are not there. Figures on it are about geometry, not about eyes.

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::source::simulated::area::to_byte;
use crate::source::simulated::picture::Picture;

/// A drawn picture and its truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phantom {
    /// Square.
    pub picture: Picture,
    /// Row-major, one per pixel: whether the pixel's centre lies in a vessel.
    pub truth: Vec<bool>,
}

impl Phantom {
    /// Draws a square phantom of `side` pixels (at least 16; smaller ones are drawn at 16).
    #[must_use]
    pub fn draw(side: usize, seed: u64) -> Self {
        let side = side.max(MIN_SIDE);
        let mut canvas = Canvas::new(side);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        canvas.grow(&mut rng);
        canvas.paint()
    }
}

/// Lengths are in parts of the side, from the middle: x to the right, y down, the disc has radius 0.47.
#[derive(Debug, Clone, Copy)]
struct Vessel {
    x: f32,
    y: f32,
    /// Unit vector.
    heading: (f32, f32),
    radius: f32,
    /// Steps until it may fork.
    until_fork: u32,
}

/// How deep each pixel lies in the vessel that covers it most: 0 outside or on the wall, 1 in the middle.
struct Canvas {
    side: usize,
    depth: Vec<f32>,
    truth: Vec<bool>,
}

impl Canvas {
    fn new(side: usize) -> Self {
        Self { side, depth: vec![0.0; side * side], truth: vec![false; side * side] }
    }

    fn grow(&mut self, rng: &mut ChaCha8Rng) {
        let mut growing: Vec<Vessel> = TRUNKS
            .iter()
            .map(|&heading| Vessel {
                x: OPTIC_DISC.0,
                y: OPTIC_DISC.1,
                heading: turned(heading, rng.random_range(-0.15..0.15)),
                radius: TRUNK_RADIUS * rng.random_range(0.8..1.2),
                until_fork: rng.random_range(20..40),
            })
            .collect();
        while let Some(mut vessel) = growing.pop() {
            // Arcs keep bending the same way for a while, as vessels do.
            let mut bend: f32 = 0.0;
            while vessel.radius >= MIN_RADIUS
                && (vessel.x.powi(2) + vessel.y.powi(2)) < INNER_SQUARED
            {
                self.stamp(vessel);
                bend = 0.9 * bend + rng.random_range(-0.02..0.02);
                vessel.heading = turned(vessel.heading, bend);
                vessel.x += STEP * vessel.heading.0;
                vessel.y += STEP * vessel.heading.1;
                vessel.radius *= TAPER;
                if vessel.until_fork > 0 {
                    vessel.until_fork -= 1;
                    continue;
                }
                // The wider child goes on nearly straight, the narrower turns off.
                let narrow: f32 = rng.random_range(0.45..0.75);
                let wide = (1.0 - narrow * narrow).sqrt();
                let side = if rng.random() { 1.0 } else { -1.0 };
                growing.push(Vessel {
                    heading: turned(vessel.heading, side * rng.random_range(0.2..0.45)),
                    radius: vessel.radius * narrow,
                    until_fork: rng.random_range(15..40),
                    ..vessel
                });
                vessel.heading = turned(vessel.heading, -side * rng.random_range(0.02..0.12));
                vessel.radius *= wide;
                vessel.until_fork = rng.random_range(20..45);
            }
        }
    }

    /// Marks the pixels under a round cross-section of the vessel.
    fn stamp(&mut self, vessel: Vessel) {
        let side = self.side as f32;
        let radius = vessel.radius * side;
        let centre = ((vessel.x + 0.5) * side, (vessel.y + 0.5) * side);
        // The wall is blurred over a pixel, so colour reaches half a pixel beyond it.
        let reach = radius + 0.5;
        for row in pixels(centre.1, reach, self.side) {
            for column in pixels(centre.0, reach, self.side) {
                let (dx, dy) = (column as f32 + 0.5 - centre.0, row as f32 + 0.5 - centre.1);
                let distance = (dx * dx + dy * dy).sqrt();
                let at = row * self.side + column;
                self.truth[at] |= distance <= radius;
                // Blood absorbs along the chord that light takes through the vessel.
                let chord = (1.0 - (distance / reach).powi(2)).max(0.0).sqrt();
                self.depth[at] = self.depth[at].max(chord * reach.min(1.0));
            }
        }
    }

    fn paint(self) -> Phantom {
        let side = self.side as f32;
        let mut rgb = Vec::with_capacity(self.side * self.side * 3);
        for row in 0..self.side {
            for column in 0..self.side {
                let x = (column as f32 + 0.5) / side - 0.5;
                let y = (row as f32 + 0.5) / side - 0.5;
                let depth = self.depth[row * self.side + column];
                rgb.extend(colour(x, y, depth, side));
            }
        }
        let picture = Picture::new(self.side, self.side, rgb)
            .expect("side * side pixels were pushed, and side is not 0");
        Phantom { picture, truth: self.truth }
    }
}

/// Background of a fundus (bright optic disc, dark macula, falling off to the rim), darkened by blood.
fn colour(x: f32, y: f32, depth: f32, side: f32) -> [u8; 3] {
    let from_middle = (x * x + y * y).sqrt();
    let inside = ((RADIUS - from_middle) * side + 0.5).clamp(0.0, 1.0);
    let near = |(cx, cy): (f32, f32), radius: f32| {
        let share = ((x - cx).powi(2) + (y - cy).powi(2)) / (radius * radius);
        1.0 / (1.0 + share.powi(2))
    };
    let disc = near(OPTIC_DISC, 0.06);
    let macula = near(MACULA, 0.08);
    let light = inside * (1.0 - 0.9 * from_middle * from_middle) * (1.0 - 0.35 * macula);
    [(190.0, 50.0, 0.15), (95.0, 95.0, 0.5), (45.0, 80.0, 0.35)].map(|(base, glow, absorbed)| {
        to_byte(light * (base + glow * disc) * (1.0 - absorbed * depth))
    })
}

/// Rotated by about `angle` radians (twice the arc tangent of half of it), with the four basic operations
/// only, so that a phantom is the same on every machine.
fn turned((x, y): (f32, f32), angle: f32) -> (f32, f32) {
    let t = angle / 2.0;
    let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    (x * cos - y * sin, x * sin + y * cos)
}

/// Pixels whose centres may lie within `reach` of `centre`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates at 0; the upper end is bounded by the side"
)]
fn pixels(centre: f32, reach: f32, side: usize) -> std::ops::Range<usize> {
    ((centre - reach) as usize).min(side)..((centre + reach + 1.0) as usize).min(side)
}

/// Side of the phantom that the simulated sensor looks at.
pub const SIDE: usize = 1024;
const MIN_SIDE: usize = 16;
/// The visible disc, and the square of the radius at which vessels end.
const RADIUS: f32 = 0.47;
const INNER_SQUARED: f32 = 0.45 * 0.45;
const OPTIC_DISC: (f32, f32) = (0.2, 0.0);
const MACULA: (f32, f32) = (-0.12, 0.02);
/// Up and down from the optic disc, towards and away from the macula; unit vectors.
const TRUNKS: [(f32, f32); 4] = [(-0.6, -0.8), (0.6, -0.8), (-0.6, 0.8), (0.6, 0.8)];
/// 8 pixels at 1024: as wide as the widest vessels of a fundus picture.
const TRUNK_RADIUS: f32 = 0.008;
const MIN_RADIUS: f32 = 0.001;
/// Shorter than the thinnest vessel is wide, so that cross-sections overlap.
const STEP: f32 = 0.002;
const TAPER: f32 = 0.9985;

#[cfg(test)]
mod tests {
    use super::*;

    fn share(phantom: &Phantom) -> f64 {
        phantom.truth.iter().filter(|&&vessel| vessel).count() as f64 / phantom.truth.len() as f64
    }

    #[test]
    fn same_seed_draws_the_same_and_another_seed_another() {
        let phantom = Phantom::draw(128, 7);
        assert_eq!(phantom, Phantom::draw(128, 7));
        assert_ne!(phantom.truth, Phantom::draw(128, 8).truth);
    }

    #[test]
    fn vessels_cover_about_as_much_as_in_an_eye() {
        for seed in 0..20 {
            let share = share(&Phantom::draw(512, seed));
            assert!((0.03..0.16).contains(&share), "seed {seed}: {share}");
        }
    }

    #[test]
    fn vessels_are_darker_than_what_surrounds_them() {
        let phantom = Phantom::draw(512, 3);
        let green = |at: usize| f64::from(phantom.picture.rgb()[at * 3 + 1]);
        let (mut vessel, mut beside, mut walls) = (0.0, 0.0, 0.0);
        for row in 20..492 {
            for column in 20..492 {
                let at = row * 512 + column;
                // A wall, seen against a pixel well beyond it on the same row.
                if phantom.truth[at] && !phantom.truth[at + 1] && !phantom.truth[at + 3] {
                    vessel += green(at);
                    beside += green(at + 3);
                    walls += 1.0;
                }
            }
        }
        assert!(
            walls > 1000.0 && vessel / walls < 0.92 * beside / walls,
            "{vessel} {beside} {walls}"
        );
    }

    #[test]
    fn vessels_stay_in_the_disc_and_the_outside_is_black() {
        let phantom = Phantom::draw(256, 1);
        for row in 0..256_usize {
            for column in 0..256_usize {
                let (x, y) = (column as f32 - 127.5, row as f32 - 127.5);
                if (x * x + y * y).sqrt() > 0.475 * 256.0 {
                    let at = row * 256 + column;
                    assert!(!phantom.truth[at], "({column}, {row})");
                    assert_eq!(phantom.picture.rgb()[at * 3..at * 3 + 3], [0, 0, 0]);
                }
            }
        }
    }

    #[test]
    fn draws_the_smallest_side_instead_of_none() {
        assert_eq!(Phantom::draw(0, 0).truth.len(), 16 * 16);
    }

    #[test]
    fn turning_keeps_the_length() {
        let (x, y) = turned((0.6, 0.8), 0.4);
        assert!((x * x + y * y - 1.0).abs() < 1e-6);
        // 2 atan(0.2) = 0.3948 rad
        assert!((x - (0.6 * 0.3948_f32.cos() - 0.8 * 0.3948_f32.sin())).abs() < 1e-4);
    }
}
