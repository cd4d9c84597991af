//! What the fuzz targets do with their bytes, and what `tests/formats` does with the same bytes:
//! all that can be parsed is printed, and what can be emitted again must mean the same.

use std::io::Cursor;

use qsegment::formats::ap_params::{ApParams, Network};
use qsegment::formats::dnn_lines::{DnnLines, Region, network_of};
use qsegment::formats::dnn_params::DnnParams;
use qsegment::formats::dsp_params;
use qsegment::formats::embedded::SensorState;
use qsegment::formats::input_tensor::{ColourOrder, InputLayout};
use qsegment::formats::kernel_driver::Verdict;
use qsegment::formats::metadata::{guess_embedded_line_len, split};
use qsegment::formats::output_tensor::OutputLayout;
use qsegment::formats::packer_out::PackerOut;
use qsegment::formats::print::Description;
use qsegment::formats::rpk::{Rpk, blocks, inconsistencies, sections};

/// Two bytes, little-endian: the length of an embedded line. The rest: a metadata buffer.
pub fn metadata_buffer(bytes: &[u8]) {
    let Some((line_len, metadata)) = bytes.split_first_chunk() else {
        return;
    };
    buffer(metadata, usize::from(u16::from_le_bytes(*line_len)));
}

/// A metadata buffer whose embedded lines have the given length.
pub fn buffer(metadata: &[u8], line_len: usize) {
    let description = Description::new(metadata, line_len);
    assert!(description.to_string().lines().count() >= 4, "every part has a line");
    serde_json::to_string(&description).expect("a description holds no maps and no NaN");
    if let Some(len) = guess_embedded_line_len(metadata) {
        let (_, dnn_area) = split(metadata, len).expect("a guess fits into the buffer");
        DnnLines::split(dnn_area).expect("a guess splits");
    }
    let Ok((_, dnn_area)) = split(metadata, line_len) else {
        return;
    };
    let Ok(lines) = DnnLines::split(dnn_area) else {
        return;
    };
    with_network(&lines.input, input);
    if let Some(region) = &lines.output {
        with_network(region, outputs);
    }
}

/// A file for the sensor: what is accepted is written again byte for byte, and all that can be read of
/// the rest is read.
pub fn rpk(bytes: &[u8]) {
    let (found, _) = blocks(bytes);
    let (payload, _) = sections(bytes, &found);
    payload.sections.iter().for_each(|section| ap_params(&section.data));
    let verdict = Verdict::new(bytes);
    assert!(verdict.upload_len_bytes <= bytes.len());
    serde_json::to_string(&verdict).expect("a verdict holds no maps and no NaN");
    if let Ok(rpk) = Rpk::parse(bytes) {
        assert!(rpk.emit() == bytes, "what is accepted is written again");
        inconsistencies(&rpk).iter().for_each(|refusal| assert!(!refusal.to_string().is_empty()));
    }
}

/// A packerOut.zip.
pub fn packer_out(bytes: &[u8]) {
    if let Ok(packer_out) = PackerOut::read(Cursor::new(bytes))
        && let Ok(made) = packer_out.into_rpk(ColourOrder::Bgr)
    {
        let file = made.emit();
        assert_eq!(file.len(), made.len_bytes());
        assert!(Rpk::parse(&file).expect("what is packed is whole").emit() == file);
        assert!(inconsistencies(&made).is_empty());
    }
}

/// The text of dnnParams.xml.
pub fn dnn_params(bytes: &[u8]) {
    let Ok(params) = std::str::from_utf8(bytes)
        .map_err(drop)
        .and_then(|text| DnnParams::parse(text).map_err(drop))
    else {
        return;
    };
    assert_eq!(DnnParams::parse(&params.emit()).as_ref(), Ok(&params));
    let emitted = dsp_params::emit(&params);
    if let Ok(parsed) = dsp_params::parse(&emitted) {
        assert_eq!(parsed.networks.len(), params.networks.len());
    }
}

/// A FlatBuffer of DSP parameters.
pub fn dsp_params_buffer(bytes: &[u8]) {
    if let Ok(params) = dsp_params::parse(bytes) {
        // Vectors come out by ordinal, whatever their order was.
        let again = dsp_params::parse(&dsp_params::emit(&params)).expect("it was emitted");
        assert_eq!(again.ap_params(), params.ap_params());
        assert_eq!(again.l2_memory, params.l2_memory);
    }
}

/// Two embedded lines.
pub fn embedded_lines(bytes: &[u8]) {
    let Ok(state) = SensorState::parse(bytes, bytes.len() / 2) else {
        return;
    };
    let mut lines = Vec::new();
    state.emit(64, &mut lines); // all registers take 49 bytes
    assert_eq!(SensorState::parse(&lines, 64), Ok(state));
}

/// A FlatBuffer.
pub fn ap_params(bytes: &[u8]) {
    let Ok(params) = ApParams::parse(bytes) else {
        return;
    };
    let emitted = params.emit();
    assert_eq!(ApParams::parse(&emitted).as_ref(), Ok(&params));
    for network in &params.networks {
        for info in &network.inputs {
            // Only the layout: the body would be all zeros.
            let _accepted = InputLayout::new(info).is_ok();
        }
        if let Ok(layouts) = OutputLayout::all(&network.outputs, 2560) {
            assert_eq!(layouts.len(), network.outputs.len());
        }
    }
}

fn with_network(region: &Region<'_>, with: fn(&Region<'_>, &Network)) {
    let Ok(bytes) = region.ap_params_bytes() else {
        return;
    };
    ap_params(bytes);
    if let Ok(params) = ApParams::parse(bytes)
        && let Some(network) = network_of(&region.header, &params)
    {
        with(region, network);
    }
}

fn input(region: &Region<'_>, network: &Network) {
    let line_len = usize::from(region.header.max_line_len_bytes);
    for info in &network.inputs {
        let (Ok(layout), Ok(body)) = (InputLayout::new(info), region.body()) else {
            continue;
        };
        let (mut planar, mut rgb, mut stream, mut again) = (vec![], vec![], vec![], vec![]);
        if layout.copy_planar(body, line_len, &mut planar).is_ok() {
            layout.to_rgb(&planar, ColourOrder::Bgr, &mut rgb);
            assert_eq!(rgb.len(), layout.width * layout.height * 3);
            layout.emit_stream(&planar, &mut stream);
            // One long line: the stream stands as it is.
            if stream.len() <= 2560 {
                layout.copy_planar(&stream, 2560, &mut again).expect("the stream is whole");
                assert_eq!(again, planar);
            }
        }
    }
}

fn outputs(region: &Region<'_>, network: &Network) {
    let line_len = usize::from(region.header.max_line_len_bytes);
    let (Ok(layouts), Ok(body)) = (OutputLayout::all(&network.outputs, line_len), region.body())
    else {
        return;
    };
    let (mut raw, mut real) = (vec![], vec![]);
    for layout in layouts {
        let copied = layout.copy_raw(body, line_len, &mut raw);
        assert_eq!(copied, layout.dequantize(body, line_len, &mut real));
        if copied.is_ok() {
            assert_eq!((raw.len(), real.len()), (layout.len_bytes(), layout.elements));
        }
    }
}
