//! A network.rpk spoilt in every way we could think of: each is refused with its reason, and nothing
//! panics.

use qsegment::formats::imx500_regs::{self, Registers};
use qsegment::formats::kernel_driver::Verdict;
use qsegment::formats::network_intrinsics;
use qsegment::formats::rpk::{Rpk, SectionKind, blocks, inconsistencies, sections};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::allocated::allocated;
use crate::exercise;
use crate::packer_out_file::Made;
use crate::rpk::{packed, small};

/// Every reason against a file, those of the whole before those of the driver.
fn reasons(file: &[u8]) -> Vec<String> {
    let mut reasons: Vec<String> = match Rpk::parse(file) {
        Err(refusal) => vec![refusal.to_string()],
        Ok(rpk) => inconsistencies(&rpk).iter().map(ToString::to_string).collect(),
    };
    reasons.extend(Verdict::new(file).refusals.iter().map(|refusal| format!("driver: {refusal}")));
    reasons
}

/// Two blocks: 1,048,576 bytes and a rest.
fn two_blocks() -> Vec<u8> {
    packed(&Made::new(16, 1_200_000))
}

fn set(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Sets a 32-bit number of the payload, which stands byte-swapped in the file.
fn set_word(file: &mut [u8], at: usize, value: u32) {
    set(file, at, &value.to_be_bytes());
}

type Spoil = fn(&mut Vec<u8>);
type Change = fn(&mut Rpk);

/// Changes to the bytes: what is done, and the reason that must come first.
#[test]
fn every_spoilt_byte_is_refused_with_its_reason() {
    let one: [(&str, Spoil, &str); 27] = [
        ("empty", Vec::clear, "block magic at byte 0x0000: got 0 bytes, want 4 bytes"),
        ("magic", |f| f[0] = b'8', r#"block magic at byte 0x0000: got "8464", want "9464""#),
        (
            "un-swapped, as Sony's own files",
            |f| set(f, 0, b"4649"),
            r#"block magic at byte 0x0000: got "4649", want "9464""#,
        ),
        ("footer", |f| f[0x6ac] = b'!', r#"block footer at byte 0x06ac: got "!695", want "3695""#),
        (
            "size too large",
            |f| set(f, 4, &[0, 0x10, 0, 0]),
            "payload size at byte 0x0004: got 0x100000, want a multiple of 16 up to 0xfffc0",
        ),
        (
            "size not a multiple of 16",
            |f| f[7] = 0x71,
            "payload size at byte 0x0004: got 0x671, want a multiple of 16 up to 0xfffc0",
        ),
        (
            "size beyond the file",
            |f| set(f, 4, &[0, 0x0f, 0, 0]),
            "block payload at byte 0x0020: got 3360 bytes, want 983040 bytes",
        ),
        (
            "size 0",
            |f| set(f, 4, &[0; 4]),
            "payload size at byte 0x0004: got 0x0, want a multiple of 16 up to 0xfffc0",
        ),
        (
            "index",
            |f| f[11] = 2,
            "first-block flag at byte 0x000f: got 1, want 1 in the first block, 0 in the others",
        ),
        (
            "number of blocks",
            |f| f[9] = 0,
            "number of blocks at byte 0x0008: got 0, want 1 or more",
        ),
        (
            "more blocks announced than there are",
            |f| f[9] = 2,
            "payload size at byte 0x0004: got 0x670, want 0xfffc0 in every block but the last",
        ),
        (
            "first-block flag",
            |f| f[15] = 0,
            "first-block flag at byte 0x000f: got 0, want 1 in the first block, 0 in the others",
        ),
        (
            "device lock",
            |f| f[14] = 1,
            "device-lock flag at byte 0x000e: got 1, want 0: a file locked to one sensor cannot be read",
        ),
        (
            "reserved byte of the header",
            |f| f[0x12] = 1,
            "reserved bytes of the block header at byte 0x0011: got 0x01, want 0",
        ),
        ("block trailer", |f| f[0x693] = 9, "block trailer at byte 0x0693: got 0x09, want 0"),
        ("preamble", |f| f[0x23] = 8, "preamble at byte 0x0020: got 8, want 7"),
        (
            "preamble digits",
            |f| f[0x33] = b'x',
            r#"preamble digits at byte 0x0030: got "x319010000000000", want 16 digits"#,
        ),
        (
            "section type",
            |f| set_word(f, 0x40, 5),
            "section type at byte 0x0040: got 0x5, want 0x4, 0x8, 0x9, 0xa, 0xb, 0xc or 0x10",
        ),
        (
            "section order",
            |f| set_word(f, 0x40, 8),
            "section type at byte 0x0040: got 0x8 (DSP parameters), want 0x4 (ApParams)",
        ),
        (
            "section length odd",
            |f| set_word(f, 0x48, 0x181),
            "section length at byte 0x0048: got 0x181, want a multiple of 16",
        ),
        (
            "section length beyond the payload",
            |f| set_word(f, 0x48, 0x1000),
            "section length at byte 0x0048: got 0x1000, want at most 0x630, which is left in the payload",
        ),
        (
            "section reserved",
            |f| set_word(f, 0x4c, 1),
            "section reserved at byte 0x004c: got other bytes, want 0",
        ),
        (
            "section digits",
            |f| f[0x52] = b'7',
            r#"section digits at byte 0x01f0: got "01", want two digits, the same in every section"#,
        ),
        (
            "cpio magic",
            |f| f[0x6b5] = b'3',
            r#"cpio magic at byte 0x06b0: got "070703", want "070701""#,
        ),
        (
            "cpio digits",
            |f| f[0x6b0 + 54] = b'g',
            r#"cpio filesize at byte 0x06e6: got "g0000188", want 8 hexadecimal digits"#,
        ),
        (
            "cpio name",
            |f| f[0x6b0 + 110 + 11] = b'x',
            r#"cpio name at byte 0x071e: got "imx500_regsx", want UTF-8 that ends with its only NUL"#,
        ),
        (
            "garbage at the end",
            |f| f.push(1),
            "bytes behind the cpio trailer at byte 0x0d40: got 1, want 0 up to the end",
        ),
    ];
    each_is_refused(&small(), &one);
}

#[test]
fn every_spoilt_second_block_is_refused_with_its_reason() {
    let two: [(&str, Spoil, &str); 5] = [
        (
            "order of blocks",
            |f| f[(1 << 20) + 11] = 3,
            "block index at byte 0x10000a: got 3, want 2: blocks are counted from 1 in their order",
        ),
        (
            "another number of blocks",
            |f| f[(1 << 20) + 9] = 3,
            "number of blocks at byte 0x100008: got 3, want 2, as in the first block",
        ),
        (
            "coefficients' address",
            |f| set_word(f, (1 << 20) + 0x24, 0x1234),
            "section address at byte 0x100024: got 0x1234, want 0x448dc020, right behind the coefficients before",
        ),
        (
            "cut in the second block",
            |f| f.truncate((1 << 20) + 100),
            "block payload at byte 0x100020: got 68 bytes, want 153056 bytes",
        ),
        (
            "cut behind the first block",
            |f| f.truncate(1 << 20),
            "block magic at byte 0x100000: got 0 bytes, want 4 bytes",
        ),
    ];
    each_is_refused(&two_blocks(), &two);
}

fn each_is_refused(file: &[u8], spoils: &[(&str, Spoil, &str)]) {
    assert_eq!(reasons(file), [""; 0]);
    let mut wrong = Vec::new();
    for (what, spoil, want) in spoils {
        let mut spoilt = file.to_vec();
        spoil(&mut spoilt);
        let reasons = reasons(&spoilt);
        if reasons.first().map(String::as_str) != Some(want) {
            wrong.push(format!(
                "{what}: want {want}
{reasons:#?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.join(
            "
"
        )
    );
}

fn register(rpk: &mut Rpk, address: u16, change: fn(&mut imx500_regs::Register)) {
    let member = rpk.archive.members.iter_mut().find(|m| m.name == imx500_regs::MEMBER).unwrap();
    let mut registers = Registers::parse(&member.data, 0).unwrap();
    change(registers.0.iter_mut().find(|register| register.address == address).unwrap());
    member.data = registers.emit();
}

fn info(rpk: &mut Rpk, from: &str, to: &str) {
    let member = rpk.archive.members.iter_mut().find(|m| m.name == "network_info.txt").unwrap();
    let text = String::from_utf8(member.data.clone()).unwrap();
    assert!(text.contains(from), "{from}");
    member.data = text.replacen(from, to, 1).into_bytes();
}

/// Changes that leave the form right and the content wrong.
#[test]
fn every_contradiction_is_refused_with_its_reason() {
    let changes: [(&str, Change, &str); 21] = [
        (
            "register off the white-list",
            |r| register(r, 0xd750, |e| e.address = 0xd753),
            "driver: imx500_regs entry 0: address at byte 0x072c: got 0xd753, want a register of the driver's white-list",
        ),
        (
            "register of wrong length",
            |r| register(r, 0xd708, |e| e.len_bytes = 4),
            "driver: imx500_regs entry 16: length at byte 0x079e: got 4, want 2 for register 0xd708",
        ),
        (
            "9-bit register too wide",
            |r| register(r, 0xd708, |e| e.value = 0x200),
            "driver: imx500_regs entry 16: value at byte 0x079f: got 0x200, want at most 0x1ff in register 0xd708",
        ),
        (
            "1-bit register too wide",
            |r| register(r, 0xd70a, |e| e.value = 2),
            "driver: imx500_regs entry 17: value at byte 0x07a6: got 0x2, want at most 0x1 in register 0xd70a",
        ),
        (
            "12-bit factor too wide",
            |r| register(r, 0xd76c, |e| e.value = 0x1000),
            "driver: imx500_regs entry 1: value at byte 0x0736: got 0x1000, want at most 0xfff in register 0xd76c",
        ),
        (
            "clip too wide",
            |r| register(r, 0xd784, |e| e.value = 0x0200_0000),
            "driver: imx500_regs entry 13: value at byte 0x078a: got 0x2000000, want bits within 0x01ff01ff in register 0xd784",
        ),
        (
            "input format unknown",
            |r| register(r, 0xd750, |e| e.value = 6),
            "driver: imx500_regs entry 0: value at byte 0x072f: got 0x6, want below 6 in register 0xd750",
        ),
        (
            "too many lines",
            |r| register(r, 0x305e, |e| e.value = 2046),
            "driver: imx500_regs entry 54: value at byte 0x08a9: got 0x7fe, want below 2046 in register 0x305e",
        ),
        (
            "wrong input lines",
            |r| register(r, 0x305e, |e| e.value = 3),
            "input lines (register 0x305e) at byte 0x08a9: got 3, want 2 by the tensors in the ApParams",
        ),
        (
            "wrong output lines",
            |r| register(r, 0x3060, |e| e.value = 9),
            "output lines (register 0x3060) at byte 0x08b0: got 9, want 2 by the tensors in the ApParams",
        ),
        (
            "registers cut",
            |r| r.archive.members[0].data.truncate(391),
            "imx500_regs at byte 0x072c: got 391 bytes, want a multiple of 7 bytes",
        ),
        (
            "no registers",
            |r| r.archive.members.retain(|m| m.name != "imx500_regs"),
            "driver: imx500_regs in the cpio archive at byte 0x06b0: got nothing, want a regular file of this name behind the blocks (0x6b0)",
        ),
        (
            "registers that are a folder",
            |r| r.archive.members[0].fields.mode = 0o040_755,
            "driver: imx500_regs in the cpio archive at byte 0x06b0: got nothing, want a regular file of this name behind the blocks (0x6b0)",
        ),
        (
            "no network_info.txt",
            |r| r.archive.members.retain(|m| m.name != "network_info.txt"),
            "network_info.txt: got nothing, want a member of the cpio archive",
        ),
        (
            "apParamSize",
            |r| info(r, "apParamSize=3", "apParamSize=2"),
            "network_info.txt apParamSize at byte 0x0965: got 272, want 372",
        ),
        (
            "a key missing",
            |r| info(r, "networkNum=1\r\n", ""),
            r#"network_info.txt line 5 at byte 0x0976: got "networkOrdinal", want networkNum=..."#,
        ),
        (
            "a wrong factor",
            |r| info(r, "Norm_K03=0x0000", "Norm_K03=0x1800"),
            "network_info.txt inputTensorNorm_K03 at byte 0x0a10: got 0x1800, want 0x0000",
        ),
        (
            "an unknown colour order",
            |r| info(r, "Format=RGB", "Format=YUV"),
            "network_info.txt inputTensorFormat at byte 0x09c1: got YUV, want RGB or BGR",
        ),
        ("line ends", |r| info(r, "\r\nnetworkID", "\nnetworkID"), "network_info.txt line 2"),
        (
            "section address",
            |r| r.sections[2].address = 0x4500_0010,
            "address of cfgA at byte 0x03b4: got 0x45000010, want 0x45000000, as in all files",
        ),
        (
            "intrinsics",
            |r| r.set_intrinsics(b"{\"task\": \"cooking\"}".to_vec()),
            "network_intrinsics at byte 0x0d59: got unknown variant `cooking`",
        ),
    ];
    let rpk = Rpk::parse(&small()).unwrap();
    let mut wrong = Vec::new();
    for (what, change, want) in changes {
        let mut changed = rpk.clone();
        change(&mut changed);
        let reasons = reasons(&changed.emit());
        let found = reasons.iter().any(|reason| reason.starts_with(want));
        if !found {
            wrong.push(format!("{what}: want {want}\n{reasons:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn missing_lines_are_a_warning_since_the_driver_takes_them() {
    let mut rpk = Rpk::parse(&small()).unwrap();
    rpk.archive.members[0].data.truncate(54 * 7);
    let verdict = Verdict::new(&rpk.emit());
    assert!(verdict.accepted());
    let warnings: Vec<String> = verdict.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "input lines (register 0x305e) at byte 0x072c: got nothing, want 2 or more: without lines the \
             sensor sends no tensor",
            "output lines (register 0x3060) at byte 0x072c: got nothing, want 2 or more: without lines the \
             sensor sends no tensor",
        ]
    );
    assert_eq!(verdict.lines, [0, 0]);
}

#[test]
fn sections_with_padding_that_is_no_padding_are_found() {
    let mut rpk = Rpk::parse(&small()).unwrap();
    let params = rpk.sections.iter_mut().find(|s| s.kind == SectionKind::ApParams).unwrap();
    params.data.extend([7; 16]);
    let reasons = reasons(&rpk.emit());
    assert_eq!(reasons, ["network_info.txt apParamSize at byte 0x0975: got 372, want 393"]);
}

/// Nothing may panic or take more memory than a few times the file, whatever the bytes say.
fn survives(file: &[u8]) {
    let (_, took) = allocated(|| exercise::rpk(file));
    assert!(took.peak_bytes <= 16 * file.len() + (4 << 20), "{took:?}");
}

#[test]
fn every_truncation_is_refused() {
    let file = small();
    for len in 0..file.len() {
        assert!(Rpk::parse(&file[..len]).is_err(), "len {len}");
        survives(&file[..len]);
    }
}

#[test]
fn every_byte_may_hold_anything() {
    let sent = small();
    let mut file = sent.clone();
    for at in 0..file.len() {
        for flip in [0x01, 0x80, 0xff] {
            file[at] ^= flip;
            survives(&file);
            if let Ok(rpk) = Rpk::parse(&file) {
                assert!(rpk.emit() == file, "byte {at:#x}: what is accepted is written again");
            }
            file[at] = sent[at];
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0x9464);
    for _ in 0..3000 {
        let mut file = sent.clone();
        for _ in 0..rng.random_range(1..12) {
            let at = rng.random_range(0..file.len());
            file[at] = rng.random();
        }
        survives(&file);
    }
}

#[test]
fn what_can_be_read_of_a_damaged_file_is_read() {
    let mut file = two_blocks();
    file.truncate(1 << 20);
    let (found, refusal) = blocks(&file);
    assert_eq!(found.len(), 1);
    assert!(refusal.is_some());
    let (payload, refusal) = sections(&file, &found);
    assert_eq!((payload.sections.len(), refusal), (7, None));
    set_word(&mut file, 0x3d0 - 32, 0x77);
    let (payload, refusal) = sections(&file, &found);
    assert_eq!(payload.sections.len(), 2);
    assert!(
        refusal.unwrap().to_string().starts_with("section type at byte 0x03b0: got 0x77, want 0x4")
    );
}

#[test]
fn intrinsics_are_replaced_and_nothing_else_is() {
    let mut rpk = Rpk::parse(&small()).unwrap();
    let before = rpk.emit();
    rpk.set_intrinsics(b"{\"task\": \"segmentation\"}".to_vec());
    rpk.set_intrinsics(b"{\"fps\": 19}".to_vec());
    let file = rpk.emit();
    let again = Rpk::parse(&file).unwrap();
    assert_eq!(again.archive.members.len(), 3);
    let member = again.archive.member(network_intrinsics::MEMBER).unwrap();
    let read = network_intrinsics::NetworkIntrinsics::parse(&member.data, 0).unwrap();
    assert_eq!(read.inference_rate, Some(19.0));
    let end = before.len() - 124;
    assert_eq!(file[..end], before[..end], "all but the trailer");
}
