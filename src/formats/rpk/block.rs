//! Blocks: how a network.rpk carries its payload to the sensor.
//!
//! ```text
//!   0    4   "4649"                          the file holds every 32-bit word byte-swapped, so
//!   4    4   S, payload bytes                "9464" and a big-endian S stand there
//!   8    2   index of this block, from 1
//!   10   2   number of blocks
//!   12   1   1 in the first block, else 0
//!   13   1   bit 0: device lock, 32 more bytes behind the block
//!   14   18  zero
//!   32   S   payload
//!   +S   28  zero
//!   +28  4   "5963"
//! ```
//!
//! Layout from the kernel driver (imx500.c of raspberrypi/linux 7a8b5ff) and from the public files,
//! all of which have it. Every block but the last is exactly 1 MiB, the driver's unit of transfer.

use serde::Serialize;

use crate::formats::reader::Reader;
use crate::formats::refusal::Refusal;

/// A block's header, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Block {
    /// First byte in the file.
    pub offset: usize,
    /// S.
    pub payload_len_bytes: usize,
    /// Counted from 1.
    pub index: u16,
    /// Blocks that the file states to have.
    pub total: u16,
}

impl Block {
    /// First byte of the payload in the file.
    #[must_use]
    pub fn payload_offset(&self) -> usize {
        self.offset + HEADER_LEN_BYTES
    }
    /// First byte behind the block.
    #[must_use]
    pub fn end(&self) -> usize {
        self.payload_offset() + self.payload_len_bytes + TRAILER_LEN_BYTES
    }

    /// Reads the block at `offset`; every byte that is the same in all files is checked.
    fn parse(file: &[u8], offset: usize) -> Result<Self, Refusal> {
        let magic = Reader::at(file, offset).take(4, "block magic")?;
        if magic != MAGIC_IN_FILE {
            let got = format!("\"{}\"", magic.escape_ascii());
            return Err(Refusal::at(offset, "block magic", got, "\"9464\""));
        }
        let header = swapped(Reader::at(file, offset).take(HEADER_LEN_BYTES, "block header")?);
        let mut r = Reader::new(&header[4..]);
        let stated = r.u32_le("payload size")?;
        let payload_len_bytes = usize::try_from(stated).unwrap_or(usize::MAX);
        let multiple = payload_len_bytes.is_multiple_of(SECTION_ALIGNMENT);
        if !multiple || !(1..=CAPACITY_BYTES).contains(&payload_len_bytes) {
            let want = "a multiple of 16 up to 0xfffc0";
            return Err(Refusal::at(offset + 4, "payload size", format!("{stated:#x}"), want));
        }
        let index = r.u16_le("block index")?;
        let total = r.u16_le("number of blocks")?;
        let first = r.u8("first-block flag")?;
        if first != u8::from(index == 1) {
            let want = "1 in the first block, 0 in the others";
            return Err(Refusal::at(offset + 15, "first-block flag", first, want));
        }
        let lock = r.u8("device-lock flag")?;
        if lock != 0 {
            let want = "0: a file locked to one sensor cannot be read";
            return Err(Refusal::at(offset + 14, "device-lock flag", lock, want));
        }
        zeros(&header[14..], offset + 14, "reserved bytes of the block header")?;
        let block = Self { offset, payload_len_bytes, index, total };
        let end = offset + HEADER_LEN_BYTES + payload_len_bytes;
        let mut r = Reader::at(file, block.payload_offset());
        r.take(payload_len_bytes, "block payload")?;
        zeros(r.take(TRAILER_LEN_BYTES - 4, "block trailer")?, end, "block trailer")?;
        let footer = r.take(4, "block footer")?;
        if footer != FOOTER_IN_FILE {
            let got = format!("\"{}\"", footer.escape_ascii());
            return Err(Refusal::at(block.end() - 4, "block footer", got, "\"3695\""));
        }
        Ok(block)
    }
}

/// The blocks from the file's beginning on, as far as they can be read, and why no more of them can.
#[must_use]
pub fn blocks(file: &[u8]) -> (Vec<Block>, Option<Refusal>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut at = 0;
    loop {
        let block = match Block::parse(file, at) {
            Ok(block) => block,
            Err(refusal) => return (blocks, Some(refusal)),
        };
        let refused = out_of_order(&block, &blocks);
        let (is_last, is_full) =
            (block.index == block.total, block.payload_len_bytes == CAPACITY_BYTES);
        at = block.end();
        blocks.push(block);
        if refused.is_some() || is_last {
            return (blocks, refused);
        }
        if !is_full {
            let got = format!("{:#x}", block.payload_len_bytes);
            let want = "0xfffc0 in every block but the last";
            return (blocks, Some(Refusal::at(block.offset + 4, "payload size", got, want)));
        }
    }
}

