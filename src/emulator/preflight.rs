//! Whether Sony's converter and the sensor will take a network, said before the converter runs.
//!
//! ```text
//!   no        a reason for which it must fail
//!   doubtful  a reason for which it may fail, or something that cannot be told from the file
//!   yes       neither
//! ```
//!
//! The operators are those that imx500-converter 3.19.2 lists; the memory is estimated by the rule in
//! `survey/memory.rs`; line counts and sizes are those of the driver (imx500.c) and of libcamera's
//! tensor parser.

use serde::Serialize;

use super::LoadError;
use super::survey::{Kind, Live, Survey, TensorFacts};
use crate::formats::dnn_lines::LINE_LEN_BYTES;
use crate::formats::imx500_regs::LINES_LIMIT;

/// What is known of a conversion beforehand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preflight {
    /// The worst of the reasons.
    pub answer: Answer,
    /// Why not, or why perhaps not; in the order in which they matter.
    pub reasons: Vec<Reason>,
    /// The sensor's memory.
    pub memory: Option<Memory>,
    /// Lines that input and output tensor will take, a header line each included.
    pub lines: Option<[u64; 2]>,
}

/// Whether it will work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Nothing speaks against it.
    Yes,
    /// It may fail.
    Doubtful,
    /// It must fail.
    No,
}

impl Answer {
    /// As people say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Doubtful => "doubtful",
            Self::No => "no",
        }
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// How bad it is.
    pub answer: Answer,
    /// What, found, wanted, and what to do.
    pub text: String,
}

/// The sensor's memory, in bytes, as estimated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Tensors while the network runs.
    pub runtime_bytes: u64,
    /// Weights, one byte each, and biases.
    pub weight_bytes: u64,
    /// Both, and the firmware's reserve.
    pub total_bytes: u64,
    /// What there is.
    pub available_bytes: u64,
}

/// What the converter will be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether the input tensor stays in memory during the whole inference.
    pub input_persistency: bool,
}

impl Preflight {
    /// Judges a file.
    ///
    /// # Errors
    /// When it is no ONNX file or is cut short.
    pub fn new(file: &[u8], options: Options) -> Result<Self, LoadError> {
        Ok(Self::of(&Survey::new(file)?, options))
    }

    /// Judges what a survey has found.
    #[must_use]
    pub fn of(survey: &Survey, options: Options) -> Self {
        let mut reasons = Reasons(Vec::new());
        reasons.quantisation(survey);
        reasons.operators(survey);
        reasons.input(survey);
        reasons.outputs(survey);
        let lines = lines(survey);
        reasons.lines(lines);
        let memory = survey.live.as_ref().map(|live| Memory::of(survey, live, options));
        reasons.memory(memory.as_ref(), survey, options);
        let mut reasons = reasons.0;
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.answer));
        let answer = reasons.first().map_or(Answer::Yes, |reason| reason.answer);
        Self { answer, reasons, memory, lines }
    }
}

impl Memory {
    fn of(survey: &Survey, live: &Live, options: Options) -> Self {
        let input =
            if options.input_persistency { live.whole_input_bytes } else { live.input_bytes };
        let runtime_bytes = live.bytes + input;
        // Of 104,849 parameters the converter makes 145,696 bytes.
        let weight_bytes = survey.parameters * 14 / 10;
        Self {
            runtime_bytes,
            weight_bytes,
            total_bytes: runtime_bytes + weight_bytes + RESERVE_BYTES,
            available_bytes: AVAILABLE_BYTES,
        }
    }
}

/// Lines of the input and of all outputs, as registers 0x305e and 0x3060 will have them.
fn lines(survey: &Survey) -> Option<[u64; 2]> {
    let [_, _, height, width] = sizes(survey.inputs.first()?)?;
    let line_len = LINE_LEN_BYTES as u64;
    let mut output = 1;
    for tensor in &survey.outputs {
        let elements =
            tensor.shape.iter().try_fold(1_u64, |n, axis| Some(n.saturating_mul((*axis)?)));
        output += elements?.div_ceil(line_len);
    }
    Some([1 + height.saturating_mul(width).saturating_mul(3).div_ceil(line_len), output])
}

/// N, C, H, W of a tensor that has them.
fn sizes(tensor: &TensorFacts) -> Option<[u64; 4]> {
    let sizes: Option<Vec<u64>> = tensor.shape.iter().copied().collect();
    sizes?.try_into().ok()
}

struct Reasons(Vec<Reason>);

impl Reasons {
    fn no(&mut self, text: String) {
        self.0.push(Reason { answer: Answer::No, text });
    }

    fn doubtful(&mut self, text: String) {
        self.0.push(Reason { answer: Answer::Doubtful, text });
    }

