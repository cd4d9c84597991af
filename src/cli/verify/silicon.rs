//! The network in the sensor, run on given input tensors.
//!
//! ```text
//!   inject: the driver takes a file of the tensor, and says in which frame its output will come
//!      |
//!      v
//!   frames ... until the one with that frame count: its output tensor is the answer, and its input
//!              tensor must be what was injected
//! ```

use anyhow::{Context, anyhow, ensure};
use qsegment::emulator::TensorSpec;
use qsegment::formats::ap_params::ApParams;
use qsegment::formats::dnn_lines::{DnnLines, network_of};
use qsegment::formats::input_tensor::InputLayout;
use qsegment::formats::output_tensor::OutputLayout;
use qsegment::source::imx500::{Imx500, Sensor};
use qsegment::source::{FrameSource, Next, RawFrame};

/// A camera that streams with injection enabled.
pub(super) struct Silicon {
    camera: Imx500,
    sensor: Sensor,
    frame: RawFrame,
    layout: Layout,
}

/// How the sensor's network stores its tensors.
struct Layout {
    max_line_len_bytes: usize,
    input: InputLayout,
    output: OutputLayout,
}

impl Silicon {
    /// Starts the camera and reads off its first frame what network it runs.
    pub(super) fn start(
        mut camera: Imx500,
        input: &TensorSpec,
        output: &TensorSpec,
    ) -> anyhow::Result<Self> {
        let sensor = camera.sensor();
        let mut frame = RawFrame::default();
        let mut last = anyhow!("it sent no frame");
        for _ in 0..FRAMES_TO_WAIT {
            next(&mut camera, &mut frame)?;
            match Layout::of(&frame) {
                Ok(layout) => {
                    layout.check(input, output)?;
                    return Ok(Self { camera, sensor, frame, layout });
                }
                Err(error) => last = error,
            }
        }
        Err(last.context("the camera sends no tensors that can be read"))
    }

    pub(super) fn device_id(&self) -> anyhow::Result<Option<String>> {
        Ok(self.sensor.device_id()?)
    }

    /// Runs the network on a planar input; fills `output` in C, H, W, as stored.
    pub(super) fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut stream = Vec::with_capacity(self.layout.input.stream_len_bytes());
        self.layout.input.emit_stream(input, &mut stream);
        let frame_count = self.sensor.inject(&stream)?;
        for _ in 0..FRAMES_TO_WAIT {
            next(&mut self.camera, &mut self.frame)?;
            if self.layout.answer(&self.frame, frame_count, input, output)? {
                return Ok(());
            }
        }
        Err(anyhow!(
            "the driver expected the output in the frame with count {frame_count}, which did not come \
             within {FRAMES_TO_WAIT} frames; start again"
        ))
    }
}

fn next(camera: &mut Imx500, frame: &mut RawFrame) -> anyhow::Result<()> {
    match camera.next(frame)? {
        Next::Frame => Ok(()),
        Next::Ended => Err(anyhow!("stopped before the end")),
    }
}

impl Layout {
    fn of(frame: &RawFrame) -> anyhow::Result<Self> {
        let lines = DnnLines::split(dnn_area(frame))?;
        let params = ApParams::parse(lines.input.ap_params_bytes()?)?;
        let header = &lines.input.header;
        let network = network_of(header, &params).context("no network of that number")?;
        let max_line_len_bytes = usize::from(header.max_line_len_bytes);
        let input = network.inputs.first().context("the network has no input")?;
        let outputs = OutputLayout::all(&network.outputs, max_line_len_bytes)?;
        let output = outputs.into_iter().next().context("the network has no output")?;
        Ok(Self { max_line_len_bytes, input: InputLayout::new(input)?, output })
    }

    /// Whether it is of the same shape as the emulator's network.
    fn check(&self, input: &TensorSpec, output: &TensorSpec) -> anyhow::Result<()> {
        let InputLayout { width, height, channels, signed, .. } = self.input;
        ensure!(
            (channels, height, width, signed)
                == (input.channels, input.height, input.width, input.signed),
            "the camera's network takes {channels}x{height}x{width} {}, the emulator's \
             {}x{}x{} {}: they are not the same network",
            kind(signed),
            input.channels,
            input.height,
            input.width,
            kind(input.signed)
        );
        let (bits, signed) = (self.output.info.bits_per_element, self.output.info.quant.signed);
        ensure!(
            self.output.elements == output.len_bytes() && bits == 8 && signed == output.signed,
            "the camera's network gives {} elements of {bits} bits, {}, the emulator's {} of 8 bits, {}: \
             they are not the same network",
            self.output.elements,
            kind(signed),
            output.len_bytes(),
            kind(output.signed)
        );
        Ok(())
    }

    /// Whether this frame carries the output of the injected input; its bytes then.
    fn answer(
        &self,
        frame: &RawFrame,
        frame_count: u8,
        injected: &[u8],
        output: &mut Vec<u8>,
    ) -> anyhow::Result<bool> {
        let lines = DnnLines::split(dnn_area(frame))?;
        let Some(region) = lines.output else { return Ok(false) };
        if !region.header.frame_valid || region.header.frame_count != frame_count {
            return Ok(false);
        }
        if lines.input.header.frame_valid {
            let mut seen = Vec::new();
            self.input.copy_planar(lines.input.body()?, self.max_line_len_bytes, &mut seen)?;
            ensure!(seen == injected, "the sensor's input tensor is not the one that was injected");
        }
        let mut columns = Vec::new();
        self.output.copy_raw(region.body()?, self.max_line_len_bytes, &mut columns)?;
        rows_of(&columns, &self.output, output);
        Ok(true)
    }
}

/// From ordinal order (ordinal 0 fastest) to C, H, W: the last ordinal fastest.
fn rows_of(columns: &[u8], layout: &OutputLayout, into: &mut Vec<u8>) {
    let sizes: Vec<usize> = layout.info.dimensions.iter().map(|d| d.size.into()).collect();
    into.clear();
    into.reserve(columns.len());
    for at in 0..columns.len() {
        // `at` counts with the last ordinal fastest; its place counts with the first fastest.
        let (mut rest, mut place, mut stride) = (at, 0, columns.len());
        for size in sizes.iter().rev() {
            stride /= size;
            place += rest % size * stride;
            rest /= size;
        }
        into.push(columns[place]);
    }
}

fn dnn_area(frame: &RawFrame) -> &[u8] {
    frame.metadata.get(2 * frame.embedded_line_len_bytes..).unwrap_or_default()
}

fn kind(signed: bool) -> &'static str {
    if signed { "signed" } else { "unsigned" }
}

/// The counter goes round once in 256 frames.
const FRAMES_TO_WAIT: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use qsegment::formats::ap_params::OutputTensorInfo;
    use qsegment::formats::tensor::{Dimension, QuantParams};

    #[test]
    fn columns_become_rows() {
        let dimension =
            |ordinal, size| Dimension { ordinal, size, serialization_index: ordinal, padding: 0 };
        let info = OutputTensorInfo {
            id: 0,
            name: String::new(),
            dimensions: vec![dimension(0, 2), dimension(1, 2), dimension(2, 3)],
            bits_per_element: 8,
            quant: QuantParams { scale: 1.0, zero_point: 0, signed: false },
        };
        let layout = OutputLayout::all(&[info], 2560).unwrap().remove(0);
        let mut rows = Vec::new();
        // Plane 0: a b c / d e f; plane 1: A B C / D E F.
        rows_of(b"aAdDbBeEcCfF", &layout, &mut rows);
        assert_eq!(rows, b"abcdefABCDEF");
    }
}
