//! Draws a frame as a person sees it: the picture, what the network said about that very picture,
//! and whether this is still true.
//!
//! ```text
//!   Live             picture + heat, outline, skeleton
//!   Stale { age }    picture dimmed and grey, mask withheld, hatched border, "STALE 1.2 s"
//!   NoSignal         no picture at all, hatched border, "NO SIGNAL"
//! ```
//!
//! A mask that is no longer true must not be mistaken for a live one from across the room, nor in a
//! black-and-white print: colour, picture, border and words all change.

mod film;
mod resample;

use std::time::Duration;

use crate::outputs::canvas::Canvas;
use crate::pipeline::Frame;
use crate::pipeline::geometry::Size;
use crate::pipeline::skeleton::Thinning;
use crate::source::clock::Timestamp;
pub use film::Film;
pub use resample::Resample;

/// Whether what is shown is what the sensor sees now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The newest mask is young enough.
    Live,
    /// The newest mask is older than the limit.
    Stale {
        /// Age of the picture it was made from.
        age: Duration,
    },
    /// There has been no mask, or none for so long that even the picture says nothing any more.
    NoSignal,
}

impl Freshness {
    /// Freshness of the newest frame at `now` on the host clock.
    #[must_use]
    pub fn of(newest: Option<&Frame>, now: Timestamp, stale_after: Duration) -> Self {
        Self::at_age(newest.map(|frame| frame.stamps.age_at(now)), stale_after)
    }
    /// Freshness of a picture of this age; none where there is no picture.
    #[must_use]
    pub fn at_age(age: Option<Duration>, stale_after: Duration) -> Self {
        match age {
            None => Self::NoSignal,
            Some(age) if age <= stale_after => Self::Live,
            Some(age) if age <= stale_after.max(NO_SIGNAL_AFTER) => Self::Stale { age },
            Some(_) => Self::NoSignal,
        }
    }
    /// "live", "stale" or "no_signal", as in /status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale { .. } => "stale",
            Self::NoSignal => "no_signal",
        }
    }
}

/// How the vessels are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Probability as colour, the more opaque the more certain.
    Heat,
    /// The contour of the mask, one output pixel wide, just inside it.
    Outline,
    /// The picture alone.
    Off,
}

/// How strongly the result covers the picture, in whole percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Opacity(u8);

impl Opacity {
    /// 0.0 (not at all) to 1.0; None outside.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first"
    )]
    pub fn new(share: f32) -> Option<Self> {
        (0.0..=1.0).contains(&share).then(|| Self((share * 100.0).round() as u8))
    }
    /// 0..=256 for blending.
    fn weight(self) -> u16 {
        u16::from(self.0) * 256 / 100
    }
}

impl TryFrom<f32> for Opacity {
    type Error = String;
    fn try_from(share: f32) -> Result<Self, String> {
        Self::new(share).ok_or_else(|| format!("opacity: got {share}, want 0.0 to 1.0"))
    }
}

impl From<Opacity> for f32 {
    fn from(opacity: Opacity) -> Self {
        Self::from(opacity.0) / 100.0
    }
}

/// Output pixels a pixel of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scale {
    /// As the network saw it.
    One,
    /// Twice as wide and high, so that contours of thin vessels stay apart.
    Two,
}

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Style {
    /// Heat, outline or nothing.
    pub layer: Layer,
    /// Whether centrelines are drawn too.
    pub skeleton: bool,
    /// Of heat, outline and skeleton alike.
    pub opacity: Opacity,
    /// Of the whole output.
    pub scale: Scale,
}

impl Default for Style {
    fn default() -> Self {
        Self { layer: Layer::Heat, skeleton: false, opacity: Opacity(70), scale: Scale::Two }
    }
}

/// A drawn frame: interleaved RGB, borrowed from the overlay that drew it.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Width and height.
    pub size: Size,
    /// `3 * width * height` bytes.
    pub rgb: &'a [u8],
}

/// Draws frames; all buffers are kept, so frames of one size and style allocate once.
#[derive(Debug, Default)]
pub struct Overlay {
    picture: Option<Resample>,
    probability: Option<Resample>,
    /// Probability at output size.
    scaled: Vec<u8>,
    centrelines: Vec<u8>,
    thinning: Thinning,
    rgb: Vec<u8>,
    /// Of the last picture shown, so that a placeholder does not make the page jump.
    size: Option<Size>,
}