    fn quantisation(&mut self, survey: &Survey) {
        match survey.kind {
            Kind::Mctq => {}
            Kind::Qdq => {
                self.no("quantisation: got a QDQ file (QuantizeLinear), want an MCTQ export of \
                 model-compression-toolkit; give the MCTQ file it was made from"
                    .to_owned())
            }
            Kind::Float => self.no("quantisation: got a float network, want an MCTQ export of \
                 model-compression-toolkit; quantise it first (model/README.md)"
                .to_owned()),
        }
    }

    fn operators(&mut self, survey: &Survey) {
        if !survey.producer.starts_with("pytorch") {
            self.no(format!(
                "producer: got \"{}\", want \"pytorch\": imxconv-pt takes nothing else; give the file as \
                 torch and model-compression-toolkit have exported it",
                survey.producer
            ));
        }
        for (operator, count) in &survey.operators {
            let is_quantiser = QUANTISERS.iter().any(|known| operator.ends_with(known));
            let is_taken = OPERATORS.contains(&operator.as_str())
                || (is_quantiser && operator.contains("mct_quantizers"))
                // QDQ is refused as a whole, above.
                || matches!(operator.as_str(), "QuantizeLinear" | "DequantizeLinear");
            if is_taken {
                continue;
            }
            let node = survey.first_nodes.get(operator).map_or("", String::as_str);
            let times =
                if *count == 1 { String::new() } else { format!(" and {} more", count - 1) };
            let advice = match operator.as_str() {
                "MaxUnpool" => "use a nearest-neighbour Resize in its place",
                _ => "export the network without it",
            };
            self.no(format!(
                "operator {operator} (node \"{node}\"{times}): the converter does not know it; {advice}"
            ));
        }
    }

    fn input(&mut self, survey: &Survey) {
        let [input] = survey.inputs.as_slice() else {
            let count = survey.inputs.len();
            return self.no(format!("inputs: got {count}, want 1: the picture"));
        };
        let Some([batch, channels, height, width]) = sizes(input) else {
            return self.no(format!(
                "input \"{}\": got shape {}, want four fixed sizes, 1 x 3 x height x width; \
                 export with fixed sizes",
                input.name,
                shown(&input.shape)
            ));
        };
        if batch != 1 {
            self.no(format!("input batch: got {batch}, want 1; export with a batch of 1"));
        }
        if channels != 3 {
            self.no(format!(
                "input channels: got {channels}, want 3: what the sensor's registers have to be for \
                 other inputs is not known"
            ));
        }
        if width > MAX_INPUT_WIDTH || height > MAX_INPUT_HEIGHT {
            self.no(format!(
                "input size: got {width}x{height}, want at most {MAX_INPUT_WIDTH}x{MAX_INPUT_HEIGHT}, \
                 which is what tensor parsers accept"
            ));
        } else if width > LARGEST_SEEN || height > LARGEST_SEEN {
            self.doubtful(format!(
                "input size: got {width}x{height}; no network larger than 640x640 is known to run \
                 on this sensor"
            ));
        }
        match input.quantiser {
            Some(quantiser) if quantiser.bits != 8 => {
                self.no(format!("input quantiser: got {} bits, want 8", quantiser.bits));
            }
            None if survey.kind == Kind::Mctq => self.doubtful(
                "input quantiser: found none; how the input is stored is the converter's choice"
                    .to_owned(),
            ),
            _ => {}
        }
    }

    fn outputs(&mut self, survey: &Survey) {
        let count = survey.outputs.len();
        if count == 0 || count > MAX_OUTPUTS {
            self.no(format!(
                "outputs: got {count}, want 1 to {MAX_OUTPUTS}, which libcamera carries"
            ));
        }
        for output in &survey.outputs {
            if output.shape.iter().any(Option::is_none) {
                self.no(format!(
                    "output \"{}\": got shape {}, want fixed sizes; export with fixed sizes",
                    output.name,
                    shown(&output.shape)
                ));
            }
            let Some(quantiser) = output.quantiser else { continue };
            if !matches!(quantiser.bits, 8 | 16) {
                let (name, bits) = (&output.name, quantiser.bits);
                self.no(format!("output \"{name}\": got {bits} bits, want 8 or 16"));
            }
            let maker = output.made_by.as_deref().unwrap_or_default();
            if !quantiser.signed
                && matches!(maker, "Conv" | "ConvTranspose" | "Add" | "Gemm" | "MatMul")
            {
                self.doubtful(format!(
                    "output \"{}\": got an unsigned quantiser behind {maker}, want a signed one: \
                     calibration has seen no negative result; calibrate with real pictures",
                    output.name
                ));
            }
        }
    }

