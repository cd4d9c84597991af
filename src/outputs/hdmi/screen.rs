//! What is on the screen besides the live picture: background, words, and the signs that take the picture's
//! place when it is not live.
//!
//! ```text
//!   Live       picture in colour, green LIVE in the words
//!   Stale      picture grey and dim, no mask, hatched border round the whole screen, STALE and its age on it
//!   NoSignal   no picture, hatched border, NO SIGNAL
//!   Fault      no picture, red hatched border, FAULT and the reason
//! ```
//!
//! Every sign changes the whole screen: nobody takes it for live, from across the room or in grey.

use std::time::Duration;

use super::layout::{Layout, letters, margin, whole};
use super::words::Row;
use crate::outputs::DISCLAIMER;
use crate::outputs::canvas::{Area, Canvas, Letters};
use crate::outputs::overlay::{
    Layer, NO_SIGNAL_COLOUR, NO_SIGNAL_EXPLANATION, NO_SIGNAL_TITLE, Resample, STALE_COLOUR,
    STALE_EXPLANATION, dim, heat_colour, stale_title,
};
use crate::pipeline::Frame;
use crate::pipeline::geometry::Size;

/// What the whole screen says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sign {
    /// The picture is what the sensor sees now.
    Live,
    /// The newest mask is too old.
    Stale { age: Duration },
    /// There is no mask, or has not been one for long.
    NoSignal,
    /// Nothing will come any more.
    Fault { reason: String },
}

/// What is said of the picture in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks {
    /// Nobody is before the sensor: it is simulated.
    pub(super) simulated: bool,
    /// Left and right are exchanged.
    pub(super) mirrored: bool,
}

impl Marks {
    fn plates(self) -> impl Iterator<Item = (&'static str, [u8; 3])> {
        let simulated = self.simulated.then_some((SIMULATED, SIMULATED_COLOUR));
        let mirrored = self.mirrored.then_some((MIRRORED, MIRRORED_COLOUR));
        simulated.into_iter().chain(mirrored)
    }
}

/// Draws screens; all buffers are kept.
#[derive(Debug)]
pub(super) struct Screen {
    layout: Layout,
    marks: Marks,
    layer: Layer,
    rgb: Vec<u8>,
    scaled: Vec<u8>,
    resample: Option<(Size, Resample)>,
}

impl Screen {
    pub(super) fn new(layout: Layout, marks: Marks, layer: Layer) -> Self {
        let rgb = vec![0; layout.screen.pixels() * 3];
        Self { layout, marks, layer, rgb, scaled: Vec::new(), resample: None }
    }

    /// Everything but a live picture, whose place stays empty. `withheld` is the frame that a stale sign is of.
    pub(super) fn draw(&mut self, sign: &Sign, rows: &[Row], withheld: Option<&Frame>) -> &[u8] {
        let mut canvas = Canvas { size: self.layout.screen, rgb: &mut self.rgb };
        canvas.fill(whole(self.layout.screen), BACKGROUND);
        if let (Sign::Stale { .. }, Some(frame)) = (sign, withheld) {
            self.withheld(frame);
        }
        self.words(sign, rows);
        self.sign(sign);
        &self.rgb
    }

    fn sign(&mut self, sign: &Sign) {
        let (title, explanation, colour) = match sign {
            Sign::Live => return,
            Sign::Stale { age } => (stale_title(*age), STALE_EXPLANATION, STALE_COLOUR),
            Sign::NoSignal => (NO_SIGNAL_TITLE.to_owned(), NO_SIGNAL_EXPLANATION, NO_SIGNAL_COLOUR),
            Sign::Fault { reason } => ("FAULT".to_owned(), reason.as_str(), FAULT_COLOUR),
        };
        let mut canvas = Canvas { size: self.layout.screen, rgb: &mut self.rgb };
        canvas.hatched_border(colour);
        // In the middle of where the picture was.
        let Area { left, top, width, height } = self.layout.picture;
        let large = Letters::at_most(height / 9);
        let small = Letters::at_most(height / 22);
        let room =
            (width.saturating_sub(2 * margin(self.layout.screen)) / small.letter_width()).max(1);
        let lines = wrapped(explanation, room);
        let plate_height = large.height() + lines.len() * small.height() + large.height();
        let plate_top = top + height.saturating_sub(plate_height) / 2;
        canvas.fill(Area { left, top: plate_top, width, height: plate_height }, BLACK);
        let centred =
            |letters: Letters, text: &str| left + width.saturating_sub(letters.width(text)) / 2;
        let mut y = plate_top + large.height() / 2;
        canvas.text(&title, large, (centred(large, &title), y), colour);
        y += large.height();
        for line in lines {
            canvas.text(line, small, (centred(small, line), y), colour);
            y += small.height();
        }
    }

