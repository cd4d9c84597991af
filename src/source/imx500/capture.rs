//! Frames out of the receiver's nodes.
//!
//! ```text
//!   poll: stop signal, metadata node, picture node
//!     |
//!     +-- picture  n --> copied and held, or thrown away where none is wanted
//!     +-- metadata n --> copied into the frame; picture n goes with it
//! ```
//!
//! Both nodes number frames from the same start of the stream. Either may be first: a picture waits for
//! its metadata, and metadata waits for its picture, but never longer than a frame. Pictures are not
//! taken further ahead than there is room for, so that none is lost to a host that is late.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use super::error::CameraError;
use super::events::{Event, Events, Numbering};
use super::queue::{PictureLayout, Queue, Taken};
use crate::source::clock::{Clock, Timestamp};
use crate::source::{Next, RawFrame, RawPicture};

/// Nodes that stream.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) metadata: Queue,
    pub(super) pictures: Option<Pictures>,
    /// What the sensor sends of a frame: embedded lines and DNN lines.
    pub(super) metadata_len_bytes: usize,
    pub(super) embedded_line_len_bytes: usize,
    pub(super) frame_interval: Duration,
    /// How long nothing may come.
    pub(super) silence_limit: Duration,
    pub(super) clock: Clock,
    pub(super) numbering: Numbering,
    pub(super) events: Events,
}

/// The picture node.
#[derive(Debug)]
pub(super) struct Pictures {
    pub(super) queue: Queue,
    /// How a picture lies in memory; none where pictures are only captured because the receiver wants it.
    pub(super) wanted: Option<PictureLayout>,
    /// Those whose metadata has not come, oldest first.
    held: VecDeque<(u32, Vec<u8>)>,
    /// Their memory, to be used again.
    spare: Vec<Vec<u8>>,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    Ready,
    TimedOut,
    Stopped,
}

impl Capture {
    /// Waits for the next frame and copies it.
    pub(super) fn next(&mut self, frame: &mut RawFrame) -> Result<Next, CameraError> {
        let result = self.next_frame(frame);
        match &result {
            Err(CameraError::Gone { .. }) => self.events.count(Event::DeviceGone),
            Err(CameraError::StreamEnded { .. }) => self.events.count(Event::StreamEnded),
            _ => {}
        }
        result
    }

    fn next_frame(&mut self, frame: &mut RawFrame) -> Result<Next, CameraError> {
        let patience = FRAME_TIMEOUT.max(self.frame_interval * FRAMES_TO_TIMEOUT);
        let began = self.clock.now();
        let mut timeouts = 0;
        loop {
            if self.wait(patience)? == Woken::Stopped {
                return Ok(Next::Ended);
            }
            self.take_pictures()?;
            if let Some(sequence) = self.take_metadata(frame)? {
                let next = self.join_picture(sequence, frame)?;
                if self.pictures.as_ref().is_some_and(|pictures| pictures.wanted.is_some()) {
                    // The wait for the picture is part of the frame's age.
                    frame.tensor_at_host = self.clock.now();
                }
                return Ok(next);
            }
            // Pictures that come without metadata are silence, too.
            let silent = self.clock.now().since(began);
            if silent >= patience * (timeouts + 1) {
                timeouts += 1;
                self.events.count(Event::FrameTimeout);
            }
            if silent >= self.silence_limit {
                return Err(CameraError::Silent { seconds: silent.as_secs() });
            }
        }
    }

    /// Copies the next metadata buffer that is fit to be handed on; gives its number in the receiver.
    fn take_metadata(&mut self, frame: &mut RawFrame) -> Result<Option<u32>, CameraError> {
        let Taken::Filled(filled) = self.metadata.take()? else { return Ok(None) };
        let now = self.clock.now();
        if filled.is_damaged() {
            let sequence = filled.sequence();
            drop(filled);
            self.events.count(Event::DamagedBuffer);
            if let Some(pictures) = &mut self.pictures {
                pictures.let_go(sequence);
            }
            return Ok(None);
        }
        // What lies behind the last line is left from earlier frames.
        filled.copy_to(self.metadata_len_bytes, &mut frame.metadata);
        let sequence = filled.sequence();
        frame.frame_start = self.start_of_frame(filled.stamp(), now);
        frame.tensor_at_host = now;
        frame.embedded_line_len_bytes = self.embedded_line_len_bytes;
        drop(filled);
        if frame.metadata.len() < self.metadata_len_bytes {
            self.events.count(Event::ShortBuffer);
        }
        let (number, gap) = self.numbering.push(sequence);
        frame.sequence = number;
        if gap {
            self.events.count(Event::SequenceGap);
        }
        Ok(Some(sequence))
    }

    /// A driver that stamps by another clock leaves nothing but the moment of arrival.
    fn start_of_frame(&self, stamp: Option<Duration>, now: Timestamp) -> Timestamp {
        stamp.map_or(now, |stamp| self.clock.at_kernel_stamp(stamp).min(now))
    }

