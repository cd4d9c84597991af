//! From raw frames to vessels.
//!
//! ```text
//!   "capture" thread              "decode" thread                         outputs
//!   source.next --RawFrame-->  split, parse, pair, vessels --Arc<Frame>--> LatestSlot per output
//!        ^                         |                          \
//!        +----- empty RawFrame ----+                           +--------> Bounded (report, exact)
//! ```
//!
//! Where the sensor cannot run the network, decode does (`host`), at the pace of the CPU: the newest
//! frame wins.
//!
//! Once warm no frame allocates: buffers and frames go round, and everything else is the threads'
//! own.
//!
//! The pipeline knows no output: it hands out queues, and `cli/run.rs` gives them to the outputs
//! that the configuration names. It only counts; `metrics` and `report` read a [`Snapshot`].

mod arrivals;
mod capture;
pub mod decode;
pub mod energy;
pub mod field_of_view;
mod frames;
pub mod geometry;
mod held;
pub mod host;
pub mod latency;
mod limits;
pub mod measurements;
pub mod metering;
mod numbering;
pub mod pairing;
pub mod quality;
pub mod queue;
pub mod recovery;
mod running;
pub mod skeleton;
pub mod subpixels;
pub mod trace;
pub mod vessels;
mod windows;

pub use capture::Recovery;
pub use limits::Limits;
pub use running::{Observer, Progress, RunError, Running};

use std::sync::Arc;
use std::time::Duration;

use crate::formats::dnn_lines::Kpi;
use crate::formats::embedded::SensorState;
use crate::formats::input_tensor::ColourOrder;
use crate::source::clock::{Clock, Timestamp};
use crate::source::imx500::exposure::Light;
use crate::source::imx500::picture::Darkroom;
use crate::source::simulated::isp::InferenceWindow;
use crate::source::{FrameSource, SourceInfo};
use host::Inference;
use latency::{StageBuckets, StageLatency};
use queue::{Bounded, LatestSlot};
use recovery::Bounds;

/// One frame the network saw, and what it said about that very frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// Number of the buffer in which the output tensor arrived, or what the host made its own of.
    pub sequence: u64,
    /// The sensor's counter of the frame the network saw; equal in input and output by pairing. A raw
    /// picture has none: where the host saw that, the buffer's number modulo 256.
    pub frame_count: u8,
    /// How many sensor frames later than its picture the output arrived.
    pub lag_frames: u32,
    /// Pixels a row of `rgb`.
    pub width: usize,
    /// Rows of `rgb`.
    pub height: usize,
    /// What the network saw, or the raw picture of the same frame, developed: interleaved RGB. Either
    /// covers the inference window, as the mask does.
    pub rgb: Vec<u8>,
    /// Pixels a row of `probability`.
    pub mask_width: usize,
    /// Rows of `probability`.
    pub mask_height: usize,
    /// Vessel probability, row-major, 0..=255 for 0.0..=1.0. The mask is `probability >=
    /// threshold`.
    pub probability: Vec<u8>,
    /// 128 unless configured: the mask is `probability >= threshold`.
    pub threshold: u8,
    /// Share of mask pixels, 0.0 to 1.0.
    pub vessel_fraction: f32,
    /// The sensor's run times of the buffer that carried the output; none where the host ran the network.
    pub kpi: Option<Kpi>,
    /// Registers of the frame the network saw, not of the buffer that carried the output: what the picture
    /// was made under. Nothing where that frame's buffer was lost.
    pub sensor: SensorState,
    /// Whether exposure and gain of the frame before that one were the same, as far as is known.
    pub sensor_steady: bool,
    /// What of the sensor picture and mask show. None while nobody can tell, because the window was just moved: the
    /// mask is still that of the picture, but where both lie on the sensor is not known.
    pub window: Option<InferenceWindow>,
    /// What the input tensor says about light, where that is asked for.
    pub light: Option<Light>,
    /// When this frame passed each stage.
    pub stamps: Stamps,
}

