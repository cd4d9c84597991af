//! From the bytes of one buffer to the frame that the network saw and what it said about it.
//!
//! ```text
//!   RawFrame -- 2 embedded lines --> SensorState
//!        |
//!        +-- DNN lines --> split --+-- input region ---> planar --> RGB ----+--> pairing --> Frame
//!                            |     +-- output region --> probability -------+       ^
//!                            +-- ApParams: parsed when their bytes change             kept input
//!
//!   RawPicture --> held by number ------ that of the paired frame, developed ------> Frame.rgb
//! ```
//!
//! Where the host runs the network, its output takes the place of the output region's, which is of
//! another network; and where not even input tensors come, that of both regions.
//!
//! A raw picture is developed only when its frame is shown: most frames the network never sees.
//!
//! A buffer whose DNN lines are damaged is refused whole: counted under one reason and then
//! forgotten. If it should have brought one half of a pair, pairing misses that half and counts the
//! other as unpaired; a pair that was in it whole is only in the count of its reason.
//! Damaged embedded lines cost only the register values.

use super::held::HeldPictures;
use super::host::{HostNetwork, Inference, Sees, Unfit};
use super::pairing::{Arrival, Pairing, Picture};
use super::vessels::{self, Unsuitable, Vessels};
use super::windows::FrameWindows;
use super::{Counters, Frame, Options, ShownPicture, Stamps};
use crate::formats::ap_params::ApParams;
use crate::formats::dnn_lines::{DnnHeader, DnnLines, LINE_LEN_BYTES, network_of};
use crate::formats::embedded::SensorState;
use crate::formats::input_tensor::{ColourOrder, InputLayout};
use crate::formats::reader::ParseError;
use crate::source::imx500::exposure::LightMeter;
use crate::source::imx500::picture::{Darkroom, PictureError};
use crate::source::{RawFrame, SourceInfo};

/// Why a buffer, or its embedded lines, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It ends before its regions do.
    #[error("buffer too short: {0}")]
    Truncated(ParseError),
    /// The FlatBuffer cannot be parsed, or describes an input tensor that cannot be.
    #[error("ApParams: {0}")]
    ApParams(ParseError),
    /// Both regions carry the same FlatBuffer; here they do not.
    #[error(
        "ApParams: those of the input region and of the output region differ, so one is damaged"
    )]
    ApParamsDiffer,
    /// The header asks for a network that ApParams do not have.
    #[error("ApParams: no network {network_id}, which the header names")]
    NoNetwork {
        /// Wanted by the header.
        network_id: u16,
    },
    /// The network has no input tensor.
    #[error("ApParams: network {network_id} has no input tensor")]
    NoInput {
        /// Wanted by the header.
        network_id: u16,
    },
    /// The network's outputs are no vessel map.
    #[error("ApParams: {0}")]
    Unsuitable(Unsuitable),
    /// Long enough, but no header of an output region was found.
    #[error("no line after the input region has the header of its output region")]
    NoOutputRegion,
    /// The network on the host takes other inputs.
    #[error("ApParams: {0}")]
    Unfit(#[from] Unfit),
    /// The network on the host sees raw pictures, and there was none.
    #[error("no raw picture came with the frame, so the network on the host saw nothing")]
    NoPicture,
    /// Anything else.
    #[error("malformed buffer: {0}")]
    Malformed(ParseError),
    /// The raw picture is cut, or has no size; its frame is shown as the network saw it.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

impl From<ParseError> for Damage {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Truncated { .. } => Self::Truncated(error),
            ParseError::Value { .. } => Self::Malformed(error),
            ParseError::Tensor { .. } => Self::ApParams(error),
        }
    }
}

impl From<Unsuitable> for Damage {
    fn from(unsuitable: Unsuitable) -> Self {
        match unsuitable {
            // The line length comes from the header, the rest from ApParams.
            Unsuitable::Layout(error) => error.into(),
            other => Self::Unsuitable(other),
        }
    }
}

impl Counters {
    /// Counts a damaged buffer under its reason.
    fn count(&mut self, damage: &Damage) {
        let counter = match damage {
            Damage::Truncated(_) => &mut self.truncated_buffers,
            Damage::ApParams(_)
            | Damage::ApParamsDiffer
            | Damage::NoNetwork { .. }
            | Damage::NoInput { .. }
            | Damage::Unsuitable(_)
            | Damage::Unfit(_) => &mut self.corrupt_ap_params,
            Damage::NoOutputRegion => &mut self.no_output_region,
            Damage::Malformed(_) => &mut self.malformed_buffers,
            Damage::NoPicture | Damage::Picture(_) => &mut self.missing_pictures,
        };
        *counter += 1;
    }
}

