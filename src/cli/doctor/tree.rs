//! Files of a machine, written by a test.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::host::Host;

pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn host(&self) -> Host {
        Host::under(self.0.path())
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn link(&self, path: &str, to: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    /// A process that has `node` open.
    pub(super) fn process(&self, pid: u32, name: &str, node: &str) {
        self.write(&format!("proc/{pid}/comm"), &format!("{name}\n"));
        self.link(&format!("proc/{pid}/fd/3"), node);
    }
}