    /// Copies as many pictures as are held, or throws every one away.
    fn take_pictures(&mut self) -> Result<(), CameraError> {
        let Some(pictures) = &mut self.pictures else { return Ok(()) };
        while pictures.has_room() {
            let Taken::Filled(filled) = pictures.queue.take()? else { break };
            let Some(layout) = pictures.wanted.filter(|_| !filled.is_damaged()) else { continue };
            let mut bytes = pictures.spare.pop().unwrap_or_default();
            filled.copy_to(layout.len_bytes, &mut bytes);
            pictures.held.push_back((filled.sequence(), bytes));
        }
        Ok(())
    }

    /// Adds the picture of the same number, for which it waits a little.
    fn join_picture(&mut self, sequence: u32, frame: &mut RawFrame) -> Result<Next, CameraError> {
        frame.picture.bytes.clear();
        let until = self.clock.now().plus(self.frame_interval);
        loop {
            let wanted = self.pictures.as_mut().filter(|pictures| pictures.wanted.is_some());
            let Some(pictures) = wanted else { return Ok(Next::Frame) };
            match pictures.hand_over(sequence, &mut frame.picture) {
                Joined::Yes => return Ok(Next::Frame),
                Joined::Never => break,
                Joined::NotYet => {}
            }
            let waits = [self.clock.stop_signal().readable(), Ok(pictures.queue.as_fd())];
            let [stop, node] = waits.map(|fd| fd.map_err(|error| out_of_descriptors(&error)));
            match wait_for(stop?, &[node?], until.since(self.clock.now()))? {
                Woken::Stopped => return Ok(Next::Frame),
                Woken::TimedOut => break,
                Woken::Ready => self.take_pictures()?,
            }
        }
        self.events.count(Event::MissingPicture);
        Ok(Next::Frame)
    }

    fn wait(&self, patience: Duration) -> Result<Woken, CameraError> {
        let stop = self.clock.stop_signal().readable();
        let stop = stop.map_err(|error| out_of_descriptors(&error))?;
        let metadata = self.metadata.as_fd();
        // A picture for which there is no room must not end the wait for its metadata.
        match self.pictures.as_ref().filter(|pictures| pictures.has_room()) {
            Some(pictures) => wait_for(stop, &[metadata, pictures.queue.as_fd()], patience),
            None => wait_for(stop, &[metadata], patience),
        }
    }

    /// Stops both streams, the picture's last: it started last.
    pub(super) fn stop(&mut self) {
        if let Some(pictures) = &mut self.pictures {
            pictures.queue.stop();
            pictures.held.clear();
        }
        self.metadata.stop();
    }
}

/// Whether the picture of a number is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joined {
    Yes,
    NotYet,
    /// A later one is there already.
    Never,
}

impl Pictures {
    pub(super) fn new(queue: Queue, wanted: Option<PictureLayout>) -> Self {
        Self {
            queue,
            wanted,
            held: VecDeque::with_capacity(PICTURES_HELD),
            spare: Vec::with_capacity(PICTURES_HELD),
        }
    }

    /// Whether another picture may be taken from the driver. One that is thrown away needs no room.
    fn has_room(&self) -> bool {
        self.wanted.is_none() || self.held.len() < PICTURES_HELD
    }

    /// Lets the picture of this number go, and older ones: their metadata is lost.
    fn let_go(&mut self, sequence: u32) {
        while let Some((held, _)) = self.held.front() {
            if is_after(*held, sequence) {
                break;
            }
            self.spare.extend(self.held.pop_front().map(|(_, bytes)| bytes));
        }
    }

    /// Swaps the memory of the picture with this number for that of `into`. Older ones are let go.
    fn hand_over(&mut self, sequence: u32, into: &mut RawPicture) -> Joined {
        while let Some((held, bytes)) = self.held.pop_front() {
            if held == sequence {
                self.spare.push(std::mem::replace(&mut into.bytes, bytes));
                if let Some(layout) = self.wanted {
                    into.width = layout.width;
                    into.height = layout.height;
                    into.stride_bytes = layout.stride_bytes;
                    into.order = layout.order;
                }
                return Joined::Yes;
            }
            if is_after(held, sequence) {
                self.held.push_front((held, bytes));
                return Joined::Never;
            }
            self.spare.push(bytes);
        }
        Joined::NotYet
    }
}

/// Whether one number follows the other, on the circle of 32-bit numbers.
fn is_after(number: u32, other: u32) -> bool {
    let ahead = number.wrapping_sub(other);
    ahead != 0 && ahead <= u32::MAX / 2
}

