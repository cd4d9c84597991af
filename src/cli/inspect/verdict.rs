//! What becomes of a file: driver, user space, daemon, upload, and the model at hand.

use std::path::Path;

use anyhow::Context;
use qsegment::emulator;
use qsegment::formats::ap_params::Network;
use qsegment::formats::dnn_lines::LINE_LEN_BYTES;
use qsegment::formats::input_tensor::InputLayout;
use qsegment::formats::kernel_driver;
use qsegment::formats::refusal::Refusal;
use qsegment::pipeline::vessels::Vessels;
use serde::Serialize;

use crate::cli::builtin::BuiltIn;
use crate::cli::read;

/// All judgements on one file.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// Whether the driver would upload it.
    driver_accepts: bool,
    /// As the driver reads it.
    driver: kernel_driver::Verdict,
    /// What is damaged, or contradicts another part.
    damage: Vec<Refusal>,
    /// Whether this daemon would understand its tensors; `None` where they cannot be read.
    daemon: Option<Daemon>,
    upload: Upload,
    model: Option<Model>,
}

/// What this daemon makes of the tensors.
#[derive(Debug, Serialize)]
struct Daemon {
    understands: bool,
    /// Why not, or what it takes the output for.
    why: String,
}

/// How long the driver is busy with a file that the camera does not have in its cache.
#[derive(Debug, Serialize)]
struct Upload {
    quality: &'static str,
    pi5_seconds: f64,
    others_seconds: f64,
}

/// Against the network that it should have been made of.
#[derive(Debug, Serialize)]
struct Model {
    file: String,
    /// Whether it was named on the command line, and so has to match.
    named: bool,
    differences: Vec<Refusal>,
}

impl Verdict {
    pub(super) fn new(
        file: &[u8],
        damage: Vec<Refusal>,
        network: Option<&Network>,
        model: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let driver = kernel_driver::Verdict::new(file);
        let bytes = driver.upload_len_bytes as f64;
        Ok(Self {
            driver_accepts: driver.accepted(),
            damage,
            daemon: network.map(Daemon::new),
            upload: Upload {
                quality: "estimated",
                pi5_seconds: (bytes * 8.0 / PI5_BITS_A_SECOND).ceil(),
                others_seconds: (bytes * I2C_BITS_A_BYTE / I2C_BITS_A_SECOND).ceil(),
            },
            model: network.map(|network| Model::new(network, model)).transpose()?,
            driver,
        })
    }

    /// Whether the file can be used for what it was inspected for.
    pub(super) fn accepted(&self) -> bool {
        let matches =
            self.model.as_ref().is_none_or(|model| !model.named || model.differences.is_empty());
        self.driver_accepts && self.damage.is_empty() && matches
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let driver =
            if self.driver_accepts { "accepted" } else { "refused, with EINVAL at stream-on" };
        lines.push(format!("verdict     kernel driver: {driver}"));
        lines.extend(self.driver.refusals.iter().map(|refusal| format!("{INDENT}{refusal}")));
        lines.extend(self.driver.warnings.iter().map(|warning| format!("{INDENT}but {warning}")));
        match self.damage.as_slice() {
            [] => lines.push(format!("{INDENT}parts: whole, and agree with each other")),
            damage => {
                lines.push(format!("{INDENT}parts: damaged, or contradict each other"));
                lines.extend(damage.iter().map(|refusal| format!("{INDENT}  {refusal}")));
            }
        }
        if let Some(daemon) = &self.daemon {
            let answer = if daemon.understands { "understands it" } else { "cannot show it right" };
            lines.push(format!("{INDENT}this daemon: {answer}: {}", daemon.why));
        }
        lines.push(format!(
            "{INDENT}upload of {} bytes: {:.0} s on a Pi 5, {:.0} s on others (estimated); seconds when \
             the camera has it cached",
            self.driver.upload_len_bytes, self.upload.pi5_seconds, self.upload.others_seconds
        ));
        lines.push(format!(
            "{INDENT}metadata: {} bytes a frame, {} lines of {LINE_LEN_BYTES}",
            self.driver.metadata_len_bytes(),
            2 + self.driver.lines[0] + self.driver.lines[1]
        ));
        if let Some(model) = &self.model {
            match model.differences.as_slice() {
                [] => lines.push(format!(
                    "{INDENT}model {}: tensors match (weights cannot be compared)",
                    model.file
                )),
                differences => {
                    lines.push(format!("{INDENT}model {}: another network", model.file));
                    lines.extend(differences.iter().map(|d| format!("{INDENT}  {d}")));
                }
            }
        }
        lines
    }
}

