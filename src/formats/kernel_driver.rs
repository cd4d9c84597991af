//! The checks of the kernel driver, done before it does them, since it answers with a bare EINVAL.
//!
//! ```text
//!   file  [block][block]...            as far as each begins with 9464 and ends with 3695: uploaded
//!         then cpio, in which the      a multiple of 7 bytes; every entry on the white-list;
//!         driver finds imx500_regs     lines of both tensors below 2046
//! ```
//!
//! This is the driver's own, lenient reading (imx500.c of raspberrypi/linux 7a8b5ff and the kernel's
//! early-cpio search), apart from [`super::rpk`], which knows what a whole file looks like. A file that is
//! refused there may be accepted here, and the other way round.

use serde::Serialize;

use super::imx500_regs::{INPUT_LINES_REG, LINES_LIMIT, MEMBER, OUTPUT_LINES_REG, Registers};
use super::refusal::Refusal;

/// What the driver would make of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Every reason to refuse it, in the order in which the driver looks; all lead to EINVAL when the
    /// stream starts. Empty: it would be uploaded.
    pub refusals: Vec<Refusal>,
    /// Accepted by the driver, but of no use.
    pub warnings: Vec<Refusal>,
    /// Bytes that would be uploaded.
    pub upload_len_bytes: usize,
    /// Lines of the input and the output tensor as the driver counts them; 0 where it finds none.
    pub lines: [u32; 2],
}

impl Verdict {
    /// Reads the file as the driver does.
    #[must_use]
    pub fn new(file: &[u8]) -> Self {
        let (upload_len_bytes, stop) = valid_len(file);
        let mut verdict =
            Self { refusals: Vec::new(), warnings: Vec::new(), upload_len_bytes, lines: [0; 2] };
        let complete = match find_regs(file, upload_len_bytes) {
            Some(found) => {
                verdict.read_registers(file, found);
                true
            }
            None => false,
        };
        if upload_len_bytes == 0 || !complete {
            // Where the blocks end early, what follows them is no archive: the first cause comes first.
            verdict.refusals.extend(stop);
        }
        if !complete {
            let field = format!("{MEMBER} in the cpio archive");
            let want =
                format!("a regular file of this name behind the blocks ({upload_len_bytes:#x})");
            verdict.refusals.push(Refusal::at(upload_len_bytes, field, "nothing", want));
        }
        if !upload_len_bytes.is_multiple_of(4) {
            let want = "a multiple of 4, which is what the camera's SPI bridge takes";
            verdict.refusals.push(Refusal::at(0, "length of the blocks", upload_len_bytes, want));
        }
        verdict
    }

    /// Whether the driver would upload the file.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.refusals.is_empty()
    }

    /// Bytes a line and lines of the metadata pad that the driver announces: `10144 + 2560 * lines` by
    /// 1, KPI and PQ lines included.
    #[must_use]
    pub fn metadata_len_bytes(&self) -> u64 {
        10_144 + 2_560 * (2 + u64::from(self.lines[0]) + u64::from(self.lines[1]))
    }

    fn read_registers(&mut self, file: &[u8], (at, len): (usize, usize)) {
        let bytes = file.get(at..at + len).unwrap_or_default();
        let registers = match Registers::parse(bytes, at) {
            Ok(registers) => registers,
            Err(refusal) => return self.refusals.push(refusal),
        };
        self.refusals.extend(registers.off_white_list(at));
        for (n, (address, tensor)) in
            [(INPUT_LINES_REG, "input"), (OUTPUT_LINES_REG, "output")].into_iter().enumerate()
        {
            let value = registers.value(address);
            self.lines[n] = value.filter(|&lines| lines < LINES_LIMIT).unwrap_or(0);
            if value.is_none_or(|lines| lines < 2) {
                let got = value.map_or_else(|| "nothing".to_owned(), |lines| lines.to_string());
                let want = "2 or more: without lines the sensor sends no tensor";
                let field = format!("{tensor} lines (register {address:#06x})");
                self.warnings.push(Refusal::at(at, field, got, want));
            }
        }
    }
}

/// Bytes of the blocks that the driver finds, and why it stops after them.
fn valid_len(file: &[u8]) -> (usize, Option<Refusal>) {
    let mut at = 0;
    loop {
        match block_len(file, at) {
            Ok(len) => at += len,
            Err(refusal) => return (at, Some(refusal)),
        }
    }
}

fn block_len(file: &[u8], at: usize) -> Result<usize, Refusal> {
    let rest = file.get(at..).unwrap_or_default();
    let header = rest.get(..32).ok_or_else(|| {
        Refusal::at(at, "block header", format!("{} bytes", rest.len()), "32 bytes")
    })?;
    if !header.starts_with(b"9464") {
        let got = format!("\"{}\"", header[..4].escape_ascii());
        return Err(Refusal::at(at, "block magic", got, "\"9464\""));
    }
    let size = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let extra: usize = if header[14] & 1 == 0 { 0 } else { 32 };
    let footer_end = usize::try_from(size).ok().and_then(|size| size.checked_add(64));
    let end = footer_end.and_then(|end| end.checked_add(extra));
    let (Some(footer_end), Some(end)) = (footer_end, end.filter(|&end| end <= rest.len())) else {
        let want =
            format!("at most {:#x}, which is left in the file", rest.len().saturating_sub(64));
        return Err(Refusal::at(at + 4, "payload size", format!("{size:#x}"), want));
    };
    let footer = &rest[footer_end - 4..footer_end];
    if footer != b"3695" {
        let got = format!("\"{}\"", footer.escape_ascii());
        return Err(Refusal::at(at + footer_end - 4, "block footer", got, "\"3695\""));
    }
    Ok(end)
}

/// Place and length of the registers, found as the kernel's early-cpio search finds them: words that
/// begin with a zero byte are skipped, the name need only begin with the one looked for, and the
/// search ends at the first thing that is no header.
fn find_regs(file: &[u8], blocks_end: usize) -> Option<(usize, usize)> {
    let mut at = blocks_end;
    loop {
        let rest = file.get(at..)?;
        if rest.len() <= HEADER_LEN_BYTES {
            return None;
        }
        if rest[0] == 0 {
            at += 4;
            continue;
        }
        let magic = hex(&rest[..6])?;
        if !matches!(magic, 0x07_0701 | 0x07_0702) {
            return None;
        }
        let field = |n: usize| {
            let from = 6 + 8 * n;
            hex(&rest[from..from + 8]).and_then(|value| usize::try_from(value).ok())
        };
        let (mode, data_len, name_len) = (field(1)?, field(6)?, field(11)?);
        let name_at = at + HEADER_LEN_BYTES;
        let data_at = name_at.checked_add(name_len)?.checked_next_multiple_of(4)?;
        let next = data_at.checked_add(data_len)?.checked_next_multiple_of(4)?;
        if next > file.len() {
            return None;
        }
        let is_regular = mode & 0o170_000 == 0o100_000;
        if is_regular && file[name_at..name_at + name_len].starts_with(MEMBER.as_bytes()) {
            return Some((data_at, data_len));
        }
        at = next;
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |high, &digit| {
        char::from(digit).to_digit(16).map(|digit| high << 4 | digit)
    })
}

/// Magic and 13 fields.
const HEADER_LEN_BYTES: usize = 6 + 13 * 8;
