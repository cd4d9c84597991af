//! From the driver to a camera that can be opened: the steps in which the kernel gets to one.
//!
//! ```text
//!   config.txt -> overlay -> driver imx500 -> sub-device -> media graph -> firmware, at the first start
//!   boot.rs                  here             here          here           here
//! ```

use qsegment::source::imx500::{self, DiscoveryError};

use super::check::{Check, Need, Question};
use super::host::{Host, is_module};
use super::machine::{self, is_raspberry_pi};
use super::{boot, faults, holders};
use crate::cli::config::{Config, Inference, Kind};

const DRIVER: Question =
    Question::new("driver", "imx500 among the kernel's modules, loaded where a camera is");
const SUB_DEVICE: Question =
    Question::new("sub-device", "a v4l-subdev under /sys/class/video4linux called imx500");
const GRAPH: Question =
    Question::new("media graph", "one AI Camera behind a receiver that takes its metadata");
const POWER: Question =
    Question::new("sensor power", "auto or on in power/control of the sensor's I2C device");
const FIRMWARE: Question =
    Question::new("firmware", "imx500_loader.fpk and imx500_firmware.fpk under /lib/firmware");
const CAMERA: Question = Question::new("camera", "an AI Camera, where one is wanted");

/// What is known of the camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Camera {
    /// By this I2C name; it can be opened, as far as can be seen without doing so.
    Found(String),
    /// There is none, and `auto` takes the simulated sensor.
    Absent(String),
    /// There is one, or several, and `run` refuses.
    Unusable(String),
    /// The files do not tell.
    Unknown,
}

/// How much the configuration wants one.
pub(super) fn need(config: &Config) -> Need {
    match config.source.kind {
        Kind::Imx500 => Need::Required,
        Kind::Auto => Need::Hoped,
        Kind::Simulated => Need::None,
    }
}

/// Looks for the camera that the configuration asks for.
pub(super) fn look(host: &Host, config: &Config) -> Camera {
    if host.is_this() {
        return match imx500::present(config.camera.id()) {
            Ok(id) => Camera::Found(id),
            Err(absent) if absent.is_absence() => Camera::Absent(absent.to_string()),
            Err(error) => Camera::Unusable(error.to_string()),
        };
    }
    let ids: Vec<String> = sub_devices(host).into_iter().map(|sub_device| sub_device.id).collect();
    match (ids.as_slice(), config.camera.id()) {
        _ if !host.has_kernel_files() => Camera::Unknown,
        ([], _) => Camera::Absent(DiscoveryError::NoCamera { present: Vec::new() }.to_string()),
        (_, Some(wanted)) if ids.iter().any(|id| id == wanted) => Camera::Found(wanted.to_owned()),
        ([only], None) => Camera::Found(only.clone()),
        (_, None) => Camera::Unusable(DiscoveryError::Several { present: ids }.to_string()),
        (_, Some(wanted)) => {
            let wanted = wanted.to_owned();
            Camera::Unusable(DiscoveryError::NotThatCamera { wanted, present: ids }.to_string())
        }
    }
}

pub(super) fn checks(
    host: &Host,
    config: &Config,
    board: Option<&str>,
    camera: &Camera,
) -> Vec<Check> {
    let need = need(config);
    let sub_devices = sub_devices(host);
    if need == Need::None {
        return vec![CAMERA.skipped("source.kind is \"simulated\": none is used")];
    }
    let nothing_hints_at_one = host.has_kernel_files()
        && !is_raspberry_pi(board)
        && sub_devices.is_empty()
        && host.numbered("/dev", "media").is_empty();
    if let (Need::Hoped, true) = (need, nothing_hints_at_one) {
        return vec![CAMERA.warn(
            "none: this is no Raspberry Pi, and the kernel has no media device; the simulated sensor takes its \
             place",
            "nothing, to work without one (source.kind = \"simulated\" ends this warning); else docs/camera.md",
        )];
    }
    let found = matches!(camera, Camera::Found(_));
    let mut checks = vec![
        boot::check(host, board, need, found),
        driver(host, need, found),
        sub_device(host, &sub_devices, need, found),
        graph(host, camera, need),
    ];
    checks.extend(power(host, &sub_devices));
    checks.push(firmware(host, in_sensor(config, camera)));
    checks.push(super::rights::camera(host, need));
    checks.push(holders::camera(host));
    checks.extend(faults::checks(host, sub_devices.first().map(|first| first.id.as_str())));
    checks
}

