//! Files for a virtual camera: networks that its driver takes, networks that it refuses, and firmware of our
//! own. Written where `QSEGMENT_VM_FILES_INTO` says, for the tests on a virtual machine; and looked at
//! here, so that what the driver is expected to do there is what `qsegment inspect` says of them.
//!
//! ```text
//!   network.rpk         input 32 x 32, as `qsegment feed --input-size 32x32` sends it: 7 DNN lines
//!   large.rpk           the same with three pieces to upload
//!   refused-*.rpk       EINVAL at stream-on, each for another reason
//!   input-only.rpk      a network for the sake of its input tensor: ten bytes that say nothing come out of it
//!   input-only/         recorded-pi5/, where it is there, as a sensor with that network would send it
//!   imx500_*.fpk        firmware: blocks without meaning
//! ```

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "packer_out/mod.rs"]
mod packer_out_file;

use std::io::Cursor;
use std::path::Path;

use packer_out_file::{Made, bytes};
use qsegment::formats::ap_params::ApParams;
use qsegment::formats::dnn_lines::{DnnLines, DnnLinesLayout};
use qsegment::formats::input_tensor::{ColourOrder, InputLayout};
use qsegment::formats::kernel_driver::Verdict;
use qsegment::formats::metadata::guess_embedded_line_len;
use qsegment::formats::packer_out::PackerOut;
use qsegment::formats::rpk::{Rpk, SectionKind, inconsistencies};
use qsegment::formats::tensor::Dimension;

/// Pixels a side of the network's input.
const SIDE: u16 = 32;

#[test]
fn files_are_what_they_are_named() {
    for (name, file) in networks() {
        let verdict = Verdict::new(&file);
        let reasons: Vec<String> = verdict.refusals.iter().map(ToString::to_string).collect();
        match refused_for(name) {
            Some(reason) => {
                assert!(reasons.iter().any(|r| r.contains(reason)), "{name}: {reasons:?}")
            }
            None => {
                assert_eq!(reasons, Vec::<String>::new(), "{name}");
                assert_eq!(verdict.metadata_len_bytes(), 10_144 + 7 * 2560, "{name}");
                let rpk = Rpk::parse(&file).unwrap();
                assert!(inconsistencies(&rpk).is_empty(), "{name}");
            }
        }
        if let Some(folder) = std::env::var_os("QSEGMENT_VM_FILES_INTO") {
            std::fs::write(Path::new(&folder).join(name), file).unwrap();
        }
    }
    for (name, len_bytes) in [("imx500_loader.fpk", 24_000), ("imx500_firmware.fpk", 1_400_000)] {
        let firmware = firmware(len_bytes);
        // It has blocks and no archive.
        assert_eq!(Verdict::new(&firmware).upload_len_bytes, firmware.len(), "{name}");
        if let Some(folder) = std::env::var_os("QSEGMENT_VM_FILES_INTO") {
            std::fs::write(Path::new(&folder).join(name), firmware).unwrap();
        }
    }
}

/// The input tensors of what was recorded, in buffers of the other network.
#[test]
fn recorded_tensors_can_be_sent_by_a_network_that_says_nothing() {
    let params = ap_params_of(&input_only());
    let network = &params.networks[0];
    assert_eq!(network.inputs[0].dimensions.len(), 3);
    assert_eq!(network.outputs[0].dimensions.iter().map(|d| d.size).product::<u16>(), 10);
    let Some(folder) = std::env::var_os("QSEGMENT_VM_FILES_INTO") else { return };
    let (from, to) =
        (Path::new(&folder).join("recorded-pi5"), Path::new(&folder).join("input-only"));
    std::fs::create_dir_all(&to).unwrap();
    let layout = InputLayout::new(&network.inputs[0]).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let recorded = std::fs::read(entry.path()).unwrap();
        let embedded = 2 * guess_embedded_line_len(&recorded).unwrap();
        let lines = DnnLines::split(&recorded[embedded..]).unwrap();
        let mut input = Vec::new();
        let max_line_len_bytes = usize::from(lines.input.header.max_line_len_bytes);
        layout.copy_planar(lines.input.body().unwrap(), max_line_len_bytes, &mut input).unwrap();
        let sent = DnnLinesLayout {
            kpi: lines.kpi,
            frame_count: lines.input.header.frame_count,
            input_valid: true,
            output_valid: true,
            network_id: 0,
            ap_params: &params.emit(),
            input: &input,
            outputs: &[&[0xa5; 10]],
        };
        let mut metadata = recorded[..embedded].to_vec();
        sent.append(&mut metadata);
        std::fs::write(to.join(entry.file_name()), metadata).unwrap();
    }
}

