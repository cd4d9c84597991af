//! The "hdmi" thread: waits for a screen, shows frames on it, and starts over when it goes.
//!
//! ```text
//!   run        retries: no screen, card taken away, commit refused
//!   run_once   one screen: mode, arrangement, and a new arrangement when frames change their size
//!   drive      one arrangement: take, draw (drawing.rs), commit, wait for the flip
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::card::{Card, Head};
use super::commit::{Before, Flip, Request, Screenful, Shows};
use super::drawing::{Buffers, Drawing, Glass, Sizes};
use super::error::DisplayError;
use super::layout::{Layout, turned, whole};
use super::planes::{Arrangement, Rung, climb_down};
use super::screen::Sign;
use super::surface::{Kind, Pair};
use super::words::{self, Row};
use super::{About, Feed, Options, Shared};
use crate::outputs::canvas::Area;
use crate::outputs::figures::Seen;
use crate::outputs::overlay::Freshness;
use crate::outputs::recent::Recent;
use crate::pipeline::Frame;
use crate::pipeline::geometry::Size;
use crate::pipeline::latency::Shown;
use crate::pipeline::queue::Taken;
use crate::source::Quality;
use crate::source::clock::{StopSignal, Timestamp};

pub(super) struct Show {
    card: Card,
    options: Options,
    about: About,
    feed: Feed,
    stop: StopSignal,
    shared: Arc<Shared>,
    newest: Option<Arc<Frame>>,
    /// The slot is closed: no frame will come any more.
    ended: bool,
    recent: Recent,
    /// The sensor is.
    simulated: bool,
    /// What the screen has shown before us.
    before: Option<Before>,
}

/// Why a screen is not driven any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stopped,
    Unplugged,
    /// Frames have another size or aspect now.
    Resized,
}

impl Show {
    pub(super) fn new(
        card: Card,
        (options, about): (Options, About),
        feed: Feed,
        stop: StopSignal,
        shared: Arc<Shared>,
    ) -> Self {
        let recent = Recent::default();
        let (newest, ended, before) = (None, false, None);
        let simulated = (feed.snapshot)().source.quality == Quality::Simulated;
        Self { card, options, about, feed, stop, shared, newest, ended, recent, simulated, before }
    }

    pub(super) fn run(mut self) {
        let mut told = None;
        while !self.stop.is_raised() {
            match self.run_once() {
                Ok(End::Stopped) => return,
                Ok(_) => told = None,
                // The same reason every second would only hide others in the log.
                Err(error) if told.as_ref() == Some(&error) => {}
                Err(error) => {
                    tracing::warn!("display: {error}; trying again every second");
                    told = Some(error);
                }
            }
            let now = self.feed.clock.now();
            let mut state = self.shared.lock();
            state.on = None;
            state.latency.lost(now);
            drop(state);
            let again = self.feed.clock.now().plus(LOOK_INTERVAL);
            while self.feed.clock.now() < again && !self.stop.is_raised() {
                self.take();
            }
        }
    }

