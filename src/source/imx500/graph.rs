//! A media device as the kernel describes it: entities, the links between their pads, and the device
//! nodes behind them. A Raspberry Pi has one per camera connector, besides those of its codecs.
//!
//! ```text
//!   imx500 10-001a               csi2
//!   /dev/v4l-subdev2             /dev/v4l-subdev0              rp1-cfe-csi2_ch0  /dev/video0
//!     pad 0 (picture)  ------->  pad 0      pad 4  -------->   pad 0
//!     pad 1 (metadata) ------->  pad 1      pad 5  -------->   pad 0
//!                                                              rp1-cfe-embedded  /dev/video1
//! ```
//!
//! Numbers of device nodes and entities differ from boot to boot: things are found by name and link.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::ioctl::{self, Tables};
use super::uapi::media::{self, MEDIA_ENT_F_CAM_SENSOR, MEDIA_LNK_FL_ENABLED};
use super::uapi::media::{MEDIA_LNK_FL_IMMUTABLE, MEDIA_PAD_FL_SOURCE};
use super::uapi::text;

/// A media device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Graph {
    /// Such as `/dev/media2`.
    pub(super) path: PathBuf,
    /// Name of the kernel driver, such as `rp1-cfe`.
    pub(super) driver: String,
    pub(super) entities: Vec<Entity>,
    pub(super) links: Vec<Link>,
}

/// A part of the graph: sensor, receiver, node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) id: u32,
    pub(super) name: String,
    /// Whether it is an image sensor.
    pub(super) is_sensor: bool,
    /// In the order of their index.
    pub(super) pads: Vec<Direction>,
    /// Its device node, such as `/dev/v4l-subdev2`.
    pub(super) node: Option<PathBuf>,
    /// Of a sensor: its I2C device and who drives it.
    pub(super) device: Option<Device>,
}

/// Whether a pad takes or gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Sink,
    Source,
}

/// What sysfs says of the device behind a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// Its I2C name, such as `10-001a`.
    pub(super) name: String,
    /// Its driver, such as `imx500`.
    pub(super) driver: String,
}

/// Pad of an entity, by the entity's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PadAt {
    pub(super) entity: u32,
    pub(super) pad: u32,
}

/// From a source pad to a sink pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) source: PadAt,
    pub(super) sink: PadAt,
    pub(super) enabled: bool,
    pub(super) immutable: bool,
}

impl Graph {
    /// Asks the kernel.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let media = File::open(path)?;
        let info = ioctl::device_info(media.as_fd())?;
        let tables = ioctl::topology(media.as_fd())?;
        Ok(Self::assemble(path.to_owned(), text(&info.driver), &tables, &Sysfs::default()))
    }

    fn assemble(path: PathBuf, driver: String, tables: &Tables, sysfs: &Sysfs) -> Self {
        let entities = tables.entities.iter().map(|entity| {
            let mut pads: Vec<&media::Pad> =
                tables.pads.iter().filter(|pad| pad.entity_id == entity.id).collect();
            pads.sort_by_key(|pad| pad.index);
            let is_sensor = entity.function == MEDIA_ENT_F_CAM_SENSOR;
            let numbers = device_numbers(tables, entity.id);
            Entity {
                id: entity.id,
                name: text(&entity.name),
                is_sensor,
                pads: pads.iter().map(|pad| direction(pad.flags)).collect(),
                node: numbers.and_then(|numbers| sysfs.node(numbers)),
                device: numbers.filter(|_| is_sensor).and_then(|numbers| sysfs.device(numbers)),
            }
        });
        let links = tables.links.iter().filter_map(|link| {
            Some(Link {
                source: pad_at(tables, link.source_id)?,
                sink: pad_at(tables, link.sink_id)?,
                enabled: link.flags & MEDIA_LNK_FL_ENABLED != 0,
                immutable: link.flags & MEDIA_LNK_FL_IMMUTABLE != 0,
            })
        });
        Self { path, driver, entities: entities.collect(), links: links.collect() }
    }

    pub(super) fn entity(&self, id: u32) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.id == id)
    }

    pub(super) fn named(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.name == name)
    }

    /// The pad at the other end of a link from this one.
    pub(super) fn sinks_of(&self, source: PadAt) -> impl Iterator<Item = PadAt> {
        self.links.iter().filter(move |link| link.source == source).map(|link| link.sink)
    }
}

