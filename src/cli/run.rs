//! `qsegment run`: the daemon.
//!
//! ```text
//!   main       opens everything, starts the others, keeps the newest frame for the report
//!   signals    Ctrl-C and SIGTERM: the first stops, the second exits          (stop.rs)
//!   status     a line now and then                                            (status.rs)
//!   latency-log   every count of every second, where that is wanted     (latency_log.rs)
//!   capture, decode   the pipeline's own          web, hdmi   the outputs' own
//!   exposure   sets the camera's exposure and white balance, where there is a camera
//!   power-...  one an instrument for power
//! ```
//!
//! What can be known to be wrong is found before the first frame: network, scene, port, report folder.

mod camera;
pub(crate) mod chosen;
mod condition;
mod dump;
mod latency_log;
mod power;
mod status;
pub(crate) mod stop;
mod table;
mod watch;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use qsegment::outputs::exposure::{Exposing, Observer};
use qsegment::outputs::figures::Facts;
use qsegment::outputs::hdmi::{self, DisplayError, Hdmi};
use qsegment::outputs::overlay::Scale;
use qsegment::outputs::report::{Report, ReportFolder, RunTime};
use qsegment::outputs::web::{Feed, Serving, Web};
use qsegment::pipeline::{Options, Pipeline, RunError, Snapshot};
use qsegment::source::FrameSource;
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::Sensor;
use qsegment::source::imx500::exposure::{Controller, WhiteBalanceMode};
use qsegment::source::inference_window::WindowChoice;
use qsegment::source::simulated::faults::FaultPlan;

use super::config::{
    Config, DisplayOutput, Fault, Inference, Kind, Listen, NetworkFile, Pace, Picture, SceneName,
    Switch, Window,
};
use super::network::{self, InputSize};
use super::out::{Out, OutError, tell};
use super::{Failure, Form, write};
use chosen::Asked;
use condition::{Condition, Verdict};
use dump::{Dumped, Dumping};
use power::Power;
use table::Table;
use watch::Watch;

/// Run the daemon: camera or simulated sensor, network, live page
///
/// Prints the page's address and, at the end, a report. Ends after --frames, or on Ctrl-C or SIGTERM (a
/// second one ends it at once, without a report).
#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// End after this many sensor frames (30 a second)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Leave report.json, overlay.png and mask.png in this folder, the latencies as an HdrHistogram log
    /// (latency.hlog), and the last ten seconds frame by frame for ui.perfetto.dev (trace.json); made if it is
    /// not there
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Where frames come from. Without it, an option that only the simulated sensor has means simulated, and
    /// one that only the camera has means imx500
    #[arg(long, value_name = "SOURCE")]
    source: Option<Kind>,
    /// Which AI Camera, by its I2C name such as 10-001a
    #[arg(long, value_name = "ID")]
    camera: Option<String>,
    /// What is shown of the camera's frames
    #[arg(long)]
    picture: Option<Picture>,
    /// Who runs the network
    #[arg(long)]
    inference: Option<Inference>,
    /// Network instead of the configured one: packed (.rpk) for the camera, MCTQ ONNX for the simulated
    /// sensor and for the host
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Run the network at another input size; its parameters do not depend on it
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    input_size: Option<InputSize>,
    /// What the simulated sensor looks at: built-in, phantom, a picture, or a folder of pictures
    #[arg(long, value_name = "SCENE")]
    scene: Option<String>,
    /// Crop of the full 4056 x 3040 sensor that feeds the network: LEFT,TOP,WIDTH,HEIGHT, where a smaller
    /// one shows finer vessels; or stretch (the whole sensor, squeezed), fill (the largest without
    /// distortion) or fit (the whole sensor, for networks of its aspect). The picture fills the square
    /// 508,0,3040,3040
    #[arg(long, value_name = "WINDOW")]
    inference_window: Option<WindowChoice>,
    /// Seed of everything random
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Whether frames come in real time
    #[arg(long)]
    pace: Option<Pace>,
    /// Whether tensors come as late as the network takes in the sensor
    #[arg(long)]
    timing: Option<Switch>,
    /// Inject a fault, NAME[:FIRST-LAST][:every=FRAMES]; may be given more than once. Names: dropped-tensor,
    /// invalid-flag, counter-jump, counter-wrap, truncated-buffer, corrupt-ap-params, stalled-source,
    /// lost-buffer
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<FaultPlan>,
    /// Exit with 1 if this holds at the end, such as stale>0 or sensor_to_mask_p99_ms>150; may be given
    /// more than once
    #[arg(long, value_name = "CONDITION")]
    fail_on: Vec<Condition>,
    /// Write the first metadata buffer that carries both tensors to this file, for `qsegment inspect`
    #[arg(long, value_name = "FILE")]
    dump_metadata: Option<PathBuf>,
    /// Write every count of every stage to this file, as an HdrHistogram log with an interval a second
    #[arg(long, value_name = "FILE")]
    latency_log: Option<PathBuf>,
    /// Address and port of the page; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_web")]
    listen: Option<Listen>,
    /// No page
    #[arg(long)]
    no_web: bool,
    /// Show on a screen at this machine: on whichever card has one (auto), or on this one; with this option it
    /// must be there
    #[arg(long, value_name = "CARD", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    hdmi: Option<DisplayOutput>,
}