    /// From a screen's coming to its going.
    fn run_once(&mut self) -> Result<End, DisplayError> {
        let head = match self.card.head(self.options.mode) {
            // Whoever plugs in another screen wants to see something on it.
            Err(DisplayError::NoMode { .. }) => self.card.head(None)?,
            head => head?,
        };
        let Some(head) = head else { return Ok(End::Unplugged) };
        self.card.become_master()?;
        // A screen that comes back shows nothing of its own before us.
        if self.before.is_none() {
            self.before = Some(Before::of(&self.card, &head)?);
        }
        let screenful = Screenful::of(&self.card, &head)?;
        // What was shown last stays allocated until something else is shown: the kernel would go dark.
        let mut kept: Option<Buffers> = None;
        loop {
            let mut buffers = self.arranged(&head, &screenful)?;
            let first = kept.is_none();
            let end = self.drive(&head, &screenful, &mut buffers, first);
            drop(kept.replace(buffers));
            match end {
                Ok(End::Resized) => {}
                Ok(End::Unplugged) => {
                    tracing::warn!("display: {} was unplugged", head.name);
                    return Ok(End::Unplugged);
                }
                Ok(End::Stopped) => {
                    if let Some(before) = self.before.take() {
                        before.restore(&self.card, &screenful);
                    }
                    return Ok(End::Stopped);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The best rung that the card takes for the frames of now, with its buffers.
    fn arranged(&self, head: &Head, screenful: &Screenful) -> Result<Buffers, DisplayError> {
        let screen = Size::new(head.facts.width, head.facts.height).ok_or_else(|| {
            let cause = format!("{} has a mode without pixels", head.name);
            DisplayError::Unsuitable { path: self.card.path().to_owned(), cause }
        })?;
        let sizes = self.newest.as_deref().and_then(Sizes::of).unwrap_or_default();
        let seen = self.newest.as_deref().and_then(seen).or(self.about.seen);
        let seen = seen.unwrap_or(sizes.picture);
        let layout = Layout::new(screen, seen, self.options.words);
        let target = Size::new(layout.picture.width, layout.picture.height).unwrap_or(screen);
        let base = Pair::new(&self.card, screen, Kind::Opaque)?;
        let (mut picture, mut mask) = (None, None);
        let accepts = |arrangement: &Arrangement| {
            let (of_picture, of_mask) = match arrangement.rung {
                Rung::Scaled => (Some(sizes.picture), Some(sizes.mask)),
                Rung::Placed => (None, Some(target)),
                Rung::Blended => (None, None),
            };
            let pair = |size: Option<Size>, kind| {
                size.map(|size| Pair::new(&self.card, size, kind)).transpose()
            };
            picture = pair(of_picture, Kind::Opaque).map_err(|error| error.to_string())?;
            mask = pair(of_mask, Kind::Alpha).map_err(|error| error.to_string())?;
            let mut request = screenful.whole();
            let area = self.on_screen(layout.picture, screen);
            let base_shows = (arrangement.base, base.any(), screen, whole(screen), 0);
            let picture_shows = arrangement.picture.zip(picture.as_ref());
            let mask_shows = arrangement.mask.zip(mask.as_ref());
            let over =
                [(picture_shows, sizes.picture, 1), (mask_shows, of_mask.unwrap_or(target), 2)];
            let over = over.into_iter().filter_map(|(shows, size, depth)| {
                shows.map(|(plane, pair)| (plane, pair.any(), size, area, depth))
            });
            for (plane, framebuffer, size, area, depth) in std::iter::once(base_shows).chain(over) {
                screenful.show(&mut request, plane, Shows { framebuffer, size, area, depth });
            }
            screenful.test(&request).map_err(|error| error.to_string())
        };
        let arrangement = climb_down(&screenful.facts(), accepts).map_err(|refusals| {
            DisplayError::Refuses { path: self.card.path().to_owned(), refusals }
        })?;
        tracing::info!("display: {} {}: {}", head.name, head.facts, arrangement.rung);
        Ok(Buffers { arrangement, layout, seen, sizes, base, picture, mask })
    }

    fn drive(
        &mut self,
        head: &Head,
        screenful: &Screenful,
        buffers: &mut Buffers,
        first: bool,
    ) -> Result<End, DisplayError> {
        let Buffers { arrangement, sizes, seen: arranged_for, .. } = *buffers;
        let mut drawing = Drawing::new(buffers, screenful, self.options.clone(), self.simulated)?;
        let mut unset = first;
        let mut said = false;
        let mut on_glass = None;
        let mut rows = Vec::new();
        let mut words_due = Timestamp::default();
        let mut said_under = None;
        let mut look_due = self.feed.clock.now().plus(LOOK_INTERVAL);
        loop {
            // At the very first there may be nothing to wait for.
            if on_glass.is_some() {
                self.take();
            }
            if self.stop.is_raised() {
                return Ok(End::Stopped);
            }
            let now = self.feed.clock.now();
            if now >= look_due {
                look_due = now.plus(LOOK_INTERVAL);
                if !self.card.is_connected(head.connector) {
                    return Ok(End::Unplugged);
                }
            }
            let sign = self.sign(now);
            let frame = self.newest.clone();
            if sign == Sign::Live && frame.as_deref().and_then(Sizes::of) != Some(sizes) {
                return Ok(End::Resized);
            }
            // A window of another aspect; while one settles, nobody knows its.
            let seen = frame.as_deref().and_then(seen);
            if sign == Sign::Live && seen.is_some_and(|seen| !is_alike(seen, arranged_for)) {
                return Ok(End::Resized);
            }
            // Figures of a frame that is no longer true go at once.
            let kind = std::mem::discriminant(&sign);
            if now >= words_due || said_under != Some(kind) {
                words_due = now.plus(WORDS_INTERVAL);
                said_under = Some(kind);
                rows = self.rows(now, &sign);
            }
            let glass =
                Glass { sequence: frame.as_ref().map(|f| f.sequence), sign, rows: rows.clone() };
            if on_glass.as_ref() == Some(&glass) {
                continue;
            }
            drawing.draw_canvas(&glass, on_glass.as_ref(), frame.as_deref());
            let mut request = if unset { screenful.whole() } else { Request::default() };
            drawing.draw(&mut request, &glass, frame.as_deref());
            let committed = self.feed.clock.now();
            if unset {
                screenful.commit_mode(&request)?;
            } else {
                screenful.commit_flip(&request)?;
            }
            let flip = screenful.flip()?;
            drawing.flipped();
            unset = false;
            if !said {
                let on = format!("{} {}: {}", head.name, head.facts, arrangement.rung);
                self.shared.lock().on = Some(on);
                said = true;
            }
            let new =
                on_glass.as_ref().is_none_or(|before: &Glass| before.sequence != glass.sequence);
            match (&glass.sign, &frame) {
                (Sign::Live, Some(frame)) if new => self.record(frame, committed, flip),
                (Sign::Live, _) => {}
                // What is shown from here on is marked as old, or nothing at all.
                _ => self.shared.lock().latency.withdrawn(self.feed.clock.at_kernel_stamp(flip.at)),
            }
            on_glass = Some(glass);
        }
    }

    /// The newest frame, if one comes soon.
    fn take(&mut self) {
        if self.ended {
            // Nothing comes any more, but what is shown must still go stale before people's eyes.
            std::thread::sleep(HEARTBEAT);
            return;
        }
        match self.feed.slot.take(HEARTBEAT) {
            Taken::Value(frame) => self.newest = Some(frame),
            Taken::TimedOut => {}
            Taken::Closed => self.ended = true,
        }
    }

    fn sign(&self, now: Timestamp) -> Sign {
        if self.ended {
            let reason = (self.feed.snapshot)().last_error;
            let reason = reason.unwrap_or_else(|| "the run has ended".to_owned());
            return Sign::Fault { reason };
        }
        // A frame whose buffers do not fit their sizes shows nothing.
        let whole = self.newest.as_deref().filter(|frame| Sizes::of(frame).is_some());
        match Freshness::of(whole, now, self.feed.limits.stale_after()) {
            Freshness::Live => Sign::Live,
            // In tenths of a second: what is not seen to change is not drawn again.
            Freshness::Stale { age } => {
                let tenths = u64::try_from(age.as_millis() / 100).unwrap_or(u64::MAX);
                Sign::Stale { age: Duration::from_millis(tenths.saturating_mul(100)) }
            }
            Freshness::NoSignal => Sign::NoSignal,
        }
    }

    fn rows(&mut self, now: Timestamp, sign: &Sign) -> Vec<Row> {
        if !self.options.words {
            return Vec::new();
        }
        let snapshot = (self.feed.snapshot)();
        if self.recent.is_due(now) {
            self.recent.push(now, snapshot.counters);
        }
        let live = self.newest.as_deref().filter(|_| *sign == Sign::Live);
        let display = self.shared.lock().latency.stages();
        let inference = self.about.inference.as_deref();
        words::rows(&snapshot, &display, self.recent.rates(), inference, live)
    }

    fn record(&self, frame: &Frame, committed: Timestamp, flip: Flip) {
        // Cards without a clock of their own stamp the event when they send it, which is as good.
        let flipped = self.feed.clock.at_kernel_stamp(flip.at);
        let mut state = self.shared.lock();
        state.latency.record(frame, Shown { committed, flipped });
        state.shown += 1;
        tracing::trace!(sequence = frame.sequence, picture = flip.sequence, "flipped");
    }

    fn on_screen(&self, area: Area, screen: Size) -> Area {
        if self.options.orientation.turned { turned(area, screen) } else { area }
    }
}

/// Size on the sensor of what a frame shows.
fn seen(frame: &Frame) -> Option<Size> {
    let Seen { width_px, height_px } = frame.window?.into();
    Size::new(width_px, height_px)
}

/// Whether both have the same aspect.
fn is_alike(one: Size, other: Size) -> bool {
    one.width() * other.height() == other.width() * one.height()
}

/// How long a stall can stay unseen beyond the stale limit; how long stopping can take.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// Faster is not read.
const WORDS_INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks at the connector.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
