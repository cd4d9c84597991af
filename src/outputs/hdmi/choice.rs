//! Which card, which connector, which mode: decided on what the cards say of themselves, so that it can be
//! tested on what real machines have said.
//!
//! ```text
//!   Raspberry Pi 5   card0  v3d   renders, no connector          numbers change from boot to boot
//!                    card1  vc4   HDMI-A-1, HDMI-A-2             <- chosen by what it can
//!                    card2  drm-rp1-dsi   DSI-1
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::DisplayError;

/// What a card says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardFacts {
    /// `/dev/dri/card0`.
    pub path: PathBuf,
    /// Name of its driver.
    pub driver: String,
    /// Whether it takes everything of a picture in one commit.
    pub atomic: bool,
    /// Whether it gives memory that the CPU can draw into.
    pub buffers: bool,
    /// Its connectors, in its own order.
    pub connectors: Vec<ConnectorFacts>,
}

/// What a card says of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorFacts {
    /// `HDMI-A-1`, as under `/sys/class/drm`.
    pub name: String,
    /// Whether a screen is there.
    pub connected: bool,
    /// What the screen can.
    pub modes: Vec<ModeFacts>,
}

/// A mode of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeFacts {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Pictures a second, rounded.
    pub hz: u32,
    /// Whether the screen prefers it.
    pub preferred: bool,
    /// Whether it sends every other row: a flip then shows half of each picture.
    pub interlaced: bool,
}

impl fmt::Display for ModeFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}@{}", self.width, self.height, self.hz)
    }
}

/// The mode that somebody wants: `1920x1080` or `1920x1080@60`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedMode {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Pictures a second; the most there are where none is wanted.
    pub hz: Option<u32>,
}

impl FromStr for WantedMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (size, hz) = match text.split_once('@') {
                Some((size, hz)) => (size, Some(hz.parse().ok()?)),
                None => (text, None),
            };
            let (width, height) = size.split_once('x')?;
            Some(Self { width: width.parse().ok()?, height: height.parse().ok()?, hz })
        };
        parse().ok_or_else(|| format!("`{text}` is no mode; write 1920x1080 or 1920x1080@60"))
    }
}

impl fmt::Display for WantedMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)?;
        self.hz.map_or(Ok(()), |hz| write!(f, "@{hz}"))
    }
}

/// Index of the card to show on: the first with an HDMI screen, else with any screen, else with a connector that
/// may get one while we run.
pub fn choose_card(cards: &[CardFacts]) -> Result<usize, DisplayError> {
    if cards.is_empty() {
        return Err(DisplayError::NoCard);
    }
    let suitable = || (0..cards.len()).filter(|&i| unsuitable(&cards[i]).is_none());
    let has = |i: usize, what: fn(&ConnectorFacts) -> bool| cards[i].connectors.iter().any(what);
    suitable()
        .find(|&i| has(i, |c| c.connected && c.is_hdmi()))
        .or_else(|| suitable().find(|&i| has(i, |c| c.connected)))
        .or_else(|| suitable().find(|&i| has(i, ConnectorFacts::is_hdmi)))
        .or_else(|| suitable().next())
        .ok_or_else(|| {
            let why = |card: &CardFacts| {
                unsuitable(card).map(|cause| format!("{} {cause}", card.path.display()))
            };
            DisplayError::NoneSuitable(cards.iter().filter_map(why).collect())
        })
}

/// What the card lacks, as the end of a sentence.
#[must_use]
pub fn unsuitable(card: &CardFacts) -> Option<String> {
    let lacks = if card.connectors.is_empty() {
        "has no connector"
    } else if !card.atomic {
        "has no atomic commits"
    } else if !card.buffers {
        "gives no memory to draw into"
    } else {
        return None;
    };
    Some(format!("({}) {lacks}", card.driver))
}

/// Index of the connector with a screen, HDMI first; none when nothing is plugged in.
#[must_use]
pub fn choose_connector(connectors: &[ConnectorFacts]) -> Option<usize> {
    // What writes pictures back into memory calls itself connected.
    let usable = |c: &ConnectorFacts| {
        c.connected && !c.modes.is_empty() && !c.name.starts_with("Writeback-")
    };
    connectors
        .iter()
        .position(|c| usable(c) && c.is_hdmi())
        .or_else(|| connectors.iter().position(usable))
}

/// Index of the mode: the wanted one, else the one that the screen prefers, else its first, which is its largest.
/// None when the wanted one is not there, or there is none at all.
#[must_use]
pub fn choose_mode(modes: &[ModeFacts], wanted: Option<WantedMode>) -> Option<usize> {
    let Some(wanted) = wanted else {
        let progressive = |mode: &ModeFacts| !mode.interlaced;
        return modes
            .iter()
            .position(|mode| mode.preferred)
            .or_else(|| modes.iter().position(progressive))
            .or((!modes.is_empty()).then_some(0));
    };
    let fits = |mode: &ModeFacts| {
        (mode.width, mode.height) == (wanted.width, wanted.height)
            && wanted.hz.is_none_or(|hz| hz == mode.hz)
    };
    let fitting = (0..modes.len()).filter(|&i| fits(&modes[i]));
    // Of equals the first: a screen lists its best timing first.
    fitting.rev().max_by_key(|&i| (!modes[i].interlaced, modes[i].hz))
}