impl Overlay {
    /// Draws `frame` as fresh as it is; without a frame, the placeholder.
    pub fn draw(
        &mut self,
        frame: Option<&Frame>,
        style: Style,
        freshness: Freshness,
    ) -> Picture<'_> {
        let shown = frame.and_then(|frame| Some((frame, Sizes::of(frame, style.scale)?)));
        let size = match (shown, freshness) {
            (Some((frame, sizes)), Freshness::Live) => {
                self.live(frame, &sizes, style);
                sizes.output
            }
            (Some((frame, sizes)), Freshness::Stale { age }) => {
                self.stale(frame, &sizes, age);
                sizes.output
            }
            _ => self.no_signal(style.scale),
        };
        self.size = Some(size);
        Picture { size, rgb: &self.rgb }
    }

    fn live(&mut self, frame: &Frame, sizes: &Sizes, style: Style) {
        resample(&mut self.picture, sizes.picture, sizes.output)
            .run::<3>(&frame.rgb, &mut self.rgb);
        if style.layer != Layer::Off {
            resample(&mut self.probability, sizes.mask, sizes.output)
                .run::<1>(&frame.probability, &mut self.scaled);
        }
        match style.layer {
            Layer::Heat => self.heat(style.opacity),
            Layer::Outline => self.outline(frame.threshold, sizes.output, style.opacity),
            Layer::Off => {}
        }
        if style.skeleton {
            self.skeleton(frame, sizes, style.opacity);
        }
    }

    fn heat(&mut self, opacity: Opacity) {
        // Colours are mixed once for each probability, not for each pixel.
        let looks: [_; 256] = std::array::from_fn(|probability| {
            let probability = u8::try_from(probability).unwrap_or(u8::MAX);
            let alpha = u16::from(probability) * opacity.weight() / 255;
            (heat_colour(probability), alpha)
        });
        for (pixel, &probability) in self.rgb.chunks_exact_mut(3).zip(&self.scaled) {
            let (colour, alpha) = looks[usize::from(probability)];
            blend(pixel, colour, alpha);
        }
    }

    fn outline(&mut self, threshold: u8, size: Size, opacity: Opacity) {
        for (i, pixel) in self.rgb.chunks_exact_mut(3).enumerate() {
            if is_contour(&self.scaled, threshold, size, i) {
                blend(pixel, OUTLINE_COLOUR, opacity.weight());
            }
        }
    }

    /// Thinned at the tensor's own size, where the mask was decided; each centreline pixel then
    /// covers what it covers in the picture.
    fn skeleton(&mut self, frame: &Frame, sizes: &Sizes, opacity: Opacity) {
        self.centrelines.clear();
        let mask = frame.probability.iter().map(|&p| u8::from(p >= frame.threshold));
        self.centrelines.extend(mask);
        self.thinning.thin(&mut self.centrelines, sizes.mask.width());
        let (width, height) = (sizes.output.width(), sizes.output.height());
        for (y, row) in self.rgb.chunks_exact_mut(width * 3).enumerate() {
            let mask_row = y * sizes.mask.height() / height * sizes.mask.width();
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                if self.centrelines[mask_row + x * sizes.mask.width() / width] != 0 {
                    blend(pixel, SKELETON_COLOUR, opacity.weight());
                }
            }
        }
    }

    fn stale(&mut self, frame: &Frame, sizes: &Sizes, age: Duration) {
        resample(&mut self.picture, sizes.picture, sizes.output)
            .run::<3>(&frame.rgb, &mut self.rgb);
        dim(&mut self.rgb);
        let mut canvas = Canvas { size: sizes.output, rgb: &mut self.rgb };
        canvas.hatched_border(STALE_COLOUR);
        canvas.plate(&stale_title(age), STALE_EXPLANATION, STALE_COLOUR);
    }

    fn no_signal(&mut self, scale: Scale) -> Size {
        let size = self.size.unwrap_or_else(|| Sizes::placeholder(scale));
        self.rgb.clear();
        self.rgb.resize(size.pixels() * 3, PLACEHOLDER_GREY);
        let mut canvas = Canvas { size, rgb: &mut self.rgb };
        canvas.hatched_border(NO_SIGNAL_COLOUR);
        canvas.plate(NO_SIGNAL_TITLE, NO_SIGNAL_EXPLANATION, NO_SIGNAL_COLOUR);
        size
    }
}

/// A pixel of the mask with a neighbour (left, right, above, below) outside it. The picture's
/// own edge is no contour: the vessel goes on there, only the picture ends.
fn is_contour(probability: &[u8], threshold: u8, size: Size, i: usize) -> bool {
    let inside = |i: usize| probability[i] >= threshold;
    if !inside(i) {
        return false;
    }
    let (width, height) = (size.width(), size.height());
    let (x, y) = (i % width, i / width);
    let enclosed = (x == 0 || inside(i - 1))
        && (x + 1 == width || inside(i + 1))
        && (y == 0 || inside(i - width))
        && (y + 1 == height || inside(i + width));
    !enclosed
}