impl RunArgs {
    /// Whether scene, network or window, which the source may refuse, come from here.
    fn name_what_is_seen(&self) -> bool {
        self.scene.is_some()
            || self.network.is_some()
            || self.input_size.is_some()
            || self.inference_window.is_some()
    }

    /// The command line wins over the file.
    fn over(&self, mut config: Config) -> Config {
        let simulation = self.scene.is_some()
            || self.seed.is_some()
            || self.pace.is_some()
            || self.timing.is_some()
            || !self.faults.is_empty();
        let inference = self.inference.unwrap_or(config.pipeline.inference);
        // A network on the host of a camera has an input size, too.
        let sized = self.input_size.is_some() && inference != Inference::Host;
        // Whoever simulates is told that a packed network is not for that.
        let for_camera = match self.source {
            Some(kind) => kind != Kind::Simulated,
            None => !simulation,
        };
        let packed =
            self.network.as_deref().filter(|path| for_camera && network::file_is_packed(path));
        let source = &mut config.source;
        source.kind = match self.source {
            Some(kind) => kind,
            None if simulation => Kind::Simulated,
            None if self.camera.is_some() || self.picture.is_some() || packed.is_some() => {
                Kind::Imx500
            }
            None if sized => Kind::Simulated,
            None => source.kind,
        };
        if let Some(id) = &self.camera {
            config.camera.id.clone_from(id);
        }
        config.camera.picture = self.picture.unwrap_or(config.camera.picture);
        if let Some(scene) = &self.scene {
            source.scene = SceneName(scene.clone());
        }
        if let Some(window) = self.inference_window {
            source.inference_window = Window(window);
        }
        source.seed = self.seed.unwrap_or(source.seed);
        source.pace = self.pace.unwrap_or(source.pace);
        source.timing = self.timing.unwrap_or(source.timing);
        if !self.faults.is_empty() {
            source.faults = self.faults.iter().copied().map(Fault).collect();
        }
        match (packed, &self.network) {
            (Some(packed), _) => packed.clone_into(&mut config.camera.network),
            (None, Some(path)) => config.network.file = NetworkFile::Path(path.clone()),
            (None, None) => {}
        }
        let inference = &mut config.pipeline.inference;
        *inference = self.inference.unwrap_or(*inference);
        if self.no_web {
            config.web.listen = Listen::Off;
        }
        config.web.listen = self.listen.unwrap_or(config.web.listen);
        if let Some(output) = &self.hdmi {
            config.hdmi.output = output.clone();
        }
        config
    }
}

