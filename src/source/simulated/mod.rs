//! The simulated IMX500: looks at a scene, runs the emulator, emits the sensor's own bytes.
//!
//! ```text
//!   scene.rs ---picture---> isp.rs ---input---> emulation.rs ("emulator" thread) ---output---+
//!      ^ time                  ^                    ^ start                                  |
//!      |                       | frame              |                                        v
//!      +------------------- timing.rs: the schedule ----- which inference -----> buffer k: formats emit it
//!                                                                                            |
//!                                       faults.rs: damages it, loses it, stalls -------------+
//!                                                                                            v
//!                                      clock.rs: wait for its time, stamp it ------------> RawFrame
//! ```
//!
//! The schedule is a function of the options and the seed alone, and stamps are schedule time: what is
//! reported of the sensor does not depend on the CPU. The clock only decides how fast the schedule is walked
//! through: a monotonic clock waits for each buffer's time, a virtual one does not. If the CPU is too slow
//! for real time, nothing is lost: the simulation runs in slow motion, and
//! [`FrameSource::behind_real_time`] says by how much.
//!
//! What a tensor region holds while its valid flag is 0 is stale: what was sent there last.

pub mod area;
mod description;
mod emulation;
pub mod faults;
pub mod isp;
pub mod picture;
pub mod scene;
pub mod timing;

use std::collections::VecDeque;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::aim::{Aim, Bounds};
use super::clock::{Clock, Timestamp, Waited};
use super::recovery::Remedy;
use super::{FrameSource, Next, Quality, RawFrame, SourceError, SourceInfo};
use crate::emulator::{Network, TensorSpec};
use crate::formats::dnn_lines::{DnnLinesLayout, Kpi, LINE_LEN_BYTES};
use crate::formats::embedded::{LinePacking, SensorState, embedded_line_len_bytes};
use crate::formats::input_tensor::ColourOrder;
use description::{Description, NETWORK_ID};
use emulation::Emulation;
use faults::{Fault, FaultPlan, Faults, STALL};
use isp::{Encoding, Gains, InferenceWindow, Isp};
use scene::{Motion, OpenScene, Scene, sway};
use timing::{Carries, Dnn, FrameTiming, Inference, Mode, RunTime};

/// How long the simulated DNN runs, and whether the simulation keeps time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timing {
    /// Run time estimated from the network's multiply-accumulates.
    #[default]
    Estimated,
    /// Run time given, such as measured on a sensor.
    Given(RunTime),
    /// The DNN takes no time: every buffer carries input and output of its own frame. Frames are stamped
    /// one interval apart, but nobody waits for them, whatever the clock.
    Off,
}

/// What the simulated sensor is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What it looks at.
    pub scene: Scene,
    /// How long each picture of a folder is shown.
    pub show_each: Duration,
    /// How it moves over the scene.
    pub motion: Motion,
    /// Of everything that is drawn: run times, faults, the phantom.
    pub seed: u64,
    /// How long the DNN runs.
    pub timing: Timing,
    /// Read-out mode.
    pub mode: Mode,
    /// How the receiver packs embedded lines.
    pub packing: LinePacking,
    /// What of the sensor the network sees.
    pub inference_window: InferenceWindow,
    /// White balance.
    pub gains: Gains,
    /// Colour order of the network's input planes.
    pub colour_order: ColourOrder,
    /// What goes wrong, and when.
    pub faults: Vec<FaultPlan>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scene: Scene::default(),
            show_each: Duration::from_secs(5),
            motion: Motion::default(),
            seed: 0,
            timing: Timing::default(),
            mode: Mode::default(),
            packing: LinePacking::default(),
            inference_window: InferenceWindow::default(),
            gains: Gains::default(),
            colour_order: ColourOrder::default(),
            faults: Vec::new(),
        }
    }
}

/// The simulated sensor.
#[derive(Debug)]
pub struct Simulated {
    clock: Clock,
    keeps_time: bool,
    mode: Mode,
    packing: LinePacking,
    timing: FrameTiming,
    eye: Eye,
    dnn: Dnn,
    emulation: Emulation,
    faults: Faults,
    broken: Option<Broken>,
    description: Description,
    output: TensorSpec,

    aim: Aim,
    next_buffer: u64,
    /// The one that is planned next.
    next_planned: u64,
    /// What the next buffer carries. Planned one buffer ahead, so that the emulator always has work.
    planned: Carries,
    /// Input tensors to be taken instead of what is seen, by the counter of their frame.
    injected: VecDeque<(u8, Vec<u8>)>,
    /// Inferences that were started and whose output was not sent yet, oldest first.
    flights: VecDeque<Flight>,
    spare_flights: Vec<Flight>,

