//! A packerOut.zip spoilt in every way we could think of.

use std::io::{self, Cursor};

use qsegment::formats::dnn_params::DnnParams;
use qsegment::formats::dsp_params;
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::packer_out::PackerOut;
use qsegment::formats::rpk::Rpk;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

use crate::allocated::allocated;
use crate::exercise;
use crate::packer_out_file::Made;

fn part_mut<'a>(made: &'a mut Made, key: &str) -> &'a mut Vec<u8> {
    &mut made.parts.iter_mut().find(|part| part.0 == key).unwrap().3
}

fn refusal(zip: &[u8]) -> String {
    let packed = PackerOut::read(Cursor::new(zip)).and_then(|p| p.into_rpk(ColourOrder::Rgb));
    packed.map_or_else(|refusal| refusal.to_string(), |_| "accepted".to_owned())
}

type Spoil = fn(&mut Map<String, Value>);

#[test]
fn every_spoilt_manifest_is_refused_with_its_reason() {
    fn part<'a>(manifest: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
        manifest[key].as_object_mut().unwrap()
    }
    let spoils: [(Spoil, &str); 11] = [
        (
            |m| drop(m.remove("Release Version")),
            r#"manifest.json Release Version: got nothing, want three numbers below 100, such as "3.19.1""#,
        ),
        (
            |m| drop(m.insert("Release Version".into(), "3.19".into())),
            r#"manifest.json Release Version: got "3.19", want three numbers below 100, such as "3.19.1""#,
        ),
        (
            |m| drop(m.insert("Release Version".into(), "3.100.1".into())),
            r#"manifest.json Release Version: got "3.100.1", want three numbers below 100, such as "3.19.1""#,
        ),
        (|m| drop(m.remove("coef")), "manifest.json coef: got nothing, want this part"),
        (|m| drop(m.remove("xml")), "manifest.json xml: got nothing, want this part"),
        (
            |m| drop(m.insert("SdspA".into(), 5.into())),
            "manifest.json SdspA: got 5, want an object",
        ),
        (
            |m| drop(part(m, "SdspA").remove("File")),
            "manifest.json SdspA File: got nothing, want a text",
        ),
        (
            |m| drop(part(m, "SdspA").insert("LoadAddr".into(), "NA".into())),
            r#"manifest.json SdspA LoadAddr: got "NA", want a hexadecimal number"#,
        ),
        (
            |m| drop(part(m, "SdspA").insert("File".into(), "no.bin".into())),
            "packerOut.zip no.bin: got nothing, want a member of this name",
        ),
        (|m| drop(part(m, "SdspA").insert("md5".into(), "00".into())), "sdpsA.bin md5: got "),
        (
            |m| drop(part(m, "CfgBank1").insert("Size".into(), 255.into())),
            "cfgA.bin size: got 256, want 255, the Size in manifest.json",
        ),
    ];
    for (spoil, want) in spoils {
        let got = refusal(&Made { spoil, ..Made::new(16, 100) }.zip());
        assert!(got.starts_with(want), "got  {got}\nwant {want}");
    }
}

