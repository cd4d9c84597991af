//! The system report: this run beside the paper's table, the model with its numbers, and what follows from them.
//!
//! ```text
//!   published.rs   others' figures ---+
//!   model.rs       arithmetic on them +--> SystemReport --> system.json
//!   Report         this run ----------+         |
//!   emulator, machine ----------------+         +--> document.rs --> markdown.rs --> system.md
//!                                                     plot.rs ---^--> html.rs -----> system.html
//! ```
//!
//! Markdown and HTML are two spellings of one document, so neither can say what the other does not. What a clock
//! of this machine had a part in is inside `timing` and `run.timing`; two runs with one seed differ only there.

mod document;
mod figure;
mod html;
mod markdown;
mod model;
mod plot;
mod published;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

pub use figure::{Basis, Row, Value};
pub use model::ModelInputs;

use super::figures::power::{PowerFigures, UncertainFigure};
use super::figures::{NetworkFacts, StageDefinition, StageFigures, definition, milliseconds};
use super::report::Report;
use super::{DISCLAIMER, OutputError, whole_file};
use crate::emulator::Network;
use crate::pipeline::latency::Stage;
use crate::source::power::Scope;
use published::{PAPER, Published, TABLE_III};

/// Everything the report says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemReport {
    /// Of this format: 1.
    pub version: u32,
    /// [`DISCLAIMER`].
    pub disclaimer: &'static str,
    /// Of the program.
    pub qsegment: String,
    /// What makes it again.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// Why the screen has no figures, if it has none.
    pub screen_missing: Option<&'static str>,
    /// What model, bound and emulator are of: the network that ran, unless that one came packed for the sensor.
    pub emulator_network: NetworkFacts,
    /// The paper's table.
    pub published: Vec<Compared>,
    /// The model of the simulated sensor.
    pub model: Vec<Row>,
    /// What the paper's latencies can and cannot be.
    pub bound: Vec<Row>,
    /// The run, as `qsegment run` reports it.
    pub run: Report,
    /// What a clock of this machine had a part in, beside `run.timing`.
    pub timing: Timing,
}

/// What a clock of this machine had a part in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// This run, in the columns of the paper's table.
    pub ours: Vec<Compared>,
    /// The network on this machine's processor.
    pub emulator: Vec<Row>,
    /// Of one minute, before the run; none where the kernel does not tell it.
    pub load_average: Option<f64>,
}

/// One line beside the paper's table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Whose line.
    pub platform: String,
    /// Milliseconds; of ours the median.
    pub latency: Value,
    /// Of the latency.
    pub latency_quality: Basis,
    /// Milliwatts.
    pub power: Value,
    /// Of the power.
    pub power_quality: Basis,
    /// Millijoules: latency times power, for every line.
    pub energy: Value,
    /// Of the energy.
    pub energy_quality: Basis,
    /// Of the network; none where they are not published here.
    pub parameters: Option<f64>,
    /// What latency and power are.
    pub definition: String,
    /// Where they come from.
    pub source: String,
}

/// The machine, without its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The board, where it says so.
    pub board: Option<String>,
    /// The processor.
    pub cpu: String,
    /// Threads that can run at once.
    pub cores: usize,
    /// Vector instructions that it has; which the program uses is its own choice.
    pub simd: Vec<&'static str>,
    /// Version of the kernel.
    pub kernel: String,
    /// How the program was built.
    pub build: &'static str,
}

/// What a report is made from.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The run.
    pub run: Report,
    /// Why the screen has no figures.
    pub screen_missing: Option<&'static str>,
    /// The network as the emulator has it.
    pub network: &'a Network,
    /// Which that is.
    pub network_facts: NetworkFacts,
    /// The network on this machine's processor.
    pub emulator: Vec<EmulatorTime>,
    /// Of one minute, before the run.
    pub load_average: Option<f64>,
    /// What the energy model was told.
    pub model: ModelInputs,
    /// What it ran on.
    pub machine: Machine,
    /// What makes the report again.
    pub command: String,
}

/// How long the emulator takes for one inference.
#[derive(Debug, Clone, PartialEq)]
pub struct EmulatorTime {
    /// Which implementation.
    pub kernel: &'static str,
    /// At once.
    pub threads: usize,
    /// Of the input.
    pub width: usize,
    /// Of the input.
    pub height: usize,
    /// Multiply-accumulates at that size.
    pub macs: u64,
    /// Each inference.
    pub times: Vec<Duration>,
    /// Why it was not run at the network's own size, where it was not.
    pub reduced: Option<&'static str>,
}