    /// Start of frame 0, set when the first buffer is ready.
    origin: Option<Timestamp>,
    stalled: Duration,
    behind: Duration,
    sent: Sent,
    ended: bool,
}

/// A fault that lasts until it is recovered.
#[derive(Debug, Clone, Copy)]
struct Broken {
    fault: Fault,
    /// Times the camera is looked for in vain.
    hidden_for: u32,
}

/// Scene, windows and ISP: from a frame to an input tensor.
#[derive(Debug)]
struct Eye {
    scene: OpenScene,
    motion: Motion,
    /// Of the latest frames, by their number.
    windows: [InferenceWindow; WINDOWS_KEPT],
    isp: Isp,
}

#[derive(Debug)]
struct Flight {
    frame: u64,
    input: Vec<u8>,
}

/// What the sensor's send buffers hold: the newest of each, stale or not.
#[derive(Debug)]
struct Sent {
    kpi: Kpi,
    input: Vec<u8>,
    /// Column-major, as the sensor sends it.
    output: Vec<u8>,
    damaged_ap_params: Vec<u8>,
}

impl Simulated {
    /// Opens the scene, plans the schedule and starts the emulator's thread.
    ///
    /// # Errors
    /// When the scene cannot be shown, a setting makes no sense, or no sensor could carry the network.
    pub fn new(options: Options, network: &Network, clock: Clock) -> Result<Self, SourceError> {
        let description = Description::of(network)?;
        let timing = options.mode.frame_timing(description.dnn_lines());
        let run_time = match options.timing {
            Timing::Estimated => RunTime::estimate(network.macs()),
            Timing::Given(run_time) => run_time,
            Timing::Off => RunTime::default(),
        };
        let input = network.input();
        let encoding = Encoding {
            width: input.width,
            height: input.height,
            signed: input.signed,
            order: options.colour_order,
            gains: options.gains,
        };
        let window = options.inference_window.resolve()?;
        let bounds = Bounds { input: Some((input.width, input.height)), mode: options.mode };
        let eye = Eye {
            scene: OpenScene::open(&options.scene, options.show_each, options.seed)?,
            motion: options.motion,
            windows: [window; WINDOWS_KEPT],
            isp: Isp::new(encoding),
        };
        let rng = |purpose| {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream(purpose);
            rng
        };
        let mut simulated = Self {
            clock,
            keeps_time: options.timing != Timing::Off,
            mode: options.mode,
            packing: options.packing,
            timing,
            eye,
            dnn: Dnn::new(timing, run_time, rng(RUN_TIMES)),
            emulation: Emulation::start(network)?,
            faults: Faults::new(&options.faults, rng(FAULTS)),
            broken: None,
            description,
            output: network.output().clone(),
            aim: Aim::new(window, bounds),
            next_buffer: 0,
            next_planned: 0,
            planned: Carries::Nothing,
            injected: VecDeque::new(),
            flights: VecDeque::with_capacity(emulation::JOBS),
            spare_flights: Vec::with_capacity(emulation::JOBS),
            origin: None,
            stalled: Duration::ZERO,
            behind: Duration::ZERO,
            sent: Sent {
                kpi: Kpi::default(),
                input: vec![0; network.input().len_bytes()],
                output: vec![0; network.output().len_bytes()],
                damaged_ap_params: Vec::new(),
            },
            ended: false,
        };
        simulated.plan()?;
        Ok(simulated)
    }

    /// For whoever moves the window while it streams.
    #[must_use]
    pub fn aim(&self) -> Aim {
        self.aim.clone()
    }

    /// Gives the network this input tensor instead of what the sensor sees, once: in the first frame that
    /// is looked at from now on and has this counter. `input` is C, H, W, row-major, as stored.
    ///
    /// # Errors
    /// When it is not of the network's size.
    pub fn inject(&mut self, frame_count: u8, input: &[u8]) -> Result<(), SourceError> {
        let wanted = self.sent.input.len();
        if input.len() != wanted {
            return Err(SourceError::Setting(format!(
                "an input tensor of {} bytes was injected; the network takes {wanted}",
                input.len()
            )));
        }
        self.injected.push_back((frame_count, input.to_vec()));
        Ok(())
    }

