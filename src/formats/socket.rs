//! Messages on the Unix socket: masks, pictures and stamps for other programs on the same machine.
//!
//! ```text
//!   daemon                                 client
//!   hello: prefix, JSON       ---------->
//!                             <----------  request: which maps it wants (again at any time)
//!   frame: header, maps       ---------->
//!   silent: prefix, 8 bytes   ---------->  once a second while no frame comes
//!
//!   prefix, 16 bytes                                        every number is little-endian
//!   "QSEG" | version u16 | kind u16 | header u32 | payload u32
//!                                     |            bytes after the header
//!                                     bytes of the whole header, with these 16
//! ```
//!
//! A reader takes the 16 bytes, then the rest of the header, then the payload. It skips a kind that it does not know, and
//! what a header has behind the fields that it knows: a later daemon may add both without a new version.
//! `docs/socket.md` has the table of the fields.

use super::reader::{ParseError, Reader};

/// The first four bytes of every message, in both directions.
pub const MAGIC: [u8; 4] = *b"QSEG";
/// Of the layout; a daemon that says another one cannot be read.
pub const VERSION: u16 = 1;
/// Bytes that every message begins with.
pub const PREFIX_LEN: usize = 16;
/// Bytes of a request.
pub const REQUEST_LEN: usize = 8;
/// No header and no payload is longer, so a reader can refuse what would take its memory.
pub const MAX_LEN: usize = 64 << 20;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first of a connection. Payload: JSON about daemon, network and source.
    Hello,
    /// One frame. Header: [`FrameHeader`]; payload: the maps that were asked for.
    Frame,
    /// No frame has come for a while. Header: [`Silent`].
    Silent,
    /// Of a later daemon: skip it.
    Other(u16),
}

impl Kind {
    const fn code(self) -> u16 {
        match self {
            Self::Hello => 1,
            Self::Frame => 2,
            Self::Silent => 3,
            Self::Other(code) => code,
        }
    }

    const fn of(code: u16) -> Self {
        match code {
            1 => Self::Hello,
            2 => Self::Frame,
            3 => Self::Silent,
            other => Self::Other(other),
        }
    }
}

/// How a message begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// What follows.
    pub kind: Kind,
    /// Bytes of the header, these 16 among them.
    pub header_len: usize,
    /// Bytes after the header.
    pub payload_len: usize,
}

impl Prefix {
    /// Reads the first 16 bytes of a message.
    ///
    /// # Errors
    /// When this is no message, one of another version, or longer than [`MAX_LEN`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut r = Reader::new(bytes);
        magic_and_version(&mut r)?;
        let kind = Kind::of(r.u16_le("kind")?);
        let mut len = |field, least| {
            let offset = r.offset();
            let got = r.u32_le(field)?;
            let len = usize::try_from(got).ok().filter(|len| (least..=MAX_LEN).contains(len));
            let want = "a length of at most 64 MiB, of a header 16 or more";
            len.ok_or(ParseError::Value { field, offset, got: got.into(), want })
        };
        let header_len = len("header", PREFIX_LEN)?;
        Ok(Self { kind, header_len, payload_len: len("payload", 0)? })
    }

    /// Appends the 16 bytes.
    ///
    /// # Panics
    /// When a length does not fit into 32 bits.
    pub fn emit(self, into: &mut Vec<u8>) {
        let len = |len: usize| u32::try_from(len).expect("a message is far below 4 GiB");
        into.extend(MAGIC);
        into.extend(VERSION.to_le_bytes());
        into.extend(self.kind.code().to_le_bytes());
        into.extend(len(self.header_len).to_le_bytes());
        into.extend(len(self.payload_len).to_le_bytes());
    }
}

/// What a client asks for. A later request replaces an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// The vessel probability of each pixel.
    pub probability: bool,
    /// What the network saw (or the raw picture of that frame), where the daemon gives pictures away.
    pub picture: bool,
}

impl Request {
    /// Reads a request of 8 bytes.
    ///
    /// # Errors
    /// When it is none, of another version, or asks for what there is not.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut r = Reader::new(bytes);
        magic_and_version(&mut r)?;
        let offset = r.offset();
        let wants = r.u16_le("wants")?;
        if wants & !(WANTS_PROBABILITY | WANTS_PICTURE) != 0 {
            let (got, want) = (wants.into(), "1 (probability), 2 (picture), or their sum");
            return Err(ParseError::Value { field: "wants", offset, got, want });
        }
        Ok(Self {
            probability: wants & WANTS_PROBABILITY != 0,
            picture: wants & WANTS_PICTURE != 0,
        })
    }

    /// The 8 bytes.
    #[must_use]
    pub fn emit(self) -> [u8; REQUEST_LEN] {
        let mut bytes = [0; REQUEST_LEN];
        let wants = u16::from(self.probability) * WANTS_PROBABILITY
            + u16::from(self.picture) * WANTS_PICTURE;
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..].copy_from_slice(&wants.to_le_bytes());
        bytes
    }
}

