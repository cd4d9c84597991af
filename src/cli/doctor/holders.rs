//! Who has the camera or the screen open.
//!
//! To have a node open is no harm in itself: PipeWire keeps every camera's open and uses none. Only who streams, or is
//! the display's master, keeps others out, and the kernel does not tell which. So this is a hint, never a failure.

use std::path::Path;

use qsegment::source::holder::{self, Holder};

use super::check::{Check, Question};
use super::host::Host;

const CAMERA: Question =
    Question::new("camera in use", "no other program that has the camera open");
const DISPLAY: Question =
    Question::new("screen in use", "no other program that shows on the screen");

pub(super) fn camera(host: &Host) -> Check {
    if !host.has_kernel_files() {
        return CAMERA.skipped(super::camera::NOT_RUNNING);
    }
    let nodes = camera_nodes(host);
    if nodes.is_empty() {
        return CAMERA.skipped("there is no camera to hold");
    }
    let holders = holders(host, &nodes);
    if holders.is_empty() {
        return CAMERA.ok(format!("nobody seen{}", unseen(host)));
    }
    CAMERA.warn(format!("open in {}", named(&holders)), advice(&holders))
}

pub(super) fn display(host: &Host, card: &str) -> Check {
    if let Some(master) = master(host, card) {
        return DISPLAY.warn(
            format!("{master} shows on {card}"),
            "stop it (a desktop: `sudo systemctl stop display-manager`), then start again",
        );
    }
    let holders = holders(host, &[card.to_owned()]);
    if holders.is_empty() {
        return DISPLAY.ok(format!("nobody seen{}", unseen(host)));
    }
    DISPLAY.warn(
        format!("{card} is open in {}", named(&holders)),
        "if the screen is refused, stop it (a desktop: `sudo systemctl stop display-manager`)",
    )
}

/// Another qsegment that runs already, whoever started it.
pub(super) fn another_qsegment(host: &Host) -> Option<Holder> {
    let own = if host.is_this() { std::process::id() } else { 0 };
    let pids = host.names("/proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
    let mut named = pids.filter(|pid| *pid != own).filter_map(|pid| {
        let name = host.text(format!("/proc/{pid}/comm"))?;
        Some(Holder { pid, name })
    });
    named.find(|holder| holder.name == "qsegment")
}

/// Nodes of receivers and sensors; codecs have video nodes, too, which browsers hold.
fn camera_nodes(host: &Host) -> Vec<String> {
    let is_camera_s =
        |name: &str| CAMERA_PARTS.iter().any(|part| name.to_ascii_lowercase().contains(part));
    let named = |folder: &str, prefix: &str, file: &str| -> Vec<String> {
        let nodes = host.numbered(folder, prefix).into_iter();
        nodes
            .filter(|node| {
                host.text(format!("{folder}/{node}/{file}")).is_some_and(|name| is_camera_s(&name))
            })
            .map(|node| format!("/dev/{node}"))
            .collect()
    };
    let mut nodes = named("/sys/class/video4linux", "video", "name");
    nodes.extend(named("/sys/class/video4linux", "v4l-subdev", "name"));
    nodes.extend(named("/sys/bus/media/devices", "media", "model"));
    nodes
}

fn holders(host: &Host, nodes: &[String]) -> Vec<Holder> {
    let own = if host.is_this() { std::process::id() } else { 0 };
    let proc = host.path("/proc");
    let mut holders: Vec<Holder> =
        nodes.iter().flat_map(|node| holder::holders_in(&proc, Path::new(node), own)).collect();
    holders.sort_by_key(|holder| holder.pid);
    holders.dedup();
    holders
}

fn named(holders: &[Holder]) -> String {
    holders.iter().map(Holder::to_string).collect::<Vec<_>>().join(", ")
}

/// Other users' processes hide what they have open.
fn unseen(host: &Host) -> &'static str {
    if host.is_this() && !rustix::process::geteuid().is_root() {
        " (processes of other users cannot be seen: `sudo qsegment doctor` sees them)"
    } else {
        ""
    }
}

