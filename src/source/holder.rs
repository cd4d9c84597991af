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

/// Every process but this one that listens on the Unix socket, or talks on it.
#[must_use]
pub fn holders_of_socket(path: &Path) -> Vec<Holder> {
    holders_of_socket_in(Path::new("/proc"), path, std::process::id())
}

fn holders_of_socket_in(proc: &Path, path: &Path, own: u32) -> Vec<Holder> {
    // A descriptor of a socket is a link to its inode; which inode has which path is in a table of its own, whose
    // seventh column is the inode and the last one the path.
    let table = fs::read_to_string(proc.join("net/unix")).unwrap_or_default();
    let inodes = table.lines().filter_map(|line| {
        let before = line.strip_suffix(path.to_str()?)?.strip_suffix(' ')?;
        let columns: Vec<&str> = before.split_ascii_whitespace().collect();
        (columns.len() == 7).then(|| PathBuf::from(format!("socket:[{}]", columns[6])))
    });
    let mut holders: Vec<Holder> = inodes.flat_map(|inode| holders_in(proc, &inode, own)).collect();
    holders.sort_by_key(|holder| holder.pid);
    holders.dedup();
    holders
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
    fn holders_of_a_socket_are_found_by_its_inode() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir_all(proc.path().join("net")).unwrap();
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                     0000000000000000: 00000002 00000000 00010000 0001 01   171 /run/q/frames.sock\n\
                     0000000000000000: 00000002 00000000 00010000 0001 01 24680 /run/other/run/q/frames.sock\n\
                     0000000000000000: 00000003 00000000 00000000 0001 03 24681\n";
        fs::write(proc.path().join("net/unix"), table).unwrap();
        for (pid, name, inode) in [(41, "qsegment", 171), (42, "other", 24_680)] {
            let process = proc.path().join(pid.to_string());
            fs::create_dir_all(process.join("fd")).unwrap();
            fs::write(process.join("comm"), format!("{name}\n")).unwrap();
            symlink(format!("socket:[{inode}]"), process.join("fd/9")).unwrap();
        }
        let found = holders_of_socket_in(proc.path(), Path::new("/run/q/frames.sock"), 5);
        assert_eq!(found, [Holder { pid: 41, name: "qsegment".to_owned() }]);
    }

    #[test]
    fn own_process_is_not_its_own_holder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(holders_of(file.path()), []);
    }
}
