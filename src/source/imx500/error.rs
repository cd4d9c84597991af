//! What can go wrong with a camera: each with the device, the cause and the next step.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::discovery::DiscoveryError;
use super::upload::UploadError;
use crate::source::holder::{Holder, holders_of};
use crate::source::permission::{group_of, not_permitted};
use crate::source::recovery::Trouble;

/// Why a camera cannot be used, or not any longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CameraError {
    /// None was found.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The process may not open a node of the camera.
    #[error("{}", not_permitted(.path, .group.as_deref()))]
    NotPermitted {
        /// Which node.
        path: PathBuf,
        /// Who may open it; none where root alone may.
        group: Option<String>,
    },
    /// Somebody else uses it.
    #[error("cannot {doing}: {path} is in use{}", held_by(.holders))]
    Busy {
        /// What was tried.
        doing: String,
        /// On which node.
        path: PathBuf,
        /// Who holds it open, as far as /proc tells.
        holders: Vec<Holder>,
    },
    /// It was unplugged, unbound, or its driver removed.
    #[error(
        "cannot {doing}: the camera has gone ({path}); is its cable still seated? `dmesg | tail` says what \
         the driver saw"
    )]
    Gone {
        /// What was tried.
        doing: String,
        /// On which node.
        path: PathBuf,
    },
    /// A call was refused for another reason.
    #[error("cannot {doing} ({path}): {errno}; {advice}")]
    Refused {
        /// What was tried.
        doing: String,
        /// On which node.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
        /// What to do about it.
        advice: &'static str,
    },
    /// The driver or receiver is not as it must be.
    #[error("{0}")]
    Unsuitable(String),
    /// The network file cannot be read.
    #[error("cannot read the network {path}: {cause}")]
    NetworkFile {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The stream could not be started.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// It was started so often that one start more may be its last.
    #[error(
        "power-cycle needed: the camera was started {starts} times since this machine was, and its bridge chip has \
         been seen to die after 20 to 25 (linux#7613); restart the machine, and if the camera does not answer then, \
         disconnect both from power; recovery.max_camera_cycles (now {most}) allows more"
    )]
    WornOut {
        /// Starts so far.
        starts: u32,
        /// As many are allowed.
        most: u32,
    },
    /// It streams, but nothing comes.
    #[error(
        "no frame from the camera for {seconds} s although it streams; if starting it again does not help, \
         disconnect it from power (linux#7613)"
    )]
    Silent {
        /// How long.
        seconds: u64,
    },
    /// The driver ended the stream.
    #[error(
        "the driver has ended the stream of {path}: the receiver lost the sensor's signal or was shut down; \
         start again, and look into `dmesg` if it comes back"
    )]
    StreamEnded {
        /// Of which node.
        path: PathBuf,
    },
}

impl CameraError {
    /// Whether the network may be the cause, so that the camera can be tried without one.
    #[must_use]
    pub fn may_be_the_network(&self) -> bool {
        match self {
            Self::NetworkFile { .. } => true,
            Self::Upload(upload) => upload.network.is_some(),
            // Nothing but the file is wrong when the driver refuses to read it.
            Self::Refused { doing, .. } => doing == GIVE_NETWORK,
            _ => false,
        }
    }

    /// What kind of trouble it is once the camera has worked.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Silent { .. } | Self::StreamEnded { .. } => Trouble::Stalled,
            Self::WornOut { .. } => Trouble::WornOut,
            Self::Unsuitable(_) | Self::NetworkFile { .. } => Trouble::Lasting,
            Self::Upload(upload) if upload.will_be_refused_again() => Trouble::Lasting,
            // Rights too: a device that comes back is root's until udev has been there.
            Self::Discovery(_)
            | Self::NotPermitted { .. }
            | Self::Busy { .. }
            | Self::Gone { .. }
            | Self::Refused { .. }
            | Self::Upload(_) => Trouble::Device,
        }
    }

    /// Whether a later start may go well although nobody has done anything: the camera is not there yet, somebody
    /// else still uses it, or it does not answer.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Discovery(error) => error.may_pass(),
            Self::Busy { .. }
            | Self::Gone { .. }
            | Self::Silent { .. }
            | Self::StreamEnded { .. } => true,
            Self::Upload(upload) => upload.may_pass(),
            Self::NotPermitted { .. }
            | Self::Refused { .. }
            | Self::Unsuitable(_)
            | Self::NetworkFile { .. }
            | Self::WornOut { .. } => false,
        }
    }

    /// From a refused call: errno turned into what it means.
    pub(super) fn of(doing: impl Into<String>, path: &Path, errno: Errno) -> Self {
        let (doing, path) = (doing.into(), path.to_owned());
        match errno {
            Errno::ACCESS | Errno::PERM => {
                let group = group_of(&path);
                Self::NotPermitted { path, group }
            }
            Errno::BUSY => {
                let holders = holders_of(&path);
                Self::Busy { doing, path, holders }
            }
            Errno::NODEV | Errno::NXIO => Self::Gone { doing, path },
            errno => Self::Refused { doing, path, errno, advice: advice(errno) },
        }
    }

    /// From a refused open.
    pub(super) fn open(path: &Path, error: &std::io::Error) -> Self {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        Self::of("open it", path, errno)
    }
}

