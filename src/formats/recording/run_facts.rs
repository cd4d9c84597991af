//! What holds for a whole recording: everything that a replay needs to build the same pipeline, as the keys
//! and values of one MCAP metadata record.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::formats::embedded::LinePacking;
use crate::formats::input_tensor::ColourOrder;

/// What holds for a whole recording. Each field is a key of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFacts {
    /// Version of the program that recorded.
    pub qsegment: String,
    /// When, nanoseconds since 1970. The first frame's start is placed there.
    pub started_ns: u64,
    /// Name of the network: of a built-in one, or its file.
    pub network: String,
    /// Of its file, lower-case hex.
    pub network_sha256: String,
    /// Weights and biases, where known.
    pub network_parameters: Option<u64>,
    /// Multiply-accumulates, where known.
    pub network_macs: Option<u64>,
    /// Who ran it.
    pub inference: RecordedInference,
    /// Width and height of the network's input, where the host ran it.
    pub host_input: Option<[usize; 2]>,
    /// Where the frames came from: "simulated" or "imx500".
    pub source: String,
    /// Of its time stamps: "measured" or "simulated".
    pub quality: String,
    /// Nominal.
    pub frame_interval_ns: u64,
    /// How the receiver packed embedded lines.
    pub packing: LinePacking,
    /// Read-out mode of the sensor.
    pub mode: String,
    /// Colour order of the input tensor's planes.
    pub colour_order: ColourOrder,
    /// Left, top, width and height of the inference window in full-sensor pixels; zeros are the whole sensor.
    pub inference_window: [u32; 4],
    /// Whether the picture was turned left to right, and upside down.
    pub flips: [bool; 2],
    /// The mask is where the probability byte is at least this.
    pub threshold: u8,
    /// As configured.
    pub stale_after_ms: u32,
    /// As configured.
    pub stall_after_ms: u32,
    /// Whether raw pictures were shown and are in the recording.
    pub raw_pictures: bool,
    /// What the simulated sensor looked at.
    pub scene: Option<String>,
    /// Of everything random in it.
    pub seed: Option<u64>,
}

/// Who ran the network, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedInference {
    /// The sensor: its output tensors are in the recording.
    Sensor,
    /// The host, on the sensor's input tensors.
    HostOnTensors,
    /// The host, on raw pictures.
    HostOnPictures,
}

/// Why the record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Of a version that this program does not know.
    #[error(
        "its format is {got:?}, this program reads {want:?}; replay it with the program that wrote it"
    )]
    Format {
        /// Found.
        got: String,
        /// Known.
        want: &'static str,
    },
    /// A key is not there.
    #[error("its metadata record {record:?} has no key {key:?}", record = super::FACTS_RECORD)]
    Missing {
        /// Which.
        key: &'static str,
    },
    /// A value makes no sense.
    #[error("key {key:?} of its metadata record {record:?}: got {got:?}, want {want}", record = super::FACTS_RECORD)]
    Value {
        /// Of which key.
        key: &'static str,
        /// Found.
        got: String,
        /// Accepted, in words.
        want: &'static str,
    },
}

