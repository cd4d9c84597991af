//! What stands before the sensor: linear light, and where it is.

use qsegment::formats::input_tensor::ColourOrder;
use qsegment::source::simulated::isp::{Encoding, Gains, Isp};
use qsegment::source::simulated::picture::Picture;
use qsegment::source::simulated::scene::phantom::Phantom;

/// Pixels a side: two to a cell of the light meter.
pub(crate) const SIDE: usize = 64;

/// Linear light of every pixel, of no particular unit.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) light: Vec<[f64; 3]>,
    /// Whether the pixel shows anything.
    pub(crate) inside: Vec<bool>,
}

impl Scene {
    /// The fundus picture that comes with the program.
    pub(crate) fn retina() -> Self {
        let picture = Picture::decode(include_bytes!("../../assets/retina.jpg"), "retina").unwrap();
        Self::of("retina", &picture)
    }

    /// Drawn vessels in a disc.
    pub(crate) fn phantom(seed: u64) -> Self {
        Self::of(&format!("phantom {seed}"), &Phantom::draw(256, seed).picture)
    }

    /// A grey card that fills the picture, brighter to the right.
    pub(crate) fn card() -> Self {
        let light: Vec<_> =
            (0..SIDE * SIDE).map(|at| [0.4 + 0.3 * (at % SIDE) as f64 / SIDE as f64; 3]).collect();
        Self { name: "card".to_owned(), inside: vec![true; light.len()], light }
    }

    fn of(name: &str, picture: &Picture) -> Self {
        let mut planes = Vec::new();
        let encoding = Encoding {
            width: SIDE,
            height: SIDE,
            signed: false,
            order: ColourOrder::Rgb,
            gains: Gains::default(),
        };
        Isp::new(encoding).look(picture, picture.whole(), &mut planes);
        let pixels = SIDE * SIDE;
        let linear = |value: u8| (f64::from(value) / 255.0).powf(2.2);
        let light: Vec<_> =
            (0..pixels).map(|at| [0, 1, 2].map(|c| linear(planes[c * pixels + at]))).collect();
        // The surround of a picture is not quite black; where it ends is where half of its red is.
        let inside = (0..pixels).map(|at| planes[at] > 40).collect();
        Self { name: name.to_owned(), light, inside }
    }
}