pub(crate) fn run(
    args: &RunArgs,
    config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    if let Some(listen) = args.listen {
        listen.check().context("--listen").map_err(Failure::usage)?;
    }
    let config = args.over(config);
    config.check().map_err(Failure::configuration)?;
    let stop = StopSignal::default();
    let host_clock = Clock::monotonic(stop.clone());
    // From here on, since an upload can take minutes.
    stop::obey_signals(stop.clone())?;
    let mut power = Power::start(&config, &host_clock)?;
    let opened = Opened::new(args, &config, &stop, &host_clock)?;
    power.check(&opened.facts)?;

    // Gains of the sensor's ISP change nothing in raw pictures.
    let frame_interval = opened.source.info().frame_interval;
    let balances = !opened.pipeline.inference.sees_pictures();
    let mut pipeline = Pipeline::new(Options {
        max_buffers: args.frames,
        threshold: config.pipeline.threshold_byte(),
        stale_after: config.pipeline.stale_after(),
        stall_after: config.pipeline.stall_after(),
        ..opened.pipeline
    });
    let newest = pipeline.bounded("report", REPORT_QUEUE_LEN);
    let shown = opened.web.is_some().then(|| pipeline.latest("web"));
    let exposing = opened
        .sensor
        .map(|sensor| expose(&config, balances, frame_interval, &mut pipeline, sensor))
        .transpose()?;
    let exposure = exposing.as_ref().map(Exposing::observer);
    let on_screen = opened.hdmi.is_some().then(|| pipeline.latest("hdmi"));
    let started = SystemTime::now();
    let began = host_clock.now();
    let running = pipeline.start(opened.source, host_clock.clone());
    let observer = running.observer();
    power.begin(&observer, &opened.facts)?;
    let mut watch = Watch { pipeline: observer.clone(), meters: power.meters(), screen: None };
    let showing = match (opened.hdmi, on_screen) {
        (Some(display), Some(slot)) => {
            let showing = display.show(hdmi::Feed {
                slot,
                snapshot: watched(&watch, Watch::snapshot),
                clock: host_clock.clone(),
                stale_after: config.pipeline.stale_after(),
            });
            Some(showing.map_err(Failure::unavailable)?)
        }
        _ => None,
    };
    watch.screen = showing.as_ref().map(hdmi::Showing::observer);
    let serving = match (opened.web, shown) {
        (Some(web), Some(slot)) => {
            let serving = web.serve(Feed {
                slot,
                snapshot: watched(&watch, Watch::snapshot),
                trace: watched(&watch, Watch::trace),
                facts: opened.facts.clone(),
                clock: host_clock.clone(),
                stale_after: config.pipeline.stale_after(),
                exposure: exposure.clone(),
            })?;
            say_address(&serving, form, out)?;
            Some(serving)
        }
        _ => None,
    };
    let status = status::start(observer, host_clock.clone(), args.frames)?;
    let logging = args
        .latency_log
        .as_deref()
        .zip(opened.latency_log)
        .map(|(path, file)| {
            let (watch, clock) = (watch.clone(), host_clock.clone());
            latency_log::start(file, path, &opened.facts, watch, clock, started)
        })
        .transpose()?;

    let mut last = None;
    while let Some(frame) = newest.take() {
        last = Some(frame);
    }
    let ended = running.wait();
    let elapsed = host_clock.now().since(began);
    power.end();
    stop.raise();
    status.join().map_err(|_| anyhow!("the status thread has panicked"))?;
    if let Some(logging) = logging {
        logging.join().map_err(|_| anyhow!("the latency-log thread has panicked"))?;
    }
    drop(serving);
    drop(exposing);
    drop(showing);
    let (snapshot, failure) = match ended {
        Ok(_) => (watch.snapshot(), None),
        // What was seen until then is reported all the same.
        Err(RunError::Source(error)) => {
            let last_error = Some(error.to_string());
            let snapshot = Snapshot { last_error, ..watch.snapshot() };
            (snapshot, Some(Failure::unavailable(error)))
        }
        Err(bug @ (RunError::Panicked { .. } | RunError::Thread { .. })) => return Err(bug.into()),
    };

    let time = RunTime { started, elapsed };
    let report = Report {
        exposure: exposure.as_ref().map(Observer::figures),
        ..Report::new(&snapshot, &opened.facts, time, last.as_deref())
    };
    if let Some(folder) = &opened.folder {
        folder.write_latency(&opened.facts, &snapshot, time, watch.histograms())?;
        folder.write_trace(&opened.facts, &snapshot, watch.trace())?;
        folder.write(&report, last.as_deref(), config.overlay.style(Scale::Two))?;
    }
    let printed = match form {
        Form::Text => out.line(Table { report: &report, snapshot: &snapshot }),
        Form::Json => out.json(&report),
    };
    if let Some(failure) = failure {
        return Err(failure);
    }
    // A reader who has left early does not make a failed run a good one.
    if let Some(dumped) = opened.dumped {
        dumped.judge()?;
    }
    judge(&args.fail_on, &snapshot)?;
    printed?;
    Ok(ExitCode::SUCCESS)
}

/// For an output that asks now and then.
fn watched<T>(
    watch: &Watch,
    read: impl Fn(&Watch) -> T + Send + Sync + 'static,
) -> Arc<dyn Fn() -> T + Send + Sync> {
    let watch = watch.clone();
    Arc::new(move || read(&watch))
}

/// Frames that wait for the main thread, which only keeps the newest.
const REPORT_QUEUE_LEN: usize = 4;

