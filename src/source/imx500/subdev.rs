//! The sensor's sub-device: its controls, the formats of its two pads, and the network it is to run.
//!
//! The descriptor stays open for the whole session: the newest driver drops the network when the last
//! handle closes, older ones when the sensor has been idle for 5 seconds. So a network is set again
//! before every start.
//!
//! Ranges are those of the driver (`imx500.c` of raspberrypi/linux 7a8b5ff); where they can be asked
//! for, they are.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use super::error::{CameraError, GIVE_NETWORK};
use super::exposure::{Order, Setting};
use super::ioctl;
use super::receiver::{METADATA_PAD, PICTURE_PAD};
use super::uapi::Zero;
use super::uapi::subdev::{MbusFormat, SubdevFormat, V4L2_SUBDEV_FORMAT_ACTIVE};
use super::uapi::video::{self, V4L2_CTRL_FLAG_INACTIVE};
use crate::source::inference_window::MOST_COLUMNS;
use crate::source::simulated::isp::{InferenceWindow, SENSOR_HEIGHT, SENSOR_WIDTH};
use crate::source::simulated::timing::Mode;

/// The sensor. Clones share the node, also when it is opened anew.
#[derive(Debug, Clone)]
pub struct Sensor(Arc<Mutex<Arc<Node>>>);

/// The sub-device's node.
#[derive(Debug)]
struct Node {
    file: File,
    path: PathBuf,
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// What a control accepts now. Ranges move: that of the exposure follows the frame length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Least value.
    pub minimum: i64,
    /// Greatest value.
    pub maximum: i64,
    /// The driver's own choice.
    pub default: i64,
    /// Whether it means anything now.
    pub active: bool,
}

/// Which way the picture is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Flips {
    /// Left and right exchanged.
    pub horizontal: bool,
    /// Top and bottom exchanged.
    pub vertical: bool,
}

impl Flips {
    /// As the configuration has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.horizontal, self.vertical) {
            (false, false) => "none",
            (true, false) => "horizontal",
            (false, true) => "vertical",
            (true, true) => "both",
        }
    }
}

/// White-balance gains of the sensor's own ISP, which feeds the network: 256 is 1.0, at most 4095.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColourGains {
    /// Blue.
    pub blue: u16,
    /// Green in rows with blue.
    pub green_blue: u16,
    /// Green in rows with red.
    pub green_red: u16,
    /// Red.
    pub red: u16,
}

impl Default for ColourGains {
    fn default() -> Self {
        Self { blue: 256, green_blue: 256, green_red: 256, red: 256 }
    }
}

impl Node {
    fn open(path: &Path) -> Result<Self, CameraError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|error| CameraError::open(path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }
}

impl Sensor {
    pub(super) fn open(path: &Path) -> Result<Self, CameraError> {
        Ok(Self(Arc::new(Mutex::new(Arc::new(Node::open(path)?)))))
    }

    /// Opens it anew, for all who have it: after the device was gone, the old node stays dead.
    pub(super) fn open_anew(&self, path: &Path) -> Result<(), CameraError> {
        let node = Arc::new(Node::open(path)?);
        *self.0.lock().expect(NOT_POISONED) = node;
        Ok(())
    }

    fn node(&self) -> Arc<Node> {
        Arc::clone(&self.0.lock().expect(NOT_POISONED))
    }

    /// Gives the driver a network file to upload at the next start. The driver reads it whole, now.
    pub(super) fn set_network(&self, network: &File) -> Result<(), CameraError> {
        self.set(NETWORK_FD, network.as_raw_fd(), GIVE_NETWORK).map(drop)
    }

