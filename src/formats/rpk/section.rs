//! Preamble and sections: what the blocks carry.

use serde::Serialize;

use super::block::{self, Block, CAPACITY_BYTES, SECTION_ALIGNMENT};
use crate::formats::reader::Reader;
use crate::formats::refusal::Refusal;

/// One part of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// Where the sensor loads it.
    pub address: u32,
    /// A multiple of 16 bytes, padding included.
    #[serde(skip)]
    pub data: Vec<u8>,
    /// Where the data lies in the file that was parsed, to the word; 0 in a section that was made.
    pub offset: usize,
}

/// What a section holds; the number is its type in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionKind {
    /// The FlatBuffer that the sensor sends with every tensor.
    ApParams = 0x04,
    /// The FlatBuffer that the sensor's DSP reads.
    DspParams = 0x08,
    /// `cfgA.bin`.
    CfgA = 0x09,
    /// `cfgC.bin`.
    CfgC = 0x0a,
    /// `sdpsA.bin`.
    SdpsA = 0x0b,
    /// `sdpsC.bin`.
    SdpsC = 0x0c,
    /// `l2staticData.bin`.
    Coefficients = 0x10,
}

impl SectionKind {
    /// In the order of the file.
    pub const ALL: [Self; 7] = [
        Self::ApParams,
        Self::DspParams,
        Self::CfgA,
        Self::CfgC,
        Self::SdpsA,
        Self::SdpsC,
        Self::Coefficients,
    ];

    /// The name that people know it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ApParams => "ApParams",
            Self::DspParams => "DSP parameters",
            Self::CfgA => "cfgA",
            Self::CfgC => "cfgC",
            Self::SdpsA => "sdpsA",
            Self::SdpsC => "sdpsC",
            Self::Coefficients => "coefficients",
        }
    }

    /// Where all files load it; `None` where that differs between files.
    #[must_use]
    pub fn usual_address(self) -> Option<u32> {
        match self {
            Self::ApParams => Some(0x8000_f000),
            Self::DspParams => Some(0x8001_0400),
            Self::CfgA => Some(0x4500_0000),
            Self::CfgC => Some(0x4600_0000),
            Self::SdpsA => Some(0x4504_0000),
            Self::SdpsC => Some(0x4608_0000),
            Self::Coefficients => None,
        }
    }

    fn code(self) -> u32 {
        self as u32
    }
}

impl Section {
    /// A section with its data filled up to a multiple of 16.
    #[must_use]
    pub fn padded(kind: SectionKind, address: u32, mut data: Vec<u8>) -> Self {
        let missing = data.len().next_multiple_of(SECTION_ALIGNMENT) - data.len();
        let fill = u8::try_from(missing).expect("at most 15 bytes are missing");
        data.resize(data.len() + missing, fill);
        Self { kind, address, data, offset: 0 }
    }
}

/// What the payload holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// See [`super::Rpk::preamble_digits`].
    pub preamble_digits: [u8; 16],
    /// See [`super::Rpk::patch_digits`].
    pub patch_digits: [u8; 2],
    /// See [`super::Rpk::sections`].
    pub sections: Vec<Section>,
}

/// Reads the payload of these blocks: the seven sections, the coefficients joined.
pub(super) fn parse(file: &[u8], blocks: &[Block]) -> Result<Payload, Refusal> {
    match sections(file, blocks) {
        (payload, None) => Ok(payload),
        (_, Some(refusal)) => Err(refusal),
    }
}

/// The sections as far as they can be read, and why no more of them can.
#[must_use]
pub fn sections(file: &[u8], blocks: &[Block]) -> (Payload, Option<Refusal>) {
    let bytes = block::payload(file, blocks);
    let mut payload =
        Payload { preamble_digits: [b'0'; 16], patch_digits: [b'0'; 2], sections: Vec::new() };
    let refusal = Parts { bytes: &bytes, blocks }.fill(&mut payload).err();
    (payload, refusal)
}

struct Parts<'a> {
    bytes: &'a [u8],
    blocks: &'a [Block],
}

/// A section as it stands: a whole one, or one piece of the coefficients.
struct Found {
    kind: SectionKind,
    address: u32,
    data: std::ops::Range<usize>,
}

