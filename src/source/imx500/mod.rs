//! The Raspberry Pi AI Camera, over the kernel's own interfaces: no libcamera.
//!
//! ```text
//!   discovery, graph, receiver    which camera, and the way of its lines to memory
//!   subdev                        the sensor: network, mode, flips, window, gains, exposure
//!   upload, progress              stream start, in which the kernel uploads firmware and network
//!   capture, queue, events        frames, and what goes wrong with them
//!   cycles                        how often it was started since the machine was
//!   picture                       a raw picture made one to look at
//!   view                          under which window a frame was made
//!   exposure                      how bright the network sees them, and in what colours
//!   error, holder                 every refusal with its cause and the next step
//!   ioctl, mapping, uapi          the calls themselves: the only unsafe code
//!   feed, delivery, injected      the back of a virtual camera (tests/vm), to play the silicon
//! ```
//!
//! ```text
//!   open:     discover -> open the sub-device (kept open) -> configure
//!   next:     start (upload) on the first call, then a frame a call; the network is given again where
//!             the sensor may have idled since, and lost it
//!   recover:  stop -> configure, with the network given anew or the whole camera opened anew where that is wanted
//!
//!   configure: network -> flips, mode, rate, window -> links -> formats of all pads -> nodes, buffers
//! ```
//!
//! The network comes first, because the length of the metadata follows it. Not done here: the picture
//! is handed on raw and developed by whoever shows it, and exposure and white balance are only thought
//! out, because what they go by is known above; whoever reads the frames sets them by [`Sensor::obey`].

mod capture;
mod cycles;
mod delivery;
mod discovery;
mod error;
mod events;
pub mod exposure;
mod feed;
mod graph;
mod injected;
mod ioctl;
mod mapping;
pub mod picture;
mod progress;
mod queue;
mod receiver;
mod subdev;
mod uapi;
mod upload;
mod view;

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::source::holder::Holder;
pub use delivery::Deliveries;
pub use discovery::DiscoveryError;
pub use error::CameraError;
pub use events::Event;
pub use feed::{Delivery, Fed, Feed};
pub use injected::{Injected, Injections};
pub use progress::{UploadProgress, UploadStage, Uploaded};
pub use receiver::ReceiverKind;
pub use subdev::{ColourGains, Flips, Range, Sensor};
pub use upload::{OnUpload, UploadError, UploadReport};

use super::aim::{Aim, Bounds};
use super::clock::{Clock, Timestamp};
use super::simulated::isp::InferenceWindow;
use super::simulated::timing::Mode;
use super::{FrameSource, Next, Quality, RawFrame, SourceError, SourceInfo};
use crate::formats::dnn_lines::LINE_LEN_BYTES;
use crate::formats::embedded::embedded_line_len_bytes;
use crate::source::holder::holders_of;
use crate::source::recovery::Remedy;
use capture::{Capture, Pictures};
use cycles::Cycles;
use discovery::Camera;
use events::{Events, Numbering};
use graph::{Graph, Link};
use queue::Queue;
use receiver::{Receiver, Stream};
use uapi::Zero;
use uapi::media::{LinkDesc, MEDIA_LNK_FL_ENABLED, PadDesc};
use uapi::subdev::{MbusFormat, SubdevFormat, V4L2_SUBDEV_FORMAT_ACTIVE};
use upload::Upload;
use view::View;

/// The id of the camera `wanted`, or of the only one there is; nothing of it is touched.
///
/// # Errors
/// When there is none, or it is behind a receiver that cannot be used.
pub fn present(wanted: Option<&str>) -> Result<String, DiscoveryError> {
    discovery::find(wanted).map(|camera| camera.id)
}

