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
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing of this process.
        let start = unsafe {
            mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, node, offset)?
        };
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
}
