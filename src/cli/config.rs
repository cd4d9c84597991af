//! The typed configuration. Each field's comment is its manual; `config.toml` in the repository lists
//! every key at its default, and a test keeps the two together.

pub(crate) mod command;
mod file;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use qsegment::formats::embedded::LinePacking;
use qsegment::outputs::OutputError;
use qsegment::outputs::hdmi::compose::Orientation;
use qsegment::outputs::hdmi::{self, WantedCard, WantedMode};
use qsegment::outputs::overlay::{Layer, Opacity, Scale, Style};
use qsegment::outputs::web;
use qsegment::pipeline::ShownPicture;
use qsegment::source::imx500::Flips;
use qsegment::source::imx500::picture::{Darkroom, Development};
use qsegment::source::simulated::faults::{FaultPlan, FaultPlanError};
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::simulated::{scene, timing};
use serde::{Deserialize, Serialize};

/// Where a system-wide configuration lies.
const SYSTEM_PATH: &str = "/etc/qsegment/config.toml";

/// The network or picture that the binary carries.
pub(crate) const BUILT_IN: &str = "built-in";

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) source: Source,
    pub(crate) camera: Camera,
    pub(crate) network: Network,
    pub(crate) pipeline: Pipeline,
    pub(crate) overlay: Overlay,
    pub(crate) web: Web,
    pub(crate) hdmi: Hdmi,
}

/// Where frames come from. Mode and inference window hold for the camera and the simulated sensor, all
/// other keys for the simulated sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Source {
    /// The AI Camera, the simulated sensor, or whichever is there. Default `"auto"`.
    pub(crate) kind: Kind,
    /// What it looks at. Default `"built-in"`.
    pub(crate) scene: SceneName,
    /// Seed of everything random: noise, phantom, faults. Default 1.
    pub(crate) seed: u64,
    /// Whether frames come in real time or as fast as the CPU can. Default `"real"`.
    pub(crate) pace: Pace,
    /// Whether a tensor comes as late as the real network would take. Default `"on"`.
    pub(crate) timing: Switch,
    /// How the receiver packs embedded lines. Default `"pi5"`.
    pub(crate) packing: Packing,
    /// Sensor mode. Default `"2028x1520"`, 30 frames a second.
    pub(crate) mode: Mode,
    /// The crop of the sensor that feeds the network: left, top, width, height in pixels of the full
    /// 4056 x 3040 sensor. A width or height of 0 is the whole sensor, the default.
    pub(crate) inference_window: [u32; 4],
    /// Whether the scene drifts. Default `"drift"`.
    pub(crate) motion: Motion,
    /// Faults to inject. Default none.
    pub(crate) faults: Vec<Fault>,
}

/// The AI Camera.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Camera {
    /// Which, by its I2C name such as `"10-001a"`. Default `""`, the only one there is.
    pub(crate) id: String,
    /// The network that it uploads into the sensor, a file that `qsegment pack` made. Default `""`, none.
    pub(crate) network: PathBuf,
    /// Frames a second. Default 0.0, the most that the mode can.
    pub(crate) frame_rate: FrameRate,
    /// How the picture is turned. Default `"none"`.
    pub(crate) flip: Flip,
    /// What is shown of a frame. Default `"input-tensor"`, what the network saw.
    pub(crate) picture: Picture,
}

/// The network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// An MCTQ ONNX file. Default `"built-in"`.
    pub(crate) file: NetworkFile,
}

/// From tensors to masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pipeline {
    /// The mask is where the vessel probability is at least this, 0.0 to 1.0. Default 0.5.
    pub(crate) threshold: Fraction,
    /// A mask whose picture is older than this is stale and not drawn as live. Default 500.
    pub(crate) stale_after_ms: NonZeroU32,
    /// A gap between two frames longer than this is a stall. Default 1000.
    pub(crate) stall_after_ms: NonZeroU32,
    /// Who runs the network. Default `"auto"`, the sensor where it can.
    pub(crate) inference: Inference,
}

/// How the result is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Overlay {
    /// How vessels are drawn: `"heat"`, `"outline"` or `"off"`. Default `"heat"`.
    pub(crate) style: Layer,
    /// Whether the vessels' centrelines are drawn too. Default false.
    pub(crate) skeleton: bool,
    /// How strongly the result covers the picture, 0.0 (not at all) to 1.0. Default 0.7.
    pub(crate) opacity: Opacity,
}

/// The page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Web {
    /// Address and port of the page, or `"off"`. Default `"127.0.0.1:8500"`.
    pub(crate) listen: Listen,
}