/// What is known of one frame. Its payload is the probability map and then the picture, each as many bytes as said here.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FrameHeader {
    /// Number of the buffer in which the output tensor came.
    pub sequence: u64,
    /// Frames between the one that this client got before and this one, which it was too slow for.
    pub skipped: u64,
    /// Start of the frame that the network saw; sensor clock.
    pub frame_start_ns: u64,
    /// Last line of the output tensor at the host; sensor clock.
    pub tensor_at_host_ns: u64,
    /// Buffer taken from the source; host clock.
    pub received_ns: u64,
    /// Mask ready; host clock.
    pub mask_ready_ns: u64,
    /// This message was made; host clock.
    pub sent_ns: u64,
    /// How long each line was exposed; 0 is unknown.
    pub exposure_ns: u64,
    /// Whether the picture was no older than the stale limit when this was sent.
    pub live: bool,
    /// The sensor's counter of the frame.
    pub frame_count: u8,
    /// How many sensor frames later than its picture the output came.
    pub lag_frames: u32,
    /// By the sensor's own counter; 0 is unknown.
    pub dnn_run_time_us: u32,
    /// The same of its signal processor.
    pub dsp_run_time_us: u32,
    /// 1.0 amplifies nothing; 0.0 is unknown.
    pub analogue_gain: f32,
    /// Of the sensor; none is unknown.
    pub temperature_celsius: Option<i8>,
    /// Share of the mask's pixels that are vessel, 0.0 to 1.0.
    pub vessel_fraction: f32,
    /// The mask is where the probability is at least this; 255 is 1.0.
    pub threshold: u8,
    /// Pixels across and down of the probability map, sent or not.
    pub mask_size: [u32; 2],
    /// Pixels across and down of the picture, sent or not.
    pub picture_size: [u32; 2],
    /// Bytes of the probability map in the payload: one a pixel, row by row, or none.
    pub probability_len: u32,
    /// Bytes of the picture: red, green, blue a pixel, row by row, or none.
    pub picture_len: u32,
    /// Left, top, width and height of what of the sensor both maps show, in full-sensor pixels; none while nobody can
    /// tell, and from a daemon that does not say.
    pub window: Option<[u32; 4]>,
}

impl FrameHeader {
    /// Bytes of the header, prefix and all.
    pub const LEN: usize = 156;
    /// The same of a daemon that does not say what of the sensor a frame shows.
    const LEN_WITHOUT_WINDOW: usize = 140;

    /// Reads the header of a [`Kind::Frame`], prefix and all.
    ///
    /// # Errors
    /// When it is cut, or its payload is not the two maps.
    pub fn parse(header: &[u8]) -> Result<Self, ParseError> {
        let prefix = Prefix::parse(header)?;
        let mut r = Reader::at(header, PREFIX_LEN);
        let mut parsed = Self {
            sequence: r.u64_le("sequence")?,
            skipped: r.u64_le("skipped")?,
            frame_start_ns: r.u64_le("frame_start_ns")?,
            tensor_at_host_ns: r.u64_le("tensor_at_host_ns")?,
            received_ns: r.u64_le("received_ns")?,
            mask_ready_ns: r.u64_le("mask_ready_ns")?,
            sent_ns: r.u64_le("sent_ns")?,
            exposure_ns: r.u64_le("exposure_ns")?,
            ..Self::default()
        };
        let flags = r.u32_le("flags")?;
        parsed.live = flags & FLAG_LIVE != 0;
        parsed.frame_count = byte(&mut r, "frame_count")?;
        parsed.lag_frames = r.u32_le("lag_frames")?;
        parsed.dnn_run_time_us = r.u32_le("dnn_run_time_us")?;
        parsed.dsp_run_time_us = r.u32_le("dsp_run_time_us")?;
        parsed.analogue_gain = r.f32_le("analogue_gain")?;
        let offset = r.offset();
        let celsius = r.i32_le("temperature_celsius")?;
        if flags & FLAG_TEMPERATURE != 0 {
            let celsius = i8::try_from(celsius).map_err(|_| ParseError::Value {
                field: "temperature_celsius",
                offset,
                got: u64::from(celsius.cast_unsigned()),
                want: "-128 to 127",
            })?;
            parsed.temperature_celsius = Some(celsius);
        }
        parsed.vessel_fraction = r.f32_le("vessel_fraction")?;
        parsed.threshold = byte(&mut r, "threshold")?;
        let mut number = |field| r.u32_le(field);
        parsed.mask_size = [number("mask_width")?, number("mask_height")?];
        parsed.picture_size = [number("picture_width")?, number("picture_height")?];
        parsed.probability_len = number("probability_len")?;
        parsed.picture_len = number("picture_len")?;
        if prefix.header_len > Self::LEN_WITHOUT_WINDOW {
            let mut number = |field| r.u32_le(field);
            let window = [number("left")?, number("top")?, number("width")?, number("height")?];
            parsed.window = (window != [0; 4]).then_some(window);
        }
        parsed.check_lengths(prefix.payload_len)?;
        Ok(parsed)
    }

