//! `imx500_regs`: the registers that the kernel driver writes before it uploads a network.
//!
//! ```text
//!   entry, 7 bytes, little-endian   0  2  address     2  1  length: 1, 2 or 4     3  4  value
//!
//!   d750            input format          d76c..d78c, d7d8..d7e0   colour conversion and clips
//!   d708..          normalisation         d600..d63a, d684..       other formats' normalisation, off
//!   305e            input lines           3060                     output lines
//! ```
//!
//! Which registers a file may write, and which bits of them, is the driver's white-list (imx500.c of
//! raspberrypi/linux 7a8b5ff). Their meaning is read off the public files, in all of which the values
//! follow from the input's sign and colour order and from the tensors' sizes.

use serde::Serialize;

use super::ap_params::Network;
use super::dnn_lines::LINE_LEN_BYTES;
use super::input_norm::InputNorm;
use super::input_tensor::{ColourOrder, InputLayout};
use super::reader::Reader;
use super::refusal::Refusal;

/// One register write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Register {
    /// Where.
    pub address: u16,
    /// 1, 2 or 4.
    pub len_bytes: u8,
    /// What.
    pub value: u32,
}

/// The list, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registers(pub Vec<Register>);

impl Registers {
    /// The 56 entries for a network whose input has these planes.
    pub fn of(network: &Network, colours: ColourOrder) -> Result<Self, Refusal> {
        let lines = TensorLines::of(network)?;
        let Some(input) = network.inputs.first() else {
            return Err(Refusal::of("input tensors", 0, "1"));
        };
        let norm = InputNorm::of(input.quant.signed, colours);
        let mut list = List(Vec::with_capacity(56));
        list.byte(0xd750, FORMAT_RGB_OR_BGR);
        let [k00, k01, k02, k03, k10, k11, k12, k13, k20, k21, k22, k23] = norm.factors();
        for (n, factor) in (0..).zip([k00, k01, k02, k03, k10, k11, k12, k13, k20, k21, k22, k23]) {
            list.half(0xd76c + 2 * n, factor);
        }
        for address in [0xd784, 0xd788, 0xd78c] {
            list.word(address, norm.clip);
        }
        for channel in 0..3 {
            let base = 0xd708 + 8 * channel;
            list.half(base, norm.norm);
            list.byte(base + 2, InputNorm::SHIFT);
            list.half(base + 4, (norm.clip >> 16) as u16);
            list.half(base + 6, (norm.clip & 0xffff) as u16);
        }
        for address in [0xd7d8, 0xd7dc, 0xd7e0] {
            list.word(address, norm.clip);
        }
        for (half, byte) in [(0xd62a, 0xd629), (0xd632, 0xd630), (0xd63a, 0xd638)] {
            list.half(half, 0);
            list.byte(byte, 0);
        }
        list.byte(0xd600, InputNorm::Y_GAIN);
        for channel in 0..4 {
            let base = 0xd684 + 8 * channel;
            list.half(base, 0);
            list.byte(base + 2, 0);
            list.half(base + 4, 0);
            list.half(base + 6, 0);
        }
        list.half(INPUT_LINES_REG, lines.input);
        list.half(OUTPUT_LINES_REG, lines.output);
        Ok(Self(list.0))
    }

    /// Parses 7-byte entries; `base` is the first one's byte in the file.
    pub fn parse(bytes: &[u8], base: usize) -> Result<Self, Refusal> {
        if !bytes.len().is_multiple_of(ENTRY_LEN_BYTES) {
            let got = format!("{} bytes", bytes.len());
            return Err(Refusal::at(base, "imx500_regs", got, "a multiple of 7 bytes"));
        }
        let mut registers = Vec::with_capacity(bytes.len() / ENTRY_LEN_BYTES);
        let mut r = Reader::new(bytes).with_base(base);
        for _ in 0..bytes.len() / ENTRY_LEN_BYTES {
            registers.push(Register {
                address: r.u16_le("register address")?,
                len_bytes: r.u8("register length")?,
                value: r.u32_le("register value")?,
            });
        }
        Ok(Self(registers))
    }