/// A screen at the machine itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Hdmi {
    /// `"off"`; `"auto"`, the card with a screen, and the run goes on without one where there is none; or a card
    /// such as `"/dev/dri/card1"`, which must be there. Default `"off"`: a screen belongs to whoever works at it.
    pub(crate) output: DisplayOutput,
    /// WIDTHxHEIGHT or WIDTHxHEIGHT@HZ. Default `""`, what the screen prefers.
    pub(crate) mode: DisplayMode,
    /// How the screen hangs: 0, or 180 for upside down. Default 0.
    pub(crate) rotation: Rotation,
    /// Whether the picture is shown as in a mirror; the screen then says MIRRORED. Default false.
    pub(crate) mirror: bool,
    /// Whether figures stand beside the picture. Default true.
    pub(crate) text: bool,
}

impl Default for Hdmi {
    fn default() -> Self {
        Self {
            output: DisplayOutput::Off,
            mode: DisplayMode(None),
            rotation: Rotation::Upright,
            mirror: false,
            text: true,
        }
    }
}

impl Hdmi {
    /// How to show; none where nothing shall be shown.
    pub(crate) fn options(&self, style: Style) -> Option<hdmi::Options> {
        Some(hdmi::Options {
            card: match &self.output {
                DisplayOutput::Off => return None,
                DisplayOutput::Auto => WantedCard::Any,
                DisplayOutput::Card(path) => WantedCard::At(path.clone()),
            },
            mode: self.mode.0,
            orientation: Orientation {
                turned: self.rotation == Rotation::UpsideDown,
                mirrored: self.mirror,
            },
            words: self.text,
            style,
        })
    }
}

/// Where to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum DisplayOutput {
    Off,
    Auto,
    Card(PathBuf),
}

/// In which mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct DisplayMode(Option<WantedMode>);

/// How the screen hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(crate) enum Rotation {
    Upright,
    UpsideDown,
}

impl FromStr for DisplayOutput {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            path if path.starts_with('/') => Ok(Self::Card(path.into())),
            _ => Err(format!(
                "`{text}` is no display; write auto, off, or a card such as /dev/dri/card1"
            )),
        }
    }
}

impl TryFrom<String> for DisplayOutput {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DisplayOutput> for String {
    fn from(output: DisplayOutput) -> Self {
        match output {
            DisplayOutput::Off => "off".into(),
            DisplayOutput::Auto => "auto".into(),
            DisplayOutput::Card(path) => path.display().to_string(),
        }
    }
}

impl TryFrom<String> for DisplayMode {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|mode| Self(Some(mode))) }
    }
}

impl From<DisplayMode> for String {
    fn from(mode: DisplayMode) -> Self {
        mode.0.map_or_else(Self::new, |mode| mode.to_string())
    }
}

impl TryFrom<u32> for Rotation {
    type Error = String;
    fn try_from(degrees: u32) -> Result<Self, String> {
        match degrees {
            0 => Ok(Self::Upright),
            180 => Ok(Self::UpsideDown),
            _ => Err(format!("{degrees} is no rotation of a screen; write 0 or 180")),
        }
    }
}

impl From<Rotation> for u32 {
    fn from(rotation: Rotation) -> Self {
        match rotation {
            Rotation::Upright => 0,
            Rotation::UpsideDown => 180,
        }
    }
}

impl Default for Source {
    fn default() -> Self {
        Self {
            kind: Kind::Auto,
            scene: SceneName(BUILT_IN.to_owned()),
            seed: 1,
            pace: Pace::Real,
            timing: Switch::On,
            packing: Packing::Pi5,
            mode: Mode::Binned,
            inference_window: [0; 4],
            motion: Motion::Drift,
            faults: Vec::new(),
        }
    }
}

impl Default for Pipeline {
    fn default() -> Self {
        let ms = |ms| NonZeroU32::new(ms).expect("the defaults are not zero");
        Self {
            threshold: Fraction(0.5),
            stale_after_ms: ms(500),
            stall_after_ms: ms(1000),
            inference: Inference::Auto,
        }
    }
}

impl Default for Overlay {
    fn default() -> Self {
        let Style { layer, skeleton, opacity, .. } = Style::default();
        Self { style: layer, skeleton, opacity }
    }
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: Listen::At(SocketAddr::from(([127, 0, 0, 1], 8500))) }
    }
}

impl Config {
    /// Reads the file, or the one of the system; without either, the defaults hold.
    pub(crate) fn load(chosen: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = chosen.map(Path::to_owned).or_else(default_path) else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        file::parse(&text, &path)
    }
    /// Refuses what each value allows but the whole does not.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.source.inference_window().resolve().context("source.inference_window")?;
        self.web.listen.check().context("web.listen")
    }
}