    /// What the next buffer carries, while the one after it is planned and its inferences start.
    fn plan(&mut self) -> Result<Carries, SourceError> {
        self.take_aim();
        let Self { dnn, eye, emulation, flights, spare_flights, timing, injected, faults, .. } =
            self;
        let mut started = Ok(());
        let next = dnn.step(|inference| {
            if started.is_ok() {
                let mut flight =
                    spare_flights.pop().unwrap_or(Flight { frame: 0, input: Vec::new() });
                flight.frame = inference.frame;
                let frame_count = faults.frame_count(inference.frame);
                let given = injected.iter().position(|(wanted, _)| *wanted == frame_count);
                let seen = match given.and_then(|at| injected.remove(at)) {
                    Some((_, input)) => {
                        flight.input.clone_from(&input);
                        Ok(())
                    }
                    None => {
                        let time = timing.start_of(inference.frame);
                        eye.look(inference.frame, time, &mut flight.input)
                    }
                };
                started = seen.and_then(|()| emulation.submit(&flight.input));
                flights.push_back(flight);
            }
        });
        started?;
        Ok(std::mem::replace(&mut self.planned, next))
    }

    /// A window that is asked for holds from the next frame on that is planned: a frame is seen under one.
    fn take_aim(&mut self) {
        let frame = self.next_planned;
        self.next_planned += 1;
        let pending = self.aim.pending();
        let window = pending.unwrap_or_else(|| self.eye.window_of(frame.saturating_sub(1)));
        self.eye.windows[at(frame)] = window;
        if pending.is_some() {
            self.aim.obeyed(window);
        }
    }

    /// Fills the send buffers with what a buffer carries. Gives the counter for its headers, and whether
    /// input and output are valid.
    fn load(&mut self, buffer: u64, carries: Carries) -> Result<(u8, bool, bool), SourceError> {
        Ok(match carries {
            Carries::Nothing => (self.faults.frame_count(buffer), false, false),
            Carries::Input(inference) => {
                let flight = self.flights.front().expect(IN_FLIGHT);
                debug_assert_eq!(flight.frame, inference.frame);
                self.sent.input.copy_from_slice(&flight.input);
                (self.faults.frame_count(inference.frame), true, false)
            }
            Carries::Output(inference) => {
                self.land(inference)?;
                (self.faults.frame_count(inference.frame), false, true)
            }
            Carries::Both(inference) => {
                self.land(inference)?;
                (self.faults.frame_count(inference.frame), true, true)
            }
        })
    }

    /// Waits for an inference and puts its tensors and run time into the send buffers.
    fn land(&mut self, inference: Inference) -> Result<(), SourceError> {
        let flight = self.flights.pop_front().expect(IN_FLIGHT);
        debug_assert_eq!(flight.frame, inference.frame);
        let job = self.emulation.finish()?;
        self.sent.input.copy_from_slice(&job.input);
        to_column_major(&job.output, &self.output, &mut self.sent.output);
        let micros = inference.run_time.as_micros();
        self.sent.kpi.dnn_runtime_us = u32::try_from(micros).unwrap_or(u32::MAX);
        self.emulation.recycle(job);
        self.spare_flights.push(flight);
        Ok(())
    }

    /// Writes a buffer as the sensor sends it, with what goes wrong on the way.
    fn emit(
        &mut self,
        buffer: u64,
        carries: Carries,
        frame: &mut RawFrame,
    ) -> Result<(), SourceError> {
        let (frame_count, input_valid, output_valid) = self.load(buffer, carries)?;
        let runs = !self.is_broken(Fault::LostNetwork);
        let (input_valid, output_valid) = (input_valid && runs, output_valid && runs);
        // At most one: what another would do to the same bytes could not be told apart.
        let damage = DAMAGING.into_iter().find(|&fault| {
            let hurts = match fault {
                Fault::DroppedTensor | Fault::InvalidFlag => output_valid,
                Fault::CorruptApParams => input_valid || output_valid,
                _ => true,
            };
            hurts && self.faults.strikes(fault, buffer)
        });
        let mut ap_params = &self.description.ap_params;
        if damage == Some(Fault::CorruptApParams) {
            self.sent.damaged_ap_params.clone_from(ap_params);
            self.faults.damage(&mut self.sent.damaged_ap_params);
            ap_params = &self.sent.damaged_ap_params;
        }
        let line_len = embedded_line_len_bytes(usize::from(self.mode.width()), self.packing);
        self.sensor_state(buffer).emit(line_len, &mut frame.metadata);
        let layout = DnnLinesLayout {
            kpi: self.sent.kpi,
            frame_count,
            input_valid,
            output_valid: output_valid && damage != Some(Fault::InvalidFlag),
            network_id: NETWORK_ID,
            ap_params,
            input: &self.sent.input,
            outputs: &[&self.sent.output],
        };
        layout.append(&mut frame.metadata);
        let input_lines = usize::from(self.description.input_lines);
        let output_start = 2 * line_len + (1 + input_lines) * LINE_LEN_BYTES;
        match damage {
            Some(Fault::DroppedTensor) => {
                let output_end = frame.metadata.len() - LINE_LEN_BYTES;
                frame.metadata[output_start..output_end].fill(0);
            }
            Some(Fault::TruncatedBuffer) => {
                frame.metadata.truncate(self.faults.truncated_len(output_start));
            }
            _ => {}
        }
        frame.sequence = buffer;
        frame.embedded_line_len_bytes = line_len;
        frame.window = Some(self.eye.window_of(buffer));
        Ok(())
    }