    /// The list's bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY_LEN_BYTES);
        for register in &self.0 {
            bytes.extend(register.address.to_le_bytes());
            bytes.push(register.len_bytes);
            bytes.extend(register.value.to_le_bytes());
        }
        bytes
    }

    /// Value of the register at `address`; of several, the last one's, since it is written last.
    #[must_use]
    pub fn value(&self, address: u16) -> Option<u32> {
        self.0.iter().rev().find(|register| register.address == address).map(|r| r.value)
    }

    /// Lines of the input tensor, its header included (register 0x305e).
    #[must_use]
    pub fn input_lines(&self) -> Option<u32> {
        self.value(INPUT_LINES_REG)
    }

    /// Lines of all output tensors, their header included (register 0x3060).
    #[must_use]
    pub fn output_lines(&self) -> Option<u32> {
        self.value(OUTPUT_LINES_REG)
    }

    /// Every entry that the driver's white-list does not let through; `base` is the list's first byte
    /// in the file.
    #[must_use]
    pub fn off_white_list(&self, base: usize) -> Vec<Refusal> {
        let check =
            |(n, register): (usize, &Register)| register.refusal(n, base + n * ENTRY_LEN_BYTES);
        self.0.iter().enumerate().filter_map(check).collect()
    }
}

impl Register {
    fn refusal(&self, entry: usize, at: usize) -> Option<Refusal> {
        let Self { address, len_bytes, value } = *self;
        let field = |what: &str| format!("imx500_regs entry {entry}: {what}");
        let Some(rule) = Rule::of(address) else {
            let want = "a register of the driver's white-list";
            let got = format!("{address:#06x}");
            return Some(Refusal::at(at, field("address"), got, want));
        };
        if !rule.lens_bytes.contains(&len_bytes) {
            let want = match rule.lens_bytes {
                [one] => format!("{one} for register {address:#06x}"),
                _ => format!("2 or 4 for register {address:#06x}"),
            };
            return Some(Refusal::at(at + 2, field("length"), len_bytes, want));
        }
        let accepted = match rule.accepts {
            Accepts::Bits { first_half, second_half } => match len_bytes {
                4 => value & !(u32::from(first_half) << 16 | u32::from(second_half)) == 0,
                // The first of two halves is the upper one.
                _ if address & 2 == 0 => value & !u32::from(first_half) == 0,
                _ => value & !u32::from(second_half) == 0,
            },
            Accepts::Mask(mask) => value & !mask == 0,
            Accepts::Below(limit) => value < limit,
        };
        if accepted {
            return None;
        }
        let want = match rule.accepts {
            Accepts::Mask(mask) => format!("at most {mask:#x} in register {address:#06x}"),
            Accepts::Below(limit) => format!("below {limit} in register {address:#06x}"),
            Accepts::Bits { first_half, second_half } => match len_bytes {
                4 => format!(
                    "bits within {first_half:#06x}{second_half:04x} in register {address:#06x}"
                ),
                _ if address & 2 == 0 => {
                    format!("at most {first_half:#x} in register {address:#06x}")
                }
                _ => format!("at most {second_half:#x} in register {address:#06x}"),
            },
        };
        Some(Refusal::at(at + 3, field("value"), format!("{value:#x}"), want))
    }
}

/// What the driver accepts at one address.
struct Rule {
    lens_bytes: &'static [u8],
    accepts: Accepts,
}

enum Accepts {
    /// Only bits of the mask.
    Mask(u32),
    /// Two 16-bit registers that may be written as one.
    Bits { first_half: u16, second_half: u16 },
    /// Smaller numbers.
    Below(u32),
}

impl Rule {
    fn of(address: u16) -> Option<Self> {
        let rule = |lens_bytes, accepts| Some(Self { lens_bytes, accepts });
        match address {
            0x305e | 0x3060 => rule(&[2], Accepts::Below(LINES_LIMIT)),
            0xd600..=0xd602 => rule(&[1], Accepts::Mask(0xff)),
            0xd629 | 0xd630 | 0xd638 | 0xd643 | 0xd647 | 0xd64b | 0xd64f | 0xd653 | 0xd657 => {
                rule(&[1], Accepts::Mask(0x1))
            }
            0xd62a | 0xd632 | 0xd63a | 0xd644 | 0xd648 | 0xd64c | 0xd650 | 0xd654 | 0xd658 => {
                rule(&[2], Accepts::Mask(0x1ff))
            }
            0xd684..0xd6e4 => Self::norm(address - 0xd684),
            0xd708..0xd750 => Self::norm(address - 0xd708),
            0xd750..=0xd752 => rule(&[1], Accepts::Below(6)),
            0xd76c..=0xd7fa => Self::conversion(address),
            _ => None,
        }
    }