#[test]
fn every_spoilt_document_is_refused_with_its_reason() {
    let made = Made::new(16, 100);
    let xml = made.dnn_params.emit();
    let mut wrong = Vec::new();
    for (from, to, want) in [
        (
            "<dnnParams>",
            "<dnn>",
            "dnnParams.xml: dnnParams.xml: got expected 'dnn' tag, not 'dnnParams' at",
        ),
        (
            r#" bitsPerElement="8""#,
            "",
            "dnnParams.xml: <inputTensor> bitsPerElement at byte 0x00bd: got nothing, want this attribute",
        ),
        (
            r#"bitsPerElement="8""#,
            r#"bitsPerElement="12""#,
            "dnnParams.xml: <inputTensor> bitsPerElement at byte 0x012d: got 12, want 8, 16 or 32",
        ),
        (
            r#"numOfDimensions="3""#,
            r#"numOfDimensions="2""#,
            "dnnParams.xml: <inputTensor> numOfDimensions at byte 0x0119: got 2, want 3, the <dimension> elements there are",
        ),
        (
            r#"format="unsigned""#,
            r#"format="odd""#,
            "dnnParams.xml: <inputTensor> format at byte 0x015d: got \"odd\", want signed or unsigned",
        ),
        (
            r#"size="16""#,
            r#"size="many""#,
            "dnnParams.xml: <dimension> size at byte 0x0211: got \"many\", want a number (u16)",
        ),
        (
            r#"size="3""#,
            r#"size="1""#,
            "input channels: got 1, want 3: the registers for other inputs are not known",
        ),
        (r#"size="16""#, r#"size="1281""#, "input height of tensor 0: got 1281, want 1 to 960"),
        (
            "l2memory",
            "l3memory",
            "dnnParams.xml: <dnnParams> at byte 0x0038: got none, want a <l2memory> element",
        ),
        (
            r#"scale="0.25""#,
            r#"scale="inf""#,
            "dnnParams.xml: <outputTensor> scale at byte 0x03b9: got inf, want a finite number",
        ),
        (
            "<dnnParams>",
            "<!DOCTYPE x><dnnParams>",
            "dnnParams.xml: dnnParams.xml: got XML with DTD detected",
        ),
    ] {
        assert!(xml.contains(from), "{from}");
        let got = refusal(&made.zip_with_xml(&xml.replacen(from, to, 1), |_| true));
        if !got.starts_with(want) {
            wrong.push(format!("got  {got}\nwant {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn networks_of_a_kind_never_seen_are_refused() {
    let mut two = Made::new(16, 100);
    let network = two.dnn_params.networks[0].clone();
    two.dnn_params.networks.push(network);
    assert!(refusal(&two.zip()).starts_with("networks in dnnParams.xml: got 2, want 1:"));
    let mut inputs = Made::new(16, 100);
    let input = inputs.dnn_params.networks[0].inputs[0].clone();
    inputs.dnn_params.networks[0].inputs.push(input);
    assert!(refusal(&inputs.zip()).starts_with("input tensors: got 2, want 1:"));
    let mut large = Made::new(16, 100);
    *part_mut(&mut large, "CfgBank1") = vec![1; 1 << 20];
    assert!(refusal(&large.zip()).starts_with("cfgA, cfgC, sdpsA, sdpsC and parameters: got "));
    let mut lines = Made::new(16, 100);
    lines.dnn_params.networks[0].outputs[0].dimensions[1].size = 60_000;
    lines.dnn_params.networks[0].outputs[0].dimensions[2].size = 100;
    assert!(refusal(&lines.zip()).starts_with("output lines: got 2345, want below 2046:"));
    let mut empty = Made::new(16, 100);
    part_mut(&mut empty, "coef").clear();
    assert_eq!(refusal(&empty.zip()), "l2staticData.bin: got 0 bytes, want content");
}

#[test]
fn an_archive_without_a_member_is_refused() {
    let made = Made::new(16, 100);
    for name in ["manifest.json", "dnnParams.xml", "cfgA.bin", "l2staticData.bin"] {
        let got = refusal(&made.zip_with_xml(&made.dnn_params.emit(), |member| member != name));
        assert_eq!(got, format!("packerOut.zip {name}: got nothing, want a member of this name"));
    }
}

#[test]
fn what_goes_into_no_file_may_be_missing() {
    let made = Made::new(16, 100);
    let xml = made.dnn_params.emit();
    let whole = refusal(&made.zip());
    assert_eq!(refusal(&made.zip_with_xml(&xml, |name| name != "verTable.txt")), whole);
    let old = xml.replacen(r#" persistency="0""#, "", 1);
    assert_eq!(refusal(&made.zip_with_xml(&old, |_| true)), "accepted");
}

#[test]
fn every_truncation_and_much_damage_is_survived() {
    let zip = Made::new(16, 100).zip();
    for len in 0..zip.len() {
        assert!(PackerOut::read(Cursor::new(&zip[..len])).is_err(), "len {len}");
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0x504b);
    for _ in 0..2000 {
        let mut spoilt = zip.clone();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..spoilt.len());
            spoilt[at] = rng.random();
        }
        exercise::packer_out(&spoilt);
    }
}

/// A member may say that it is small and be large.
#[test]
fn memory_stays_under_three_times_the_file() {
    let made = Made::new(320, 5_000_000);
    let zip = made.zip();
    let (len, took) = allocated(|| {
        let packer_out = PackerOut::read(Cursor::new(&zip)).unwrap();
        let rpk = packer_out.into_rpk(ColourOrder::Rgb).unwrap();
        rpk.write(&mut io::sink()).unwrap();
        rpk.len_bytes()
    });
    assert!(took.peak_bytes < 3 * len, "{took:?} for {len}");
}

/// Tensors are created in the order of the document, and listed by their ordinals.
#[test]
fn the_order_of_the_document_shows_in_the_bytes_only() {
    let mut made = Made::new(16, 100);
    let mut second = made.dnn_params.networks[0].outputs[0].clone();
    (second.ordinal, second.name) = (1, "second".to_owned());
    made.dnn_params.networks[0].outputs.push(second);
    let mut turned = made.dnn_params.clone();
    turned.networks[0].outputs.reverse();
    assert_eq!(turned.ap_params(), made.dnn_params.ap_params());
    assert_ne!(turned.emit_ap_params(), made.dnn_params.emit_ap_params());
    assert_ne!(dsp_params::emit(&turned), dsp_params::emit(&made.dnn_params));
    let listed = dsp_params::parse(&dsp_params::emit(&turned)).unwrap();
    let names: Vec<&str> = listed.networks[0].outputs.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["0-/head/layer/Conv:0", "second"]);
}

#[test]
fn the_document_comes_out_as_it_went_in() {
    let mut params = Made::new(16, 100).dnn_params;
    params.networks[0].name = "a \"quoted\" <name> & more".to_owned();
    assert_eq!(DnnParams::parse(&params.emit()).unwrap(), params);
}

#[test]
fn what_is_packed_is_a_whole_file() {
    for coefficients in [1, 16, 100, 1_048_000, 1_047_440, 3_000_001] {
        let zip = Made::new(320, coefficients).zip();
        let rpk = PackerOut::read(Cursor::new(zip)).unwrap().into_rpk(ColourOrder::Bgr).unwrap();
        let file = rpk.emit();
        assert_eq!(Rpk::parse(&file).unwrap().emit(), file, "{coefficients}");
    }
}
