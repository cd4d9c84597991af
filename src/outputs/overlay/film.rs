//! The result without the picture, for a display that lays one over the other itself.
//!
//! A pixel is blue, green, red, opacity; the colours are already multiplied by the opacity, as display hardware
//! expects them and as they must be when they are scaled: a clear pixel then has no colour that could bleed.

use super::{Layer, OUTLINE_COLOUR, Opacity, SKELETON_COLOUR, Sizes, Style, blend, heat_colour};
use crate::outputs::overlay::{Scale, is_contour};
use crate::pipeline::Frame;
use crate::pipeline::geometry::Size;
use crate::pipeline::skeleton::Thinning;

/// Draws results at the mask's own size; all buffers are kept.
#[derive(Debug, Default)]
pub struct Film {
    /// What each probability looks like at this opacity.
    heat: Option<(Opacity, Vec<[u8; 4]>)>,
    centrelines: Vec<u8>,
    thinning: Thinning,
    pixels: Vec<[u8; 4]>,
}

impl Film {
    /// The result of a live frame in this style; none when its buffers and sizes disagree. The style's scale
    /// is left to the display.
    pub fn draw(&mut self, frame: &Frame, style: Style) -> Option<(Size, &[[u8; 4]])> {
        let size = Sizes::of(frame, Scale::One)?.mask;
        self.pixels.clear();
        match style.layer {
            Layer::Heat => self.heat(&frame.probability, style.opacity),
            Layer::Outline => self.outline(frame, size, style.opacity),
            Layer::Off => self.pixels.resize(size.pixels(), CLEAR),
        }
        if style.skeleton {
            self.skeleton(frame, size, style.opacity);
        }
        Some((size, &self.pixels))
    }

    fn heat(&mut self, probability: &[u8], opacity: Opacity) {
        if self.heat.as_ref().is_none_or(|(of, _)| *of != opacity) {
            let looks = (0..=u8::MAX).map(|probability| {
                let alpha = u16::from(probability) * opacity.weight() / 255;
                film(heat_colour(probability), alpha)
            });
            self.heat = Some((opacity, looks.collect()));
        }
        if let Some((_, looks)) = &self.heat {
            self.pixels.extend(probability.iter().map(|&p| looks[usize::from(p)]));
        }
    }

    fn outline(&mut self, frame: &Frame, size: Size, opacity: Opacity) {
        let look = film(OUTLINE_COLOUR, opacity.weight());
        let contour = |i| is_contour(&frame.probability, frame.threshold, size, i);
        self.pixels.extend((0..size.pixels()).map(|i| if contour(i) { look } else { CLEAR }));
    }

    fn skeleton(&mut self, frame: &Frame, size: Size, opacity: Opacity) {
        self.centrelines.clear();
        let mask = frame.probability.iter().map(|&p| u8::from(p >= frame.threshold));
        self.centrelines.extend(mask);
        self.thinning.thin(&mut self.centrelines, size.width());
        for (pixel, &on) in self.pixels.iter_mut().zip(&self.centrelines) {
            if on != 0 {
                blend(pixel, opaque(SKELETON_COLOUR), opacity.weight());
            }
        }
    }
}

fn film(colour: [u8; 3], alpha: u16) -> [u8; 4] {
    let mut pixel = CLEAR;
    blend(&mut pixel, opaque(colour), alpha);
    pixel
}

fn opaque([red, green, blue]: [u8; 3]) -> [u8; 4] {
    [blue, green, red, 255]
}

const CLEAR: [u8; 4] = [0; 4];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::overlay::{Freshness, Overlay};

    fn frame() -> Frame {
        let (width, height) = (9, 7);
        let probability = (0..63).map(|i| if i % 9 > 4 { 255 } else { i * 3 }).collect();
        let rgb = (0..189).collect();
        let (mask_width, mask_height, threshold) = (width, height, 128);
        Frame {
            width,
            height,
            rgb,
            mask_width,
            mask_height,
            probability,
            threshold,
            ..Frame::default()
        }
    }

    /// The definition: laid over the picture, it is what the page draws at the same size.
    #[test]
    fn film_over_the_picture_is_the_overlay() {
        let frame = frame();
        for layer in [Layer::Heat, Layer::Outline, Layer::Off] {
            for (skeleton, opacity) in [(false, 1.0), (true, 0.7)] {
                let opacity = Opacity::new(opacity).unwrap();
                let style = Style { layer, skeleton, opacity, scale: Scale::One };
                let mut overlay = Overlay::default();
                let want = overlay.draw(Some(&frame), style, Freshness::Live).rgb.to_vec();
                let mut film = Film::default();
                let (_, pixels) = film.draw(&frame, style).unwrap();
                for ((want, under), over) in want.chunks(3).zip(frame.rgb.chunks(3)).zip(pixels) {
                    for channel in 0..3 {
                        let shown = f64::from(over[2 - channel])
                            + f64::from(under[channel]) * f64::from(255 - over[3]) / 255.0;
                        let off = (shown - f64::from(want[channel])).abs();
                        assert!(off <= 1.5, "{style:?}: {under:?} under {over:?}, want {want:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn refuses_a_frame_whose_buffers_are_too_short() {
        let mut frame = frame();
        frame.probability.pop();
        assert_eq!(Film::default().draw(&frame, Style::default()), None);
    }
}