/// When a frame passed each stage. Two clocks: the sensor's (schedule time where it is simulated)
/// and the host's. A difference is only taken between stamps of one clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Start of the frame the network saw; sensor clock.
    pub frame_start: Timestamp,
    /// Output tensor's last line at the host; sensor clock.
    pub tensor_at_host: Timestamp,
    /// The buffer with the output tensor was taken from the source; host clock.
    pub received: Timestamp,
    /// Mask ready; host clock.
    pub mask_ready: Timestamp,
}

impl Stamps {
    /// Age of the picture when its mask was ready: sensor part plus host part.
    #[must_use]
    pub fn age_at_mask(&self) -> Duration {
        self.tensor_at_host.since(self.frame_start) + self.mask_ready.since(self.received)
    }
    /// Age of the picture at `now` on the host clock.
    #[must_use]
    pub fn age_at(&self, now: Timestamp) -> Duration {
        self.tensor_at_host.since(self.frame_start) + now.since(self.received)
    }
}

/// Everything the pipeline counts. Each is named in /metrics and in the report exactly like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counters {
    /// Buffers taken from the source.
    pub buffers: u64,
    /// Buffers missing in the source's own numbering.
    pub lost_buffers: u64,
    /// Valid input tensors; raw pictures, where a network on the host sees those.
    pub inputs: u64,
    /// Valid output tensors, the host's own where it runs the network.
    pub outputs: u64,
    /// Frames published: an output joined with the input it came from.
    pub paired: u64,
    /// Inputs whose output never came, and outputs whose input never came.
    pub unpaired: u64,
    /// Buffers without an output region although the input region stands.
    pub no_output_region: u64,
    /// Jumps of the sensor's frame counter that no lost buffer explains.
    pub counter_jumps: u64,
    /// Buffers too short for their regions.
    pub truncated_buffers: u64,
    /// ApParams that cannot be parsed, or that name no usable network.
    pub corrupt_ap_params: u64,
    /// Other buffers that cannot be read.
    pub malformed_buffers: u64,
    /// Gaps between buffers longer than the stall limit.
    pub stalls: u64,
    /// Buffers at whose arrival the newest mask was older than the stale limit.
    pub stale: u64,
    /// Frames whose raw picture was wanted but did not come, was let go too early, or cannot be read.
    pub missing_pictures: u64,
    /// Inputs that a network on the host was not run on, because a newer one was there.
    pub skipped_inputs: u64,
}

/// What the pipeline can say about itself at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The source's facts.
    pub source: SourceInfo,
    /// Counts so far.
    pub counters: Counters,
    /// Faults that a simulated source injected so far, by name.
    pub injected_faults: Vec<(&'static str, u64)>,
    /// What went wrong between device and host so far, by name.
    pub device_events: Vec<(&'static str, u64)>,
    /// How far a simulated source has fallen behind real time, because the CPU could not keep up.
    pub behind_real_time: Duration,
    /// What was done to recover the source so far.
    pub recovery: Recovery,
    /// Distribution of each stage, in the order in which a frame passes them.
    pub stages: Vec<StageLatency>,
    /// The same stages in buckets.
    pub buckets: Vec<StageBuckets>,
    /// Refused or replaced items of every queue, by the queue's name. Besides the outputs' own
    /// names: "capture", buffers that decode was too slow for, and "frames", pairs for which the
    /// outputs had left no frame free.
    pub queue_drops: Vec<(&'static str, u64)>,
    /// First and last buffer, sensor clock.
    pub sensor_span: Option<(Timestamp, Timestamp)>,
    /// When the newest valid output tensor was received, whether or not its input came; host clock.
    pub newest_tensor: Option<Timestamp>,
    /// The last readable error of a buffer, for the status page.
    pub last_error: Option<String>,
    /// What each instrument for power has said so far. An [`Observer`] knows none: whoever has a
    /// [`Metering`](metering::Metering) adds it.
    pub power: Vec<energy::Metered>,
    /// Connector, mode and rung of the screen at this moment; none where there is none. An [`Observer`] knows
    /// none: whoever has the display adds it.
    pub screen: Option<String>,
    /// Host clock when the snapshot was taken.
    pub taken_at: Timestamp,
}

/// What the pipeline needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Stop after this many buffers; none runs until the source ends.
    pub max_buffers: Option<u64>,
    /// Colour order of the network's input planes.
    pub colour_order: ColourOrder,
    /// The mask is `probability >= threshold` (0..=255 for 0.0..=1.0).
    pub threshold: u8,
    /// A mask older than this is stale.
    pub stale_after: Duration,
    /// A gap between two buffers longer than this is a stall.
    pub stall_after: Duration,
    /// True: decode waits for nothing and capture drops when decode is behind (a camera cannot
    /// wait). False: capture waits for decode, nothing is lost (`--pace max`, recordings).
    pub drop_when_behind: bool,
    /// What of a frame is shown.
    pub picture: ShownPicture,
    /// Develops raw pictures, where they are looked at.
    pub darkroom: Darkroom,
    /// Who runs the network. Where the host does and `drop_when_behind` holds, the newest frame wins:
    /// whatever waits behind a newer one is passed over and counted.
    pub inference: Inference,
    /// How long a source that fails is recovered, where it can be.
    pub recovery: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_buffers: None,
            colour_order: ColourOrder::default(),
            threshold: 128,
            stale_after: Duration::from_millis(500),
            stall_after: Duration::from_secs(1),
            drop_when_behind: false,
            picture: ShownPicture::default(),
            darkroom: Darkroom::default(),
            inference: Inference::default(),
            recovery: Bounds::default(),
        }
    }
}

