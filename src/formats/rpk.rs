//! A network.rpk: what the kernel driver uploads into the sensor, and what user space is told of it.
//!
//! ```text
//!   file     [block 1, 1 MiB][block 2, 1 MiB] ... [last block][cpio archive]
//!
//!   payload  preamble, 32 bytes: 7, twelve zero bytes, 16 digits
//!            sections: ApParams, DSP parameters, cfgA, cfgC, sdpsA, sdpsC, coefficients
//!   archive  imx500_regs, network_info.txt, network_intrinsics (if there are any)
//!
//!   section  0   4   type            coefficients are split: a first piece fills block 1, every
//!            4   4   load address    further block holds one piece with its own section header
//!            8   4   length, a multiple of 16
//!            12  4   0
//!            16  2   two digits: patch number of the converter
//!            18  14  0
//!            32      data; filled up to 16 with bytes that state how many they are
//! ```
//!
//! There is no checksum, signature or encryption. The layout was read off public files, each of which
//! comes out of [`Rpk::emit`] as it went into [`Rpk::parse`].

use std::io;

use super::cpio::{Archive, Member};
use super::network_intrinsics;
use super::refusal::Refusal;
use block::CAPACITY_BYTES;

mod block;
mod consistency;
mod section;

pub use block::{Block, blocks};
pub use consistency::inconsistencies;
pub use section::{Payload, Section, SectionKind, sections};

/// A whole file: every field that varies between files. What is the same in all of them is written by
/// `emit` and refused by `parse` where it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rpk {
    /// 16 digits: 6 of the converter's version, then 10 that are 0 in files of today's packager.
    pub preamble_digits: [u8; 16],
    /// The six sections before the coefficients, in the order of the file, and the coefficients, whole.
    pub sections: Vec<Section>,
    /// Two digits that every section repeats: the patch number of the converter's version.
    pub patch_digits: [u8; 2],
    /// What follows the blocks.
    pub archive: Archive,
}

impl Rpk {
    /// Parses a whole file. Refuses whatever [`Rpk::emit`] would not write again byte for byte.
    pub fn parse(file: &[u8]) -> Result<Self, Refusal> {
        let (blocks, refusal) = blocks(file);
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let archive_offset = blocks.last().map_or(0, Block::end);
        let archive =
            Archive::parse(file.get(archive_offset..).unwrap_or_default(), archive_offset)?;
        let payload = section::parse(file, &blocks)?;
        Ok(Self {
            preamble_digits: payload.preamble_digits,
            sections: payload.sections,
            patch_digits: payload.patch_digits,
            archive,
        })
    }

    /// Writes the file; holds one block in memory at a time.
    pub fn write(&self, to: &mut impl io::Write) -> io::Result<()> {
        let blocks = self.block_pieces();
        let total = u16::try_from(blocks.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "a file has at most 65535 blocks of 1 MiB")
        })?;
        let mut block = Vec::with_capacity(1 << 20);
        for (index, pieces) in (1..=total).zip(&blocks) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Piece::bytes).collect();
            block::emit(index, total, &pieces, &mut block);
            to.write_all(&block)?;
        }
        to.write_all(&self.archive.emit())
    }

    /// The whole file.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut file = Vec::new();
        self.write(&mut file).expect("memory can be written, and 65535 MiB are more than there is");
        file
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        let of = |pieces: &Vec<Piece<'_>>| {
            let payload: usize = pieces.iter().map(|piece| piece.bytes().len()).sum();
            payload + block::HEADER_LEN_BYTES + block::TRAILER_LEN_BYTES
        };
        self.block_pieces().iter().map(of).sum::<usize>() + self.archive.emit().len()
    }

    /// The section of this kind.
    #[must_use]
    pub fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// Puts this JSON text in the place of the file's intrinsics, or adds it to them.
    pub fn set_intrinsics(&mut self, json: Vec<u8>) {
        let members = &mut self.archive.members;
        match members.iter_mut().find(|member| member.name == network_intrinsics::MEMBER) {
            Some(member) => member.data = json,
            None => members.push(Member::packaged(network_intrinsics::MEMBER, json)),
        }
    }

    /// Refuses six sections that leave no room for coefficients in the first block: no file of that kind
    /// was ever seen, so how it would have to look is unknown.
    pub(super) fn check_room(&self) -> Result<(), Refusal> {
        let before = self.sections.iter().filter(|part| part.kind != SectionKind::Coefficients);
        let used = before.map(|part| section::HEADER_LEN_BYTES + part.data.len()).sum::<usize>()
            + section::PREAMBLE_LEN_BYTES;
        let room = CAPACITY_BYTES.saturating_sub(section::HEADER_LEN_BYTES);
        if used < room {
            return Ok(());
        }
        let want = format!("less than {room}, so that coefficients begin in the first block");
        Err(Refusal::of("cfgA, cfgC, sdpsA, sdpsC and parameters", format!("{used} bytes"), want))
    }

    /// The payload of each block in pieces, without copying any data.
    fn block_pieces(&self) -> Vec<Vec<Piece<'_>>> {
        let mut first = vec![Piece::Preamble(section::preamble(self.preamble_digits))];
        let mut used = section::PREAMBLE_LEN_BYTES;
        let mut later = Vec::new();
        for part in &self.sections {
            if part.kind != SectionKind::Coefficients {
                first.extend(self.pieces(part.kind, part.address, &part.data));
                used += section::HEADER_LEN_BYTES + part.data.len();
                continue;
            }
            // The first piece fills block 1; further ones have a block each.
            let room = CAPACITY_BYTES.saturating_sub(used + section::HEADER_LEN_BYTES);
            let (head, rest) = part.data.split_at(room.min(part.data.len()));
            if !head.is_empty() {
                first.extend(self.pieces(part.kind, part.address, head));
            }
            let mut address = section::address_after(part.address, head.len());
            for data in rest.chunks(CAPACITY_BYTES - section::HEADER_LEN_BYTES) {
                later.push(self.pieces(part.kind, address, data).into());
                address = section::address_after(address, data.len());
            }
        }
        std::iter::once(first).chain(later).collect()
    }

    fn pieces<'a>(&self, kind: SectionKind, address: u32, data: &'a [u8]) -> [Piece<'a>; 2] {
        let header = section::header(kind, address, data.len(), self.patch_digits);
        [Piece::Header(header), Piece::Data(data)]
    }
}

enum Piece<'a> {
    Preamble([u8; section::PREAMBLE_LEN_BYTES]),
    Header([u8; section::HEADER_LEN_BYTES]),
    Data(&'a [u8]),
}

impl Piece<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Preamble(bytes) => bytes,
            Self::Header(bytes) => bytes,
            Self::Data(bytes) => bytes,
        }
    }
}