/// What decoding one buffer came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// `Decoder::frame` now holds a new frame.
    pub paired: bool,
    /// What was wrong with the buffer; already counted.
    pub damage: Option<Damage>,
}

/// Decodes buffer after buffer. All memory is its own and used again.
#[derive(Debug)]
pub struct Decoder {
    colour_order: ColourOrder,
    threshold: u8,
    plan: Option<Plan>,
    planar: Vec<u8>,
    picture: Picture,
    pairing: Pairing,
    shown: ShownPicture,
    darkroom: Darkroom,
    raw_pictures: HeldPictures,
    windows: FrameWindows,
    host: Option<HostNetwork>,
    light_meter: Option<LightMeter>,
    /// Registers of the last frame, where the host's network sees raw pictures.
    sensor_before: Option<SensorState>,
    frame: Frame,
}

/// Whether a newer buffer waits already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Newest,
    Behind,
}

impl Decoder {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(options: &Options, source: &SourceInfo) -> Self {
        let host = match &options.inference {
            Inference::Sensor => None,
            Inference::Host(host) => Some(HostNetwork::new(host)),
        };
        let shown = match &host {
            // It shows what it sees.
            Some(host) if host.sees == Sees::Picture => ShownPicture::InputTensor,
            _ => options.picture,
        };
        Self {
            colour_order: options.colour_order,
            threshold: options.threshold,
            plan: None,
            planar: Vec::new(),
            picture: Picture::default(),
            pairing: Pairing::new(source.frame_interval),
            shown,
            darkroom: options.darkroom.clone(),
            raw_pictures: HeldPictures::new(source.frame_interval),
            windows: FrameWindows::new(),
            host,
            light_meter: None,
            sensor_before: None,
            frame: Frame::default(),
        }
    }
    /// The mask of the next frame is `probability >= threshold`.
    pub(super) fn set_threshold(&mut self, threshold: u8) {
        self.threshold = threshold;
    }

    /// From now on every frame says how bright its input tensor is.
    pub fn measure_light(&mut self) {
        self.light_meter = Some(LightMeter::default());
    }

    /// The newest frame, complete but for its host stamps. To keep it, swap its contents for those
    /// of another.
    pub fn frame(&mut self) -> &mut Frame {
        &mut self.frame
    }

    /// Keeps the buffer's raw picture until its tensor comes, if raw pictures are shown; before `decode`.
    /// What is left in the buffer is memory for another picture.
    pub fn hold_picture(&mut self, raw: &mut RawFrame) {
        if self.shown == ShownPicture::Raw {
            self.raw_pictures.keep(raw.sequence, &mut raw.picture);
        }
    }

    /// Takes the next buffer. Counts `inputs`, `outputs`, what pairing counts, and damage by its
    /// reason.
    pub fn decode(&mut self, raw: &RawFrame, counters: &mut Counters) -> Decoded {
        self.take(raw, Turn::Newest, counters)
    }

    /// Takes a buffer behind which a newer one waits: the same, but a network on the host is not run on it.
    pub fn pass_over(&mut self, raw: &RawFrame, counters: &mut Counters) -> Decoded {
        self.take(raw, Turn::Behind, counters)
    }

    fn take(&mut self, raw: &RawFrame, turn: Turn, counters: &mut Counters) -> Decoded {
        self.windows.record(raw.sequence, raw.window);
        let (sensor, embedded_damage) = match embedded(raw) {
            Ok(sensor) => (sensor, None),
            Err(damage) => (SensorState::default(), Some(damage)),
        };
        let paired = match &self.host {
            Some(host) if host.sees == Sees::Picture => {
                self.raw_picture(raw, sensor, turn, counters)
            }
            _ => self.dnn_lines(raw, sensor, turn, counters),
        };
        let decoded = match paired {
            Ok(None) => Decoded { paired: false, damage: embedded_damage },
            Ok(Some(Paired { seen_in })) => {
                let picture_damage = self.show_raw(seen_in, counters).err();
                Decoded { paired: true, damage: picture_damage.or(embedded_damage) }
            }
            Err(damage) => Decoded { paired: false, damage: Some(damage) },
        };
        if let Some(damage) = &decoded.damage {
            counters.count(damage);
        }
        decoded
    }

