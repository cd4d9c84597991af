//! `qsegment feed`: plays the silicon behind a virtual camera, so that everything between kernel and mask
//! can be tried without one.
//!
//! ```text
//!   simulated sensor or recorded buffers --> feed node of the virtual IMX500 --> kernel --> qsegment run
//!          ^                            \--> folder of buffers (--record), to be played later
//!          +-- injected input tensors <---- injected node <-- kernel <---------------- qsegment verify
//! ```

mod recorded;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use qsegment::source::clock::{Clock, StopSignal, Waited};
use qsegment::source::imx500::{Deliveries, Feed, Injections};
use qsegment::source::simulated::Simulated;
use qsegment::source::simulated::faults::FaultPlan;
use qsegment::source::{FrameSource, Next, RawFrame, SourceError};
use serde::Serialize;

use super::config::{Config, Fault, Mode, Packing, SceneName, Switch};
use super::network::{self, NetworkArgs};
use super::out::Out;
use super::progress::Progress;
use super::run::{chosen, stop};
use super::{Failure, Form};
use recorded::{Recorded, Recording};

/// Play the sensor behind a virtual camera
///
/// For tests of the camera's path on a machine without one: buffers of the simulated sensor, or recorded
/// ones, go into the virtual IMX500 (tests/vm), as fast as it streams.
#[derive(Debug, Args)]
pub(crate) struct FeedArgs {
    /// Which virtual camera, by its I2C name such as 10-001a; without it the only one
    #[arg(long, value_name = "ID")]
    camera: Option<String>,
    /// Play these buffers: a folder that --record wrote, or one file
    #[arg(long, value_name = "PATH", conflicts_with_all = [
        "network", "input_size", "scene", "seed", "timing", "faults",
    ])]
    play: Option<PathBuf>,
    /// Write the buffers into this folder instead, one file each
    #[arg(long, value_name = "DIR", conflicts_with_all = ["camera", "play"])]
    record: Option<PathBuf>,
    /// End after this many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    #[command(flatten)]
    network: NetworkArgs,
    /// What the simulated sensor looks at
    #[arg(long, value_name = "SCENE")]
    scene: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Whether tensors come as late as the network takes in the sensor
    #[arg(long)]
    timing: Option<Switch>,
    /// Sensor mode
    #[arg(long)]
    mode: Option<Mode>,
    /// How the receiver packs embedded lines
    #[arg(long)]
    packing: Option<Packing>,
    /// Inject a fault, as in `qsegment run`
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<FaultPlan>,
}

impl FeedArgs {
    fn over(&self, mut config: Config) -> Config {
        let source = &mut config.source;
        if let Some(scene) = &self.scene {
            source.scene = SceneName(scene.clone());
        }
        source.seed = self.seed.unwrap_or(source.seed);
        source.timing = self.timing.unwrap_or(source.timing);
        source.mode = self.mode.unwrap_or(source.mode);
        source.packing = self.packing.unwrap_or(source.packing);
        if !self.faults.is_empty() {
            source.faults = self.faults.iter().copied().map(Fault).collect();
        }
        self.network.over(&mut config.network);
        config
    }
}