impl SystemReport {
    /// Puts everything beside everything.
    #[must_use]
    pub fn new(subject: Subject<'_>) -> Self {
        let Subject { run, screen_missing, network, emulator, model, .. } = subject;
        let macs = run.network.macs.unwrap_or(network.macs());
        let emulated = subject.network_facts.parameters;
        let ours = ours(&run, screen_missing, &emulator, emulated);
        Self {
            version: 1,
            disclaimer: DISCLAIMER,
            qsegment: run.qsegment.clone(),
            command: subject.command,
            machine: subject.machine,
            screen_missing,
            emulator_network: subject.network_facts,
            published: TABLE_III.into_iter().map(Compared::from).collect(),
            model: model::model(macs, model),
            bound: model::bound(network),
            timing: Timing {
                ours,
                emulator: emulator.iter().map(Row::from).collect(),
                load_average: subject.load_average,
            },
            run,
        }
    }

    /// Every stage that a frame has passed, in their order.
    pub(crate) fn stages(&self) -> impl Iterator<Item = &StageFigures> {
        let run = self.run.stages.iter().chain(&self.run.timing.stages);
        run.filter(|stage| stage.count > 0)
    }

    /// As a Markdown file.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::write(&document::document(self))
    }

    /// As one HTML file that needs nothing else.
    #[must_use]
    pub fn html(&self) -> String {
        html::write(&document::document(self))
    }
}

/// A folder that has been written into once, so that minutes of measuring do not end in "permission denied".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemReportFolder(PathBuf);

impl SystemReportFolder {
    /// Creates the folder if need be and tries a file in it.
    ///
    /// # Errors
    /// When it cannot be made or written into.
    pub fn prepare(folder: &Path) -> Result<Self, OutputError> {
        whole_file::prepare_folder(folder, JSON_FILE).map_err(|error| OutputError::Folder {
            folder: folder.to_owned(),
            cause: error.to_string(),
        })?;
        Ok(Self(folder.to_owned()))
    }

    /// Writes the three files, each whole or not at all; returns where they are.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, report: &SystemReport) -> Result<[PathBuf; 3], OutputError> {
        let mut json =
            serde_json::to_string_pretty(report).expect("keys are strings, numbers finite");
        json.push('\n');
        let files =
            [(MARKDOWN_FILE, report.markdown()), (JSON_FILE, json), (HTML_FILE, report.html())];
        for (name, text) in &files {
            let file = self.0.join(name);
            whole_file::write(&file, |writer| writer.write_all(text.as_bytes()))
                .map_err(|error| OutputError::Write { file, cause: error.to_string() })?;
        }
        Ok(files.map(|(name, _)| self.0.join(name)))
    }
}

const MARKDOWN_FILE: &str = "system.md";
const JSON_FILE: &str = "system.json";
const HTML_FILE: &str = "system.html";

impl From<Published> for Compared {
    fn from(published: Published) -> Self {
        Self {
            platform: published.platform.to_owned(),
            latency: Value::one(published.latency_ms),
            latency_quality: Basis::Published,
            power: Value::one(published.power_mw),
            power_quality: Basis::Published,
            energy: Value::one(published.millijoules()),
            energy_quality: Basis::Computed,
            parameters: published.parameters,
            definition: published.remark.to_owned(),
            source: PAPER.to_owned(),
        }
    }
}

