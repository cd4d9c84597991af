//! `qsegment run`: the daemon.
//!
//! ```text
//!   main       opens everything, starts the others, keeps the newest frame for the report
//!   signals    Ctrl-C and SIGTERM: the first stops, the second exits          (stop.rs)
//!   reload     SIGHUP: the configuration is read again                      (reload.rs)
//!   status     a line now and then                                            (status.rs)
//!   service    tells systemd, where that started it                          (service.rs)
//!   latency-log   every count of every second, where that is wanted     (latency_log.rs)
//!   capture, decode   the pipeline's own          web, hdmi, socket   the outputs' own
//!   exposure   sets the camera's exposure and white balance, where there is a camera
//!   measure    judges and measures the newest frame, where somebody could read it
//!   mqtt, mqtt-frames   publish measurements and health, where there is a broker
//!   record     writes what the source gave, where that is wanted
//!   power-...  one an instrument for power
//! ```
//!
//! What can be known to be wrong is found before the first frame: network, scene, port, report folder.

pub(crate) mod camera;
pub(crate) mod chosen;
pub(crate) mod condition;
mod dump;
mod latency_log;
mod power;
pub(crate) mod recorded;
pub(crate) mod reload;
mod service;
mod source;
mod status;
pub(crate) mod stop;
mod table;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use qsegment::outputs::OutputError;
use qsegment::outputs::exposure::{Exposing, Observer};
use qsegment::outputs::figures::{Facts, Seen, milliseconds};
use qsegment::outputs::hdmi::{self, DisplayError, Hdmi};
use qsegment::outputs::measure::{self, Live};
use qsegment::outputs::mqtt;
use qsegment::outputs::overlay::Scale;
use qsegment::outputs::record::{self, Recorder};
use qsegment::outputs::report::{Report, ReportFolder, RunTime};
use qsegment::outputs::socket::{self, Socket};
use qsegment::outputs::web::{Feed, Serving, Web};
use qsegment::pipeline::{Frame, Options, Pipeline, RunError, Snapshot};
use qsegment::source::FrameSource;
use qsegment::source::aim::Aim;
use qsegment::source::clock::{Clock, StopSignal, since_process_start};
use qsegment::source::imx500::Sensor;
use qsegment::source::imx500::exposure::{Controller, WhiteBalanceMode};
use qsegment::source::replay::Recording;

use super::config::{Config, DisplayOutput, Listen};
use super::out::{Out, OutError, tell, tells_in_records};
use super::{Failure, Form, write};
use chosen::Asked;
use condition::{Condition, Verdict};
use dump::{Dumped, Dumping};
use power::Power;
use recorded::{Clocks, Replayed};
use reload::{Reload, Reread};
use service::Service;
pub(crate) use source::SourceArgs;
use table::Table;
use watch::Watch;

/// Run the daemon: camera or simulated sensor, network, live page
///
/// Prints the page's address and, at the end, a report. Ends after --frames, or on Ctrl-C or SIGTERM (a
/// second one ends it at once, without a report).
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    /// Where the frames come from.
    #[arg(skip)]
    pub(super) origin: Origin,
    /// End after this many sensor frames (30 a second)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) frames: Option<u64>,
    /// Leave report.json, overlay.png and mask.png in this folder, the latencies as an HdrHistogram log
    /// (latency.hlog), and the last ten seconds frame by frame for ui.perfetto.dev (trace.json); made if it is
    /// not there
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Exit with 1 if this holds at the end, such as stale>0 or sensor_to_mask_p99_ms>150; may be given
    /// more than once
    #[arg(long, value_name = "CONDITION")]
    pub(super) fail_on: Vec<Condition>,
    /// Write the first metadata buffer that carries both tensors to this file, for `qsegment inspect`
    #[arg(long, value_name = "FILE")]
    pub(super) dump_metadata: Option<PathBuf>,
    /// Write every count of every stage to this file, as an HdrHistogram log with an interval a second
    #[arg(long, value_name = "FILE")]
    pub(super) latency_log: Option<PathBuf>,
    /// Address and port of the page; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_web")]
    pub(super) listen: Option<Listen>,
    /// File with the token of the page (`qsegment token`); needed where --listen lets other machines in
    #[arg(long, value_name = "FILE", conflicts_with = "no_web")]
    pub(super) token_file: Option<PathBuf>,
    /// No page
    #[arg(long)]
    pub(super) no_web: bool,
    /// Show on a screen at this machine: on whichever card has one (auto), or on this one; with this option it
    /// must be there
    #[arg(long, value_name = "CARD", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    pub(super) hdmi: Option<DisplayOutput>,
}