fn advice(holders: &[Holder]) -> String {
    let is = |names: &[&str]| {
        holders.iter().any(|holder| names.iter().any(|name| holder.name.starts_with(name)))
    };
    if is(&["qsegment"]) {
        "a qsegment runs already: use its page, or stop it".to_owned()
    } else if is(&["pipewire", "wireplumber"]) {
        "PipeWire looks at every camera and mostly does not stream; if `qsegment run` says `in use`: \
         `systemctl --user stop wireplumber pipewire`"
            .to_owned()
    } else if is(&["rpicam", "libcamera", "python", "motion", "ffmpeg", "cam"]) {
        "stop it: only one program streams from a camera".to_owned()
    } else {
        "if `qsegment run` says `in use`, stop it".to_owned()
    }
}

/// Root may read who is the master of a card: `command  tgid dev master a uid magic`.
fn master(host: &Host, card: &str) -> Option<String> {
    let number = card.strip_prefix("/dev/dri/card")?;
    let clients = host.text(format!("/sys/kernel/debug/dri/{number}/clients"))?;
    clients.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace();
        let (command, pid) = (words.next()?, words.next()?);
        (words.nth(1)? == "y").then(|| format!("{command} (process {pid})"))
    })
}

const CAMERA_PARTS: [&str; 5] = ["imx500", "rp1-cfe", "unicam", "csi2", "pisp-fe"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;
    use crate::cli::doctor::tree::Tree;

    #[test]
    fn holder_of_the_camera_is_named_with_what_to_stop() {
        let tree = Tree::new();
        tree.write("sys/class/video4linux/video0/name", "rp1-cfe-csi2_ch0\n");
        tree.write("sys/class/video4linux/video19/name", "rpi-hevc-dec\n");
        tree.write("sys/bus/media/devices/media2/model", "rp1-cfe\n");
        assert_eq!(camera(&tree.host()).verdict, Verdict::Ok);
        tree.process(900, "firefox", "/dev/video19");
        assert_eq!(camera(&tree.host()).verdict, Verdict::Ok, "a codec is no camera");
        tree.process(812, "rpicam-hello", "/dev/video0");
        let held = camera(&tree.host());
        assert_eq!(held.verdict, Verdict::Warn);
        assert_eq!(held.found, "open in rpicam-hello (process 812)");
        tree.process(700, "wireplumber", "/dev/media2");
        let held = camera(&tree.host());
        assert_eq!(held.found, "open in wireplumber (process 700), rpicam-hello (process 812)");
        assert!(held.next.unwrap().contains("systemctl --user stop wireplumber"));
    }

    #[test]
    fn another_qsegment_is_found_by_its_name() {
        let tree = Tree::new();
        tree.process(900, "qsegment-helper", "/dev/null");
        assert_eq!(another_qsegment(&tree.host()), None);
        tree.process(901, "qsegment", "/dev/null");
        let found = another_qsegment(&tree.host()).unwrap();
        assert_eq!(found.to_string(), "qsegment (process 901)");
    }

    #[test]
    fn master_of_the_screen_is_told_where_root_may_know() {
        let tree = Tree::new();
        assert_eq!(display(&tree.host(), "/dev/dri/card1").verdict, Verdict::Ok);
        tree.process(650, "Xorg", "/dev/dri/card1");
        let open = display(&tree.host(), "/dev/dri/card1");
        assert_eq!(open.found, "/dev/dri/card1 is open in Xorg (process 650)");
        tree.write(
            "sys/kernel/debug/dri/1/clients",
            "command  tgid dev master a   uid      magic\n systemd-logind 400 1 n y 0 0\n Xorg 650 1 y y 0 0\n",
        );
        assert_eq!(
            display(&tree.host(), "/dev/dri/card1").found,
            "Xorg (process 650) shows on /dev/dri/card1"
        );
    }
}
