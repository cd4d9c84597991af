//! `[hdmi]`: a screen at the machine itself.

use std::path::PathBuf;
use std::str::FromStr;

use qsegment::outputs::hdmi::compose::Orientation;
use qsegment::outputs::hdmi::{self, WantedCard, WantedMode};
use qsegment::outputs::overlay::Style;
use serde::{Deserialize, Serialize};

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
