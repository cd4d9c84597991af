//! The inference window, moved while frames stream.
//!
//! ```text
//!   whoever looks closer --ask--> [wanted]               /status, page: what is wanted,
//!                                    |  taken between       and what the device said
//!                                    v  two frames
//!                                 source: control, or scene --obeyed--> [in force]
//!                                         |                               ^
//!                                         +--refused, with the reason-----+ is wanted again
//! ```
//!
//! The source asks, nobody pushes: so it knows between which frames the change lies, and every frame carries the
//! window that it was made under ([`super::RawFrame::window`]).
//!
//! A window that is asked for is fitted first ([`Bounds`]): widened to the aspect of the network's input, so that
//! nothing is squeezed, to as many pixels as that has, and moved onto the sensor, on even coordinates. What was made
//! of it is the answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inference_window::{MOST_COLUMNS, WHOLE, WindowChoice, even};
use super::simulated::isp::{InferenceWindow, SENSOR_HEIGHT, SENSOR_WIDTH};
use super::simulated::timing::Mode;

/// A handle on the window of a source; clones are the same.
#[derive(Debug, Clone)]
pub struct Aim {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    configured: InferenceWindow,
    /// Why it cannot be moved, where it cannot.
    bounds: Result<Bounds, &'static str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    wanted: InferenceWindow,
    in_force: InferenceWindow,
    refused: Option<String>,
}

/// Where a window stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aimed {
    /// What was asked for last, fitted. Frames that are under way may still be of the one before.
    pub wanted: InferenceWindow,
    /// What the run began with.
    pub configured: InferenceWindow,
    /// Why it cannot be moved; none where it can.
    pub fixed: Option<&'static str>,
    /// What the device said to the last one that it did not take.
    pub refused: Option<String>,
}

/// Why a window is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AimError {
    /// This source has the window that it has.
    #[error("the inference window cannot be moved: {0}")]
    Fixed(&'static str),
    /// No pixels.
    #[error(
        "inference window {0}: width and height must be 1 or more full-sensor pixels; to go back to the configured \
         view, DELETE it"
    )]
    Empty(Corners),
    /// Not on the sensor.
    #[error(
        "inference window {0} does not lie on the sensor, which has {SENSOR_WIDTH}x{SENSOR_HEIGHT} pixels; left + \
         width can be {SENSOR_WIDTH} at most, top + height {SENSOR_HEIGHT}"
    )]
    Beyond(Corners),
}

/// A window in words: `left,top,width,height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corners(InferenceWindow);

impl std::fmt::Display for Corners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        WindowChoice::Pixels(self.0).fmt(f)
    }
}

impl Aim {
    /// A window that can be moved within these bounds; `configured` is not of zero size.
    #[must_use]
    pub fn new(configured: InferenceWindow, bounds: Bounds) -> Self {
        Self::with(configured, Ok(bounds))
    }

    /// One that stays, and why.
    #[must_use]
    pub fn fixed(configured: InferenceWindow, reason: &'static str) -> Self {
        Self::with(configured, Err(reason))
    }

    fn with(configured: InferenceWindow, bounds: Result<Bounds, &'static str>) -> Self {
        let state = State { wanted: configured, in_force: configured, refused: None };
        Self { shared: Arc::new(Shared { configured, bounds, state: Mutex::new(state) }) }
    }

    /// Wants this window, fitted; gives what was made of it. The source takes it between two frames.
    ///
    /// # Errors
    /// When it has no pixels, leaves the sensor, or cannot be moved at all.
    pub fn ask(&self, window: InferenceWindow) -> Result<InferenceWindow, AimError> {
        let fitted = self.shared.bounds.map_err(AimError::Fixed)?.fit(window)?;
        self.want(fitted);
        Ok(fitted)
    }

    /// Wants the configured window again.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn reset(&self) -> Result<InferenceWindow, AimError> {
        self.shared.bounds.map_err(AimError::Fixed)?;
        self.want(self.shared.configured);
        Ok(self.shared.configured)
    }

    /// Where it stands.
    #[must_use]
    pub fn aimed(&self) -> Aimed {
        let state = self.state();
        Aimed {
            wanted: state.wanted,
            configured: self.shared.configured,
            fixed: self.shared.bounds.err(),
            refused: state.refused.clone(),
        }
    }

    /// What the source is to do: nothing where it has done it.
    pub(super) fn pending(&self) -> Option<InferenceWindow> {
        let state = self.state();
        (state.wanted != state.in_force).then_some(state.wanted)
    }

    /// The window is in force for the frames to come.
    pub(super) fn obeyed(&self, window: InferenceWindow) {
        let mut state = self.state();
        state.in_force = window;
    }

    /// The device did not take it: the one in force stays, unless something else was asked for meanwhile.
    pub(super) fn refused(&self, window: InferenceWindow, reason: String) {
        let mut state = self.state();
        if state.wanted == window {
            state.wanted = state.in_force;
        }
        state.refused = Some(reason);
    }

    fn want(&self, window: InferenceWindow) {
        let mut state = self.state();
        (state.wanted, state.refused) = (window, None);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a window must be for this network and read-out mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Width and height of the network's input; where nobody knows it, windows keep the aspect that is asked for.
    pub input: Option<(usize, usize)>,
    /// Below as many read-out pixels as the input has, a smaller window shows nothing finer, and the sensor would
    /// have to make pixels up.
    pub mode: Mode,
}

