//! What is recorded of a run so that it can be replayed, and the replay that is made of it.
//!
//! ```text
//!   configuration, source, pipeline --facts()--> RunFacts in the file --open()--> the same pipeline
//! ```
//!
//! Where the sensor ran the network, its output tensors are in the recording and no network is needed. Where
//! the host did, it does so again, with the very same network or not at all.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, ensure};
use qsegment::formats::recording::{RecordedInference, RunFacts};
use qsegment::outputs::figures::{Facts, Ladder, NetworkFacts, Seen};
use qsegment::outputs::record::{Recorder, Waits};
use qsegment::pipeline::geometry::Sight;
use qsegment::pipeline::host::{Host, Inference, Sees};
use qsegment::pipeline::{self, ShownPicture};
use qsegment::source::aim::Aim;
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::Flips;
use qsegment::source::imx500::picture::{Darkroom, Development};
use qsegment::source::replay::{self, Recording};
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::{SourceError, SourceInfo};

use super::chosen::Chosen;
use super::{Origin, RunArgs};
use crate::cli::builtin::BuiltIn;
use crate::cli::config::{self, Config, DisplayOutput, Listen, NetworkFile, Pace};
use crate::cli::network::{self, InputSize};
use crate::cli::{Failure, crate_version};

/// A recording that is to be played.
#[derive(Debug, Clone)]
pub(crate) struct Replayed {
    pub(crate) file: PathBuf,
    pub(crate) pace: Pace,
    /// Instead of the built-in one of the same hash.
    pub(crate) network: Option<NetworkFile>,
}

/// The clocks of a run: where nobody watches a replay at full speed, one for both, so that all its times are the
/// recording's.
pub(super) struct Clocks {
    pub(super) host: Clock,
    /// How fast a recording is played.
    pub(super) replay: Clock,
}

impl Clocks {
    pub(super) fn new(args: &RunArgs, config: &Config, stop: &StopSignal) -> Self {
        let real = Clock::monotonic(stop.clone());
        let Origin::Recording(Replayed { pace: Pace::Max, .. }) = args.origin else {
            return Self { host: real.clone(), replay: real };
        };
        let replay = Clock::simulated(stop.clone());
        let watched = config.web.listen != Listen::Off
            || config.hdmi.output != DisplayOutput::Off
            || config.mqtt.broker.is_given();
        Self { host: if watched { real } else { replay.clone() }, replay }
    }
}

/// What records the run, if that is wanted; its first file is open.
pub(super) fn recorder(
    config: &Config,
    chosen: &Chosen,
    started: SystemTime,
) -> Result<Option<Recorder>, Failure> {
    let Some(options) = config.record.options(chosen.pipeline.inference.sees_pictures()) else {
        return Ok(None);
    };
    let info = chosen.source.info();
    let facts = facts(config, chosen, &info, options.pictures, started);
    let text = toml::to_string(config).context("the configuration cannot be written as TOML")?;
    let waits = if chosen.pipeline.drop_when_behind || config.source.pace == Pace::Real {
        Waits::Never
    } else {
        Waits::ForTheDisk
    };
    Ok(Some(Recorder::open(options, facts, text, waits)?))
}

/// What has to be known to run the same pipeline again.
pub(super) fn facts(
    config: &Config,
    chosen: &Chosen,
    source: &SourceInfo,
    with_pictures: bool,
    started: SystemTime,
) -> RunFacts {
    let Chosen { facts, pipeline, window, .. } = chosen;
    let (inference, host_input) = match &pipeline.inference {
        Inference::Sensor => (RecordedInference::Sensor, None),
        Inference::Host(host) => {
            let (width, height) = host.input_size();
            let on = if pipeline.inference.sees_pictures() {
                RecordedInference::HostOnPictures
            } else {
                RecordedInference::HostOnTensors
            };
            (on, Some([width, height]))
        }
    };
    let flips = match source.name {
        "imx500" => config.camera.flip.into(),
        _ => Flips::default(),
    };
    let sees_pictures = inference == RecordedInference::HostOnPictures;
    let shows_pictures = pipeline.picture == ShownPicture::Raw;
    let since_1970 = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    RunFacts {
        qsegment: crate_version().to_owned(),
        started_ns: nanoseconds(since_1970),
        network: facts.network.name.clone(),
        network_sha256: facts.network.sha256.clone(),
        network_parameters: facts.network.parameters,
        network_macs: facts.network.macs,
        inference,
        host_input,
        source: source.name.to_owned(),
        quality: source.quality.name().to_owned(),
        frame_interval_ns: nanoseconds(source.frame_interval),
        packing: source.packing,
        mode: config.source.mode.name().to_owned(),
        colour_order: pipeline.colour_order,
        inference_window: [window.left, window.top, window.width, window.height],
        flips: [flips.horizontal, flips.vertical],
        threshold: pipeline.threshold,
        stale_after_ms: milliseconds(pipeline.stale_after),
        stall_after_ms: milliseconds(pipeline.stall_after),
        raw_pictures: with_pictures && (sees_pictures || shows_pictures),
        scene: facts.scene.clone(),
        seed: facts.seed,
    }
}