    /// Registers of a sensor under slow automatic exposure that warms and cools a little. The picture
    /// does not depend on them.
    fn sensor_state(&self, buffer: u64) -> SensorState {
        let time = self.timing.start_of(buffer);
        let around = |middle: u16, swing: u16, period| {
            middle.saturating_add_signed(swung(swing, time, period))
        };
        let frame_length = self.mode.frame_length_lines(self.description.dnn_lines());
        let warmth = swung(4, time, WARMTH_PERIOD);
        SensorState {
            exposure_lines: Some(around(frame_length / 3, frame_length / 20, EXPOSURE_PERIOD)),
            analogue_gain_code: Some(around(512, 40, GAIN_PERIOD)),
            frame_length_lines: Some(frame_length),
            line_length_pixels: Some(self.mode.line_length_pixels()),
            temperature_celsius: i8::try_from(42 + warmth).ok(),
        }
    }

    /// Goes on to the next buffer that the receiver does not lose.
    fn next_received(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        loop {
            if self.clock.stop_signal().is_raised() {
                return Ok(Next::Ended);
            }
            let buffer = self.next_buffer;
            self.break_down(buffer)?;
            self.next_buffer += 1;
            let carries = self.plan()?;
            // Only counted here: they act in `Faults::frame_count`.
            self.faults.strikes(Fault::CounterJump, buffer);
            self.faults.strikes(Fault::CounterWrap, buffer);
            if self.faults.strikes(Fault::StalledSource, buffer) {
                self.stalled += STALL;
            }
            let lost = self.faults.strikes(Fault::LostBuffer, buffer);
            if lost {
                self.load(buffer, carries)?;
            } else {
                self.emit(buffer, carries, frame)?;
            }
            // A lost buffer takes its time too.
            match self.keep_time(buffer, frame) {
                Waited::Stopped => return Ok(Next::Ended),
                Waited::Reached if lost => {}
                Waited::Reached => return Ok(Next::Frame),
            }
        }
    }

    /// Breaks what is due to break at this buffer, and fails where nothing comes any more.
    fn break_down(&mut self, buffer: u64) -> Result<(), SourceError> {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.lasts()) {
            if self.broken.is_none() && self.faults.strikes(fault, buffer) {
                self.broken = Some(Broken { fault, hidden_for: HIDDEN_FOR });
            }
        }
        let Some(Broken { fault, .. }) = self.broken else { return Ok(()) };
        if fault == Fault::LostNetwork {
            return Ok(());
        }
        if fault == Fault::SilentSensor {
            // A host hears nothing for so long before it says so.
            self.stalled += SILENCE;
            if self.keeps_time {
                self.clock.wait_until(self.clock.now().plus(SILENCE));
            }
        }
        Err(SourceError::Injected(fault))
    }

    fn is_broken(&self, fault: Fault) -> bool {
        self.broken.is_some_and(|broken| broken.fault == fault)
    }

    /// Stamps a buffer and waits until it is at the host.
    fn keep_time(&mut self, buffer: u64, frame: &mut RawFrame) -> Waited {
        let origin = *self.origin.get_or_insert_with(|| self.clock.now());
        frame.frame_start = origin.plus(self.timing.start_of(buffer)).plus(self.stalled);
        frame.tensor_at_host = frame.frame_start.plus(self.timing.interval);
        let due = frame.tensor_at_host.plus(self.behind);
        let mut waited = Waited::Reached;
        if self.keeps_time {
            let late = self.clock.now().since(due);
            if late.is_zero() {
                waited = self.clock.wait_until(due);
            } else {
                self.behind += late;
            }
        }
        waited
    }
}