impl ConnectorFacts {
    fn is_hdmi(&self) -> bool {
        self.name.starts_with("HDMI-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(width: usize, height: usize, hz: u32) -> ModeFacts {
        ModeFacts { width, height, hz, preferred: false, interlaced: false }
    }

    fn connector(name: &str, connected: bool) -> ConnectorFacts {
        let modes = if connected { vec![mode(1920, 1080, 60)] } else { Vec::new() };
        ConnectorFacts { name: name.to_owned(), connected, modes }
    }

    fn card(number: u32, driver: &str, connectors: Vec<ConnectorFacts>) -> CardFacts {
        let path = PathBuf::from(format!("/dev/dri/card{number}"));
        CardFacts { path, driver: driver.to_owned(), atomic: true, buffers: true, connectors }
    }

    #[test]
    fn render_only_card_is_passed_over_whatever_its_number() {
        let v3d = |number| card(number, "v3d", Vec::new());
        let vc4 = |number| {
            let connectors = vec![connector("HDMI-A-1", false), connector("HDMI-A-2", true)];
            card(number, "vc4", connectors)
        };
        assert_eq!(choose_card(&[v3d(0), vc4(1)]), Ok(1));
        assert_eq!(choose_card(&[vc4(0), v3d(1)]), Ok(0));
    }

    #[test]
    fn card_with_a_screen_comes_before_one_without_and_hdmi_before_others() {
        let dsi = card(0, "drm-rp1-dsi", vec![connector("DSI-1", true)]);
        let hdmi = |connected| card(1, "vc4", vec![connector("HDMI-A-1", connected)]);
        assert_eq!(choose_card(&[dsi.clone(), hdmi(true)]), Ok(1));
        assert_eq!(choose_card(&[dsi, hdmi(false)]), Ok(0));
        let composite = card(0, "vc4", vec![connector("Composite-1", false)]);
        assert_eq!(choose_card(&[composite, hdmi(false)]), Ok(1), "a screen may come");
    }

    #[test]
    fn says_what_each_card_lacks() {
        let mut old = card(1, "ast", vec![connector("VGA-1", true)]);
        old.atomic = false;
        let error = choose_card(&[card(0, "v3d", Vec::new()), old]).unwrap_err().to_string();
        assert_eq!(
            error,
            "no display: /dev/dri/card0 (v3d) has no connector; /dev/dri/card1 (ast) has no atomic commits"
        );
        assert_eq!(choose_card(&[]), Err(DisplayError::NoCard));
    }

    #[test]
    fn connector_needs_a_screen_with_modes() {
        let mut silent = connector("HDMI-A-1", true);
        silent.modes.clear();
        let connectors = [silent, connector("DSI-1", true), connector("HDMI-A-2", true)];
        assert_eq!(choose_connector(&connectors), Some(2));
        assert_eq!(choose_connector(&connectors[..2]), Some(1));
        assert_eq!(choose_connector(&connectors[..1]), None);
        assert_eq!(choose_connector(&[connector("Writeback-1", true)]), None);
    }

    #[test]
    fn mode_is_the_wanted_one_else_the_preferred_one() {
        let mut modes = [mode(3840, 2160, 30), mode(1920, 1080, 60), mode(1920, 1080, 50)];
        let wanted = |text: &str| Some(text.parse().unwrap());
        assert_eq!(choose_mode(&modes, None), Some(0));
        modes[1].preferred = true;
        assert_eq!(choose_mode(&modes, None), Some(1));
        assert_eq!(choose_mode(&modes, wanted("1920x1080@50")), Some(2));
        assert_eq!(choose_mode(&modes, wanted("1920x1080")), Some(1));
        assert_eq!(choose_mode(&modes, wanted("640x480")), None);
        assert_eq!(choose_mode(&[], None), None);
    }

    #[test]
    fn progressive_mode_comes_before_an_interlaced_one() {
        let mut modes = [mode(1920, 1080, 60), mode(1920, 1080, 50)];
        modes[0].interlaced = true;
        assert_eq!(choose_mode(&modes, None), Some(1));
        assert_eq!(choose_mode(&modes, Some("1920x1080".parse().unwrap())), Some(1));
    }

    #[test]
    fn wanted_mode_reads_as_it_is_written() {
        for text in ["1920x1080", "1280x720@50"] {
            assert_eq!(text.parse::<WantedMode>().unwrap().to_string(), text);
        }
        for text in ["", "1920", "1920x", "1920x1080@", "x@", "1920x1080@60Hz"] {
            assert!(text.parse::<WantedMode>().is_err(), "{text}");
        }
    }
}
