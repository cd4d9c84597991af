//! Who has a device node open, as far as /proc tells: the processes of other users are closed books to
//! anybody but root.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// Every process but this one that has the node open, in the order of their numbers.
#[must_use]
pub fn holders_of(node: &Path) -> Vec<Holder> {
    holders_in(Path::new("/proc"), node, std::process::id())
}

/// The same of the processes under `proc`, without the one whose number is `own`.
#[must_use]
pub fn holders_in(proc: &Path, node: &Path, own: u32) -> Vec<Holder> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |process: PathBuf| {
        let fds = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        fds.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|open| open == node))
    };
    let mut holders: Vec<Holder> = pids
        .filter(|&pid| pid != own && holds(proc.join(pid.to_string())))
        .map(|pid| {
            let name = fs::read_to_string(proc.join(pid.to_string()).join("comm"));
            let name = name.map_or_else(|_| "a process".to_owned(), |name| name.trim().to_owned());
            Holder { pid, name }
        })
        .collect();
    holders.sort_by_key(|holder| holder.pid);
    holders
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn holders_are_the_other_processes_with_the_node_open() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, name, open) in [
            (812, "rpicam-hello", "/dev/video1"),
            (77, "motion", "/dev/video0"),
            (5, "qsegment", "/dev/video1"),
            (31, "python3", "/dev/video1"),
        ] {
            let process = proc.path().join(pid.to_string());
            fs::create_dir_all(process.join("fd")).unwrap();
            fs::write(process.join("comm"), format!("{name}\n")).unwrap();
            symlink("/dev/null", process.join("fd/0")).unwrap();
            symlink(open, process.join("fd/3")).unwrap();
        }
        fs::create_dir(proc.path().join("self")).unwrap();
        let found = holders_in(proc.path(), Path::new("/dev/video1"), 5);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["python3 (process 31)", "rpicam-hello (process 812)"]);
    }

    #[test]
    fn own_process_is_not_its_own_holder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(holders_of(file.path()), []);
    }
}
