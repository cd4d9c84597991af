//! `qsegment verify`: is the network computed right, here and in the sensor.
//!
//! ```text
//!   engine     = reference     every bit, on any machine
//!   reference  ~ onnxruntime   golden vectors, layer by layer: it sums in float32 in an order of its own
//!   sensor     = engine        input tensors injected into the camera, every bit
//! ```

mod difference;
mod input;
mod silicon;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use qsegment::emulator::{Engine, Network, reference};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::{self, Imx500};
use serde::Serialize;

use super::config::{Config, NetworkFile};
use super::network::{self, Identity, InputSize, file_is_packed};
use super::out::Out;
use super::progress::Progress;
use super::run::{chosen, stop};
use super::{Failure, Form, crate_version};
use difference::Difference;
use input::{Golden, Input, made};
use silicon::Silicon;

/// Verify that the network is computed right: by the emulator, and by the camera's sensor
///
/// Compares the emulator with its own definition on made input tensors, and with golden vectors where files
/// are given. With a packed network (.rpk) or --camera it injects the same tensors into the sensor and
/// compares what it answers, element by element. Exits with 1 if anything differs that must not.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Golden vectors of the network (model/golden/*.safetensors)
    #[arg(value_name = "GOLDEN")]
    golden: Vec<PathBuf>,
    /// Network instead of the configured one: accurate, fast or an MCTQ ONNX file for the emulator, packed
    /// (.rpk) for the camera; may be given once for each
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<PathBuf>,
    /// Run the network at another input size: that of the packed one
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    input_size: Option<InputSize>,
    /// Verify on this AI Camera, by its I2C name such as 10-001a; without ID on the only one
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "")]
    camera: Option<String>,
}

pub(crate) fn verify(
    args: &VerifyArgs,
    config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let (packed, onnx): (Vec<_>, Vec<_>) =
        args.networks.iter().cloned().partition(|path| file_is_packed(path));
    for (kind, given) in [("packed", &packed), ("ONNX", &onnx)] {
        if given.len() > 1 {
            return Err(Failure::usage(anyhow!(
                "{} {kind} networks are given; give one",
                given.len()
            )));
        }
    }
    let mut network = config.network.clone();
    if let Some(name) = onnx.first() {
        network.file = NetworkFile::from(name.clone().into_os_string());
    }
    let chosen = network::load(&network, args.input_size)?;
    let mut checks = emulator_checks(&chosen.network)?;
    for path in &args.golden {
        let golden = Golden::read(path, &chosen.identity.sha256)?;
        checks.extend(golden_checks(&chosen.network, &golden)?);
    }
    let packed = packed.first().cloned();
    let sensor = if args.camera.is_some() || packed.is_some() {
        let camera = open_camera(args.camera.as_deref(), packed, &config)?;
        let (sensor, check) = sensor_checks(camera, &chosen.network)?;
        checks.extend(check);
        Some(sensor)
    } else {
        None
    };
    let passes = checks.iter().all(|check| check.passes);
    let verified = Verified {
        version: 1,
        qsegment: crate_version(),
        network: chosen.identity,
        sensor,
        checks,
        passes,
    };
    match form {
        Form::Text => out.line(&verified)?,
        Form::Json => out.json(&verified)?,
    }
    Ok(if passes { ExitCode::SUCCESS } else { super::Code::Failed.into() })
}

/// What was found.
#[derive(Debug, Serialize)]
struct Verified {
    version: u32,
    qsegment: &'static str,
    network: Identity,
    sensor: Option<SensorIdentity>,
    checks: Vec<Check>,
    passes: bool,
}

/// Which sensor answered.
#[derive(Debug, Serialize)]
struct SensorIdentity {
    camera: String,
    receiver: &'static str,
    /// The sensor's serial number, where its driver tells it.
    device_id: Option<String>,
}

/// One comparison.
#[derive(Debug, Serialize)]
struct Check {
    input: String,
    got: &'static str,
    want: &'static str,
    #[serde(flatten)]
    difference: Difference,
    passes: bool,
}

impl Check {
    fn exact(input: &str, got: &'static str, want: &'static str, difference: Difference) -> Self {
        let passes = difference.differing == 0;
        Self { input: input.to_owned(), got, want, difference, passes }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "network {}, sha256 {}", self.network.name, &self.network.sha256[..12])?;
        if let Some(sensor) = &self.sensor {
            let id = sensor.device_id.as_deref().unwrap_or("not told by the driver");
            writeln!(f, "camera {} behind {}, device id {id}", sensor.camera, sensor.receiver)?;
        }
        for check in &self.checks {
            let verdict = if check.passes { "ok    " } else { "FAILED" };
            let Check { input, got, want, difference, .. } = check;
            writeln!(f, "{verdict} {input}: {got} against {want}: {difference}")?;
        }
        let failed = self.checks.iter().filter(|check| !check.passes).count();
        write!(f, "{} passed, {failed} failed", self.checks.len() - failed)
    }
}

