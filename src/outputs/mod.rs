//! What leaves the daemon: overlay, page, display, metrics, report.
//!
//! ```text
//!   LatestSlot<Arc<Frame>> --> web       draws for whoever watches, on its own threads
//!   LatestSlot<Arc<Frame>> --> exposure  back to the camera: exposure and white balance
//!   LatestSlot<Arc<Frame>> --> socket    other programs on this machine: masks, pictures, stamps
//!   LatestSlot<Arc<Frame>> --> hdmi      a screen at the machine itself: picture and mask in one flip
//!   last Arc<Frame>        --> report    overlay.png, mask.png, report.json at the end of a run
//!   histograms, stamps     --> latency_log, trace   for HdrHistogram's tools, for Chrome and Perfetto
//!   every RawFrame, Bounded<Arc<Frame>> --> record   MCAP files: the sensor's bytes, and what came of them
//!   LatestSlot<Arc<Frame>> --> measure   is it worth measuring, what do its vessels measure
//!   LatestSlot<Arc<Frame>> --> mqtt      measurements and health, to a broker where many cameras meet
//!   Report, others' figures --> system_report   system.md, system.json, system.html of `qsegment bench system`
//!   Snapshot               --> figures   one wording of every figure for page, metrics and report
//! ```
//!
//! An output may be slow, may drop and may be absent; the pipeline does not notice.

mod canvas;
pub mod exposure;
pub mod figures;
mod frame_thread;
pub mod hdmi;
pub mod latency_log;
pub mod measure;
pub mod metrics;
pub mod mqtt;
pub mod overlay;
mod recent;
pub mod record;
pub mod report;
pub mod socket;
pub mod system_report;
pub mod trace;
pub mod web;
pub mod whole_file;

use std::net::SocketAddr;
use std::path::PathBuf;

/// On the page, in every report and in every JSON answer.
pub const DISCLAIMER: &str = "Research use only. Not a medical device.";

/// Why an output cannot do its work: the address or file, the cause, the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// Another program listens there.
    #[error("{0} is in use; stop the other program or choose another with --listen")]
    AddressInUse(SocketAddr),
    /// Strangers could open the page.
    #[error(
        "{0} can be reached from other machines, and no token keeps strangers out: make one with \
         `qsegment token FILE` and name it in web.token_file (--token-file); or listen on 127.0.0.1 and come through \
         `ssh -L {port}:127.0.0.1:{port} HOST`", port = .0.port()
    )]
    NoToken(SocketAddr),
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}: {cause}; choose another with --listen")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        cause: String,
    },
    /// The system gives no thread.
    #[error("cannot start the web thread: {0}")]
    Thread(String),
    /// The report folder cannot be made or written into.
    #[error("cannot write into the report folder {folder}: {cause}; choose another with --report")]
    Folder {
        /// As given.
        folder: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// One of the report's files cannot be written; nothing half-written is left under its name.
    #[error("cannot write {file}: {cause}; free some space or choose another folder with --report")]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system or the encoder said.
        cause: String,
    },
    /// The Unix socket.
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    /// The recording cannot be written.
    #[error(
        "cannot record into {path}: {cause}; free some space or choose another place with -o or record.path"
    )]
    Record {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// A file of that name is there.
    #[error(
        "{0} is there already, and a recording is never written over another file; give another name, or a folder"
    )]
    RecordExists(PathBuf),
    /// The system gives no thread.
    #[error("cannot start the record thread: {0}; is a limit on processes or memory reached?")]
    RecordThread(String),
    /// A bug.
    #[error("the record thread has panicked; this is a bug, the recording ends before the run")]
    RecordPanicked,
    /// The system gives no thread.
    #[error("cannot start the mqtt threads: {0}; is a limit on processes or memory reached?")]
    MqttThread(String),
}
