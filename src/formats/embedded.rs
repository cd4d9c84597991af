//! SMIA embedded data: the two lines of register values before the DNN lines.

use super::reader::ParseError;

/// How the receiver packs embedded lines in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinePacking {
    /// Raspberry Pi 5 (rp1-cfe): lines back to back.
    #[default]
    Pi5,
    /// Raspberry Pi 4 and older (unicam): each line rounded up to 16 bytes.
    Pi4,
}

/// Bytes of one embedded line: `floor(mode_width * 10 / 8)`, rounded up to 16 on a Pi 4.
#[must_use]
pub fn embedded_line_len_bytes(mode_width: usize, packing: LinePacking) -> usize {
    let _ = (mode_width, packing);
    todo!()
}

/// Register values read back with the frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SensorState {
    /// Registers 0x0202/3, lines.
    pub exposure_lines: Option<u16>,
    /// Registers 0x0204/5, the code; gain = 1024 / (1024 - code).
    pub analogue_gain_code: Option<u16>,
    /// Registers 0x0340/1, lines.
    pub frame_length_lines: Option<u16>,
    /// Registers 0x0342/3, pixel clocks.
    pub line_length_pixels: Option<u16>,
    /// Register 0x013a, clamped to -20..=80.
    pub temperature_celsius: Option<i8>,
}

impl SensorState {
    /// 1024 / (1024 - code).
    #[must_use]
    pub fn analogue_gain(&self) -> Option<f32> {
        todo!()
    }
    /// Parses the embedded lines (10-bit packing: every fifth byte is a 0x55 dummy).
    pub fn parse(embedded: &[u8], line_len_bytes: usize) -> Result<Self, ParseError> {
        let _ = (embedded, line_len_bytes);
        todo!()
    }
    /// Writes two embedded lines of `line_len_bytes` each into `into` (cleared first).
    pub fn emit(&self, line_len_bytes: usize, into: &mut Vec<u8>) {
        let _ = (line_len_bytes, into);
        todo!()
    }
}
