//! What light is divided into: exposure time, then gain.
//!
//! ```text
//!   light wanted   little ------------------------------------------------> much
//!   lines          8 ...................... longest | longest .............. longest
//!   gain           1.0 ......................... 1.0 | 1.0 ................. largest
//! ```
//!
//! Time costs sharpness where the eye moves, gain costs noise; noise is what a network of few bits can
//! bear least, so time comes first. Counted in stops (powers of two) of lines times gain.

use super::Options;
use crate::formats::embedded::{PIXELS_PER_SECOND, SensorState};

/// Exposure and analogue gain, as the driver's controls and the sensor's registers have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Lines of exposure.
    pub lines: u32,
    /// Code of the analogue gain: gain = 1024 / (1024 - code).
    pub gain_code: u32,
}

impl Setting {
    /// What a frame was made under; none where the registers do not say.
    #[must_use]
    pub fn of(registers: &SensorState) -> Option<Self> {
        registers.analogue_gain()?;
        Some(Self {
            lines: registers.exposure_lines?.into(),
            gain_code: registers.analogue_gain_code?.into(),
        })
    }

    /// The analogue gain.
    #[must_use]
    pub fn gain(self) -> f64 {
        1024.0 / f64::from(1024_u32.saturating_sub(self.gain_code).max(1))
    }

    /// Light that reaches the picture: log2 of lines times gain.
    #[must_use]
    pub fn stops(self) -> f64 {
        (f64::from(self.lines.max(1)) * self.gain()).log2()
    }

    /// Whether it is the same but for what makes no difference: less than a hundredth of the lines.
    #[must_use]
    pub fn is_nearly(self, other: Self) -> bool {
        100 * self.lines.abs_diff(other.lines) < other.lines
            && self.gain_code.abs_diff(other.gain_code) <= 1
    }
}

/// What can be set while frames are as long as they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Most lines of exposure.
    pub max_lines: u32,
    /// Largest gain code.
    pub max_gain_code: u32,
    /// Duration of a line.
    pub line_us: f64,
}

impl Limits {
    /// Those of the frame with these registers; none where they do not say.
    #[must_use]
    pub fn of(registers: &SensorState, options: &Options) -> Option<Self> {
        let line_us = f64::from(registers.line_length_pixels.filter(|&length| length > 0)?) * 1e6
            / PIXELS_PER_SECOND as f64;
        let frame_lines = u32::from(registers.frame_length_lines?);
        let longest = options.max_time_us.map_or(u32::MAX, |time_us| whole(time_us / line_us));
        let max_lines = frame_lines.saturating_sub(UNEXPOSED_LINES).min(longest).max(MIN_LINES);
        Some(Self { max_lines, max_gain_code: code_of(options.max_gain), line_us })
    }

    /// Duration of so many lines, microseconds.
    #[must_use]
    pub fn time_us(self, lines: u32) -> f64 {
        f64::from(lines) * self.line_us
    }

    /// What gives so much light ([`Setting::stops`]), or as near as it gets.
    #[must_use]
    pub fn split(self, stops: f64) -> Setting {
        let light = stops.exp2();
        let lines = whole(light).clamp(MIN_LINES, self.max_lines);
        // The gain makes up for what whole lines cannot: 8 lines to 9 are a sixth of a stop.
        let gain_code = code_of(light / f64::from(lines)).min(self.max_gain_code);
        Setting { lines, gain_code }
    }

    /// This time and gain, as far as a frame has room for it. The configured limits are for what is
    /// found, not for what is asked for.
    #[must_use]
    pub fn fixed(self, time_us: f64, gain: f64) -> Setting {
        let lines = whole((time_us / self.line_us).round()).clamp(MIN_LINES, self.max_lines);
        Setting { lines, gain_code: code_of(gain) }
    }
}

/// The code nearest to a gain, within what the sensor takes.
fn code_of(gain: f64) -> u32 {
    whole((1024.0 - 1024.0 / gain.max(1.0)).round()).min(MAX_GAIN_CODE)
}

/// Rounds down; what is not a number, or is negative, is 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates, and every caller clamps"
)]
fn whole(value: f64) -> u32 {
    value as u32
}

