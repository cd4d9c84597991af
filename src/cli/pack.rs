//! `qsegment pack`: from a quantised network to the file for the sensor.
//!
//! ```text
//!   network.onnx --preflight--> imxconv-pt --> packerOut.zip --> network.rpk
//!                  preflight    converter.rs        formats::packer_out
//!   packerOut.zip ------------------------------------^
//!   network.rpk, to which intrinsics are added -------------------^
//! ```
//!
//! The converter is Sony's and not part of this program; `--setup` installs it (setup.rs), and what it
//! complains about is said in one sentence (complaint.rs).

mod complaint;
mod converter;
mod intrinsics;
mod setup;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use clap::{ArgAction, Args, ValueEnum};
use qsegment::emulator::preflight::{Answer, Options, Preflight};
use qsegment::formats::dnn_params::L2Memory;
use qsegment::formats::imx500_regs::{self, Registers};
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::packer_out::PackerOut;
use qsegment::formats::rpk::Rpk;
use qsegment::source::clock::{Clock, StopSignal};
use serde::Serialize;

use super::builtin::BuiltIn;
use super::kind::kind_of;
use super::out::{Out, tell};
use super::{Failure, Form, read, write};
use converter::Converter;

/// Make the file that the sensor runs (.rpk) from a quantised network
///
/// From an MCTQ ONNX file it runs Sony's converter (imxconv-pt), which is looked for in --venv, in
/// QSEGMENT_IMXCONV and on PATH; `qsegment pack --setup DIR` installs it. From the converter's
/// packerOut.zip it needs nothing. Given an .rpk it adds or replaces its intrinsics. The result is laid
/// out, byte for byte, as Raspberry Pi's imx500-package does it.
#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// An MCTQ ONNX file, a packerOut.zip, or an .rpk; "accurate" and "fast" are the networks in the program
    #[arg(required_unless_present = "setup")]
    input: Option<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "network.rpk")]
    output: PathBuf,
    /// Order of the colour planes that the network was trained with
    #[arg(long, value_name = "ORDER", default_value = "rgb", ignore_case = true)]
    input_format: InputFormat,
    /// Let other tensors use the input's memory during the inference; makes room, about 4 % for the shipped
    /// network
    #[arg(long, action = ArgAction::SetTrue)]
    no_input_persistency: bool,
    #[command(flatten)]
    intrinsics: intrinsics::IntrinsicsArgs,
    /// Virtual environment that has imxconv-pt
    #[arg(long, value_name = "DIR", help_heading = "Converter")]
    venv: Option<PathBuf>,
    /// Keep the converter's packerOut.zip, to pack it again without converting. It must not be published
    #[arg(long, value_name = "FILE", help_heading = "Converter")]
    keep_packer_out: Option<PathBuf>,
    /// Convert even if the preflight says that it cannot work
    #[arg(long, help_heading = "Converter")]
    force: bool,
    /// Install Sony's converter into this folder, as a Python virtual environment (about 560 MB), and stop
    #[arg(long, value_name = "DIR", conflicts_with = "input", help_heading = "Converter")]
    setup: Option<PathBuf>,
    /// Accept Sony's licence terms without being asked
    #[arg(long, requires = "setup", help_heading = "Converter")]
    accept_sony_licence: bool,
    /// Python 3.10 to 3.12 for --setup; looked for if not given
    #[arg(long, requires = "setup", value_name = "PROGRAM", help_heading = "Converter")]
    python: Option<PathBuf>,
}

/// Order of the input's colour planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// Plane 0 is red
    Rgb,
    /// Plane 0 is blue
    Bgr,
    /// Refused: the registers for it are not known
    #[value(hide = true)]
    Y,
    /// Refused: the registers for it are not known
    #[value(name = "bayerrgb", hide = true)]
    BayerRgb,
}

impl InputFormat {
    fn colours(self) -> anyhow::Result<ColourOrder> {
        match self {
            Self::Rgb => Ok(ColourOrder::Rgb),
            Self::Bgr => Ok(ColourOrder::Bgr),
            Self::Y | Self::BayerRgb => bail!(
                "--input-format: Y and BayerRGB need register values that are not published and occur \
                 in no public network; give rgb or bgr"
            ),
        }
    }
}