    /// A reader that trusts these sizes must not run over the end of a map.
    fn check_lengths(&self, payload_len: usize) -> Result<(), ParseError> {
        let pixels = |[width, height]: [u32; 2]| u64::from(width) * u64::from(height);
        let map = |field, offset, got: u32, bytes: Option<u64>, want| {
            let got = u64::from(got);
            if got == 0 || Some(got) == bytes {
                return Ok(());
            }
            Err(ParseError::Value { field, offset, got, want })
        };
        let want = "0 or mask_width x mask_height";
        map("probability_len", 132, self.probability_len, Some(pixels(self.mask_size)), want)?;
        let want = "0 or 3 x picture_width x picture_height";
        let bytes = pixels(self.picture_size).checked_mul(3);
        map("picture_len", 136, self.picture_len, bytes, want)?;
        let both = u64::from(self.probability_len) + u64::from(self.picture_len);
        if both != payload_len as u64 {
            let (field, want) = ("payload", "probability_len + picture_len");
            return Err(ParseError::Value { field, offset: 12, got: payload_len as u64, want });
        }
        Ok(())
    }

    /// Appends the header; the maps come after it.
    pub fn emit(&self, into: &mut Vec<u8>) {
        let payload = u64::from(self.probability_len) + u64::from(self.picture_len);
        let payload_len = usize::try_from(payload).unwrap_or(usize::MAX);
        Prefix { kind: Kind::Frame, header_len: Self::LEN, payload_len }.emit(into);
        for number in [
            self.sequence,
            self.skipped,
            self.frame_start_ns,
            self.tensor_at_host_ns,
            self.received_ns,
            self.mask_ready_ns,
            self.sent_ns,
            self.exposure_ns,
        ] {
            into.extend(number.to_le_bytes());
        }
        let flags = u32::from(self.live) * FLAG_LIVE
            + u32::from(self.temperature_celsius.is_some()) * FLAG_TEMPERATURE;
        for number in [
            flags,
            self.frame_count.into(),
            self.lag_frames,
            self.dnn_run_time_us,
            self.dsp_run_time_us,
            self.analogue_gain.to_bits(),
            i32::from(self.temperature_celsius.unwrap_or_default()).cast_unsigned(),
            self.vessel_fraction.to_bits(),
            self.threshold.into(),
            self.mask_size[0],
            self.mask_size[1],
            self.picture_size[0],
            self.picture_size[1],
            self.probability_len,
            self.picture_len,
        ] {
            into.extend(number.to_le_bytes());
        }
        for number in self.window.unwrap_or_default() {
            into.extend(number.to_le_bytes());
        }
    }
}

/// No frame has come for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent {
    /// Since the newest frame was received, or since the daemon opened the socket.
    pub silent_ns: u64,
}

impl Silent {
    /// Bytes of the header, prefix and all.
    pub const LEN: usize = 24;

    /// Reads the header of a [`Kind::Silent`], prefix and all.
    ///
    /// # Errors
    /// When it is cut.
    pub fn parse(header: &[u8]) -> Result<Self, ParseError> {
        Ok(Self { silent_ns: Reader::at(header, PREFIX_LEN).u64_le("silent_ns")? })
    }

    /// Appends the message, which has no payload.
    pub fn emit(self, into: &mut Vec<u8>) {
        Prefix { kind: Kind::Silent, header_len: Self::LEN, payload_len: 0 }.emit(into);
        into.extend(self.silent_ns.to_le_bytes());
    }
}

/// Appends a hello.
pub fn emit_hello(json: &[u8], into: &mut Vec<u8>) {
    let payload_len = json.len();
    Prefix { kind: Kind::Hello, header_len: PREFIX_LEN, payload_len }.emit(into);
    into.extend(json);
}

fn magic_and_version(r: &mut Reader<'_>) -> Result<(), ParseError> {
    let field = "magic";
    let got = r.u32_le(field)?;
    if got != u32::from_le_bytes(MAGIC) {
        let want = "\"QSEG\", 0x47455351";
        return Err(ParseError::Value { field, offset: 0, got: got.into(), want });
    }
    let (field, offset) = ("version", r.offset());
    let got = r.u16_le(field)?;
    if got != VERSION {
        return Err(ParseError::Value { field, offset, got: got.into(), want: "1" });
    }
    Ok(())
}

/// A byte that stands in four.
fn byte(r: &mut Reader<'_>, field: &'static str) -> Result<u8, ParseError> {
    let offset = r.offset();
    let got = r.u32_le(field)?;
    let want = "0 to 255";
    u8::try_from(got).map_err(|_| ParseError::Value { field, offset, got: got.into(), want })
}

const WANTS_PROBABILITY: u16 = 1;
const WANTS_PICTURE: u16 = 2;
const FLAG_LIVE: u32 = 1;
const FLAG_TEMPERATURE: u32 = 2;
