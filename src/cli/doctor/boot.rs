//! The firmware's configuration, config.txt: which overlays the kernel starts with.
//!
//! ```text
//!   camera_auto_detect=1      the firmware looks for cameras at both connectors
//!   [pi4]                     what follows is for a Pi 4
//!   dtoverlay=imx500,cam0     a sensor; without cam0 it is at the connector CAM1
//!   [all]                     for all again
//! ```
//!
//! Sections are told apart by model only. Others (serial numbers, GPIOs, screens) may hold or not: what stands
//! in them counts as there, and is told with its section.

use super::check::{Check, Need, Question};
use super::host::Host;

const OVERLAY: Question = Question::new(
    "boot configuration",
    "dtoverlay=imx500 or camera_auto_detect=1 in config.txt, and no other sensor at its connector",
);

/// Judges what the file says of the camera. `found` is whether the kernel has found one, whatever it says.
pub(super) fn check(host: &Host, board: Option<&str>, need: Need, found: bool) -> Check {
    let Some((path, text)) = read(host) else {
        return OVERLAY.unknown(
            "no config.txt in /boot/firmware or /boot",
            if host.is_this() {
                "on a Raspberry Pi mount its boot partition: `sudo mount /boot/firmware`"
            } else {
                "mount the card's first partition at boot/firmware under --root"
            },
        );
    };
    judge(path, &lines(&text, board), need, found)
}

/// Whether it is the disk of a Raspberry Pi.
pub(super) fn is_there(host: &Host) -> bool {
    read(host).is_some()
}

/// Where the file was, one is left that only says where it is now.
fn read(host: &Host) -> Option<(&'static str, String)> {
    let mut texts = PATHS.into_iter().filter_map(|path| Some((path, host.text(path)?)));
    texts.find(|(path, text)| *path == PATHS[0] || !text.contains(PATHS[0]))
}

fn judge(path: &str, lines: &[Line<'_>], need: Need, found: bool) -> Check {
    // A camera that is there in spite of it all keeps nothing from starting.
    let need = if found && need == Need::Required { Need::Hoped } else { need };
    if let Some(legacy) = lines.iter().rfind(|line| line.key == "start_x" && line.value == "1") {
        return OVERLAY.missing(
            need,
            format!("{path} {legacy}: the old camera stack takes the camera"),
            format!("remove that line from {path}, then `sudo reboot`"),
        );
    }
    let sensors: Vec<_> = lines.iter().filter_map(Sensor::of).collect();
    let ours = sensors.iter().rfind(|sensor| sensor.name == "imx500");
    let rival = ours.and_then(|ours| {
        sensors.iter().find(|other| other.name != "imx500" && other.connector == ours.connector)
    });
    let automatic = lines.iter().rfind(|line| line.key == "camera_auto_detect");
    let automatic = automatic.filter(|line| line.value == "1");
    match (ours, rival, automatic) {
        (Some(ours), Some(rival), _) => OVERLAY.missing(
            need,
            format!("{path} {} and {} are both at {}", ours.line, rival.line, ours.connector),
            "remove one of them, or add ,cam0 to the one at CAM0, then `sudo reboot`",
        ),
        (Some(ours), None, _) => OVERLAY.ok(format!("{path} {}", ours.line)),
        (None, _, Some(line)) => OVERLAY.ok(format!("{path} {line}")),
        (None, _, None) if found => {
            OVERLAY.ok(format!("{path} names no camera, and the kernel has found one all the same"))
        }
        (None, _, None) => OVERLAY.missing(
            need,
            format!("neither dtoverlay=imx500 nor camera_auto_detect=1 in {path}"),
            format!("`echo dtoverlay=imx500 | sudo tee -a {path}`, then `sudo reboot`"),
        ),
    }
}

/// A line that says something, where it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line<'a> {
    number: usize,
    key: &'a str,
    value: &'a str,
    /// The section of which nobody here knows whether it holds.
    section: Option<&'a str>,
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}={}", self.number, self.key, self.value)?;
        self.section.map_or(Ok(()), |section| write!(f, " (in section [{section}])"))
    }
}

