//! One recording: an MCAP file, chunk by chunk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use mcap::records::{MessageHeader, Metadata};
use mcap::{Attachment, Compression, McapError, WriteOptions, Writer};

use super::staged::Staged;
use crate::formats::recording::{CONFIG_ATTACHMENT, Channel, FACTS_RECORD, PROFILE, RunFacts};

/// A file that is being written. Dropping it leaves what was committed, without an index.
pub(super) struct RecordingFile {
    path: PathBuf,
    writer: Writer<Staged>,
    channels: BTreeMap<Channel, u16>,
    /// Of the chunk that is open, before compression.
    open_bytes: usize,
    messages: u32,
    chunks: u64,
    len: u64,
}

impl RecordingFile {
    /// Creates the file with everything that comes before the frames. An older file is never overwritten.
    pub(super) fn create(path: &Path, facts: &RunFacts, config: &str) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Self::begin(path, file, facts, config).inspect_err(|_| {
            // There is nothing in it; one that cannot be removed says its name.
            let _ = fs::remove_file(path);
        })
    }

    fn begin(path: &Path, file: File, facts: &RunFacts, config: &str) -> io::Result<Self> {
        let options = WriteOptions::new()
            .profile(PROFILE)
            .library(format!("qsegment {}", facts.qsegment))
            .compression(Some(Compression::Zstd))
            // The capture and decode threads are worth more than a smaller file.
            .compression_threads(0)
            .chunk_size(None)
            // Chunks are compressed in memory and written in one piece.
            .disable_seeking(true);
        let mut writer = options.create(Staged::new(file)).map_err(io_error)?;
        let record = Metadata { name: FACTS_RECORD.to_owned(), metadata: facts.to_map() };
        writer.write_metadata(&record).map_err(io_error)?;
        let attachment = Attachment {
            log_time: facts.started_ns,
            create_time: facts.started_ns,
            name: CONFIG_ATTACHMENT.to_owned(),
            media_type: "application/toml".to_owned(),
            data: Cow::Borrowed(config.as_bytes()),
        };
        writer.attach(&attachment).map_err(io_error)?;
        let mut channels = BTreeMap::new();
        for channel in Channel::ALL {
            let encoding = channel.encoding();
            let schema = writer
                .add_schema(channel.schema_name(), encoding.of_schemas(), &channel.schema())
                .map_err(io_error)?;
            let messages = encoding.of_messages();
            let id = writer
                .add_channel(schema, channel.topic(), messages, &BTreeMap::new())
                .map_err(io_error)?;
            channels.insert(channel, id);
        }
        let mut begun = Self {
            path: path.to_owned(),
            writer,
            channels,
            open_bytes: 0,
            messages: 0,
            chunks: 0,
            len: 0,
        };
        begun.flush()?;
        sync_folder(path)?;
        Ok(begun)
    }

    /// Adds a message to the open chunk.
    pub(super) fn write(&mut self, channel: Channel, time_ns: u64, data: &[u8]) -> io::Result<()> {
        let header = MessageHeader {
            channel_id: self.channels[&channel],
            sequence: self.messages,
            log_time: time_ns,
            publish_time: time_ns,
        };
        self.messages = self.messages.wrapping_add(1);
        self.open_bytes += data.len();
        self.writer.write_to_known_channel(&header, data).map_err(io_error)
    }

    /// Closes the chunk and waits until it is on the disk.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        self.flush()?;
        self.chunks += 1;
        Ok(())
    }

    /// The same, and writes the index.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.commit()?;
        self.writer.finish().map_err(io_error)?;
        let mut file = self.writer.into_inner();
        io::Write::flush(&mut file)?;
        file.stream_position()
    }

    /// Bytes of the open chunk, before compression.
    pub(super) fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// Bytes on the disk.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it up after a failed write. It ends with its last whole chunk, and is removed where it has none.
    pub(super) fn abandon(self) {
        let Self { path, writer, chunks, .. } = self;
        drop(writer);
        if chunks == 0 {
            // It holds no frame; one that cannot be removed is a recording without frames.
            let _ = fs::remove_file(path);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(io_error)?;
        self.open_bytes = 0;
        self.len = fs::metadata(&self.path)?.len();
        Ok(())
    }
}

impl std::fmt::Debug for RecordingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordingFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The name of a new file is safe, too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Only writing can fail: what is written is ours.
fn io_error(error: McapError) -> io::Error {
    match error {
        McapError::Io(error) => error,
        other => io::Error::other(other),
    }
}
