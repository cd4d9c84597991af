//! The socket's file: whose it is, when it may be replaced, and that it goes at the end.
//!
//! ```text
//!   there is     who answers        then
//!   nothing                         made
//!   a socket     nobody: its        replaced
//!                daemon has died
//!   a socket     somebody           refused, by name
//!   a link, a    (not asked)        refused; nothing that is no socket is ever removed
//!   file, ...
//! ```
//!
//! The folder is locked meanwhile, so that two daemons that start at once do not both find the file of a third one dead.

use std::fs::{self, File, FileType, Metadata, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::SocketError;
use crate::source::holder;

/// A socket's file, which goes away with its value.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// What is removed is what was made.
    identity: Identity,
}

/// Device, inode and the time of the last change: an inode that is free is soon another file's.
type Identity = (u64, u64, i64, i64);

fn identity(of: &Metadata) -> Identity {
    (of.dev(), of.ino(), of.ctime(), of.ctime_nsec())
}

impl SocketFile {
    pub(super) fn claim(path: &Path, mode: u32) -> Result<(UnixListener, Self), SocketError> {
        let refused = |error: io::Error| SocketError::Open {
            path: path.to_owned(),
            cause: error.to_string(),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(refused)?;
        folder.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => refused(error),
            TryLockError::WouldBlock => {
                refused(io::Error::other("another program is making one in that folder now"))
            }
        })?;
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => make_room(path)?,
            Ok(found) => {
                let what = kind(found.file_type());
                return Err(SocketError::Occupied { path: path.to_owned(), what });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        let listener = UnixListener::bind(path).map_err(refused)?;
        // Until here the umask has kept others out: to connect takes the right to write.
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(refused)?;
        let made = fs::symlink_metadata(path).map_err(refused)?;
        Ok((listener, Self { path: path.to_owned(), identity: identity(&made) }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.file_type().is_socket() && identity(&found) == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("cannot remove the socket {}: {error}", self.path.display());
        }
    }
}

/// Removes the socket of a daemon that has died.
fn make_room(path: &Path) -> Result<(), SocketError> {
    let refused =
        |error: io::Error| SocketError::Open { path: path.to_owned(), cause: error.to_string() };
    match UnixStream::connect(path) {
        Ok(_) => {
            let holders = holder::holders_of_socket(path);
            let named: Vec<String> = holders.iter().map(ToString::to_string).collect();
            let holder = if named.is_empty() {
                "a program that cannot be named (root sees more)".to_owned()
            } else {
                named.join(", ")
            };
            Err(SocketError::Held { path: path.to_owned(), holder })
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

fn kind(found: FileType) -> &'static str {
    if found.is_symlink() {
        "a link"
    } else if found.is_dir() {
        "a folder"
    } else if found.is_file() {
        "a file"
    } else {
        "something else"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn file_has_its_mode_and_goes_with_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("frames.sock");
        let (listener, file) = SocketFile::claim(&path, 0o640).unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        UnixStream::connect(&path).unwrap();
        drop((listener, file));
        assert!(!path.exists());
    }

    #[test]
    fn socket_of_a_dead_daemon_is_replaced_and_of_a_living_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("frames.sock");
        // Closing a listener leaves its file, as a crash does.
        drop(UnixListener::bind(&path).unwrap());
        let (listener, file) = SocketFile::claim(&path, 0o660).unwrap();
        let refused = SocketFile::claim(&path, 0o660).unwrap_err();
        assert!(matches!(refused, SocketError::Held { .. }), "{refused}");
        assert!(path.exists());
        // The older one must not take the newer one's file with it.
        drop(listener);
        let newer = SocketFile::claim(&path, 0o660).unwrap();
        drop(file);
        assert!(path.exists());
        drop(newer);
        assert!(!path.exists());
    }

    #[test]
    fn nothing_that_is_no_socket_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link, folder] = ["file", "link", "folder"].map(|name| dir.path().join(name));
        fs::write(&file, "precious").unwrap();
        // Even to a dead socket: whoever made the link may point it elsewhere.
        let dead = dir.path().join("dead.sock");
        drop(UnixListener::bind(&dead).unwrap());
        symlink(&dead, &link).unwrap();
        fs::create_dir(&folder).unwrap();
        for (path, what) in [(&file, "a file"), (&link, "a link"), (&folder, "a folder")] {
            let refused = SocketFile::claim(path, 0o660).unwrap_err();
            assert_eq!(refused, SocketError::Occupied { path: path.clone(), what });
        }
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert!(fs::symlink_metadata(&dead).is_ok() && fs::symlink_metadata(&link).is_ok());
    }

    #[test]
    fn missing_folder_and_a_start_at_the_same_time_are_said() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = SocketFile::claim(&dir.path().join("no/frames.sock"), 0o660).unwrap_err();
        assert!(nowhere.to_string().contains("is its folder there"), "{nowhere}");
        let folder = File::open(dir.path()).unwrap();
        folder.lock().unwrap();
        let busy = SocketFile::claim(&dir.path().join("frames.sock"), 0o660).unwrap_err();
        assert!(busy.to_string().contains("another program is making one"), "{busy}");
    }
}