fn input_only() -> Vec<u8> {
    let mut made = Made::new(SIDE, 4_000);
    let output = &mut made.dnn_params.networks[0].outputs[0];
    output.dimensions =
        vec![Dimension { ordinal: 0, size: 10, serialization_index: 0, padding: 0 }];
    pack(&made)
}

fn ap_params_of(rpk: &[u8]) -> ApParams {
    let rpk = Rpk::parse(rpk).unwrap();
    let section = rpk.section(SectionKind::ApParams).expect("a packed network has them");
    ApParams::parse(&section.data).unwrap()
}

fn networks() -> Vec<(&'static str, Vec<u8>)> {
    let network = packed(4_000);
    let registers = registers_at(&network);
    let changed = |change: fn(&mut Vec<u8>, usize)| {
        let mut file = network.clone();
        change(&mut file, registers);
        file
    };
    vec![
        ("input-only.rpk", input_only()),
        ("large.rpk", packed(2_500_000)),
        ("refused-text.rpk", b"not a network".repeat(100)),
        ("refused-empty.rpk", Vec::new()),
        ("refused-footer.rpk", changed(|file, _| spoil_footer(file))),
        ("refused-address.rpk", changed(|file, at| file[at..at + 2].fill(0xd8))),
        ("refused-value.rpk", changed(|file, at| file[at + 3] = 6)),
        ("refused-no-registers.rpk", {
            let mut file = network.clone();
            file.truncate(Verdict::new(&network).upload_len_bytes);
            file
        }),
        ("network.rpk", network),
    ]
}

/// What `qsegment inspect` says of it.
fn refused_for(name: &str) -> Option<&'static str> {
    match name {
        "refused-text.rpk" => Some("block magic"),
        "refused-empty.rpk" => Some("block header"),
        "refused-footer.rpk" => Some("block footer"),
        "refused-address.rpk" => Some("want a register of the driver's white-list"),
        "refused-value.rpk" => Some("imx500_regs entry 0"),
        "refused-no-registers.rpk" => Some("imx500_regs in the cpio archive"),
        _ => None,
    }
}

fn packed(coefficients_len_bytes: usize) -> Vec<u8> {
    pack(&Made::new(SIDE / 2, coefficients_len_bytes).with_halving_stem())
}

fn pack(made: &Made) -> Vec<u8> {
    let packer_out = PackerOut::read(Cursor::new(made.zip())).unwrap();
    packer_out.into_rpk(ColourOrder::Rgb).unwrap().emit()
}

/// Where the entries of imx500_regs begin: with the selection of the image's format, 0xd750.
fn registers_at(network: &[u8]) -> usize {
    let first_entry = [0x50, 0xd7, 1, 2];
    let found = network.windows(4).position(|window| window == first_entry);
    found.expect("a packed network has registers")
}

/// Spoils the last four bytes of the first block.
fn spoil_footer(file: &mut [u8]) {
    let end = Verdict::new(file).upload_len_bytes;
    file[end - 1] = b'!';
}

/// Blocks of at most 1 MiB, as the driver walks them (imx500.c): header with the payload's size, footer.
fn firmware(len_bytes: usize) -> Vec<u8> {
    const BLOCK_LEN_BYTES: usize = 1 << 20;
    let mut file = Vec::new();
    let mut left = len_bytes.next_multiple_of(16);
    while left > 0 {
        let len = left.clamp(64 + 16, BLOCK_LEN_BYTES);
        let size = u32::try_from(len - 64).unwrap();
        file.extend_from_slice(b"9464");
        file.extend_from_slice(&size.to_be_bytes());
        file.extend_from_slice(&[0; 24]);
        file.extend_from_slice(&bytes(len - 64, 7));
        file.extend_from_slice(&[0; 28]);
        file.extend_from_slice(b"3695");
        left = left.saturating_sub(len);
    }
    file
}