/// What the camera is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Which camera, such as `10-001a`; the only one there is where none is named.
    pub camera: Option<String>,
    /// The network file (.rpk); without one no tensors come.
    pub network: Option<PathBuf>,
    /// Read-out mode.
    pub mode: Mode,
    /// Frames a second; the mode's most where none are given.
    pub frame_rate: Option<f64>,
    /// What of the sensor the network sees.
    pub inference_window: InferenceWindow,
    /// How the picture is turned.
    pub flips: Flips,
    /// Whether raw pictures are handed on with the frames.
    pub picture: bool,
    /// Whether the next stream takes input tensors from files.
    pub injection: bool,
    /// An upload that does not move for so long is stalled.
    pub stall_after: Duration,
    /// A stream without frames for so long is given up.
    pub silence_limit: Duration,
    /// Starts that are allowed since the machine was started; none allows any number.
    pub most_cycles: Option<u32>,
    /// Folder in which starts are counted across restarts of the daemon.
    pub cycles_kept_in: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            camera: None,
            network: None,
            mode: Mode::default(),
            frame_rate: None,
            inference_window: InferenceWindow::default(),
            flips: Flips::default(),
            picture: false,
            injection: false,
            // The driver's own longest wait is 5 s (100 times 50 ms for "download ready").
            stall_after: Duration::from_secs(15),
            silence_limit: Duration::from_secs(5),
            most_cycles: None,
            cycles_kept_in: None,
        }
    }
}

/// The camera.
pub struct Imx500 {
    // Declared, and so dropped, before the sensor: the stream ends before its sub-device closes.
    capture: Capture,
    streaming: bool,
    configured_at: Timestamp,
    sensor: Sensor,
    aim: Aim,
    view: View,
    cycles: Cycles,
    camera: Camera,
    options: Options,
    clock: Clock,
    on_upload: OnUpload,
}

impl Imx500 {
    /// Finds the camera and sets it up. It starts with the first frame that is asked for; `on_upload` is
    /// told how that goes.
    ///
    /// # Errors
    /// When there is no such camera, or it cannot be set up: with the device, the cause and the next step.
    pub fn open(options: Options, clock: Clock, on_upload: OnUpload) -> Result<Self, CameraError> {
        let camera = discovery::find(options.camera.as_deref())?;
        let sensor = Sensor::open(&camera.sensor)?;
        let capture = configure(&camera, &sensor, &options, &clock, Given::Anew)
            .map_err(|error| naming_holders(error, &camera.graph))?;
        let configured_at = clock.now();
        let Options { most_cycles, cycles_kept_in, mode, .. } = &options;
        let window = options.inference_window.on_sensor();
        let aim = Aim::new(window, Bounds { input: None, mode: *mode });
        let cycles = Cycles::open(cycles_kept_in.as_deref(), &camera.id, *most_cycles);
        Ok(Self {
            capture,
            streaming: false,
            configured_at,
            sensor,
            aim,
            view: View::new(window),
            cycles,
            camera,
            options,
            clock,
            on_upload,
        })
    }

    /// Stops the stream and sets everything up again, the network as `given`.
    fn set_up_again(&mut self, given: Given) -> Result<(), CameraError> {
        self.streaming = false;
        let (numbering, events) = (self.capture.numbering, self.capture.events);
        self.capture.stop();
        let capture = configure(&self.camera, &self.sensor, &self.options, &self.clock, given);
        self.capture = capture.map_err(|error| naming_holders(error, &self.camera.graph))?;
        (self.capture.numbering, self.capture.events) = (numbering, events);
        self.view = View::new(self.view.in_force());
        self.configured_at = self.clock.now();
        Ok(())
    }

    /// Looks for the camera again, which may have other nodes now, and sets it up.
    fn reopen(&mut self) -> Result<(), CameraError> {
        self.streaming = false;
        self.capture.stop();
        self.camera = discovery::find(Some(&self.camera.id))?;
        self.sensor.open_anew(&self.camera.sensor)?;
        self.set_up_again(Given::Anew)
    }

