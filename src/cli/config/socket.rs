//! `[socket]`: where other programs on this machine get masks and pictures, and who may.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use qsegment::outputs::socket::Options;
use serde::{Deserialize, Serialize};

/// Frames on a Unix socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Socket {
    /// The socket's file, such as `/run/qsegment/frames.sock`; its folder must be there. Default `""`, no socket.
    pub(crate) path: PathBuf,
    /// Mode of the file: whoever may write to it may connect. Default `"0660"`, this user and its group.
    pub(crate) mode: String,
    /// Whether clients that ask for pictures get them. Default true; false gives away masks only.
    pub(crate) pictures: bool,
    /// A client that has not read a message after this time is sent away, 100 to 60000. Default 5000.
    pub(crate) drop_after_ms: u32,
}

impl Default for Socket {
    fn default() -> Self {
        Self { path: PathBuf::new(), mode: "0660".to_owned(), pictures: true, drop_after_ms: 5000 }
    }
}

impl Socket {
    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.mode()?;
        ensure!(
            (100..=60_000).contains(&self.drop_after_ms),
            "socket.drop_after_ms: {} is not between 100 and 60000",
            self.drop_after_ms
        );
        let len = self.path.as_os_str().len();
        ensure!(
            len <= LONGEST_PATH,
            "socket.path: {len} bytes, but the system allows no more than {LONGEST_PATH} for a socket"
        );
        Ok(())
    }

    /// None where there is none.
    pub(crate) fn options(&self) -> Option<Options> {
        if self.path.as_os_str().is_empty() {
            return None;
        }
        Some(Options {
            path: self.path.clone(),
            mode: self.mode().ok()?,
            pictures: self.pictures,
            drop_after: Duration::from_millis(self.drop_after_ms.into()),
        })
    }

    fn mode(&self) -> anyhow::Result<u32> {
        let mode = u32::from_str_radix(&self.mode, 8).ok().filter(|mode| *mode <= 0o777);
        mode.ok_or_else(|| {
            anyhow!(
                "socket.mode: {:?} is no mode of a file; write it in octal, such as \"0660\"",
                self.mode
            )
        })
    }
}

/// What `sockaddr_un` has room for, with its zero at the end.
const LONGEST_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_modes_paths_and_times_that_make_no_sense() {
        let fine = Socket { path: "/run/qsegment/frames.sock".into(), ..Socket::default() };
        fine.check().unwrap();
        assert_eq!(fine.options().unwrap().mode, 0o660);
        assert_eq!(Socket::default().options(), None);
        for (wrong, said) in [
            (Socket { mode: "rw".to_owned(), ..fine.clone() }, "socket.mode: \"rw\""),
            (Socket { mode: "01777".to_owned(), ..fine.clone() }, "socket.mode: \"01777\""),
            (Socket { drop_after_ms: 0, ..fine.clone() }, "socket.drop_after_ms: 0"),
            (Socket { path: "x".repeat(108).into(), ..fine.clone() }, "socket.path: 108 bytes"),
        ] {
            let refused = wrong.check().unwrap_err().to_string();
            assert!(refused.starts_with(said), "{refused}");
        }
    }
}