/// Starts the thread that sets the camera's exposure and white balance by what the network sees.
fn expose(
    config: &Config,
    balances: bool,
    frame_interval: Duration,
    pipeline: &mut Pipeline,
    sensor: Sensor,
) -> anyhow::Result<Exposing> {
    pipeline.measure_light();
    let slot = pipeline.latest("exposure");
    let mut options = config.exposure();
    if !balances {
        tracing::info!("raw pictures are developed for daylight; [white_balance] is not used");
        options.white_balance = WhiteBalanceMode::Fixed { red: 1.0, blue: 1.0 };
    }
    let controller = Controller::new(options);
    let obey = Box::new(move |order| sensor.obey(order));
    Exposing::start(slot, frame_interval, controller, obey)
        .context("cannot start the exposure thread")
}

/// Everything that can be refused before the first frame.
struct Opened {
    source: Box<dyn FrameSource>,
    sensor: Option<Sensor>,
    facts: Facts,
    /// What the source makes of the pipeline.
    pipeline: Options,
    web: Option<Web>,
    hdmi: Option<Hdmi>,
    folder: Option<ReportFolder>,
    latency_log: Option<File>,
    dumped: Option<Dumped>,
}

impl Opened {
    fn new(
        args: &RunArgs,
        config: &Config,
        stop: &StopSignal,
        host_clock: &Clock,
    ) -> Result<Self, Failure> {
        let web = match config.web.listen {
            Listen::Off => None,
            Listen::At(address) => Some(Web::bind(address)?),
        };
        let hdmi = display(config, args.hdmi.is_some())?;
        if let Some(path) = &args.dump_metadata {
            write::can_write(path)?;
        }
        let folder = args.report.as_deref().map(ReportFolder::prepare).transpose()?;
        let latency_log = args.latency_log.as_deref().map(latency_log::create).transpose()?;
        // Last, since a camera may stream from here on.
        let asked =
            Asked { input_size: args.input_size, names_what_is_seen: args.name_what_is_seen() };
        let chosen = chosen::open(config, asked, stop, host_clock)?;
        let (source, dumped): (Box<dyn FrameSource>, _) = match &args.dump_metadata {
            Some(path) => {
                let (dumping, dumped) = Dumping::new(chosen.source, path.clone());
                (Box::new(dumping), Some(dumped))
            }
            None => (chosen.source, None),
        };
        let chosen::Chosen { sensor, facts, pipeline, .. } = chosen;
        Ok(Self { source, sensor, facts, pipeline, web, hdmi, folder, latency_log, dumped })
    }
}

/// The screen, if one is wanted. Without one the run goes on unless the command line or a card's name says that
/// it must be there.
fn display(config: &Config, must_be: bool) -> Result<Option<Hdmi>, Failure> {
    let Some(options) = config.hdmi.options(config.overlay.style(Scale::One)) else {
        return Ok(None);
    };
    match Hdmi::claim(options) {
        Ok(hdmi) => Ok(Some(hdmi)),
        Err(error) if !must_be && config.hdmi.output == DisplayOutput::Auto => {
            tracing::warn!("display: none, {error}");
            Ok(None)
        }
        Err(error @ DisplayError::NoMode { .. }) => Err(Failure::configuration(error)),
        Err(error) => Err(Failure::unavailable(error)),
    }
}

/// What the command line named wrongly has failed; what the configuration names must be corrected there.
fn blame(from_command_line: bool, error: anyhow::Error) -> Failure {
    if from_command_line { error.into() } else { Failure::configuration(error) }
}

fn say_address(serving: &Serving, form: Form, out: &mut Out) -> Result<(), OutError> {
    let line = format!("http://{}/", serving.address());
    match form {
        Form::Text => out.line(line),
        // Standard output is for the one document.
        Form::Json => {
            tell(line);
            Ok(())
        }
    }
}

fn judge(conditions: &[Condition], snapshot: &Snapshot) -> anyhow::Result<()> {
    let failed: Vec<String> = conditions
        .iter()
        .filter_map(|condition| match condition.judge(snapshot) {
            Verdict::Fine => None,
            Verdict::Holds(found) => Some(format!("{condition} holds: it is {found}")),
            Verdict::Unknown => {
                Some(format!("{condition} cannot be judged: the run has no such figure"))
            }
        })
        .collect();
    ensure!(failed.is_empty(), "--fail-on {}", failed.join("; "));
    Ok(())
}
