//! Metadata buffers of a small sensor, laid out by `formats`, whose pictures and masks say which
//! frame they are of.
//!
//! ```text
//!   pixel (x, y) of frame n                      red n, green y, blue x
//!   probability of pixel (x, y) in frame n       n + x + y, modulo 256
//! ```

use qsegment::formats::ap_params::{ApParams, InputTensorInfo, Network, OutputTensorInfo};
use qsegment::formats::dnn_lines::{DnnLinesLayout, Kpi, LINE_LEN_BYTES};
use qsegment::formats::embedded::{LinePacking, SensorState};
use qsegment::formats::tensor::{Dimension, QuantParams};
use qsegment::source::clock::Timestamp;
use qsegment::source::{Quality, RawFrame, RawPicture, SourceInfo};
use std::time::Duration;

/// What a buffer brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brings {
    Nothing,
    Input,
    Output,
    Both,
}

/// A sensor with one network, whose pictures and masks are of one size.
#[derive(Debug, Clone)]
pub(crate) struct Sensor {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) ap_params: ApParams,
}

pub(crate) const FRAME_INTERVAL: Duration = Duration::from_millis(33);
/// From the start of a frame to the end of its buffer.
pub(crate) const READ_OUT: Duration = Duration::from_millis(30);
pub(crate) const EMBEDDED_LINE_LEN_BYTES: usize = 100;
pub(crate) const STATE: SensorState = SensorState {
    exposure_lines: Some(1000),
    analogue_gain_code: Some(512),
    frame_length_lines: None,
    line_length_pixels: None,
    temperature_celsius: Some(41),
};
pub(crate) const KPI: Kpi = Kpi { dnn_runtime_us: 52_000, dsp_runtime_us: 900 };

impl Sensor {
    /// Red, green and blue in, one unsigned probability out.
    pub(crate) fn new(width: u16, height: u16) -> Self {
        // Stored bytes are probabilities times 255 here, so that they come out as they went in.
        let quant = QuantParams { scale: 1.0 / 255.0, zero_point: 0, signed: false };
        let axis = |ordinal, size, serialization_index| Dimension {
            ordinal,
            size,
            serialization_index,
            padding: 0,
        };
        let network = Network {
            id: 0,
            name: "vessels".to_owned(),
            kind: String::new(),
            inputs: vec![InputTensorInfo {
                id: 0,
                name: "picture".to_owned(),
                dimensions: vec![axis(0, 3, 2), axis(1, height, 1), axis(2, width, 0)],
                quant,
            }],
            outputs: vec![OutputTensorInfo {
                id: 0,
                name: "probability".to_owned(),
                dimensions: vec![axis(0, 1, 0), axis(1, height, 1), axis(2, width, 2)],
                bits_per_element: 8,
                quant,
            }],
        };
        Self { width, height, ap_params: ApParams { networks: vec![network] } }
    }

    /// Lines of the input tensor after its header.
    pub(crate) fn input_body_lines(&self) -> usize {
        (3 * self.pixels()).div_ceil(LINE_LEN_BYTES)
    }

    /// Where line `line` of the DNN area begins in a buffer; KPI is line 0, the input header line
    /// 1.
    pub(crate) fn line_at(line: usize) -> usize {
        2 * EMBEDDED_LINE_LEN_BYTES + line * LINE_LEN_BYTES
    }

    /// Number of the output header's line.
    pub(crate) fn output_line(&self) -> usize {
        2 + self.input_body_lines()
    }

    /// Buffer number `sequence`, whose tensors are of frame `frame_count`.
    pub(crate) fn buffer(&self, sequence: u64, frame_count: u8, brings: Brings) -> RawFrame {
        let (width, height) = (usize::from(self.width), usize::from(self.height));
        let mut planar = vec![frame_count; self.pixels()];
        planar.extend((0..self.pixels()).map(|at| low_byte(at / width)));
        planar.extend((0..self.pixels()).map(|at| low_byte(at % width)));
        // Column after column.
        let columns: Vec<u8> = (0..self.pixels())
            .map(|at| {
                frame_count.wrapping_add(low_byte(at / height)).wrapping_add(low_byte(at % height))
            })
            .collect();
        let layout = DnnLinesLayout {
            kpi: KPI,
            frame_count,
            input_valid: matches!(brings, Brings::Input | Brings::Both),
            output_valid: matches!(brings, Brings::Output | Brings::Both),
            network_id: 0,
            ap_params: &self.ap_params.emit(),
            input: &planar,
            outputs: &[&columns],
        };
        let mut metadata = Vec::new();
        STATE.emit(EMBEDDED_LINE_LEN_BYTES, &mut metadata);
        layout.append(&mut metadata);
        RawFrame {
            sequence,
            metadata,
            embedded_line_len_bytes: EMBEDDED_LINE_LEN_BYTES,
            frame_start: start_of(sequence),
            tensor_at_host: start_of(sequence).plus(READ_OUT),
            picture: RawPicture::default(),
            window: None,
        }
    }

    /// A network that needs two frames: input, nothing, output, and again; the counter is the
    /// number modulo 256.
    pub(crate) fn slow(&self, sequence: u64) -> RawFrame {
        let frame_count = |sequence: u64| sequence.to_le_bytes()[0];
        match sequence % 3 {
            0 => self.buffer(sequence, frame_count(sequence), Brings::Input),
            1 => self.buffer(sequence, frame_count(sequence), Brings::Nothing),
            _ => self.buffer(sequence, frame_count(sequence - 2), Brings::Output),
        }
    }

    pub(crate) fn pixels(&self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }
}

pub(crate) fn start_of(sequence: u64) -> Timestamp {
    let frames = u32::try_from(sequence).expect("tests are short");
    Timestamp::default().plus(Duration::from_secs(1) + FRAME_INTERVAL * frames)
}

pub(crate) fn info() -> SourceInfo {
    SourceInfo {
        name: "prepared",
        quality: Quality::Simulated,
        frame_interval: FRAME_INTERVAL,
        packing: LinePacking::Pi5,
    }
}

fn low_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}