    /// The camera's id, such as `10-001a`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.camera.id
    }

    /// What of the sensor the network sees.
    #[must_use]
    pub fn inference_window(&self) -> InferenceWindow {
        self.options.inference_window
    }

    /// For whoever moves the window while it streams, so that it fits a network with an input of this width and
    /// height, where that is known. Handles from before move nothing any more.
    #[must_use]
    pub fn aim(&mut self, input: Option<(usize, usize)>) -> Aim {
        let bounds = Bounds { input, mode: self.options.mode };
        self.aim = Aim::new(self.view.in_force(), bounds);
        self.aim.clone()
    }

    /// Which receiver it is behind.
    #[must_use]
    pub fn receiver(&self) -> ReceiverKind {
        self.camera.receiver.kind
    }

    /// The sensor, for whoever sets its exposure and gains while it streams.
    #[must_use]
    pub fn sensor(&self) -> Sensor {
        self.sensor.clone()
    }

    /// Starts the stream now, with the upload of firmware and network, which no signal breaks off, instead
    /// of with the first frame; nothing where it streams already, or the stop signal is raised.
    ///
    /// # Errors
    /// When the kernel refuses network or stream: with the stage, the cause and the next step.
    pub fn start(&mut self) -> Result<(), CameraError> {
        if self.streaming || self.clock.stop_signal().is_raised() {
            return Ok(());
        }
        // An idle driver powers the sensor off and forgets what it was given. It says so nowhere.
        if self.clock.now().since(self.configured_at) > GIVEN_AGAIN_AFTER {
            give_network(&self.sensor, &self.options)?;
        }
        self.cycles.begin()?;
        let upload = Upload {
            camera: &self.camera.id,
            network: self.options.network.as_deref(),
            stall_after: self.options.stall_after,
            clock: &self.clock,
        };
        upload
            .run(&mut self.capture, &mut self.on_upload)
            .map_err(|error| naming_holders(error, &self.camera.graph))?;
        self.streaming = true;
        Ok(())
    }

    fn next_frame(&mut self, frame: &mut RawFrame) -> Result<Next, CameraError> {
        self.start()?;
        if !self.streaming {
            return Ok(Next::Ended);
        }
        self.take_aim();
        let next = self.capture.next(frame)?;
        frame.window = self.window_of(frame.frame_start);
        Ok(next)
    }

    /// Writes the window that is asked for. Between two frames, of which the sensor has begun the next.
    fn take_aim(&mut self) {
        let Some(window) = self.aim.pending() else { return };
        let began = self.clock.now();
        match self.sensor.set_inference_window(window) {
            Ok(()) => {
                let written = (began, self.clock.now());
                self.view.moved(window, written, self.capture.frame_interval);
                // What is set up again is set up so.
                self.options.inference_window = window;
                self.aim.obeyed(window);
            }
            Err(error) => {
                tracing::warn!("the inference window stays as it is: {error}");
                self.aim.refused(window, error.to_string());
                // Part of it may be written, or another one: the one before is written again.
                let before = self.view.in_force();
                match self.sensor.set_inference_window(before) {
                    Ok(()) => {
                        let written = (began, self.clock.now());
                        self.view.moved(before, written, self.capture.frame_interval);
                    }
                    Err(error) => {
                        tracing::warn!("nobody knows which window it is: {error}");
                        self.view.lost(began);
                    }
                }
            }
        }
    }

    /// What of the sensor a frame shows that starts then.
    fn window_of(&mut self, frame_start: Timestamp) -> Option<InferenceWindow> {
        if self.options.network.is_none() {
            // Raw pictures are whole: it is the host that cuts them.
            return Some(self.view.in_force());
        }
        self.view.of_frame(frame_start, self.capture.frame_interval)
    }
}

impl FrameSource for Imx500 {
    fn info(&self) -> SourceInfo {
        SourceInfo {
            name: "imx500",
            quality: Quality::Measured,
            frame_interval: self.capture.frame_interval,
            packing: self.camera.receiver.kind.packing(),
        }
    }

    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        Ok(self.next_frame(frame)?)
    }

    fn device_events(&self) -> Vec<(&'static str, u64)> {
        self.capture.events.counted()
    }

    fn can_recover(&self) -> bool {
        true
    }

    fn recover(&mut self, remedy: Remedy) -> Result<(), SourceError> {
        match remedy {
            Remedy::Restart => self.set_up_again(Given::Kept)?,
            Remedy::SetNetwork => self.set_up_again(Given::Anew)?,
            Remedy::Reopen => self.reopen()?,
        }
        Ok(())
    }

    fn camera_cycles(&self) -> Option<u32> {
        Some(self.cycles.so_far())
    }
}

/// Whether the driver is given the network, or keeps the one that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Anew,
    Kept,
}

