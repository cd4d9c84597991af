//! A capture node and its buffers.
//!
//! ```text
//!            allocate             start              dequeue             copy_to, drop
//!   [idle] ------------> [queued] ------> [streaming] ------> [Filled] ----------------> [queued]
//!      ^                                       |
//!      +--------- stop, free or drop ----------+
//! ```
//!
//! Bytes are copied out and a buffer goes back to the driver at once: one that is kept starves the
//! sensor, since the receiver waits for a buffer on every node.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::error::CameraError;
use super::ioctl::{self, Dequeued};
use super::mapping::Mapping;
use super::receiver::Stream;
use super::uapi::Zero;
use super::uapi::subdev::MbusFormat;
use super::uapi::video::{self, Buffer, MetaFormat, PictureFormat, RequestBuffers};
use crate::source::BayerOrder;

/// A node that is open for capture.
#[derive(Debug)]
pub(super) struct Queue {
    node: File,
    path: PathBuf,
    kind: u32,
    buffers: Vec<Mapping>,
    streaming: bool,
}

/// Size and form of raw pictures.
#[derive(Debug, Clone, Copy)]
pub(super) struct PictureLayout {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) stride_bytes: usize,
    pub(super) len_bytes: usize,
    pub(super) order: BayerOrder,
}

/// What came of a wait for a buffer.
#[derive(Debug)]
pub(super) enum Taken<'q> {
    Filled(Filled<'q>),
    /// None is filled yet.
    NotReady,
}

/// A filled buffer. Dropping it gives it back to the driver.
#[derive(Debug)]
pub(super) struct Filled<'q> {
    queue: &'q Queue,
    buffer: Buffer,
}

impl Queue {
    /// Opens a node of a receiver: one that captures what is expected, by the formats of the media graph.
    pub(super) fn open(path: &Path, stream: Stream) -> Result<Self, CameraError> {
        let (queue, can) = Self::open_outside_graph(path, stream)?;
        if can & video::V4L2_CAP_IO_MC == 0 {
            return Err(CameraError::Unsuitable(format!(
                "the receiver behind {} hides the sensor from its media graph; take dtoverlay=imx500 as \
                 Raspberry Pi ships it (it sets brcm,media-controller)",
                path.display()
            )));
        }
        Ok(queue)
    }

    /// Opens a node that captures what is expected; gives its capabilities too.
    pub(super) fn open_outside_graph(
        path: &Path,
        stream: Stream,
    ) -> Result<(Self, u32), CameraError> {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("it is one low bit");
        let node = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        let node = node.map_err(|error| CameraError::open(path, &error))?;
        let refused = |errno| CameraError::of("ask what the node can do", path, errno);
        let can = ioctl::query_capability(node.as_fd()).map_err(refused)?.device_caps;
        let (kind, captures, what) = match stream {
            Stream::Picture => {
                (video::V4L2_BUF_TYPE_VIDEO_CAPTURE, video::V4L2_CAP_VIDEO_CAPTURE, "pictures")
            }
            Stream::Metadata => {
                (video::V4L2_BUF_TYPE_META_CAPTURE, video::V4L2_CAP_META_CAPTURE, "metadata")
            }
        };
        if can & captures == 0 || can & video::V4L2_CAP_STREAMING == 0 {
            return Err(CameraError::Unsuitable(format!(
                "{} does not capture {what} (its capabilities are {can:#010x}); please report this with \
                 the output of `media-ctl -p`",
                path.display()
            )));
        }
        let path = path.to_owned();
        Ok((Self { node, path, kind, buffers: Vec::new(), streaming: false }, can))
    }

    /// Makes room for what the metadata pad sends. The Pi 5's receiver takes any length from the pad's on,
    /// the Pi 4's exactly the pad's.
    pub(super) fn set_metadata_format(&self, pad: &MbusFormat) -> Result<(), CameraError> {
        let now = ioctl::meta_format(self.node.as_fd(), self.kind);
        let now = now.map_err(|errno| self.refused("ask for the metadata format", errno))?;
        let wanted = MetaFormat { buffersize: pad.width, ..now };
        let set = ioctl::set_meta_format(self.node.as_fd(), wanted);
        let set = set.map_err(|errno| self.refused("set the metadata format", errno))?;
        if set.buffersize < pad.width {
            return Err(CameraError::Unsuitable(format!(
                "{} gives metadata {} bytes a frame; the sensor sends {}: take a network with smaller \
                 tensors",
                self.path.display(),
                set.buffersize,
                pad.width
            )));
        }
        Ok(())
    }

