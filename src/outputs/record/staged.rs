//! Bytes on their way to a file that never ends in the middle of a chunk, unless the power fails.
//!
//! ```text
//!   write, write, write --> pending --flush--> file, fsync      all of it, or the file is cut back to
//!                                                               where the last flush left it
//! ```

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// A file that is written in whole pieces.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    pending: Vec<u8>,
    /// Of what is safely in the file.
    written: u64,
    /// After a failure nothing more is taken: the writer's offsets would be wrong.
    failed: bool,
}

impl Staged {
    pub(super) fn new(file: File) -> Self {
        Self { file, pending: Vec::new(), written: 0, failed: false }
    }

    fn put(&mut self) -> io::Result<()> {
        self.file.write_all(&self.pending)?;
        self.file.sync_data()
    }

    fn refuse_after_failure(&self) -> io::Result<()> {
        if self.failed { Err(io::Error::other("an earlier write has failed")) } else { Ok(()) }
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.refuse_after_failure()?;
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.refuse_after_failure()?;
        if let Err(error) = self.put() {
            self.failed = true;
            // Where even this fails, the file ends within a chunk, which readers leave out.
            let _ = self.file.set_len(self.written);
            return Err(error);
        }
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

/// The writer asks where it is, and goes nowhere else.
impl Seek for Staged {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Current(0) => Ok(self.written + self.pending.len() as u64),
            _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }
}
