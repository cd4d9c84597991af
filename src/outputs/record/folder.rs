//! A ring of recordings in a folder: new files, and the oldest make room.
//!
//! ```text
//!   qsegment-20261126T083000Z-0001.mcap   oldest, goes first
//!   qsegment-20261126T083000Z-0002.mcap
//!   qsegment-20261126T091500Z-0001.mcap   being written, never goes
//!   .qsegment-ring                        their names, one a line: what is not in it is never removed
//! ```
//!
//! A name is entered before its file is made, so whatever is cut in between, nothing but the ring's own files
//! can go. To keep a recording, rename it or move it away.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::formats::recording::RunFacts;
use crate::outputs::whole_file;

/// The folder and the names that it may remove.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    max_bytes: Option<u64>,
    max_age: Option<Duration>,
    /// Oldest first.
    names: Vec<String>,
    /// Time stamp of the run, as it stands in its names.
    started: String,
    next: u32,
}

impl Folder {
    /// Makes the folder if need be, and reads which files are its own.
    pub(super) fn open(
        path: &Path,
        max_bytes: Option<u64>,
        max_age: Option<Duration>,
        facts: &RunFacts,
    ) -> io::Result<Self> {
        whole_file::prepare_folder(path, LIST)?;
        let list = match fs::read_to_string(path.join(LIST)) {
            Ok(list) => list,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // Names only: a list that somebody has edited must not lead out of the folder.
        let names = list.lines().filter(|name| is_ours(name)).map(ToOwned::to_owned).collect();
        let started = SystemTime::UNIX_EPOCH + Duration::from_nanos(facts.started_ns);
        let started =
            humantime::format_rfc3339_seconds(started).to_string().replace(['-', ':'], "");
        Ok(Self { path: path.to_owned(), max_bytes, max_age, names, started, next: 1 })
    }

    /// Path of a file that is not there yet; it is in the list already.
    pub(super) fn new_file(&mut self) -> io::Result<PathBuf> {
        let name = loop {
            let name = format!("{PREFIX}{}-{:04}{SUFFIX}", self.started, self.next);
            self.next += 1;
            // A clock that was set back, as at the start of a machine without one.
            if !self.path.join(&name).exists() {
                break name;
            }
        };
        self.names.retain(|known| *known != name);
        self.names.push(name.clone());
        self.write_list()?;
        Ok(self.path.join(name))
    }

    /// Removes the oldest files until the others are within size and age. `writing` stays. Says how many went.
    pub(super) fn make_room(&mut self, writing: &Path) -> io::Result<u64> {
        let now = fs::metadata(writing)?.modified()?;
        let mut files = Vec::new();
        for name in &self.names {
            let path = self.path.join(name);
            // A link is not followed; what is not there any more is forgotten.
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_file() => files.push((name.clone(), path, found)),
                _ => {}
            }
        }
        let mut total: u64 = files.iter().map(|(_, _, found)| found.len()).sum();
        let mut removed = 0;
        let mut kept = Vec::new();
        for (name, path, found) in files {
            let age = now.duration_since(found.modified()?).unwrap_or_default();
            let too_much = self.max_bytes.is_some_and(|max| total > max);
            let too_old = self.max_age.is_some_and(|max| age > max);
            if path != writing && (too_much || too_old) {
                fs::remove_file(&path)?;
                total -= found.len();
                removed += 1;
            } else {
                kept.push(name);
            }
        }
        if kept != self.names {
            self.names = kept;
            self.write_list()?;
        }
        Ok(removed)
    }

    fn write_list(&self) -> io::Result<()> {
        let list: String = self.names.iter().map(|name| format!("{name}\n")).collect();
        whole_file::write(&self.path.join(LIST), |file| file.write_all(list.as_bytes()))
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX) && !name.contains('/')
}