    /// Sets the picture pad's size and Bayer order, 10 bits packed; gives how a picture lies in memory.
    pub(super) fn set_picture_format(
        &self,
        pad: &MbusFormat,
    ) -> Result<PictureLayout, CameraError> {
        let (order, pixelformat) = packed_format(pad.code).ok_or_else(|| {
            let code = pad.code;
            CameraError::Unsuitable(format!(
                "the sensor's pictures have format {code:#06x}, which is no 10-bit Bayer format"
            ))
        })?;
        let wanted = PictureFormat {
            queue: self.kind,
            width: pad.width,
            height: pad.height,
            pixelformat,
            field: video::V4L2_FIELD_NONE,
            ..PictureFormat::ZERO
        };
        let set = ioctl::set_picture_format(self.node.as_fd(), wanted);
        let set = set.map_err(|errno| self.refused("set the picture format", errno))?;
        if (set.width, set.height, set.pixelformat) == (pad.width, pad.height, pixelformat) {
            Ok(PictureLayout {
                width: set.width as usize,
                height: set.height as usize,
                stride_bytes: set.bytesperline as usize,
                len_bytes: set.sizeimage as usize,
                order,
            })
        } else {
            Err(CameraError::Unsuitable(format!(
                "{} cannot capture {}x{} packed 10-bit pictures; it offers {}x{}",
                self.path.display(),
                pad.width,
                pad.height,
                set.width,
                set.height
            )))
        }
    }

    /// Makes at least `count` buffers and gives them all to the driver.
    pub(super) fn allocate(&mut self, count: u32) -> Result<(), CameraError> {
        let made = self.request(count).map_err(|e| self.refused("allocate its buffers", e))?;
        for index in 0..made {
            let mapped = self.map(index).map_err(|e| self.refused("map its buffers", e))?;
            self.buffers.push(mapped);
        }
        for index in 0..made {
            let queued = ioctl::queue_buffer(self.node.as_fd(), self.kind, index);
            queued.map_err(|errno| self.refused("queue its buffers", errno))?;
        }
        Ok(())
    }

    /// `VIDIOC_STREAMON`, with the kernel's own answer.
    pub(super) fn start(&mut self) -> Result<(), Errno> {
        ioctl::stream_on(self.node.as_fd(), self.kind)?;
        self.streaming = true;
        Ok(())
    }

    /// Stops the stream, frees the buffers, and leaves the node as it was opened.
    pub(super) fn stop(&mut self) {
        if self.streaming {
            self.streaming = false;
            // Refused only when the device has gone, and with it the stream.
            let _ = ioctl::stream_off(self.node.as_fd(), self.kind);
        }
        if !self.buffers.is_empty() {
            self.buffers.clear();
            // As above; the driver frees what is left when the node closes.
            let _ = self.request(0);
        }
    }

