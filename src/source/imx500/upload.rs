//! Starts the stream, in which the kernel uploads firmware and network.
//!
//! ```text
//!   "capture" thread    STREAMON metadata   STREAMON picture (where there is one)
//!                                           +--- seconds to minutes ---+--> frames, or an errno
//!   "upload" thread                         reads the driver's files, tells how far it is
//! ```
//!
//! No signal breaks an upload off: whoever wants to stop has to wait for the kernel, and is told so. A
//! refusal is one errno for many causes; what it can mean is told by the stage and by the file itself.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::capture::Capture;
use super::error::CameraError;
use super::progress::{DriverFiles, Sizes, UploadProgress, UploadStage, Uploaded, Watch};
use crate::formats::kernel_driver::Verdict;
use crate::source::clock::{Clock, StopSignal, Waited};
use crate::source::holder::holders_of;

/// Who is told of an upload.
pub type OnUpload = Box<dyn FnMut(UploadReport) + Send>;

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadReport {
    /// How far it is, twice a second.
    Progress(UploadProgress),
    /// It is done.
    Done(Uploaded),
}

/// What an upload depends on.
#[derive(Debug, Clone)]
pub(super) struct Upload<'a> {
    /// The camera's id.
    pub(super) camera: &'a str,
    pub(super) network: Option<&'a Path>,
    pub(super) stall_after: Duration,
    pub(super) clock: &'a Clock,
}

impl Upload<'_> {
    /// Starts the nodes; the last of them starts the sensor.
    pub(super) fn run(
        &self,
        capture: &mut Capture,
        on_upload: &mut OnUpload,
    ) -> Result<(), CameraError> {
        let files = DriverFiles::of(Path::new(DEBUGFS), self.camera);
        let before = files.read();
        let watch = Watch::new(self.sizes(), self.stall_after, self.clock.now(), before);
        let watch = Mutex::new(watch);
        // Raised when the kernel has answered.
        let answered = StopSignal::default();
        let started = thread::scope(|scope| {
            let watching = || {
                let clock = Clock::monotonic(answered.clone());
                let mut next = clock.now();
                for look in 0_u64.. {
                    if clock.wait_until(next) == Waited::Stopped {
                        break;
                    }
                    let sample = files.read();
                    let mut progress = lock(&watch).push(self.clock.now(), sample);
                    progress.stop_requested = self.clock.stop_signal().is_raised();
                    if look % LOOKS_TO_A_REPORT == 0 {
                        on_upload(UploadReport::Progress(progress));
                    }
                    next = next.plus(LOOK_EVERY);
                }
            };
            // An upload that nobody watches is an upload all the same.
            let _watched =
                thread::Builder::new().name("upload".into()).spawn_scoped(scope, watching);
            let started = start(capture);
            answered.raise();
            started
        });
        let mut watch = lock(&watch);
        watch.push(self.clock.now(), files.read());
        match started {
            Ok(()) => {
                on_upload(UploadReport::Done(watch.finish(self.clock.now())));
                Ok(())
            }
            Err((errno, node)) => {
                capture.stop();
                Err(self.explain(errno, node, &watch))
            }
        }
    }

    fn explain(&self, errno: Errno, node: PathBuf, watch: &Watch) -> CameraError {
        let doing = "start the stream";
        if matches!(errno, Errno::ACCESS | Errno::PERM) {
            return CameraError::of(doing, &node, errno);
        }
        let holders = if errno == Errno::BUSY { holders_of(&node) } else { Vec::new() };
        if !holders.is_empty() {
            return CameraError::Busy { doing: doing.to_owned(), path: node, holders };
        }
        let refusal = if errno == Errno::INVAL { self.network.and_then(refusal) } else { None };
        let network = self.network.map(Path::to_owned);
        UploadError { errno, reached: watch.reached(), network, refusal }.into()
    }

    fn sizes(&self) -> Sizes {
        let len = |path: &Path| fs::metadata(path).ok().map(|file| file.len());
        Sizes {
            loader: len(Path::new("/lib/firmware/imx500_loader.fpk")),
            main: len(Path::new("/lib/firmware/imx500_firmware.fpk")),
            network: self.network.and_then(len),
        }
    }
}

/// Metadata first: unicam wants its node to stream before the picture's starts the sensor.
fn start(capture: &mut Capture) -> Result<(), (Errno, PathBuf)> {
    let failed = |queue: &super::queue::Queue, errno| (errno, queue.path().to_owned());
    let metadata = &mut capture.metadata;
    metadata.start().map_err(|errno| failed(metadata, errno))?;
    if let Some(pictures) = &mut capture.pictures {
        let queue = &mut pictures.queue;
        queue.start().map_err(|errno| failed(queue, errno))?;
    }
    Ok(())
}

/// Why the driver refuses a network: its own checks, done over.
fn refusal(network: &Path) -> Option<String> {
    let file = fs::read(network).ok()?;
    let reasons: Vec<String> =
        Verdict::new(&file).refusals.iter().map(ToString::to_string).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The stream could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadError {
    /// What the kernel said.
    pub errno: Errno,
    /// Stage and bytes at which it stood, where the driver could be asked.
    pub reached: Option<(UploadStage, u64)>,
    /// The network's file.
    pub network: Option<PathBuf>,
    /// What of the file the driver refuses.
    pub refusal: Option<String>,
}

impl std::error::Error for UploadError {}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(refusal), Some(network)) = (&self.refusal, &self.network) {
            return write!(
                f,
                "the driver refuses the network {}: {refusal}; pack it again with `qsegment pack`",
                network.display()
            );
        }
        write!(f, "cannot start the camera")?;
        if let Some((stage, done)) = self.reached {
            write!(f, " (in the {} stage, after {done} bytes)", stage.name())?;
        }
        write!(f, ": {}: {}", self.errno, self.cause_and_next_step())
    }
}