    /// Grey and dim, in the picture's place.
    fn withheld(&mut self, frame: &Frame) {
        let Area { left, top, width, height } = self.layout.picture;
        let (Some(from), Some(to)) =
            (Size::new(frame.width, frame.height), Size::new(width, height))
        else {
            return;
        };
        if frame.rgb.len() != from.pixels() * 3 {
            return;
        }
        if self.resample.as_ref().is_none_or(|(of, _)| *of != from) {
            self.resample = Some((from, Resample::stretch(from, to)));
        }
        if let Some((_, resample)) = &mut self.resample {
            resample.run::<3>(&frame.rgb, &mut self.scaled);
        }
        dim(&mut self.scaled);
        if self.marks.mirrored {
            for row in self.scaled.chunks_exact_mut(width * 3) {
                mirror(row);
            }
        }
        let rows = self.rgb.chunks_exact_mut(self.layout.screen.width() * 3).skip(top);
        for (row, scaled) in rows.zip(self.scaled.chunks_exact(width * 3)) {
            row[left * 3..][..width * 3].copy_from_slice(scaled);
        }
    }

    fn words(&mut self, sign: &Sign, rows: &[Row]) {
        if self.layout.has_column() {
            self.column(sign, rows);
        } else {
            self.line(sign);
        }
    }

    fn column(&mut self, sign: &Sign, rows: &[Row]) {
        let Layout { screen, words, .. } = self.layout;
        let mut canvas = Canvas { size: screen, rgb: &mut self.rgb };
        let (letters, margin) = (letters(screen), margin(screen));
        let large = Letters::at_most(letters.height() * 4 / 3);
        // Inside the border of a sign.
        let left = words.left + 2 * margin;
        let right = words.left + words.width - margin;
        let mut y = words.top + 2 * margin;
        for (name, colour) in std::iter::once(named(sign)).chain(self.marks.plates()) {
            let width = large.width(name) + margin;
            let height = large.height() + margin / 2;
            canvas.fill(Area { left, top: y, width, height }, colour);
            canvas.text(name, large, (left + margin / 2, y + margin / 4), BLACK);
            y += height + margin;
        }
        y += margin / 2;
        let mut bottom = words.top + words.height - 2 * margin;
        let room = ((right - left) / letters.letter_width()).max(1);
        let sentences = DISCLAIMER.split_inclusive(". ");
        let lines: Vec<&str> = sentences.flat_map(|sentence| wrapped(sentence, room)).collect();
        for line in lines.into_iter().rev() {
            bottom = bottom.saturating_sub(letters.height() * 5 / 4);
            canvas.text(line, letters, (left, bottom), BRIGHT);
        }
        // On a small screen the last figures have no room.
        for row in rows {
            if y + letters.height() > bottom {
                break;
            }
            canvas.text(row.name, letters, (left, y), FAINT);
            let value_left = right.saturating_sub(letters.width(&row.value));
            canvas.text(&row.value, letters, (value_left.max(left), y), BRIGHT);
            y += letters.height() * 3 / 2;
        }
        if *sign == Sign::Live && self.layer == Layer::Heat && bottom > y + 5 * letters.height() {
            let top = bottom - 5 * letters.height();
            legend(
                &mut canvas,
                letters,
                Area { left, top, width: right - left, height: letters.height() },
            );
        }
    }

