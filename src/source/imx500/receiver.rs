//! The ways on which a camera's lines reach memory, one per receiver.
//!
//! ```text
//!   Raspberry Pi 5, rp1-cfe              imx500:0 -> csi2:0   csi2:4 -> rp1-cfe-csi2_ch0
//!   (Raspberry Pi's driver)              imx500:1 -> csi2:1   csi2:5 -> rp1-cfe-embedded
//!
//!   Raspberry Pi 4, Zero 2 W, unicam     imx500:0 -> unicam-image
//!   (media controller mode)              imx500:1 -> unicam-embedded
//! ```
//!
//! Both are told by entity names and pad counts. rp1-cfe can capture metadata alone. unicam cannot: it
//! starts the sensor with the image node, so that its pictures are captured too and thrown away.
//!
//! Linux's own rp1-cfe (since 6.13) has one sink pad for all streams of a sensor. The imx500 driver
//! knows no streams, and its metadata pad has no link there: recognised, to be refused by name.

use std::path::PathBuf;

use super::graph::{Entity, Graph, Link, PadAt};
use crate::formats::embedded::LinePacking;

/// Which receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverKind {
    /// Raspberry Pi 5.
    Rp1Cfe,
    /// Raspberry Pi 4 and older, Zero 2 W.
    Unicam,
}

impl ReceiverKind {
    /// How it packs embedded lines.
    #[must_use]
    pub fn packing(self) -> LinePacking {
        match self {
            Self::Rp1Cfe => LinePacking::Pi5,
            Self::Unicam => LinePacking::Pi4,
        }
    }

    /// Name of its driver.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rp1Cfe => "rp1-cfe",
            Self::Unicam => "unicam",
        }
    }
}

/// What flows over a pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Picture,
    Metadata,
}

/// The way from the sensor's two pads to two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receiver {
    pub(super) kind: ReceiverKind,
    /// Pads between sensor and nodes, which must be given the sensor's formats: sub-device, pad.
    pub(super) pads: Vec<(PathBuf, u32, Stream)>,
    pub(super) picture: Node,
    pub(super) metadata: Node,
}

/// Where one stream ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) path: PathBuf,
    /// What leads to it; to be switched where it is not immutable.
    pub(super) link: Link,
}

/// Why a receiver cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Linux's own rp1-cfe.
    Streams,
    /// No entities that are known here.
    Unknown,
}

impl Receiver {
    /// Follows the links of this sensor.
    pub(super) fn of(graph: &Graph, sensor: &Entity) -> Result<Self, Unusable> {
        let names = |picture, metadata| Some((graph.named(picture)?, graph.named(metadata)?));
        if let Some((picture, metadata)) = names("unicam-image", "unicam-embedded") {
            return Self::unicam(graph, sensor, picture, metadata).ok_or(Unusable::Unknown);
        }
        let csi2 = graph.named("csi2").ok_or(Unusable::Unknown)?;
        match (csi2.pad_counts(), names("rp1-cfe-csi2_ch0", "rp1-cfe-embedded")) {
            ((4, 4), Some((picture, metadata))) => {
                Self::rp1_cfe(graph, sensor, csi2, picture, metadata).ok_or(Unusable::Unknown)
            }
            ((1, 4), None) if graph.named("rp1-cfe-csi2-ch0").is_some() => Err(Unusable::Streams),
            _ => Err(Unusable::Unknown),
        }
    }

    fn unicam(graph: &Graph, sensor: &Entity, picture: &Entity, metadata: &Entity) -> Option<Self> {
        Some(Self {
            kind: ReceiverKind::Unicam,
            pads: Vec::new(),
            picture: node(graph, sensor.pad(PICTURE_PAD), picture)?,
            metadata: node(graph, sensor.pad(METADATA_PAD), metadata)?,
        })
    }

    fn rp1_cfe(
        graph: &Graph,
        sensor: &Entity,
        csi2: &Entity,
        picture: &Entity,
        metadata: &Entity,
    ) -> Option<Self> {
        let subdev = csi2.node.clone()?;
        let mut pads = Vec::with_capacity(4);
        let mut through = |pad, stream| {
            let sink = graph.sinks_of(sensor.pad(pad)).find(|sink| sink.entity == csi2.id)?;
            let source = sink.pad + CSI2_CHANNELS;
            pads.extend([sink.pad, source].map(|pad| (subdev.clone(), pad, stream)));
            Some(csi2.pad(source))
        };
        let picture = node(graph, through(PICTURE_PAD, Stream::Picture)?, picture)?;
        let metadata = node(graph, through(METADATA_PAD, Stream::Metadata)?, metadata)?;
        Some(Self { kind: ReceiverKind::Rp1Cfe, pads, picture, metadata })
    }

    /// Whether metadata comes only while pictures are captured as well.
    pub(super) fn needs_pictures(&self) -> bool {
        self.kind == ReceiverKind::Unicam
    }

