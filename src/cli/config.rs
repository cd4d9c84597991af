//! The typed configuration. Each field's comment is its manual; `config.toml` in the repository lists
//! every key at its default, and a test keeps the two together.

pub(crate) mod command;
mod environment;
mod exposure;
mod file;
mod hdmi;
mod measure;
mod mqtt;
mod power;
mod record;
mod recovery;
mod secret;
mod socket;
mod web;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use qsegment::formats::embedded::LinePacking;
use qsegment::outputs::overlay::{Layer, Opacity, Scale, Style};
use qsegment::pipeline::ShownPicture;
use qsegment::source::SourceError;
use qsegment::source::imx500::Flips;
use qsegment::source::inference_window::WindowChoice;
use qsegment::source::simulated::faults::{FaultPlan, FaultPlanError};
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::simulated::{scene, timing};
use serde::{Deserialize, Serialize};

use super::builtin::BuiltIn;

pub(crate) use exposure::{Exposure, WhiteBalance};
pub(crate) use hdmi::{DisplayOutput, Hdmi};
pub(crate) use measure::Measure;
pub(crate) use mqtt::{BrokerUrl, Mqtt};
pub(crate) use power::{Instruments, Power};
pub(crate) use record::Record;
pub(crate) use recovery::Recovery;
pub(crate) use socket::Socket;
pub(crate) use web::Web;

/// Where a system-wide configuration lies.
pub(crate) const SYSTEM_PATH: &str = "/etc/qsegment/config.toml";

/// Where a packed network lies that need not be named.
pub(crate) const SYSTEM_NETWORK: &str = "/etc/qsegment/network.rpk";

/// The network or picture that the binary carries.
pub(crate) const BUILT_IN: &str = "built-in";

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) source: Source,
    pub(crate) camera: Camera,
    pub(crate) exposure: Exposure,
    pub(crate) white_balance: WhiteBalance,
    pub(crate) network: Network,
    pub(crate) pipeline: Pipeline,
    pub(crate) overlay: Overlay,
    pub(crate) web: Web,
    pub(crate) power: Power,
    pub(crate) hdmi: Hdmi,
    pub(crate) record: Record,
    pub(crate) recovery: Recovery,
    pub(crate) socket: Socket,
    pub(crate) measure: Measure,
    pub(crate) mqtt: Mqtt,
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
    /// 4056 x 3040 sensor, where a width or height of 0 is the whole sensor, the default. Or a word:
    /// `"stretch"`, the whole sensor squeezed into the network's input; `"fill"`, the largest window in
    /// the middle that has the input's aspect, so that nothing is distorted; `"fit"`, the whole sensor for
    /// networks of its aspect, others being refused.
    pub(crate) inference_window: Window,
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
    /// The network that it uploads into the sensor, a file that `qsegment pack` made. Default `""`, the
    /// system's `/etc/qsegment/network.rpk` where there is one, else none.
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
    /// `"accurate"` or `"fast"`, which are in the program, or an MCTQ ONNX file. Default `"accurate"`.
    pub(crate) file: NetworkFile,
    /// How many threads share a frame where this machine runs it, 1 to 255. Default 1.
    pub(crate) threads: Threads,
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
            inference_window: Window::default(),
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

