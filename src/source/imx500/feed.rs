//! The back of a virtual camera: the node through which a process plays the silicon. What is queued
//! here comes out of the camera's metadata node, byte for byte.
//!
//! ```text
//!   put --> [free] -- copy, QBUF --> [waits in the driver] -- frame sent --> DQBUF --> [free]
//! ```
//!
//! The driver gives a buffer back when it has sent it, which it does only while the camera streams: so
//! the wait for a free buffer is also the wait for the stream. Each buffer opens with a header of 32
//! bytes, which `tests/vm/virtual-imx500/feed.h` has too:
//!
//! ```text
//!   0 "FEED"  4 lost  8 silent  12 flags  16 frame count  20 metadata length  24 picture length  28 -
//! ```

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::capture::{Woken, wait_for};
use super::error::CameraError;
use super::ioctl::{self, Dequeued};
use super::mapping::{Mapping, WritableMapping};
use super::uapi::video::{self, MetaFormat, RequestBuffers};
use super::uapi::{Zero, text};
use crate::source::clock::{StopSignal, Waited};

/// A frame of the silicon, and what becomes of it on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fed<'a> {
    /// Two embedded lines and the DNN lines.
    pub metadata: &'a [u8],
    /// A raw picture: lines of 10-bit pixels, four in five bytes, back to back. Without one the driver
    /// makes one up, whose first byte is the low byte of its number.
    pub picture: &'a [u8],
    /// The sensor's counter of this frame.
    pub frame_count: u8,
    /// Frames before this one that never reach the host.
    pub lost_before: u32,
    /// Frame intervals of silence before this one.
    pub silent_before: u32,
    /// What the receiver makes of it.
    pub delivery: Delivery,
}

/// What the receiver makes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// It says that the host's buffer is full, however much came: as rp1-cfe does.
    #[default]
    Full,
    /// It says how much came.
    Counted,
    /// It marks the buffer as damaged.
    Damaged,
    /// It captures no picture of this frame.
    WithoutPicture,
    /// It ends the stream instead.
    StreamEnds,
}

impl Delivery {
    fn flags(self) -> u32 {
        match self {
            Self::Full => 0,
            Self::Damaged => 1,
            Self::Counted => 2,
            Self::WithoutPicture => 4,
            Self::StreamEnds => 8,
        }
    }
}

impl Fed<'_> {
    fn header(&self) -> [u8; HEADER_LEN_BYTES] {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let words = [
            u32::from_le_bytes(*b"FEED"),
            self.lost_before,
            self.silent_before,
            self.delivery.flags(),
            self.frame_count.into(),
            len(self.metadata),
            len(self.picture),
            0,
        ];
        let mut bytes = [0; HEADER_LEN_BYTES];
        let (places, _) = bytes.as_chunks_mut::<4>();
        places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_le_bytes());
        bytes
    }
}

/// A node that takes frames of the silicon.
#[derive(Debug)]
pub struct Feed {
    node: File,
    path: PathBuf,
    buffers: Vec<WritableMapping>,
    /// Buffers that the driver does not have.
    free: Vec<u32>,
}

impl Feed {
    /// Finds the node behind the virtual camera `camera`, or the only one there is; frames have at most
    /// this many bytes, metadata and picture.
    ///
    /// # Errors
    /// When there is none, or it takes no frames of this length.
    pub fn open(camera: Option<&str>, max_len_bytes: u32) -> Result<Self, CameraError> {
        let path = find(Path::new("/dev"), video::V4L2_CAP_META_OUTPUT, camera)?;
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("it is one low bit");
        let node = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path);
        let node = node.map_err(|error| CameraError::open(&path, &error))?;
        let mut feed = Self { node, path, buffers: Vec::new(), free: Vec::new() };
        feed.allocate(max_len_bytes.saturating_add(HEADER_LEN))?;
        Ok(feed)
    }

    fn allocate(&mut self, len_bytes: u32) -> Result<(), CameraError> {
        let fd = self.node.as_fd();
        let refused = |doing: &str, errno| CameraError::of(doing, &self.path, errno);
        let now = ioctl::meta_format(fd, QUEUE);
        let now = now.map_err(|errno| refused("ask for the fed format", errno))?;
        let wanted = MetaFormat { buffersize: len_bytes, ..now };
        ioctl::set_meta_format(fd, wanted).map_err(|e| refused("set the fed format", e))?;
        let request = RequestBuffers {
            count: BUFFERS,
            queue: QUEUE,
            memory: video::V4L2_MEMORY_MMAP,
            ..RequestBuffers::ZERO
        };
        let made = ioctl::request_buffers(fd, request);
        for index in 0..made.map_err(|e| refused("allocate its buffers", e))?.count {
            let buffer = ioctl::query_buffer(fd, QUEUE, index);
            let buffer = buffer.map_err(|e| refused("map its buffers", e))?;
            let mapping = Mapping::writable(fd, buffer.length as usize, buffer.offset.into());
            self.buffers.push(mapping.map_err(|e| refused("map its buffers", e))?);
            self.free.push(index);
        }
        ioctl::stream_on(fd, QUEUE).map_err(|e| refused("start the feed", e))
    }

    /// Where it feeds.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a free buffer, copies the frame, and hands it to the driver.
    ///
    /// # Errors
    /// When the driver refuses, or the frame is more than a buffer holds.
    pub fn put(&mut self, frame: &Fed<'_>, stop: &StopSignal) -> Result<Waited, CameraError> {
        let index = loop {
            if let Some(index) = self.free.pop() {
                break index;
            }
            if self.wait(stop)? == Woken::Stopped {
                return Ok(Waited::Stopped);
            }
            self.collect()?;
        };
        let header = frame.header();
        let len = header.len() + frame.metadata.len() + frame.picture.len();
        let mapping = &mut self.buffers[index as usize];
        if mapping.len() < len {
            self.free.push(index);
            return Err(CameraError::Unsuitable(format!(
                "{} takes {} bytes a frame, not {len}: it was opened for smaller ones",
                self.path.display(),
                mapping.len()
            )));
        }
        let mut at = 0;
        for part in [&header[..], frame.metadata, frame.picture] {
            at += mapping.copy_from(at, part);
        }
        let bytesused = u32::try_from(len).unwrap_or(u32::MAX);
        ioctl::queue_filled(self.node.as_fd(), QUEUE, index, bytesused)
            .map_err(|errno| CameraError::of("feed a frame", &self.path, errno))?;
        Ok(Waited::Reached)
    }

    /// Waits until the driver has sent everything.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn flush(&mut self, stop: &StopSignal) -> Result<Waited, CameraError> {
        while self.free.len() < self.buffers.len() {
            if self.wait(stop)? == Woken::Stopped {
                return Ok(Waited::Stopped);
            }
            self.collect()?;
        }
        Ok(Waited::Reached)
    }

    fn wait(&self, stop: &StopSignal) -> Result<Woken, CameraError> {
        let stop = stop.readable().map_err(|error| CameraError::open(&self.path, &error))?;
        wait_for(stop, &[self.node.as_fd()], LOOK_EVERY)
    }

    fn collect(&mut self) -> Result<(), CameraError> {
        loop {
            match ioctl::dequeue_buffer(self.node.as_fd(), QUEUE) {
                Ok(Dequeued::Buffer(buffer)) => self.free.push(buffer.index),
                Ok(Dequeued::NotReady | Dequeued::Ended) => return Ok(()),
                Err(errno) => return Err(CameraError::of("take a buffer back", &self.path, errno)),
            }
        }
    }
}

