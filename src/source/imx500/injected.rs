//! What somebody injects into a virtual camera: the other node behind it. Whoever plays the silicon runs the
//! network on these tensors.
//!
//! ```text
//!   0 "CINJ"  4 frame count  8 length  12 -  16 bytes as the sensor stores them, padding included
//! ```

use std::path::Path;

use super::error::CameraError;
use super::feed::find;
use super::queue::{Queue, Taken};
use super::receiver::Stream;
use super::uapi::Zero;
use super::uapi::subdev::MbusFormat;
use super::uapi::video;
use crate::formats::reader::Reader;

/// A node that tells what was injected.
#[derive(Debug)]
pub struct Injections {
    queue: Queue,
    buffer: Vec<u8>,
}

/// An input tensor, and where its output is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// The sensor's counter of the frame that is to carry the output.
    pub frame_count: u8,
    /// Bytes as the sensor stores them, padding included.
    pub stream: Vec<u8>,
}

impl Injections {
    /// Opens the node behind the virtual camera `camera`, or the only one there is; tensors have at most
    /// this many bytes.
    ///
    /// # Errors
    /// When there is none, or it is in use.
    pub fn open(camera: Option<&str>, max_len_bytes: u32) -> Result<Self, CameraError> {
        let path = find(Path::new("/dev"), video::V4L2_CAP_META_CAPTURE, camera)?;
        let (mut queue, _) = Queue::open_outside_graph(&path, Stream::Metadata)?;
        let width = max_len_bytes.saturating_add(HEADER_LEN);
        queue.set_metadata_format(&MbusFormat { width, ..MbusFormat::ZERO })?;
        queue.allocate(BUFFERS)?;
        let started = queue.start();
        started.map_err(|errno| CameraError::of("wait for injected tensors", &path, errno))?;
        Ok(Self { queue, buffer: Vec::new() })
    }

    /// What was injected since the last call, without waiting.
    ///
    /// # Errors
    /// When the driver refuses, or says what cannot be read.
    pub fn take(&mut self) -> Result<Option<Injected>, CameraError> {
        let Taken::Filled(filled) = self.queue.take()? else { return Ok(None) };
        filled.copy_to(usize::MAX, &mut self.buffer);
        drop(filled);
        parse(&self.buffer).map(Some).ok_or_else(|| {
            CameraError::Unsuitable(format!(
                "{} tells of an injected tensor what cannot be read: is the module of this version \
                 loaded?",
                self.queue.path().display()
            ))
        })
    }
}

fn parse(bytes: &[u8]) -> Option<Injected> {
    let mut r = Reader::new(bytes);
    if r.take(4, "magic").ok()? != b"CINJ" {
        return None;
    }
    let frame_count = u8::try_from(r.u32_le("frame count").ok()?).ok()?;
    let len = usize::try_from(r.u32_le("length").ok()?).ok()?;
    r.take(4, "reserved").ok()?;
    Some(Injected { frame_count, stream: r.take(len, "tensor").ok()?.to_vec() })
}

const HEADER_LEN: u32 = 16;
/// Whoever injects waits for the answer: more than one wait only when two do.
const BUFFERS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injected_tensor_is_read_and_every_truncation_refused() {
        #[rustfmt::skip]
        let bytes = [
            b'C', b'I', b'N', b'J',
            0xfe, 0, 0, 0,
            3, 0, 0, 0,
            0, 0, 0, 0,
            7, 8, 9,
        ];
        assert_eq!(parse(&bytes), Some(Injected { frame_count: 254, stream: vec![7, 8, 9] }));
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), None, "len {len}");
        }
        assert_eq!(parse(b"FEED\x01\0\0\0\0\0\0\0\0\0\0\0"), None);
    }
}