impl Config {
    /// The file, or the one of the system, or without either the defaults; over them what the environment sets.
    pub(crate) fn load(chosen: Option<&Path>) -> anyhow::Result<Self> {
        // What is not text is none of ours.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Ok(environment::over(Self::of_file(chosen)?, variables)?
            .with_system_network(Path::new("/")))
    }
    /// With the packed network of the machine whose files lie under `root`, where none is named and it has one.
    pub(crate) fn with_system_network(mut self, root: &Path) -> Self {
        let network = root.join(SYSTEM_NETWORK.trim_start_matches('/'));
        if self.camera.network.as_os_str().is_empty() && network.exists() {
            self.camera.network = SYSTEM_NETWORK.into();
        }
        self
    }
    /// The file, or the one of the system; without either, the defaults.
    pub(crate) fn of_file(chosen: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = chosen.map(Path::to_owned).or_else(default_path) else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        file::parse(&text, &path)
    }
    /// As a document for other machines: what tells them which file holds a secret, or who we are at the broker, is
    /// only said to be there.
    pub(crate) fn without_secrets(&self) -> serde_json::Value {
        let mut document = serde_json::to_value(self).expect("every value of it is JSON, too");
        for (section, key) in [
            ("web", "token_file"),
            ("mqtt", "user"),
            ("mqtt", "password_file"),
            ("mqtt", "client_key"),
        ] {
            let value = &mut document[section][key];
            if value != "" {
                *value = NOT_SHOWN.into();
            }
        }
        document
    }
    /// Refuses what each value allows but the whole does not.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.source.inference_window.0.check().context("source.inference_window")?;
        self.record.check()?;
        self.measure.check()?;
        self.mqtt.check()?;
        self.recovery.check()?;
        self.socket.check()?;
        self.web.check()
    }
}

const NOT_SHOWN: &str = "(not shown)";

fn default_path() -> Option<PathBuf> {
    system_file(Path::new("/"))
}

/// The system-wide configuration of the machine whose files lie under `root`, if it has one.
pub(crate) fn system_file(root: &Path) -> Option<PathBuf> {
    Some(root.join(SYSTEM_PATH.trim_start_matches('/'))).filter(|path| path.exists())
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

/// How many threads run a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Threads(NonZeroU8);

impl Threads {
    pub(crate) fn get(self) -> usize {
        usize::from(self.0.get())
    }
}

impl Default for Threads {
    fn default() -> Self {
        Self(NonZeroU8::MIN)
    }
}

impl FromStr for Threads {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "want 1 to 255".to_owned())
    }
}

/// Which network runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) enum NetworkFile {
    /// One in the binary.
    BuiltIn(BuiltIn),
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

impl Mode {
    /// As in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Binned => "2028x1520",
            Self::Full => "4056x3040",
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
}

/// Four numbers, or a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "WindowText", into = "WindowText")]
pub(crate) struct Window(pub(crate) WindowChoice);

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "give [left, top, width, height] or \"stretch\", \"fill\" or \"fit\""
)]
enum WindowText {
    Pixels([u32; 4]),
    Word(String),
}

impl TryFrom<WindowText> for Window {
    type Error = SourceError;
    fn try_from(text: WindowText) -> Result<Self, SourceError> {
        match text {
            WindowText::Pixels([left, top, width, height]) => {
                Ok(Self(WindowChoice::Pixels(InferenceWindow { left, top, width, height })))
            }
            WindowText::Word(word) => word.parse().map(Self),
        }
    }
}

impl From<Window> for WindowText {
    fn from(window: Window) -> Self {
        match window.0 {
            WindowChoice::Pixels(InferenceWindow { left, top, width, height }) => {
                Self::Pixels([left, top, width, height])
            }
            word => Self::Word(word.to_string()),
        }
    }
}

impl Default for NetworkFile {
    fn default() -> Self {
        Self::BuiltIn(BuiltIn::default())
    }
}

impl From<OsString> for NetworkFile {
    fn from(text: OsString) -> Self {
        let named = BuiltIn::ALL.into_iter().find(|network| text == network.name());
        // What configurations called the only network there was.
        let named = named.or_else(|| (text == BUILT_IN).then(BuiltIn::default));
        named.map_or_else(|| Self::Path(text.into()), Self::BuiltIn)
    }
}

impl From<String> for NetworkFile {
    fn from(text: String) -> Self {
        OsString::from(text).into()
    }
}

