//! Replays the fuzzer's corpus, and writes the part of it that is made by hand.

use std::fs;
use std::path::{Path, PathBuf};

use qsegment::formats::dsp_params;

use crate::ap_params::ONE_OUTPUT;
use crate::packer_out_file::Made;
use crate::rpk::packed;
use crate::{buffer, exercise};

#[test]
fn every_corpus_file_is_parsed_and_printed() {
    for (target, exercise) in [
        ("metadata_buffer", exercise::metadata_buffer as fn(&[u8])),
        ("ap_params", exercise::ap_params),
        ("embedded_lines", exercise::embedded_lines),
        ("rpk", exercise::rpk),
        ("packer_out", exercise::packer_out),
        ("dnn_params", exercise::dnn_params),
        ("dsp_params", exercise::dsp_params_buffer),
    ] {
        let mut replayed = 0;
        for entry in fs::read_dir(corpus().join(target)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            exercise(&fs::read(path).unwrap());
            replayed += 1;
        }
        assert!(replayed >= 3, "{target}: {replayed} files");
    }
}

/// The seeds from which the fuzzer starts. Fails when one is missing or no longer what the formats
/// emit; `QSEGMENT_WRITE_CORPUS=1` writes them.
#[test]
fn seeds_are_what_the_formats_emit() {
    let with_line_len = |len: u16, metadata: &[u8]| [&len.to_le_bytes(), metadata].concat();
    let small = buffer::small_metadata();
    let mut stale = small.clone();
    stale[120 + 2560] = 0;
    let mut no_output = small.clone();
    no_output[120 + 3 * 2560 + 8] = 2;
    let short_line = buffer::small_metadata_with_line_len(16);
    let made = Made::new(16, 100);
    let rpk = packed(&made);
    let mut other = made.clone();
    let mut second = made.dnn_params.networks[0].outputs[0].clone();
    (second.ordinal, second.bits_per_element) = (1, 16);
    other.dnn_params.networks[0].outputs.push(second);
    other.dnn_params.networks[0].inputs[0].quant.signed = true;
    let xml = made.dnn_params.emit();
    for (path, bytes) in [
        ("metadata_buffer/seed_both_valid", with_line_len(60, &small)),
        ("metadata_buffer/seed_input_stale", with_line_len(60, &stale)),
        ("metadata_buffer/seed_no_output", with_line_len(60, &no_output)),
        ("metadata_buffer/seed_sixteen_bytes_a_line", with_line_len(60, &short_line)),
        ("metadata_buffer/seed_cut_in_the_input", with_line_len(60, &small[..120 + 2 * 2560 + 5])),
        ("ap_params/seed_one_output", ONE_OUTPUT.to_vec()),
        ("ap_params/seed_two_outputs", buffer::params().emit()),
        ("ap_params/seed_empty", qsegment::formats::ap_params::ApParams::default().emit()),
        ("embedded_lines/seed_all_registers", small[..120].to_vec()),
        ("embedded_lines/seed_cut", small[..30].to_vec()),
        ("embedded_lines/seed_no_start", vec![0; 20]),
        ("rpk/seed_one_block", rpk.clone()),
        ("rpk/seed_two_outputs", packed(&other)),
        ("rpk/seed_cut_in_the_archive", rpk[..rpk.len() - 200].to_vec()),
        ("packer_out/seed_one_output", made.zip()),
        ("packer_out/seed_two_outputs", other.zip()),
        (
            "packer_out/seed_no_coefficients",
            made.zip_with_xml(&xml, |name| name != "l2staticData.bin"),
        ),
        ("dnn_params/seed_one_output", xml.clone().into_bytes()),
        ("dnn_params/seed_two_outputs", other.dnn_params.emit().into_bytes()),
        ("dnn_params/seed_cut", xml.as_bytes()[..900].to_vec()),
        ("dsp_params/seed_one_output", dsp_params::emit(&made.dnn_params)),
        ("dsp_params/seed_two_outputs", dsp_params::emit(&other.dnn_params)),
        ("dsp_params/seed_cut", dsp_params::emit(&made.dnn_params)[..200].to_vec()),
    ] {
        let path = corpus().join(path);
        if std::env::var_os("QSEGMENT_WRITE_CORPUS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert!(fs::read(&path).unwrap() == bytes, "{}", path.display());
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}
