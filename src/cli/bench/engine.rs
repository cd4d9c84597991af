//! `qsegment bench engine`: how fast the int8 engine is on this machine, by kernel, threads and size, and beside others.
//!
//! ```text
//!   engines planned, all of them -> round 1: a frame by each, the dot products alone -> round 2 ... -> medians
//! ```
//!
//! Every engine runs in each round, so that whatever else the machine does meets all alike. A frame that is timed
//! follows one that is not: threads are awake then and caches filled, as in a stream of frames. Other engines are
//! compared by the ratio to ours of the same round.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use qsegment::emulator::{Kernel, MAX_THREADS, Network};
use qsegment::outputs::system_report::Machine;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::emulator::picture;
use super::machine;
use super::peers::{self, Agreement, Library, OURS, Ours, Peer, PeersArgs};
use crate::cli::config::{Config, NetworkFile};
use crate::cli::network::{self, Identity};
use crate::cli::out::Out;
use crate::cli::progress::Progress;
use crate::cli::{Failure, Form};

/// Time the int8 engine: milliseconds a frame, by kernel, number of threads and size
///
/// Every combination runs two frames in each round, of which the second counts; medians are shown. GMAC/s are multiply-accumulates of the network
/// per second of processor time; the share is of what the processor does when it multiplies in registers and nothing
/// else, measured in the same rounds.
///
/// Other engines take turns with ours, each with the same picture and number of threads, once a fundus picture has
/// shown that they compute the same network. benches/peers writes their files, and tells where their libraries are.
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
    #[command(flatten)]
    peers: PeersArgs,
}

