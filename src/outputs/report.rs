//! What a run leaves behind: `report.json`, `overlay.png`, `mask.png`, `latency.hlog`, `trace.json`.
//!
//! Everything in `report.json` outside `timing` is a function of network, scene, seed and options;
//! what a clock of this machine had a part in is inside `timing`. So two runs with one seed differ
//! there only, and a test can compare the rest byte for byte.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;

use super::exposure::ExposureFigures;
use super::figures::power::PowerFigures;
use super::figures::recovery::RecoveryFigures;
use super::figures::{
    COUNTERS, Facts, Figure, InferenceModel, NetworkFacts, SensorFigures, SensorRates,
    StageFigures, sensor_time,
};
use super::latency_log::{self, SoFar};
use super::measure::VesselFigures;
use super::overlay::{Freshness, Overlay, Style, mask};
use super::record::RecordingFigures;
use super::{DISCLAIMER, OutputError, trace, whole_file};
use crate::pipeline::geometry::Size;
use crate::pipeline::latency::{Stage, StageHistogram, StageLatency};
use crate::pipeline::trace::Trace;
use crate::pipeline::{Frame, Snapshot};
use crate::source::Quality;

/// A finished run in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Of this format: 1.
    pub version: u32,
    /// [`DISCLAIMER`].
    pub disclaimer: &'static str,
    /// Of the program.
    pub qsegment: String,
    /// The network that ran.
    pub network: NetworkFacts,
    /// Where the frames came from.
    pub source: SourceFigures,
    /// Rates on the sensor clock.
    pub rates: SensorRates,
    /// What the host counted.
    pub counters: BTreeMap<&'static str, u64>,
    /// What the simulated sensor was told to break.
    pub injected_faults: BTreeMap<&'static str, u64>,
    /// What went wrong between camera and host.
    pub device_events: BTreeMap<&'static str, u64>,
    /// What was done to recover the source.
    pub recovery: RecoveryFigures,
    /// Exposure and white balance at the end; none without a camera.
    pub exposure: Option<ExposureFigures>,
    /// Quality of the figures that do not carry it themselves.
    pub quality: BTreeMap<&'static str, Quality>,
    /// Stages timed by a model alone.
    pub stages: Vec<StageFigures>,
    /// Share of mask pixels of the last frame.
    pub last_vessel_fraction: Figure,
    /// Quality and vessel measurements of the last frame by itself, so without uncertainties; none where frames are not
    /// measured, or there is no frame.
    pub last_vessels: Option<VesselFigures>,
    /// How the sensor was set, and how warm, in the last frame.
    pub last_sensor: Option<SensorFigures>,
    /// The pictures, and why there are none if there are none.
    pub pictures: Pictures,
    /// What a clock of this machine had a part in.
    pub timing: Timing,
}

/// Where the frames came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceFigures {
    /// "simulated", "imx500", "replay".
    pub camera: String,
    /// Why it is this camera and no better one.
    pub camera_reason: Option<String>,
    /// "sensor" or "host".
    pub inference: String,
    /// Why the host runs the network.
    pub inference_reason: Option<String>,
    /// Of its time stamps.
    pub quality: Quality,
    /// Nominal.
    pub frame_interval_ms: f64,
    /// What the simulated sensor looked at.
    pub scene: Option<String>,
    /// Of everything random.
    pub seed: Option<u64>,
    /// "real" or "max".
    pub pace: Option<String>,
    /// Range of the in-sensor run time that the timing model draws from.
    pub inference_model: Option<InferenceModel>,
    /// Last error of a buffer.
    pub last_error: Option<String>,
}

/// The pictures beside the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pictures {
    /// File names.
    pub files: Vec<&'static str>,
    /// Number of the buffer in which their output tensor arrived.
    pub sequence: Option<u64>,
    /// Why there are none.
    pub missing: Option<&'static str>,
}

/// What a clock of this machine had a part in; differs from run to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// Wall clock, RFC 3339, UTC.
    pub started: String,
    /// Of the run, host clock.
    pub elapsed_s: f64,
    /// Stages in which the host clock had a part.
    pub stages: Vec<StageFigures>,
    /// From the start of the process to the first published mask.
    pub start_to_first_mask: Figure,
    /// Host time over sensor time.
    pub slow_motion_factor: Figure,
    /// Connector, mode and how picture and mask get there; none without a screen.
    pub screen: Option<String>,
    /// Power and energy, one entry an instrument; scopes contain one another, so no two are ever added.
    pub power: Vec<PowerFigures>,
    /// Frames that an output was too slow for, by queue.
    pub queue_drops: BTreeMap<&'static str, u64>,
    /// What was recorded; none where nothing was.
    pub recording: Option<RecordingFigures>,
}