fn default_path() -> Option<PathBuf> {
    Some(PathBuf::from(SYSTEM_PATH)).filter(|path| path.exists())
}

impl Pipeline {
    /// The least probability byte (255 is 1.0) that is a vessel.
    pub(crate) fn threshold_byte(&self) -> u8 {
        self.threshold.to_byte()
    }
    pub(crate) fn stale_after(&self) -> Duration {
        Duration::from_millis(self.stale_after_ms.get().into())
    }
    pub(crate) fn stall_after(&self) -> Duration {
        Duration::from_millis(self.stall_after_ms.get().into())
    }
}

impl Camera {
    /// Which camera is asked for, if any.
    pub(crate) fn id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| !id.is_empty())
    }
}

impl Source {
    /// Develops raw pictures of what the network sees.
    pub(crate) fn darkroom(&self) -> Darkroom {
        Darkroom::new(self.inference_window(), Development::default())
    }
}

impl Overlay {
    pub(crate) fn style(&self, scale: Scale) -> Style {
        Style { layer: self.style, skeleton: self.skeleton, opacity: self.opacity, scale }
    }
}

/// Which source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The camera if one is there, else the simulated sensor
    Auto,
    /// The AI Camera
    Imx500,
    /// The simulated sensor
    Simulated,
}

/// How the picture is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flip {
    #[default]
    None,
    Horizontal,
    Vertical,
    Both,
}

impl From<Flip> for Flips {
    fn from(flip: Flip) -> Self {
        Self {
            horizontal: matches!(flip, Flip::Horizontal | Flip::Both),
            vertical: matches!(flip, Flip::Vertical | Flip::Both),
        }
    }
}

/// Who runs the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Inference {
    /// The sensor; where it cannot, the host
    Auto,
    /// The sensor, or it is an error
    Sensor,
    /// This machine: the ONNX network of `network.file`, on input tensors or pictures
    Host,
}

/// What is shown of a camera's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Picture {
    /// What the network saw
    #[default]
    InputTensor,
    /// The raw picture of the same frame, at half the mode's width and height
    Bayer,
}

impl From<Picture> for ShownPicture {
    fn from(picture: Picture) -> Self {
        match picture {
            Picture::InputTensor => Self::InputTensor,
            Picture::Bayer => Self::Raw,
        }
    }
}

/// Frames a second; 0 is the most that the mode can.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub(crate) struct FrameRate(f64);

impl FrameRate {
    pub(crate) fn given(self) -> Option<f64> {
        Some(self.0).filter(|rate| *rate > 0.0)
    }
}

impl TryFrom<f64> for FrameRate {
    type Error = String;
    fn try_from(rate: f64) -> Result<Self, String> {
        if (0.0..=1000.0).contains(&rate) {
            Ok(Self(rate))
        } else {
            Err(format!("{rate} is no frame rate; 0.0 is the most that the mode can"))
        }
    }
}

impl From<FrameRate> for f64 {
    fn from(rate: FrameRate) -> Self {
        rate.0
    }
}

/// What the simulated sensor looks at: `built-in`, `phantom`, or a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SceneName(pub(crate) String);

/// A fault and the frames at which it falls due, such as `dropped-tensor:60-120:every=10`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Fault(pub(crate) FaultPlan);

/// Which network runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) enum NetworkFile {
    /// The one in the binary.
    #[default]
    BuiltIn,
    /// An MCTQ ONNX file.
    Path(PathBuf),
}

/// Where the page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Listen {
    Off,
    At(SocketAddr),
}

impl Listen {
    /// What can be refused without taking the port.
    pub(crate) fn check(self) -> Result<(), OutputError> {
        match self {
            Self::Off => Ok(()),
            Self::At(address) => web::Web::check(address),
        }
    }
}

/// A number from 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub(crate) struct Fraction(f64);

/// Whether frames come in real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pace {
    /// One frame every 1/30 s, as the sensor sends them
    Real,
    /// As fast as the CPU can, on a virtual clock, losing nothing
    Max,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Switch {
    On,
    Off,
}

/// How the receiver packs embedded lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Packing {
    /// Raspberry Pi 5 (rp1-cfe): lines back to back
    Pi5,
    /// Raspberry Pi 4 and older (unicam): lines rounded up to 16 bytes
    Pi4,
}

/// Sensor mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Mode {
    /// 2 x 2 binned, 30 frames a second
    #[serde(rename = "2028x1520")]
    #[value(name = "2028x1520")]
    Binned,
    /// Every pixel, 10 frames a second
    #[serde(rename = "4056x3040")]
    #[value(name = "4056x3040")]
    Full,
}

