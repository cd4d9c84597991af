//! What a recording holds: an MCAP file with the sensor's own bytes, and figures that any MCAP viewer plots.
//!
//! ```text
//!   MCAP file
//!   +--------+--------------------+-----------------------+-------+-------+     +-------------------+
//!   | header | metadata record    | attachment            | chunk | chunk | ... | summary, footer   |
//!   |        | "qsegment": facts  | config.toml           | zstd  | zstd  |     | missing after a   |
//!   +--------+--------------------+-----------------------+-------+-------+     | cut, not needed   |
//!              run_facts.rs                                  |                  +-------------------+
//!                                                            v
//!     /metadata   protobuf, frame.rs     every buffer as it was received: all that a replay needs
//!     /mask       protobuf, frame.rs     foxglove.RawImage, the probability of every published frame
//!     /result     JSON, reading.rs       what was measured in it
//!     /latency    JSON, reading.rs       how long it took, by stage
//!     /power      JSON, reading.rs       what an instrument said
//!     /vessels    JSON, reading.rs       quality and measurements of the frames that were measured
//! ```
//!
//! A chunk is whole or it is not there: it is written in one piece, and carries a checksum. The container is
//! described at <https://mcap.dev/spec>; reading and writing it is left to its makers' library.

mod descriptor;
mod frame;
mod reading;
mod run_facts;

pub use frame::{FrameMessage, MaskMessage, PictureMessage, TimeMessage, WindowMessage};
pub use reading::{
    LatencyMessage, MeasurementMessage, PowerMessage, ResultMessage, VesselsMessage,
};
pub use run_facts::{FactsError, RecordedInference, RunFacts};

/// In the file's header; by it a recording is known.
pub const PROFILE: &str = "qsegment";
/// Name of the metadata record with the [`RunFacts`].
pub const FACTS_RECORD: &str = "qsegment";
/// Name of the attachment with the whole configuration, for people: a replay does not read it.
pub const CONFIG_ATTACHMENT: &str = "config.toml";

/// A stream of messages in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Every buffer as it was received.
    Metadata,
    /// The probability map of every published frame.
    Mask,
    /// What every published frame says of itself.
    Result,
    /// Latency of every published frame.
    Latency,
    /// Samples of the instruments for power.
    Power,
    /// Quality and vessel measurements of the frames that were measured.
    Vessels,
}

/// How the messages of a channel, and its schema, are written; names as MCAP registers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf, with a FileDescriptorSet as its schema.
    Protobuf,
    /// JSON, with a JSON Schema.
    Json,
}

impl Channel {
    /// Every channel of a recording.
    pub const ALL: [Self; 6] =
        [Self::Metadata, Self::Mask, Self::Result, Self::Latency, Self::Power, Self::Vessels];

    /// As viewers show it.
    #[must_use]
    pub const fn topic(self) -> &'static str {
        match self {
            Self::Metadata => "/metadata",
            Self::Mask => "/mask",
            Self::Result => "/result",
            Self::Latency => "/latency",
            Self::Power => "/power",
            Self::Vessels => "/vessels",
        }
    }

    /// Name of its type. Viewers know `foxglove.RawImage` and draw it.
    #[must_use]
    pub const fn schema_name(self) -> &'static str {
        match self {
            Self::Metadata => "qsegment.Metadata",
            Self::Mask => "foxglove.RawImage",
            Self::Result => "qsegment.Result",
            Self::Latency => "qsegment.Latency",
            Self::Power => "qsegment.Power",
            Self::Vessels => "qsegment.Vessels",
        }
    }

    /// Of its messages.
    #[must_use]
    pub const fn encoding(self) -> Encoding {
        match self {
            Self::Metadata | Self::Mask => Encoding::Protobuf,
            Self::Result | Self::Latency | Self::Power | Self::Vessels => Encoding::Json,
        }
    }

    /// What its messages are made of.
    #[must_use]
    pub fn schema(self) -> Vec<u8> {
        match self {
            Self::Metadata => frame::metadata_schema(),
            Self::Mask => frame::mask_schema(),
            Self::Result => reading::result_schema(),
            Self::Latency => reading::latency_schema(),
            Self::Power => reading::power_schema(),
            Self::Vessels => reading::vessels_schema(),
        }
    }
}

impl Encoding {
    /// Of messages.
    #[must_use]
    pub const fn of_messages(self) -> &'static str {
        match self {
            Self::Protobuf => "protobuf",
            Self::Json => "json",
        }
    }

    /// Of schemas.
    #[must_use]
    pub const fn of_schemas(self) -> &'static str {
        match self {
            Self::Protobuf => "protobuf",
            Self::Json => "jsonschema",
        }
    }
}
