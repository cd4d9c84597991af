//! Vessels drawn from curves whose length is known.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "coordinates of a small picture"
)]

/// A picture of probabilities: 0 or 255.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) pixels: Vec<u8>,
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, pixels: vec![0; width * height] }
    }

    /// Every pixel whose middle is within half of `wide` of the curve.
    pub(crate) fn draw(&mut self, curve: &Curve, wide: f64) {
        let radius = wide / 2.0;
        let height = self.pixels.len() / self.width;
        for &(x, y) in &curve.points {
            let span = |middle: f64, most: usize| {
                let least = (middle - radius).ceil().max(0.0) as usize;
                least..((middle + radius).floor().max(0.0) as usize + 1).min(most)
            };
            for row in span(y, height) {
                for column in span(x, self.width) {
                    if (column as f64 - x).hypot(row as f64 - y) <= radius {
                        self.pixels[row * self.width + column] = 255;
                    }
                }
            }
        }
    }
}

/// A curve as points a twentieth of a pixel apart or less.
pub(crate) struct Curve {
    points: Vec<(f64, f64)>,
    length: f64,
}

impl Curve {
    fn of(length: f64, point: impl Fn(f64) -> (f64, f64)) -> Self {
        let steps = (length * 20.0).ceil().max(1.0);
        let points = (0..=steps as usize).map(|step| point(step as f64 / steps)).collect();
        Self { points, length }
    }

    pub(crate) fn between(from: (f64, f64), to: (f64, f64)) -> Self {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        Self::of(length, |at| (from.0 + at * (to.0 - from.0), from.1 + at * (to.1 - from.1)))
    }

    /// 300 pixels long, at this angle in radians.
    pub(crate) fn line(angle: f64) -> Self {
        let (down, right) = angle.sin_cos();
        Self::between((50.0, 50.0), (50.0 + 300.0 * right, 50.0 + 300.0 * down))
    }

    /// Round the middle of the canvas of 300 or more, from the left on.
    pub(crate) fn arc(radius: f64, angle: f64) -> Self {
        let middle = radius + 20.0;
        Self::of(radius * angle, |at| {
            let (sine, cosine) = (at * angle).sin_cos();
            (middle - radius * cosine, middle - radius * sine)
        })
    }

    /// Three waves.
    pub(crate) fn sine(amplitude: f64, wave: f64) -> Self {
        let point = |at: f64| {
            let x = at * 3.0 * wave;
            (40.0 + x, 200.0 + amplitude * (std::f64::consts::TAU * x / wave).sin())
        };
        // There is no closed form: a sum over steps so short that it has converged to seven digits.
        let fine: Vec<_> = (0..=1_000_000).map(|step| point(f64::from(step) / 1e6)).collect();
        let length =
            fine.windows(2).map(|pair| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1)).sum();
        Self::of(length, point)
    }

    pub(crate) fn length(&self) -> f64 {
        self.length
    }

    /// Length over the distance of the ends.
    pub(crate) fn tortuosity(&self) -> f64 {
        let (from, to) = (self.points[0], self.points[self.points.len() - 1]);
        self.length / (to.0 - from.0).hypot(to.1 - from.1)
    }
}