/// Least exposure that the driver takes.
const MIN_LINES: u32 = 8;
/// Lines of a frame that cannot be exposed (`IMX500_EXPOSURE_OFFSET`).
const UNEXPOSED_LINES: u32 = 22;
/// Largest code of the analogue gain that the driver takes; gain 22.3.
const MAX_GAIN_CODE: u32 = 978;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The binned mode at 30 frames a second: 9398 / 744 = 12.63 us a line.
    fn registers() -> SensorState {
        SensorState {
            exposure_lines: Some(1000),
            analogue_gain_code: Some(512),
            frame_length_lines: Some(2637),
            line_length_pixels: Some(9398),
            temperature_celsius: None,
        }
    }

    fn limits(options: Options) -> Limits {
        Limits::of(&registers(), &options).unwrap()
    }

    #[test]
    fn registers_are_read_as_light() {
        let setting = Setting::of(&registers()).unwrap();
        assert_eq!(setting.gain(), 2.0);
        assert!((setting.stops() - 2000_f64.log2()).abs() < 1e-12);
        assert_eq!(Setting::of(&SensorState::default()), None);
        let no_gain = SensorState { analogue_gain_code: Some(1024), ..registers() };
        assert_eq!(Setting::of(&no_gain), None);
    }

    #[test]
    fn a_line_makes_a_difference_to_few_and_none_to_many() {
        let lines = |lines| Setting { lines, gain_code: 100 };
        assert!(!lines(9).is_nearly(lines(8)) && !lines(1020).is_nearly(lines(1000)));
        assert!(lines(8).is_nearly(lines(8)) && lines(1005).is_nearly(lines(1000)));
        assert!(!Setting { gain_code: 102, ..lines(8) }.is_nearly(lines(8)));
    }

    #[test]
    fn frame_leaves_22_lines_unexposed_and_a_longest_time_more() {
        assert_eq!(limits(Options::default()).max_lines, 2615);
        // 10 ms / 12.6317 us = 791.6
        let short = limits(Options { max_time_us: Some(10_000.0), ..Options::default() });
        assert_eq!(short.max_lines, 791);
        assert!((short.time_us(791) - 9991.7).abs() < 0.1);
    }

    #[test]
    fn time_comes_before_gain() {
        let limits = limits(Options::default());
        let split = |light: f64| limits.split(light.log2());
        assert_eq!(split(1000.0), Setting { lines: 1000, gain_code: 0 });
        assert_eq!(split(2615.0), Setting { lines: 2615, gain_code: 0 });
        assert_eq!(split(2615.0 * 4.0), Setting { lines: 2615, gain_code: 768 });
        // The largest gain of the configuration is 8: 1024 - 128.
        assert_eq!(split(1e9), Setting { lines: 2615, gain_code: 896 });
        assert_eq!(split(0.01), Setting { lines: 8, gain_code: 0 });
    }

    #[test]
    fn fixed_values_are_lines_and_a_code() {
        let limits = limits(Options::default());
        assert_eq!(limits.fixed(10_000.0, 2.0), Setting { lines: 792, gain_code: 512 });
        assert_eq!(limits.fixed(1e9, 1e9), Setting { lines: 2615, gain_code: 978 });
        assert_eq!(limits.fixed(0.0, 0.0), Setting { lines: 8, gain_code: 0 });
    }

    proptest! {
        #[test]
        fn split_gives_the_light_that_was_asked_for(stops in 3.0_f64..14.3) {
            let limits = limits(Options::default());
            let got = limits.split(stops);
            prop_assert!((got.stops() - stops).abs() < 0.01, "{stops}: {got:?}");
            prop_assert!(got.gain_code == 0 || got.lines == limits.max_lines || got.gain() < 1.13);
        }

        #[test]
        fn no_registers_break_it(lines: u16, code: u16, frame: u16, line: u16, stops in -90.0_f64..90.0) {
            let registers = SensorState {
                exposure_lines: Some(lines),
                analogue_gain_code: Some(code),
                frame_length_lines: Some(frame),
                line_length_pixels: Some(line),
                temperature_celsius: None,
            };
            if let Some(setting) = Setting::of(&registers) {
                prop_assert!(setting.stops().is_finite());
            }
            if let Some(limits) = Limits::of(&registers, &Options::default()) {
                let got = limits.split(stops);
                prop_assert!(got.lines >= MIN_LINES && got.lines <= limits.max_lines);
                prop_assert!(got.gain_code <= MAX_GAIN_CODE);
            }
        }
    }
}
