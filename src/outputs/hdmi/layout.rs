//! Where picture and words are on the screen.
//!
//! ```text
//!   wide screen                    wide picture                  no words wanted
//!   +------+----------+------+     +------+--------------+       +------+----------+------+
//!   |words | picture  |      |     |words |   picture    |       |      | picture  |      |
//!   |      |          |      |     |      |              |       +------+----------+------+
//!   +------+----------+------+     +------+--------------+       |one line of words       |
//!                                                                +------------------------+
//! ```
//!
//! Words never lie on the picture, and the picture keeps its aspect.

use crate::outputs::canvas::{Area, Letters};
use crate::pipeline::geometry::{Size, Transform};

/// Places on a screen, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Of the whole screen.
    pub screen: Size,
    /// Where the picture is.
    pub picture: Area,
    /// Where the words are.
    pub words: Area,
}

impl Layout {
    /// For a picture of this size; with `column`, a column of words beside it, else one line below.
    #[must_use]
    pub fn new(screen: Size, picture: Size, column: bool) -> Self {
        let letters = letters(screen);
        let width = COLUMN_LETTERS * letters.letter_width() + 2 * margin(screen);
        if column && width * 2 <= screen.width() {
            let centred = boxed(picture, whole(screen));
            let words = |width| Area { left: 0, top: 0, width, height: screen.height() };
            if centred.left >= width {
                return Self { screen, picture: centred, words: words(centred.left) };
            }
            let beside = Area { left: width, width: screen.width() - width, ..whole(screen) };
            return Self { screen, picture: boxed(picture, beside), words: words(width) };
        }
        // Even on the smallest screen half is for the picture.
        let line = (letters.height() * 2).min(screen.height() / 2);
        let above = Area { height: screen.height() - line, ..whole(screen) };
        let words = Area { top: above.height, height: line, ..whole(screen) };
        Self { screen, picture: boxed(picture, above), words }
    }

    /// Whether the words stand in a column.
    #[must_use]
    pub fn has_column(&self) -> bool {
        self.words.height == self.screen.height()
    }
}

/// Where an area is when the screen hangs upside down.
#[must_use]
pub fn turned(area: Area, screen: Size) -> Area {
    Area {
        left: screen.width() - area.left - area.width,
        top: screen.height() - area.top - area.height,
        ..area
    }
}

pub(super) fn whole(size: Size) -> Area {
    Area { left: 0, top: 0, width: size.width(), height: size.height() }
}

/// Letters of ordinary words: 24 pixels high on 1080 rows.
pub(super) fn letters(screen: Size) -> Letters {
    Letters::at_most(screen.height() / 45)
}

pub(super) fn margin(screen: Size) -> usize {
    letters(screen).height() * 3 / 4
}

/// As large as fits, in the middle, in whole pixels.
fn boxed(picture: Size, area: Area) -> Area {
    let Some(room) = Size::new(area.width, area.height) else { return area };
    let placed = Transform::letterbox(picture, room);
    let (left, top) = placed.apply((0.0, 0.0));
    let (right, bottom) = placed.apply((picture.width() as f64, picture.height() as f64));
    let (left, right) = edges(left, right, area.width);
    let (top, bottom) = edges(top, bottom, area.height);
    Area { left: area.left + left, top: area.top + top, width: right - left, height: bottom - top }
}

/// At least one pixel, inside the room.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the clamp keeps both inside the room"
)]
fn edges(from: f64, to: f64, room: usize) -> (usize, usize) {
    let from = from.round().clamp(0.0, (room - 1) as f64) as usize;
    let to = to.round().clamp((from + 1) as f64, room as f64) as usize;
    (from, to)
}

/// Room for "exposure to flip  133 ms".
const COLUMN_LETTERS: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: usize, height: usize) -> Size {
        Size::new(width, height).unwrap()
    }

    #[test]
    fn square_picture_is_in_the_middle_of_a_wide_screen_with_words_beside_it() {
        let layout = Layout::new(size(1920, 1080), size(320, 320), true);
        assert_eq!(layout.picture, Area { left: 420, top: 0, width: 1080, height: 1080 });
        assert_eq!(layout.words, Area { left: 0, top: 0, width: 420, height: 1080 });
        assert!(layout.has_column());
    }

    #[test]
    fn without_a_column_there_is_one_line_below() {
        let layout = Layout::new(size(1280, 720), size(320, 320), false);
        assert_eq!(layout.words, Area { left: 0, top: 688, width: 1280, height: 32 });
        assert_eq!(layout.picture, Area { left: 296, top: 0, width: 688, height: 688 });
        assert!(!layout.has_column());
    }

    #[test]
    fn words_and_picture_never_overlap_and_stay_on_the_screen() {
        for screen in
            [size(640, 480), size(1024, 768), size(1280, 720), size(3840, 2160), size(720, 1280)]
        {
            for picture in [size(320, 320), size(1014, 760), size(1920, 400), size(1, 5000)] {
                for column in [true, false] {
                    let layout = Layout::new(screen, picture, column);
                    let Layout { picture, words, .. } = layout;
                    assert!(picture.width > 0 && picture.height > 0, "{layout:?}");
                    assert!(picture.left + picture.width <= screen.width(), "{layout:?}");
                    assert!(picture.top + picture.height <= screen.height(), "{layout:?}");
                    let beside = words.left + words.width <= picture.left;
                    let below = picture.top + picture.height <= words.top;
                    assert!(beside || below, "{layout:?}");
                    assert_eq!(turned(turned(picture, screen), screen), picture);
                }
            }
        }
    }
}
