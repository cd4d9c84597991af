//! Which source runs: the camera if one is there, else the simulated sensor, each rung stated.
//!
//! ```text
//!   source.kind   imx500 -----> camera, or an error
//!                 auto -------> camera; none is there: simulated, and why
//!                 simulated --> simulated
//! ```
//!
//! Only absence leads down the ladder. A camera that is there but cannot be used is an error: whoever has
//! one does not want to look at a simulation without noticing.

use std::path::Path;

use anyhow::{Context, anyhow};
use qsegment::emulator;
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::outputs::figures::{Facts, InferenceModel, Ladder, Seen};
use qsegment::pipeline;
use qsegment::pipeline::geometry::Sight;
use qsegment::pipeline::host::{Host, Inference, Sees};
use qsegment::source::aim::Aim;
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::{self, CameraError, Flips, Imx500, UploadReport};
use qsegment::source::inference_window::WindowChoice;
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::simulated::{self, Simulated, Timing, timing};
use qsegment::source::{FrameSource, SourceError};

use super::blame;
use super::camera::{self, Packed};
use super::service;
use crate::cli::config::{self, Config, Kind, Pace, Source, Switch};
use crate::cli::network::{self, InputSize};
use crate::cli::out::tell;
use crate::cli::{Failure, crate_version};

/// A source and what is to be said of it.
pub(super) struct Chosen {
    pub(super) source: Box<dyn FrameSource>,
    /// Where exposure and white balance can be set.
    pub(super) sensor: Option<imx500::Sensor>,
    pub(super) facts: Facts,
    /// What the pipeline has to know of it; the rest is the configuration's.
    pub(super) pipeline: pipeline::Options,
    /// What of the sensor the network sees at first.
    pub(super) window: InferenceWindow,
    /// Moves it.
    pub(super) aim: Aim,
}

/// What the command line says beside the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) input_size: Option<InputSize>,
    /// Whether scene or network, which a source may refuse, come from there.
    pub(super) names_what_is_seen: bool,
}

/// Opens the source that the configuration asks for. `host_clock` stamps a camera's frames.
pub(super) fn open(
    config: &Config,
    asked: Asked,
    stop: &StopSignal,
    host_clock: &Clock,
) -> Result<Chosen, Failure> {
    let id = config.camera.id();
    match config.source.kind {
        Kind::Simulated => simulated(config, asked, stop, None),
        Kind::Imx500 => {
            imx500::present(id).map_err(Failure::source)?;
            camera::open(config, asked, host_clock)
        }
        Kind::Auto => match imx500::present(id) {
            Ok(_) => camera::open(config, asked, host_clock),
            Err(absent) if absent.is_absence() => {
                tracing::info!("{absent}");
                simulated(config, asked, stop, Some(absent.to_string()))
            }
            Err(error) => Err(Failure::source(error)),
        },
    }
}

/// What the configuration says of the camera, and the network that it needs.
pub(crate) fn camera_options(config: &Config) -> Result<imx500::Options, Failure> {
    let network = &config.camera.network;
    if network.as_os_str().is_empty() {
        return Err(Failure::configuration(anyhow!(
            "the camera has no network to upload: pack one with `qsegment pack` and name it with --network, \
             let the host run it with --inference host, or run the simulated sensor with --source simulated"
        )));
    }
    let window = window_for_packed(config.source.inference_window.0, network)?;
    Ok(imx500::Options { network: Some(network.clone()), ..camera_without_network(config, window) })
}

/// What the configuration says of the camera.
pub(super) fn camera_without_network(
    config: &Config,
    inference_window: InferenceWindow,
) -> imx500::Options {
    let config::Camera { frame_rate, flip, .. } = &config.camera;
    imx500::Options {
        camera: config.camera.id().map(ToOwned::to_owned),
        mode: config.source.mode.into(),
        frame_rate: frame_rate.given(),
        inference_window,
        flips: (*flip).into(),
        most_cycles: config.recovery.most_cycles(),
        cycles_kept_in: std::env::var_os("RUNTIME_DIRECTORY").map(Into::into),
        ..imx500::Options::default()
    }
}

