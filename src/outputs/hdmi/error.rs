//! Why there is no display: the card or connector, the cause, the next step.

use std::io;
use std::path::{Path, PathBuf};

use crate::source::holder::{Holder, holders_of};
use crate::source::permission::{group_of, not_permitted};

/// Why nothing can be shown, or not any longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisplayError {
    /// There is no card at all.
    #[error(
        "no display: there is no /dev/dri/card*; on a Raspberry Pi `dtoverlay=vc4-kms-v3d` in config.txt brings \
         one"
    )]
    NoCard,
    /// Cards there are, but none with a connector, atomic commits and buffers of its own.
    #[error("no display: {}", .0.join("; "))]
    NoneSuitable(Vec<String>),
    /// The card that was asked for cannot show anything.
    #[error("{path} cannot be the display: {cause}")]
    Unsuitable {
        /// Which card.
        path: PathBuf,
        /// What it lacks.
        cause: String,
    },
    /// The process may not open the card.
    #[error("{}", not_permitted(.path, .group.as_deref()))]
    NotPermitted {
        /// Which card.
        path: PathBuf,
        /// Who may; none where root alone may.
        group: Option<String>,
    },
    /// Another program shows something on it (it is DRM master).
    #[error("{path} is the display of {}", named(.holders, .path))]
    Held {
        /// Which card.
        path: PathBuf,
        /// Who has it open, as far as /proc tells.
        holders: Vec<Holder>,
    },
    /// The screen does not offer the mode that was asked for.
    #[error("{connector} has no mode {wanted}; it has {}", .offered.join(", "))]
    NoMode {
        /// Which connector.
        connector: String,
        /// As asked for.
        wanted: String,
        /// Every mode.
        offered: Vec<String>,
    },
    /// The card accepts none of the ways to show a picture.
    #[error("{path} refuses every way to show a picture: {}", .refusals.join("; "))]
    Refuses {
        /// Which card.
        path: PathBuf,
        /// Each way with what the kernel said.
        refusals: Vec<String>,
    },
    /// A call was refused.
    #[error("cannot {doing} on {path}: {cause}")]
    Call {
        /// What was tried.
        doing: &'static str,
        /// Which card.
        path: PathBuf,
        /// What the kernel said.
        cause: String,
    },
    /// A commit was accepted, and its flip never came.
    #[error(
        "{path} accepted a picture and has not shown it within a second; `dmesg | tail` says what the driver saw"
    )]
    NoFlip {
        /// Which card.
        path: PathBuf,
    },
    /// The system gives no thread or descriptor.
    #[error("cannot start the hdmi thread: {0}")]
    Thread(String),
}

impl DisplayError {
    /// What it means that the card at `path` cannot be opened.
    pub(super) fn opening(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Self::NotPermitted { path: path.to_owned(), group: group_of(path) }
            }
            _ => Self::call("open the card", path, error),
        }
    }
    /// Who else is DRM master.
    pub(super) fn held(path: &Path) -> Self {
        Self::Held { path: path.to_owned(), holders: holders_of(path) }
    }
    pub(super) fn call(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Call { doing, path: path.to_owned(), cause: error.to_string() }
    }
}

fn named(holders: &[Holder], path: &Path) -> String {
    if holders.is_empty() {
        return format!(
            "another program, which this user cannot see (`sudo fuser -v {}` names it); stop it, then start again",
            path.display()
        );
    }
    let named: Vec<String> = holders.iter().map(ToString::to_string).collect();
    format!("{}; stop it, then start again", named.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holder_of_the_display_is_named_or_how_to_find_it() {
        let path = PathBuf::from("/dev/dri/card1");
        let holders = vec![Holder { pid: 812, name: "Xorg".to_owned() }];
        let said = DisplayError::Held { path: path.clone(), holders }.to_string();
        assert_eq!(
            said,
            "/dev/dri/card1 is the display of Xorg (process 812); stop it, then start again"
        );
        let said = DisplayError::Held { path, holders: Vec::new() }.to_string();
        assert!(said.contains("`sudo fuser -v /dev/dri/card1` names it"), "{said}");
    }

    #[test]
    fn group_to_join_is_named() {
        let path = PathBuf::from("/dev/dri/card0");
        let said = DisplayError::NotPermitted { path, group: Some("video".to_owned()) }.to_string();
        assert!(said.contains("sudo usermod -aG video"), "{said}");
    }
}
