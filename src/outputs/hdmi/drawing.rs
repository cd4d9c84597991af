//! Draws a frame, or what stands in its place, into the memory that is not shown, and asks for the commit that shows
//! it: on each rung of the ladder another share of it.
//!
//! ```text
//!   rung      base                        picture plane     mask plane
//!   Scaled    canvas                      picture           film
//!   Placed    canvas, picture scaled      -                 film scaled
//!   Blended   canvas, overlay scaled      -                 -
//! ```
//!
//! The canvas is background, words and signs; it is drawn again only when it changes.

use super::Options;
use super::commit::{Request, Screenful, Shows};
use super::compose::{Scaler, orient, pack, put_canvas};
use super::error::DisplayError;
use super::layout::{Layout, turned, whole};
use super::planes::{Arrangement, Rung};
use super::screen::{Marks, Screen, Sign};
use super::surface::{Canvas, Pair, Swap};
use super::words::Row;
use crate::outputs::canvas::Area;
use crate::outputs::overlay::{Film, Freshness, Overlay, Scale, Style};
use crate::pipeline::Frame;
use crate::pipeline::geometry::Size;

/// What is on the glass; equal values look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glass {
    pub(super) sign: Sign,
    /// Of the frame whose picture is there, live or withheld.
    pub(super) sequence: Option<u64>,
    pub(super) rows: Vec<Row>,
}

/// An arrangement with its memory.
pub(super) struct Buffers {
    pub(super) arrangement: Arrangement,
    pub(super) layout: Layout,
    /// Whose aspect the layout has.
    pub(super) seen: Size,
    pub(super) sizes: Sizes,
    pub(super) base: Pair,
    pub(super) picture: Option<Pair>,
    pub(super) mask: Option<Pair>,
}

/// Of the frames that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) picture: Size,
    pub(super) mask: Size,
}

impl Sizes {
    /// None when its buffers are not as long as its sizes say.
    pub(super) fn of(frame: &Frame) -> Option<Self> {
        let picture = Size::new(frame.width, frame.height)?;
        let mask = Size::new(frame.mask_width, frame.mask_height)?;
        let fits =
            frame.rgb.len() == picture.pixels() * 3 && frame.probability.len() == mask.pixels();
        fits.then_some(Self { picture, mask })
    }
}

impl Default for Sizes {
    /// Square, as the built-in networks' are, until a frame says otherwise.
    fn default() -> Self {
        let side = Size::new(320, 320).expect("neither side is zero");
        Self { picture: side, mask: side }
    }
}

/// Draws into what is not shown.
pub(super) struct Drawing<'a> {
    arrangement: Arrangement,
    layout: Layout,
    sizes: Sizes,
    options: Options,
    screenful: &'a Screenful,
    base: Swap<'a>,
    picture: Option<Swap<'a>>,
    mask: Option<Swap<'a>>,
    pencils: Pencils,
    /// The one drawn last.
    canvas: Canvas,
}

/// Everything that drawing needs and keeps.
struct Pencils {
    screen: Screen,
    rgb: Vec<u8>,
    film: Film,
    overlay: Overlay,
    packed: Vec<[u8; 4]>,
    line: Vec<[u8; 4]>,
    of_picture: Option<Scaler>,
    of_mask: Option<Scaler>,
    /// The base was drawn and has to change places at the flip.
    base_drawn: bool,
    over_drawn: bool,
}

impl Pencils {
    fn new(layout: &Layout, options: &Options, simulated: bool) -> Self {
        let marks = Marks { simulated, mirrored: options.orientation.mirrored };
        Self {
            screen: Screen::new(*layout, marks, options.style.layer),
            rgb: Vec::new(),
            film: Film::default(),
            overlay: Overlay::default(),
            packed: Vec::new(),
            line: Vec::new(),
            of_picture: None,
            of_mask: None,
            base_drawn: false,
            over_drawn: false,
        }
    }
}

impl<'a> Drawing<'a> {
    pub(super) fn new(
        buffers: &'a mut Buffers,
        screenful: &'a Screenful,
        options: Options,
        simulated: bool,
    ) -> Result<Self, DisplayError> {
        let Buffers { arrangement, layout, sizes, .. } = *buffers;
        Ok(Self {
            arrangement,
            layout,
            sizes,
            pencils: Pencils::new(&layout, &options, simulated),
            options,
            screenful,
            base: buffers.base.map()?,
            picture: buffers.picture.as_mut().map(Pair::map).transpose()?,
            mask: buffers.mask.as_mut().map(Pair::map).transpose()?,
            canvas: Canvas { number: 0, live: false },
        })
    }

    /// Background, words and signs, when they are not as they were.
    pub(super) fn draw_canvas(
        &mut self,
        glass: &Glass,
        before: Option<&Glass>,
        frame: Option<&Frame>,
    ) {
        let same = before.is_some_and(|before| {
            before.sign == glass.sign
                && before.rows == glass.rows
                && (glass.sign == Sign::Live || before.sequence == glass.sequence)
        });
        if same && self.canvas.number > 0 {
            return;
        }
        let drawn = self.pencils.screen.draw(&glass.sign, &glass.rows, frame);
        self.pencils.rgb.clear();
        self.pencils.rgb.extend_from_slice(drawn);
        self.canvas = Canvas { number: self.canvas.number + 1, live: glass.sign == Sign::Live };
    }

