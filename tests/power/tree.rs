//! Files as an instrument has them, under a root of their own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use qsegment::source::clock::Timestamp;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

pub(crate) struct Tree(TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
    /// A file that nobody can open to read until somebody opens it to write.
    pub(crate) fn fifo(&self, path: &str) -> PathBuf {
        let path = self.root().join(path);
        fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        path
    }

    pub(crate) fn remove(&self, folder: &str) {
        fs::remove_dir_all(self.root().join(folder)).unwrap();
    }

    /// A chip as its driver shows it: 250 mW at 3.3 V.
    pub(crate) fn chip(&self, number: u32, name: &str, place: &str) -> String {
        let folder = format!("sys/class/hwmon/hwmon{number}");
        for (file, text) in [
            ("name", format!("{name}\n")),
            ("in0_input", "8\n".to_owned()),
            ("in1_input", "3300\n".to_owned()),
            ("curr1_input", "76\n".to_owned()),
            ("power1_input", "250000\n".to_owned()),
            ("shunt_resistor", "100000\n".to_owned()),
        ] {
            self.write(&format!("{folder}/{file}"), &text);
        }
        symlink(format!("../../../{place}"), self.root().join(&folder).join("device")).unwrap();
        folder
    }

    pub(crate) fn package(&self, number: u32, energy_uj: u64) -> String {
        let folder = format!("sys/class/powercap/intel-rapl:{number}");
        self.write(&format!("{folder}/name"), &format!("package-{number}\n"));
        self.write(&format!("{folder}/max_energy_range_uj"), "262143328850\n");
        self.write(&format!("{folder}/energy_uj"), &format!("{energy_uj}\n"));
        folder
    }

    /// A program in place of vcgencmd.
    pub(crate) fn vcgencmd(&self, script: &str) {
        let program = self.write("usr/bin/vcgencmd", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::default().plus(Duration::from_millis(ms))
}

pub(crate) fn near(got: f64, want: f64) -> bool {
    (got - want).abs() < 1e-9
}