/// How much a network in the sensor is wanted: `auto` lets the host run it where the sensor cannot.
pub(super) fn in_sensor(config: &Config, camera: &Camera) -> Need {
    let is_there = matches!(camera, Camera::Found(_));
    match (need(config), config.pipeline.inference) {
        (Need::None, _) | (_, Inference::Host) => Need::None,
        (Need::Required, Inference::Sensor) => Need::Required,
        // `auto` never passes over a camera that is there.
        (Need::Hoped, Inference::Sensor) if is_there => Need::Required,
        _ => Need::Hoped,
    }
}

/// A sensor as sysfs has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SubDevice {
    node: String,
    /// Such as `10-001a`.
    id: String,
}

fn sub_devices(host: &Host) -> Vec<SubDevice> {
    let named = host.numbered(VIDEO, "v4l-subdev").into_iter().filter_map(|node| {
        let name = host.text(format!("{VIDEO}/{node}/name"))?;
        let id = name.strip_prefix("imx500 ")?.to_owned();
        Some(SubDevice { node, id })
    });
    named.collect()
}

/// Names of the other sub-devices, which may be another camera.
fn others(host: &Host) -> Vec<String> {
    let nodes = host.numbered(VIDEO, "v4l-subdev").into_iter();
    nodes.filter_map(|node| host.text(format!("{VIDEO}/{node}/name"))).collect()
}

/// Raspberry Pi's kernel has it since linux#6343 (September 2024, on 6.6).
fn driver(host: &Host, need: Need, found: bool) -> Check {
    let loaded = host.text("/proc/modules").unwrap_or_default();
    if host.exists("/sys/module/imx500") || loaded.lines().any(|line| line.starts_with("imx500 ")) {
        let age = if machine::forgets_the_network(host) {
            "; this kernel powers the sensor off 5 s after a stream, and the network is lost \
             (linux#7323): qsegment gives it again"
        } else {
            ""
        };
        return DRIVER.ok(format!("imx500 is loaded{age}"));
    }
    let kernels = host.kernels();
    let mut known = false;
    for kernel in &kernels {
        for list in ["modules.dep", "modules.builtin"] {
            let Some(modules) = host.text(format!("/lib/modules/{kernel}/{list}")) else {
                continue;
            };
            known = true;
            let mut paths = modules.lines().filter_map(|line| line.split(':').next());
            if paths.any(|path| is_module(path, "imx500")) {
                return DRIVER.ok(format!(
                    "kernel {kernel} has imx500; it loads when the boot configuration names a camera"
                ));
            }
        }
    }
    if found {
        return DRIVER.ok("the kernel has found a camera by it");
    }
    if !known {
        let which = match kernels.as_slice() {
            [] => "a kernel".to_owned(),
            kernels => format!("kernel {}", kernels.join(", ")),
        };
        return DRIVER.unknown(
            format!("no list of the modules of {which} under /lib/modules"),
            "`modinfo imx500` on the machine itself tells whether it has the driver",
        );
    }
    DRIVER.missing(
        need,
        format!("kernel {} has no imx500", kernels.join(", ")),
        "start Raspberry Pi OS with its own kernel: `sudo apt update && sudo apt full-upgrade`, then \
         `sudo reboot`; kernels before 6.6 and those of other distributions have no such driver",
    )
}