impl Bounds {
    /// The smallest window around what is asked for that is as it must be, moved onto the sensor; the largest
    /// possible one where that would not fit.
    ///
    /// # Errors
    /// When it has no pixels, or leaves the sensor.
    pub fn fit(&self, asked: InferenceWindow) -> Result<InferenceWindow, AimError> {
        if asked.width == 0 || asked.height == 0 {
            return Err(AimError::Empty(Corners(asked)));
        }
        if asked.resolve().is_err() {
            return Err(AimError::Beyond(Corners(asked)));
        }
        let pixels = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let unknown = (pixels(asked.width), pixels(asked.height));
        let (across, down) = self.input.unwrap_or(unknown);
        let aspect = across.max(1) as f64 / down.max(1) as f64;
        let least = self.input.map_or(0.0, |_| across as f64 * f64::from(self.sensor_pixels()));
        let width = f64::from(asked.width).max(f64::from(asked.height) * aspect).max(least);
        let (width, height) = even_sides(width, aspect);
        let most = WindowChoice::Fill.for_input(across, down).unwrap_or(WHOLE);
        let too_large = width >= most.width || height >= most.height;
        let (width, height) = if too_large { (most.width, most.height) } else { (width, height) };
        if (width, height) == (WHOLE.width, WHOLE.height) {
            return Ok(WHOLE);
        }
        let left = around(asked.left, asked.width, width, SENSOR_WIDTH).min(MOST_COLUMNS);
        let top = around(asked.top, asked.height, height, SENSOR_HEIGHT);
        Ok(InferenceWindow { left, top, width, height })
    }

    /// Full-sensor pixels a read-out pixel, along one side.
    fn sensor_pixels(&self) -> u32 {
        SENSOR_WIDTH / u32::from(self.mode.width())
    }
}

/// The shorter side up to the next even number, unless it is hardly over one, and the other by the aspect: so a window
/// that was made here is made to itself.
fn even_sides(width: f64, aspect: f64) -> (u32, u32) {
    let up = |side: f64, slack: f64, most| even(side - slack + ALMOST_ONE, most);
    if aspect >= 1.0 {
        let height = up(width / aspect, 1.0 / aspect, SENSOR_HEIGHT);
        (even(f64::from(height) * aspect, MOST_COLUMNS), height)
    } else {
        let width = up(width, aspect, MOST_COLUMNS);
        (width, even(f64::from(width) / aspect, SENSOR_HEIGHT))
    }
}

/// Makes the nearest even number the next one up.
const ALMOST_ONE: f64 = 0.999;