pub(crate) fn feed(
    args: &FeedArgs,
    config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let config = args.over(config);
    let stop = StopSignal::default();
    let mut source = Played::open(args, &config, &stop)?;
    let mut frame = RawFrame::default();
    let mut more = source.advance(&mut frame)?;
    let mut sink = Sink::open(args, &frame, source.frame_interval())?;
    stop::obey_signals(stop.clone())?;
    let progress = Progress::new(args.frames);
    let mut fed = 0;
    while more && args.frames.is_none_or(|frames| fed < frames) && !stop.is_raised() {
        if sink.put(&frame, &stop)? == Waited::Stopped {
            break;
        }
        fed += 1;
        progress.set(fed);
        sink.hand_injected_to(&mut source)?;
        more = source.advance(&mut frame)?;
    }
    sink.flush(&stop)?;
    drop(progress);
    match form {
        Form::Text => out.line(format_args!("{fed} frames {}", sink.said()))?,
        Form::Json => out.json(&Fed { version: 1, frames: fed, faults: source.faults() })?,
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Serialize)]
struct Fed {
    version: u32,
    frames: u64,
    faults: Vec<(&'static str, u64)>,
}

/// What plays the silicon.
enum Played {
    Simulated(Box<Simulated>),
    Recorded(Recorded),
}

impl Played {
    fn open(args: &FeedArgs, config: &Config, stop: &StopSignal) -> Result<Self, Failure> {
        if let Some(path) = &args.play {
            let timing = qsegment::source::simulated::timing::Mode::from(config.source.mode);
            let interval = timing.frame_timing(0).interval;
            return Ok(Self::Recorded(Recorded::open(path, interval)?));
        }
        let chosen = network::load(&config.network, args.network.input_size)?;
        // The stream's own pace is kept by the driver.
        let clock = Clock::simulated(stop.clone());
        let options = chosen::simulation(&config.source, &chosen.network)?;
        Ok(Self::Simulated(Box::new(Simulated::new(options, &chosen.network, clock)?)))
    }

    fn source(&mut self) -> &mut dyn FrameSource {
        match self {
            Self::Simulated(simulated) => &mut **simulated,
            Self::Recorded(recorded) => recorded,
        }
    }

    fn advance(&mut self, frame: &mut RawFrame) -> Result<bool, SourceError> {
        Ok(self.source().next(frame)? == Next::Frame)
    }

    fn frame_interval(&mut self) -> Duration {
        self.source().info().frame_interval
    }

    fn faults(&mut self) -> Vec<(&'static str, u64)> {
        self.source().injected_faults()
    }
}

/// Where frames go.
enum Sink {
    Camera { feed: Feed, injections: Injections, deliveries: Deliveries },
    Folder(Recording),
}

impl Sink {
    fn open(args: &FeedArgs, first: &RawFrame, interval: Duration) -> Result<Self, Failure> {
        if let Some(folder) = &args.record {
            return Ok(Self::Folder(Recording::new(folder)?));
        }
        // A later frame may be longer: one that a fault has not cut.
        let first_len = u32::try_from(first.metadata.len()).unwrap_or(u32::MAX);
        let len_bytes = first_len.max(LONGEST_LEN_BYTES);
        let camera = args.camera.as_deref();
        let feed = Feed::open(camera, len_bytes).map_err(Failure::source)?;
        let injections = Injections::open(camera, LONGEST_LEN_BYTES).map_err(Failure::source)?;
        tracing::info!(node = %feed.path().display(), "feeding");
        Ok(Self::Camera { feed, injections, deliveries: Deliveries::new(interval) })
    }

    fn put(&mut self, frame: &RawFrame, stop: &StopSignal) -> Result<Waited, Failure> {
        match self {
            Self::Camera { feed, deliveries, .. } => {
                feed.put(&deliveries.push(frame), stop).map_err(Failure::source)
            }
            Self::Folder(recording) => {
                recording.write(frame)?;
                Ok(Waited::Reached)
            }
        }
    }

    /// What is injected into the camera is what the simulated sensor sees next.
    fn hand_injected_to(&mut self, source: &mut Played) -> Result<(), Failure> {
        let Self::Camera { injections, .. } = self else { return Ok(()) };
        while let Some(injected) = injections.take().map_err(Failure::source)? {
            match source {
                // Its network's input has no padding: stored is what is sent.
                Played::Simulated(simulated) => {
                    simulated.inject(injected.frame_count, &injected.stream)?;
                }
                Played::Recorded(_) => {
                    tracing::warn!(
                        "an input tensor was injected; recorded buffers cannot answer it"
                    );
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self, stop: &StopSignal) -> Result<(), SourceError> {
        if let Self::Camera { feed, .. } = self {
            feed.flush(stop)?;
        }
        Ok(())
    }

    fn said(&self) -> &'static str {
        match self {
            Self::Camera { .. } => "fed into the virtual camera",
            Self::Folder(_) => "recorded",
        }
    }
}

/// A 640 x 640 network with a mask of its size has 1.6 MB.
const LONGEST_LEN_BYTES: u32 = 2 << 20;