/// Waits until one of at most two nodes has a buffer, or the stop signal is raised.
pub(super) fn wait_for(
    stop: BorrowedFd<'_>,
    nodes: &[BorrowedFd<'_>],
    at_most: Duration,
) -> Result<Woken, CameraError> {
    // A capture node has one to be read, an output node one to be written.
    let ready_node = |at: usize| match nodes.get(at) {
        Some(node) => PollFd::from_borrowed_fd(*node, PollFlags::IN | PollFlags::OUT),
        None => PollFd::from_borrowed_fd(stop, PollFlags::empty()),
    };
    let mut waits = [PollFd::from_borrowed_fd(stop, PollFlags::IN), ready_node(0), ready_node(1)];
    let at_most = Timespec::try_from(at_most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    let ready = retry_on_intr(|| poll(&mut waits, Some(&at_most)));
    let ready = ready.map_err(|errno| out_of_descriptors(&errno.into()))?;
    Ok(match ready {
        0 => Woken::TimedOut,
        _ if !waits[0].revents().is_empty() => Woken::Stopped,
        // An error of a node is told by its next DQBUF.
        _ => Woken::Ready,
    })
}

fn out_of_descriptors(error: &std::io::Error) -> CameraError {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    CameraError::of("wait for a frame", std::path::Path::new("poll"), errno)
}

/// Pictures that wait for their metadata: one that came early, one that is the next.
const PICTURES_HELD: usize = 2;
/// Nothing for as long is worth a count.
const FRAME_TIMEOUT: Duration = Duration::from_secs(1);
const FRAMES_TO_TIMEOUT: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::BayerOrder;
    use crate::source::clock::StopSignal;
    use std::io::{PipeReader, PipeWriter, Write, pipe};

    fn quiet() -> (PipeReader, PipeWriter) {
        pipe().unwrap()
    }

    fn speaking() -> (PipeReader, PipeWriter) {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"frame").unwrap();
        (reader, writer)
    }

    #[test]
    fn stop_signal_wins_over_a_frame_and_over_silence() {
        let stop = StopSignal::default();
        let ((node, _keep), (other, _open)) = (speaking(), quiet());
        let hour = Duration::from_secs(3600);
        let nodes = [other.as_fd(), node.as_fd()];
        assert_eq!(wait_for(stop.readable().unwrap(), &nodes, hour), Ok(Woken::Ready));
        stop.raise();
        assert_eq!(wait_for(stop.readable().unwrap(), &nodes, hour), Ok(Woken::Stopped));
        assert_eq!(wait_for(stop.readable().unwrap(), &nodes[..1], hour), Ok(Woken::Stopped));
    }

    #[test]
    fn silence_ends_a_wait() {
        let stop = StopSignal::default();
        let (node, _open) = quiet();
        let waited = wait_for(stop.readable().unwrap(), &[node.as_fd()], Duration::ZERO);
        assert_eq!(waited, Ok(Woken::TimedOut));
    }

    fn held(numbers: &[u32]) -> Pictures {
        let queue = Queue::of_no_device();
        let layout = PictureLayout {
            width: 2028,
            height: 1520,
            stride_bytes: 2544,
            len_bytes: 4,
            order: BayerOrder::Grbg,
        };
        let mut pictures = Pictures::new(queue, Some(layout));
        pictures.held.extend(numbers.iter().map(|&number| (number, number.to_le_bytes().to_vec())));
        pictures
    }

    #[test]
    fn picture_goes_with_the_metadata_of_the_same_number() {
        let mut pictures = held(&[7, 8]);
        let mut into = RawPicture { bytes: vec![0xa5; 9], ..RawPicture::default() };
        assert_eq!(pictures.hand_over(8, &mut into), Joined::Yes);
        assert_eq!(into.bytes, [8, 0, 0, 0]);
        assert_eq!((into.width, into.stride_bytes, into.order), (2028, 2544, BayerOrder::Grbg));
        assert!(pictures.held.is_empty(), "an older one is let go");
        assert_eq!(pictures.spare.len(), 2);
    }

    #[test]
    fn pictures_of_lost_metadata_make_room() {
        let mut pictures = held(&[7, 8]);
        assert!(!pictures.has_room());
        pictures.let_go(6);
        assert_eq!(pictures.held.len(), 2);
        pictures.let_go(7);
        assert!(pictures.has_room());
        assert_eq!((pictures.held.len(), pictures.spare.len()), (1, 1));
        pictures.wanted = None;
        pictures.held.push_back((9, vec![]));
        assert!(pictures.has_room(), "what is thrown away needs none");
    }

    #[test]
    fn metadata_waits_for_its_picture_but_not_behind_a_later_one() {
        let mut into = RawPicture::default();
        assert_eq!(held(&[]).hand_over(8, &mut into), Joined::NotYet);
        assert_eq!(held(&[7]).hand_over(8, &mut into), Joined::NotYet);
        assert_eq!(held(&[9]).hand_over(8, &mut into), Joined::Never);
        // Across the wrap.
        assert_eq!(held(&[u32::MAX]).hand_over(0, &mut into), Joined::NotYet);
        assert_eq!(held(&[0]).hand_over(u32::MAX, &mut into), Joined::Never);
        assert!(into.bytes.is_empty());
    }
}