/// Where the frames of a run come from.
#[derive(Debug, Clone, Default)]
pub(super) enum Origin {
    /// The source that the configuration asks for.
    #[default]
    Configured,
    /// A recording.
    Recording(Replayed),
}

impl RunArgs {
    /// A run without a page, for whoever wants its figures and not its table.
    pub(super) fn unwatched(frames: u64, source: SourceArgs, hdmi: Option<DisplayOutput>) -> Self {
        Self { frames: Some(frames), source, hdmi, no_web: true, ..Self::default() }
    }

    /// The command line wins over the file.
    pub(super) fn over(&self, config: Config) -> Config {
        let mut config = self.source.over(config);
        if self.no_web {
            config.web.listen = Listen::Off;
        }
        config.web.listen = self.listen.unwrap_or(config.web.listen);
        if let Some(file) = &self.token_file {
            config.web.token_file.clone_from(file);
        }
        if let Some(output) = &self.hdmi {
            config.hdmi.output = output.clone();
        }
        config
    }
}

/// Runs the daemon with the configuration that `load` gives, which it may ask for again.
pub(crate) fn run(
    args: &RunArgs,
    load: Reread,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let read: Reread = {
        let args = args.clone();
        Box::new(move || Ok(args.over(load()?)))
    };
    let config = read().map_err(Failure::configuration)?;
    // A recording is played under what it was made with.
    let reread = matches!(args.origin, Origin::Configured).then_some(read);
    let ended = to_the_end(args, &config, reread, form, out)?;
    if let Some(folder) = &ended.folder {
        let Ended { facts, snapshot, time, watch, .. } = &ended;
        folder.write(&ended.report, ended.last.as_deref(), config.overlay.style(Scale::Two))?;
        folder.write_latency(facts, snapshot, *time, watch.histograms())?;
        folder.write_trace(facts, snapshot, watch.trace())?;
    }
    let printed = match form {
        Form::Text if service::is_one() && tells_in_records() => {
            status::record_end(&ended.snapshot, ended.time.elapsed);
            Ok(())
        }
        Form::Text => out.line(Table { report: &ended.report, snapshot: &ended.snapshot }),
        Form::Json => out.json(&ended.report),
    };
    if let Some(failure) = ended.failure {
        return Err(failure);
    }
    // A reader who has left early does not make a failed run a good one.
    if let Some(dumped) = ended.dumped {
        dumped.judge()?;
    }
    judge(&args.fail_on, &ended.snapshot)?;
    printed?;
    Ok(ExitCode::SUCCESS)
}

/// A run that has ended, in figures.
pub(super) struct Ended {
    pub(super) report: Report,
    pub(super) snapshot: Snapshot,
    /// Last published frame.
    last: Option<Arc<Frame>>,
    /// Why it ended early: what was seen until then is reported all the same.
    pub(super) failure: Option<Failure>,
    folder: Option<ReportFolder>,
    dumped: Option<Dumped>,
    facts: Facts,
    time: RunTime,
    watch: Watch,
}