impl UploadError {
    /// Whether the same start would be refused again, for what network, firmware or formats are.
    pub(super) fn will_be_refused_again(&self) -> bool {
        matches!(
            self.errno,
            Errno::NOENT
                | Errno::INVAL
                | Errno::PIPE
                | Errno::NOTCONN
                | Errno::NOLINK
                | Errno::REMOTEIO
        )
    }

    /// Whether a later start may go well: the sensor was not ready, or did not answer.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self.errno,
            Errno::BUSY | Errno::AGAIN | Errno::TIMEDOUT | Errno::IO | Errno::NODEV | Errno::NXIO
        )
    }

    fn cause_and_next_step(&self) -> &'static str {
        let firmware = matches!(self.reached, Some((UploadStage::Loader | UploadStage::Main, _)));
        match self.errno {
            Errno::NOENT => {
                "the sensor's firmware files are missing in /lib/firmware: \
                 `sudo apt install imx500-firmware`"
            }
            Errno::INVAL if self.network.is_some() => {
                "formats, links or the network were refused, although the network's file is as the driver \
                 wants it; close other camera programs and start again, and look into `dmesg` if it stays"
            }
            Errno::INVAL | Errno::PIPE => {
                "formats differ along the way from the sensor to memory: another program has changed them \
                 meanwhile; close it and start again"
            }
            Errno::NOTCONN | Errno::NOLINK => {
                "a link of the receiver is off: another program has switched it meanwhile; close it and \
                 start again"
            }
            Errno::BUSY => {
                "the sensor was not ready to be loaded; wait 10 seconds and start again, and if that does \
                 not help disconnect the camera from power"
            }
            Errno::REMOTEIO if firmware => {
                "the sensor rejects its own firmware: `sudo apt install --reinstall imx500-firmware`"
            }
            Errno::REMOTEIO => {
                "the sensor rejects the image: the network was converted for another firmware; update \
                 imx500-firmware, or convert and pack the network again"
            }
            Errno::AGAIN | Errno::TIMEDOUT => {
                "the sensor does not answer; disconnect the camera from power, and if it stays seat its \
                 cable anew"
            }
            Errno::IO => {
                "bytes were lost on the way to the sensor: seat the camera's cable anew, then disconnect \
                 it from power once"
            }
            Errno::NODEV | Errno::NXIO => {
                "the sensor or the bridge to it (RP2040, driver spi-rp2040-gpio-bridge) has gone: is the \
                 cable seated, and has `dmesg` lines of rp2040?"
            }
            Errno::NOMEM => {
                "no memory for the receiver: raise cma= in /boot/firmware/cmdline.txt, or close programs"
            }
            _ => "`dmesg | tail` says what the driver saw",
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic of whoever is told of the progress must not hide how the upload went.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

const DEBUGFS: &str = "/sys/kernel/debug";
/// A piece goes over the bus in half a second at best.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_TO_A_REPORT: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno, reached: Option<(UploadStage, u64)>) -> UploadError {
        UploadError { errno, reached, network: Some("vessels.rpk".into()), refusal: None }
    }

    #[test]
    fn each_errno_has_its_cause_and_next_step() {
        for (errno, step) in [
            (Errno::NOENT, "sudo apt install imx500-firmware"),
            (Errno::INVAL, "close other camera programs"),
            (Errno::PIPE, "another program has changed them"),
            (Errno::NOLINK, "a link of the receiver is off"),
            (Errno::BUSY, "wait 10 seconds"),
            (Errno::REMOTEIO, "convert and pack the network again"),
            (Errno::AGAIN, "the sensor does not answer"),
            (Errno::TIMEDOUT, "the sensor does not answer"),
            (Errno::IO, "seat the camera's cable anew"),
            (Errno::NODEV, "the bridge to it"),
            (Errno::NOMEM, "cma="),
            (Errno::PROTO, "dmesg | tail"),
        ] {
            let said = error(errno, None).to_string();
            assert!(said.starts_with("cannot start the camera: "), "{said}");
            assert!(said.contains(step), "{said}");
        }
    }

    #[test]
    fn stage_is_named_where_it_is_known_and_tells_whose_fault_it_is() {
        let main = error(Errno::REMOTEIO, Some((UploadStage::Main, 1_048_576))).to_string();
        assert!(main.contains("(in the main firmware stage, after 1048576 bytes)"), "{main}");
        assert!(main.contains("--reinstall imx500-firmware"), "{main}");
        let network = error(Errno::REMOTEIO, Some((UploadStage::Network, 0))).to_string();
        assert!(network.contains("the network was converted for another firmware"), "{network}");
    }

    #[test]
    fn refused_network_is_told_by_what_is_wrong_with_it() {
        let refusal = "imx500_regs entry 3: address 0xd800: got value 0x1ff, want at most 5";
        let error = UploadError { refusal: Some(refusal.into()), ..error(Errno::INVAL, None) };
        assert_eq!(
            error.to_string(),
            format!(
                "the driver refuses the network vessels.rpk: {refusal}; pack it again with `qsegment pack`"
            )
        );
    }
}