    fn dnn_lines(
        &mut self,
        raw: &RawFrame,
        sensor: SensorState,
        turn: Turn,
        counters: &mut Counters,
    ) -> Result<Option<Paired>, Damage> {
        let area = raw.metadata.get(embedded_len_bytes(raw)..).unwrap_or_default();
        let lines = DnnLines::split(area)?;
        let ap_params = lines.input.ap_params_bytes()?;
        if let Some(output) = &lines.output
            && output.ap_params_bytes()? != ap_params
        {
            return Err(Damage::ApParamsDiffer);
        }
        let header = &lines.input.header;
        let plan = Plan::of(&mut self.plan, header, ap_params, self.host.as_ref())?;
        plan.check_len(area)?;
        let said = match &mut plan.vessels {
            Some(vessels) => Some((vessels, lines.output.ok_or(Damage::NoOutputRegion)?)),
            None => None,
        };

        let input_valid = header.frame_valid;
        let skipped = input_valid && self.host.is_some() && turn == Turn::Behind;
        let input_taken = input_valid && !skipped;
        if input_taken {
            let body = lines.input.body()?;
            plan.input.copy_planar(body, plan.max_line_len_bytes, &mut self.planar)?;
            plan.input.to_rgb(&self.planar, self.colour_order, &mut self.picture.rgb);
            (self.picture.width, self.picture.height) = (plan.input.width, plan.input.height);
        }
        let probability = &mut self.frame.probability;
        let (output_valid, map_size, kpi) = match (said, &mut self.host) {
            (Some((vessels, output)), _) => {
                if output.header.frame_valid {
                    vessels.read(output.body()?, probability)?;
                }
                let map_size = (vessels.width(), vessels.height());
                (output.header.frame_valid, map_size, Some(lines.kpi))
            }
            (None, host) => {
                let host =
                    host.as_mut().expect("only for a network on the host are there no vessels");
                if input_taken {
                    host.see_tensor(&self.planar, &plan.input, self.colour_order, probability);
                }
                (input_taken, host.map_size(), None)
            }
        };
        counters.inputs += u64::from(input_valid);
        counters.skipped_inputs += u64::from(skipped);
        counters.outputs += u64::from(output_valid);

        let frame_count = lines.input.header.frame_count;
        let arrival = Arrival {
            sequence: raw.sequence,
            frame_count,
            frame_start: raw.frame_start,
            registers: sensor,
            input: input_taken.then_some(&mut self.picture),
            output_valid,
        };
        let Some(pair) = self.pairing.push(arrival, counters) else {
            return Ok(None);
        };
        let seen_in = pair.seen_in;
        let frame = &mut self.frame;
        frame.sequence = raw.sequence;
        frame.frame_count = frame_count;
        frame.lag_frames = pair.lag_frames;
        (frame.mask_width, frame.mask_height) = map_size;
        frame.threshold = self.threshold;
        frame.vessel_fraction = vessels::vessel_fraction(&frame.probability, self.threshold);
        frame.kpi = kpi;
        frame.sensor = pair.registers;
        frame.sensor_steady = pair.steady;
        frame.window = self.windows.of_frame(seen_in);
        let Picture { width, height, rgb } = &*pair.picture;
        frame.light = self.light_meter.as_mut().map(|meter| meter.read(*width, *height, rgb));
        (frame.width, frame.height) = (*width, *height);
        std::mem::swap(&mut frame.rgb, &mut pair.picture.rgb);
        frame.stamps = Stamps {
            frame_start: pair.frame_start,
            tensor_at_host: raw.tensor_at_host,
            ..Stamps::default()
        };
        Ok(Some(Paired { seen_in }))
    }

    /// A frame without a network in the sensor: its picture is all there is to see.
    fn raw_picture(
        &mut self,
        raw: &RawFrame,
        sensor: SensorState,
        turn: Turn,
        counters: &mut Counters,
    ) -> Result<Option<Paired>, Damage> {
        if raw.picture.bytes.is_empty() {
            return Err(Damage::NoPicture);
        }
        let before = self.sensor_before.replace(sensor);
        let Some(host) = self.host.as_mut().filter(|_| turn == Turn::Newest) else {
            counters.inputs += 1;
            counters.skipped_inputs += 1;
            return Ok(None);
        };
        if let Some(window) = raw.window {
            self.darkroom.look_at(window);
        }
        let frame = &mut self.frame;
        let size = self.darkroom.develop(&raw.picture, &mut frame.rgb)?;
        let (width, height) = size;
        frame.light = self.light_meter.as_mut().map(|meter| meter.read(width, height, &frame.rgb));
        host.see_picture(&mut frame.rgb, size, &mut frame.probability);
        counters.inputs += 1;
        counters.outputs += 1;
        frame.sequence = raw.sequence;
        frame.frame_count = raw.sequence.to_le_bytes()[0];
        frame.lag_frames = 0;
        (frame.width, frame.height) = size;
        (frame.mask_width, frame.mask_height) = host.map_size();
        frame.threshold = self.threshold;
        frame.vessel_fraction = vessels::vessel_fraction(&frame.probability, self.threshold);
        frame.kpi = None;
        frame.sensor = sensor;
        frame.sensor_steady = before.is_none_or(|before| before.has_exposure_of(&sensor));
        frame.window = raw.window;
        frame.stamps = Stamps {
            frame_start: raw.frame_start,
            tensor_at_host: raw.tensor_at_host,
            ..Stamps::default()
        };
        Ok(Some(Paired { seen_in: Some(raw.sequence) }))
    }