/// Opens everything and runs until `--frames`, a signal or the source ends it. `config` has the command line over it;
/// with `reread` it is read again at SIGHUP.
pub(super) fn to_the_end(
    args: &RunArgs,
    config: &Config,
    reread: Option<Reread>,
    form: Form,
    out: &mut Out,
) -> Result<Ended, Failure> {
    config.check().map_err(Failure::configuration)?;
    let stop = StopSignal::default();
    let clocks = Clocks::new(args, config, &stop);
    let host_clock = clocks.host.clone();
    // From here on, since an upload can take minutes.
    stop::obey_signals(stop.clone())?;
    let reload = reread.map(Reload::prepare).transpose()?.flatten();
    let service = Service::default();
    let mut power = Power::start(config, &host_clock)?;
    let opened = Opened::new(args, config, &stop, &clocks)?;
    power.check(&opened.facts)?;

    // Gains of the sensor's ISP change nothing in raw pictures.
    let frame_interval = opened.source.info().frame_interval;
    let balances = !opened.pipeline.inference.sees_pictures();
    let mut pipeline = Pipeline::new(Options { max_buffers: args.frames, ..opened.pipeline });
    let limits = pipeline.limits();
    let used = Arc::new(Mutex::new(config.clone()));
    if let Some(reload) = reload {
        reload.obey(Arc::clone(&used), Arc::clone(&limits), service.clone())?;
    }
    let newest = pipeline.bounded("report", REPORT_QUEUE_LEN);
    let shown = opened.web.is_some().then(|| pipeline.latest("web"));
    let on_socket = opened.socket.is_some().then(|| pipeline.latest("socket"));
    let exposing = opened
        .sensor
        .map(|sensor| expose(config, balances, frame_interval, &mut pipeline, sensor))
        .transpose()?;
    let exposure = exposing.as_ref().map(Exposing::observer);
    let on_screen = opened.hdmi.is_some().then(|| pipeline.latest("hdmi"));
    let measured = opened.mqtt.is_some().then(|| pipeline.latest("mqtt"));
    let is_read = opened.web.is_some() || opened.mqtt.is_some() || opened.recorder.is_some();
    let on_sensor = Seen::from(opened.aim.aimed().configured);
    let measuring = measure_live(config, on_sensor, &mut pipeline, is_read, &host_clock)?;
    let measures = measuring.as_ref().map(Live::observer);
    let published = opened.recorder.as_ref().map(|recorder| recorder.published(&mut pipeline));
    let started = opened.started;
    let began = host_clock.now();
    let source = opened.source.info();
    let running = pipeline.start(opened.source, host_clock.clone());
    let observer = running.observer();
    let switch = opened.recorder.as_ref().map(Recorder::switch);
    // Before anything else can fail: a source that is recorded waits for it.
    let recording = match (opened.recorder, published) {
        (Some(recorder), Some(published)) => {
            let (meters, clock) = (power.meters(), host_clock.clone());
            let measure = measures.clone();
            Some(recorder.start(record::Feed { published, meters, measure, clock })?)
        }
        _ => None,
    };
    power.begin(&observer, &opened.facts)?;
    let mut watch = Watch {
        pipeline: observer.clone(),
        meters: power.meters(),
        screen: None,
        recording: recording.as_ref().map(record::Recording::observer),
        socket: None,
        mqtt: None,
        measure: measures.clone(),
    };
    let publishing = match (opened.mqtt, measured) {
        (Some(options), Some(slot)) => {
            let feed = mqtt::Feed {
                slot,
                snapshot: watched(&watch, Watch::snapshot),
                facts: opened.facts.clone(),
                clock: host_clock.clone(),
                limits: Arc::clone(&limits),
                measure: measures.clone(),
            };
            Some(mqtt::start(options, feed)?)
        }
        _ => None,
    };
    watch.mqtt = publishing.as_ref().map(mqtt::Publishing::observer);
    let showing = match (opened.hdmi, on_screen) {
        (Some(display), Some(slot)) => {
            let showing = display.about(&opened.facts).show(hdmi::Feed {
                slot,
                snapshot: watched(&watch, Watch::snapshot),
                clock: host_clock.clone(),
                limits: Arc::clone(&limits),
            });
            Some(showing.map_err(Failure::unavailable)?)
        }
        _ => None,
    };
    watch.screen = showing.as_ref().map(hdmi::Showing::observer);
    let on_socket = match (opened.socket, on_socket) {
        (Some(socket), Some(slot)) => {
            let (facts, clock) = (opened.facts.clone(), host_clock.clone());
            let limits = Arc::clone(&limits);
            let serving = socket.serve(socket::Feed { slot, facts, source, clock, limits });
            Some(serving.map_err(OutputError::from)?)
        }
        _ => None,
    };
    watch.socket = on_socket.as_ref().map(socket::Serving::observer);
    let serving = match (opened.web, shown) {
        (Some(web), Some(slot)) => {
            let serving = web.serve(Feed {
                slot,
                snapshot: watched(&watch, Watch::snapshot),
                counted: watched(&watch, Watch::counted),
                trace: watched(&watch, Watch::trace),
                facts: opened.facts.clone(),
                clock: host_clock.clone(),
                limits: Arc::clone(&limits),
                exposure: exposure.clone(),
                mqtt: watch.mqtt.clone(),
                configuration: served(&used),
                measure: measures.clone(),
                aim: Some(opened.aim),
                recording: switch.unwrap_or(record::Switch::none(recorded::NO_FOLDER)),
            })?;
            say_address(&serving, form, out)?;
            Some(serving)
        }
        _ => None,
    };
    let serviced =
        service.start(observer.clone(), &opened.facts, Clock::monotonic(stop.clone()))?;
    let status = status::start(observer, Clock::monotonic(stop.clone()), args.frames)?;
    // Ends after decode and screen have counted their last frames.
    let log_stop = StopSignal::default();
    let logging = args
        .latency_log
        .as_deref()
        .map(|path| {
            let file = latency_log::create(path)?;
            let (watch, clock) = (watch.clone(), Clock::monotonic(log_stop.clone()));
            let started = latency_log::start(file, path, &opened.facts, watch, clock, started);
            started.context("cannot start the latency-log thread")
        })
        .transpose()?;

    let mut last = None;
    // A replay's report is the same every time.
    let live = matches!(args.origin, Origin::Configured);
    let mut to_first_mask = None;
    while let Some(frame) = newest.take() {
        to_first_mask = to_first_mask.or_else(|| live.then(since_process_start).flatten());
        last = Some(frame);
    }
    let ended = running.wait();
    let elapsed = host_clock.now().since(began);
    power.end();
    stop.raise();
    let recorded = recording.map(record::Recording::end).transpose();
    status.join().map_err(|_| anyhow!("the status thread has panicked"))?;
    if let Some(serviced) = serviced {
        serviced.join().map_err(|_| anyhow!("the service thread has panicked"))?;
    }
    drop(serving);
    drop(on_socket);
    drop(exposing);
    drop(measuring);
    drop(showing);
    drop(publishing);
    log_stop.raise();
    if let Some(logging) = logging {
        logging.join().map_err(|_| anyhow!("the latency-log thread has panicked"))?;
    }
    let (snapshot, failure) = match ended {
        Ok(_) => (watch.snapshot(), recorded.err().map(Failure::from)),
        Err(RunError::Source(error)) => {
            let last_error = Some(error.to_string());
            let snapshot = Snapshot { last_error, ..watch.snapshot() };
            let failure = match error {
                error if recorded::is_of_recording(&error) => error.into(),
                error => Failure::source(error),
            };
            (snapshot, Some(failure))
        }
        Err(bug @ (RunError::Panicked { .. } | RunError::Thread { .. })) => return Err(bug.into()),
    };

    let time = RunTime { started, elapsed };
    let mut report = Report {
        exposure: exposure.as_ref().map(Observer::figures),
        last_vessels: config
            .measure
            .options(Some(on_sensor))
            .zip(last.as_deref())
            .map(|(options, frame)| measure::of_frame(frame, options)),
        ..Report::new(&snapshot, &opened.facts, time, last.as_deref())
    };
    report.timing.start_to_first_mask.value = to_first_mask.map(milliseconds);
    report.timing.recording = watch.recording.as_ref().map(record::Observer::figures);
    let Opened { facts, folder, dumped, .. } = opened;
    Ok(Ended { report, snapshot, last, failure, folder, dumped, facts, time, watch })
}