impl RunFacts {
    /// Keys and values of the record.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let packing = name_of(&PACKINGS, self.packing);
        let mut map: BTreeMap<String, String> = [
            ("format", FORMAT.to_owned()),
            ("qsegment", self.qsegment.clone()),
            ("started_ns", self.started_ns.to_string()),
            ("network", self.network.clone()),
            ("network_sha256", self.network_sha256.clone()),
            ("inference", name_of(&INFERENCES, self.inference).to_owned()),
            ("source", self.source.clone()),
            ("quality", self.quality.clone()),
            ("frame_interval_ns", self.frame_interval_ns.to_string()),
            ("packing", packing.to_owned()),
            ("mode", self.mode.clone()),
            ("colour_order", name_of(&ORDERS, self.colour_order).to_owned()),
            ("inference_window", list(&self.inference_window)),
            ("flips", list(&self.flips)),
            ("threshold", self.threshold.to_string()),
            ("stale_after_ms", self.stale_after_ms.to_string()),
            ("stall_after_ms", self.stall_after_ms.to_string()),
            ("raw_pictures", self.raw_pictures.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let optional = [
            ("network_parameters", self.network_parameters.map(|number| number.to_string())),
            ("network_macs", self.network_macs.map(|number| number.to_string())),
            ("host_input", self.host_input.map(|size| list(&size))),
            ("scene", self.scene.clone()),
            ("seed", self.seed.map(|seed| seed.to_string())),
        ];
        map.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        map
    }

    /// Reads the record. Keys that are not known are left alone.
    pub fn from_map(map: &BTreeMap<String, String>) -> Result<Self, FactsError> {
        let keys = Keys(map);
        let format = keys.text("format")?;
        if format != FORMAT {
            return Err(FactsError::Format { got: format, want: FORMAT });
        }
        Ok(Self {
            qsegment: keys.text("qsegment")?,
            started_ns: keys.number("started_ns")?,
            network: keys.text("network")?,
            network_sha256: keys.text("network_sha256")?,
            network_parameters: keys.optional("network_parameters", Keys::number)?,
            network_macs: keys.optional("network_macs", Keys::number)?,
            inference: keys.one_of(
                "inference",
                &INFERENCES,
                "sensor, host-tensors or host-pictures",
            )?,
            host_input: keys.optional("host_input", |keys, key| {
                keys.list(key, "width and height with a comma between them")
            })?,
            source: keys.text("source")?,
            quality: keys.text("quality")?,
            frame_interval_ns: keys.number("frame_interval_ns")?,
            packing: keys.one_of("packing", &PACKINGS, "pi5 or pi4")?,
            mode: keys.text("mode")?,
            colour_order: keys.one_of("colour_order", &ORDERS, "rgb or bgr")?,
            inference_window: keys.list("inference_window", "left, top, width and height")?,
            flips: keys.list("flips", "true or false, twice")?,
            threshold: keys.number("threshold")?,
            stale_after_ms: keys.number("stale_after_ms")?,
            stall_after_ms: keys.number("stall_after_ms")?,
            raw_pictures: keys.parsed("raw_pictures", "true or false")?,
            scene: keys.optional("scene", Keys::text)?,
            seed: keys.optional("seed", Keys::number)?,
        })
    }
}

struct Keys<'a>(&'a BTreeMap<String, String>);

impl Keys<'_> {
    fn text(&self, key: &'static str) -> Result<String, FactsError> {
        self.0.get(key).cloned().ok_or(FactsError::Missing { key })
    }
    fn parsed<T: FromStr>(&self, key: &'static str, want: &'static str) -> Result<T, FactsError> {
        let got = self.text(key)?;
        got.parse().map_err(|_| FactsError::Value { key, got, want })
    }
    fn number<T: FromStr>(&self, key: &'static str) -> Result<T, FactsError> {
        self.parsed(key, "a whole number that is not too large")
    }
    fn list<T: FromStr, const N: usize>(
        &self,
        key: &'static str,
        want: &'static str,
    ) -> Result<[T; N], FactsError> {
        let got = self.text(key)?;
        let parts: Result<Vec<T>, _> = got.split(',').map(str::parse).collect();
        parts.ok().and_then(|parts| parts.try_into().ok()).ok_or(FactsError::Value {
            key,
            got,
            want,
        })
    }
    fn one_of<T: Copy>(
        &self,
        key: &'static str,
        names: &[(&str, T)],
        want: &'static str,
    ) -> Result<T, FactsError> {
        let got = self.text(key)?;
        let found = names.iter().find(|(name, _)| *name == got).map(|(_, value)| *value);
        found.ok_or(FactsError::Value { key, got, want })
    }
    fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Self, &'static str) -> Result<T, FactsError>,
    ) -> Result<Option<T>, FactsError> {
        if self.0.contains_key(key) { read(self, key).map(Some) } else { Ok(None) }
    }
}

fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    let found = names.iter().find(|(_, named)| *named == value);
    found.expect("each table names every value of its type").0
}

/// Of the keys and of the messages.
const FORMAT: &str = "1";

const INFERENCES: [(&str, RecordedInference); 3] = [
    ("sensor", RecordedInference::Sensor),
    ("host-tensors", RecordedInference::HostOnTensors),
    ("host-pictures", RecordedInference::HostOnPictures),
];
const PACKINGS: [(&str, LinePacking); 2] = [("pi5", LinePacking::Pi5), ("pi4", LinePacking::Pi4)];
const ORDERS: [(&str, ColourOrder); 2] = [("rgb", ColourOrder::Rgb), ("bgr", ColourOrder::Bgr)];