impl Entity {
    pub(super) fn pad(&self, pad: u32) -> PadAt {
        PadAt { entity: self.id, pad }
    }

    /// How many pads take, how many give.
    pub(super) fn pad_counts(&self) -> (usize, usize) {
        let sinks = self.pads.iter().filter(|pad| **pad == Direction::Sink).count();
        (sinks, self.pads.len() - sinks)
    }
}

fn direction(flags: u32) -> Direction {
    if flags & MEDIA_PAD_FL_SOURCE != 0 { Direction::Source } else { Direction::Sink }
}

/// `None` where the id is not that of a pad: the other links lead from a device node to its entity.
fn pad_at(tables: &Tables, id: u32) -> Option<PadAt> {
    let pad = tables.pads.iter().find(|pad| pad.id == id)?;
    Some(PadAt { entity: pad.entity_id, pad: pad.index })
}

/// Major and minor number of the node of an entity.
fn device_numbers(tables: &Tables, entity: u32) -> Option<(u32, u32)> {
    tables.links.iter().filter(|link| link.sink_id == entity).find_map(|link| {
        let interface =
            tables.interfaces.iter().find(|interface| interface.id == link.source_id)?;
        Some((interface.major, interface.minor))
    })
}

/// What sysfs says of device nodes.
struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self { root: PathBuf::from("/sys") }
    }
}

impl Sysfs {
    fn folder(&self, (major, minor): (u32, u32)) -> PathBuf {
        self.root.join(format!("dev/char/{major}:{minor}"))
    }

    /// The node's path, as the kernel asks udev to name it.
    fn node(&self, numbers: (u32, u32)) -> Option<PathBuf> {
        let described = fs::read_to_string(self.folder(numbers).join("uevent")).ok()?;
        let name = described.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
        Some(Path::new("/dev").join(name))
    }

    fn device(&self, numbers: (u32, u32)) -> Option<Device> {
        let device = fs::canonicalize(self.folder(numbers).join("device")).ok()?;
        let driver = fs::canonicalize(device.join("driver")).ok()?;
        let last = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
        Some(Device { name: last(&device)?, driver: last(&driver)? })
    }
}

#[cfg(test)]
pub(super) mod recorded {
    //! Graphs written down by `media-ctl -p` (v4l-utils).

    use super::*;