/// The fast engine against the definition, on a small input: the definition is slow.
fn emulator_checks(network: &Network) -> anyhow::Result<Vec<Check>> {
    let small = network.with_input_size(SMALL, SMALL).unwrap_or_else(|_| network.clone());
    made(small.input()).iter().map(|input| engine_check(&small, input)).collect()
}

fn engine_check(network: &Network, input: &Input) -> anyhow::Result<Check> {
    let mut output = vec![0; network.output().len_bytes()];
    Engine::new(network).run(&input.bytes, &mut output);
    let graph = network.graph();
    let tensors = reference::run(graph, &input.bytes);
    let place = graph.tensors().iter().position(|tensor| tensor == graph.output());
    let want = place.and_then(|place| tensors.get(place)).context("the network has no output")?;
    let difference = Difference::of(network.output(), &output, want);
    Ok(Check::exact(&input.name, "engine", "reference", difference))
}

/// Each layer of the definition, fed with the golden input of that layer.
fn golden_checks(network: &Network, golden: &Golden) -> anyhow::Result<Vec<Check>> {
    let Input { height, width, .. } = golden.input;
    let network = network.with_input_size(height, width)?;
    let graph = network.graph();
    let mut tensors = vec![Vec::new(); graph.tensors().len()];
    tensors[0].clone_from(&golden.input.bytes);
    let mut layers = Difference::default();
    for node in graph.nodes() {
        let inputs: Vec<&[u8]> = node.inputs.iter().map(|&at| tensors[at].as_slice()).collect();
        let made = reference::run_node(graph, node, &inputs);
        let spec = &graph.tensors()[node.output];
        // A pooling has no quantiser and so no golden vector: what was made goes on.
        tensors[node.output] = match golden.tensor(spec) {
            Some(want) => {
                layers = layers.and(Difference::of(spec, &made, want));
                want.to_vec()
            }
            None => made,
        };
    }
    ensure!(layers.elements > 0, "{} has no vector of this network's layers", golden.name);
    // onnxruntime's own roundings: about one element in a million, by one step.
    let passes = layers.largest() <= 1 && layers.differing * 100_000 <= layers.elements;
    let layers = Check {
        input: golden.name.clone(),
        got: "reference, each layer",
        want: "onnxruntime",
        difference: layers,
        passes,
    };
    Ok(vec![engine_check(&network, &golden.input)?, layers])
}

fn open_camera(
    id: Option<&str>,
    packed: Option<PathBuf>,
    config: &Config,
) -> Result<Imx500, Failure> {
    let mut config = config.clone();
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        id.clone_into(&mut config.camera.id);
    }
    imx500::present(config.camera.id()).map_err(Failure::source)?;
    let stop = StopSignal::default();
    stop::obey_signals(stop.clone())?;
    if let Some(packed) = packed {
        config.camera.network = packed;
    }
    let options = imx500::Options { injection: true, ..chosen::camera_options(&config)? };
    chosen::open_camera(options, Clock::monotonic(stop))
}

/// What the sensor answers against what the engine computes.
fn sensor_checks(
    camera: Imx500,
    network: &Network,
) -> Result<(SensorIdentity, Vec<Check>), Failure> {
    let (id, receiver) = (camera.id().to_owned(), camera.receiver().name());
    let mut silicon = Silicon::start(camera, network.input(), network.output())?;
    let device_id = silicon.device_id()?;
    let mut engine = Engine::new(network);
    let mut want = vec![0; network.output().len_bytes()];
    let mut got = Vec::new();
    let inputs = made(network.input());
    let progress = Progress::new(Some(inputs.len() as u64));
    let mut checks = Vec::with_capacity(inputs.len());
    for (done, input) in (0..).zip(&inputs) {
        progress.set(done);
        progress.say(format!("injecting {}", input.name));
        engine.run(&input.bytes, &mut want);
        silicon.run(&input.bytes, &mut got).with_context(|| format!("on input {}", input.name))?;
        let difference = Difference::of(network.output(), &got, &want);
        checks.push(Check::exact(&input.name, "sensor", "engine", difference));
    }
    Ok((SensorIdentity { camera: id, receiver, device_id }, checks))
}

/// A side that the definition computes in a second.
const SMALL: usize = 80;
