//! SMIA embedded data: the two lines of register values before the DNN lines.
//!
//! ```text
//!   0a  aa 02  a5 | 55 | 02  5a 0c  5a | 55 | e8  ...  07 07
//!   |   |      |    |        |           dummy: 10-bit packing puts one after every 4 bytes
//!   |   |      |    |        value of register 0x0202; the next value is of 0x0203
//!   |   |      low half of the register's address
//!   |   high half
//!   start of line             tag 55 skips a register, tag 07 ends the line
//! ```
//!
//! Only the few registers that the host acts on are kept. A line whose tags make no sense ends
//! where they do; what was read up to there stands.

use std::time::Duration;

use super::reader::{ParseError, Reader};

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
    let packed = mode_width.saturating_mul(10) / 8;
    match packing {
        LinePacking::Pi5 => packed,
        LinePacking::Pi4 => packed.next_multiple_of(16),
    }
}

/// Register values read back with the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
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
    /// 1024 / (1024 - code); none where the code is 1024 or more, which no sensor can mean.
    #[must_use]
    pub fn analogue_gain(&self) -> Option<f32> {
        let rest = 1024_u16.checked_sub(self.analogue_gain_code?).filter(|&rest| rest > 0)?;
        Some(1024.0 / f32::from(rest))
    }

    /// How long each line was exposed: lines times pixel clocks a line, over the pixel rate.
    #[must_use]
    pub fn exposure(&self) -> Option<Duration> {
        let pixels = u64::from(self.exposure_lines?) * u64::from(self.line_length_pixels?);
        Some(Duration::from_nanos(pixels * 1_000_000_000 / PIXELS_PER_SECOND))
    }

    /// Whether exposure and analogue gain are the same.
    #[must_use]
    pub fn has_exposure_of(&self, other: &Self) -> bool {
        self.exposure_lines == other.exposure_lines
            && self.analogue_gain_code == other.analogue_gain_code
    }

    /// Parses the two embedded lines (10-bit packing: every fifth byte is a 0x55 dummy). Allocates
    /// nothing. Refuses lines that are cut and a first line that does not open with 0x0a.
    pub fn parse(embedded: &[u8], line_len_bytes: usize) -> Result<Self, ParseError> {
        let mut r = Reader::new(embedded);
        let lines = [
            r.take(line_len_bytes, "embedded line 0")?,
            r.take(line_len_bytes, "embedded line 1")?,
        ];
        let start = Reader::new(lines[0]).u8("start of embedded line 0")?;
        if start != LINE_START {
            return Err(ParseError::Value {
                field: "start of embedded line 0",
                offset: 0,
                got: u64::from(start),
                want: "10 (0x0a)",
            });
        }
        let mut halves = Halves::default();
        for (address, value) in lines.into_iter().flat_map(Registers::new) {
            halves.set(address, value);
        }
        Ok(halves.state())
    }

    /// Writes two embedded lines of `line_len_bytes` each into `into` (cleared first). The second
    /// carries no registers; what a line is too short for is left out.
    pub fn emit(&self, line_len_bytes: usize, into: &mut Vec<u8>) {
        into.clear();
        let mut line = LineWriter { into, len: line_len_bytes, at: 0 };
        line.byte(LINE_START);
        if let Some(celsius) = self.temperature_celsius {
            line.registers(TEMPERATURE_REG, &celsius.to_be_bytes());
        }
        for (address, value) in [
            (EXPOSURE_REG, self.exposure_lines),
            (ANALOGUE_GAIN_REG, self.analogue_gain_code),
            (FRAME_LENGTH_REG, self.frame_length_lines),
            (LINE_LENGTH_REG, self.line_length_pixels),
        ] {
            if let Some(value) = value {
                line.registers(address, &value.to_be_bytes());
            }
        }
        line.end();
        let mut line = LineWriter { into, len: line_len_bytes, at: 0 };
        line.byte(LINE_START);
        line.end();
    }
}

/// The bytes of the registers wanted, as far as they have come.
#[derive(Default)]
struct Halves {
    exposure: [Option<u8>; 2],
    analogue_gain: [Option<u8>; 2],
    frame_length: [Option<u8>; 2],
    line_length: [Option<u8>; 2],
    temperature: Option<u8>,
}

