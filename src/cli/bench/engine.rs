//! `qsegment bench engine`: how fast the int8 engine is on this machine, by kernel, threads and size.
//!
//! ```text
//!   engines planned, all of them -> round 1: a frame by each, the dot products alone -> round 2 ... -> medians
//! ```
//!
//! Every engine runs in each round, so that whatever else the machine does meets all alike. A frame that is timed
//! follows one that is not: threads are awake then and caches filled, as in a stream of frames.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use qsegment::emulator::{Engine, Kernel, MAX_THREADS, Network};
use qsegment::outputs::system_report::Machine;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::emulator::picture;
use super::machine;
use crate::cli::config::{Config, NetworkFile};
use crate::cli::network::{self, Identity};
use crate::cli::out::Out;
use crate::cli::progress::Progress;
use crate::cli::{Failure, Form};

/// Time the int8 engine: milliseconds a frame, by kernel, number of threads and size
///
/// Every combination runs two frames in each round, of which the second counts; medians are shown. GMAC/s are multiply-accumulates of the network
/// per second of processor time; the share is of what the processor does when it multiplies in registers and nothing
/// else, measured in the same rounds. Against other engines: benches/peers.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Time this network: accurate, fast, or an ONNX file [default: the configuration's]
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkFile>,
    /// Sides of the picture in pixels [default: the network's own]
    #[arg(long, value_name = "PIXELS", value_delimiter = ',')]
    size: Vec<usize>,
    /// Numbers of threads
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1", value_parser = threads)]
    threads: Vec<usize>,
    /// Kernels, or `all` that this processor has [default: the fastest, or that of QSEGMENT_KERNEL]
    #[arg(long, value_name = "KERNEL", value_delimiter = ',')]
    kernel: Vec<String>,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
}

pub(crate) fn engine(
    args: &EngineArgs,
    config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let kernels = kernels(&args.kernel)?;
    let mut network = config.network;
    if let Some(file) = &args.network {
        network.file = file.clone();
    }
    let chosen = network::load(&network, None)?;
    let mut contenders = Vec::new();
    for network in sizes(&chosen.network, &args.size)? {
        for &kernel in &kernels {
            for &threads in &args.threads {
                contenders.push(Contender::new(&network, kernel, threads)?);
            }
        }
    }
    let mut peaks: Vec<Peak> = kernels.iter().filter_map(|&kernel| Peak::new(kernel)).collect();

    let progress = Progress::new(Some(u64::from(args.frames)));
    progress.say(format!("timing {} engines, {} frames each", contenders.len(), args.frames));
    for round in 0..args.frames {
        for contender in &mut contenders {
            contender.run();
        }
        for peak in &mut peaks {
            peak.run();
        }
        progress.set(u64::from(round) + 1);
    }
    drop(progress);

    let report = Report {
        version: 1,
        network: chosen.identity,
        machine: machine::read(Path::new("/")),
        load_average: machine::load_average(Path::new("/")),
        frames: args.frames,
        peaks: peaks.iter().map(Peak::figure).collect(),
        rows: contenders.iter().map(|contender| contender.row(&peaks)).collect(),
    };
    match form {
        Form::Text => out.line(&report)?,
        Form::Json => out.json(&report)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn kernels(names: &[String]) -> Result<Vec<Kernel>, Failure> {
    match names {
        [] => Ok(vec![Kernel::chosen().map_err(Failure::usage)?]),
        [all] if all == "all" => Ok(Kernel::here()),
        names => {
            let kernels: Result<Vec<Kernel>, _> = names.iter().map(|name| name.parse()).collect();
            kernels.map_err(Failure::usage)
        }
    }
}

fn sizes(network: &Network, sides: &[usize]) -> anyhow::Result<Vec<Network>> {
    if sides.is_empty() {
        return Ok(vec![network.clone()]);
    }
    sides.iter().map(|&side| Ok(network.with_input_size(side, side)?)).collect()
}

fn threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| (1..=MAX_THREADS).contains(threads));
    threads.ok_or_else(|| format!("want 1 to {MAX_THREADS}"))
}

/// One engine and its times.
struct Contender {
    engine: Engine,
    /// Seconds from the loaded file to the first frame: the plan.
    plan: Duration,
    macs: u64,
    size: usize,
    input: Vec<u8>,
    output: Vec<u8>,
    times: Times,
}

impl Contender {
    fn new(network: &Network, kernel: Kernel, threads: usize) -> anyhow::Result<Self> {
        let began = Instant::now();
        let engine = Engine::with(network, kernel, threads)?;
        let plan = began.elapsed();
        let input = picture(network.input().len_bytes());
        let output = vec![0; network.output().len_bytes()];
        let (macs, size) = (network.macs(), network.input().width);
        Ok(Self { engine, plan, macs, size, input, output, times: Times::default() })
    }