impl From<NetworkFile> for String {
    fn from(file: NetworkFile) -> Self {
        match file {
            NetworkFile::BuiltIn(network) => network.name().to_owned(),
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
    use qsegment::source::imx500::exposure;

    const REPOSITORY_FILE: &str = include_str!("../../config.toml");

    #[test]
    fn what_is_served_names_no_file_with_a_secret() {
        let text = "[web]\ntoken_file = \"/a/secret\"\nhost_names = [\"pi.local\"]\n[mqtt]\nuser = \"a secret\"\n\
                    password_file = \"/b/secret\"\nclient_certificate = \"/c.pem\"\nclient_key = \"/d/secret\"\n";
        let config: Config = toml::from_str(text).unwrap();
        let served = config.without_secrets();
        assert!(!served.to_string().contains("secret"), "{served}");
        assert_eq!(served["web"]["host_names"][0], "pi.local");
        assert_eq!(served["mqtt"]["client_certificate"], "/c.pem");
        // Every key that could name one is known here, and what is not set is not hidden.
        let whole = Config::default().without_secrets();
        let suspects = ["secret", "token", "password", "key", "user"];
        for (section, keys) in whole.as_object().unwrap() {
            for (key, value) in keys.as_object().unwrap() {
                let suspect = suspects.iter().any(|word| key.split('_').any(|part| part == *word));
                if suspect {
                    let mut given = toml::Table::try_from(Config::default()).unwrap();
                    given[section][key] = "given".into();
                    let given: Config = given.try_into().unwrap();
                    assert_eq!(given.without_secrets()[section][key], NOT_SHOWN, "{section}.{key}");
                    assert_eq!(value, "", "{section}.{key}");
                }
            }
        }
    }

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
    fn inference_window_is_four_numbers_or_a_word() {
        let parse = |value: &str| {
            let text = format!("[source]\ninference_window = {value}\n");
            file::parse(&text, Path::new("my.toml")).map(|config| config.source.inference_window.0)
        };
        assert_eq!(parse("\"fill\"").unwrap(), WindowChoice::Fill);
        let window = InferenceWindow { left: 508, top: 0, width: 3040, height: 3040 };
        assert_eq!(parse("[508, 0, 3040, 3040]").unwrap(), WindowChoice::Pixels(window));
        let said = |value| format!("{:#}", parse(value).unwrap_err());
        assert!(
            said("\"full\"").contains("line 2: inference window \"full\": give stretch, fill, fit")
        );
        assert!(said("[1, 2, 3]").contains("line 2: give [left, top, width, height] or"));
        let config = Config {
            source: Source { inference_window: Window(WindowChoice::Fill), ..Source::default() },
            ..Config::default()
        };
        let shown = toml::to_string_pretty(&config).unwrap();
        assert_eq!(file::parse(&shown, Path::new("shown")).unwrap(), config);
    }

    #[test]
    fn exposure_and_white_balance_are_what_the_keys_say() {
        let parse = |text: &str| file::parse(text, Path::new("my.toml"));
        let defaults = Config::default().exposure();
        assert_eq!(defaults, exposure::Options::default(), "one default, written twice");
        let fixed = "[exposure]\nmode = \"fixed\"\ntime_us = 5000\ngain = 2.0\nmax_time_us = 8000\n\
                     [white_balance]\nmode = \"fixed\"\nred_gain = 1.8\nblue_gain = 2.1\n";
        let options = parse(fixed).unwrap().exposure();
        assert_eq!(options.mode, exposure::ExposureMode::Fixed { time_us: 5000.0, gain: 2.0 });
        assert_eq!(options.max_time_us, Some(8000.0));
        let white_balance = exposure::WhiteBalanceMode::Fixed { red: 1.8, blue: 2.1 };
        assert_eq!(options.white_balance, white_balance);
        for (text, said) in [
            ("[exposure]\ngain = 0.5\n", "my.toml line 2: 0.5 is not between 1 and 22"),
            ("[exposure]\nbrightness = 1.0\n", "my.toml line 2: 1 is not between 0.05 and 0.9"),
            ("[white_balance]\nred_gain = 0.0\n", "my.toml line 2: 0 is not between 0.01 and 15.9"),
        ] {
            assert_eq!(format!("{:#}", parse(text).unwrap_err()), said);
        }
    }

    #[test]
    fn a_threshold_is_the_least_byte_that_reaches_it() {
        for (fraction, byte) in [(0.0, 0), (0.5, 128), (1.0, 255), (128.0 / 255.0, 128)] {
            assert_eq!(Fraction(fraction).to_byte(), byte, "{fraction}");
        }
    }
}