/// An overlay that is an image sensor.
struct Sensor<'a> {
    name: &'a str,
    connector: &'static str,
    line: &'a Line<'a>,
}

impl<'a> Sensor<'a> {
    fn of(line: &'a Line<'a>) -> Option<Self> {
        if line.key != "dtoverlay" {
            return None;
        }
        let mut parts = line.value.split(',').map(str::trim);
        let name = parts.next()?;
        let name = name.strip_suffix("-pi5").unwrap_or(name);
        SENSORS.contains(&name).then(|| Self {
            name,
            connector: if parts.any(|part| part == "cam0") { "CAM0" } else { "CAM1" },
            line,
        })
    }
}

/// Lines that hold on this board, or may.
fn lines<'a>(text: &'a str, board: Option<&str>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    // Filters of different kinds add up; [all] takes them all away.
    let (mut model_fits, mut section) = (true, None);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(filter) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            match (filter, model_filter(filter)) {
                ("all", _) => (model_fits, section) = (true, None),
                ("none", _) => model_fits = false,
                (_, Some(names)) => {
                    model_fits = board.is_none_or(|board| names.iter().any(|name| is(board, name)));
                    if board.is_none() {
                        section = Some(filter);
                    }
                }
                (_, None) => section = Some(filter),
            }
        } else if let Some((key, value)) = line.split_once('=')
            && model_fits
        {
            lines.push(Line { number, key: key.trim(), value: value.trim(), section });
        }
    }
    lines
}

/// Beginnings of the names of the models for which a section holds.
fn model_filter(filter: &str) -> Option<&'static [&'static str]> {
    MODELS.iter().find(|(name, _)| *name == filter).map(|(_, models)| *models)
}