    /// Reads one graph. What sysfs would add (device name and driver) follows from the entity's name.
    pub(crate) fn graph(path: &str, recorded: &str) -> Graph {
        let driver = recorded.lines().find_map(|line| line.strip_prefix("driver")).unwrap().trim();
        let mut graph =
            Graph { path: path.into(), driver: driver.into(), entities: vec![], links: vec![] };
        let mut links = Vec::new();
        for line in recorded.lines().map(str::trim) {
            if let Some(line) = line.strip_prefix("- entity ") {
                let (id, rest) = line.split_once(": ").unwrap();
                let name = rest.rsplit_once(" (").unwrap().0.to_owned();
                graph.entities.push(Entity {
                    id: id.parse().unwrap(),
                    name,
                    is_sensor: false,
                    pads: vec![],
                    node: None,
                    device: None,
                });
                continue;
            }
            let Some(entity) = graph.entities.last_mut() else { continue };
            if line.contains("subtype Sensor") {
                entity.is_sensor = true;
                let (driver, name) = entity.name.split_once(' ').unwrap();
                entity.device = Some(Device { name: name.into(), driver: driver.into() });
            } else if let Some(node) = line.strip_prefix("device node name ") {
                entity.node = Some(node.into());
            } else if let Some((_, kind)) =
                line.split_once(": ").filter(|(pad, _)| pad.starts_with("pad"))
            {
                let source = kind.to_lowercase().starts_with("source");
                entity.pads.push(if source { Direction::Source } else { Direction::Sink });
            } else if let Some(link) = line.strip_prefix("-> \"") {
                // "csi2":0 [ENABLED,IMMUTABLE]
                let (to, rest) = link.split_once("\":").unwrap();
                let (pad, flags) = rest.split_once(' ').unwrap();
                let source = entity.pad(u32::try_from(entity.pads.len() - 1).unwrap());
                links.push((source, to.to_owned(), pad.parse().unwrap(), flags.to_owned()));
            }
        }
        for (source, to, pad, flags) in links {
            let sink = graph.named(&to).unwrap().pad(pad);
            let (enabled, immutable) = (flags.contains("ENABLED"), flags.contains("IMMUTABLE"));
            graph.links.push(Link { source, sink, enabled, immutable });
        }
        graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::imx500::uapi::Zero;
    use std::os::unix::fs::symlink;

    fn named<const N: usize>(name: &str) -> [u8; N] {
        let mut field = [0; N];
        field[..name.len()].copy_from_slice(name.as_bytes());
        field
    }

    /// Ids as the kernel gives them: pads, links and interfaces carry their kind in the high byte.
    #[test]
    fn assembles_entities_pads_links_and_nodes_from_the_four_tables() {
        let folder = tempfile::tempdir().unwrap();
        let sys = folder.path();
        let i2c = sys.join("devices/i2c-10/10-001a");
        fs::create_dir_all(&i2c).unwrap();
        fs::create_dir_all(sys.join("bus/i2c/drivers/imx500")).unwrap();
        symlink(sys.join("bus/i2c/drivers/imx500"), i2c.join("driver")).unwrap();
        let char_dev = sys.join("dev/char/81:5");
        fs::create_dir_all(&char_dev).unwrap();
        symlink(&i2c, char_dev.join("device")).unwrap();
        fs::write(char_dev.join("uevent"), "MAJOR=81\nMINOR=5\nDEVNAME=v4l-subdev2\n").unwrap();

        let tables = Tables {
            entities: vec![
                media::Entity {
                    id: 16,
                    name: named("imx500 10-001a"),
                    function: MEDIA_ENT_F_CAM_SENSOR,
                    ..media::Entity::ZERO
                },
                media::Entity { id: 1, name: named("csi2"), ..media::Entity::ZERO },
            ],
            interfaces: vec![media::Interface {
                id: 0x0300_0001,
                major: 81,
                minor: 5,
                ..media::Interface::ZERO
            }],
            pads: vec![
                media::Pad {
                    id: 0x0100_0002,
                    entity_id: 16,
                    flags: 2,
                    index: 1,
                    ..media::Pad::ZERO
                },
                media::Pad {
                    id: 0x0100_0001,
                    entity_id: 16,
                    flags: 2,
                    index: 0,
                    ..media::Pad::ZERO
                },
                media::Pad {
                    id: 0x0100_0003,
                    entity_id: 1,
                    flags: 1,
                    index: 0,
                    ..media::Pad::ZERO
                },
            ],
            links: vec![
                media::Link {
                    source_id: 0x0100_0001,
                    sink_id: 0x0100_0003,
                    flags: 3,
                    ..media::Link::ZERO
                },
                media::Link {
                    source_id: 0x0300_0001,
                    sink_id: 16,
                    // From a node to its entity.
                    flags: 0x1000_0003,
                    ..media::Link::ZERO
                },
            ],
        };
        let graph = Graph::assemble(
            "/dev/media2".into(),
            "rp1-cfe".into(),
            &tables,
            &Sysfs { root: sys.to_owned() },
        );
        let sensor = graph.named("imx500 10-001a").unwrap();
        assert_eq!(sensor.node.as_deref(), Some(Path::new("/dev/v4l-subdev2")));
        assert_eq!(sensor.device, Some(Device { name: "10-001a".into(), driver: "imx500".into() }));
        assert!(sensor.is_sensor);
        assert_eq!(sensor.pad_counts(), (0, 2));
        let csi2 = graph.named("csi2").unwrap();
        assert_eq!((csi2.node.clone(), csi2.is_sensor), (None, false));
        assert_eq!(
            graph.links,
            [Link { source: sensor.pad(0), sink: csi2.pad(0), enabled: true, immutable: true }]
        );
        assert_eq!(graph.sinks_of(sensor.pad(0)).collect::<Vec<_>>(), [csi2.pad(0)]);
    }
}
