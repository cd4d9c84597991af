//! The back of a virtual camera: the node through which a process plays the silicon. What is queued
//! here comes out of the camera's metadata node, byte for byte.
//!
//! ```text
//!   put --> [free] -- copy, QBUF --> [waits in the driver] -- frame sent --> DQBUF --> [free]
//! ```
//!
//! The driver gives a buffer back when it has sent it, which it does only while the camera streams: so
//! the wait for a free buffer is also the wait for the stream.

use std::fs::{self, File, OpenOptions};
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

/// A node that takes metadata buffers.
#[derive(Debug)]
pub struct Feed {
    node: File,
    path: PathBuf,
    buffers: Vec<WritableMapping>,
    /// Buffers that the driver does not have.
    free: Vec<u32>,
}

impl Feed {
    /// Opens the node at `path`, or finds the only one by its driver.
    ///
    /// # Errors
    /// When there is none, or it takes no metadata of this length.
    pub fn open(path: Option<&Path>, max_len_bytes: u32) -> Result<Self, CameraError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => find(Path::new("/dev"))?,
        };
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("it is one low bit");
        let node = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path);
        let node = node.map_err(|error| CameraError::open(&path, &error))?;
        let mut feed = Self { node, path, buffers: Vec::new(), free: Vec::new() };
        feed.allocate(max_len_bytes)?;
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

    /// Waits for a free buffer, copies the bytes, and hands them to the driver.
    ///
    /// # Errors
    /// When the driver refuses, or the bytes are more than a buffer holds.
    pub fn put(&mut self, bytes: &[u8], stop: &StopSignal) -> Result<Waited, CameraError> {
        let index = loop {
            if let Some(index) = self.free.pop() {
                break index;
            }
            if self.wait(stop)? == Woken::Stopped {
                return Ok(Waited::Stopped);
            }
            self.collect()?;
        };
        let mapping = self.buffers.get_mut(index as usize);
        let copied = mapping.map_or(0, |mapping| mapping.copy_from(bytes));
        if copied < bytes.len() {
            self.free.push(index);
            return Err(CameraError::Unsuitable(format!(
                "{} takes {copied} bytes a frame, not {}: the camera was given a network with smaller tensors",
                self.path.display(),
                bytes.len()
            )));
        }
        let bytesused = u32::try_from(copied).unwrap_or(u32::MAX);
        ioctl::queue_filled(self.node.as_fd(), QUEUE, index, bytesused)
            .map_err(|errno| CameraError::of("feed a buffer", &self.path, errno))?;
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

/// The only node of the virtual camera's driver that takes metadata.
fn find(dev: &Path) -> Result<PathBuf, CameraError> {
    let entries = fs::read_dir(dev).into_iter().flatten().flatten();
    let videos = entries.filter(|e| e.file_name().to_string_lossy().starts_with("video"));
    let mut found: Vec<PathBuf> = videos.map(|e| e.path()).filter(|path| is_feed(path)).collect();
    found.sort();
    match found.as_slice() {
        [] => Err(CameraError::Unsuitable(
            "there is no virtual camera to feed; load its module (tests/vm/virtual-imx500)"
                .to_owned(),
        )),
        [path] => Ok(path.clone()),
        several => {
            let names: Vec<String> = several.iter().map(|p| p.display().to_string()).collect();
            Err(CameraError::Unsuitable(format!(
                "{} virtual cameras can be fed: {}; name one with --device",
                several.len(),
                names.join(", ")
            )))
        }
    }
}

fn is_feed(path: &Path) -> bool {
    let Ok(node) = File::open(path) else { return false };
    ioctl::query_capability(node.as_fd()).is_ok_and(|capability| {
        text(&capability.driver) == DRIVER
            && capability.device_caps & video::V4L2_CAP_META_OUTPUT != 0
    })
}

const DRIVER: &str = "camproto-feed";
const QUEUE: u32 = video::V4L2_BUF_TYPE_META_OUTPUT;
/// One that is sent, two that wait.
const BUFFERS: u32 = 3;
/// A wait without end would not be woken by a device that goes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