/// Sets up everything between the network and the buffers, in the order of the module's diagram.
fn configure(
    camera: &Camera,
    sensor: &Sensor,
    options: &Options,
    clock: &Clock,
    network: Given,
) -> Result<Capture, CameraError> {
    if network == Given::Anew {
        give_network(sensor, options)?;
    }
    sensor.set_flips(options.flips)?;
    let picture_format = sensor.set_mode(options.mode)?;
    let frame_interval = sensor.set_frame_rate(options.mode, options.frame_rate)?;
    sensor.set_inference_window(options.inference_window)?;
    let metadata_format = sensor.metadata_format()?;

    let receiver = &camera.receiver;
    let pictures = options.picture || receiver.needs_pictures();
    switch_links(&camera.graph.path, receiver, pictures)?;
    for (subdev, pad, stream) in &receiver.pads {
        let format = match stream {
            Stream::Picture => picture_format,
            Stream::Metadata => metadata_format,
        };
        set_pad_format(subdev, *pad, format)?;
    }

    let mut metadata = Queue::open(&receiver.metadata.path, Stream::Metadata)?;
    metadata.set_metadata_format(&metadata_format)?;
    metadata.allocate(METADATA_BUFFERS)?;
    let pictures = if pictures {
        let mut queue = Queue::open(&receiver.picture.path, Stream::Picture)?;
        let layout = queue.set_picture_format(&picture_format)?;
        queue.allocate(PICTURE_BUFFERS)?;
        Some(Pictures::new(queue, Some(layout).filter(|_| options.picture)))
    } else {
        None
    };
    let line_len = embedded_line_len_bytes(options.mode.width().into(), receiver.kind.packing());
    Ok(Capture {
        metadata,
        pictures,
        metadata_len_bytes: match &options.network {
            Some(_) => metadata_len_bytes(metadata_format.width as usize, line_len),
            // The pad may still be as wide as the last network made it.
            None => 2 * line_len,
        },
        embedded_line_len_bytes: line_len,
        frame_interval,
        silence_limit: options.silence_limit,
        clock: clock.clone(),
        numbering: Numbering::default(),
        events: Events::default(),
    })
}

/// What the next start uploads, and whether tensors may be injected then.
fn give_network(sensor: &Sensor, options: &Options) -> Result<(), CameraError> {
    let Some(path) = &options.network else { return sensor.drop_network() };
    let unreadable = |cause| CameraError::NetworkFile { path: path.clone(), cause };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let len = file.metadata().map_err(|error| unreadable(error.to_string()))?.len();
    if len == 0 {
        // The kernel would say EINVAL.
        return Err(unreadable("it is empty; pack it again with `qsegment pack`".to_owned()));
    }
    sensor.set_network(&file)?;
    if options.injection { sensor.enable_injection() } else { Ok(()) }
}

/// What the sensor sends of a frame. The metadata pad's width allows for embedded lines of the longest
/// mode, and for as many DNN lines as the network has.
fn metadata_len_bytes(pad_width: usize, embedded_line_len_bytes: usize) -> usize {
    let dnn_lines = pad_width.saturating_sub(EMBEDDED_ROOM_LEN_BYTES) / LINE_LEN_BYTES;
    2 * embedded_line_len_bytes + dnn_lines * LINE_LEN_BYTES
}

/// Switches links, as they are now: other programs leave theirs on.
fn switch_links(media: &PathBuf, receiver: &Receiver, pictures: bool) -> Result<(), CameraError> {
    let graph = Graph::read(media).map_err(|error| CameraError::open(media, &error))?;
    let (off, on) = receiver.links(&graph, pictures);
    if off.is_empty() && on.is_empty() {
        return Ok(());
    }
    let device = File::options().read(true).write(true).open(media);
    let device = device.map_err(|error| CameraError::open(media, &error))?;
    let switched =
        off.iter().map(|link| (link, 0)).chain(on.iter().map(|l| (l, MEDIA_LNK_FL_ENABLED)));
    for (link, flags) in switched {
        ioctl::setup_link(device.as_fd(), described(link, flags)).map_err(|errno| {
            let name = |id| graph.entity(id).map_or("an entity", |entity| entity.name.as_str());
            let (source, sink) = (name(link.source.entity), name(link.sink.entity));
            let doing = if flags == 0 { "switch off" } else { "switch on" };
            CameraError::of(format!("{doing} the link from {source} to {sink}"), media, errno)
        })?;
    }
    Ok(())
}