    /// Makes the driver forget its network; the next start is one of pictures only.
    ///
    /// The driver's own value for that works only while the sensor is in use, and says nothing where it
    /// does not. But every driver forgets what it has before it reads the next network: so it is given one
    /// that cannot be read.
    pub(super) fn drop_network(&self) -> Result<(), CameraError> {
        let doing = "take the network from the driver";
        self.set(NETWORK_FD, DROP_NETWORK, doing)?;
        let empty = in_memory(&[]);
        let empty = empty.map_err(|error| CameraError::open(Path::new("memfd"), &error))?;
        match ioctl::set_control(self.node().as_fd(), NETWORK_FD, empty.as_raw_fd()) {
            Ok(_) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.refused(doing, errno)),
        }
    }

    /// Sets the mode; gives the format of the picture pad, whose Bayer order follows the flips.
    pub(super) fn set_mode(&self, mode: Mode) -> Result<MbusFormat, CameraError> {
        let (width, height) = (u32::from(mode.width()), u32::from(mode.height()));
        let wanted = SubdevFormat {
            which: V4L2_SUBDEV_FORMAT_ACTIVE,
            pad: PICTURE_PAD,
            format: MbusFormat { width, height, field: video::V4L2_FIELD_NONE, ..MbusFormat::ZERO },
            ..SubdevFormat::ZERO
        };
        let set = ioctl::set_pad_format(self.node().as_fd(), wanted);
        let set = set.map_err(|errno| self.refused("set the sensor's mode", errno))?.format;
        if (set.width, set.height) == (width, height) {
            Ok(set)
        } else {
            Err(CameraError::Unsuitable(format!(
                "the driver has no mode {width}x{height}; it offers {}x{}: is the kernel's imx500 driver \
                 Raspberry Pi's?",
                set.width, set.height
            )))
        }
    }

    /// Format of the metadata pad. Its width is the length of the buffer in bytes, and follows the
    /// network: ask after it is set.
    pub(super) fn metadata_format(&self) -> Result<MbusFormat, CameraError> {
        let format = ioctl::pad_format(self.node().as_fd(), METADATA_PAD);
        let format =
            format.map_err(|errno| self.refused("ask for the metadata's format", errno))?;
        Ok(format.format)
    }

    /// Turns the picture; refused while the sensor streams.
    pub(super) fn set_flips(&self, flips: Flips) -> Result<(), CameraError> {
        self.set(video::V4L2_CID_HFLIP, flips.horizontal.into(), "exchange left and right")?;
        self.set(video::V4L2_CID_VFLIP, flips.vertical.into(), "exchange top and bottom")?;
        Ok(())
    }

    /// Sets what of the sensor the network sees.
    ///
    /// # Errors
    /// When the driver's control cannot express it.
    pub fn set_inference_window(&self, window: InferenceWindow) -> Result<(), CameraError> {
        let values = window_control(window)?;
        let doing = "set the inference window";
        let set = ioctl::set_control_of_four(self.node().as_fd(), INFERENCE_WINDOW, values);
        let set = set.map_err(|errno| self.refused(doing, errno))?;
        if set == values {
            return Ok(());
        }
        Err(CameraError::Unsuitable(format!(
            "the driver makes {set:?} of the inference window {values:?}: is it Raspberry Pi's?"
        )))
    }

    /// Sets the gains of the ISP that feeds the network, clamped to what the sensor takes; gives what was
    /// set.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn set_colour_gains(&self, gains: ColourGains) -> Result<ColourGains, CameraError> {
        let ColourGains { blue, green_blue, green_red, red } = gains;
        let values = [blue, green_blue, green_red, red].map(|gain| u32::from(gain.clamp(1, 0xfff)));
        let set =
            ioctl::set_control_of_four(self.node().as_fd(), video::V4L2_CID_NOTIFY_GAINS, values);
        let set = set.map_err(|errno| self.refused("set the colour gains", errno))?;
        let [blue, green_blue, green_red, red] =
            set.map(|gain| u16::try_from(gain).unwrap_or(u16::MAX));
        Ok(ColourGains { blue, green_blue, green_red, red })
    }

    /// Sets the exposure in lines, clamped to what the frame length allows; gives what was set.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn set_exposure_lines(&self, lines: u32) -> Result<u32, CameraError> {
        self.set_clamped(video::V4L2_CID_EXPOSURE, lines, "set the exposure")
    }

    /// Sets the analogue gain's code (gain = 1024 / (1024 - code)), clamped; gives what was set.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn set_analogue_gain_code(&self, code: u32) -> Result<u32, CameraError> {
        self.set_clamped(video::V4L2_CID_ANALOGUE_GAIN, code, "set the analogue gain")
    }

    /// Sets what the exposure's controller ordered; gives what the driver made of it.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn obey(&self, order: Order) -> Result<Order, CameraError> {
        match order {
            Order::Setting(Setting { lines, gain_code }) => {
                let lines = self.set_exposure_lines(lines)?;
                let gain_code = self.set_analogue_gain_code(gain_code)?;
                Ok(Order::Setting(Setting { lines, gain_code }))
            }
            Order::ColourGains(gains) => self.set_colour_gains(gains).map(Order::ColourGains),
        }
    }

    /// Lines of exposure that the sensor takes now.
    ///
    /// # Errors
    /// When the driver does not say.
    pub fn exposure_range(&self) -> Result<Range, CameraError> {
        self.range(video::V4L2_CID_EXPOSURE)?.ok_or_else(|| self.lacks("exposure"))
    }

    /// Codes of the analogue gain that the sensor takes.
    ///
    /// # Errors
    /// When the driver does not say.
    pub fn analogue_gain_range(&self) -> Result<Range, CameraError> {
        self.range(video::V4L2_CID_ANALOGUE_GAIN)?.ok_or_else(|| self.lacks("analogue gain"))
    }

    /// Sets the vertical blanking so that frames come at this rate, as near as the sensor can; gives the
    /// interval. To be set after the mode, which resets it. Without a rate the mode's highest holds.
    pub(super) fn set_frame_rate(
        &self,
        mode: Mode,
        rate: Option<f64>,
    ) -> Result<Duration, CameraError> {
        let clock = self.line_clock(mode)?;
        let range = self.range(video::V4L2_CID_VBLANK)?;
        let range = range.ok_or_else(|| self.lacks("vertical blanking"))?;
        let wanted = rate.map_or(range.minimum, |rate| clock.vblank_for(rate));
        let vblank = wanted.clamp(range.minimum, range.maximum);
        let vblank = i32::try_from(vblank).unwrap_or(i32::MAX);
        let set = self.set(video::V4L2_CID_VBLANK, vblank, "set the frame rate")?;
        Ok(clock.interval(set))
    }

    fn line_clock(&self, mode: Mode) -> Result<LineClock, CameraError> {
        let doing = "ask for the sensor's timing";
        let refused = |errno| self.refused(doing, errno);
        let node = self.node();
        let subdev = node.as_fd();
        let pixels_per_second =
            ioctl::wide_control(subdev, video::V4L2_CID_PIXEL_RATE).map_err(refused)?;
        let hblank = ioctl::control(subdev, video::V4L2_CID_HBLANK).map_err(refused)?;
        let clock = LineClock {
            pixels_per_second: u64::try_from(pixels_per_second).unwrap_or_default(),
            line_length_pixels: u64::from(mode.width()) + u64::try_from(hblank).unwrap_or_default(),
            height: u64::from(mode.height()),
        };
        if clock.pixels_per_second == 0 {
            return Err(self.lacks("pixel rate"));
        }
        Ok(clock)
    }

    /// The sensor's serial number, 32 hexadecimal digits; none before it has streamed with a network, or
    /// where the driver is too old to ask.
    ///
    /// # Errors
    /// When the driver does not say.
    pub fn device_id(&self) -> Result<Option<String>, CameraError> {
        if !self.range(DEVICE_ID)?.is_some_and(|range| range.active) {
            return Ok(None);
        }
        let words = ioctl::control_of_four(self.node().as_fd(), DEVICE_ID);
        let words = words.map_err(|errno| self.refused("ask for the sensor's id", errno))?;
        Ok(Some(words.iter().map(|word| format!("{word:08X}")).collect()))
    }

    /// Lets the next stream take input tensors from files. The driver forgets it when that stream ends.
    ///
    /// # Errors
    /// When the driver is too old for it, or refuses.
    pub fn enable_injection(&self) -> Result<(), CameraError> {
        if self.range(ENABLE_INJECTION)?.is_none() {
            return Err(CameraError::Unsuitable(
                "this kernel's imx500 driver cannot inject input tensors; update it \
                 (`sudo apt full-upgrade`)"
                    .to_owned(),
            ));
        }
        self.set(ENABLE_INJECTION, 1, "enable the injection of input tensors").map(drop)
    }

    /// Gives the network this input tensor instead of a picture: bytes as they are stored in the sensor,
    /// padding included ([`crate::formats::input_tensor::InputLayout::emit_stream`]). Gives the sensor's
    /// counter of the frame that will carry its output.
    ///
    /// # Errors
    /// When the sensor does not stream with a network and with injection enabled, or the transfer fails.
    pub fn inject(&self, tensor: &[u8]) -> Result<u8, CameraError> {
        let file =
            in_memory(tensor).map_err(|error| CameraError::open(Path::new("memfd"), &error))?;
        self.set(INPUT_TENSOR_FD, file.as_raw_fd(), "inject an input tensor")?;
        let frame = ioctl::control(self.node().as_fd(), COMPARISON_FRAME);
        let frame = frame.map_err(|e| self.refused("ask which frame will carry the output", e))?;
        u8::try_from(frame).map_err(|_| {
            CameraError::Unsuitable(format!(
                "the driver expects the output in frame {frame}; its counter has 8 bits"
            ))
        })
    }

    /// What a control accepts; none where the driver has no such control.
    fn range(&self, id: u32) -> Result<Option<Range>, CameraError> {
        match ioctl::query_control(self.node().as_fd(), id) {
            Ok(query) => Ok(Some(Range {
                minimum: query.minimum,
                maximum: query.maximum,
                default: query.default_value,
                active: query.flags & V4L2_CTRL_FLAG_INACTIVE == 0,
            })),
            Err(Errno::INVAL) => Ok(None),
            Err(errno) => Err(self.refused("ask for a control's range", errno)),
        }
    }

    fn set_clamped(&self, id: u32, value: u32, doing: &str) -> Result<u32, CameraError> {
        let value = i32::try_from(value).unwrap_or(i32::MAX);
        Ok(u32::try_from(self.set(id, value, doing)?).unwrap_or_default())
    }

    fn set(&self, id: u32, value: i32, doing: &str) -> Result<i32, CameraError> {
        let set = ioctl::set_control(self.node().as_fd(), id, value);
        set.map_err(|errno| self.refused(doing, errno))
    }

    fn refused(&self, doing: &str, errno: Errno) -> CameraError {
        CameraError::of(doing, &self.node().path, errno)
    }

    fn lacks(&self, control: &str) -> CameraError {
        CameraError::Unsuitable(format!(
            "the sensor behind {} has no control of its {control}; is the kernel's imx500 driver \
             Raspberry Pi's?",
            self.node().path.display()
        ))
    }
}

