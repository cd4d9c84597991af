//! Finds AI Cameras: an image sensor in some media graph that the kernel's imx500 driver drives. Never by
//! the number of a device node: a codec, a webcam or another camera moves them all.
//!
//! A camera is called by its I2C name, such as `10-001a`, which says in which connector it is.

use std::io;
use std::path::{Path, PathBuf};

use super::graph::{Entity, Graph};
use super::receiver::{Receiver, Unusable};
use crate::source::device_node;
use crate::source::permission::{group_of, not_permitted};

/// A camera, and how its lines reach memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Camera {
    /// Such as `10-001a`.
    pub(super) id: String,
    /// Its sub-device.
    pub(super) sensor: PathBuf,
    pub(super) receiver: Receiver,
    pub(super) graph: Graph,
}

/// Why no camera can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// No receiver driver has loaded.
    #[error(
        "there is no media device (/dev/media*): the kernel has found no camera; on a Raspberry Pi set \
         dtoverlay=imx500 in /boot/firmware/config.txt and restart"
    )]
    NoMediaDevice,
    /// There are media devices, but none with an imx500.
    #[error("no AI Camera (imx500) among the {}; is its cable seated at both ends, and \
             dtoverlay=imx500 set in /boot/firmware/config.txt? `dmesg | grep imx500` says what the \
             driver found", others(.present))]
    NoCamera {
        /// Names of other sensors.
        present: Vec<String>,
    },
    /// The camera that was asked for is not there.
    #[error("no AI Camera {wanted}; there is {}", .present.join(", "))]
    NotThatCamera {
        /// What was asked for.
        wanted: String,
        /// Ids of those that are there.
        present: Vec<String>,
    },
    /// More than one is there, and none was asked for.
    #[error("{} AI Cameras are there: {}; name one with --camera", .present.len(), .present.join(", "))]
    Several {
        /// Their ids.
        present: Vec<String>,
    },
    /// The receiver is Linux's own, which has no link for the sensor's metadata.
    #[error(
        "camera {camera} is behind the rp1-cfe driver of Linux itself, which takes one stream per sensor: \
         the imx500's metadata has no way to memory; start Raspberry Pi's kernel"
    )]
    StreamsReceiver {
        /// Its id.
        camera: String,
    },
    /// The receiver is none that is known here.
    #[error(
        "camera {camera} is behind a receiver of unknown shape: driver {driver}, entities {}; please \
         report this with the output of `media-ctl -p`",
        .entities.join(", ")
    )]
    UnknownReceiver {
        /// Its id.
        camera: String,
        /// Of the media device.
        driver: String,
        /// Name of each, with its counts of sink and source pads.
        entities: Vec<String>,
    },
    /// The process may not open a media device, and no camera is behind the others.
    #[error("{}", not_permitted(.path, .group.as_deref()))]
    NotPermitted {
        /// The first such device.
        path: PathBuf,
        /// Who may open it; none where root alone may.
        group: Option<String>,
    },
    /// A media device cannot be asked.
    #[error("cannot read the media graph of {path}: {cause}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: String,
    },
}

impl DiscoveryError {
    /// Whether there is simply no camera, so that something else may take its place.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoMediaDevice | Self::NoCamera { .. } | Self::NotPermitted { .. })
    }
}

impl DiscoveryError {
    /// Whether it may be there later without anybody's doing: drivers load while the machine starts.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NoMediaDevice | Self::NoCamera { .. } | Self::NotThatCamera { .. })
    }
}

/// Finds the camera `wanted`, or the only one there is.
pub(super) fn find(wanted: Option<&str>) -> Result<Camera, DiscoveryError> {
    let mut graphs = Vec::new();
    let mut refused = None;
    for path in media_devices(Path::new("/dev")) {
        match Graph::read(&path) {
            Ok(graph) => graphs.push(graph),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let group = group_of(&path);
                refused = refused.or(Some(DiscoveryError::NotPermitted { path, group }));
            }
            // It may go at this very moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let cause = error.to_string();
                refused = refused.or(Some(DiscoveryError::Unreadable { path, cause }));
            }
        }
    }
    choose(graphs, wanted).map_err(|error| match refused {
        // The camera may be behind the one that could not be read.
        Some(refused) if error.is_absence() => refused,
        _ => error,
    })
}