    fn line(&mut self, sign: &Sign) {
        let Layout { screen, words, .. } = self.layout;
        let mut canvas = Canvas { size: screen, rgb: &mut self.rgb };
        let margin = margin(screen);
        let (name, colour) = named(sign);
        let plates: usize = self.marks.plates().map(|(name, _)| name.chars().count()).sum();
        let said = name.chars().count() + plates + DISCLAIMER.chars().count();
        let gaps = (3 + 2 * self.marks.plates().count()) * margin;
        // On a narrow screen smaller letters, before the sentence loses its end.
        let mut letters = letters(screen);
        while said * letters.letter_width() + gaps > screen.width() && letters.height() > 16 {
            letters = Letters::at_most(letters.height() - 1);
        }
        let y = words.top + words.height.saturating_sub(letters.height()) / 2;
        canvas.text(name, letters, (margin, y), colour);
        let mut left = margin + letters.width(name) + margin;
        for (name, colour) in self.marks.plates() {
            let width = letters.width(name) + margin;
            canvas.fill(Area { left, width, ..words }, colour);
            canvas.text(name, letters, (left + margin / 2, y), BLACK);
            left += width + margin;
        }
        // In the middle, if there is room.
        let middle = screen.width().saturating_sub(letters.width(DISCLAIMER)) / 2;
        canvas.text(DISCLAIMER, letters, (middle.max(left), y), BRIGHT);
    }
}

/// What the colours of the heat mean.
fn legend(canvas: &mut Canvas<'_>, letters: Letters, bar: Area) {
    for x in 0..bar.width {
        let probability = u8::try_from(x * 255 / bar.width.max(1)).unwrap_or(u8::MAX);
        let column = Area { left: bar.left + x, width: 1, ..bar };
        canvas.fill(column, heat_colour(probability));
    }
    let below = bar.top + bar.height + letters.height() / 4;
    canvas.text("0", letters, (bar.left, below), FAINT);
    let right = bar.left + bar.width - letters.width("1");
    canvas.text("1", letters, (right, below), FAINT);
    let name = "vessel";
    let middle = bar.left + bar.width.saturating_sub(letters.width(name)) / 2;
    canvas.text(name, letters, (middle, below), FAINT);
}

fn named(sign: &Sign) -> (&'static str, [u8; 3]) {
    match sign {
        Sign::Live => ("LIVE", LIVE_COLOUR),
        Sign::Stale { .. } => ("STALE", STALE_COLOUR),
        Sign::NoSignal => ("NO SIGNAL", NO_SIGNAL_COLOUR),
        Sign::Fault { .. } => ("FAULT", FAULT_COLOUR),
    }
}

/// At spaces, into lines of at most `room` letters; a longer word is cut. At most six lines.
fn wrapped(text: &str, room: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && lines.len() < MOST_LINES {
        let end = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
        let cut = if end == rest.len() { end } else { rest[..end].rfind(' ').unwrap_or(end) };
        // The last letter that fits may be followed by the space.
        let cut = if end < rest.len() && rest[end..].starts_with(' ') { end } else { cut };
        let cut = if cut == 0 { end } else { cut };
        lines.push(rest[..cut].trim_end());
        rest = rest[cut..].trim_start();
    }
    lines
}

fn mirror(row: &mut [u8]) {
    row.reverse();
    for pixel in row.chunks_exact_mut(3) {
        pixel.swap(0, 2);
    }
}

