//! Buffers of a driver, mapped into this process.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::io::Result;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The memory of one buffer; unmapped when dropped. The driver may write to it at any time, so that its
/// bytes are only ever copied out, never lent.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes of the node at `offset`, both as `VIDIOC_QUERYBUF` gave them.
    pub(super) fn new(node: BorrowedFd<'_>, len: usize, offset: u64) -> Result<Self> {
        Self::map(node, len, offset, ProtFlags::READ)
    }

    /// The same, to be written.
    pub(super) fn writable(
        node: BorrowedFd<'_>,
        len: usize,
        offset: u64,
    ) -> Result<WritableMapping> {
        Self::map(node, len, offset, ProtFlags::READ | ProtFlags::WRITE).map(WritableMapping)
    }

    fn map(node: BorrowedFd<'_>, len: usize, offset: u64, access: ProtFlags) -> Result<Self> {
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing of this process.
        let start =
            unsafe { mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, node, offset)? };
        let start = NonNull::new(start.cast()).expect("without MAP_FIXED no mapping starts at 0");
        Ok(Self { start, len })
    }

    /// Replaces what is in `into` by the first `len` bytes; all of them where the buffer is shorter.
    /// Allocates only when `into` has never been as long.
    pub(super) fn copy_to(&self, len: usize, into: &mut Vec<u8>) {
        let len = len.min(self.len);
        into.clear();
        into.reserve(len);
        // SAFETY: `start` is mapped for at least `len` bytes as long as `self` lives, `into` has room for
        // as many, and they do not overlap, since `into` is on the heap. Should the driver write
        // meanwhile, the bytes are those of two frames, and any bytes are valid.
        unsafe { self.start.as_ptr().copy_to_nonoverlapping(into.as_mut_ptr(), len) };
        // SAFETY: the first `len` bytes were just written.
        unsafe { into.set_len(len) };
    }
}

/// A mapping that may be written.
#[derive(Debug)]
pub(super) struct WritableMapping(Mapping);

impl WritableMapping {
    /// Bytes that there is room for.
    pub(super) fn len(&self) -> usize {
        self.0.len
    }

    /// Writes the bytes from `at` on; gives how many there was room for.
    pub(super) fn copy_from(&mut self, at: usize, bytes: &[u8]) -> usize {
        let at = at.min(self.0.len);
        let len = bytes.len().min(self.0.len - at);
        // SAFETY: `at` is at most the length of the mapping.
        let to = unsafe { self.0.start.as_ptr().add(at) };
        // SAFETY: from `to` on at least `len` bytes are mapped to be written as long as `self` lives, and
        // they do not overlap `bytes`, of which nothing was mapped here.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), len) };
        len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this very mapping was made by `new`, and nothing of it was lent.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

// SAFETY: a mapping belongs to the process, not to a thread, and is only read.
unsafe impl Send for Mapping {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn copies_out_what_the_file_holds_without_growing_a_used_buffer() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"DNN lines").unwrap();
        let mapping = Mapping::new(file.as_fd(), 9, 0).unwrap();
        let mut into = Vec::with_capacity(9);
        into.extend_from_slice(b"old");
        let before = into.as_ptr();
        mapping.copy_to(100, &mut into);
        assert_eq!(into, b"DNN lines");
        mapping.copy_to(3, &mut into);
        assert_eq!(into, b"DNN");
        assert_eq!(into.as_ptr(), before);
    }

    #[test]
    fn writes_no_more_than_there_is_room_for() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"..........").unwrap();
        let mut mapping = Mapping::writable(file.as_fd(), 10, 0).unwrap();
        assert_eq!(mapping.copy_from(0, b"tensor"), 6);
        assert_eq!(mapping.copy_from(0, &[b'x'; 11]), 10);
        assert_eq!(mapping.copy_from(8, b"yyy"), 2);
        assert_eq!(mapping.copy_from(11, b"z"), 0);
        assert_eq!(mapping.copy_from(0, b"DNN"), 3);
        let mut read = Vec::new();
        Mapping::new(file.as_fd(), 10, 0).unwrap().copy_to(10, &mut read);
        assert_eq!(read, b"DNNxxxxxyy");
    }
}