    fn lines(&mut self, lines: Option<[u64; 2]>) {
        let Some(lines) = lines else { return };
        for (lines, tensor, register) in
            [(lines[0], "input", "0x305e"), (lines[1], "output", "0x3060")]
        {
            if lines >= u64::from(LINES_LIMIT) {
                self.no(format!(
                    "{tensor} lines (register {register}): got {lines}, want below {LINES_LIMIT}: the \
                     sensor sends at most 5.2 MB a tensor; make the {tensor} smaller"
                ));
            }
        }
    }

    fn memory(&mut self, memory: Option<&Memory>, survey: &Survey, options: Options) {
        let Some(memory) = memory else {
            return self.doubtful(
                "memory: cannot be estimated, because the file does not state the shapes of all \
                 tensors; export with value_info"
                    .to_owned(),
            );
        };
        let (total, available) = (memory.total_bytes, memory.available_bytes);
        let within = |permille: u64| total * 1000 <= available * permille;
        if within(1000 - BAND_PERMILLE) {
            return;
        }
        let percent = total * 100 / available;
        let advice = advice(survey, memory, options);
        if within(1000 + BAND_PERMILLE) {
            self.doubtful(format!(
                "memory: estimated {total} of {available} bytes ({percent} %), too close to tell; {advice}"
            ));
        } else {
            let over = total - available;
            self.no(format!(
                "memory: estimated {total} of {available} bytes ({percent} %), {over} too many; {advice}"
            ));
        }
    }
}

/// What would make it fit.
fn advice(survey: &Survey, memory: &Memory, options: Options) -> String {
    let mut advice = Vec::new();
    if let Some([_, _, height, width]) = survey.inputs.first().and_then(sizes) {
        let fixed = memory.weight_bytes + RESERVE_BYTES;
        let room = memory.available_bytes * (1000 - BAND_PERMILLE) / 1000;
        let share = room.saturating_sub(fixed) as f64 / memory.runtime_bytes.max(1) as f64;
        let side = |side: u64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a side"
            )]
            let fitting = (side as f64 * share.sqrt()) as u64;
            fitting / INPUT_STEP * INPUT_STEP
        };
        advice.push(format!("an input of {}x{} would fit", side(width), side(height)));
    }
    if options.input_persistency {
        let saved =
            survey.live.as_ref().map_or(0, |live| live.whole_input_bytes - live.input_bytes);
        advice.push(format!("--no-input-persistency saves {saved} bytes"));
    }
    if let Some(live) = &survey.live {
        let names: Vec<String> = live
            .largest
            .iter()
            .map(|(name, shape, bytes)| format!("{name} {} ({bytes})", axes(shape)))
            .collect();
        advice.push(format!(
            "the worst moment is \"{}\" with {}: a skip that is dropped, or a stem with a stride of 2, \
             makes them fewer or smaller",
            live.node,
            names.join(", ")
        ));
    }
    advice.join("; ")
}

fn axes(shape: &[u64]) -> String {
    let sizes: Vec<String> = shape.iter().skip(1).map(u64::to_string).collect();
    sizes.join("x")
}

fn shown(shape: &[Option<u64>]) -> String {
    let axis = |axis: &Option<u64>| axis.map_or_else(|| "?".to_owned(), |n| n.to_string());
    shape.iter().map(axis).collect::<Vec<_>>().join(" x ")
}

/// ONNX operators that imx500-converter 3.19.2 knows.
const OPERATORS: [&str; 56] = [
    "Abs",
    "Add",
    "ArgMax",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Div",
    "Equal",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Sin",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "TopK",
    "Transpose",
    "Unsqueeze",
];
const QUANTISERS: [&str; 5] = [
    "ActivationPOTQuantizer",
    "WeightsPOTQuantizer",
    "WeightsSymmetricQuantizer",
    "WeightsLUTSymmetricQuantizer",
    "WeightsLUTPOTQuantizer",
];
/// What the converter divides, weights included.
pub const AVAILABLE_BYTES: u64 = 8_388_480;
/// Kept back by the firmware.
const RESERVE_BYTES: u64 = 1024;
/// How far the estimate may be wrong before an answer is given.
pub const BAND_PERMILLE: u64 = 30;
/// Limits of libcamera's input tensor parser.
const MAX_INPUT_WIDTH: u64 = 1280;
const MAX_INPUT_HEIGHT: u64 = 960;
/// Largest input of the public networks.
const LARGEST_SEEN: u64 = 640;
const MAX_OUTPUTS: usize = 16;
/// The shipped network halves its input three times.
const INPUT_STEP: u64 = 8;