pub(crate) fn engine(
    args: &EngineArgs,
    config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let kernels = kernels(&args.kernel)?;
    let libraries = peers::open(&args.peers)?;
    let mut network = config.network;
    if let Some(file) = &args.network {
        network.file = file.clone();
    }
    let chosen = network::load(&network, None)?;
    let (mut contenders, mut agreements) = (Vec::new(), Vec::new());
    for network in sizes(&chosen.network, &args.size)? {
        for &kernel in &kernels {
            for &threads in &args.threads {
                contenders.push(Contender::ours(&network, kernel, threads)?);
            }
        }
        for library in &libraries {
            for &threads in &args.threads {
                let (peer, agreement) = Contender::other(library, &network, threads)?;
                contenders.push(peer);
                agreements.push(agreement);
            }
        }
    }
    let mut peaks: Vec<Peak> = kernels.iter().filter_map(|&kernel| Peak::new(kernel)).collect();

    let progress = Progress::new(Some(u64::from(args.frames)));
    progress.say(format!("timing {} engines, {} frames each", contenders.len(), args.frames));
    for round in 0..args.frames {
        for contender in &mut contenders {
            contender.run()?;
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
        agreements,
        peaks: peaks.iter().map(Peak::figure).collect(),
        rows: contenders.iter().map(|contender| contender.row(&contenders, &peaks)).collect(),
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
    engine: &'static str,
    kernel: &'static str,
    threads: usize,
    size: usize,
    macs: u64,
    /// From the loaded network to the first frame. Of another engine, reading its file is in it.
    plan: Duration,
    /// Only ours tells.
    buffer_bytes: Option<usize>,
    peer: Box<dyn Peer>,
    times: Times,
}

impl Contender {
    fn ours(network: &Network, kernel: Kernel, threads: usize) -> anyhow::Result<Self> {
        let began = Instant::now();
        let ours = Ours::new(network, kernel, threads)?;
        let plan = began.elapsed();
        let buffer_bytes = Some(ours.engine.buffer_bytes());
        let threads = ours.engine.threads();
        let kernel = ours.engine.kernel().name();
        let mut ours = Self::new(OURS, kernel, threads, network, plan, Box::new(ours))?;
        ours.buffer_bytes = buffer_bytes;
        Ok(ours)
    }

    /// Not before it has shown that it computes this network.
    fn other(
        library: &Library,
        network: &Network,
        threads: usize,
    ) -> anyhow::Result<(Self, Agreement)> {
        let began = Instant::now();
        let mut peer = library.load(network, threads)?;
        let plan = began.elapsed();
        let agreement = library.check(&mut *peer, network, threads)?;
        let other = Self::new(library.engine, library.kernel, threads, network, plan, peer)?;
        Ok((other, agreement))
    }

    fn new(
        engine: &'static str,
        kernel: &'static str,
        threads: usize,
        network: &Network,
        plan: Duration,
        mut peer: Box<dyn Peer>,
    ) -> anyhow::Result<Self> {
        peer.show(&picture(network.input().len_bytes()))?;
        let (size, macs) = (network.input().width, network.macs());
        let (buffer_bytes, times) = (None, Times::default());
        Ok(Self { engine, kernel, threads, size, macs, plan, buffer_bytes, peer, times })
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let Self { peer, times, .. } = self;
        peer.run()?;
        times.of(|| peer.run())
    }

    fn row(&self, all: &[Self], peaks: &[Peak]) -> Row {
        let gmac_per_s = self.macs as f64 / self.times.cpu().as_secs_f64() / 1e9;
        // What another engine could do is what the processor can, with the best of our kernels here.
        let is_ours = self.engine == OURS;
        let peak = peaks
            .iter()
            .filter(|peak| !is_ours || peak.kernel.name() == self.kernel)
            .map(Peak::gmac_per_s)
            .reduce(f64::max);
        let as_this = |ours: &&Self| (ours.size, ours.threads) == (self.size, self.threads);
        let ours = all.iter().filter(|other| other.engine == OURS && !is_ours).filter(as_this);
        let ours = ours.min_by_key(|ours| ours.times.cpu());
        Row {
            engine: self.engine,
            kernel: self.kernel,
            threads: self.threads,
            size: self.size,
            macs: self.macs,
            cpu_ms: self.times.cpu().as_secs_f64() * 1e3,
            wall_ms: self.times.wall().as_secs_f64() * 1e3,
            times_ours_cpu: ours.map(|ours| ratio(&self.times.cpu, &ours.times.cpu)),
            times_ours_wall: ours.map(|ours| ratio(&self.times.wall, &ours.times.wall)),
            gmac_per_s,
            peak_share: peak.map(|peak| gmac_per_s / peak),
            plan_ms: self.plan.as_secs_f64() * 1e3,
            buffer_bytes: self.buffer_bytes,
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
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (wall, cpu) = (Instant::now(), cpu_time());
        let done = work();
        self.cpu.push(cpu_time().saturating_sub(cpu));
        self.wall.push(wall.elapsed());
        done
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

/// Median of the ratios of each round: what the machine did in a round, it did to both.
fn ratio(theirs: &[Duration], ours: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> =
        theirs.iter().zip(ours).map(|(theirs, ours)| theirs.div_duration_f64(*ours)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
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
    agreements: Vec<Agreement>,
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
    /// Of another engine, over the fastest of ours with as many threads.
    times_ours_cpu: Option<f64>,
    times_ours_wall: Option<f64>,
    gmac_per_s: f64,
    peak_share: Option<f64>,
    plan_ms: f64,
    buffer_bytes: Option<usize>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, build, .. } = &self.machine;
        let load = self.load_average.map_or_else(|| "unknown".to_owned(), |load| load.to_string());
        writeln!(f, "{} on {cpu}, {cores} cores, load {load}; {build}", self.network.name)?;
        for agreement in &self.agreements {
            writeln!(f, "{agreement}")?;
        }
        writeln!(f, "{} frames each, in turns; medians\n", self.frames)?;
        for (head, width) in COLUMNS {
            write!(f, "{head:>width$}")?;
        }
        for row in &self.rows {
            writeln!(f)?;
            for (cell, (_, width)) in row.cells().iter().zip(COLUMNS) {
                write!(f, "{cell:>width$}")?;
            }
        }
        writeln!(f)?;
        for peak in &self.peaks {
            let PeakFigure { kernel, gmac_per_s } = peak;
            writeln!(f, "\n{kernel}: {gmac_per_s:.0} GMAC/s in registers, on one core (the peak)")?;
        }
        Ok(())
    }
}

impl Row {
    fn cells(&self) -> [String; COLUMNS.len()] {
        fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
            value.map_or_else(|| "-".to_owned(), show)
        }
        [
            self.engine.to_owned(),
            self.kernel.to_owned(),
            self.threads.to_string(),
            self.size.to_string(),
            format!("{:.2}", self.cpu_ms),
            format!("{:.2}", self.wall_ms),
            or_dash(self.times_ours_cpu, |times| format!("{times:.2}")),
            or_dash(self.times_ours_wall, |times| format!("{times:.2}")),
            format!("{:.1}", self.gmac_per_s),
            or_dash(self.peak_share, |share| format!("{:.0} %", share * 100.0)),
            format!("{:.1}", self.plan_ms),
            or_dash(self.buffer_bytes, |bytes| format!("{:.1} MB", bytes as f64 / 1e6)),
        ]
    }
}

/// Head and width.
const COLUMNS: [(&str, usize); 12] = [
    ("engine", 11),
    ("kernel", 13),
    ("threads", 8),
    ("size", 5),
    ("CPU ms", 8),
    ("wall ms", 8),
    ("CPU/ours", 9),
    ("wall/ours", 10),
    ("GMAC/s", 8),
    ("of peak", 8),
    ("plan ms", 8),
    ("buffers", 8),
];

/// About a millisecond of dot products.
const PEAK_ROUNDS: usize = 200_000;
