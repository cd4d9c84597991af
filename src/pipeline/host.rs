//! The network on the host, where the sensor cannot run it.
//!
//! ```text
//!   input tensor ---- sign and plane order as the network has them ---+--> emulator --> probability
//!   raw picture ----- developed, averaged by area to its input size --+
//! ```
//!
//! The emulator computes to the bit what the sensor would have been given to compute; only what it is
//! shown differs. An input tensor is what a network in the sensor would have seen; a developed picture
//! comes near to it, since nobody knows the sensor's own resampling and colours.

use std::sync::Arc;

use super::subpixels::Subpixels;
use super::vessels;
use crate::emulator::{Engine, Network};
use crate::formats::input_tensor::{ColourOrder, InputLayout};
use crate::formats::tensor::QuantParams;
use crate::source::simulated::isp::{Encoding, Gains, Isp};
use crate::source::simulated::picture::Picture;

/// Who runs the network.
#[derive(Debug, Clone, Default)]
pub enum Inference {
    /// The sensor: its output tensors are what it said.
    #[default]
    Sensor,
    /// The host; output tensors, if any come, are of another network and not looked at.
    Host(Host),
}

impl Inference {
    /// "sensor" or "host".
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Host(_) => "host",
        }
    }
    /// Whether the host runs the network.
    #[must_use]
    pub fn is_host(&self) -> bool {
        matches!(self, Self::Host(_))
    }
    /// Whether raw pictures are all that the network sees.
    #[must_use]
    pub fn sees_pictures(&self) -> bool {
        matches!(self, Self::Host(host) if host.sees == Sees::Picture)
    }
}

/// A network to be run here, and what it is shown.
#[derive(Debug, Clone)]
pub struct Host {
    network: Arc<Network>,
    sees: Sees,
}

/// What a network on the host is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// The sensor's input tensors.
    InputTensor,
    /// The raw picture, developed. DNN lines are then not looked at.
    Picture,
}

/// Why a network cannot find vessels here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not from a picture to a map.
    #[error(
        "the network turns {inputs} planes into {outputs}; one that finds vessels turns 3 (RGB) into 1, or into 4 \
         for the quarters of every pixel"
    )]
    Planes {
        /// Of its input.
        inputs: usize,
        /// Of its output.
        outputs: usize,
    },
    /// Stored in another way than the sensor's tensors.
    #[error(
        "the network's {tensor} has zero point {found}, want {wanted}: pictures and probabilities are stored as \
         the sensor stores them; quantise it so"
    )]
    ZeroPoint {
        /// "input" or "output".
        tensor: &'static str,
        /// Its zero point.
        found: i32,
        /// What would do.
        wanted: &'static str,
    },
    /// The sensor sends other tensors than it takes.
    #[error(
        "the sensor's input tensor has {}x{} pixels in {} planes, the network on the host takes {}x{} in 3: \
         run the host's network at that size (--input-size), or give the sensor one with this input",
        .got.0, .got.1, .got.2, .want.0, .want.1
    )]
    InputSize {
        /// Width, height and planes of the sensor's tensor.
        got: (usize, usize, usize),
        /// Width and height that the network takes.
        want: (usize, usize),
    },
}

impl Host {
    /// Width and height of the network's input.
    #[must_use]
    pub fn input_size(&self) -> (usize, usize) {
        let input = self.network.input();
        (input.width, input.height)
    }
    /// Refuses a network that does not turn a picture into one map.
    pub fn new(network: Network, sees: Sees) -> Result<Self, Unfit> {
        let (inputs, outputs) = (network.input().channels, network.output().channels);
        if inputs != 3 || subpixels(&network).is_none() {
            return Err(Unfit::Planes { inputs, outputs });
        }
        quant(&network)?;
        Ok(Self { network: Arc::new(network), sees })
    }

    /// Refuses a sensor's input tensors that the network does not take as they are.
    pub fn check(&self, layout: &InputLayout) -> Result<(), Unfit> {
        let input = self.network.input();
        check((input.width, input.height), layout)
    }
}

/// How the planes of a network's output become a map; `None` where they do not.
#[must_use]
pub fn subpixels(network: &Network) -> Option<Subpixels> {
    let output = network.output();
    Subpixels::new(output.channels, output.width, output.height)
}