/// The window that is asked for; one by aspect follows from the input that the packed network says it has.
pub(super) fn window_for_packed(
    window: WindowChoice,
    network: &Path,
) -> Result<InferenceWindow, Failure> {
    if let WindowChoice::Pixels(window) = window {
        return Ok(window);
    }
    let (width, height) =
        Packed::read(network).and_then(|packed| packed.input_size()).with_context(|| {
            format!(
                "`{window}` needs the size of the network's input, which {} does not give; `qsegment \
                 inspect` explains the file, and four numbers work with any",
                network.display()
            )
        })?;
    window_for(window, width, height)
}

/// The window that is asked for, for an input of this size.
pub(super) fn window_for(
    window: WindowChoice,
    width: usize,
    height: usize,
) -> Result<InferenceWindow, Failure> {
    let window = window.for_input(width, height).context("source.inference_window");
    window.map_err(Failure::configuration)
}

/// Opens the camera; its uploads are told on standard error.
pub(crate) fn open_camera(options: imx500::Options, clock: Clock) -> Result<Imx500, Failure> {
    open_with_told_upload(options, clock).map_err(Failure::source)
}

/// The same with the camera's own error.
pub(super) fn open_with_told_upload(
    options: imx500::Options,
    clock: Clock,
) -> Result<Imx500, CameraError> {
    Imx500::open(options, clock, Box::new(Telling::default().into_told()))
}

fn simulated(
    config: &Config,
    asked: Asked,
    stop: &StopSignal,
    camera_reason: Option<String>,
) -> Result<Chosen, Failure> {
    let source = &config.source;
    let from_command_line = asked.names_what_is_seen;
    let chosen = network::load(&config.network, asked.input_size)
        .map_err(|error| blame(from_command_line, error))?;
    let clock = match source.pace {
        Pace::Real => Clock::monotonic(stop.clone()),
        Pace::Max => Clock::simulated(stop.clone()),
    };
    let blamed = |error: SourceError| blame(from_command_line, error.into());
    let options = simulation(source, &chosen.network).map_err(blamed)?;
    let window = options.inference_window;
    let whole_scene = window.width == 0 || window.height == 0;
    let simulated = Simulated::new(options, &chosen.network, clock).map_err(blamed)?;
    let aim = simulated.aim();
    let inference = match config.pipeline.inference {
        config::Inference::Auto | config::Inference::Sensor => Inference::Sensor,
        config::Inference::Host => {
            let host = Host::new(chosen.network.clone(), Sees::InputTensor);
            Inference::Host(host.map_err(|error| blame(from_command_line, error.into()))?)
        }
    };
    let run_time = timing::RunTime::estimate(chosen.network.macs());
    let model = InferenceModel { low: run_time.shortest, high: run_time.longest };
    Ok(Chosen {
        source: Box::new(simulated),
        sensor: None,
        facts: Facts {
            version: crate_version().to_owned(),
            network: chosen.facts(),
            ladder: Ladder {
                camera: "simulated".to_owned(),
                camera_reason,
                inference: inference.name().to_owned(),
                inference_reason: inference.is_host().then(|| ASKED_FOR_HOST.to_owned()),
            },
            scene: Some(source.scene.0.clone()),
            seed: Some(source.seed),
            pace: Some(source.pace.name().to_owned()),
            seen: Sight::new(window, Flips::default()).filter(|_| !whole_scene).map(Seen::from),
            flips: Flips::default(),
            inference_model: (source.timing == Switch::On).then_some(model),
        },
        // It waits, so that a run with a seed is the same every time. What it waits for is decode and the
        // report's queue, whose reader only keeps the newest. It has no raw pictures.
        pipeline: pipeline::Options { drop_when_behind: false, inference, ..configured(config) },
        window,
        aim,
    })
}

/// What the configuration says of the pipeline, whatever the source.
pub(super) fn configured(config: &Config) -> pipeline::Options {
    pipeline::Options {
        threshold: config.pipeline.threshold_byte(),
        stale_after: config.pipeline.stale_after(),
        stall_after: config.pipeline.stall_after(),
        recovery: config.recovery.bounds(),
        ..pipeline::Options::default()
    }
}