/// A file of these bytes that exists in memory only, open for reading: the kernel reads no file that
/// anybody could still write to (ETXTBSY).
fn in_memory(bytes: &[u8]) -> std::io::Result<File> {
    let mut writing = File::from(memfd_create("tensor", MemfdFlags::CLOEXEC)?);
    writing.write_all(bytes)?;
    File::open(format!("/proc/self/fd/{}", writing.as_raw_fd()))
}

/// What ticks: pixels, and lines of them.
#[derive(Debug, Clone, Copy)]
struct LineClock {
    pixels_per_second: u64,
    line_length_pixels: u64,
    height: u64,
}

impl LineClock {
    /// Blanked lines that make frames come at this rate.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates, and the range clamps"
    )]
    fn vblank_for(self, rate: f64) -> i64 {
        let lines = self.pixels_per_second as f64 / self.line_length_pixels as f64 / rate;
        (lines.round() - self.height as f64) as i64
    }

    fn interval(self, vblank: i32) -> Duration {
        let lines = self.height + u64::try_from(vblank).unwrap_or_default();
        let nanos = u128::from(lines * self.line_length_pixels) * 1_000_000_000
            / u128::from(self.pixels_per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The four numbers of the driver's control. Its maximum is 4032, to which the kernel would silently cut
/// the sensor's 4056 columns: the whole sensor is written as zeros instead, and what lies between is
/// refused.
fn window_control(window: InferenceWindow) -> Result<[u32; 4], CameraError> {
    let InferenceWindow { left, top, width, height } = window;
    let whole = width == 0 || height == 0 || (width, height) == SENSOR_SIZE;
    if whole {
        return Ok([0; 4]);
    }
    let right = u64::from(left) + u64::from(width);
    let bottom = u64::from(top) + u64::from(height);
    let (sensor_width, sensor_height) = SENSOR_SIZE;
    if right > u64::from(sensor_width) || bottom > u64::from(sensor_height) {
        return Err(CameraError::Unsuitable(format!(
            "inference window {left},{top},{width},{height} ends at ({right}, {bottom}); the sensor has \
             {sensor_width}x{sensor_height} pixels: make it smaller"
        )));
    }
    if left > MOST_COLUMNS || width > MOST_COLUMNS {
        return Err(CameraError::Unsuitable(format!(
            "inference window {left},{top},{width},{height}: the driver takes numbers of at most \
             {MOST_COLUMNS}, or the whole sensor (0,0,0,0)"
        )));
    }
    Ok([left, top, width, height])
}

const SENSOR_SIZE: (u32, u32) = (SENSOR_WIDTH, SENSOR_HEIGHT);

/// The driver's own controls (`V4L2_CID_USER_IMX500_BASE` and following). The last four came with
/// later drivers.
const INFERENCE_WINDOW: u32 = 0x0098_2900;
const NETWORK_FD: u32 = 0x0098_2901;
const DEVICE_ID: u32 = 0x0098_2902;
const ENABLE_INJECTION: u32 = 0x0098_2903;
const INPUT_TENSOR_FD: u32 = 0x0098_2904;
const COMPARISON_FRAME: u32 = 0x0098_2905;

/// The value of the network's control that drops the network.
const DROP_NETWORK: i32 = i32::MAX;

const NOT_POISONED: &str = "no code panics while it holds this lock";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::inference_window::WindowChoice;

    fn window(left: u32, top: u32, width: u32, height: u32) -> InferenceWindow {
        InferenceWindow { left, top, width, height }
    }

    #[test]
    fn whole_sensor_is_written_as_zeros_since_the_control_ends_before_it() {
        for whole in [window(0, 0, 0, 0), window(7, 7, 0, 100), window(0, 0, 4056, 3040)] {
            assert_eq!(window_control(whole), Ok([0; 4]));
        }
        assert_eq!(window_control(window(508, 0, 3040, 3040)), Ok([508, 0, 3040, 3040]));
        assert_eq!(window_control(window(24, 0, 4032, 3040)), Ok([24, 0, 4032, 3040]));
        for (width, height) in [(320, 320), (320, 240), (640, 360), (8, 900), (900, 8)] {
            let filled = WindowChoice::Fill.for_input(width, height).unwrap();
            assert!(window_control(filled).is_ok(), "{filled:?}");
        }
    }

    #[test]
    fn windows_that_the_control_cannot_express_are_refused() {
        let said = |w| window_control(w).unwrap_err().to_string();
        assert!(said(window(0, 0, 4040, 3040)).contains("numbers of at most 4032"));
        assert!(said(window(4040, 0, 16, 100)).contains("numbers of at most 4032"));
        assert!(said(window(2000, 0, 2057, 3040)).contains("ends at (4057, 3040)"));
        assert!(said(window(u32::MAX, 0, 2, 2)).contains("ends at (4294967297, 2)"));
    }

    /// 744e6 / (9398 * (1520 + 1117)) = 30.02 and 744e6 / (17900 * (3040 + 1117)) = 9.998 a second.
    #[test]
    fn frame_rate_is_vertical_blanking() {
        let binned =
            LineClock { pixels_per_second: 744_000_000, line_length_pixels: 9398, height: 1520 };
        assert_eq!(binned.interval(1117), Duration::from_nanos(33_309_846));
        // 744e6 / 9398 / 25 = 3166.6 lines a frame
        assert_eq!(binned.vblank_for(25.0), 3167 - 1520);
        let full =
            LineClock { pixels_per_second: 744_000_000, line_length_pixels: 17_900, height: 3040 };
        assert_eq!(full.interval(1117), Duration::from_nanos(100_013_844));
        assert!(full.vblank_for(1000.0) < 0, "faster than the mode: the range clamps it");
        assert_eq!(full.vblank_for(0.0), i64::MAX);
    }

    #[test]
    fn tensor_in_memory_is_read_from_its_start_and_written_by_nobody() {
        use std::io::Read;
        let mut file = in_memory(b"planes").unwrap();
        let mut read = String::new();
        file.read_to_string(&mut read).unwrap();
        assert_eq!(read, "planes");
        assert!(file.write_all(b"x").is_err());
    }

    #[test]
    fn sensor_that_is_no_device_is_refused_by_errno() {
        let sensor = Sensor::open(Path::new("/dev/null")).unwrap();
        let error = sensor.set_mode(Mode::Binned).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot set the sensor's mode (/dev/null)"),
            "{error}"
        );
        let missing = Sensor::open(Path::new("/dev/no-such-subdev")).unwrap_err();
        assert!(missing.to_string().contains("has udev run"), "{missing}");
    }
}