fn sub_device(host: &Host, sub_devices: &[SubDevice], need: Need, found: bool) -> Check {
    if !host.has_kernel_files() {
        return SUB_DEVICE.skipped(NOT_RUNNING);
    }
    match sub_devices {
        [] if found => SUB_DEVICE.skipped("sysfs is hidden here, as in a container"),
        [] => {
            let others = others(host);
            let there = if others.is_empty() {
                "none".to_owned()
            } else {
                format!("none among {}", others.join(", "))
            };
            SUB_DEVICE.missing(
                need,
                there,
                "`sudo dmesg | grep -E 'imx500|rp2040'` says what the driver saw; power off, seat the cable at \
                 both ends, start again; some boots miss a camera that is there (documentation#4137)",
            )
        }
        there => {
            let named = there.iter().map(|one| format!("imx500 {} at /dev/{}", one.id, one.node));
            SUB_DEVICE.ok(named.collect::<Vec<_>>().join(", "))
        }
    }
}

fn graph(host: &Host, camera: &Camera, need: Need) -> Check {
    match camera {
        _ if !host.is_this() => {
            GRAPH.skipped("the kernel has to be asked: run `qsegment doctor` on the machine itself")
        }
        Camera::Found(id) => GRAPH.ok(format!("camera {id}, with a way to memory")),
        Camera::Absent(why) => GRAPH.missing(
            need,
            why.clone(),
            "what the first line above says that is not ok; where all are, the cable",
        ),
        Camera::Unusable(why) => {
            // One that is there is never passed over.
            GRAPH.fail(why.clone(), "see there; source.kind = \"simulated\" runs without it")
        }
        Camera::Unknown => GRAPH.skipped(NOT_RUNNING),
    }
}

/// Of each sensor: whether the kernel may switch it off. Off by hand it would stay off.
fn power(host: &Host, sub_devices: &[SubDevice]) -> Vec<Check> {
    let answers = sub_devices.iter().filter_map(|SubDevice { node, id }| {
        let control = host.text(format!("{VIDEO}/{node}/device/power/control"))?;
        Some(match control.as_str() {
            "on" => POWER.ok(format!("{id} is kept on, so it keeps its network")),
            "auto" => POWER.ok(format!("{id} is switched off when idle, as the driver wants it")),
            other => POWER.warn(
                format!("power/control of {id} is {other:?}"),
                format!("`echo auto | sudo tee /sys/bus/i2c/devices/{id}/power/control`"),
            ),
        })
    });
    answers.collect()
}

fn firmware(host: &Host, need: Need) -> Check {
    let mut folders: Vec<String> = Vec::new();
    for kernel in host.kernels() {
        folders
            .extend([format!("/lib/firmware/updates/{kernel}"), format!("/lib/firmware/{kernel}")]);
    }
    folders.extend(["/lib/firmware/updates".to_owned(), "/lib/firmware".to_owned()]);
    let is_there = |name: &str| {
        let compressed = ["", ".xz", ".zst"];
        folders
            .iter()
            .any(|folder| compressed.iter().any(|end| host.exists(format!("{folder}/{name}{end}"))))
    };
    let missing: Vec<&str> = FILES.into_iter().filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return FIRMWARE.ok(format!("{} are there", FILES.join(" and ")));
    }
    FIRMWARE.missing(
        need,
        format!(
            "no {} under /lib/firmware: the sensor cannot run a network",
            missing.join(" and no ")
        ),
        "`sudo apt install imx500-firmware`",
    )
}

