//! A frame as a browser draws it itself: picture and probability apart, so that its sliders act at once and the mask
//! is never drawn over another picture than its own.
//!
//! ```text
//!   byte
//!      0  "qsl1"                                   4 bytes
//!      4  state        0 no signal, 1 stale, 2 live
//!      5  threshold    the mask is probability >= threshold
//!      6  frame count  the sensor's own counter
//!      7  JPEG quality of the picture
//!      8  sequence     u64
//!     16  age          u32, microseconds: of the picture, when the message was made
//!     20  picture      u16 width, u16 height
//!     24  mask         u16 width, u16 height
//!     28  picture_len  u32
//!     32  mask_len     u32
//!     36  window       u16 left, top, width, height, full-sensor pixels; all zero where nobody knows
//!     44  picture      JPEG, picture_len bytes
//!         probability  raw deflate, mask_len bytes; inflated: a byte a pixel, row by row
//! ```
//!
//! All numbers are little-endian. What is not true any more is not sent: a stale message has no mask, one without signal
//! no picture either, and their sizes are zero then. Nothing is encoded while nobody watches.

use std::io::Write;

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use jpeg_encoder::{ColorType, SamplingFactor};

use crate::outputs::overlay::{Freshness, Picture};
use crate::pipeline::geometry::Size;
use crate::pipeline::{Frame, Stamps};
use crate::source::clock::Timestamp;
use crate::source::simulated::isp::InferenceWindow;

/// Keeps the last frame's layers: a heartbeat repeats them with another age.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    of: Option<(u64, Stamps)>,
    picture: Vec<u8>,
    mask: Vec<u8>,
}

impl Encoder {
    /// One message, as the module says.
    pub(super) fn message(
        &mut self,
        frame: Option<&Frame>,
        freshness: Freshness,
        now: Timestamp,
    ) -> Bytes {
        let Some((frame, sizes)) = frame.and_then(|frame| Some((frame, Sizes::of(frame)?))) else {
            return Header::default().before(&[], &[]);
        };
        let header = Header {
            threshold: frame.threshold,
            frame_count: frame.frame_count,
            sequence: frame.sequence,
            window: frame.window.map_or([0; 4], corners),
            age_us: u32::try_from(frame.stamps.age_at(now).as_micros()).unwrap_or(u32::MAX),
            ..Header::default()
        };
        match freshness {
            Freshness::NoSignal => header.before(&[], &[]),
            Freshness::Stale { .. } => {
                self.encode(frame, &sizes);
                let picture = sides(sizes.picture);
                Header { state: STALE, picture, ..header }.before(&self.picture, &[])
            }
            Freshness::Live => {
                self.encode(frame, &sizes);
                let (picture, mask) = (sides(sizes.picture), sides(sizes.mask));
                Header { state: LIVE, picture, mask, ..header }.before(&self.picture, &self.mask)
            }
        }
    }

    fn encode(&mut self, frame: &Frame, sizes: &Sizes) {
        let of = Some((frame.sequence, frame.stamps));
        if self.of == of {
            return;
        }
        self.of = of;
        self.picture.clear();
        let picture = Picture { size: sizes.picture, rgb: &frame.rgb };
        jpeg(&mut self.picture, picture, PICTURE_QUALITY);
        self.mask.clear();
        let mut deflate = DeflateEncoder::new(&mut self.mask, Compression::fast());
        deflate
            .write_all(&frame.probability)
            .and_then(|()| deflate.try_finish())
            .expect("a Vec takes everything");
    }
}

/// Without subsampling: thin vessels differ from the ground in colour more than in light.
pub(super) fn jpeg(into: &mut Vec<u8>, picture: Picture<'_>, quality: u8) {
    let [width, height] = sides(picture.size);
    let mut encoder = jpeg_encoder::Encoder::new(into, quality);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder
        .encode(picture.rgb, width, height, ColorType::Rgb)
        .expect("a Vec takes everything, and a picture has as many bytes as its size says");
}

/// The sizes of a frame whose buffers have them.
struct Sizes {
    picture: Size,
    mask: Size,
}

impl Sizes {
    fn of(frame: &Frame) -> Option<Self> {
        let picture = Size::new(frame.width, frame.height)?;
        let mask = Size::new(frame.mask_width, frame.mask_height)?;
        let whole =
            frame.rgb.len() == picture.pixels() * 3 && frame.probability.len() == mask.pixels();
        whole.then_some(Self { picture, mask })
    }
}

fn sides(size: Size) -> [u16; 2] {
    [size.width(), size.height()]
        .map(|side| u16::try_from(side).expect("a picture's side is at most 2 x 1280 pixels"))
}

fn corners(window: InferenceWindow) -> [u16; 4] {
    let InferenceWindow { left, top, width, height } = window;
    [left, top, width, height]
        .map(|number| u16::try_from(number).expect("the sensor's sides have 12 bits"))
}

#[derive(Default)]
struct Header {
    state: u8,
    threshold: u8,
    frame_count: u8,
    sequence: u64,
    age_us: u32,
    picture: [u16; 2],
    mask: [u16; 2],
    window: [u16; 4],
}

impl Header {
    fn before(&self, picture: &[u8], mask: &[u8]) -> Bytes {
        let len =
            |layer: &[u8]| u32::try_from(layer.len()).expect("a frame has far less than 4 GiB");
        let mut bytes = Vec::with_capacity(HEADER_LEN_BYTES + picture.len() + mask.len());
        bytes.extend_from_slice(b"qsl1");
        bytes.extend([self.state, self.threshold, self.frame_count, PICTURE_QUALITY]);
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.age_us.to_le_bytes());
        for side in self.picture.into_iter().chain(self.mask) {
            bytes.extend(side.to_le_bytes());
        }
        bytes.extend(len(picture).to_le_bytes());
        bytes.extend(len(mask).to_le_bytes());
        for number in self.window {
            bytes.extend(number.to_le_bytes());
        }
        debug_assert_eq!(bytes.len(), HEADER_LEN_BYTES);
        bytes.extend_from_slice(picture);
        bytes.extend_from_slice(mask);
        bytes.into()
    }
}

const HEADER_LEN_BYTES: usize = 44;
const STALE: u8 = 1;
const LIVE: u8 = 2;
/// The picture may be zoomed into and saved.
const PICTURE_QUALITY: u8 = 90;