/// When the run was.
pub(super) fn started(facts: &RunFacts) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(facts.started_ns)
}

/// Opens the recording and builds the pipeline that it was made with.
pub(super) fn open(
    recording: Recording,
    replayed: &Replayed,
    config: &Config,
    clock: Clock,
) -> Result<Chosen, Failure> {
    let facts = recording.facts().clone();
    let [left, top, width, height] = facts.inference_window;
    let window = InferenceWindow { left, top, width, height };
    let [horizontal, vertical] = facts.flips;
    let flips = Flips { horizontal, vertical };
    // The simulated sensor's whole scene has a shape of its own.
    let whole_scene = facts.source == "simulated" && (width == 0 || height == 0);
    let sees = match facts.inference {
        RecordedInference::Sensor => None,
        RecordedInference::HostOnTensors => Some(Sees::InputTensor),
        RecordedInference::HostOnPictures => Some(Sees::Picture),
    };
    let (inference, network) = match sees {
        None => {
            ensure_none_is_given(replayed)?;
            let network = NetworkFacts {
                name: facts.network.clone(),
                sha256: facts.network_sha256.clone(),
                parameters: facts.network_parameters,
                macs: facts.network_macs,
            };
            (Inference::Sensor, network)
        }
        Some(sees) => {
            let chosen = same_network(replayed, &facts, config)?;
            let network = chosen.facts();
            (Inference::Host(Host::new(chosen.network, sees)?), network)
        }
    };
    let shown = facts.raw_pictures && facts.inference != RecordedInference::HostOnPictures;
    Ok(Chosen {
        source: Box::new(recording.play(clock)),
        sensor: None,
        facts: Facts {
            version: crate_version().to_owned(),
            network,
            ladder: Ladder {
                camera: "replay".to_owned(),
                camera_reason: Some(format!(
                    "a recording of the source {} by qsegment {}",
                    facts.source, facts.qsegment
                )),
                inference: inference.name().to_owned(),
                inference_reason: inference
                    .is_host()
                    .then(|| "it was so when this was recorded".to_owned()),
            },
            scene: facts.scene.clone(),
            seed: facts.seed,
            pace: Some(replayed.pace.name().to_owned()),
            seen: Sight::new(window, flips).filter(|_| !whole_scene).map(Seen::from),
            flips,
            inference_model: None,
        },
        pipeline: pipeline::Options {
            // A file waits.
            drop_when_behind: false,
            colour_order: facts.colour_order,
            threshold: facts.threshold,
            stale_after: Duration::from_millis(facts.stale_after_ms.into()),
            stall_after: Duration::from_millis(facts.stall_after_ms.into()),
            picture: if shown { ShownPicture::Raw } else { ShownPicture::InputTensor },
            darkroom: Darkroom::new(window, Development::default()),
            inference,
            ..pipeline::Options::default()
        },
        window,
        aim: Aim::fixed(
            replay::window_of(&facts),
            "a recording shows what was seen when it was made",
        ),
    })
}

fn ensure_none_is_given(replayed: &Replayed) -> Result<(), Failure> {
    if replayed.network.is_none() {
        return Ok(());
    }
    Err(Failure::usage(anyhow!(
        "--network: the sensor ran the network, and its output tensors are in {}; no network is needed, leave it out",
        replayed.file.display()
    )))
}

/// The very network that the host ran: the same bytes, at the same input size.
fn same_network(
    replayed: &Replayed,
    facts: &RunFacts,
    config: &Config,
) -> anyhow::Result<network::Chosen> {
    let RunFacts { network: name, network_sha256: wanted, .. } = facts;
    let built_in = || BuiltIn::ALL.into_iter().find(|network| network.sha256() == wanted);
    let file = replayed.network.clone().or_else(|| built_in().map(NetworkFile::BuiltIn));
    let file = file.ok_or_else(|| {
        anyhow!(
            "{} was made with the network {name} (SHA-256 {wanted}), which is not in this program; give its file \
             with --network",
            replayed.file.display()
        )
    })?;
    let told = config::Network { file, threads: config.network.threads };
    let size = facts.host_input.map(|[width, height]| InputSize::new(width, height));
    let chosen = network::load(&told, size)?;
    let found = &chosen.identity.sha256;
    ensure!(
        found == wanted,
        "{} has SHA-256 {found}, but {} was made with the network {name}, SHA-256 {wanted}; give that file with \
         --network",
        chosen.identity.name,
        replayed.file.display()
    );
    Ok(chosen)
}

/// What a recording cannot be is no fault of a device.
pub(super) fn is_of_recording(error: &SourceError) -> bool {
    matches!(error, SourceError::Recording(_))
}

/// Why nothing can be recorded at the touch of a button.
pub(super) const NO_FOLDER: &str = "no folder is configured; name one in record.path, and set record.at_start = false to \
                                    begin by the button only";

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