    /// Links to be switched off, then links to be switched on: those that others have left on (such as
    /// libcamera's to the front end) would make the receiver wait for nodes that nobody reads.
    pub(super) fn links(&self, graph: &Graph, pictures: bool) -> (Vec<Link>, Vec<Link>) {
        let mut wanted = vec![self.metadata.link];
        wanted.extend(pictures.then_some(self.picture.link));
        let is_wanted = |link: &Link| wanted.iter().any(|wanted| same_ends(wanted, link));
        let switched = graph.links.iter().filter(|link| !link.immutable);
        let off = switched.clone().filter(|link| link.enabled && !is_wanted(link));
        let on = switched.filter(|link| !link.enabled && is_wanted(link));
        (off.copied().collect(), on.copied().collect())
    }
}

fn same_ends(one: &Link, other: &Link) -> bool {
    (one.source, one.sink) == (other.source, other.sink)
}

fn node(graph: &Graph, source: PadAt, entity: &Entity) -> Option<Node> {
    let mut links = graph.links.iter();
    let link = links.find(|link| link.source == source && link.sink == entity.pad(0))?;
    Some(Node { path: entity.node.clone()?, link: *link })
}

/// Pads of the imx500 driver.
pub(super) const PICTURE_PAD: u32 = 0;
pub(super) const METADATA_PAD: u32 = 1;
/// What comes in at a sink pad of rp1-cfe's csi2 leaves by the source pad this many after it.
const CSI2_CHANNELS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::imx500::graph::recorded::graph;

    const PI5: &str = include_str!("../../../tests/fixtures/media/pi5_imx500.txt");
    const PI4: &str = include_str!("../../../tests/fixtures/media/pi4_imx500.txt");
    const UPSTREAM: &str = include_str!("../../../tests/fixtures/media/pi5_upstream_imx500.txt");

    fn receiver(graph: &Graph) -> Result<Receiver, Unusable> {
        Receiver::of(graph, graph.named("imx500 10-001a").unwrap())
    }

    #[test]
    fn pi5_leads_through_csi2_to_two_nodes() {
        let graph = graph("/dev/media2", PI5);
        let receiver = receiver(&graph).unwrap();
        assert_eq!(receiver.kind, ReceiverKind::Rp1Cfe);
        assert!(!receiver.needs_pictures());
        assert_eq!(receiver.picture.path, PathBuf::from("/dev/video0"));
        assert_eq!(receiver.metadata.path, PathBuf::from("/dev/video1"));
        let csi2 = PathBuf::from("/dev/v4l-subdev0");
        assert_eq!(
            receiver.pads,
            [
                (csi2.clone(), 0, Stream::Picture),
                (csi2.clone(), 4, Stream::Picture),
                (csi2.clone(), 1, Stream::Metadata),
                (csi2, 5, Stream::Metadata),
            ]
        );
    }

    #[test]
    fn pi5_switches_off_what_libcamera_left_on() {
        let graph = graph("/dev/media2", PI5);
        let receiver = receiver(&graph).unwrap();
        let named = |links: Vec<Link>| -> Vec<String> {
            let name = |at: PadAt| format!("{}:{}", graph.entity(at.entity).unwrap().name, at.pad);
            links.iter().map(|link| format!("{} {}", name(link.source), name(link.sink))).collect()
        };
        let (off, on) = receiver.links(&graph, true);
        assert_eq!(
            named(off),
            [
                "csi2:4 pisp-fe:0",
                "pisp-fe:2 rp1-cfe-fe_image0:0",
                "pisp-fe:4 rp1-cfe-fe_stats:0",
                "rp1-cfe-fe_config:0 pisp-fe:1",
            ]
        );
        assert_eq!(named(on), ["csi2:4 rp1-cfe-csi2_ch0:0"]);
        let (_, on) = receiver.links(&graph, false);
        assert_eq!(on, [], "the link to the embedded node is on already");
    }

    #[test]
    fn pi4_leads_straight_to_two_nodes_and_needs_pictures() {
        let graph = graph("/dev/media0", PI4);
        let receiver = receiver(&graph).unwrap();
        assert_eq!(receiver.kind, ReceiverKind::Unicam);
        assert!(receiver.needs_pictures());
        assert_eq!(receiver.pads, []);
        assert_eq!(receiver.picture.path, PathBuf::from("/dev/video0"));
        assert_eq!(receiver.metadata.path, PathBuf::from("/dev/video1"));
        assert_eq!(receiver.links(&graph, true), (vec![], vec![]), "its links are immutable");
    }

    #[test]
    fn receiver_of_linux_itself_is_told_apart_from_an_unknown_one() {
        assert_eq!(receiver(&graph("/dev/media2", UPSTREAM)), Err(Unusable::Streams));
        let renamed = PI5.replace("csi2", "isi");
        assert_eq!(receiver(&graph("/dev/media2", &renamed)), Err(Unusable::Unknown));
        let unlinked = PI5.replace("-> \"csi2\":1 [ENABLED,IMMUTABLE]", "");
        assert_eq!(receiver(&graph("/dev/media2", &unlinked)), Err(Unusable::Unknown));
    }
}