/// This run, in the columns of the paper's table.
fn ours(
    run: &Report,
    screen_missing: Option<&'static str>,
    emulator: &[EmulatorTime],
    emulated: Option<u64>,
) -> Vec<Compared> {
    let parameters = run.network.parameters.map(|parameters| parameters as f64);
    let sensor = mean_power(
        run,
        Scope::Sensor,
        "no instrument measures the sensor ([power] in config.toml)",
    );
    let board =
        mean_power(run, Scope::Board, "no instrument measures the board ([power] in config.toml)");
    let compared = |platform: &str,
                    of: Result<&StageFigures, (StageDefinition, &str)>,
                    power: &(Value, Basis)| {
        let (latency, latency_quality, definition) = match of {
            Ok(stage) => (Value::one(stage.p50_ms), stage.quality.into(), stage.definition),
            Err((definition, why)) => (Value::missing(why), Basis::NotMeasured, definition),
        };
        let (power, power_quality) = power.clone();
        let (energy, energy_quality) =
            product((&latency, latency_quality), (&power, power_quality));
        Compared {
            platform: platform.to_owned(),
            latency,
            latency_quality,
            power,
            power_quality,
            energy,
            energy_quality,
            parameters,
            definition: format!("median; {}", span(definition)),
            source: format!("this run, clock: {}", definition.clock),
        }
    };
    let stage = |stage| {
        let definition = definition(stage);
        let why = if stage == Stage::NetworkRunTime { NO_RUN_TIME } else { "no frame was timed" };
        stage_of(run, definition.name).ok_or((definition, why))
    };
    let apart = (Value::missing("no scope contains this stage alone"), Basis::NotMeasured);
    let scanned_out = match screen_missing {
        Some(why) => Err((definition(Stage::ExposureToFlip), why)),
        None => stage(Stage::ExposureToFlip),
    };
    let mut ours = vec![
        compared("ours: in sensor", stage(Stage::NetworkRunTime), &sensor),
        compared("ours: sensor to tensor", stage(Stage::SensorToTensor), &sensor),
        compared("ours: tensor to mask", stage(Stage::TensorToMask), &apart),
        compared("ours: sensor to scan-out", scanned_out, &board),
    ];
    ours.extend(emulator.iter().filter(|time| time.reduced.is_none()).map(|time| Compared {
        platform: format!("ours: emulator ({}), on this CPU", time.kernel),
        latency: Value::one(milliseconds(time.median())),
        latency_quality: Basis::Measured,
        power: apart.0.clone(),
        power_quality: apart.1,
        energy: Value::missing("no power"),
        energy_quality: Basis::NotMeasured,
        parameters: emulated.map(|parameters| parameters as f64),
        definition: time.definition(),
        source: EMULATOR_SOURCE.to_owned(),
    }));
    ours
}

const NO_RUN_TIME: &str = "the sensor did not run the network, so its KPI line says nothing of it";

fn stage_of<'a>(run: &'a Report, name: &str) -> Option<&'a StageFigures> {
    let mut stages = run.stages.iter().chain(&run.timing.stages);
    stages.find(|stage| stage.definition.name == name && stage.count > 0)
}

fn span(definition: StageDefinition) -> String {
    format!("from: {}; to: {}", definition.from, definition.to)
}

fn mean_power(run: &Report, scope: Scope, missing: &'static str) -> (Value, Basis) {
    let of_scope = |power: &&PowerFigures| power.scope == scope;
    match run.timing.power.iter().find(of_scope) {
        Some(power) => in_thousandths(&power.mean_power, "too few readings"),
        None => (Value::missing(missing), Basis::NotMeasured),
    }
}

/// W as mW, J as mJ.
fn in_thousandths(figure: &UncertainFigure, missing: &str) -> (Value, Basis) {
    let basis = figure.figure.quality.into();
    match (figure.figure.value, figure.uncertainty) {
        (None, _) => (Value::missing(missing), Basis::NotMeasured),
        (Some(value), None) => (Value::one(value * 1e3), basis),
        (Some(value), Some(uncertainty)) => {
            (Value::Uncertain { value: value * 1e3, uncertainty: uncertainty * 1e3 }, basis)
        }
    }
}

/// Milliseconds times milliwatts in millijoules; no better than the worse of the two.
fn product(latency: (&Value, Basis), power: (&Value, Basis)) -> (Value, Basis) {
    let quality = latency.1.max(power.1);
    let milliwatts = match power.0 {
        Value::One { value } | Value::Uncertain { value, .. } => Some(*value),
        Value::Range { .. } | Value::Missing { .. } => None,
    };
    match (latency.0, milliwatts) {
        (Value::One { value }, Some(milliwatts)) => (Value::one(value * milliwatts / 1e3), quality),
        _ => (Value::missing("needs both latency and power"), Basis::NotMeasured),
    }
}

impl EmulatorTime {
    fn median(&self) -> Duration {
        let mut sorted = self.times.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    fn definition(&self) -> String {
        let reduced = self.reduced.map(|why| format!("; {why}")).unwrap_or_default();
        format!(
            "median of {} inferences at {} x {}, {} thread{}, {:.2} GMAC/s{reduced}",
            self.times.len(),
            self.width,
            self.height,
            self.threads,
            if self.threads == 1 { "" } else { "s" },
            self.macs as f64 / self.median().as_secs_f64() / 1e9,
        )
    }
}

impl From<&EmulatorTime> for Row {
    fn from(time: &EmulatorTime) -> Self {
        Self {
            id: format!("emulator_{}_{}x{}", time.kernel, time.width, time.height),
            figure: format!("one inference, {}, {} x {}", time.kernel, time.width, time.height),
            value: Value::one(milliseconds(time.median())),
            unit: "ms",
            quality: Basis::Measured,
            definition: time.definition(),
            source: EMULATOR_SOURCE.to_owned(),
        }
    }
}

const EMULATOR_SOURCE: &str = "this CPU, host clock, after the run; says nothing about the sensor";
