//! Whole chunks of a recording, in their order, and where it ends.
//!
//! ```text
//!   outer reader    magic | header | metadata | attachment | chunk | index | chunk | ...
//!                                                             |
//!   inner reader                    checksum, then    schema | channel | message | message
//! ```
//!
//! Both are the library's linear reader: it needs no index, which a cut file has not. The outer one keeps count
//! of where each record begins. Every length is bounded before anything is allocated.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mcap::McapError;
use mcap::records::{Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};
use prost::Message;

use super::ReplayError;
use crate::formats::recording::{Channel, FACTS_RECORD, FrameMessage, RunFacts};

/// Reads a recording from its beginning.
pub(super) struct Reader {
    path: PathBuf,
    file: File,
    len: u64,
    outer: LinearReader,
    /// Where the next record begins: everything before was whole.
    at: u64,
    facts: Option<RunFacts>,
    /// The channel of the buffers.
    channel: Option<u16>,
    /// Of the chunk that was read last.
    frames: VecDeque<FrameMessage>,
    ending: Option<Ending>,
}

/// How a recording ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// In the middle of a record.
    Cut,
    /// With bytes that make no sense, and others behind them.
    Damaged(String),
}

/// What a record of the file was.
enum Found {
    Chunk,
    DataEnd,
    Other,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, ReplayError> {
        let unreadable = |error: io::Error| ReplayError::Read {
            file: path.to_owned(),
            cause: error.to_string(),
        };
        let file = File::open(path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        let options = LinearReaderOptions::default()
            .with_emit_chunks(true)
            .with_skip_end_magic(true)
            .with_record_length_limit(MAX_RECORD_LEN_BYTES);
        Ok(Self {
            path: path.to_owned(),
            file,
            len,
            outer: LinearReader::new_with_options(options),
            at: len_u64(mcap::MAGIC.len()),
            facts: None,
            channel: None,
            frames: VecDeque::new(),
            ending: None,
        })
    }

    /// The next buffer; none at the end of the recording.
    pub(super) fn next_frame(&mut self) -> Result<Option<FrameMessage>, ReplayError> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(Some(frame));
            }
            if let Some(ending) = &self.ending {
                return match ending {
                    Ending::Whole | Ending::Cut => Ok(None),
                    Ending::Damaged(cause) => Err(self.damaged(cause.clone())),
                };
            }
            self.next_record()?;
            if self.ending == Some(Ending::Cut) && self.facts.is_some() {
                tracing::warn!(
                    "the recording {} was cut: its last {} bytes, from byte {} on, are no whole chunk and are \
                     left out",
                    self.path.display(),
                    self.len.saturating_sub(self.at),
                    self.at
                );
            }
        }
    }

    /// What holds for all of it, once the first frame was read.
    pub(super) fn facts(&self) -> Result<RunFacts, ReplayError> {
        self.facts.clone().ok_or_else(|| ReplayError::NoFacts { file: self.path.clone() })
    }

    pub(super) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    fn next_record(&mut self) -> Result<(), ReplayError> {
        let Self { outer, file, at, len, facts, channel, frames, path, .. } = self;
        let event = match outer.next_event() {
            Some(Err(McapError::UnexpectedEof)) if *len < *at => {
                return Err(ReplayError::NotMcap { file: path.clone() });
            }
            None | Some(Err(McapError::UnexpectedEof)) => {
                self.ending = Some(Ending::Cut);
                return Ok(());
            }
            Some(Err(McapError::BadMagic)) => {
                return Err(ReplayError::NotMcap { file: path.clone() });
            }
            Some(Err(error)) => {
                self.ending = Some(Ending::Damaged(error.to_string()));
                return Ok(());
            }
            Some(Ok(event)) => event,
        };
        let (opcode, data) = match event {
            LinearReadEvent::ReadRequest(wanted) => {
                let wanted = wanted.min(MAX_RECORD_LEN_BYTES);
                let read = file.read(outer.insert(wanted)).map_err(|error| ReplayError::Read {
                    file: path.clone(),
                    cause: format!("at byte {at}: {error}"),
                })?;
                outer.notify_read(read);
                return Ok(());
            }
            LinearReadEvent::Record { opcode, data } => (opcode, data),
        };
        let end = *at + RECORD_HEAD_LEN_BYTES + len_u64(data.len());
        let found = match opcode {
            // What a file system leaves of a block that was never written: all zeros.
            0 => {
                self.ending = Some(Ending::Cut);
                return Ok(());
            }
            op::CHUNK => {
                if facts.is_none() {
                    return Err(ReplayError::NoFacts { file: path.clone() });
                }
                chunk(data, channel, frames).map(|()| Found::Chunk)
            }
            op::METADATA => metadata(data, path, facts)?,
            op::DATA_END => Ok(Found::DataEnd),
            _ => Ok(Found::Other),
        };
        match found {
            Ok(Found::DataEnd) => self.ending = Some(Ending::Whole),
            Ok(Found::Chunk | Found::Other) => *at = end,
            // Nothing behind it: it was being written when the power failed.
            Err(_) if end >= *len => self.ending = Some(Ending::Cut),
            Err(cause) => self.ending = Some(Ending::Damaged(cause)),
        }
        Ok(())
    }

    fn damaged(&self, cause: String) -> ReplayError {
        ReplayError::Damaged { file: self.path.clone(), offset: self.at, len: self.len, cause }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A metadata record: the outer result is that of the facts in it, the inner one that of its bytes.
fn metadata(
    data: &[u8],
    path: &Path,
    facts: &mut Option<RunFacts>,
) -> Result<Result<Found, String>, ReplayError> {
    match mcap::parse_record(op::METADATA, data) {
        Ok(Record::Metadata(record)) if record.name == FACTS_RECORD => {
            let read = RunFacts::from_map(&record.metadata)
                .map_err(|cause| ReplayError::Facts { file: path.to_owned(), cause })?;
            *facts = Some(read);
            Ok(Ok(Found::Other))
        }
        Ok(_) => Ok(Ok(Found::Other)),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// Takes the buffers out of a chunk; none of them where its checksum is wrong.
fn chunk(
    data: &[u8],
    channel: &mut Option<u16>,
    frames: &mut VecDeque<FrameMessage>,
) -> Result<(), String> {
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(MAX_RECORD_LEN_BYTES);
    let mut inner = LinearReader::new_with_options(options);
    let mut head = [op::CHUNK; 9];
    head[1..].copy_from_slice(&len_u64(data.len()).to_le_bytes());
    let mut rest = head.as_slice().chain(data);
    let before = frames.len();
    let mut unpacked = 0;
    let taken = loop {
        match inner.next_event() {
            None => break Ok(()),
            Some(Ok(LinearReadEvent::ReadRequest(wanted))) => {
                let wanted = wanted.min(MAX_RECORD_LEN_BYTES);
                let read = rest.read(inner.insert(wanted));
                inner.notify_read(read.expect("bytes in memory can always be read"));
            }
            Some(Ok(LinearReadEvent::Record { opcode, data })) => {
                unpacked += data.len();
                if unpacked > MAX_CHUNK_LEN_BYTES {
                    break Err(format!("a chunk of more than {MAX_CHUNK_LEN_BYTES} bytes"));
                }
                if let Err(cause) = message(opcode, data, channel, frames) {
                    break Err(cause);
                }
            }
            Some(Err(error)) => break Err(error.to_string()),
        }
    };
    if taken.is_err() {
        frames.truncate(before);
    }
    taken
}

fn message(
    opcode: u8,
    data: &[u8],
    channel: &mut Option<u16>,
    frames: &mut VecDeque<FrameMessage>,
) -> Result<(), String> {
    if !matches!(opcode, op::CHANNEL | op::MESSAGE) {
        return Ok(());
    }
    match mcap::parse_record(opcode, data).map_err(|error| error.to_string())? {
        Record::Channel(found) if found.topic == Channel::Metadata.topic() => {
            *channel = Some(found.id);
        }
        Record::Message { header, data } if *channel == Some(header.channel_id) => {
            let topic = Channel::Metadata.topic();
            let frame = FrameMessage::decode(&*data)
                .map_err(|error| format!("message {} of {topic}: {error}", header.sequence))?;
            frames.push_back(frame);
        }
        _ => {}
    }
    Ok(())
}

fn len_u64(len: usize) -> u64 {
    u64::try_from(len).expect("no machine has more than 2^64 bytes")
}

/// Opcode and length.
const RECORD_HEAD_LEN_BYTES: u64 = 9;

/// A chunk is closed when it is longer than `record.chunk_kb` allows, at most 32 MiB, and its last message is
/// a buffer with a raw picture of at most 20 MiB. A longer one is damage.
const MAX_RECORD_LEN_BYTES: usize = 64 << 20;
/// The same, unpacked: a few bytes of zstd can stand for gigabytes.
const MAX_CHUNK_LEN_BYTES: usize = MAX_RECORD_LEN_BYTES;
