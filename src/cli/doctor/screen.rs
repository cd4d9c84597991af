//! The screen at the machine: card, connector, mode.
//!
//! Read from sysfs. A card is never opened here: whoever opens one first is its master, and a desktop that starts at
//! that moment would be refused. Whether a card takes atomic commits shows only when a run opens it.

use qsegment::outputs::hdmi::choice::{
    CardFacts, ConnectorFacts, ModeFacts, choose_card, choose_connector, choose_mode,
};
use qsegment::outputs::hdmi::{WantedCard, WantedMode};
use qsegment::outputs::overlay::Scale;

use super::check::{Check, Need, Question};
use super::host::Host;
use super::{holders, rights};
use crate::cli::config::{Config, DisplayOutput};

const CARD: Question =
    Question::new("display card", "a card with connectors, under /sys/class/drm");
const SCREEN: Question =
    Question::new("screen", "a screen at one of them, in the mode of hdmi.mode");

pub(super) fn checks(host: &Host, config: &Config) -> Vec<Check> {
    let cards = cards(host);
    let Some(options) = config.hdmi.options(config.overlay.style(Scale::One)) else {
        return vec![unwanted(&cards)];
    };
    if !host.has_kernel_files() {
        return vec![CARD.skipped(super::camera::NOT_RUNNING)];
    }
    let need = match config.hdmi.output {
        DisplayOutput::Card(_) => Need::Required,
        _ => Need::Hoped,
    };
    let chosen = match &options.card {
        WantedCard::At(path) => cards.iter().position(|card| card.path == *path).ok_or_else(|| {
            let there: Vec<String> = cards.iter().map(described).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join("; ") };
            format!("no {} among the cards that are there: {there}", path.display())
        }),
        WantedCard::Any => choose_card(&cards).map_err(|error| error.to_string()),
    };
    match chosen {
        Err(why) => vec![CARD.missing(
            need,
            why,
            "on a Raspberry Pi `dtoverlay=vc4-kms-v3d` in /boot/firmware/config.txt, then `sudo reboot`; else set \
             hdmi.output to \"auto\" or \"off\"",
        )],
        Ok(chosen) => {
            let card = &cards[chosen];
            vec![
                CARD.ok(described(card)),
                screen(card, options.mode, need),
                rights::display(host, need),
                holders::display(host, &card.path.to_string_lossy()),
            ]
        }
    }
}

/// Where no screen is wanted, one that is there is worth knowing of.
fn unwanted(cards: &[CardFacts]) -> Check {
    let lit = cards
        .iter()
        .find_map(|card| choose_connector(&card.connectors).map(|at| (card, &card.connectors[at])));
    match lit {
        Some((card, connector)) => SCREEN.unknown(
            format!(
                "hdmi.output is \"off\"; there is one at {} of {}",
                connector.name,
                described(card)
            ),
            "`qsegment run --hdmi` shows on it",
        ),
        None => SCREEN.skipped("hdmi.output is \"off\""),
    }
}

fn screen(card: &CardFacts, wanted: Option<WantedMode>, need: Need) -> Check {
    let Some(connector) = choose_connector(&card.connectors).map(|at| &card.connectors[at]) else {
        return SCREEN.warn(
            format!("nothing is plugged in at {}", described(card)),
            "plug in a screen and switch it on, now or while `qsegment run` runs",
        );
    };
    // The rates are not in sysfs: of 1920x1080@50 only the size can be looked for.
    let size = wanted.map(|wanted| WantedMode { hz: None, ..wanted });
    match choose_mode(&connector.modes, size) {
        Some(mode) => {
            let ModeFacts { width, height, .. } = connector.modes[mode];
            SCREEN.ok(format!("{} in {width}x{height}", connector.name))
        }
        None => {
            let mut sizes: Vec<String> = connector
                .modes
                .iter()
                .map(|mode| format!("{}x{}", mode.width, mode.height))
                .collect();
            sizes.dedup();
            let wanted = wanted.map_or_else(String::new, |wanted| wanted.to_string());
            SCREEN.missing(
                need,
                format!("{} has no mode {wanted}; it has {}", connector.name, sizes.join(", ")),
                "set hdmi.mode to one of these, or to \"\" for what the screen prefers",
            )
        }
    }
}

fn described(card: &CardFacts) -> String {
    let connectors: Vec<&str> = card.connectors.iter().map(|one| one.name.as_str()).collect();
    let connectors =
        if connectors.is_empty() { "no connector".to_owned() } else { connectors.join(", ") };
    format!("{} ({}: {connectors})", card.path.display(), card.driver)
}

