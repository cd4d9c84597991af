//! A picture of any shape through the network, and the result back on the picture.
//!
//! ```text
//!   picture 1600 x 800          network 320 x 320            result 1600 x 800
//!   +----------------+  shrink  +----------+ black   spread  +----------------+
//!   |                |  ----->  |##########| picture ----->  |                |
//!   +----------------+          +----------+ black           +----------------+
//! ```
//!
//! The aspect is kept: vessels must not be stretched into other shapes than the network learnt. Shrinking
//! is what the simulated sensor does, so a picture gives the same mask here and under `run`.

use anyhow::bail;
use qsegment::emulator::{Engine, Network};
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::outputs::overlay::Resample;
use qsegment::pipeline::Frame;
use qsegment::pipeline::geometry::{Size, Transform};
use qsegment::pipeline::host::{Unfit, quant, subpixels};
use qsegment::pipeline::subpixels::Subpixels;
use qsegment::pipeline::vessels;
use qsegment::source::simulated::area::View;
use qsegment::source::simulated::isp::{Encoding, Gains, Isp};
use qsegment::source::simulated::picture::Picture;

/// A network that is shown whole pictures. Its buffers are kept from picture to picture.
pub(crate) struct WholeFrame {
    isp: Isp,
    engine: Engine,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The output as one plane.
    map: Vec<u8>,
    subpixels: Subpixels,
    seen: Size,
    said: Size,
    probability_of: [u8; 256],
}

/// What a network says of a whole picture.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    /// Row-major, stored as in the network's last tensor.
    pub(crate) stored: &'a mut [u8],
    pub(crate) size: Size,
    /// From its pixels to the picture's.
    pub(crate) back: Transform,
}

impl WholeFrame {
    pub(crate) fn new(network: &Network) -> anyhow::Result<Self> {
        let (input, output) = (network.input(), network.output());
        let Some(subpixels) = subpixels(network).filter(|_| input.channels == 3) else {
            let (inputs, outputs) = (input.channels, output.channels);
            bail!(Unfit::Planes { inputs, outputs });
        };
        let encoding = Encoding {
            width: input.width,
            height: input.height,
            signed: input.signed,
            order: ColourOrder::Rgb,
            gains: Gains::default(),
        };
        let size = |width, height| Size::new(width, height).expect("no tensor has an empty side");
        Ok(Self {
            isp: Isp::new(encoding),
            engine: Engine::new(network),
            input: Vec::new(),
            output: vec![0; output.len_bytes()],
            map: Vec::new(),
            subpixels,
            seen: size(input.width, input.height),
            said: size(subpixels.map_width(), subpixels.map_height()),
            probability_of: vessels::probabilities(quant(network)?),
        })
    }

    /// What the network says, at its own size.
    pub(crate) fn look(&mut self, picture: &Picture) -> Said<'_> {
        let size = Size::new(picture.width(), picture.height()).expect("no picture is empty");
        let placed = Transform::letterbox(size, self.seen);
        self.isp.look(picture, whole(self.seen, placed.inverse()), &mut self.input);
        self.engine.run(&self.input, &mut self.output);
        self.subpixels.lay_out(&self.output, &mut self.map, |stored| stored);
        let back = Transform::stretch(self.said, self.seen).then(placed.inverse());
        Said { stored: &mut self.map, size: self.said, back }
    }

    /// The result at the picture's own size.
    pub(crate) fn segment(&mut self, picture: Picture, threshold: u8) -> Frame {
        let size = Size::new(picture.width(), picture.height()).expect("no picture is empty");
        let probability_of = self.probability_of;
        let said = self.look(&picture);
        for byte in &mut *said.stored {
            *byte = probability_of[usize::from(*byte)];
        }
        let mut probability = Vec::new();
        Resample::new(said.back, said.size, size).run::<1>(said.stored, &mut probability);
        Frame {
            width: size.width(),
            height: size.height(),
            rgb: picture.into_rgb(),
            mask_width: size.width(),
            mask_height: size.height(),
            vessel_fraction: vessels::vessel_fraction(&probability, threshold),
            probability,
            threshold,
            ..Frame::default()
        }
    }
}

/// The network's whole frame as a part of the picture; it reaches beyond it where it stays black.
fn whole(frame: Size, to_picture: Transform) -> View {
    let (left, top) = to_picture.apply((0.0, 0.0));
    View {
        left,
        top,
        width: frame.width() as f64 * to_picture.scale_x,
        height: frame.height() as f64 * to_picture.scale_y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: usize, height: usize) -> Size {
        Size::new(width, height).unwrap()
    }

    fn spread(map: &[u8], from: Size, way: Transform, to: Size) -> Vec<u8> {
        let mut spread = Vec::new();
        Resample::new(way, from, to).run::<1>(map, &mut spread);
        spread
    }

    #[test]
    fn a_wide_picture_lies_between_two_black_bars() {
        let placed = Transform::letterbox(size(1600, 800), size(320, 320));
        let view = whole(size(320, 320), placed.inverse());
        assert_eq!(view, View { left: 0.0, top: -400.0, width: 1600.0, height: 1600.0 });
    }

    /// What the network marks at the place of a mark in the picture comes back at that place.
    #[test]
    fn what_is_marked_comes_back_where_it_was() {
        let (picture, frame) = (size(64, 32), size(16, 16));
        let placed = Transform::letterbox(picture, frame);
        // Picture pixels (40..44, 8..12) are frame pixel (10, 2 + 4): four to one, bars of 4 rows.
        let mut map = vec![0; frame.pixels()];
        map[6 * 16 + 10] = 255;
        let back = spread(&map, frame, placed.inverse(), picture);
        let bright: Vec<(usize, usize)> =
            (0..picture.pixels()).filter(|&i| back[i] > 150).map(|i| (i % 64, i / 64)).collect();
        assert_eq!(bright, [(41, 9), (42, 9), (41, 10), (42, 10)]);
    }

    #[test]
    fn the_same_size_comes_back_as_it_is() {
        let map: Vec<u8> = (0..12).map(|i| i * 20).collect();
        let way = Transform::stretch(size(4, 3), size(4, 3));
        assert_eq!(spread(&map, size(4, 3), way, size(4, 3)), map);
    }
}