/// `Raspberry Pi 4 Model B Rev 1.4` is a `4`, `Raspberry Pi 400 Rev 1.0` is none.
fn is(board: &str, model: &str) -> bool {
    let rest = board.strip_prefix("Raspberry Pi ").and_then(|board| board.strip_prefix(model));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// As Raspberry Pi's documentation of config.txt has them ("Conditional filters").
const MODELS: [(&str, &[&str]); 12] = [
    ("pi0", &["Zero", "Zero W", "Zero 2 W"]),
    ("pi0w", &["Zero W"]),
    ("pi02", &["Zero 2 W"]),
    ("pi1", &["Model A", "Model B", "Compute Module Rev"]),
    ("pi2", &["2"]),
    ("pi3", &["3", "Compute Module 3"]),
    ("pi3+", &["3 Model A Plus", "3 Model B Plus", "Compute Module 3 Plus"]),
    ("pi4", &["4", "400", "Compute Module 4", "Compute Module 4S"]),
    ("pi400", &["400"]),
    ("cm4", &["Compute Module 4"]),
    ("pi5", &["5", "500", "Compute Module 5"]),
    ("cm5", &["Compute Module 5"]),
];

/// The second is where it was until 2023.
const PATHS: [&str; 2] = ["/boot/firmware/config.txt", "/boot/config.txt"];

/// Those that Raspberry Pi sells, and the others that people have in the field.
const SENSORS: [&str; 12] = [
    "imx500", "imx219", "imx290", "imx296", "imx327", "imx378", "imx462", "imx477", "imx519",
    "imx708", "ov5647", "ov9281",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;
    use crate::cli::doctor::tree::Tree;

    const PI5: Option<&str> = Some("Raspberry Pi 5 Model B Rev 1.0");
    const PI4: Option<&str> = Some("Raspberry Pi 4 Model B Rev 1.4");

    fn judged(text: &str, board: Option<&str>) -> Check {
        judge("config.txt", &lines(text, board), Need::Hoped, false)
    }

    #[test]
    fn overlay_or_automatic_detection_is_enough() {
        for text in [
            "dtparam=audio=on\n dtoverlay=imx500 # the AI Camera\n",
            "dtoverlay=imx500-pi5,cam0\n",
            "camera_auto_detect=1\n",
            "camera_auto_detect=0\n[pi5]\ncamera_auto_detect=1\n",
        ] {
            assert_eq!(judged(text, PI5).verdict, Verdict::Ok, "{text}");
        }
        assert_eq!(
            judged("x\ndtoverlay=imx500\n", PI5).found,
            "config.txt line 2: dtoverlay=imx500"
        );
    }

    #[test]
    fn without_either_the_command_that_adds_it_is_the_next_step() {
        for text in ["", "#dtoverlay=imx500\n", "camera_auto_detect=0\n", "dtoverlay=imx708\n"] {
            let check = judged(text, PI5);
            assert_eq!(check.verdict, Verdict::Warn, "{text}");
            assert!(check.next.unwrap().contains("dtoverlay=imx500 | sudo tee -a config.txt"));
        }
        let required = judge("config.txt", &lines("", PI5), Need::Required, false);
        assert_eq!(required.verdict, Verdict::Fail);
        assert_eq!(
            judge("config.txt", &[], Need::Required, true).verdict,
            Verdict::Ok,
            "it is there"
        );
    }

    #[test]
    fn sections_of_other_models_do_not_count() {
        let text = "[pi4]\ndtoverlay=imx500\n[all]\nx=1\n";
        assert_eq!(judged(text, PI4).verdict, Verdict::Ok);
        assert_eq!(judged(text, PI5).verdict, Verdict::Warn);
        assert_eq!(
            judged(text, None).found,
            "config.txt line 2: dtoverlay=imx500 (in section [pi4])"
        );
        let pi400 = Some("Raspberry Pi 400 Rev 1.0");
        assert_eq!(judged(text, pi400).verdict, Verdict::Ok, "[pi4] holds for its kin");
        assert_eq!(judged("[none]\ndtoverlay=imx500\n", PI4).verdict, Verdict::Warn);
        let serial = judged("[0x1234]\ndtoverlay=imx500\n", PI4);
        assert_eq!(serial.found, "config.txt line 2: dtoverlay=imx500 (in section [0x1234])");
    }

    #[test]
    fn note_that_the_file_has_moved_is_not_the_file() {
        let tree = Tree::new();
        tree.write("boot/config.txt", "# moved to /boot/firmware/config.txt\n");
        let check = check(&tree.host(), PI5, Need::Required, false);
        assert_eq!((check.verdict, is_there(&tree.host())), (Verdict::Skipped, false));
        tree.write("boot/firmware/config.txt", "dtoverlay=imx500\n");
        let check = super::check(&tree.host(), PI5, Need::Required, false);
        assert_eq!((check.verdict, is_there(&tree.host())), (Verdict::Ok, true));
        let old = Tree::new();
        old.write("boot/config.txt", "start_x=1\n");
        assert!(
            super::check(&old.host(), PI4, Need::Hoped, false)
                .found
                .starts_with("/boot/config.txt line 1")
        );
    }

    #[test]
    fn another_sensor_at_the_same_connector_is_a_conflict() {
        let both = judged("dtoverlay=imx500\ndtoverlay=imx708\n", PI5);
        assert_eq!(both.verdict, Verdict::Warn);
        assert!(
            both.found.contains("line 1: dtoverlay=imx500 and line 2: dtoverlay=imx708"),
            "{both}"
        );
        assert_eq!(judged("dtoverlay=imx500\ndtoverlay=imx708,cam0\n", PI5).verdict, Verdict::Ok);
        assert_eq!(judged("dtoverlay=imx500\nstart_x=1\n", PI4).verdict, Verdict::Warn);
    }
}