    /// Replaces the picture of the frame by the raw one of the same frame, if that is wanted and there.
    fn show_raw(&mut self, seen_in: Option<u64>, counters: &mut Counters) -> Result<(), Damage> {
        if self.shown != ShownPicture::Raw {
            return Ok(());
        }
        // Of which part nobody knows: the input tensor is that of the mask in any case.
        let Some(window) = self.frame.window else { return Ok(()) };
        self.darkroom.look_at(window);
        let Some(raw) = seen_in.and_then(|number| self.raw_pictures.of_frame(number)) else {
            counters.missing_pictures += 1;
            return Ok(());
        };
        let frame = &mut self.frame;
        (frame.width, frame.height) = self.darkroom.develop(raw, &mut frame.rgb)?;
        Ok(())
    }
}

/// A frame is complete.
struct Paired {
    /// Number of the buffer with which the frame the network saw came.
    seen_in: Option<u64>,
}

fn embedded(raw: &RawFrame) -> Result<SensorState, Damage> {
    let len = embedded_len_bytes(raw).min(raw.metadata.len());
    Ok(SensorState::parse(&raw.metadata[..len], raw.embedded_line_len_bytes)?)
}

fn embedded_len_bytes(raw: &RawFrame) -> usize {
    raw.embedded_line_len_bytes.saturating_mul(EMBEDDED_LINES)
}

/// Where everything lies for one network. Made when the ApParams change, which is when a network is
/// loaded.
#[derive(Debug)]
struct Plan {
    ap_params: Vec<u8>,
    network_id: u16,
    max_line_len_bytes: usize,
    input: InputLayout,
    /// None where the host runs the network: the sensor's outputs are then of another one.
    vessels: Option<Vessels>,
}

impl Plan {
    /// The plan at hand if it was made for this header and these bytes, else a new one in its
    /// place. A plan that cannot be made leaves the one at hand: the next buffer may be sound
    /// again.
    fn of<'p>(
        plan: &'p mut Option<Self>,
        header: &DnnHeader,
        ap_params: &[u8],
        host: Option<&HostNetwork>,
    ) -> Result<&'p mut Self, Damage> {
        let fits = plan.as_ref().is_some_and(|plan| {
            plan.network_id == header.network_id
                && plan.max_line_len_bytes == usize::from(header.max_line_len_bytes)
                && plan.ap_params == ap_params
        });
        if !fits {
            *plan = Some(Self::new(header, ap_params, host)?);
        }
        Ok(plan.as_mut().expect("it was there or has just been made"))
    }

    fn new(header: &DnnHeader, bytes: &[u8], host: Option<&HostNetwork>) -> Result<Self, Damage> {
        let max_line_len_bytes = usize::from(header.max_line_len_bytes);
        let params = ApParams::parse(bytes).map_err(Damage::ApParams)?;
        let network_id = header.network_id;
        let network = network_of(header, &params).ok_or(Damage::NoNetwork { network_id })?;
        let input = network.inputs.first().ok_or(Damage::NoInput { network_id })?;
        let input = InputLayout::new(input).map_err(Damage::ApParams)?;
        let vessels = match host {
            Some(host) => host.check(&input).map(|()| None)?,
            None => Some(Vessels::new(&network.outputs, max_line_len_bytes)?),
        };
        Ok(Self { ap_params: bytes.to_vec(), network_id, max_line_len_bytes, input, vessels })
    }

    /// Refuses an area that ends before the output region does, whatever is valid in it. Without
    /// this a cut in the input region would look like a missing output region.
    fn check_len(&self, area: &[u8]) -> Result<(), Damage> {
        let input_lines = self.input.stream_len_bytes().div_ceil(self.max_line_len_bytes);
        let output_lines = self.vessels.as_ref().map_or(0, |v| HEADER_LINES + v.body_lines());
        let want = (KPI_LINES + HEADER_LINES + input_lines + output_lines) * LINE_LEN_BYTES;
        if area.len() < want {
            let field = "DNN lines";
            let error = ParseError::Truncated { field, offset: 0, got: area.len(), want };
            return Err(Damage::Truncated(error));
        }
        Ok(())
    }
}

const EMBEDDED_LINES: usize = 2;
const KPI_LINES: usize = 1;
const HEADER_LINES: usize = 1;