fn choose(graphs: Vec<Graph>, wanted: Option<&str>) -> Result<Camera, DiscoveryError> {
    if graphs.is_empty() {
        return Err(DiscoveryError::NoMediaDevice);
    }
    let sensors = || {
        let all = graphs.iter().flat_map(|graph| graph.entities.iter().map(move |e| (graph, e)));
        all.filter(|(_, entity)| entity.is_sensor)
    };
    let mut cameras: Vec<_> = sensors().filter(|(_, sensor)| is_imx500(sensor)).collect();
    cameras.sort_by_key(|(_, sensor)| id_of(sensor));
    let ids = || cameras.iter().map(|(_, sensor)| id_of(sensor)).collect();
    let (graph, sensor) = match (wanted, cameras.as_slice()) {
        (_, []) => {
            let present = sensors().map(|(_, sensor)| sensor.name.clone()).collect();
            return Err(DiscoveryError::NoCamera { present });
        }
        (None, [camera]) => *camera,
        (None, _) => return Err(DiscoveryError::Several { present: ids() }),
        (Some(wanted), _) => {
            *cameras.iter().find(|(_, sensor)| id_of(sensor) == wanted).ok_or_else(|| {
                DiscoveryError::NotThatCamera { wanted: wanted.to_owned(), present: ids() }
            })?
        }
    };
    let camera = id_of(sensor);
    let unknown = || DiscoveryError::UnknownReceiver {
        camera: camera.clone(),
        driver: graph.driver.clone(),
        entities: graph.entities.iter().map(described).collect(),
    };
    let receiver = Receiver::of(graph, sensor).map_err(|unusable| match unusable {
        Unusable::Streams => DiscoveryError::StreamsReceiver { camera: camera.clone() },
        Unusable::Unknown => unknown(),
    })?;
    let subdev = sensor.node.clone().ok_or_else(unknown)?;
    Ok(Camera { id: camera, sensor: subdev, receiver, graph: graph.clone() })
}

/// By driver; by name where sysfs does not say (a container without it).
fn is_imx500(sensor: &Entity) -> bool {
    match &sensor.device {
        Some(device) => device.driver == DRIVER,
        None => sensor.name.split(' ').next() == Some(DRIVER),
    }
}

fn id_of(sensor: &Entity) -> String {
    match &sensor.device {
        Some(device) => device.name.clone(),
        None => sensor.name.trim_start_matches(DRIVER).trim_start().to_owned(),
    }
}

const DRIVER: &str = "imx500";

fn described(entity: &Entity) -> String {
    let (sinks, sources) = entity.pad_counts();
    format!("{} ({sinks} in, {sources} out)", entity.name)
}

fn others(present: &[String]) -> String {
    if present.is_empty() {
        "media devices, none of which has a camera".to_owned()
    } else {
        format!("cameras that are there: {}", present.join(", "))
    }
}