const BLACK: [u8; 3] = [0; 3];
const BACKGROUND: [u8; 3] = [14, 16, 20];
const BRIGHT: [u8; 3] = [235, 238, 242];
const FAINT: [u8; 3] = [140, 148, 160];
const LIVE_COLOUR: [u8; 3] = [60, 210, 110];
const FAULT_COLOUR: [u8; 3] = [255, 70, 60];
const SIMULATED: &str = "SIMULATED";
const SIMULATED_COLOUR: [u8; 3] = [110, 180, 255];
const MIRRORED: &str = "MIRRORED";
const MIRRORED_COLOUR: [u8; 3] = [255, 120, 220];
const MOST_LINES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(sign: &Sign, mirrored: bool, column: bool) -> Vec<u8> {
        let (width, height) = (40, 30);
        let rgb = (0..3600)
            .map(|i: usize| if i.is_multiple_of(3) { 200 } else { (i / 15 % 100).to_le_bytes()[0] })
            .collect();
        let frame = Frame { width, height, rgb, ..Frame::default() };
        let size = Size::new(640, 480).unwrap();
        let layout = Layout::new(size, Size::new(width, height).unwrap(), column);
        let row = Row { name: "pictures", value: "15.0 /s".to_owned() };
        let marks = Marks { simulated: false, mirrored };
        Screen::new(layout, marks, Layer::Heat).draw(sign, &[row], Some(&frame)).to_vec()
    }

    fn stale() -> Sign {
        Sign::Stale { age: Duration::from_millis(1_240) }
    }

    fn fault() -> Sign {
        Sign::Fault { reason: "the camera has gone (/dev/video0)".to_owned() }
    }

    /// In every tenth of the screen's edge, and in the middle: no part of a sign can be taken for live.
    #[test]
    fn every_sign_changes_the_whole_screen_also_in_grey() {
        let luma = |rgb: &[u8]| -> Vec<u32> {
            rgb.chunks(3)
                .map(|p| (77 * u32::from(p[0]) + 150 * u32::from(p[1]) + 29 * u32::from(p[2])) >> 8)
                .collect()
        };
        let signs = [Sign::Live, stale(), Sign::NoSignal, fault()];
        let drawn = signs.map(|sign| luma(&drawn(&sign, false, true)));
        for (i, one) in drawn.iter().enumerate() {
            for other in &drawn[i + 1..] {
                let differs = one.iter().zip(other).filter(|(a, b)| a.abs_diff(**b) > 30).count();
                assert!(differs > one.len() / 100, "only {differs} of {} pixels differ", one.len());
            }
        }
        for sign in &drawn[1..] {
            for tenth in 0..10 {
                let edge = &sign[tenth * 64..][..64];
                let bright = edge.iter().filter(|&&luma| luma > 60).count();
                assert!((10..55).contains(&bright), "hatched: {bright} of 64");
            }
        }
    }

    #[test]
    fn stale_picture_has_no_colour_left() {
        let rgb = drawn(&stale(), false, false);
        let layout = Layout::new(Size::new(640, 480).unwrap(), Size::new(40, 30).unwrap(), false);
        let Area { left, top, width, .. } = layout.picture;
        let row = &rgb[((top + 40) * 640 + left) * 3..][..width * 3];
        assert!(
            row.chunks(3)
                .skip(20)
                .take(width - 60)
                .all(|p| p[0] == p[1] && p[1] == p[2] && p[0] < 128)
        );
    }

    #[test]
    fn mirrored_says_so_with_and_without_a_column() {
        for column in [true, false] {
            let pink = |rgb: Vec<u8>| rgb.chunks(3).filter(|p| **p == MIRRORED_COLOUR).count();
            assert!(pink(drawn(&Sign::Live, true, column)) > 20);
            assert_eq!(pink(drawn(&Sign::Live, false, column)), 0);
        }
    }

    /// Also on the narrowest screen, where nothing lies on the disclaimer.
    #[test]
    fn simulated_says_so_and_leaves_room_for_the_disclaimer() {
        for column in [true, false] {
            let size = Size::new(640, 480).unwrap();
            let layout = Layout::new(size, size, column);
            let count = |marks: Marks, colour: [u8; 3]| {
                let mut screen = Screen::new(layout, marks, Layer::Heat);
                screen.draw(&Sign::Live, &[], None).chunks(3).filter(|p| **p == colour).count()
            };
            let (none, all) = (Marks::default(), Marks { simulated: true, mirrored: true });
            assert_eq!(count(none, SIMULATED_COLOUR), 0);
            assert!(count(all, SIMULATED_COLOUR) > 20);
            assert_eq!(count(all, BRIGHT), count(none, BRIGHT));
        }
    }

    #[test]
    fn words_are_wrapped_at_spaces_and_cut_only_where_there_are_none() {
        assert_eq!(
            wrapped("Research use only. Not a medical device.", 22),
            ["Research use only. Not", "a medical device."]
        );
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("", 3), [""; 0]);
        assert_eq!(wrapped(&"word ".repeat(50), 4).len(), MOST_LINES);
    }

    #[test]
    fn smallest_screens_and_longest_reasons_are_drawn() {
        for (width, height) in [(320, 200), (1, 1), (64, 2000)] {
            let size = Size::new(width, height).unwrap();
            for column in [true, false] {
                let layout = Layout::new(size, Size::new(320, 320).unwrap(), column);
                let marks = Marks { simulated: true, mirrored: true };
                let mut screen = Screen::new(layout, marks, Layer::Heat);
                let reason = "x".repeat(500);
                for sign in [Sign::Live, stale(), Sign::NoSignal, Sign::Fault { reason }] {
                    assert_eq!(screen.draw(&sign, &[], None).len(), size.pixels() * 3);
                }
            }
        }
    }
}