const LIST: &str = ".qsegment-ring";
const PREFIX: &str = "qsegment-";
const SUFFIX: &str = ".mcap";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::embedded::LinePacking;
    use crate::formats::input_tensor::ColourOrder;
    use crate::formats::recording::RecordedInference;

    fn facts(started_s: u64) -> RunFacts {
        RunFacts {
            qsegment: "0.1.0".to_owned(),
            started_ns: started_s * 1_000_000_000,
            network: "fast".to_owned(),
            network_sha256: "ab".to_owned(),
            network_parameters: None,
            network_macs: None,
            inference: RecordedInference::Sensor,
            host_input: None,
            source: "simulated".to_owned(),
            quality: "simulated".to_owned(),
            frame_interval_ns: 33_000_000,
            packing: LinePacking::Pi5,
            mode: "2028x1520".to_owned(),
            colour_order: ColourOrder::Rgb,
            inference_window: [0; 4],
            flips: [false; 2],
            threshold: 128,
            stale_after_ms: 500,
            stall_after_ms: 1000,
            raw_pictures: false,
            scene: None,
            seed: None,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes a file of 10 bytes that was last written so many seconds after 1970.
    fn write(path: &Path, at_s: u64) {
        fs::write(path, [0; 10]).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at_s);
        fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn oldest_files_of_earlier_runs_go_first_and_nothing_else_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Folder::open(dir.path(), None, None, &facts(0)).unwrap();
        let old = first.new_file().unwrap();
        assert_eq!(old.file_name().unwrap(), "qsegment-19700101T000000Z-0001.mcap");
        write(&old, 10);
        write(&first.new_file().unwrap(), 20);
        // Of the same pattern, but not written by the ring.
        write(&dir.path().join("qsegment-19700101T000000Z-0009.mcap"), 1);
        write(&dir.path().join("other.mcap"), 1);

        let mut second = Folder::open(dir.path(), Some(25), None, &facts(0)).unwrap();
        let writing = second.new_file().unwrap();
        write(&writing, 30);
        assert_eq!(second.make_room(&writing).unwrap(), 1);
        let left = [
            LIST,
            "other.mcap",
            "qsegment-19700101T000000Z-0002.mcap",
            "qsegment-19700101T000000Z-0003.mcap",
            "qsegment-19700101T000000Z-0009.mcap",
        ];
        assert_eq!(names(dir.path()), left);
        assert_eq!(
            fs::read_to_string(dir.path().join(LIST)).unwrap(),
            "qsegment-19700101T000000Z-0002.mcap\nqsegment-19700101T000000Z-0003.mcap\n"
        );
    }

    #[test]
    fn files_older_than_the_age_go_and_the_one_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let age = Some(Duration::from_secs(60));
        let mut folder = Folder::open(dir.path(), Some(1), age, &facts(0)).unwrap();
        let writing = folder.new_file().unwrap();
        write(&writing, 1000);
        assert_eq!(folder.make_room(&writing).unwrap(), 0, "over the size, but alone");
        let mut folder = Folder::open(dir.path(), None, age, &facts(7)).unwrap();
        let later = folder.new_file().unwrap();
        for (at_s, removed) in [(1060, 0), (1061, 1)] {
            write(&later, at_s);
            assert_eq!(folder.make_room(&later).unwrap(), removed, "at {at_s} s");
        }
    }

    #[test]
    fn a_list_cannot_lead_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let ring = dir.path().join("ring");
        fs::create_dir(&ring).unwrap();
        write(&dir.path().join("qsegment-x.mcap"), 1);
        fs::write(ring.join(LIST), "qsegment-/../../qsegment-x.mcap\n../qsegment-x.mcap\n")
            .unwrap();
        let mut folder = Folder::open(&ring, Some(1), None, &facts(0)).unwrap();
        let writing = folder.new_file().unwrap();
        write(&writing, 1000);
        assert_eq!(folder.make_room(&writing).unwrap(), 0);
        assert!(dir.path().join("qsegment-x.mcap").exists());
    }
}