const VIDEO: &str = "/sys/class/video4linux";
const FILES: [&str; 2] = ["imx500_loader.fpk", "imx500_firmware.fpk"];
pub(super) const NOT_RUNNING: &str = "these files are not of a running machine (no /sys)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;
    use crate::cli::doctor::tree::Tree;

    #[test]
    fn driver_is_found_loaded_installed_or_missing() {
        let tree = Tree::new();
        tree.write("proc/sys/kernel/osrelease", "6.1.21-v8+\n");
        assert_eq!(
            driver(&tree.host(), Need::Hoped, false).verdict,
            Verdict::Skipped,
            "no list of modules"
        );
        tree.write(
            "lib/modules/6.1.21-v8+/modules.dep",
            "kernel/drivers/media/i2c/imx708.ko.xz:\n",
        );
        let old = driver(&tree.host(), Need::Hoped, false);
        assert_eq!(
            (old.verdict, old.found.as_str()),
            (Verdict::Warn, "kernel 6.1.21-v8+ has no imx500")
        );
        assert_eq!(driver(&tree.host(), Need::Required, false).verdict, Verdict::Fail);
        tree.write(
            "lib/modules/6.1.21-v8+/modules.dep",
            "kernel/drivers/media/i2c/imx500.ko.xz: a\n",
        );
        assert_eq!(driver(&tree.host(), Need::Hoped, false).verdict, Verdict::Ok);
        tree.write("proc/modules", "imx500 45056 1 - Live 0x0000000000000000\n");
        assert_eq!(driver(&tree.host(), Need::Hoped, false).found, "imx500 is loaded");
        tree.write("proc/version", "Linux version 6.12 (x@y) #1 SMP (2025-06-26)\n");
        let forgetful = driver(&tree.host(), Need::Hoped, false);
        assert_eq!(forgetful.verdict, Verdict::Ok);
        assert!(forgetful.found.contains("linux#7323"), "{forgetful}");
    }

    #[test]
    fn sub_device_is_told_by_its_name_and_its_absence_by_the_others() {
        let tree = Tree::new();
        tree.write("sys/class/video4linux/v4l-subdev0/name", "imx708\n");
        let check = |tree: &Tree| {
            let host = tree.host();
            sub_device(&host, &sub_devices(&host), Need::Hoped, false)
        };
        assert_eq!(check(&tree).found, "none among imx708");
        tree.write("sys/class/video4linux/v4l-subdev2/name", "imx500 10-001a\n");
        assert_eq!(check(&tree).found, "imx500 10-001a at /dev/v4l-subdev2");
        assert_eq!(look(&tree.host(), &Config::default()), Camera::Found("10-001a".into()));
        let mut other = Config::default();
        other.camera.id = "4-001a".into();
        assert!(matches!(look(&tree.host(), &other), Camera::Unusable(_)));
    }

    #[test]
    fn firmware_is_two_files_compressed_or_not() {
        let tree = Tree::new();
        tree.write("lib/firmware/imx500_loader.fpk.xz", "");
        let check = firmware(&tree.host(), Need::Hoped);
        assert_eq!(check.verdict, Verdict::Warn);
        assert!(check.found.starts_with("no imx500_firmware.fpk under"), "{check}");
        assert_eq!(check.next.as_deref(), Some("`sudo apt install imx500-firmware`"));
        tree.write("lib/firmware/imx500_firmware.fpk", "");
        assert_eq!(firmware(&tree.host(), Need::Required).verdict, Verdict::Ok);
    }

    #[test]
    fn missing_camera_is_a_warning_where_the_simulated_sensor_may_take_its_place() {
        let tree = Tree::new();
        tree.write("sys/class/tty/x", "");
        let host = tree.host();
        let mut config = Config::default();
        let absent = look(&host, &config);
        assert!(matches!(absent, Camera::Absent(_)));
        let verdicts = |config: &Config| -> Vec<Verdict> {
            checks(&host, config, None, &absent).iter().map(|check| check.verdict).collect()
        };
        assert_eq!(verdicts(&config), [Verdict::Warn]);
        config.source.kind = Kind::Simulated;
        assert_eq!(verdicts(&config), [Verdict::Skipped]);
        config.source.kind = Kind::Imx500;
        assert!(verdicts(&config).contains(&Verdict::Fail));
    }
}