impl Parts<'_> {
    fn file_offset(&self, at: usize) -> usize {
        block::file_offset(self.blocks, at)
    }

    fn fill(&self, payload: &mut Payload) -> Result<(), Refusal> {
        payload.preamble_digits = self.preamble()?;
        let first_block_len = self.blocks.first().map_or(0, |first| first.payload_len_bytes);
        let sections = &mut payload.sections;
        let mut patch = None;
        let mut at = PREAMBLE_LEN_BYTES;
        while at < self.bytes.len() {
            let piece = self.piece(at, &mut patch)?;
            payload.patch_digits = patch.unwrap_or(payload.patch_digits);
            let is_further = piece.kind == SectionKind::Coefficients
                && sections.last().is_some_and(|last| last.kind == SectionKind::Coefficients);
            self.is_expected(&piece, at, is_further, sections)?;
            self.fits_blocks(&piece, at, first_block_len, is_further)?;
            let data = &self.bytes[piece.data.clone()];
            at = piece.data.end;
            match sections.last_mut().filter(|_| is_further) {
                Some(before) => before.data.extend_from_slice(data),
                None => sections.push(Section {
                    kind: piece.kind,
                    address: piece.address,
                    data: data.to_vec(),
                    offset: self.file_offset(piece.data.start),
                }),
            }
        }
        match SectionKind::ALL.get(sections.len()) {
            None => Ok(()),
            Some(missing) => {
                let want = format!("a section of type {:#x} ({})", missing.code(), missing.name());
                Err(Refusal::at(self.file_offset(at), "section", "the payload's end", want))
            }
        }
    }

    /// Sections stand in one order, and the coefficients' pieces are loaded one behind the other.
    fn is_expected(
        &self,
        piece: &Found,
        at: usize,
        is_further: bool,
        before: &[Section],
    ) -> Result<(), Refusal> {
        let place = self.file_offset(at);
        if is_further && let Some(last) = before.last() {
            let want = address_after(last.address, last.data.len());
            if piece.address == want {
                return Ok(());
            }
            let got = format!("{:#x}", piece.address);
            let want = format!("{want:#x}, right behind the coefficients before");
            return Err(Refusal::at(place + 4, "section address", got, want));
        }
        let expected = SectionKind::ALL.get(before.len());
        if Some(&piece.kind) == expected {
            return Ok(());
        }
        let want = expected.map_or_else(
            || "no section after the coefficients".to_owned(),
            |kind| format!("{:#x} ({})", kind.code(), kind.name()),
        );
        let got = format!("{:#x} ({})", piece.kind.code(), piece.kind.name());
        Err(Refusal::at(place, "section type", got, want))
    }

    fn preamble(&self) -> Result<[u8; 16], Refusal> {
        let mut r = Reader::new(self.bytes);
        let place = |at| self.file_offset(at);
        let version = r.u32_le("preamble")?;
        if version != PREAMBLE_VERSION {
            return Err(Refusal::at(place(0), "preamble", version, "7"));
        }
        if let Some(n) = r.take(12, "preamble")?.iter().position(|&byte| byte != 0) {
            return Err(Refusal::at(place(4 + n), "preamble", self.bytes[4 + n], "0"));
        }
        let mut digits = [0; 16];
        digits.copy_from_slice(r.take(16, "preamble digits")?);
        if !digits.iter().all(u8::is_ascii_digit) {
            let got = format!("\"{}\"", digits.escape_ascii());
            return Err(Refusal::at(place(16), "preamble digits", got, "16 digits"));
        }
        Ok(digits)
    }

    fn piece(&self, at: usize, patch: &mut Option<[u8; 2]>) -> Result<Found, Refusal> {
        let place = |more| self.file_offset(at + more);
        let moved = |error| Refusal::from(error).moved_to(place(0));
        let mut r = Reader::at(self.bytes, at);
        let code = r.u32_le("section type").map_err(moved)?;
        let Some(kind) = SectionKind::ALL.into_iter().find(|kind| kind.code() == code) else {
            let want = "0x4, 0x8, 0x9, 0xa, 0xb, 0xc or 0x10";
            return Err(Refusal::at(place(0), "section type", format!("{code:#x}"), want));
        };
        let address = r.u32_le("section address").map_err(moved)?;
        let len = r.u32_le("section length").map_err(moved)?;
        let len_bytes = usize::try_from(len).unwrap_or(usize::MAX);
        if !len_bytes.is_multiple_of(SECTION_ALIGNMENT) || len_bytes == 0 {
            let got = format!("{len:#x}");
            return Err(Refusal::at(place(8), "section length", got, "a multiple of 16"));
        }
        let reserved = r.u32_le("section reserved").map_err(moved)?;
        let mut digits = [0; 2];
        digits.copy_from_slice(r.take(2, "section digits").map_err(moved)?);
        if !digits.iter().all(u8::is_ascii_digit) || *patch.get_or_insert(digits) != digits {
            let got = format!("\"{}\"", digits.escape_ascii());
            let want = "two digits, the same in every section";
            return Err(Refusal::at(place(16), "section digits", got, want));
        }
        let rest = r.take(14, "section reserved").map_err(moved)?;
        if reserved != 0 || rest.iter().any(|&byte| byte != 0) {
            return Err(Refusal::at(place(12), "section reserved", "other bytes", "0"));
        }
        let start = at + HEADER_LEN_BYTES;
        let left = self.bytes.len() - start;
        if len_bytes > left {
            let got = format!("{len:#x}");
            let want = format!("at most {left:#x}, which is left in the payload");
            return Err(Refusal::at(place(8), "section length", got, want));
        }
        Ok(Found { kind, address, data: start..start + len_bytes })
    }

    /// The six sections and the first piece of the coefficients lie in block 1; every further piece is
    /// the whole payload of its block.
    fn fits_blocks(
        &self,
        piece: &Found,
        at: usize,
        first_block_len: usize,
        is_further: bool,
    ) -> Result<(), Refusal> {
        let refused = |want: &str| {
            let got = format!("{:#x}", piece.data.len());
            Err(Refusal::at(self.file_offset(at + 8), "section length", got, want))
        };
        if at < first_block_len {
            if is_further {
                return refused("one piece of coefficients in block 1");
            }
            if piece.data.end > first_block_len {
                return refused("a section that ends within block 1");
            }
            return Ok(());
        }
        if piece.kind != SectionKind::Coefficients {
            return refused("all sections but the coefficients within block 1");
        }
        let in_later_blocks = at - first_block_len;
        if !in_later_blocks.is_multiple_of(CAPACITY_BYTES) {
            return refused("one piece of coefficients a block");
        }
        let left = self.bytes.len() - piece.data.start;
        if piece.data.len() != left.min(CAPACITY_BYTES - HEADER_LEN_BYTES) {
            return refused("as much as the block holds");
        }
        Ok(())
    }
}