/// When the run was, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTime {
    /// Wall clock.
    pub started: SystemTime,
    /// Host clock.
    pub elapsed: Duration,
}

impl Report {
    /// `last` is the last published frame; its pictures are named in the report.
    #[must_use]
    pub fn new(snapshot: &Snapshot, facts: &Facts, time: RunTime, last: Option<&Frame>) -> Self {
        let (stages, timed_here): (Vec<_>, Vec<_>) =
            snapshot.stages.iter().partition(|latency| is_simulated_alone(latency));
        let counters = COUNTERS.map(|counter| (counter.name, (counter.value)(&snapshot.counters)));
        Self {
            version: 1,
            disclaimer: DISCLAIMER,
            qsegment: facts.version.clone(),
            network: facts.network.clone(),
            source: SourceFigures::new(snapshot, facts),
            rates: SensorRates::from(snapshot),
            counters: counters.into(),
            injected_faults: snapshot.injected_faults.iter().copied().collect(),
            device_events: snapshot.device_events.iter().copied().collect(),
            recovery: snapshot.recovery.into(),
            exposure: None,
            quality: BTreeMap::from([
                ("counters", Quality::Measured),
                ("injected_faults", Quality::Simulated),
                ("device_events", Quality::Measured),
                ("recovery", Quality::Measured),
                ("last_vessels", snapshot.source.quality),
                ("last_sensor", snapshot.source.quality),
            ]),
            stages: stages.into_iter().map(StageFigures::from).collect(),
            last_vessel_fraction: Figure {
                value: last.map(|frame| f64::from(frame.vessel_fraction)),
                unit: "1",
                quality: snapshot.source.quality,
                definition: "share of the last frame's tensor pixels with probability >= threshold",
            },
            last_vessels: None,
            last_sensor: last.map(|frame| SensorFigures::from(&frame.sensor)),
            pictures: Pictures::of(last),
            timing: Timing::new(snapshot, time, timed_here),
        }
    }
}

impl SourceFigures {
    fn new(snapshot: &Snapshot, facts: &Facts) -> Self {
        Self {
            camera: facts.ladder.camera.clone(),
            camera_reason: facts.ladder.camera_reason.clone(),
            inference: facts.ladder.inference.clone(),
            inference_reason: facts.ladder.inference_reason.clone(),
            quality: snapshot.source.quality,
            frame_interval_ms: super::figures::milliseconds(snapshot.source.frame_interval),
            scene: facts.scene.clone(),
            seed: facts.seed,
            pace: facts.pace.clone(),
            inference_model: facts.inference_model,
            last_error: snapshot.last_error.clone(),
        }
    }
}

impl Pictures {
    fn of(last: Option<&Frame>) -> Self {
        match last {
            Some(frame) => Self {
                files: vec![OVERLAY_FILE, MASK_FILE],
                sequence: Some(frame.sequence),
                missing: None,
            },
            None => Self {
                files: Vec::new(),
                sequence: None,
                missing: Some(
                    "no output tensor was joined with its input, so there is nothing to draw",
                ),
            },
        }
    }
}

impl Timing {
    fn new(snapshot: &Snapshot, time: RunTime, stages: Vec<&StageLatency>) -> Self {
        Self {
            started: humantime::format_rfc3339_seconds(time.started).to_string(),
            elapsed_s: time.elapsed.as_secs_f64(),
            stages: stages.into_iter().map(StageFigures::from).collect(),
            // Whoever watched the run knows; a report alone does not.
            start_to_first_mask: Figure {
                value: None,
                unit: "ms",
                quality: Quality::Measured,
                definition: "from the start of the process, by the kernel's record in ticks of 10 ms, to the \
                             first published frame; the sensor's own time to it is in it, an upload too",
            },
            slow_motion_factor: Figure {
                value: sensor_time(snapshot)
                    .map(|covered| time.elapsed.as_secs_f64() / covered.as_secs_f64()),
                unit: "1",
                quality: Quality::Measured,
                definition: "host time of the run over the sensor time its buffers cover; 1 is real \
                             time, above 1 slow motion, below 1 faster than a sensor",
            },
            screen: snapshot.screen.clone(),
            power: snapshot.power.iter().map(PowerFigures::from).collect(),
            queue_drops: snapshot.queue_drops.iter().copied().collect(),
            recording: None,
        }
    }
}