/// Whether the scene drifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Motion {
    Drift,
    Still,
}

impl Pace {
    /// As in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Max => "max",
        }
    }
}

impl From<Packing> for LinePacking {
    fn from(packing: Packing) -> Self {
        match packing {
            Packing::Pi5 => Self::Pi5,
            Packing::Pi4 => Self::Pi4,
        }
    }
}

impl From<Mode> for timing::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Binned => Self::Binned,
            Mode::Full => Self::Full,
        }
    }
}

impl From<Motion> for scene::Motion {
    fn from(motion: Motion) -> Self {
        match motion {
            Motion::Drift => Self::Drift,
            Motion::Still => Self::Still,
        }
    }
}

impl Source {
    pub(crate) fn scene(&self) -> scene::Scene {
        match self.scene.0.parse() {
            Ok(scene) => scene,
        }
    }
    pub(crate) fn inference_window(&self) -> InferenceWindow {
        let [left, top, width, height] = self.inference_window;
        InferenceWindow { left, top, width, height }
    }
}

impl From<String> for NetworkFile {
    fn from(text: String) -> Self {
        if text == BUILT_IN { Self::BuiltIn } else { Self::Path(text.into()) }
    }
}

impl From<NetworkFile> for String {
    fn from(file: NetworkFile) -> Self {
        match file {
            NetworkFile::BuiltIn => BUILT_IN.to_owned(),
            NetworkFile::Path(path) => path.display().to_string(),
        }
    }
}

impl TryFrom<String> for Fault {
    type Error = FaultPlanError;
    fn try_from(text: String) -> Result<Self, FaultPlanError> {
        text.parse().map(Self)
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.0.to_string()
    }
}

impl FromStr for Listen {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!("`{text}` is no address with a port; write 127.0.0.1:8500, [::1]:8500 or off")
        })
    }
}

impl TryFrom<String> for Listen {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        match listen {
            Listen::Off => "off".into(),
            Listen::At(address) => address.to_string(),
        }
    }
}

impl Fraction {
    pub(crate) fn get(self) -> f64 {
        self.0
    }
    /// The least byte, 255 being 1.0, that is at least this fraction.
    pub(crate) fn to_byte(self) -> u8 {
        let least = (self.0 * 255.0).ceil();
        (0..=u8::MAX).find(|&byte| f64::from(byte) >= least).unwrap_or(u8::MAX)
    }
}

impl TryFrom<f64> for Fraction {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not between 0.0 and 1.0"))
        }
    }
}

impl FromStr for Fraction {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<f64>().map_err(|_| format!("`{text}` is no number"))?.try_into()
    }
}

impl From<Fraction> for f64 {
    fn from(fraction: Fraction) -> Self {
        fraction.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPOSITORY_FILE: &str = include_str!("../../config.toml");

    #[test]
    fn the_file_in_the_repository_holds_every_key_at_its_default() {
        let parsed = file::parse(REPOSITORY_FILE, Path::new("config.toml")).unwrap();
        assert_eq!(parsed, Config::default());
        let table: toml::Table = REPOSITORY_FILE.parse().unwrap();
        for key in file::known_keys() {
            let mut path = key.split('.');
            let section = table.get(path.next().unwrap()).unwrap_or_else(|| panic!("no {key}"));
            if let Some(name) = path.next() {
                assert!(section.get(name).is_some(), "config.toml lacks {key}");
            }
        }
    }

    #[test]
    fn every_key_in_the_repository_file_has_a_comment_above_it() {
        let lines: Vec<&str> = REPOSITORY_FILE.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
            if !pair[1].starts_with('#') {
                assert!(pair[0].starts_with('#'), "no comment above {}", pair[1]);
            }
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let shown = toml::to_string_pretty(&Config::default()).unwrap();
        assert_eq!(file::parse(&shown, Path::new("shown")).unwrap(), Config::default());
    }

    #[test]
    fn refuses_addresses_that_others_can_reach() {
        for (address, fine) in [
            ("127.0.0.1:80", true),
            ("[::1]:80", true),
            ("0.0.0.0:80", false),
            ("10.0.0.2:80", false),
        ] {
            let config =
                Config { web: Web { listen: address.parse().unwrap() }, ..Config::default() };
            assert_eq!(config.check().is_ok(), fine, "{address}");
        }
    }

    #[test]
    fn a_threshold_is_the_least_byte_that_reaches_it() {
        for (fraction, byte) in [(0.0, 0), (0.5, 128), (1.0, 255), (128.0 / 255.0, 128)] {
            assert_eq!(Fraction(fraction).to_byte(), byte, "{fraction}");
        }
    }
}
