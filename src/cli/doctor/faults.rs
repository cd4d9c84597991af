//! Known faults of the camera, by what they leave in the kernel's log.
//!
//! Symptoms are the drivers' own messages (imx500.c, spi-rp2040-gpio-bridge.c and raspberrypi-hwmon.c of
//! raspberrypi/linux) and what users have reported about them. The log is the kernel's ring of this boot; of a
//! machine that is looked at by its files it is what a logger has left in /var/log.

use std::fs::File;
use std::io::{ErrorKind, Read};

use rustix::fs::{Mode, OFlags, open};

use super::check::{Check, Question};
use super::host::Host;

const FAULTS: Question =
    Question::new("known faults", "none of their symptoms in the kernel's log of this boot");

/// One answer for each fault whose symptom is there, else one for all.
pub(super) fn checks(host: &Host, camera: Option<&str>) -> Vec<Check> {
    let log = if host.is_this() { ring() } else { left(host) };
    match log {
        Ok(log) => judge(&log, camera),
        Err(why) => vec![FAULTS.unknown(
            why,
"on the machine itself `sudo dmesg | grep -E 'imx500|rp2040'` shows what the drivers saw",
        )],
    }
}

fn judge(log: &str, camera: Option<&str>) -> Vec<Check> {
    let camera = camera.unwrap_or("10-001a");
    let seen = SYMPTOMS.iter().filter_map(|symptom| {
        // The last time counts: after a fault was mended its line is still there.
        let line = log.lines().rfind(|line| symptom.is_in(line))?;
        let next = symptom.next.replace("CAMERA", camera);
        Some(FAULTS.warn(format!("{}: `{}`", symptom.means, line.trim()), next))
    });
    let seen: Vec<Check> = seen.collect();
    if seen.is_empty() {
        vec![FAULTS.ok(format!("none of {} symptoms in the kernel's log", SYMPTOMS.len()))]
    } else {
        seen
    }
}

struct Symptom {
    /// Words that are all in the line, in lower case.
    words: &'static [&'static str],
    means: &'static str,
    next: &'static str,
}

impl Symptom {
    fn is_in(&self, line: &str) -> bool {
        let line = line.to_ascii_lowercase();
        self.words.iter().all(|word| line.contains(word))
    }
}

const SYMPTOMS: [Symptom; 8] = [
    Symptom {
        words: &["imx500", "failed to read chip id"],
        means: "the sensor does not answer",
        next: "power off, seat the camera's cable at both ends, start again",
    },
    Symptom {
        words: &["imx500", "chip id mismatch"],
        means: "another sensor answers in its place",
        next: "another camera is connected: name its own overlay in config.txt, or connect the AI Camera",
    },
    Symptom {
        words: &["rp2040", "could not get device info"],
        means: "the camera's bridge does not answer (linux#7613: it hangs after 20 to 25 starts)",
        next: "disconnect the camera from power (a restart alone may not do), and start the stream seldom: \
               one `qsegment run` that goes on, none that restarts in a loop",
    },
    Symptom {
        words: &["imx500", "unable to acquire"],
        means: "the kernel has no firmware for the sensor",
        next: "`sudo apt install imx500-firmware`",
    },
    Symptom {
        words: &["imx500", "failed to load loader firmware"],
        means: "the sensor refuses its loader (libcamera#355)",
        next: "keep it on: `echo on | sudo tee /sys/bus/i2c/devices/CAMERA/power/control`, then start once; if \
               that does not help, disconnect the camera from power",
    },
    Symptom {
        words: &["imx500", "unable to apply register writes"],
        means: "the driver refuses the network's registers",
        next: "`qsegment inspect` on the file of camera.network names the entry",
    },
    Symptom {
        words: &["imx500", "failed to load network weights"],
        means: "the upload of a network failed",
        next: "start again once; if it fails in the same place, `qsegment inspect` on the file of camera.network",
    },
    Symptom {
        words: &["under", "voltage detected"],
        means: "the supply gave too little voltage",
        next: "a supply of 27 W for a Raspberry Pi 5, of 15 W for a Pi 4, and a short cable",
    },
];

/// What the kernel has said since it started, as far as it remembers.
fn ring() -> Result<String, String> {
    let refused = |error: std::io::Error| match error.kind() {
        ErrorKind::PermissionDenied => "only root may read the kernel's log".to_owned(),
        ErrorKind::NotFound => "no kernel log here (/dev/kmsg), as in a container".to_owned(),
        _ => format!("cannot read /dev/kmsg: {error}"),
    };
    // Without NONBLOCK it would wait for what the kernel says next.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let log = open("/dev/kmsg", flags, Mode::empty()).map_err(|errno| refused(errno.into()))?;
    let (mut log, mut text, mut record) = (File::from(log), String::new(), vec![0; RECORD_BYTES]);
    for _ in 0..MOST_RECORDS {
        // One record a call: `6,339,5140900,-;message`, then lines that begin with a space.
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(len) => {
                let said = String::from_utf8_lossy(&record[..len]);
                let message = said.split_once(';').map_or("", |(_, message)| message);
                text.push_str(message.lines().next().unwrap_or_default());
                text.push('\n');
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // The oldest record was overwritten meanwhile.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Ok(text)
}

fn left(host: &Host) -> Result<String, String> {
    let logs = LOGS.iter().find_map(|path| host.text(path));
    logs.ok_or_else(|| format!("no log of a kernel among these files ({})", LOGS.join(", ")))
}

const LOGS: [&str; 3] = ["/var/log/kern.log", "/var/log/dmesg", "/var/log/syslog"];
/// The kernel's own limit of a record.
const RECORD_BYTES: usize = 8192;
/// A ring of 1 MiB, the largest usual one, holds fewer.
const MOST_RECORDS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;

    #[test]
    fn symptoms_become_cause_and_next_step() {
        let log = "[    4.1] imx500 11-001a: Device found is imx500\n\
                   [   90.2] imx500 11-001a: imx500_state_transition: failed to load loader firmware\n\
                   [   95.0] hwmon hwmon1: Undervoltage detected!\n";
        let checks = judge(log, Some("11-001a"));
        assert_eq!(checks.len(), 2);
        assert!(checks.iter().all(|check| check.verdict == Verdict::Warn));
        assert!(checks[0].found.contains("libcamera#355"), "{}", checks[0]);
        assert!(checks[0].next.as_deref().unwrap().contains("devices/11-001a/power/control"));
        assert!(checks[1].found.ends_with("Undervoltage detected!`"), "{}", checks[1]);
    }

    #[test]
    fn log_without_symptoms_is_fine_and_other_drivers_firmware_is_nobody_s_fault() {
        for log in
            ["", "imx500 10-001a: Device found is imx500\n", "wlan0: unable to acquire lock\n"]
        {
            let checks = judge(log, None);
            assert_eq!((checks.len(), checks[0].verdict), (1, Verdict::Ok), "{log}");
        }
    }

    #[test]
    fn every_symptom_is_found_in_a_line_of_its_words() {
        for symptom in &SYMPTOMS {
            let line = symptom.words.join(" 10-001a: ").to_uppercase();
            assert!(symptom.is_in(&line), "{line}");
            assert!(!symptom.is_in("imx500 10-001a: Device found is imx500"), "{line}");
        }
    }
}