impl Daemon {
    fn new(network: &Network) -> Self {
        let judged = match network.inputs.as_slice() {
            [input] => InputLayout::new(input).map_err(|error| error.to_string()),
            inputs => Err(format!("{} input tensors, want 1", inputs.len())),
        };
        let judged = judged.and_then(|_| {
            Vessels::new(&network.outputs, LINE_LEN_BYTES).map_err(|error| error.to_string())
        });
        match judged {
            Err(why) => Self { understands: false, why },
            Ok(vessels) => {
                let (width, height) = (vessels.width(), vessels.height());
                let planes = match vessels.subpixels().planes() {
                    1 => "",
                    _ => ", four planes laid out as the quarters of every pixel",
                };
                let output = network.outputs.first();
                let signed = output.is_some_and(|output| output.quant.signed);
                let meaning = if signed { "a logit" } else { "a probability" };
                // Numbers of classes come in wide integers with a scale of 1.
                let is_class = |bits, scale: f32| bits > 8 && scale.to_bits() == 1_f32.to_bits();
                let doubt = match output {
                    Some(o) if is_class(o.bits_per_element, o.quant.scale) => {
                        "; they look like numbers of classes, and then the picture would be wrong"
                    }
                    _ => "",
                };
                let why = format!(
                    "takes each of the {width}x{height} elements for {meaning}{planes}{doubt}"
                );
                Self { understands: doubt.is_empty(), why }
            }
        }
    }
}

impl Model {
    fn new(network: &Network, file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = file else {
            let mut compared = Vec::new();
            for built_in in BuiltIn::ALL {
                compared.push(Self::compare(network, built_in.name(), built_in.onnx(), false)?);
            }
            return compared
                .into_iter()
                .min_by_key(|model| model.differences.len())
                .context("there is no built-in network");
        };
        let shown = path.display();
        let bytes = read::at_most(path, &shown, read::MAX_ONNX_BYTES, read::ONNX_REASON)?;
        Self::compare(network, &shown.to_string(), &bytes, true)
    }

    fn compare(network: &Network, name: &str, onnx: &[u8], named: bool) -> anyhow::Result<Self> {
        let model = emulator::Network::load(onnx)
            .with_context(|| format!("cannot compare with the model {name}"))?;
        Ok(Self { file: name.to_owned(), named, differences: differences(network, &model) })
    }
}

fn differences(network: &Network, model: &emulator::Network) -> Vec<Refusal> {
    let mut found = Vec::new();
    let mut compare = |field: &str, got: String, want: String| {
        if got != want {
            found.push(Refusal::of(field, got, format!("{want}, as in the model")));
        }
    };
    let sign = |signed| if signed { "signed".to_owned() } else { "unsigned".to_owned() };
    let by_x = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    if let Some(input) = network.inputs.first()
        && let Ok(layout) = InputLayout::new(input)
    {
        let want = model.input();
        compare(
            "input size",
            by_x(&[layout.channels, layout.height, layout.width]),
            by_x(&[want.channels, want.height, want.width]),
        );
        compare("input sign", sign(input.quant.signed), sign(want.signed));
        compare("input scale", input.quant.scale.to_string(), want.scale.to_string());
    }
    compare("output tensors", network.outputs.len().to_string(), "1".to_owned());
    if let [output] = network.outputs.as_slice() {
        let want = model.output();
        let mut axes = output.dimensions.clone();
        axes.sort_by_key(|axis| axis.ordinal);
        let sizes: Vec<usize> = axes.iter().map(|axis| usize::from(axis.size)).collect();
        compare("output size", by_x(&sizes), by_x(&[want.channels, want.height, want.width]));
        compare("output bits", output.bits_per_element.to_string(), "8".to_owned());
        compare("output sign", sign(output.quant.signed), sign(want.signed));
        compare("output scale", output.quant.scale.to_string(), want.scale.to_string());
    }
    found
}

const INDENT: &str = "            ";
/// The camera's bridge chip: a two-wire link of about 5 Mbit/s on a Pi 5, I2C at 400 kHz elsewhere, nine
/// clocks a byte. Both without pauses, so rather too short; a file that the camera's flash holds from
/// earlier goes by its checksums only.
const PI5_BITS_A_SECOND: f64 = 5e6;
const I2C_BITS_A_SECOND: f64 = 400e3;
const I2C_BITS_A_BYTE: f64 = 9.0;