/// Where a side of `len` begins so that it has the middle of what was asked for, as far as the sensor goes; even.
fn around(from: u32, asked: u32, len: u32, sensor: u32) -> u32 {
    let twice_middle = u64::from(from) * 2 + u64::from(asked);
    let start = twice_middle.saturating_sub(u64::from(len)) / 2;
    let start = u32::try_from(start).unwrap_or(u32::MAX);
    start.min(sensor.saturating_sub(len)) / 2 * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(left: u32, top: u32, width: u32, height: u32) -> InferenceWindow {
        InferenceWindow { left, top, width, height }
    }

    fn binned(width: usize, height: usize) -> Bounds {
        Bounds { input: Some((width, height)), mode: Mode::Binned }
    }

    #[test]
    fn window_that_is_right_stays_as_it_is() {
        let asked = window(1000, 800, 800, 800);
        assert_eq!(binned(320, 320).fit(asked), Ok(asked));
    }

    #[test]
    fn shorter_side_grows_about_the_middle_to_the_aspect_of_the_input() {
        // 1000 x 800 at (1000, 1000): middle (1500, 1400).
        let fitted = binned(320, 320).fit(window(1000, 1000, 1000, 800)).unwrap();
        assert_eq!(fitted, window(1000, 900, 1000, 1000));
        let unknown = Bounds { input: None, mode: Mode::Binned };
        assert_eq!(unknown.fit(window(1001, 1000, 1001, 801)), Ok(window(1000, 998, 1002, 802)));
        assert_eq!(unknown.fit(window(1000, 0, 100, 3040)), Ok(window(1000, 0, 100, 3040)));
    }

    #[test]
    fn smaller_than_the_input_grows_to_its_pixels() {
        // 320 pixels of the binned read-out are 640 of the sensor; of the full one, 320.
        let asked = window(2000, 1500, 10, 10);
        assert_eq!(binned(320, 320).fit(asked), Ok(window(1684, 1184, 640, 640)));
        let full = Bounds { mode: Mode::Full, ..binned(320, 320) };
        assert_eq!(full.fit(asked), Ok(window(1844, 1344, 320, 320)));
    }

    #[test]
    fn corner_of_the_sensor_moves_the_window_and_too_large_is_the_largest() {
        let bounds = binned(320, 320);
        assert_eq!(bounds.fit(window(4046, 3030, 10, 10)), Ok(window(3416, 2400, 640, 640)));
        assert_eq!(bounds.fit(window(0, 0, 4056, 3040)), Ok(window(508, 0, 3040, 3040)));
        assert_eq!(binned(320, 240).fit(window(0, 0, 4056, 3040)), Ok(window(0, 0, 4056, 3040)));
    }

    #[test]
    fn what_is_no_window_of_the_sensor_is_refused_in_words() {
        let said = |w| binned(320, 320).fit(w).unwrap_err().to_string();
        assert!(said(window(4, 4, 0, 10)).starts_with("inference window 4,4,0,10: width and"));
        let beyond = said(window(4000, 0, 100, 100));
        assert!(beyond.contains("4000,0,100,100") && beyond.contains("4056x3040"), "{beyond}");
        assert!(binned(320, 320).fit(window(u32::MAX, 0, u32::MAX, 1)).is_err());
    }

    #[test]
    fn source_takes_what_is_wanted_once_and_a_refused_one_is_wanted_no_more() {
        let first = window(508, 0, 3040, 3040);
        let aim = Aim::new(first, binned(320, 320));
        assert_eq!(aim.pending(), None);
        let closer = aim.ask(window(1000, 800, 800, 800)).unwrap();
        assert_eq!(aim.pending(), Some(closer));
        aim.obeyed(closer);
        assert_eq!((aim.pending(), aim.aimed().wanted), (None, closer));

        let next = aim.ask(window(0, 0, 800, 800)).unwrap();
        aim.refused(next, "the driver says no".to_owned());
        assert_eq!((aim.pending(), aim.aimed().wanted), (None, closer));
        assert_eq!(aim.aimed().refused.as_deref(), Some("the driver says no"));
        assert_eq!(aim.reset(), Ok(first));
        assert_eq!((aim.pending(), aim.aimed().refused), (Some(first), None));
    }

    #[test]
    fn fixed_window_says_why() {
        let aim = Aim::fixed(window(0, 0, 4056, 3040), "a recording was made as it was made");
        let refused = aim.ask(window(0, 0, 800, 800)).unwrap_err().to_string();
        assert!(refused.ends_with("a recording was made as it was made"), "{refused}");
        assert_eq!(aim.reset().unwrap_err().to_string(), refused);
        assert_eq!(aim.pending(), None);
    }

    /// What even numbers can cost at an edge.
    const ROUNDED: u32 = 3;

    proptest! {
        #[test]
        fn every_fitted_window_can_be_written_and_holds_what_was_asked_for(
            (left, top) in (0_u32..4056, 0_u32..3040),
            (across, down) in (1_u32..=4056, 1_u32..=3040),
            input in (16_usize..1280, 16_usize..960),
        ) {
            let asked = window(left, top, across.min(4056 - left), down.min(3040 - top));
            let fitted = binned(input.0, input.1).fit(asked).unwrap();
            prop_assert_eq!(fitted.resolve(), Ok(fitted));
            let whole = fitted == WHOLE;
            let numbers = [fitted.left, fitted.top, fitted.width, fitted.height];
            prop_assert!(whole || numbers.iter().all(|n| n % 2 == 0 && *n <= MOST_COLUMNS), "{fitted:?}");
            // What was asked for is in it, where it is not the largest there is.
            let largest = fitted.width == 4032 || fitted.height == 3040 || whole;
            let holds = fitted.left <= asked.left + ROUNDED
                && fitted.top <= asked.top + ROUNDED
                && fitted.left + fitted.width + ROUNDED >= asked.left + asked.width
                && fitted.top + fitted.height + ROUNDED >= asked.top + asked.height;
            prop_assert!(largest || holds, "{asked:?} became {fitted:?}");
            prop_assert_eq!(binned(input.0, input.1).fit(fitted), Ok(fitted), "fitted once is fitted");
        }
    }
}