fn out_of_order(block: &Block, before: &[Block]) -> Option<Refusal> {
    let want = before.len() + 1;
    if usize::from(block.index) != want {
        let want = format!("{want}: blocks are counted from 1 in their order");
        return Some(Refusal::at(block.offset + 10, "block index", block.index, want));
    }
    let total = before.first().map_or(block.total, |first| first.total);
    if block.total != total || block.total < block.index {
        let want = match before {
            [] => "1 or more".to_owned(),
            _ => format!("{total}, as in the first block"),
        };
        return Some(Refusal::at(block.offset + 8, "number of blocks", block.total, want));
    }
    None
}

/// The payload of all blocks, in the sensor's byte order.
#[must_use]
pub(super) fn payload(file: &[u8], blocks: &[Block]) -> Vec<u8> {
    let len = blocks.iter().map(|block| block.payload_len_bytes).sum();
    let mut payload = Vec::with_capacity(len);
    for block in blocks {
        let at = block.payload_offset();
        let swapped_bytes = file.get(at..at + block.payload_len_bytes).unwrap_or_default();
        payload.extend_from_slice(swapped_bytes);
    }
    swap_words(&mut payload);
    payload
}

/// Where a byte of the joined payload lies in the file. The sensor's byte order differs within a
/// word, so this is right to the word of four bytes that a reader has to look at.
#[must_use]
pub(super) fn file_offset(blocks: &[Block], in_payload: usize) -> usize {
    let mut left = in_payload;
    for block in blocks {
        if left < block.payload_len_bytes {
            return block.payload_offset() + left;
        }
        left -= block.payload_len_bytes;
    }
    blocks.last().map_or(0, |last| last.payload_offset() + last.payload_len_bytes) + left
}

/// Writes block `index` of `total` around its payload into `block`, which is cleared first.
pub(super) fn emit(index: u16, total: u16, payload: &[&[u8]], block: &mut Vec<u8>) {
    let len: usize = payload.iter().map(|piece| piece.len()).sum();
    let size = u32::try_from(len).expect("a payload is at most 0xfffc0 bytes");
    block.clear();
    block.extend(b"4649");
    block.extend(size.to_le_bytes());
    block.extend(index.to_le_bytes());
    block.extend(total.to_le_bytes());
    block.push(u8::from(index == 1));
    block.resize(HEADER_LEN_BYTES, 0);
    for piece in payload {
        block.extend_from_slice(piece);
    }
    block.resize(block.len() + TRAILER_LEN_BYTES - 4, 0);
    block.extend(b"5963");
    swap_words(block);
}

fn zeros(bytes: &[u8], at: usize, field: &'static str) -> Result<(), Refusal> {
    match bytes.iter().position(|&byte| byte != 0) {
        None => Ok(()),
        Some(n) => Err(Refusal::at(at + n, field, format!("{:#04x}", bytes[n]), "0")),
    }
}

fn swapped(bytes: &[u8]) -> Vec<u8> {
    let mut words = bytes.to_vec();
    swap_words(&mut words);
    words
}

/// Reverses the bytes of every whole 32-bit word.
fn swap_words(bytes: &mut [u8]) {
    let (words, _) = bytes.as_chunks_mut::<4>();
    for word in words {
        word.reverse();
    }
}

/// Most payload bytes of a block: 1 MiB less header and trailer.
pub(super) const CAPACITY_BYTES: usize = (1 << 20) - HEADER_LEN_BYTES - TRAILER_LEN_BYTES;
/// Bytes before a block's payload.
pub(super) const HEADER_LEN_BYTES: usize = 32;
/// Bytes behind it, footer included.
pub(super) const TRAILER_LEN_BYTES: usize = 32;
/// Sections, and so payloads, are multiples of this.
pub(super) const SECTION_ALIGNMENT: usize = 16;
const MAGIC_IN_FILE: &[u8] = b"9464";
const FOOTER_IN_FILE: &[u8] = b"3695";