    /// The next filled buffer, without waiting.
    pub(super) fn take(&self) -> Result<Taken<'_>, CameraError> {
        match ioctl::dequeue_buffer(self.node.as_fd(), self.kind) {
            Ok(Dequeued::Buffer(buffer)) => Ok(Taken::Filled(Filled { queue: self, buffer })),
            Ok(Dequeued::NotReady) => Ok(Taken::NotReady),
            // A driver that ends a stream by an error answers EIO from then on (vb2_queue_error).
            Ok(Dequeued::Ended) | Err(Errno::IO) => {
                Err(CameraError::StreamEnded { path: self.path.clone() })
            }
            Err(errno) => Err(self.refused("take a frame", errno)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn request(&self, count: u32) -> Result<u32, Errno> {
        let request = RequestBuffers {
            count,
            queue: self.kind,
            memory: video::V4L2_MEMORY_MMAP,
            // Cached memory where the driver has it: reading uncached memory is several times slower.
            // Drivers that have only one kind ignore this.
            flags: V4L2_MEMORY_FLAG_NON_COHERENT,
            ..RequestBuffers::ZERO
        };
        Ok(ioctl::request_buffers(self.node.as_fd(), request)?.count)
    }

    fn map(&self, index: u32) -> Result<Mapping, Errno> {
        let buffer = ioctl::query_buffer(self.node.as_fd(), self.kind, index)?;
        Mapping::new(self.node.as_fd(), buffer.length as usize, buffer.offset.into())
    }

    fn refused(&self, doing: &str, errno: Errno) -> CameraError {
        CameraError::of(doing, &self.path, errno)
    }

    #[cfg(test)]
    pub(super) fn of_no_device() -> Self {
        let node = File::open("/dev/null").expect("every system has it");
        let kind = video::V4L2_BUF_TYPE_META_CAPTURE;
        Self { node, path: "/dev/null".into(), kind, buffers: vec![], streaming: false }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Filled<'_> {
    /// The receiver's number of the frame; wraps at 2^32.
    pub(super) fn sequence(&self) -> u32 {
        self.buffer.sequence
    }

    /// Whether the receiver says that its bytes are damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.buffer.flags & video::V4L2_BUF_FLAG_ERROR != 0
    }

    /// Bytes that the receiver has written.
    pub(super) fn len_bytes(&self) -> usize {
        self.buffer.bytesused as usize
    }

    /// Start of the frame on CLOCK_MONOTONIC; none where the driver stamps by another clock.
    pub(super) fn stamp(&self) -> Option<Duration> {
        let clock = self.buffer.flags & video::V4L2_BUF_FLAG_TIMESTAMP_MASK;
        let monotonic = clock == video::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC
            || clock == video::V4L2_BUF_FLAG_TIMESTAMP_COPY;
        let seconds = u64::try_from(self.buffer.seconds).ok().filter(|_| monotonic)?;
        let micros = u64::try_from(self.buffer.microseconds).ok()?;
        Some(Duration::from_secs(seconds) + Duration::from_micros(micros))
    }

    /// Replaces what is in `into` by at most `len` bytes of the frame.
    pub(super) fn copy_to(&self, len: usize, into: &mut Vec<u8>) {
        match self.queue.buffers.get(self.buffer.index as usize) {
            Some(mapping) => mapping.copy_to(len.min(self.len_bytes()), into),
            // The driver gives no other numbers than it made buffers.
            None => into.clear(),
        }
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        // Refused only when the device has gone, which the next `take` says.
        let _ = ioctl::queue_buffer(self.queue.as_fd(), self.queue.kind, self.buffer.index);
    }
}

/// The Bayer order of a 10-bit format on the bus (`linux/media-bus-format.h`), and the packed picture
/// format that goes with it.
fn packed_format(code: u32) -> Option<(BayerOrder, u32)> {
    let (order, letters) = match code {
        0x3007 => (BayerOrder::Bggr, b"pBAA"),
        0x300a => (BayerOrder::Grbg, b"pgAA"),
        0x300e => (BayerOrder::Gbrg, b"pGAA"),
        0x300f => (BayerOrder::Rggb, b"pRAA"),
        _ => return None,
    };
    Some((order, u32::from_le_bytes(*letters)))
}

/// Buffers may be cached (`linux/videodev2.h` since 5.9).
const V4L2_MEMORY_FLAG_NON_COHERENT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(queue: &Queue, flags: u32, seconds: i64) -> Filled<'_> {
        let buffer = Buffer { flags, seconds, microseconds: 250, index: 9, ..Buffer::ZERO };
        Filled { queue, buffer }
    }

    #[test]
    fn stamps_count_only_on_the_clock_that_is_compared_with() {
        let queue = Queue::of_no_device();
        let wanted = Some(Duration::new(7, 250_000));
        assert_eq!(filled(&queue, 0x2000, 7).stamp(), wanted);
        assert_eq!(filled(&queue, 0x4000, 7).stamp(), wanted, "copied from whoever fed it");
        assert_eq!(filled(&queue, 0, 7).stamp(), None, "unknown clock");
        assert_eq!(filled(&queue, 0x2000, -1).stamp(), None);
    }

    #[test]
    fn buffer_number_that_was_never_made_gives_no_bytes() {
        let queue = Queue::of_no_device();
        let mut into = vec![1, 2, 3];
        filled(&queue, 0x40, 0).copy_to(3, &mut into);
        assert!(into.is_empty());
        assert!(filled(&queue, 0x40, 0).is_damaged());
    }

    #[test]
    fn every_bayer_order_has_its_packed_format() {
        // V4L2_PIX_FMT_SRGGB10P and so on, as the headers have them.
        for (code, order, format) in [
            (0x3007, BayerOrder::Bggr, 0x4141_4270),
            (0x300a, BayerOrder::Grbg, 0x4141_6770),
            (0x300e, BayerOrder::Gbrg, 0x4141_4770),
            (0x300f, BayerOrder::Rggb, 0x4141_5270),
        ] {
            assert_eq!(packed_format(code), Some((order, format)));
        }
        assert_eq!(packed_format(0x2006), None, "YUV");
    }

    #[test]
    fn node_that_is_no_device_is_refused() {
        let error = Queue::open(Path::new("/dev/null"), Stream::Metadata).unwrap_err();
        assert!(error.to_string().starts_with("cannot ask what the node can do (/dev/null)"));
    }
}