pub(crate) fn pack(args: &PackArgs, form: Form, out: &mut Out) -> Result<ExitCode, Failure> {
    if let Some(folder) = &args.setup {
        setup::setup(folder, args.python.as_deref(), args.accept_sony_licence, form, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let named = args.input.as_deref().expect("clap requires it without --setup");
    let folder = tempfile::tempdir().context("cannot make a folder for the converter")?;
    let carried = built_in(named, folder.path())?;
    let input = carried.as_deref().unwrap_or(named);
    let colours = args.input_format.colours().map_err(Failure::usage)?;
    let intrinsics = args.intrinsics.read().map_err(Failure::usage)?;
    let clock = Clock::monotonic(StopSignal::default());
    let began = clock.now();
    let mut steps = Vec::new();
    let (rpk, memory) = match kind_of(&read::start(input)?) {
        "an ONNX network" | "a file of unknown kind" => {
            can_write(args, input)?;
            let zip = convert(args, input, folder.path(), &clock, &mut steps)?;
            package(&zip, colours, &clock, &mut steps)?
        }
        "a zip archive, such as packerOut.zip" => {
            can_write(args, input)?;
            package(input, colours, &clock, &mut steps)?
        }
        "a network.rpk for the sensor" => {
            if intrinsics.is_none() {
                return Err(Failure::usage(anyhow!(
                    "{} is a network.rpk already; give --intrinsics or --task to add to it, or look \
                     at it with qsegment inspect",
                    input.display()
                )));
            }
            can_write(args, input)?;
            let bytes =
                read::at_most(input, input.display(), read::MAX_RPK_BYTES, read::RPK_REASON)?;
            let rpk =
                Rpk::parse(&bytes).with_context(|| format!("cannot use {}", input.display()))?;
            (rpk, None)
        }
        kind => {
            return Err(anyhow!(
                "{} is {kind}; give an MCTQ ONNX file, a packerOut.zip or an .rpk",
                input.display()
            )
            .into());
        }
    };
    let mut rpk = rpk;
    if let Some(json) = intrinsics {
        rpk.set_intrinsics(json);
    }
    let began_write = clock.now();
    write::file(&args.output, |writer| rpk.write(writer))?;
    steps.push(Step::new("write", clock.now().since(began_write)));
    let packed = Packed::new(args, named, &rpk, memory, steps, clock.now().since(began))?;
    match form {
        Form::Text => out.line(packed.text())?,
        Form::Json => out.json(&packed)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A network of the program becomes a file in `folder`, since the converter reads files.
fn built_in(named: &Path, folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let mut networks = BuiltIn::ALL.into_iter();
    let Some(network) = networks.find(|network| named == Path::new(network.name())) else {
        return Ok(None);
    };
    // A file of that name is what was meant.
    if named.exists() {
        return Ok(None);
    }
    let file = folder.join(format!("{}.onnx", network.name()));
    std::fs::write(&file, network.onnx()).context("cannot write the network for the converter")?;
    Ok(Some(file))
}

/// What must be known before minutes are spent.
fn can_write(args: &PackArgs, input: &Path) -> anyhow::Result<()> {
    if let (Ok(from), Ok(to)) = (input.canonicalize(), args.output.canonicalize()) {
        ensure!(
            from != to,
            "{} would be written over itself; give another file with -o",
            input.display()
        );
    }
    if let Some(keep) = &args.keep_packer_out {
        write::can_write(keep)?;
    }
    write::can_write(&args.output)
}

/// Runs the converter; returns the packerOut.zip in `folder`.
fn convert(
    args: &PackArgs,
    input: &Path,
    folder: &Path,
    clock: &Clock,
    steps: &mut Vec<Step>,
) -> Result<PathBuf, Failure> {
    let began = clock.now();
    let bytes = read::at_most(input, input.display(), read::MAX_ONNX_BYTES, read::ONNX_REASON)?;
    let options = Options { input_persistency: !args.no_input_persistency };
    let preflight = Preflight::new(&bytes, options)
        .with_context(|| format!("cannot use {}", input.display()))?;
    steps.push(Step::new("preflight", clock.now().since(began)));
    report_preflight(&preflight, input, args.force)?;
    let converter = Converter::find(args.venv.as_deref())?;
    let began = clock.now();
    let log = log_path(&args.output);
    let zip = converter.run(input, folder, options.input_persistency, &log)?;
    steps.push(Step::new("convert", clock.now().since(began)));
    if let Some(keep) = &args.keep_packer_out {
        let bytes = std::fs::read(&zip).context("cannot read the converter's packerOut.zip")?;
        write::file(keep, |writer| std::io::Write::write_all(writer, &bytes))?;
    }
    Ok(zip)
}

fn report_preflight(preflight: &Preflight, input: &Path, force: bool) -> anyhow::Result<()> {
    for reason in &preflight.reasons {
        tell(format_args!("preflight, {}: {}", reason.answer.name(), reason.text));
    }
    ensure!(
        preflight.answer != Answer::No || force,
        "{} cannot be converted, for the reasons above; --force tries all the same",
        input.display()
    );
    Ok(())
}

/// The converter's log lies beside the result, where it is looked for.
fn log_path(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".convert.log");
    output.with_file_name(name)
}

fn package(
    zip: &Path,
    colours: ColourOrder,
    clock: &Clock,
    steps: &mut Vec<Step>,
) -> anyhow::Result<(Rpk, Option<L2Memory>)> {
    let began = clock.now();
    let file = File::open(zip).with_context(|| format!("cannot open {}", zip.display()))?;
    let cannot = || format!("cannot pack {}", zip.display());
    let packer_out = PackerOut::read(BufReader::new(file)).with_context(cannot)?;
    let memory = packer_out.dnn_params.l2_memory;
    let rpk = packer_out.into_rpk(colours).with_context(cannot)?;
    steps.push(Step::new("package", clock.now().since(began)));
    Ok((rpk, Some(memory)))
}

/// How long one step took.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    seconds: f64,
}

impl Step {
    fn new(name: &'static str, took: Duration) -> Self {
        Self { name, seconds: took.as_secs_f64() }
    }
}

/// What was made.
#[derive(Debug, Serialize)]
struct Packed {
    /// Of this document; raised when a field changes its meaning.
    version: u32,
    input: String,
    output: String,
    len_bytes: usize,
    input_lines: Option<u32>,
    output_lines: Option<u32>,
    intrinsics: bool,
    memory: Option<L2Memory>,
    steps: Vec<Step>,
    seconds: f64,
}

impl Packed {
    fn new(
        args: &PackArgs,
        input: &Path,
        rpk: &Rpk,
        memory: Option<L2Memory>,
        steps: Vec<Step>,
        took: Duration,
    ) -> anyhow::Result<Self> {
        let member = rpk.archive.member(imx500_regs::MEMBER);
        let registers = member.map(|member| Registers::parse(&member.data, 0)).transpose()?;
        Ok(Self {
            version: 1,
            input: input.display().to_string(),
            output: args.output.display().to_string(),
            len_bytes: rpk.len_bytes(),
            input_lines: registers.as_ref().and_then(Registers::input_lines),
            output_lines: registers.as_ref().and_then(Registers::output_lines),
            intrinsics: rpk.archive.member(qsegment::formats::network_intrinsics::MEMBER).is_some(),
            memory,
            steps,
            seconds: took.as_secs_f64(),
        })
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("{}  {} bytes", self.output, self.len_bytes)];
        if let (Some(input), Some(output)) = (self.input_lines, self.output_lines) {
            lines.push(format!("lines    input {input}, output {output}"));
        }
        if let Some(memory) = &self.memory {
            lines.push(format!("memory   {memory}"));
        }
        let steps = self.steps.iter().map(|step| format!("{} {:.3} s", step.name, step.seconds));
        lines.push(format!("time     {}", steps.collect::<Vec<_>>().join(", ")));
        lines.push(format!("next     qsegment inspect {}", self.output));
        lines.join("\n")
    }
}