    /// A repeating pattern of eight bytes: offset, shift, two clips.
    fn norm(offset: u16) -> Option<Self> {
        match offset % 8 {
            0 | 4 | 6 => Some(Self { lens_bytes: &[2], accepts: Accepts::Mask(0x1ff) }),
            2 => Some(Self { lens_bytes: &[1], accepts: Accepts::Mask(0x1) }),
            _ => None,
        }
    }

    /// Factors and clips of the colour conversion. The driver means to begin at 0xd76c but compares
    /// with 0x076c, and its table has nine words; both let more through than its author can have meant.
    /// Here the range is the one meant, and the words behind the table are refused.
    fn conversion(address: u16) -> Option<Self> {
        let halves = |first_half, second_half| Accepts::Bits { first_half, second_half };
        let accepts = match address & !3 {
            0xd76c | 0xd774 | 0xd77c => halves(0x0fff, 0x0fff),
            0xd770 | 0xd778 | 0xd780 => halves(0x0fff, 0x1fff),
            0xd784..=0xd78c | 0xd7d8..=0xd7f8 => halves(0x01ff, 0x01ff),
            _ => return None,
        };
        let is_even = address.is_multiple_of(2);
        is_even.then_some(Self { lens_bytes: &[2, 4], accepts })
    }
}

/// Lines of a network's tensors, one header line each included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TensorLines {
    /// Of the input tensor; always three planes, whatever the network's colour order.
    pub input: u16,
    /// Of all output tensors together.
    pub output: u16,
}

impl TensorLines {
    /// Computes them from the tensors' sizes, paddings included.
    pub fn of(network: &Network) -> Result<Self, Refusal> {
        let [input] = network.inputs.as_slice() else {
            let want =
                "1: no file with several was ever seen, so how the sensor sends them is unknown";
            return Err(Refusal::of("input tensors", network.inputs.len(), want));
        };
        let layout = InputLayout::new(input)?;
        if layout.channels != 3 {
            let want = "3: the registers for other inputs are not known";
            return Err(Refusal::of("input channels", layout.channels, want));
        }
        let bytes = layout.width_stride * layout.height_stride * 3;
        let input = Self::checked("input", 1 + bytes.div_ceil(LINE_LEN_BYTES))?;
        if network.outputs.is_empty() {
            return Err(Refusal::of("output tensors", 0, "1 or more"));
        }
        let mut lines = 1_usize;
        for tensor in &network.outputs {
            let elements: u64 = tensor
                .dimensions
                .iter()
                .map(|axis| u64::from(axis.size))
                .fold(1, u64::saturating_mul);
            let bytes = elements.saturating_mul(u64::from(tensor.bits_per_element / 8));
            let of_tensor = bytes.div_ceil(LINE_LEN_BYTES as u64);
            lines = lines.saturating_add(usize::try_from(of_tensor).unwrap_or(usize::MAX));
        }
        let output = Self::checked("output", lines)?;
        Ok(Self { input, output })
    }

    fn checked(tensor: &str, lines: usize) -> Result<u16, Refusal> {
        match u16::try_from(lines) {
            Ok(lines) if u32::from(lines) < LINES_LIMIT => Ok(lines),
            _ => {
                let want = format!(
                    "below {LINES_LIMIT}: the sensor sends at most that many lines a frame, \
                     5.2 MB; make the {tensor} smaller"
                );
                Err(Refusal::of(format!("{tensor} lines"), lines, want))
            }
        }
    }
}

struct List(Vec<Register>);

impl List {
    fn byte(&mut self, address: u16, value: u8) {
        self.0.push(Register { address, len_bytes: 1, value: value.into() });
    }
    fn half(&mut self, address: u16, value: u16) {
        self.0.push(Register { address, len_bytes: 2, value: value.into() });
    }
    fn word(&mut self, address: u16, value: u32) {
        self.0.push(Register { address, len_bytes: 4, value });
    }
}

/// Member of the archive.
pub const MEMBER: &str = "imx500_regs";
/// Lines of the input tensor.
pub const INPUT_LINES_REG: u16 = 0x305e;
/// Lines of the output tensors.
pub const OUTPUT_LINES_REG: u16 = 0x3060;
/// Line counts must be below this.
pub const LINES_LIMIT: u32 = 2046;
const ENTRY_LEN_BYTES: usize = 7;
/// The value in all files; those of the other formats (Y, raw Bayer) are not known.
const FORMAT_RGB_OR_BGR: u8 = 2;