/// What the simulated sensor is made of, for this network.
pub(crate) fn simulation(
    source: &Source,
    network: &emulator::Network,
) -> Result<simulated::Options, SourceError> {
    let input = network.input();
    Ok(simulated::Options {
        scene: source.scene(),
        motion: source.motion.into(),
        seed: source.seed,
        timing: match source.timing {
            Switch::On => Timing::Estimated,
            Switch::Off => Timing::Off,
        },
        mode: source.mode.into(),
        packing: source.packing.into(),
        inference_window: source.inference_window.0.for_input(input.width, input.height)?,
        colour_order: ColourOrder::Rgb,
        faults: source.faults.iter().map(|fault| fault.0).collect(),
        ..simulated::Options::default()
    })
}

/// Why the host runs the network where nothing is wrong.
pub(super) const ASKED_FOR_HOST: &str = "it was asked for (inference = \"host\")";

/// Tells how an upload goes: a line for each stage and tenth of it, for a stall and its end, and every ten
/// seconds where nothing can be seen.
#[derive(Debug, Default)]
struct Telling {
    last: Option<Step>,
}

/// What of an upload is worth a line when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    stage: Option<imx500::UploadStage>,
    tenth: u64,
    stalled: bool,
    stop_requested: bool,
}

impl Telling {
    fn into_told(mut self) -> impl FnMut(UploadReport) + Send {
        move |report| {
            service::uploading(&report);
            if let Some(line) = self.line(&report) {
                tell(line);
            }
        }
    }

    fn line(&mut self, report: &UploadReport) -> Option<String> {
        let progress = match report {
            UploadReport::Done(uploaded) => return Some(uploaded.to_string()),
            UploadReport::Progress(progress) => progress,
        };
        let tenth = match (progress.stage, progress.total_bytes) {
            (None, _) => progress.elapsed.as_secs() / 10,
            (Some(_), Some(total)) if total > 0 => progress.done_bytes * 10 / total,
            (Some(_), _) => progress.done_bytes >> 20,
        };
        let step = Step {
            stage: progress.stage,
            tenth,
            stalled: progress.stalled.is_some(),
            stop_requested: progress.stop_requested,
        };
        (self.last.replace(step) != Some(step)).then(|| progress.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qsegment::source::Quality;
    use qsegment::source::imx500::{UploadProgress, UploadStage};
    use std::time::Duration;

    fn progress(stage: Option<UploadStage>, done_bytes: u64, seconds: u64) -> UploadReport {
        UploadReport::Progress(UploadProgress {
            stage,
            done_bytes,
            total_bytes: stage.map(|_| 1000),
            elapsed: Duration::from_secs(seconds),
            left: None,
            stalled: None,
            quality: Quality::Measured,
            stop_requested: false,
        })
    }

    #[test]
    fn window_by_aspect_follows_from_what_a_packed_network_says_of_its_input() {
        let pixels = InferenceWindow { left: 2, top: 4, width: 6, height: 8 };
        let given = window_for_packed(WindowChoice::Pixels(pixels), Path::new("not there"));
        assert_eq!(given.unwrap(), pixels, "four numbers need no file");
        let refused = window_for_packed(WindowChoice::Fill, Path::new("not there")).unwrap_err();
        let refused = format!("{:#}", refused.error);
        assert!(refused.contains("`fill` needs the size of the network's input"), "{refused}");

        let Some(folder) = std::env::var_os("QSEGMENT_RPK_DIR") else {
            eprintln!("SKIPPED: real packed networks, QSEGMENT_RPK_DIR names no folder with them");
            return;
        };
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let packed = files.filter(|path| path.extension().is_some_and(|end| end == "rpk"));
        let windows: Vec<_> =
            packed.map(|path| window_for_packed(WindowChoice::Fill, &path).unwrap()).collect();
        assert!(!windows.is_empty());
        assert!(windows.iter().all(|window| window.height == 3040 || window.width == 4032));
    }

    #[test]
    fn an_upload_is_told_by_stage_and_tenth() {
        let mut telling = Telling::default();
        let network = Some(UploadStage::Network);
        let steps = [(Some(UploadStage::Main), 900), (network, 0), (network, 99), (network, 100)];
        let told = steps.map(|(stage, done)| telling.line(&progress(stage, done, 1)).is_some());
        assert_eq!(told, [true, true, false, true]);
    }

    #[test]
    fn an_upload_that_cannot_be_seen_is_told_every_ten_seconds() {
        let mut telling = Telling::default();
        let told = [0, 1, 9, 10, 19, 20].map(|s| telling.line(&progress(None, 0, s)).is_some());
        assert_eq!(told, [true, false, false, true, false, true]);
    }
}
