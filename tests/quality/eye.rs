//! What the sensor would deliver of a picture: as the network sees it, and what the network says.

use qsegment::emulator::{Engine, Network};
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::pipeline::field_of_view::FieldOfView;
use qsegment::pipeline::host::{quant, subpixels};
use qsegment::pipeline::quality::Seen;
use qsegment::pipeline::subpixels::Subpixels;
use qsegment::pipeline::vessels;
use qsegment::source::simulated::isp::{Encoding, Gains, Isp};
use qsegment::source::simulated::picture::Picture;

/// The shipped network at one size.
pub(crate) struct Eye {
    isp: Isp,
    engine: Engine,
    subpixels: Subpixels,
    probability_of: [u8; 256],
    output_bytes: usize,
    side: usize,
}

/// One frame of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    pub(crate) side: usize,
    pub(crate) rgb: Vec<u8>,
    pub(crate) probability: Vec<u8>,
    pub(crate) field: Vec<u8>,
}

impl Eye {
    pub(crate) fn new(side: usize) -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
        let file = std::fs::read(file).expect("it is in the repository");
        let network = Network::load(&file).expect("it is the shipped one");
        let network = network.with_input_size(side, side).expect("it runs at any size");
        let input = network.input();
        let encoding = Encoding {
            width: side,
            height: side,
            signed: input.signed,
            order: ColourOrder::Rgb,
            gains: Gains::default(),
        };
        Self {
            isp: Isp::new(encoding),
            engine: Engine::new(&network),
            subpixels: subpixels(&network).expect("it gives one map"),
            probability_of: vessels::probabilities(quant(&network).expect("it has one output")),
            output_bytes: network.output().len_bytes(),
            side,
        }
    }

    pub(crate) fn look(&mut self, picture: &Picture) -> Look {
        let (mut planes, mut probability) = (Vec::new(), Vec::new());
        let mut output = vec![0; self.output_bytes];
        self.isp.look(picture, picture.whole(), &mut planes);
        self.engine.run(&planes, &mut output);
        self.subpixels
            .lay_out(&output, &mut probability, |stored| self.probability_of[usize::from(stored)]);
        let pixels = self.side * self.side;
        // The shipped network's input is unsigned: a stored byte is the pixel.
        let rgb: Vec<u8> =
            (0..pixels).flat_map(|at| [0, 1, 2].map(|plane| planes[plane * pixels + at])).collect();
        let size = (self.side, self.side);
        let field = FieldOfView::default().find(&rgb, size, size).to_vec();
        Look { side: self.side, rgb, probability, field }
    }
}

impl Look {
    pub(crate) fn seen(&self) -> Seen<'_> {
        Seen {
            rgb: &self.rgb,
            width: self.side,
            height: self.side,
            probability: &self.probability,
            threshold: 128,
            field: &self.field,
            mask_width: self.side,
            mask_height: self.side,
        }
    }

    /// Agreement with a truth of any size, at the truth's pixels.
    pub(crate) fn dice(&self, truth: &[bool], width: usize) -> f64 {
        let height = truth.len() / width;
        let (mut both, mut drawn, mut found) = (0, 0, 0);
        for (at, vessel) in truth.iter().enumerate() {
            let (x, y) = (at % width * self.side / width, at / width * self.side / height);
            let here = self.probability[y * self.side + x] >= 128;
            both += usize::from(here && *vessel);
            drawn += usize::from(*vessel);
            found += usize::from(here);
        }
        2.0 * both as f64 / (drawn + found).max(1) as f64
    }
}
