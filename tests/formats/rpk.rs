//! A network.rpk: bytes written by hand, real files, and every way to spoil one.

use std::io::{Cursor, Write};
use std::path::PathBuf;

use qsegment::formats::ap_params::ApParams;
use qsegment::formats::cpio::{Archive, Member};
use qsegment::formats::dsp_params;
use qsegment::formats::imx500_regs::{Register, Registers};
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::kernel_driver::Verdict;
use qsegment::formats::network_info::NetworkInfo;
use qsegment::formats::network_intrinsics::NetworkIntrinsics;
use qsegment::formats::packer_out::PackerOut;
use qsegment::formats::rpk::{Rpk, SectionKind, inconsistencies};

use crate::packer_out_file::Made;

/// A file of one block that is small enough to be spoilt at every byte.
pub(crate) fn small() -> Vec<u8> {
    packed(&Made::new(16, 100))
}

/// The file made of this archive.
pub(crate) fn packed(made: &Made) -> Vec<u8> {
    let packer_out = PackerOut::read(Cursor::new(made.zip())).unwrap();
    packer_out.into_rpk(ColourOrder::Rgb).unwrap().emit()
}

/// Files of `QSEGMENT_RPK_DIR`.
fn real_files() -> Vec<(PathBuf, Vec<u8>)> {
    let Some(folder) = std::env::var_os("QSEGMENT_RPK_DIR") else {
        // Standard error of a test that passes is shown only with --nocapture; this is.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: set QSEGMENT_RPK_DIR to test real .rpk files");
        return Vec::new();
    };
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rpks = paths.filter(|path| path.extension().is_some_and(|ext| ext == "rpk"));
    rpks.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_block_begins_as_the_public_files_do() {
    let file = small();
    #[rustfmt::skip]
    let head: [u8; 80] = [
        b'9', b'4', b'6', b'4', 0, 0, 0x06, 0x70,    // S = 1648, big-endian
        0, 1, 0, 1,     // one block, the first: two 16-bit words of one swapped word
        0, 0, 0, 1,     // first-block flag
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 7,     // preamble
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        b'9', b'1', b'3', b'0', b'0', b'0', b'1', b'0', // "03190100..." in words of four
        b'0', b'0', b'0', b'0', b'0', b'0', b'0', b'0',
        0, 0, 0, 4,     // section: ApParams
        0x80, 0, 0xf0, 0, // its address
        0, 0, 1, 0x80,  // 384 bytes
        0, 0, 0, 0,
    ];
    assert_eq!(file[..80], head);
    assert_eq!(file[0x40 + 0x670 - 4..][..4], *b"3695");
}

#[test]
fn an_archive_is_written_as_the_packager_writes_it() {
    let archive = Archive::packaged(vec![Member::packaged("a.txt", b"hello".to_vec())]);
    let bytes = archive.emit();
    let header = "07070100000000000081a40000000000000000000000000000000000000005\
                  00000000000000000000000000000000000000060000000";
    assert!(std::str::from_utf8(&bytes[..109]).unwrap().starts_with(&header[..102]));
    assert_eq!(bytes[110..124], *b"a.txt\0hello\0\0\0");
    assert_eq!(&bytes[124..130], b"070701");
    assert_eq!(&bytes[124 + 38..124 + 46], b"00000001", "links of the trailer");
    assert_eq!(bytes.len(), 124 + 110 + 11 + 3);
    assert_eq!(Archive::parse(&bytes, 0).unwrap().emit(), bytes);
}

#[test]
fn registers_are_seven_bytes_each() {
    let bytes = [0x50, 0xd7, 1, 2, 0, 0, 0, 0x5e, 0x30, 2, 0x79, 0, 0, 0];
    let registers = Registers::parse(&bytes, 0).unwrap();
    assert_eq!(registers.0[0], Register { address: 0xd750, len_bytes: 1, value: 2 });
    assert_eq!(registers.input_lines(), Some(121));
    assert_eq!(registers.emit(), bytes);
}

#[test]
fn real_files_come_out_as_they_went_in() {
    for (path, file) in real_files() {
        let rpk = Rpk::parse(&file).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(rpk.emit() == file, "{}", path.display());
        assert_eq!(rpk.len_bytes(), file.len());
        assert_eq!(inconsistencies(&rpk), [], "{}", path.display());
        let verdict = Verdict::new(&file);
        assert!(verdict.accepted() && verdict.warnings.is_empty(), "{verdict:?}");
        let info = rpk.archive.member("network_info.txt").unwrap();
        let parsed = NetworkInfo::parse(&info.data, 0).unwrap();
        assert_eq!(parsed.emit(), info.data);
        let params = rpk.section(SectionKind::ApParams).unwrap();
        let network = ApParams::parse(&params.data).unwrap().networks.remove(0);
        let colours = parsed.colours().unwrap();
        let registers = rpk.archive.member("imx500_regs").unwrap();
        assert_eq!(Registers::of(&network, colours).unwrap().emit(), registers.data);
        let dsp = &rpk.section(SectionKind::DspParams).unwrap().data;
        let emitted = dsp_params::emit(&dsp_params::parse(dsp).unwrap());
        assert_eq!(emitted, dsp[..emitted.len()], "{}", path.display());
        assert!(dsp.len() - emitted.len() < 16);
        let intrinsics = &rpk.archive.member("network_intrinsics").unwrap().data;
        assert!(NetworkIntrinsics::parse(intrinsics, 0).unwrap().task.is_some());
    }
}

/// A real file taken apart into a packerOut.zip and packed again: the blocks are the same but for the
/// ten digits that older files have in the preamble.
#[test]
fn real_files_packed_again_are_the_same() {
    for (path, file) in real_files() {
        let rpk = Rpk::parse(&file).unwrap();
        let data = |kind| rpk.section(kind).unwrap().data.clone();
        let address = |kind| format!("{:#x}", rpk.section(kind).unwrap().address & !0x4000_0000);
        let part =
            |key: &str, name: &str, kind| (key.into(), name.into(), address(kind), data(kind));
        let digits = std::str::from_utf8(&rpk.preamble_digits).unwrap();
        let version = |at: usize| digits[at..at + 2].parse::<u8>().unwrap();
        let made = Made {
            dnn_params: dsp_params::parse(&data(SectionKind::DspParams)).unwrap(),
            release_version: format!("{}.{}.{}", version(0), version(2), version(4)),
            parts: vec![
                part("SdspA", "sdpsA.bin", SectionKind::SdpsA),
                part("SdspC", "sdpsC.bin", SectionKind::SdpsC),
                part("CfgBank1", "cfgA.bin", SectionKind::CfgA),
                part("CfgBank2", "cfgC.bin", SectionKind::CfgC),
                part("coef", "l2staticData.bin", SectionKind::Coefficients),
            ],
            spoil: |_| {},
        };
        let again = PackerOut::read(Cursor::new(made.zip())).unwrap();
        let again = again.into_rpk(ColourOrder::Rgb).unwrap();
        let member = |rpk: &Rpk, name| rpk.archive.member(name).unwrap().data.clone();
        for name in ["imx500_regs", "network_info.txt"] {
            assert_eq!(member(&again, name), member(&rpk, name), "{}", path.display());
        }
        assert_eq!(rpk.preamble_digits[6..], *b"0000000100", "of the older files");
        let mut want = rpk.clone();
        want.preamble_digits[6..].fill(b'0');
        let (want, got) = (want.emit(), again.emit());
        let blocks = got.len() - again.archive.emit().len();
        assert!(want[..blocks] == got[..blocks], "{}", path.display());
    }
}