/// What of a frame is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShownPicture {
    /// What the network saw, at its size and with its colours.
    #[default]
    InputTensor,
    /// The raw picture of the same frame; the input tensor where it is missing.
    Raw,
}

/// Queues first, then `start`.
#[derive(Debug)]
pub struct Pipeline {
    options: Options,
    limits: Arc<Limits>,
    measures_light: bool,
    latest: Vec<Arc<LatestSlot<Arc<Frame>>>>,
    bounded: Vec<Arc<Bounded<Arc<Frame>>>>,
}

impl Pipeline {
    /// A pipeline without outputs.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let Options { threshold, stale_after, stall_after, .. } = options;
        let limits = Arc::new(Limits::new(threshold, stale_after, stall_after));
        Self { options, limits, measures_light: false, latest: Vec::new(), bounded: Vec::new() }
    }
    /// The options that may be set anew while it runs.
    #[must_use]
    pub fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits)
    }
    /// Every frame is to say how bright its input tensor is: for whoever sets the exposure.
    pub fn measure_light(&mut self) {
        self.measures_light = true;
    }
    /// A slot that always holds the newest frame; replaced frames are counted under `name`.
    pub fn latest(&mut self, name: &'static str) -> Arc<LatestSlot<Arc<Frame>>> {
        let slot = Arc::new(LatestSlot::new(name));
        self.latest.push(Arc::clone(&slot));
        slot
    }
    /// A queue of at most `capacity` frames; with `drop_when_behind` a full queue refuses and
    /// counts, else it waits.
    pub fn bounded(&mut self, name: &'static str, capacity: usize) -> Arc<Bounded<Arc<Frame>>> {
        let queue = Arc::new(Bounded::new(name, capacity));
        self.bounded.push(Arc::clone(&queue));
        queue
    }
    /// The same, but nobody ever waits for room in it.
    pub fn offered(&mut self, name: &'static str, capacity: usize) -> Arc<Bounded<Arc<Frame>>> {
        let queue = Arc::new(Bounded::offered(name, capacity));
        self.bounded.push(Arc::clone(&queue));
        queue
    }
    /// Starts the capture and decode threads. `host_clock` stamps the host stages; raising its stop
    /// signal ends the run. The source must end its waits on that same signal, else stopping waits
    /// for its next frame.
    #[must_use]
    pub fn start(self, source: Box<dyn FrameSource>, host_clock: Clock) -> Running {
        let Self { options, limits, measures_light, latest, bounded } = self;
        Running::start(&options, limits, measures_light, latest, bounded, source, host_clock)
    }
}
