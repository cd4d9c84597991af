//! The machine that is looked at: this one, or one whose files lie under a folder, such as a mounted SD card.
//!
//! Paths are given and told as they are on that machine, `/boot/firmware/config.txt`, wherever its root is.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use qsegment::source::device_node;

/// A machine by its files.
#[derive(Debug, Clone)]
pub(super) struct Host {
    root: PathBuf,
    /// Whether it is the machine that we run on, which can also be asked.
    live: bool,
}

impl Host {
    /// This machine.
    pub(super) fn this() -> Self {
        Self { root: PathBuf::from("/"), live: true }
    }

    /// The machine whose files lie under `root`.
    pub(super) fn under(root: &Path) -> Self {
        Self { root: root.to_owned(), live: false }
    }

    pub(super) fn is_this(&self) -> bool {
        self.live
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the kernel's own files are there; those of a machine that is off are not.
    pub(super) fn has_kernel_files(&self) -> bool {
        self.path("/sys/class").is_dir()
    }

    /// Where a path of that machine is on this one. Relative paths of this machine stay what they are.
    pub(super) fn path(&self, there: impl AsRef<Path>) -> PathBuf {
        let there = there.as_ref();
        match there.strip_prefix("/") {
            Ok(below) => self.root.join(below),
            Err(_) if self.live => there.to_owned(),
            Err(_) => self.root.join(there),
        }
    }

    pub(super) fn exists(&self, there: impl AsRef<Path>) -> bool {
        self.path(there).exists()
    }

    /// The text of a file, without the space and the NUL at its ends; none where it cannot be read.
    pub(super) fn text(&self, there: impl AsRef<Path>) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(self.path(there)).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned())
    }

    /// Names in a folder, sorted; none where it cannot be read.
    pub(super) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Names in a folder that are `prefix` and a number, in the order of their numbers.
    pub(super) fn numbered(&self, folder: &str, prefix: &str) -> Vec<String> {
        let paths = device_node::numbered(&self.path(folder), prefix);
        paths.iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect()
    }

    /// The driver behind a device of sysfs, as its `uevent` tells.
    pub(super) fn driver(&self, device: &str) -> Option<String> {
        let uevent = self.text(format!("{device}/uevent"))?;
        uevent.lines().find_map(|line| line.strip_prefix("DRIVER=").map(str::to_owned))
    }

    /// A sentence that names paths of this machine, as that machine would say it.
    pub(super) fn as_there(&self, sentence: &str) -> String {
        let root = self.root.to_string_lossy();
        match root.trim_end_matches('/') {
            "" => sentence.to_owned(),
            root => sentence.replace(&format!("{root}/"), "/"),
        }
    }

    /// Kernels that are installed, by their releases.
    pub(super) fn kernels(&self) -> Vec<String> {
        match self.text("/proc/sys/kernel/osrelease") {
            Some(running) => vec![running],
            None => self.names("/lib/modules"),
        }
    }
}

/// Whether the file name of a kernel module is that of `module`, compressed or not.
pub(super) fn is_module(path: &str, module: &str) -> bool {
    let name = Path::new(path).file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.strip_prefix(module).is_some_and(|rest| rest == ".ko" || rest.starts_with(".ko."))
}

/// The longest of them, modules.dep, is below 1 MiB.
const MOST_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_machine_that_is_looked_at() {
        let card = Host::under(Path::new("/mnt/card"));
        assert_eq!(card.path("/etc/group"), Path::new("/mnt/card/etc/group"));
        assert_eq!(card.path("network.rpk"), Path::new("/mnt/card/network.rpk"));
        assert_eq!(
            card.as_there("no /mnt/card/etc/x; see /mnt/cards"),
            "no /etc/x; see /mnt/cards"
        );
        let this = Host::this();
        assert_eq!(this.path("/etc/group"), Path::new("/etc/group"));
        assert_eq!(this.path("network.rpk"), Path::new("network.rpk"));
        assert_eq!(this.as_there("no /etc/x"), "no /etc/x");
    }

    #[test]
    fn module_is_known_by_its_whole_name() {
        assert!(is_module("kernel/drivers/media/i2c/imx500.ko.xz", "imx500"));
        assert!(is_module("imx500.ko", "imx500"));
        assert!(!is_module("kernel/drivers/media/i2c/imx5001.ko", "imx500"));
        assert!(!is_module("kernel/imx500/other.ko", "imx500"));
    }
}