/// Whether no clock of this machine had a part in it, whoever made the larger part.
fn is_simulated_alone(latency: &StageLatency) -> bool {
    match latency.stage {
        Stage::ExposureToFrameStart
        | Stage::SensorToTensor
        | Stage::NetworkRunTime
        | Stage::DspRunTime => latency.quality == Quality::Simulated,
        Stage::TensorToMask
        | Stage::SensorToMask
        | Stage::MaskToCommit
        | Stage::CommitToFlip
        | Stage::ExposureToFlip
        | Stage::ExposureToReplaced => false,
    }
}

/// A folder that has been written into once, so that a run does not end in "permission denied".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFolder(PathBuf);

impl ReportFolder {
    /// Creates the folder if need be and tries a file in it. Before the run.
    pub fn prepare(folder: &Path) -> Result<Self, OutputError> {
        whole_file::prepare_folder(folder, REPORT_FILE).map_err(|error| OutputError::Folder {
            folder: folder.to_owned(),
            cause: error.to_string(),
        })?;
        Ok(Self(folder.to_owned()))
    }

    /// Writes the pictures of `last` and then the report that names them. Each file appears whole
    /// or not at all. Without a frame, pictures of an earlier run are removed: they would pass for
    /// this one's.
    pub fn write(
        &self,
        report: &Report,
        last: Option<&Frame>,
        style: Style,
    ) -> Result<(), OutputError> {
        match last {
            Some(frame) => {
                self.replace(OVERLAY_FILE, &overlay_png(frame, style))?;
                self.replace(MASK_FILE, &mask_png(frame))?;
            }
            None => {
                self.remove(OVERLAY_FILE)?;
                self.remove(MASK_FILE)?;
            }
        }
        let mut json = serde_json::to_vec_pretty(report).expect("keys are strings, numbers finite");
        json.push(b'\n');
        self.replace(REPORT_FILE, &json)
    }

    /// Writes every count of every stage, as one interval.
    pub fn write_latency(
        &self,
        facts: &Facts,
        snapshot: &Snapshot,
        time: RunTime,
        histograms: Vec<StageHistogram>,
    ) -> Result<(), OutputError> {
        let whole = SoFar { elapsed: time.elapsed, histograms };
        let (stages, counts) = (&snapshot.stages, std::iter::once(whole));
        let write = |file: &mut _| latency_log::write(file, facts, time.started, stages, counts);
        whole_file::write(&self.0.join(LATENCY_FILE), write)
            .map_err(|error| self.refused(LATENCY_FILE, &error))
    }

    /// Writes the last seconds, frame by frame.
    pub fn write_trace(
        &self,
        facts: &Facts,
        snapshot: &Snapshot,
        trace: Trace,
    ) -> Result<(), OutputError> {
        let trace = trace::chrome(&trace.last(trace::SPAN), facts, snapshot);
        self.replace(TRACE_FILE, trace.to_string().as_bytes())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        whole_file::write(&self.0.join(name), |file| file.write_all(bytes))
            .map_err(|error| self.refused(name, &error))
    }

    fn remove(&self, name: &str) -> Result<(), OutputError> {
        whole_file::remove(&self.0.join(name)).map_err(|error| self.refused(name, &error))
    }

    fn refused(&self, name: &str, error: &io::Error) -> OutputError {
        OutputError::Write { file: self.0.join(name), cause: error.to_string() }
    }
}

/// The frame as drawn live, as a PNG file.
#[must_use]
pub fn overlay_png(frame: &Frame, style: Style) -> Vec<u8> {
    let mut overlay = Overlay::default();
    let picture = overlay.draw(Some(frame), style, Freshness::Live);
    png(picture.rgb, picture.size, ExtendedColorType::Rgb8)
}

/// The frame's mask at the tensor's size, 0 and 255, as a PNG file.
///
/// # Panics
/// When the frame's `probability` is not as long as its sizes say; published frames are.
#[must_use]
pub fn mask_png(frame: &Frame) -> Vec<u8> {
    let size = Size::new(frame.mask_width, frame.mask_height).expect("a published mask has pixels");
    png(&mask(frame), size, ExtendedColorType::L8)
}

/// `pixels` must be as many as `size` and `colour` say.
pub(super) fn png(pixels: &[u8], size: Size, colour: ExtendedColorType) -> Vec<u8> {
    let side = |side| u32::try_from(side).expect("a tensor's side is at most 1280 pixels");
    let mut encoded = Vec::new();
    PngEncoder::new(&mut encoded)
        .write_image(pixels, side(size.width()), side(size.height()), colour)
        .expect("a Vec takes everything, and there are as many pixels as the size says");
    encoded
}

const REPORT_FILE: &str = "report.json";
const OVERLAY_FILE: &str = "overlay.png";
const MASK_FILE: &str = "mask.png";
const LATENCY_FILE: &str = "latency.hlog";
const TRACE_FILE: &str = "trace.json";