/// The node of the virtual camera's driver that can do this, behind the camera that is wanted.
pub(super) fn find(dev: &Path, can: u32, wanted: Option<&str>) -> Result<PathBuf, CameraError> {
    let entries = fs::read_dir(dev).into_iter().flatten().flatten();
    let videos = entries.filter(|e| e.file_name().to_string_lossy().starts_with("video"));
    let (mut behind, mut refused) = (Vec::new(), None);
    for path in videos.map(|entry| entry.path()) {
        match File::open(&path) {
            Ok(node) => behind.extend(camera_before(&node, can).map(|camera| (camera, path))),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                refused = Some(CameraError::open(&path, &error));
            }
            // It may go at this very moment.
            Err(_) => {}
        }
    }
    behind.sort();
    let named = || behind.iter().map(|(camera, _)| camera.as_str()).collect::<Vec<_>>().join(", ");
    match (behind.as_slice(), wanted) {
        ([], _) => Err(refused.unwrap_or_else(|| {
            CameraError::Unsuitable(
                "there is no virtual camera to feed; load its module (tests/vm/virtual-imx500)"
                    .to_owned(),
            )
        })),
        ([(_, path)], None) => Ok(path.clone()),
        (several, None) => Err(CameraError::Unsuitable(format!(
            "{} virtual cameras can be fed: {}; name one with --camera",
            several.len(),
            named()
        ))),
        (all, Some(wanted)) => match all.iter().find(|(camera, _)| camera == wanted) {
            Some((_, path)) => Ok(path.clone()),
            None => Err(CameraError::Unsuitable(format!(
                "there is no virtual camera {wanted}; there is {}",
                named()
            ))),
        },
    }
}

/// Id of the virtual camera behind which a node is, if it is such a node.
fn camera_before(node: &File, can: u32) -> Option<String> {
    let capability = ioctl::query_capability(node.as_fd()).ok()?;
    let is_behind = text(&capability.driver) == DRIVER && capability.device_caps & can != 0;
    is_behind.then(|| text(&capability.card))
}

const DRIVER: &str = "virtual-imx500";
const QUEUE: u32 = video::V4L2_BUF_TYPE_META_OUTPUT;
const HEADER_LEN: u32 = 32;
const HEADER_LEN_BYTES: usize = HEADER_LEN as usize;
/// One that is sent, two that wait.
const BUFFERS: u32 = 3;
/// A wait without end would not be woken by a device that goes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_eight_words_of_the_driver() {
        let frame = Fed {
            metadata: &[0xa5; 300],
            picture: &[],
            frame_count: 0x2a,
            lost_before: 3,
            silent_before: 1,
            delivery: Delivery::Counted,
        };
        #[rustfmt::skip]
        let wanted = [
            b'F', b'E', b'E', b'D',
            3, 0, 0, 0,             // lost
            1, 0, 0, 0,             // silent
            2, 0, 0, 0,             // flags
            0x2a, 0, 0, 0,          // frame count
            0x2c, 1, 0, 0,          // metadata
            0, 0, 0, 0,             // picture
            0, 0, 0, 0,
        ];
        assert_eq!(frame.header(), wanted);
    }

    #[test]
    fn without_a_virtual_camera_the_module_is_named() {
        let nowhere = tempfile::tempdir().unwrap();
        let error = find(nowhere.path(), video::V4L2_CAP_META_OUTPUT, None).unwrap_err();
        assert!(error.to_string().contains("load its module"), "{error}");
    }
}