    /// The frame, or no frame, into the buffers that are not shown, and the commit that shows them all.
    pub(super) fn draw(&mut self, request: &mut Request, glass: &Glass, frame: Option<&Frame>) {
        let live = frame.filter(|_| glass.sign == Sign::Live);
        let rung = self.arrangement.rung;
        let in_base = rung != Rung::Scaled;
        self.pencils.base_drawn =
            (in_base && live.is_some()) || self.base.front.canvas != Some(self.canvas);
        self.pencils.over_drawn = live.is_some();
        if self.pencils.base_drawn {
            self.base_canvas();
        }
        if let Some(frame) = live {
            match rung {
                Rung::Scaled => self.on_planes(frame),
                Rung::Placed => self.mask_on_plane(frame),
                Rung::Blended => self.blended(frame),
            }
        }
        self.shows(request, live.is_some());
    }

    fn base_canvas(&mut self) {
        let back = &mut self.base.back;
        if back.canvas == Some(self.canvas) {
            return;
        }
        let Layout { screen, words, .. } = self.layout;
        let only_words = self.canvas.live && back.canvas.is_some_and(|canvas| canvas.live);
        let part = if only_words { words } else { whole(screen) };
        let (rgb, line) = (&self.pencils.rgb, &mut self.pencils.line);
        let turned = self.options.orientation.turned;
        put_canvas(rgb, screen, part, turned, &mut back.pixels(), line);
        back.canvas = Some(self.canvas);
    }

    fn on_planes(&mut self, frame: &Frame) {
        let Pencils { packed, film, .. } = &mut self.pencils;
        let orientation = self.options.orientation;
        if let Some(picture) = &mut self.picture {
            pack(&frame.rgb, self.sizes.picture, orientation, packed);
            picture.back.pixels().put(packed, self.sizes.picture);
        }
        if let (Some(mask), Some((size, pixels))) =
            (&mut self.mask, film.draw(frame, self.options.style))
        {
            packed.clear();
            packed.extend_from_slice(pixels);
            orient(packed, size, orientation);
            mask.back.pixels().put(packed, size);
        }
    }

    fn mask_on_plane(&mut self, frame: &Frame) {
        let area = self.area();
        let Pencils { packed, film, of_picture, of_mask, .. } = &mut self.pencils;
        let orientation = self.options.orientation;
        pack(&frame.rgb, self.sizes.picture, orientation, packed);
        scaler(of_picture, self.sizes.picture, area).run(
            packed,
            &mut self.base.back.pixels(),
            (area.left, area.top),
        );
        if let (Some(mask), Some((size, pixels))) =
            (&mut self.mask, film.draw(frame, self.options.style))
        {
            packed.clear();
            packed.extend_from_slice(pixels);
            orient(packed, size, orientation);
            scaler(of_mask, size, area).run(packed, &mut mask.back.pixels(), (0, 0));
        }
    }

    /// Laid over the picture at the picture's own size, and then scaled: a ninth of the pixels to blend on a
    /// screen of 1080 rows.
    fn blended(&mut self, frame: &Frame) {
        let area = self.area();
        let Pencils { packed, overlay, of_picture, .. } = &mut self.pencils;
        let style = Style { scale: Scale::One, ..self.options.style };
        let drawn = overlay.draw(Some(frame), style, Freshness::Live);
        pack(drawn.rgb, drawn.size, self.options.orientation, packed);
        scaler(of_picture, drawn.size, area).run(
            packed,
            &mut self.base.back.pixels(),
            (area.left, area.top),
        );
    }

    fn shows(&self, request: &mut Request, live: bool) {
        let Arrangement { base, picture, mask, rung } = self.arrangement;
        let screen = self.layout.screen;
        let surface = if self.pencils.base_drawn { &self.base.back } else { &self.base.front };
        let shows =
            Shows { framebuffer: surface.framebuffer, size: screen, area: whole(screen), depth: 0 };
        self.screenful.show(request, base, shows);
        let area = self.area();
        let target = Size::new(area.width, area.height).unwrap_or(screen);
        let of_mask = if rung == Rung::Scaled { self.sizes.mask } else { target };
        let over =
            [(picture, &self.picture, self.sizes.picture, 1), (mask, &self.mask, of_mask, 2)];
        for (plane, pair, size, depth) in over {
            match (plane, pair) {
                (Some(plane), Some(pair)) if live => {
                    let framebuffer = pair.back.framebuffer;
                    self.screenful.show(request, plane, Shows { framebuffer, size, area, depth });
                }
                (Some(plane), _) => self.screenful.hide(request, plane),
                (None, _) => {}
            }
        }
    }

    pub(super) fn flipped(&mut self) {
        if self.pencils.base_drawn {
            self.base.swap();
        }
        if self.pencils.over_drawn {
            for pair in [&mut self.picture, &mut self.mask].into_iter().flatten() {
                pair.swap();
            }
        }
    }

    fn area(&self) -> Area {
        let Layout { screen, picture, .. } = self.layout;
        if self.options.orientation.turned { turned(picture, screen) } else { picture }
    }
}

fn scaler(kept: &mut Option<Scaler>, from: Size, area: Area) -> &mut Scaler {
    let to = Size::new(area.width, area.height).unwrap_or(from);
    if kept.as_ref().is_none_or(|scaler| scaler.sizes() != (from, to)) {
        *kept = None;
    }
    kept.get_or_insert_with(|| Scaler::new(from, to))
}