fn cards(host: &Host) -> Vec<CardFacts> {
    let entries = host.names(DRM);
    let card = |name: String| CardFacts {
        path: format!("/dev/dri/{name}").into(),
        driver: host
            .driver(&format!("{DRM}/{name}/device"))
            .unwrap_or_else(|| "unknown".to_owned()),
        atomic: true,
        buffers: true,
        connectors: entries
            .iter()
            .filter_map(|entry| connector(host, entry, entry.strip_prefix(&format!("{name}-"))?))
            .collect(),
    };
    host.numbered(DRM, "card").into_iter().map(card).collect()
}

fn connector(host: &Host, entry: &str, name: &str) -> Option<ConnectorFacts> {
    let connected = host.text(format!("{DRM}/{entry}/status"))? == "connected";
    let modes = host.text(format!("{DRM}/{entry}/modes")).unwrap_or_default();
    Some(ConnectorFacts {
        name: name.to_owned(),
        connected,
        modes: modes.lines().filter_map(mode).collect(),
    })
}

/// `1920x1080`, or `1920x1080i` where every other row is sent.
fn mode(line: &str) -> Option<ModeFacts> {
    let (width, height) = line.split_once('x')?;
    let interlaced = height.ends_with('i');
    Some(ModeFacts {
        width: width.parse().ok()?,
        height: height.trim_end_matches('i').parse().ok()?,
        hz: 0,
        preferred: false,
        interlaced,
    })
}

const DRM: &str = "/sys/class/drm";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;
    use crate::cli::doctor::tree::Tree;

    fn pi5() -> Tree {
        let tree = Tree::new();
        tree.write("sys/class/drm/card0/device/uevent", "DRIVER=v3d\n");
        tree.write("sys/class/drm/card1/device/uevent", "DRIVER=vc4-drm\nOF_NAME=gpu\n");
        tree.write("sys/class/drm/card1-HDMI-A-1/status", "disconnected\n");
        tree.write("sys/class/drm/card1-HDMI-A-2/status", "connected\n");
        tree.write(
            "sys/class/drm/card1-HDMI-A-2/modes",
            "1920x1080i\n1920x1080\n1280x720\n1280x720\n",
        );
        tree
    }

    fn config(output: &str, mode: &str) -> Config {
        let text = format!("[hdmi]\noutput = \"{output}\"\nmode = \"{mode}\"\n");
        toml::from_str(&text).unwrap()
    }

    fn verdicts(tree: &Tree, config: &Config) -> Vec<Verdict> {
        checks(&tree.host(), config).iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn screen_and_mode_are_those_that_a_run_would_choose() {
        let tree = pi5();
        let checks = checks(&tree.host(), &config("auto", ""));
        assert_eq!(checks[0].found, "/dev/dri/card1 (vc4-drm: HDMI-A-1, HDMI-A-2)");
        assert_eq!(checks[1].found, "HDMI-A-2 in 1920x1080");
        assert_eq!(checks[1].verdict, Verdict::Ok);
    }

    #[test]
    fn mode_or_card_that_is_not_there_is_as_bad_as_it_is_wanted() {
        let tree = pi5();
        assert_eq!(verdicts(&tree, &config("auto", "800x600@60"))[1], Verdict::Warn);
        assert_eq!(verdicts(&tree, &config("/dev/dri/card1", "800x600"))[1], Verdict::Fail);
        assert_eq!(verdicts(&tree, &config("/dev/dri/card1", "1280x720@50"))[1], Verdict::Ok);
        assert_eq!(verdicts(&tree, &config("/dev/dri/card7", "")), [Verdict::Fail]);
        let bare = Tree::new();
        bare.write("sys/class/tty/x", "");
        assert_eq!(verdicts(&bare, &config("auto", "")), [Verdict::Warn]);
    }

    #[test]
    fn unplugged_screen_is_a_warning_and_an_unwanted_one_a_hint() {
        let tree = pi5();
        let off = checks(&tree.host(), &config("off", ""));
        assert_eq!((off.len(), off[0].verdict), (1, Verdict::Skipped));
        assert!(off[0].next.as_deref().unwrap().contains("--hdmi"));
        tree.write("sys/class/drm/card1-HDMI-A-2/status", "disconnected\n");
        assert_eq!(verdicts(&tree, &config("/dev/dri/card1", ""))[1], Verdict::Warn);
    }
}