fn described(link: &Link, flags: u32) -> LinkDesc {
    let pad = |at: graph::PadAt| PadDesc {
        entity: at.entity,
        index: u16::try_from(at.pad).unwrap_or(u16::MAX),
        ..PadDesc::ZERO
    };
    LinkDesc { source: pad(link.source), sink: pad(link.sink), flags, ..LinkDesc::ZERO }
}

fn set_pad_format(subdev: &PathBuf, pad: u32, format: MbusFormat) -> Result<(), CameraError> {
    let node = File::options().read(true).write(true).open(subdev);
    let node = node.map_err(|error| CameraError::open(subdev, &error))?;
    let wanted =
        SubdevFormat { which: V4L2_SUBDEV_FORMAT_ACTIVE, pad, format, ..SubdevFormat::ZERO };
    let doing = || format!("set the format of pad {pad}");
    let set = ioctl::set_pad_format(node.as_fd(), wanted);
    let set = set.map_err(|errno| CameraError::of(doing(), subdev, errno))?.format;
    if (set.width, set.height, set.code) == (format.width, format.height, format.code) {
        return Ok(());
    }
    Err(CameraError::Unsuitable(format!(
        "the receiver behind {} makes {}x{} (format {:#06x}) of {}x{} (format {:#06x}) at pad {pad}; is \
         this kernel's driver Raspberry Pi's?",
        subdev.display(),
        set.width,
        set.height,
        set.code,
        format.width,
        format.height,
        format.code
    )))
}

/// The node that is busy is not always the one that the other program has open: all of the camera's are
/// looked at.
fn naming_holders(error: CameraError, graph: &Graph) -> CameraError {
    match error {
        CameraError::Busy { doing, path, holders } if holders.is_empty() => {
            let nodes = graph.entities.iter().filter_map(|entity| entity.node.as_deref());
            let mut holders: Vec<Holder> = nodes.flat_map(holders_of).collect();
            holders.sort_by_key(|holder| holder.pid);
            holders.dedup();
            CameraError::Busy { doing, path, holders }
        }
        error => error,
    }
}

/// The driver powers the sensor off after 5 s without a stream.
const GIVEN_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Room for two embedded lines in the width of the metadata pad (`imx500.c`: 2 lines of 5072 bytes).
const EMBEDDED_ROOM_LEN_BYTES: usize = 2 * 5072;
/// 200 ms at 30 frames a second, should this process not be scheduled.
const METADATA_BUFFERS: u32 = 6;
/// The least that rp1-cfe takes; a full picture has 15 MB of contiguous memory.
const PICTURE_BUFFERS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::embedded::LinePacking;

    #[test]
    fn metadata_ends_with_the_last_dnn_line() {
        // deeplabv3plus: 121 lines in, 81 out, KPI and PQ.
        let pad_width = 10_144 + 204 * 2560;
        for (width, packing, wanted) in [
            (2028, LinePacking::Pi5, 5070 + 522_240),
            (2028, LinePacking::Pi4, 5088 + 522_240),
            (4056, LinePacking::Pi5, 10_140 + 522_240),
            (4056, LinePacking::Pi4, 10_144 + 522_240),
        ] {
            let line_len = embedded_line_len_bytes(width, packing);
            assert_eq!(metadata_len_bytes(pad_width, line_len), wanted, "{width} {packing:?}");
        }
        assert_eq!(metadata_len_bytes(10_144, 2535), 5070, "without a network");
    }

    #[test]
    fn without_any_camera_the_reason_is_one_sentence() {
        if std::fs::read_dir("/dev")
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("media"))
        {
            eprintln!("SKIPPED: this machine has media devices");
            return;
        }
        let clock = Clock::monotonic(crate::source::clock::StopSignal::default());
        let Err(error) = Imx500::open(Options::default(), clock, Box::new(|_| {})) else {
            panic!("a camera without a media device")
        };
        assert_eq!(error, CameraError::Discovery(DiscoveryError::NoMediaDevice));
    }
}