/// Takes colour and half the light from a picture that is no longer true.
pub(super) fn dim(rgb: &mut [u8]) {
    for pixel in rgb.chunks_exact_mut(3) {
        // Rec. 601 luma in 1/256, halved: dim as well as grey.
        let luma = 77 * u16::from(pixel[0]) + 150 * u16::from(pixel[1]) + 29 * u16::from(pixel[2]);
        pixel.fill(luma.to_be_bytes()[0] / 2);
    }
}

pub(super) fn stale_title(age: Duration) -> String {
    format!("STALE {:.1} s", age.as_secs_f32())
}

/// The mask of a frame in black and white, row-major: 255 where `probability >= threshold`.
#[must_use]
pub fn mask(frame: &Frame) -> Vec<u8> {
    frame.probability.iter().map(|&p| if p >= frame.threshold { 255 } else { 0 }).collect()
}

/// The sizes of a frame whose buffers have them.
struct Sizes {
    picture: Size,
    mask: Size,
    output: Size,
}

impl Sizes {
    /// None when there is no picture, or buffers and sizes disagree: then there is nothing to show.
    fn of(frame: &Frame, scale: Scale) -> Option<Self> {
        let picture = Size::new(frame.width, frame.height)?;
        let mask = Size::new(frame.mask_width, frame.mask_height)?;
        let whole =
            frame.rgb.len() == picture.pixels() * 3 && frame.probability.len() == mask.pixels();
        whole.then_some(Self { picture, mask, output: times(picture, scale)? })
    }
    fn placeholder(scale: Scale) -> Size {
        let picture = Size::new(PLACEHOLDER_SIDE, PLACEHOLDER_SIDE).expect("the side is not zero");
        times(picture, scale).unwrap_or(picture)
    }
}

fn times(picture: Size, scale: Scale) -> Option<Size> {
    match scale {
        Scale::One => Some(picture),
        Scale::Two => Size::new(picture.width() * 2, picture.height() * 2),
    }
}

fn resample(kept: &mut Option<Resample>, from: Size, to: Size) -> &mut Resample {
    if kept.as_ref().is_none_or(|resample| resample.sizes() != (from, to)) {
        *kept = None;
    }
    kept.get_or_insert_with(|| Resample::stretch(from, to))
}

/// `alpha` is 0..=256: 256 is the colour alone.
pub(super) fn blend<const CHANNELS: usize>(pixel: &mut [u8], colour: [u8; CHANNELS], alpha: u16) {
    for (value, colour) in pixel.iter_mut().zip(colour) {
        let mixed =
            u32::from(*value) * u32::from(256 - alpha) + u32::from(colour) * u32::from(alpha);
        *value = u8::try_from((mixed + 128) >> 8).unwrap_or(u8::MAX);
    }
}

/// Blue over cyan to lime: a fundus has none of these, and lightness rises with probability, so
/// that the order survives a grey print.
pub(super) fn heat_colour(probability: u8) -> [u8; 3] {
    let (from, to, along) = if probability < 128 {
        (HEAT_LOW, HEAT_MIDDLE, probability * 2)
    } else {
        (HEAT_MIDDLE, HEAT_HIGH, (probability - 128) * 2)
    };
    let mut colour = from;
    blend(&mut colour, to, u16::from(along));
    colour
}

/// A picture this old may show another eye: it is not shown at all.
const NO_SIGNAL_AFTER: Duration = Duration::from_secs(10);
const HEAT_LOW: [u8; 3] = [40, 50, 220];
const HEAT_MIDDLE: [u8; 3] = [0, 180, 230];
const HEAT_HIGH: [u8; 3] = [140, 255, 70];
const OUTLINE_COLOUR: [u8; 3] = [0, 255, 90];
const SKELETON_COLOUR: [u8; 3] = [255, 255, 255];
pub(super) const STALE_COLOUR: [u8; 3] = [255, 176, 0];
pub(super) const NO_SIGNAL_COLOUR: [u8; 3] = [230, 230, 230];
pub(super) const STALE_EXPLANATION: &str = "mask withheld";
pub(super) const NO_SIGNAL_TITLE: &str = "NO SIGNAL";
pub(super) const NO_SIGNAL_EXPLANATION: &str = "no output tensor";
const PLACEHOLDER_GREY: u8 = 24;
/// Until a frame says otherwise.
const PLACEHOLDER_SIDE: usize = 320;