/// The 32 bytes before the first section.
pub(super) fn preamble(digits: [u8; 16]) -> [u8; PREAMBLE_LEN_BYTES] {
    let mut bytes = [0; PREAMBLE_LEN_BYTES];
    bytes[..4].copy_from_slice(&PREAMBLE_VERSION.to_le_bytes());
    bytes[16..].copy_from_slice(&digits);
    bytes
}

/// The 32 bytes before a section's data.
pub(super) fn header(
    kind: SectionKind,
    address: u32,
    len_bytes: usize,
    patch_digits: [u8; 2],
) -> [u8; HEADER_LEN_BYTES] {
    let len = u32::try_from(len_bytes).expect("a piece of data is at most 0xfffa0 bytes");
    let mut bytes = [0; HEADER_LEN_BYTES];
    bytes[..4].copy_from_slice(&kind.code().to_le_bytes());
    bytes[4..8].copy_from_slice(&address.to_le_bytes());
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    bytes[16..18].copy_from_slice(&patch_digits);
    bytes
}

/// Where the next piece of the coefficients is loaded.
pub(super) fn address_after(address: u32, len_bytes: usize) -> u32 {
    let len = u32::try_from(len_bytes).unwrap_or(u32::MAX);
    address.wrapping_add(len)
}

/// Bytes before the first section.
pub(super) const PREAMBLE_LEN_BYTES: usize = 32;
/// Bytes before each section's data.
pub(super) const HEADER_LEN_BYTES: usize = 32;
const PREAMBLE_VERSION: u32 = 7;
