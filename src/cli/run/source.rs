//! The options that say where frames come from and what the network sees, and how they go over the
//! configuration: shared by every command that runs the pipeline.

use clap::Args;
use qsegment::source::inference_window::WindowChoice;
use qsegment::source::simulated::faults::FaultPlan;

use crate::cli::config::{
    Config, Fault, Inference, Kind, NetworkFile, Pace, Picture, SceneName, Switch, Threads, Window,
};
use crate::cli::network::{self, InputSize};

/// Which source, which network, and what it sees.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SourceArgs {
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
    /// Network instead of the configured one: packed (.rpk) for the camera; accurate, fast or an MCTQ ONNX
    /// file for the simulated sensor and for the host
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkFile>,
    /// Run the network at another input size; its parameters do not depend on it
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    input_size: Option<InputSize>,
    /// Threads that share a frame where this machine runs the network
    #[arg(long, value_name = "N")]
    threads: Option<Threads>,
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
    /// Inject a fault, NAME[:FIRST-LAST][:every=FRAMES], or :random=FRAMES for one in so many on average, by the
    /// seed; may be given more than once. Names: dropped-tensor, invalid-flag, counter-jump, counter-wrap,
    /// truncated-buffer, corrupt-ap-params, stalled-source, lost-buffer; and, each until it is recovered,
    /// lost-network, silent-sensor, gone-camera
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<FaultPlan>,
}

impl SourceArgs {
    /// Of the network, where it is not its own.
    pub(crate) fn input_size(&self) -> Option<InputSize> {
        self.input_size
    }

    /// Whether scene, network or window, which the source may refuse, come from here.
    pub(super) fn name_what_is_seen(&self) -> bool {
        self.scene.is_some()
            || self.network.is_some()
            || self.input_size.is_some()
            || self.inference_window.is_some()
    }

    /// The command line wins over the file.
    pub(super) fn over(&self, mut config: Config) -> Config {
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
        let packed = match &self.network {
            Some(NetworkFile::Path(path)) if for_camera && network::file_is_packed(path) => {
                Some(path)
            }
            _ => None,
        };
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
        config.network.threads = self.threads.unwrap_or(config.network.threads);
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
            (None, Some(network)) => network.clone_into(&mut config.network.file),
            (None, None) => {}
        }
        let inference = &mut config.pipeline.inference;
        *inference = self.inference.unwrap_or(*inference);
        config
    }
}
