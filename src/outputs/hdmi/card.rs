//! A display card, opened: what it says of itself, and being its master, the one program that shows.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drm::control::{
    Device as ControlDevice, Mode, ModeFlags, ModeTypeFlags, connector, crtc, property,
};
use drm::{ClientCapability, Device, DriverCapability};

use super::choice::{
    CardFacts, ConnectorFacts, ModeFacts, WantedMode, choose_card, choose_connector, choose_mode,
    unsuitable,
};
use super::error::DisplayError;
use crate::source::device_node;

/// Which card shall show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedCard {
    /// Whichever can, one with a screen first.
    Any,
    /// This node.
    At(PathBuf),
}

/// An open card. Clones are the same open file, and so share what it is master of.
#[derive(Debug, Clone)]
pub struct Card {
    file: Arc<File>,
    path: PathBuf,
}

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Device for Card {}
impl ControlDevice for Card {}

impl Card {
    /// Opens the card that can show, and becomes its master.
    pub fn claim(wanted: &WantedCard) -> Result<Self, DisplayError> {
        let card = match wanted {
            WantedCard::At(path) => {
                let card = Self::open(path)?;
                if let Some(cause) = unsuitable(&card.facts()?) {
                    return Err(DisplayError::Unsuitable { path: path.clone(), cause });
                }
                card
            }
            WantedCard::Any => Self::any()?,
        };
        card.become_master()?;
        Ok(card)
    }

