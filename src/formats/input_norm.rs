//! How the sensor turns the colours it sees into the bytes of the input tensor: the numbers that
//! `imx500_regs` and `network_info.txt` state alike.
//!
//! ```text
//!             planes R,G,B          planes B,G,R
//!   K00 K02   0x400  0              0      0x400       0x400 is 1.0
//!   K20 K22   0      0x400          0x400  0
//!   K11       0x400                 0x400
//!
//!             unsigned input        signed input
//!   K03 K13 K23    0                0x1800  -128 * 16, 13 bits
//!   offset         0                0x0180  -128, 9 bits
//!   clip           0x00ff_0000      0x007f_0180  largest << 16 | smallest, 9 bits each
//! ```
//!
//! Read off the public files, all of which have these values; the input's scale plays no part.

use super::input_tensor::ColourOrder;

/// Normalisation of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InputNorm {
    /// K00 and K22.
    pub same: u16,
    /// K02 and K20.
    pub crossed: u16,
    /// K03, K13 and K23.
    pub shift: u16,
    /// Largest << 16 | smallest.
    pub clip: u32,
    /// Offset of each channel.
    pub norm: u16,
}

impl InputNorm {
    /// The values for this sign and colour order.
    #[must_use]
    pub(super) fn of(signed: bool, colours: ColourOrder) -> Self {
        let (same, crossed) = match colours {
            ColourOrder::Rgb => (ONE, 0),
            ColourOrder::Bgr => (0, ONE),
        };
        let (shift, clip, norm) =
            if signed { (0x1800, 0x007f_0180, 0x0180) } else { (0, 0x00ff_0000, 0) };
        Self { same, crossed, shift, clip, norm }
    }

    /// K00 to K23, row by row.
    #[must_use]
    pub(super) fn factors(&self) -> [u16; 12] {
        let Self { same, crossed, shift, .. } = *self;
        [same, 0, crossed, shift, 0, ONE, 0, shift, crossed, 0, same, shift]
    }

    /// Gain of a Y input, which is not used.
    pub(super) const Y_GAIN: u8 = 0x20;
    /// Shift of each channel.
    pub(super) const SHIFT: u8 = 0;
}

/// K11 in both orders.
pub(super) const ONE: u16 = 0x400;