/// What is being done when the driver reads the network's file.
pub(super) const GIVE_NETWORK: &str = "give the network to the driver";

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::NOENT => "the node is not there: has udev run, and does a container pass it in?",
        Errno::NOMEM => {
            "no memory for the receiver: raise cma= in /boot/firmware/cmdline.txt, or close programs"
        }
        Errno::TXTBSY => "somebody is still writing the file: wait until it is complete",
        Errno::MFILE | Errno::NFILE => "too many files are open: raise the limit (ulimit -n)",
        Errno::NOTTY | Errno::INVAL => {
            "the driver knows no such call or value: this kernel's driver differs from Raspberry Pi's; \
             please report this with the output of `uname -a` and `media-ctl -p`"
        }
        _ => "`dmesg | tail` says what the driver saw",
    }
}

fn held_by(holders: &[Holder]) -> String {
    if holders.is_empty() {
        "; stop whatever uses the camera (another user's processes cannot be seen: ask \
         `sudo fuser -v /dev/video* /dev/v4l-subdev*`)"
            .to_owned()
    } else {
        let named: Vec<String> = holders.iter().map(ToString::to_string).collect();
        format!(" by {}; stop it, then start again", named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "/dev/video1";

    fn said(errno: Errno) -> String {
        CameraError::of("start the stream", Path::new(NODE), errno).to_string()
    }

    #[test]
    fn errno_becomes_cause_and_next_step() {
        assert!(said(Errno::ACCESS).starts_with("cannot open /dev/video1: permission denied; "));
        assert!(said(Errno::NODEV).contains("the camera has gone (/dev/video1)"));
        assert!(said(Errno::NOMEM).contains("cma="));
        assert!(said(Errno::BUSY).starts_with("cannot start the stream: /dev/video1 is in use"));
        assert!(said(Errno::IO).ends_with("`dmesg | tail` says what the driver saw"));
    }

    #[test]
    fn network_is_suspected_only_where_it_can_be_the_cause() {
        let upload = |network: Option<&str>| {
            let network = network.map(PathBuf::from);
            CameraError::Upload(UploadError {
                errno: Errno::INVAL,
                reached: None,
                network,
                refusal: None,
            })
        };
        let refused = |doing| CameraError::of(doing, Path::new(NODE), Errno::INVAL);
        for (error, suspected) in [
            (upload(Some("vessels.rpk")), true),
            (upload(None), false),
            (refused(GIVE_NETWORK), true),
            (refused("set the sensor's mode"), false),
            (CameraError::of(GIVE_NETWORK, Path::new(NODE), Errno::BUSY), false),
            (CameraError::Silent { seconds: 5 }, false),
        ] {
            assert_eq!(error.may_be_the_network(), suspected, "{error}");
        }
    }

    #[test]
    fn trouble_and_whether_it_may_pass_follow_from_the_cause() {
        let upload = |errno| {
            CameraError::Upload(UploadError { errno, reached: None, network: None, refusal: None })
        };
        let of = |errno| CameraError::of("take a frame", Path::new(NODE), errno);
        for (error, trouble, may_pass) in [
            (CameraError::Silent { seconds: 5 }, Trouble::Stalled, true),
            (CameraError::StreamEnded { path: NODE.into() }, Trouble::Stalled, true),
            (of(Errno::NODEV), Trouble::Device, true),
            (of(Errno::BUSY), Trouble::Device, true),
            (of(Errno::IO), Trouble::Device, false),
            (of(Errno::ACCESS), Trouble::Device, false),
            (DiscoveryError::NoMediaDevice.into(), Trouble::Device, true),
            (upload(Errno::TIMEDOUT), Trouble::Device, true),
            (upload(Errno::NOENT), Trouble::Lasting, false),
            (upload(Errno::REMOTEIO), Trouble::Lasting, false),
            (CameraError::WornOut { starts: 20, most: 20 }, Trouble::WornOut, false),
            (CameraError::Unsuitable(String::new()), Trouble::Lasting, false),
        ] {
            assert_eq!((error.trouble(), error.may_pass()), (trouble, may_pass), "{error}");
        }
    }

    #[test]
    fn busy_names_who_holds_it() {
        let holder = Holder { pid: 812, name: "rpicam-hello".into() };
        let error = CameraError::Busy {
            doing: "start the stream".into(),
            path: NODE.into(),
            holders: vec![holder],
        };
        assert_eq!(
            error.to_string(),
            "cannot start the stream: /dev/video1 is in use by rpicam-hello (process 812); stop it, then \
             start again"
        );
    }
}
