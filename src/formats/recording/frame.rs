//! Messages with many bytes: a buffer as it was received, and a mask as viewers draw it. In protobuf, so that
//! every MCAP tool can take them apart with the schema in the file.
//!
//! ```text
//!   qsegment.Metadata                                foxglove.RawImage
//!   1 sequence                  uint64               1 timestamp  google.protobuf.Timestamp
//!   2 embedded_line_len_bytes   uint32               2 width      fixed32
//!   3 frame_start_ns            uint64               3 height     fixed32
//!   4 tensor_at_host_ns         uint64               4 encoding   string, "mono8"
//!   5 metadata                  bytes                5 step       fixed32, bytes a row
//!   6 picture                   qsegment.Picture     6 data       bytes
//!   7 window                    qsegment.Window
//! ```
//!
//! Times are those of the sensor's clock. `foxglove.RawImage` is that of foxglove/schemas 1660613.

use super::descriptor::{self, Kind};

/// A buffer as it was received.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FrameMessage {
    /// Number the receiver gave it.
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    /// Bytes of one embedded line.
    #[prost(uint32, tag = "2")]
    pub embedded_line_len_bytes: u32,
    /// Start of frame.
    #[prost(uint64, tag = "3")]
    pub frame_start_ns: u64,
    /// When its last line was at the host.
    #[prost(uint64, tag = "4")]
    pub tensor_at_host_ns: u64,
    /// Embedded lines and DNN lines.
    #[prost(bytes = "vec", tag = "5")]
    pub metadata: Vec<u8>,
    /// The raw picture, where it was wanted.
    #[prost(message, optional, tag = "6")]
    pub picture: Option<PictureMessage>,
    /// What of the sensor this buffer's own frame shows. Without it, what the run's facts say: so it is in recordings
    /// by a version in which the window could not be moved.
    #[prost(message, optional, tag = "7")]
    pub window: Option<WindowMessage>,
}

/// A window, in full-sensor pixels; without width and height, one that nobody knew because it was being moved.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct WindowMessage {
    /// Right of the left edge.
    #[prost(uint32, tag = "1")]
    pub left: u32,
    /// Below the upper edge.
    #[prost(uint32, tag = "2")]
    pub top: u32,
    /// Across.
    #[prost(uint32, tag = "3")]
    pub width: u32,
    /// Down.
    #[prost(uint32, tag = "4")]
    pub height: u32,
}

/// A raw picture, as it was received.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PictureMessage {
    /// Rows of `stride_bytes` each.
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
    /// Pixels a row.
    #[prost(uint32, tag = "2")]
    pub width: u32,
    /// Rows.
    #[prost(uint32, tag = "3")]
    pub height: u32,
    /// Bytes from row to row.
    #[prost(uint32, tag = "4")]
    pub stride_bytes: u32,
    /// Colours of the upper left four pixels, row by row: `RGGB`, `GRBG`, `GBRG` or `BGGR`.
    #[prost(string, tag = "5")]
    pub order: String,
}

/// `foxglove.RawImage`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MaskMessage {
    /// Of the picture.
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<TimeMessage>,
    /// Pixels a row.
    #[prost(fixed32, tag = "2")]
    pub width: u32,
    /// Rows.
    #[prost(fixed32, tag = "3")]
    pub height: u32,
    /// How a pixel is stored.
    #[prost(string, tag = "4")]
    pub encoding: String,
    /// Bytes a row.
    #[prost(fixed32, tag = "5")]
    pub step: u32,
    /// The pixels.
    #[prost(bytes = "vec", tag = "6")]
    pub data: Vec<u8>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeMessage {
    /// Since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And these.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

pub(super) fn metadata_schema() -> Vec<u8> {
    let metadata = descriptor::message(
        "Metadata",
        &[
            ("sequence", 1, Kind::Uint64, ""),
            ("embedded_line_len_bytes", 2, Kind::Uint32, ""),
            ("frame_start_ns", 3, Kind::Uint64, ""),
            ("tensor_at_host_ns", 4, Kind::Uint64, ""),
            ("metadata", 5, Kind::Bytes, ""),
            ("picture", 6, Kind::Message, ".qsegment.Picture"),
            ("window", 7, Kind::Message, ".qsegment.Window"),
        ],
    );
    let picture = descriptor::message(
        "Picture",
        &[
            ("bytes", 1, Kind::Bytes, ""),
            ("width", 2, Kind::Uint32, ""),
            ("height", 3, Kind::Uint32, ""),
            ("stride_bytes", 4, Kind::Uint32, ""),
            ("order", 5, Kind::Text, ""),
        ],
    );
    let window = descriptor::message(
        "Window",
        &[
            ("left", 1, Kind::Uint32, ""),
            ("top", 2, Kind::Uint32, ""),
            ("width", 3, Kind::Uint32, ""),
            ("height", 4, Kind::Uint32, ""),
        ],
    );
    let messages = vec![metadata, picture, window];
    let file = descriptor::file("qsegment.proto", "qsegment", &[], messages);
    descriptor::set(vec![file])
}

pub(super) fn mask_schema() -> Vec<u8> {
    let time = descriptor::message(
        "Timestamp",
        &[("seconds", 1, Kind::Int64, ""), ("nanos", 2, Kind::Int32, "")],
    );
    let time = descriptor::file(TIME_FILE, "google.protobuf", &[], vec![time]);
    let image = descriptor::message(
        "RawImage",
        &[
            ("timestamp", 1, Kind::Message, ".google.protobuf.Timestamp"),
            ("width", 2, Kind::Fixed32, ""),
            ("height", 3, Kind::Fixed32, ""),
            ("encoding", 4, Kind::Text, ""),
            ("step", 5, Kind::Fixed32, ""),
            ("data", 6, Kind::Bytes, ""),
        ],
    );
    let image = descriptor::file("foxglove/RawImage.proto", "foxglove", &[TIME_FILE], vec![image]);
    descriptor::set(vec![time, image])
}

const TIME_FILE: &str = "google/protobuf/timestamp.proto";