impl Halves {
    fn set(&mut self, address: u16, value: u8) {
        for (register, halves) in [
            (EXPOSURE_REG, &mut self.exposure),
            (ANALOGUE_GAIN_REG, &mut self.analogue_gain),
            (FRAME_LENGTH_REG, &mut self.frame_length),
            (LINE_LENGTH_REG, &mut self.line_length),
        ] {
            if let Some(half) = halves.get_mut(usize::from(address.wrapping_sub(register))) {
                *half = Some(value);
            }
        }
        if address == TEMPERATURE_REG {
            self.temperature = Some(value);
        }
    }

    fn state(&self) -> SensorState {
        let whole = |[high, low]: [Option<u8>; 2]| Some(u16::from_be_bytes([high?, low?]));
        SensorState {
            exposure_lines: whole(self.exposure),
            analogue_gain_code: whole(self.analogue_gain),
            frame_length_lines: whole(self.frame_length),
            line_length_pixels: whole(self.line_length),
            // The bounds are libcamera's: readings outside them are not temperatures.
            temperature_celsius: self.temperature.map(|byte| byte.cast_signed().clamp(-20, 80)),
        }
    }
}

/// Address and value of each register that a line sets.
struct Registers<'a> {
    line: &'a [u8],
    at: usize,
    address: u16,
}

impl<'a> Registers<'a> {
    fn new(line: &'a [u8]) -> Self {
        // A line without its start byte carries nothing.
        let line = if line.first() == Some(&LINE_START) { line } else { &[] };
        Self { line, at: 1, address: 0 }
    }

    fn byte(&mut self) -> Option<u8> {
        if self.at % 5 == 4 {
            self.line.get(self.at).filter(|&&dummy| dummy == DUMMY)?;
            self.at += 1;
        }
        let byte = *self.line.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}

impl Iterator for Registers<'_> {
    type Item = (u16, u8);

    fn next(&mut self) -> Option<(u16, u8)> {
        loop {
            let (tag, data) = (self.byte()?, self.byte()?);
            let [high, low] = self.address.to_be_bytes();
            match tag {
                ADDRESS_HIGH => self.address = u16::from_be_bytes([data, low]),
                ADDRESS_LOW => self.address = u16::from_be_bytes([high, data]),
                SKIP => self.address = self.address.wrapping_add(1),
                VALUE => {
                    let address = self.address;
                    self.address = address.wrapping_add(1);
                    return Some((address, data));
                }
                _ => {
                    self.line = &[];
                    return None;
                }
            }
        }
    }
}

/// Writes one line, dummies included.
struct LineWriter<'a> {
    into: &'a mut Vec<u8>,
    len: usize,
    at: usize,
}

impl LineWriter<'_> {
    fn byte(&mut self, byte: u8) {
        if self.at % 5 == 4 {
            self.put(DUMMY);
        }
        self.put(byte);
    }

    fn put(&mut self, byte: u8) {
        if self.at < self.len {
            self.into.push(byte);
            self.at += 1;
        }
    }

    fn registers(&mut self, address: u16, values: &[u8]) {
        let [high, low] = address.to_be_bytes();
        for byte in [ADDRESS_HIGH, high, ADDRESS_LOW, low] {
            self.byte(byte);
        }
        for &value in values {
            self.byte(VALUE);
            self.byte(value);
        }
    }

    /// The end tag repeats to the end of the line.
    fn end(&mut self) {
        while self.at < self.len {
            self.byte(LINE_END);
        }
    }
}

/// Pixel clock of all modes (V4L2_CID_PIXEL_RATE of the kernel driver).
pub const PIXELS_PER_SECOND: u64 = 744_000_000;
const LINE_START: u8 = 0x0a;
const ADDRESS_HIGH: u8 = 0xaa;
const ADDRESS_LOW: u8 = 0xa5;
const VALUE: u8 = 0x5a;
const SKIP: u8 = 0x55;
const DUMMY: u8 = 0x55;
const LINE_END: u8 = 0x07;

const TEMPERATURE_REG: u16 = 0x013a;
const EXPOSURE_REG: u16 = 0x0202;
const ANALOGUE_GAIN_REG: u16 = 0x0204;
const FRAME_LENGTH_REG: u16 = 0x0340;
const LINE_LENGTH_REG: u16 = 0x0342;
