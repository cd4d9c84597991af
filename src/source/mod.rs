//! Where frames come from: the camera, a recording, or the simulated sensor.

pub mod aim;
pub mod clock;
pub mod device_node;
pub mod holder;
pub mod imx500;
pub mod inference_window;
pub mod permission;
pub mod power;
pub mod recovery;
pub mod replay;
pub mod simulated;

use clock::Timestamp;

use crate::formats::embedded::LinePacking;
use recovery::{Remedy, Trouble};
use simulated::isp::InferenceWindow;

/// Whether a figure was measured, estimated, or simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Read from an instrument or a clock.
    Measured,
    /// Computed from other measurements.
    Estimated,
    /// Made by a model.
    Simulated,
}

impl Quality {
    /// As it stands in every answer.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
            Self::Simulated => "simulated",
        }
    }
}

/// One captured frame before parsing. Buffers are reused: the pipeline hands the same value back to the source.
#[derive(Debug, Clone, Default)]
pub struct RawFrame {
    /// Number the receiver gave this buffer; a gap is a lost buffer.
    pub sequence: u64,
    /// Two embedded lines and the DNN lines, as the receiver wrote them.
    pub metadata: Vec<u8>,
    /// Bytes of one embedded line (E).
    pub embedded_line_len_bytes: usize,
    /// Start of frame, sensor clock.
    pub frame_start: Timestamp,
    /// When the last DNN line was at the host, sensor clock; and the picture, where one is asked for.
    pub tensor_at_host: Timestamp,
    /// What the sensor saw, where the source was asked for it.
    pub picture: RawPicture,
    /// The window under which this buffer's own frame was made, not that of a frame whose tensors came late with
    /// it; its size is not zero. None where nobody can tell, because it was just being changed.
    pub window: Option<InferenceWindow>,
}

/// A raw picture: one colour a pixel, four pixels of 10 bits in five bytes (the high 8 of each, then the
/// low 2 of all four). Without bytes there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawPicture {
    /// Rows of `stride_bytes` each.
    pub bytes: Vec<u8>,
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes from row to row.
    pub stride_bytes: usize,
    /// Which colour is where.
    pub order: BayerOrder,
}

/// Colours of the upper left four pixels, row by row. It follows the sensor's flips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BayerOrder {
    /// Red, green; green, blue.
    #[default]
    Rggb,
    /// Green, red; blue, green.
    Grbg,
    /// Green, blue; red, green.
    Gbrg,
    /// Blue, green; green, red.
    Bggr,
}

impl BayerOrder {
    const NAMES: [(&'static str, Self); 4] =
        [("RGGB", Self::Rggb), ("GRBG", Self::Grbg), ("GBRG", Self::Gbrg), ("BGGR", Self::Bggr)];

    /// As it stands in a recording.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, order)| *order == self);
        named.expect("the table names every order").0
    }
    /// The order of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, order)| *order)
    }
}

/// What `FrameSource::next` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// `frame` was filled.
    Frame,
    /// The source has ended, or was told to stop.
    Ended,
}

/// Why a source cannot go on: the device, the cause, the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A scene could not be opened or read.
    #[error("{0}")]
    Scene(String),
    /// A setting makes no sense for this source.
    #[error("{0}")]
    Setting(String),
    /// The network cannot be used by this source.
    #[error("{0}")]
    Network(String),
    /// The emulator's thread is not there.
    #[error("{0}")]
    Emulator(String),
    /// The camera.
    #[error(transparent)]
    Camera(#[from] imx500::CameraError),
    /// A recording.
    #[error(transparent)]
    Recording(#[from] replay::ReplayError),
    /// The simulated sensor has done as it was told, and must be recovered.
    #[error("the simulated sensor has failed, as the fault {0} wants")]
    Injected(simulated::faults::Fault),
    /// Pictures come, but nothing of the network.
    #[error("no tensor for {seconds} s although pictures come")]
    NoTensors {
        /// How long.
        seconds: u64,
    },
    /// Everything that might have helped was tried.
    #[error("given up after {steps} {} of recovery in a row: {cause}", if *.steps == 1 { "step" } else { "steps" })]
    GivenUp {
        /// As many as are allowed.
        steps: u32,
        /// What was seen last.
        cause: String,
    },
}

impl From<imx500::DiscoveryError> for SourceError {
    fn from(absent: imx500::DiscoveryError) -> Self {
        Self::Camera(absent.into())
    }
}

impl SourceError {
    /// What kind of trouble it is once the source has worked.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Camera(error) => error.trouble(),
            Self::Injected(simulated::faults::Fault::GoneCamera) => Trouble::Device,
            Self::Injected(_) | Self::NoTensors { .. } => Trouble::Stalled,
            Self::Scene(_)
            | Self::Setting(_)
            | Self::Network(_)
            | Self::Emulator(_)
            | Self::Recording(_)
            | Self::GivenUp { .. } => Trouble::Lasting,
        }
    }
    /// Whether a later start may go well although nobody has done anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Camera(error) => error.may_pass(),
            Self::Injected(_) | Self::NoTensors { .. } | Self::GivenUp { .. } => true,
            _ => false,
        }
    }
}

/// Facts about a source that hold as long as it lives.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceInfo {
    /// "simulated", "imx500", "replay".
    pub name: &'static str,
    /// Time stamps of this source.
    pub quality: Quality,
    /// Nominal frame interval.
    pub frame_interval: std::time::Duration,
    /// How the receiver packs embedded lines.
    pub packing: LinePacking,
}

/// Where frames come from: the camera, a recording, or the simulated sensor.
pub trait FrameSource: Send {
    /// Facts that hold as long as the source lives.
    fn info(&self) -> SourceInfo;
    /// Blocks until the next frame and fills `frame` in place (its buffers are reused). After an error the
    /// source has ended, unless it [recovers](FrameSource::recover).
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError>;
    /// How far a simulation has fallen behind real time so far, because the CPU could not keep up; zero for
    /// sources that cannot.
    fn behind_real_time(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
    /// How often each fault was injected so far; empty for sources that inject none.
    fn injected_faults(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
    /// Whether there is anything that [`FrameSource::recover`] could do.
    fn can_recover(&self) -> bool {
        false
    }
    /// Tries to bring back what has stopped. Where that went without an error, the next frame may be asked for;
    /// whether it helped is seen then.
    ///
    /// # Errors
    /// As [`FrameSource::next`]; something stronger may help.
    fn recover(&mut self, _remedy: Remedy) -> Result<(), SourceError> {
        Ok(())
    }
    /// How often the camera was started since the machine was, where that wears it out.
    fn camera_cycles(&self) -> Option<u32> {
        None
    }
    /// How often each thing went wrong between device and host so far; only those that did.
    fn device_events(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