/// What the bytes of the network's output mean; refuses what the sensor could not store.
pub fn quant(network: &Network) -> Result<QuantParams, Unfit> {
    let (input, output) = (network.input(), network.output());
    if input.zero_point != 0 {
        let found = input.zero_point;
        return Err(Unfit::ZeroPoint { tensor: "input", found, wanted: "0" });
    }
    match u16::try_from(output.zero_point) {
        Ok(zero_point) => {
            Ok(QuantParams { scale: output.scale, zero_point, signed: output.signed })
        }
        Err(_) => {
            let found = output.zero_point;
            Err(Unfit::ZeroPoint { tensor: "output", found, wanted: "0 to 255" })
        }
    }
}

fn check(want: (usize, usize), layout: &InputLayout) -> Result<(), Unfit> {
    if (layout.width, layout.height) == want && layout.channels == 3 {
        return Ok(());
    }
    Err(Unfit::InputSize { got: (layout.width, layout.height, layout.channels), want })
}

/// The network, planned, and its buffers.
#[derive(Debug)]
pub(super) struct HostNetwork {
    pub(super) sees: Sees,
    engine: Engine,
    isp: Isp,
    input: Vec<u8>,
    input_size: (usize, usize),
    input_signed: bool,
    output: Vec<u8>,
    subpixels: Subpixels,
    probability_of: [u8; 256],
}

impl HostNetwork {
    pub(super) fn new(host: &Host) -> Self {
        let (input, output) = (host.network.input(), host.network.output());
        let encoding = Encoding {
            width: input.width,
            height: input.height,
            signed: input.signed,
            order: ColourOrder::Rgb,
            gains: Gains::default(),
        };
        let quant = quant(&host.network).expect("`Host::new` has refused the others");
        Self {
            sees: host.sees,
            engine: Engine::new(&host.network),
            isp: Isp::new(encoding),
            input: Vec::with_capacity(input.len_bytes()),
            input_size: (input.width, input.height),
            input_signed: input.signed,
            output: vec![0; output.len_bytes()],
            subpixels: subpixels(&host.network).expect("a host refuses networks without a map"),
            probability_of: vessels::probabilities(quant),
        }
    }

    /// Pixels a row, and rows, of the map.
    pub(super) fn map_size(&self) -> (usize, usize) {
        (self.subpixels.map_width(), self.subpixels.map_height())
    }

    /// As [`Host::check`].
    pub(super) fn check(&self, layout: &InputLayout) -> Result<(), Unfit> {
        check(self.input_size, layout)
    }

    /// Runs on a tensor for which `check` holds: raw bytes without padding, planar.
    pub(super) fn see_tensor(
        &mut self,
        planar: &[u8],
        layout: &InputLayout,
        order: ColourOrder,
        probability: &mut Vec<u8>,
    ) {
        let flip = if layout.signed == self.input_signed { 0 } else { 0x80 };
        self.input.clear();
        let planes = match order {
            ColourOrder::Rgb => [0, 1, 2],
            ColourOrder::Bgr => [2, 1, 0],
        };
        let plane_len = layout.width * layout.height;
        for plane in planes {
            let bytes = &planar[plane * plane_len..][..plane_len];
            self.input.extend(bytes.iter().map(|byte| byte ^ flip));
        }
        self.run(probability);
    }

    /// Runs on a picture, interleaved RGB of this width and height; it is lent and comes back as it was.
    pub(super) fn see_picture(
        &mut self,
        rgb: &mut Vec<u8>,
        (width, height): (usize, usize),
        probability: &mut Vec<u8>,
    ) {
        let picture = Picture::new(width, height, std::mem::take(rgb))
            .expect("a developed picture has pixels, and as many as its size says");
        self.isp.look(&picture, picture.whole(), &mut self.input);
        *rgb = picture.into_rgb();
        self.run(probability);
    }

    fn run(&mut self, probability: &mut Vec<u8>) {
        self.engine.run(&self.input, &mut self.output);
        let probability_of = &self.probability_of;
        self.subpixels.lay_out(&self.output, probability, |byte| probability_of[usize::from(byte)]);
    }
}