/// For an output that asks now and then.
fn watched<T>(
    watch: &Watch,
    read: impl Fn(&Watch) -> T + Send + Sync + 'static,
) -> Arc<dyn Fn() -> T + Send + Sync> {
    let watch = watch.clone();
    Arc::new(move || read(&watch))
}

/// What the API shows of the configuration that is used.
fn served(used: &Arc<Mutex<Config>>) -> Arc<dyn Fn() -> serde_json::Value + Send + Sync> {
    let used = Arc::clone(used);
    Arc::new(move || used.lock().expect(reload::NOT_POISONED).without_secrets())
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

/// Starts the thread that judges and measures frames, unless nobody could read what it finds.
fn measure_live(
    config: &Config,
    seen: Seen,
    pipeline: &mut Pipeline,
    is_read: bool,
    clock: &Clock,
) -> anyhow::Result<Option<Live>> {
    let Some(options) = config.measure.options(Some(seen)).filter(|_| is_read) else {
        return Ok(None);
    };
    let slot = pipeline.latest("measure");
    Live::start(slot, options, clock.clone(), pipeline.limits())
        .context("cannot start the measure thread")
        .map(Some)
}

/// Everything that can be refused before the first frame.
struct Opened {
    source: Box<dyn FrameSource>,
    sensor: Option<Sensor>,
    aim: Aim,
    facts: Facts,
    /// What the source makes of the pipeline.
    pipeline: Options,
    web: Option<Web>,
    socket: Option<Socket>,
    hdmi: Option<Hdmi>,
    folder: Option<ReportFolder>,
    dumped: Option<Dumped>,
    recorder: Option<Recorder>,
    mqtt: Option<mqtt::Options>,
    /// When the run begins, or was recorded.
    started: SystemTime,
}

impl Opened {
    fn new(
        args: &RunArgs,
        config: &Config,
        stop: &StopSignal,
        clocks: &Clocks,
    ) -> Result<Self, Failure> {
        let web = match config.web.listen {
            Listen::Off => None,
            Listen::At(address) => {
                let access = config.web.access().map_err(Failure::configuration)?;
                Some(Web::bind(address, access)?)
            }
        };
        let socket = config.socket.options().map(Socket::claim).transpose();
        let socket = socket.map_err(OutputError::from)?;
        let mqtt = config.mqtt.options().map_err(Failure::configuration)?;
        let hdmi = display(config, args.hdmi.is_some())?;
        if let Some(path) = &args.dump_metadata {
            write::can_write(path)?;
        }
        let folder = args.report.as_deref().map(ReportFolder::prepare).transpose()?;
        if let Some(path) = &args.latency_log {
            write::can_write(path).context("--latency-log")?;
        }
        // Last, since a camera may stream from here on.
        let asked = Asked {
            input_size: args.source.input_size(),
            names_what_is_seen: args.source.name_what_is_seen(),
        };
        let (chosen, started) = match &args.origin {
            Origin::Configured => {
                (chosen::open(config, asked, stop, &clocks.host)?, SystemTime::now())
            }
            Origin::Recording(replayed) => {
                let recording = Recording::open(&replayed.file)?;
                let started = recorded::started(recording.facts());
                let clock = clocks.replay.clone();
                (recorded::open(recording, replayed, config, clock)?, started)
            }
        };
        let recorder = recorded::recorder(config, &chosen, started)?;
        let (source, dumped): (Box<dyn FrameSource>, _) = match &args.dump_metadata {
            Some(path) => {
                let (dumping, dumped) = Dumping::new(chosen.source, path.clone());
                (Box::new(dumping), Some(dumped))
            }
            None => (chosen.source, None),
        };
        // Innermost in the capture thread is what was dumped: both get every frame.
        let source = match &recorder {
            Some(recorder) => recorder.tap(source),
            None => source,
        };
        let chosen::Chosen { sensor, aim, facts, pipeline, .. } = chosen;
        Ok(Self {
            source,
            sensor,
            aim,
            facts,
            pipeline,
            web,
            socket,
            hdmi,
            folder,
            dumped,
            recorder,
            mqtt,
            started,
        })
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
