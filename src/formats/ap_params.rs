//! ApParams: the FlatBuffer that describes networks and tensors (imx500 libcamera parser, 26bfadc).

use super::reader::ParseError;
use super::tensor::{Dimension, QuantParams};

/// All networks that the sensor holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApParams {
    /// In the order of the FlatBuffer.
    pub networks: Vec<Network>,
}

/// One network: its id (matched against `DnnHeader::network_id`) and its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Matched against the header's `network_id`.
    pub id: u16,
    /// Name, whole.
    pub name: String,
    /// Empty in all files seen.
    pub kind: String,
    /// Input tensors.
    pub inputs: Vec<InputTensorInfo>,
    /// Output tensors, in the order in which they follow each other in the lines.
    pub outputs: Vec<OutputTensorInfo>,
}

/// Description of an input tensor; always 8 bits an element.
#[derive(Debug, Clone, PartialEq)]
pub struct InputTensorInfo {
    /// Ordinal.
    pub id: u8,
    /// At most the last 20 characters of the tensor's name.
    pub name: String,
    /// C, H, W with serialization indices 2, 1, 0 in every file seen.
    pub dimensions: Vec<Dimension>,
    /// Meaning of the stored bytes.
    pub quant: QuantParams,
}

/// Description of an output tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputTensorInfo {
    /// Ordinal.
    pub id: u8,
    /// At most the last 20 characters of the tensor's name.
    pub name: String,
    /// Axes in the FlatBuffer's order.
    pub dimensions: Vec<Dimension>,
    /// 8, 16 or 32.
    pub bits_per_element: u8,
    /// Meaning of the stored integers.
    pub quant: QuantParams,
}

impl ApParams {
    /// Parses a FlatBuffer; every offset, vtable, vector and string is checked against the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let _ = bytes;
        todo!()
    }

    /// Emits the FlatBuffer in the field and object order of Sony's packager (imx500.md 5.4), so that
    /// what was parsed from a real file re-emits byte for byte.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        todo!()
    }

    /// The first network with this id.
    #[must_use]
    pub fn network(&self, id: u16) -> Option<&Network> {
        self.networks.iter().find(|network| network.id == id)
    }
}