    fn any() -> Result<Self, DisplayError> {
        let (mut cards, mut facts, mut refused) = (Vec::new(), Vec::new(), None);
        for path in nodes(Path::new("/dev/dri")) {
            // One that cannot be opened matters only when no other is there.
            match Self::open(&path).and_then(|card| Ok((card.facts()?, card))) {
                Ok((said, card)) => {
                    facts.push(said);
                    cards.push(card);
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match (choose_card(&facts), refused) {
            (Ok(chosen), _) => Ok(cards.swap_remove(chosen)),
            (Err(_), Some(refused)) => Err(refused),
            (Err(error), None) => Err(error),
        }
    }

    fn open(path: &Path) -> Result<Self, DisplayError> {
        let file = File::options().read(true).write(true).open(path);
        let file = file.map_err(|error| DisplayError::opening(path, &error))?;
        Ok(Self { file: Arc::new(file), path: path.to_owned() })
    }

    /// The first to open a card is its master by itself; anybody else has to ask.
    pub(super) fn become_master(&self) -> Result<(), DisplayError> {
        self.acquire_master_lock().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy => {
                DisplayError::held(&self.path)
            }
            // EINVAL, of a card of which somebody else is master.
            io::ErrorKind::InvalidInput => DisplayError::held(&self.path),
            _ => self.failed("become its master", &error),
        })
    }

    /// What it says of itself. Asks for what the rest of this output needs: every plane, atomic commits.
    fn facts(&self) -> Result<CardFacts, DisplayError> {
        let failed = |doing| move |error: io::Error| self.failed(doing, &error);
        let driver = self.get_driver().map_err(failed("ask its driver's name"))?;
        let capable = |capability| self.set_client_capability(capability, true).is_ok();
        let atomic =
            capable(ClientCapability::UniversalPlanes) && capable(ClientCapability::Atomic);
        let buffers =
            self.get_driver_capability(DriverCapability::DumbBuffer).is_ok_and(|can| can != 0);
        // A card that only renders refuses to list connectors.
        let connectors = self.connectors(Probe::Known).unwrap_or_default();
        Ok(CardFacts {
            path: self.path.clone(),
            driver: driver.name().to_string_lossy().into_owned(),
            atomic,
            buffers,
            connectors: connectors.iter().map(facts_of).collect(),
        })
    }

    fn connectors(&self, probe: Probe) -> Result<Vec<connector::Info>, DisplayError> {
        let failed = |error: io::Error| self.failed("list its connectors", &error);
        let resources = self.resource_handles().map_err(failed)?;
        let ask = |&handle: &connector::Handle| self.get_connector(handle, probe == Probe::Anew);
        resources.connectors().iter().map(ask).collect::<io::Result<_>>().map_err(failed)
    }

    /// The screen that is plugged in now, asked anew what it can; none when there is none.
    pub(super) fn head(&self, wanted: Option<WantedMode>) -> Result<Option<Head>, DisplayError> {
        let connectors = self.connectors(Probe::Anew)?;
        let facts: Vec<ConnectorFacts> = connectors.iter().map(facts_of).collect();
        let Some(chosen) = choose_connector(&facts) else { return Ok(None) };
        let modes = &facts[chosen].modes;
        let Some(mode) = choose_mode(modes, wanted) else {
            return Err(DisplayError::NoMode {
                connector: facts[chosen].name.clone(),
                wanted: wanted.map_or_else(String::new, |wanted| wanted.to_string()),
                offered: modes.iter().map(ToString::to_string).collect(),
            });
        };
        let connector = &connectors[chosen];
        Ok(Some(Head {
            name: facts[chosen].name.clone(),
            connector: connector.handle(),
            crtc: self.crtc_for(connector)?,
            mode: connector.modes()[mode],
            facts: modes[mode],
        }))
    }

    /// Whether the screen is still plugged in, as the kernel last noticed.
    pub(super) fn is_connected(&self, connector: connector::Handle) -> bool {
        self.get_connector(connector, false)
            .is_ok_and(|info| info.state() == connector::State::Connected)
    }

    /// The one that drives the connector already, else the first that can.
    fn crtc_for(&self, connector: &connector::Info) -> Result<crtc::Handle, DisplayError> {
        let failed = |error: io::Error| self.failed("look for a CRTC", &error);
        let resources = self.resource_handles().map_err(failed)?;
        if let Some(encoder) = connector.current_encoder()
            && let Some(crtc) = self.get_encoder(encoder).map_err(failed)?.crtc()
        {
            return Ok(crtc);
        }
        for &encoder in connector.encoders() {
            let possible = self.get_encoder(encoder).map_err(failed)?.possible_crtcs();
            if let Some(&crtc) = resources.filter_crtcs(possible).first() {
                return Ok(crtc);
            }
        }
        let cause = format!("its connector {connector} has no CRTC");
        Err(DisplayError::Unsuitable { path: self.path.clone(), cause })
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn failed(&self, doing: &'static str, error: &io::Error) -> DisplayError {
        DisplayError::call(doing, &self.path, error)
    }

    /// Its properties with their present values.
    pub(super) fn properties<T: drm::control::ResourceHandle>(
        &self,
        of: T,
    ) -> Result<Properties, DisplayError> {
        let failed = |error: io::Error| self.failed("read properties", &error);
        let values = self.get_properties(of).map_err(failed)?;
        let named = values.iter().map(|(&handle, &value)| Ok((self.get_property(handle)?, value)));
        Ok(Properties(named.collect::<io::Result<_>>().map_err(failed)?))
    }
}

/// A screen with everything that a mode needs.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) connector: connector::Handle,
    pub(super) crtc: crtc::Handle,
    pub(super) mode: Mode,
    pub(super) facts: ModeFacts,
}

/// The properties of one object.
#[derive(Debug)]
pub(super) struct Properties(Vec<(property::Info, property::RawValue)>);

impl Properties {
    pub(super) fn find(&self, name: &str) -> Option<(&property::Info, property::RawValue)> {
        let (info, value) =
            self.0.iter().find(|(info, _)| info.name().to_bytes() == name.as_bytes())?;
        Some((info, *value))
    }
}

/// Whether the screen itself is asked, which takes a tenth of a second, or what the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    Known,
    Anew,
}

fn facts_of(connector: &connector::Info) -> ConnectorFacts {
    let mode = |mode: &Mode| {
        let (width, height) = mode.size();
        ModeFacts {
            width: width.into(),
            height: height.into(),
            hz: mode.vrefresh(),
            preferred: mode.mode_type().contains(ModeTypeFlags::PREFERRED),
            interlaced: mode.flags().contains(ModeFlags::INTERLACE),
        }
    };
    ConnectorFacts {
        name: connector.to_string(),
        connected: connector.state() == connector::State::Connected,
        modes: connector.modes().iter().map(mode).collect(),
    }
}

/// `card0`, `card1`, ...
fn nodes(folder: &Path) -> Vec<PathBuf> {
    device_node::numbered(folder, "card")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn cards_come_in_the_order_of_their_numbers_and_nothing_else_comes() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["card10", "card2", "renderD128", "card", "by-path"] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        let found = nodes(folder.path());
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["card2", "card10"]);
        assert_eq!(nodes(&folder.path().join("absent")), Vec::<PathBuf>::new());
    }

    #[test]
    fn card_that_is_not_there_is_named() {
        let absent = WantedCard::At(PathBuf::from("/nonexistent/card7"));
        let error = Card::claim(&absent).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot open the card on /nonexistent/card7: No such file"),
            "{error}"
        );
    }
}