impl FrameSource for Simulated {
    fn info(&self) -> SourceInfo {
        SourceInfo {
            name: "simulated",
            quality: Quality::Simulated,
            frame_interval: self.timing.interval,
            packing: self.packing,
        }
    }

    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        if self.ended {
            return Ok(Next::Ended);
        }
        let next = self.next_received(frame);
        self.ended = !matches!(next, Ok(Next::Frame) | Err(SourceError::Injected(_)));
        next
    }

    fn can_recover(&self) -> bool {
        self.faults.can_last()
    }

    fn recover(&mut self, remedy: Remedy) -> Result<(), SourceError> {
        let Some(broken) = &mut self.broken else { return Ok(()) };
        match broken.fault {
            Fault::GoneCamera if remedy == Remedy::Reopen && broken.hidden_for == 0 => {}
            Fault::GoneCamera => {
                broken.hidden_for =
                    broken.hidden_for.saturating_sub(u32::from(remedy == Remedy::Reopen));
                return Err(SourceError::Injected(broken.fault));
            }
            Fault::LostNetwork if remedy < Remedy::SetNetwork => return Ok(()),
            _ => {}
        }
        self.broken = None;
        Ok(())
    }

    fn behind_real_time(&self) -> Duration {
        self.behind
    }

    fn injected_faults(&self) -> Vec<(&'static str, u64)> {
        self.faults.injected()
    }
}

impl Eye {
    fn window_of(&self, frame: u64) -> InferenceWindow {
        self.windows[at(frame)]
    }

    /// What the network sees of this frame, which starts at `time`.
    fn look(&mut self, frame: u64, time: Duration, input: &mut Vec<u8>) -> Result<(), SourceError> {
        let window = self.window_of(frame);
        let picture = self.scene.at(time)?;
        let view = window.view(picture, self.motion.at(time));
        self.isp.look(picture, view, input);
        Ok(())
    }
}

/// The emulator's C, H, W row-major bytes as the sensor sends them: ordinal 0 (C) fastest, W slowest.
fn to_column_major(row_major: &[u8], spec: &TensorSpec, into: &mut [u8]) {
    let column_len = spec.channels * spec.height;
    for (plane, bytes) in row_major.chunks_exact(spec.height * spec.width).enumerate() {
        for (y, row) in bytes.chunks_exact(spec.width).enumerate() {
            for (x, &byte) in row.iter().enumerate() {
                into[x * column_len + y * spec.channels + plane] = byte;
            }
        }
    }
}

/// Where the window of a frame is kept.
fn at(frame: u64) -> usize {
    usize::try_from(frame % WINDOWS_KEPT as u64).unwrap_or_default()
}

/// `swing` times [`sway`], rounded towards 0.
#[expect(clippy::cast_possible_truncation, reason = "at most `swing`, and a float cast saturates")]
fn swung(swing: u16, time: Duration, period: Duration) -> i16 {
    (f64::from(swing) * sway(time, period)) as i16
}

const IN_FLIGHT: &str = "the schedule sends only what it has started, oldest first";

/// A frame is looked at, and its buffer sent, at most two frames after it was planned.
const WINDOWS_KEPT: usize = 8;

/// Faults that damage a buffer's bytes.
const DAMAGING: [Fault; 4] =
    [Fault::DroppedTensor, Fault::InvalidFlag, Fault::CorruptApParams, Fault::TruncatedBuffer];

/// How often a camera that has gone is looked for in vain.
const HIDDEN_FOR: u32 = 1;
/// What a host waits for a frame of a silent sensor, as [`super::imx500::Options::silence_limit`].
const SILENCE: Duration = Duration::from_secs(5);

/// Streams of the seeded generator, one per purpose, so that a fault more does not change the run times.
const RUN_TIMES: u64 = 1;
const FAULTS: u64 = 2;

const EXPOSURE_PERIOD: Duration = Duration::from_secs(13);
const GAIN_PERIOD: Duration = Duration::from_secs(17);
const WARMTH_PERIOD: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_sent_column_by_column() {
        let spec = TensorSpec {
            name: String::new(),
            channels: 2,
            height: 2,
            width: 3,
            scale: 1.0,
            zero_point: 0,
            signed: false,
        };
        // Plane 0: a b c / d e f; plane 1: A B C / D E F.
        let mut sent = [0; 12];
        to_column_major(b"abcdefABCDEF", &spec, &mut sent);
        assert_eq!(&sent, b"aAdDbBeEcCfF");
    }
}