    fn run(&mut self) {
        let Self { engine, input, output, times, .. } = self;
        engine.run(input, output);
        times.of(|| engine.run(input, output));
    }

    fn row(&self, peaks: &[Peak]) -> Row {
        let kernel = self.engine.kernel();
        let gmac_per_s = self.macs as f64 / self.times.cpu().as_secs_f64() / 1e9;
        let peak = peaks.iter().find(|peak| peak.kernel == kernel);
        Row {
            engine: "qsegment",
            kernel: kernel.name(),
            threads: self.engine.threads(),
            size: self.size,
            macs: self.macs,
            cpu_ms: self.times.cpu().as_secs_f64() * 1e3,
            wall_ms: self.times.wall().as_secs_f64() * 1e3,
            gmac_per_s,
            peak_share: peak.map(|peak| gmac_per_s / peak.gmac_per_s()),
            plan_ms: self.plan.as_secs_f64() * 1e3,
            buffer_bytes: self.engine.buffer_bytes(),
        }
    }
}

/// A kernel's dot products by themselves, on one thread.
struct Peak {
    kernel: Kernel,
    macs: u64,
    times: Times,
}

impl Peak {
    fn new(kernel: Kernel) -> Option<Self> {
        Some(Self { kernel, macs: kernel.dot_products(PEAK_ROUNDS)?, times: Times::default() })
    }

    fn run(&mut self) {
        let kernel = self.kernel;
        self.times.of(|| {
            std::hint::black_box(kernel.dot_products(PEAK_ROUNDS));
        });
    }

    fn gmac_per_s(&self) -> f64 {
        self.macs as f64 / self.times.cpu().as_secs_f64() / 1e9
    }

    fn figure(&self) -> PeakFigure {
        PeakFigure { kernel: self.kernel.name(), gmac_per_s: self.gmac_per_s() }
    }
}

/// Of every round.
#[derive(Default)]
struct Times {
    cpu: Vec<Duration>,
    wall: Vec<Duration>,
}

impl Times {
    fn of(&mut self, work: impl FnOnce()) {
        let (wall, cpu) = (Instant::now(), cpu_time());
        work();
        self.cpu.push(cpu_time().saturating_sub(cpu));
        self.wall.push(wall.elapsed());
    }

    fn cpu(&self) -> Duration {
        median(&self.cpu)
    }

    fn wall(&self) -> Duration {
        median(&self.wall)
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// What all threads of this process have spent on processors.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    network: Identity,
    machine: Machine,
    load_average: Option<f64>,
    frames: u32,
    peaks: Vec<PeakFigure>,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct PeakFigure {
    kernel: &'static str,
    gmac_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    engine: &'static str,
    kernel: &'static str,
    threads: usize,
    /// Side of the picture, pixels.
    size: usize,
    /// Multiply-accumulates of a frame.
    macs: u64,
    cpu_ms: f64,
    wall_ms: f64,
    gmac_per_s: f64,
    peak_share: Option<f64>,
    plan_ms: f64,
    buffer_bytes: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, build, .. } = &self.machine;
        let load = self.load_average.map_or_else(|| "unknown".to_owned(), |load| load.to_string());
        writeln!(f, "{} on {cpu}, {cores} cores, load {load}; {build}", self.network.name)?;
        writeln!(f, "{} frames each, in turns; medians\n", self.frames)?;
        let heads = [
            "kernel", "threads", "size", "CPU ms", "wall ms", "GMAC/s", "of peak", "plan ms",
            "buffers",
        ];
        for head in heads {
            write!(f, "{head:>11}")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            let share = row
                .peak_share
                .map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0));
            writeln!(
                f,
                "{:>11}{:>11}{:>11}{:>11.2}{:>11.2}{:>11.1}{share:>11}{:>11.1}{:>11}",
                row.kernel,
                row.threads,
                row.size,
                row.cpu_ms,
                row.wall_ms,
                row.gmac_per_s,
                row.plan_ms,
                format!("{:.1} MB", row.buffer_bytes as f64 / 1e6),
            )?;
        }
        for peak in &self.peaks {
            let PeakFigure { kernel, gmac_per_s } = peak;
            writeln!(f, "\n{kernel}: {gmac_per_s:.0} GMAC/s in registers, on one core (the peak)")?;
        }
        Ok(())
    }
}

/// About a millisecond of dot products.
const PEAK_ROUNDS: usize = 200_000;