/// `/dev/media0`, `/dev/media1`, ...
fn media_devices(dev: &Path) -> Vec<PathBuf> {
    device_node::numbered(dev, "media")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::imx500::graph::recorded::graph;
    use crate::source::imx500::receiver::ReceiverKind;
    use std::fs;

    const PI5: &str = include_str!("../../../tests/fixtures/media/pi5_imx500.txt");
    const PI5_SECOND: &str = include_str!("../../../tests/fixtures/media/pi5_second_imx500.txt");
    const PI5_IMX708: &str = include_str!("../../../tests/fixtures/media/pi5_imx708.txt");
    const PI4: &str = include_str!("../../../tests/fixtures/media/pi4_imx500.txt");
    const UPSTREAM: &str = include_str!("../../../tests/fixtures/media/pi5_upstream_imx500.txt");
    const CODEC: &str = include_str!("../../../tests/fixtures/media/codec.txt");

    fn graphs(recorded: &[&str]) -> Vec<Graph> {
        let numbered = recorded.iter().enumerate();
        numbered.map(|(number, recorded)| graph(&format!("/dev/media{number}"), recorded)).collect()
    }

    fn said(recorded: &[&str], wanted: Option<&str>) -> String {
        choose(graphs(recorded), wanted).unwrap_err().to_string()
    }

    #[test]
    fn finds_the_camera_wherever_codecs_and_other_cameras_put_it() {
        for order in [[CODEC, PI5_IMX708, PI5], [PI5, CODEC, PI5_IMX708], [PI5_IMX708, PI5, CODEC]]
        {
            let camera = choose(graphs(&order), None).unwrap();
            assert_eq!(camera.id, "10-001a");
            assert_eq!(camera.sensor, PathBuf::from("/dev/v4l-subdev2"));
            assert_eq!(camera.graph.driver, "rp1-cfe");
        }
    }

    #[test]
    fn finds_the_camera_of_a_pi_4() {
        let camera = choose(graphs(&[CODEC, PI4]), None).unwrap();
        assert_eq!(camera.receiver.kind, ReceiverKind::Unicam);
        assert_eq!(camera.sensor, PathBuf::from("/dev/v4l-subdev0"));
    }

    #[test]
    fn several_cameras_are_told_apart_by_id() {
        let both = [PI5_SECOND, PI5];
        assert_eq!(
            said(&both, None),
            "2 AI Cameras are there: 10-001a, 11-001a; name one with --camera"
        );
        let second = choose(graphs(&both), Some("11-001a")).unwrap();
        assert_eq!(second.graph.path, PathBuf::from("/dev/media0"));
        assert_eq!(second.receiver.metadata.path, PathBuf::from("/dev/video9"));
        assert_eq!(said(&both, Some("4-001a")), "no AI Camera 4-001a; there is 10-001a, 11-001a");
    }

    #[test]
    fn absence_is_said_with_what_is_there_instead() {
        let nothing = choose(Vec::new(), None).unwrap_err();
        assert_eq!(nothing, DiscoveryError::NoMediaDevice);
        let other = choose(graphs(&[CODEC, PI5_IMX708]), None).unwrap_err();
        assert!(nothing.is_absence() && other.is_absence());
        assert!(other.to_string().contains("cameras that are there: imx708 11-001a;"), "{other}");
        assert!(said(&[CODEC], None).contains("media devices, none of which has a camera;"));
    }

    #[test]
    fn receiver_of_unknown_shape_is_described_by_its_entities() {
        let renamed = PI5.replace("rp1-cfe-embedded", "rp1-cfe-meta");
        let said = said(&[&renamed], None);
        assert!(
            said.contains("driver rp1-cfe, entities csi2 (4 in, 4 out), pisp-fe (2 in, 3 out)"),
            "{said}"
        );
        let error = choose(graphs(&[UPSTREAM]), None).unwrap_err();
        assert_eq!(error, DiscoveryError::StreamsReceiver { camera: "10-001a".into() });
        assert!(!error.is_absence());
    }

    #[test]
    fn another_driver_under_the_same_name_is_no_camera_of_ours() {
        let mut graphs = graphs(&[PI5]);
        let sensor = graphs[0].entities.iter_mut().find(|entity| entity.is_sensor).unwrap();
        sensor.device.as_mut().unwrap().driver = "imx500-clone".into();
        assert!(choose(graphs.clone(), None).unwrap_err().is_absence());
        graphs[0].entities.iter_mut().for_each(|entity| entity.device = None);
        assert_eq!(choose(graphs, None).unwrap().id, "10-001a", "its name alone has to do");
    }

    #[test]
    fn media_devices_come_in_numerical_order() {
        let dev = tempfile::tempdir().unwrap();
        for name in ["media10", "media2", "mediaX", "video0", "media"] {
            fs::write(dev.path().join(name), b"").unwrap();
        }
        let found = media_devices(dev.path());
        assert_eq!(found, [dev.path().join("media2"), dev.path().join("media10")]);
        assert!(media_devices(&dev.path().join("nowhere")).is_empty());
    }
}
