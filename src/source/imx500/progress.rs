//! How far the upload of firmware and network has come, and whether it still moves.
//!
//! ```text
//!   stream start --> loader --> main --> network --> frames
//!                    each in pieces of 1 MiB; a piece goes over the slow bus to the camera's bridge, or
//!                    comes from the bridge's own flash where an earlier upload left it
//! ```
//!
//! The driver tells it in two files of debugfs, which root alone may read:
//!
//! - `imx500-fw:10-001a/fw_progress`: `stage done total`. `done` counts whole pieces, `total` is the size
//!   of the network's file whatever the stage;
//! - `rp2040-spi:10-0040/transfer_progress`: bytes of the current piece that went over the bus.
//!
//! Whoever is not root sees time pass, no more, and is told so.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::source::Quality;
use crate::source::clock::Timestamp;

/// The three images that the driver uploads, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadStage {
    /// `imx500_loader.fpk`.
    Loader,
    /// `imx500_firmware.fpk`.
    Main,
    /// The network.
    Network,
}

impl UploadStage {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loader => "loader",
            Self::Main => "main firmware",
            Self::Network => "network",
        }
    }
}

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadProgress {
    /// What is being uploaded; none where the driver cannot be asked.
    pub stage: Option<UploadStage>,
    /// Bytes of this stage that are done.
    pub done_bytes: u64,
    /// Bytes of this stage.
    pub total_bytes: Option<u64>,
    /// Since the start.
    pub elapsed: Duration,
    /// Time that is left of this stage, at the rate so far.
    pub left: Option<Duration>,
    /// How long nothing has moved, once that is too long.
    pub stalled: Option<Duration>,
    /// Whether the bytes were read from the driver.
    pub quality: Quality,
    /// Whether the end of the run was asked for meanwhile: the kernel cannot break an upload off.
    pub stop_requested: bool,
}

impl fmt::Display for UploadProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs();
        match self.stage {
            None => write!(
                f,
                "uploading firmware and network for {seconds} s; how far it is only root may read; \
                 estimated: seconds where the camera has stored the network, else minutes"
            )?,
            Some(stage) => {
                write!(f, "uploading the {}: {}", stage.name(), kilobytes(self.done_bytes))?;
                if let Some(total) = self.total_bytes.filter(|total| *total > 0) {
                    let percent = (self.done_bytes.min(total)) * 100 / total;
                    write!(f, " of {} kB, {percent} %", kilobytes(total))?;
                } else {
                    write!(f, " kB")?;
                }
                if let Some(left) = self.left {
                    write!(f, ", {} s left", left.as_secs())?;
                }
            }
        }
        if let Some(stalled) = self.stalled {
            write!(f, "; STALLED for {} s", stalled.as_secs())?;
        }
        if self.stop_requested {
            write!(f, "; the run ends as soon as the kernel has finished this")?;
        }
        Ok(())
    }
}

fn kilobytes(bytes: u64) -> u64 {
    bytes / 1000
}

/// How the last upload went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// From stream start to stream.
    pub took: Duration,
    /// Whether the camera had the network stored already; none where there was no network.
    pub cached: Option<bool>,
    /// Whether that was seen or concluded from the time it took.
    pub quality: Quality,
}

impl fmt::Display for Uploaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64();
        let estimated = if self.quality == Quality::Estimated { " (estimated)" } else { "" };
        match self.cached {
            None => write!(f, "stream started in {took:.1} s, without a network"),
            Some(true) => {
                write!(f, "network started in {took:.1} s: the camera had it stored{estimated}")
            }
            Some(false) => write!(f, "network uploaded in {took:.1} s{estimated}"),
        }
    }
}

/// What the two files say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) stage: UploadStage,
    pub(super) done_bytes: u64,
    /// Of the current piece, over the bus.
    pub(super) piece_bytes: u64,
}

/// The two files of one camera.
#[derive(Debug, Clone)]
pub(super) struct DriverFiles {
    progress: PathBuf,
    transfer: PathBuf,
}

impl DriverFiles {
    /// Of the camera `id`, such as `10-001a`; its bridge is at address 0x40 of the same bus.
    pub(super) fn of(debugfs: &Path, id: &str) -> Self {
        let bus = id.split('-').next().unwrap_or_default();
        Self {
            progress: debugfs.join(format!("imx500-fw:{id}/fw_progress")),
            transfer: debugfs.join(format!("rp2040-spi:{bus}-0040/transfer_progress")),
        }
    }

    /// None where they cannot be read or do not have the form of this driver.
    pub(super) fn read(&self) -> Option<Sample> {
        let progress = fs::read_to_string(&self.progress).ok()?;
        let mut fields = progress.split_whitespace();
        let stage = match fields.next()? {
            "0" => UploadStage::Loader,
            "1" => UploadStage::Main,
            "2" => UploadStage::Network,
            _ => return None,
        };
        let done_bytes = fields.next()?.parse().ok()?;
        let piece = fs::read_to_string(&self.transfer).unwrap_or_default();
        let piece_bytes = piece.trim().parse().unwrap_or_default();
        Some(Sample { stage, done_bytes, piece_bytes })
    }
}

/// Sizes of the three images, as far as they are known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    pub(super) loader: Option<u64>,
    pub(super) main: Option<u64>,
    pub(super) network: Option<u64>,
}

impl Sizes {
    fn of(self, stage: UploadStage) -> Option<u64> {
        match stage {
            UploadStage::Loader => self.loader,
            UploadStage::Main => self.main,
            UploadStage::Network => self.network,
        }
    }
}

/// Follows one upload. Neither files nor clocks: it is told what was read, and when.
#[derive(Debug)]
pub(super) struct Watch {
    sizes: Sizes,
    stall_after: Duration,
    started: Timestamp,
    /// What an earlier upload has left in the files.
    left_over: Option<Sample>,
    last: Option<Sample>,
    /// When something last moved.
    moved: Timestamp,
    stage_began: Timestamp,
    /// Most bytes of a piece of the network seen on the bus; none before that stage was seen.
    network_piece_bytes: Option<u64>,
}

impl Watch {
    /// `before` is what was read before the start.
    pub(super) fn new(
        sizes: Sizes,
        stall_after: Duration,
        now: Timestamp,
        before: Option<Sample>,
    ) -> Self {
        Self {
            sizes,
            stall_after,
            started: now,
            left_over: before,
            last: before,
            moved: now,
            stage_began: now,
            network_piece_bytes: None,
        }
    }

    /// Takes what was read at `now`.
    pub(super) fn push(&mut self, now: Timestamp, sample: Option<Sample>) -> UploadProgress {
        if let Some(sample) = sample
            && self.last != Some(sample)
        {
            self.moved = now;
            self.left_over = None;
            if self.last.is_none_or(|last| last.stage != sample.stage) {
                self.stage_began = now;
            }
            if sample.stage == UploadStage::Network {
                self.network_piece_bytes = self.network_piece_bytes.max(Some(sample.piece_bytes));
            }
            self.last = Some(sample);
        }
        let still = now.since(self.moved);
        let patience = if self.last.is_some() { self.stall_after } else { self.blind_patience() };
        let total_bytes = self.last.and_then(|last| self.sizes.of(last.stage));
        let done_bytes = self.last.map_or(0, done);
        UploadProgress {
            stage: self.last.map(|last| last.stage),
            // Where a piece is complete the bus still shows its bytes for a moment.
            done_bytes: total_bytes.map_or(done_bytes, |total| done_bytes.min(total)),
            total_bytes,
            elapsed: now.since(self.started),
            left: self.last.and_then(|last| self.left(now, last)),
            stalled: Some(still).filter(|still| *still >= patience),
            quality: if self.last.is_some() { Quality::Measured } else { Quality::Estimated },
            stop_requested: false,
        }
    }

    /// What it was, once the stream has started.
    pub(super) fn finish(&self, now: Timestamp) -> Uploaded {
        let took = now.since(self.started);
        let cached = self.sizes.network.map(|network| match self.network_piece_bytes {
            Some(bytes) => bytes == 0,
            // Faster than any bus could have carried it.
            None => took < at_rate(network, FASTEST_BUS_BYTES_PER_SECOND),
        });
        let seen = self.network_piece_bytes.is_some() || cached.is_none();
        let quality = if seen { Quality::Measured } else { Quality::Estimated };
        Uploaded { took, cached, quality }
    }

    /// Where it stood when it failed; none where it had not begun, or cannot be seen.
    pub(super) fn reached(&self) -> Option<(UploadStage, u64)> {
        let last = self.last.filter(|_| self.left_over.is_none())?;
        Some((last.stage, done(last)))
    }

    fn left(&self, now: Timestamp, last: Sample) -> Option<Duration> {
        let total = self.sizes.of(last.stage)?;
        let (spent, done) = (now.since(self.stage_began), done(last));
        let trusted = spent >= RATE_AFTER && done > 0;
        let left = total.saturating_sub(done) as f64 / done as f64 * spent.as_secs_f64();
        trusted.then(|| Duration::try_from_secs_f64(left).ok()).flatten()
    }

    /// How long an upload of which nothing can be seen may take.
    fn blind_patience(&self) -> Duration {
        let bytes = self.sizes.network.unwrap_or_default() + FIRMWARE_LEN_BYTES;
        self.stall_after + at_rate(bytes, SLOWEST_BUS_BYTES_PER_SECOND)
    }
}

/// Whole pieces and what is under way.
fn done(sample: Sample) -> u64 {
    sample.done_bytes + sample.piece_bytes
}

fn at_rate(bytes: u64, bytes_per_second: u64) -> Duration {
    Duration::from_millis(bytes * 1000 / bytes_per_second)
}

/// A Pi 5's bus to the bridge does about 5 Mbit/s (bit-banged over two wires, spi-rp2040-gpio-bridge.c);
/// others go over I2C.
const FASTEST_BUS_BYTES_PER_SECOND: u64 = 625_000;
/// I2C at 100 kbit/s.
const SLOWEST_BUS_BYTES_PER_SECOND: u64 = 10_000;
/// Loader and main firmware, roughly; used where nothing can be read.
const FIRMWARE_LEN_BYTES: u64 = 1_500_000;
/// A rate over less says nothing.
const RATE_AFTER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes =
        Sizes { loader: Some(24_000), main: Some(1_400_000), network: Some(3_000_000) };
    const STALL: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_000_000_000 * (100 + seconds))
    }

    fn sample(stage: UploadStage, done_bytes: u64, piece_bytes: u64) -> Option<Sample> {
        Some(Sample { stage, done_bytes, piece_bytes })
    }

    fn watch() -> Watch {
        Watch::new(SIZES, STALL, at(0), None)
    }

    #[test]
    fn each_stage_counts_against_its_own_size() {
        let mut watch = watch();
        let said = |watch: &mut Watch, seconds, sample| watch.push(at(seconds), sample).to_string();
        assert_eq!(
            said(&mut watch, 1, sample(UploadStage::Loader, 0, 12_000)),
            "uploading the loader: 12 of 24 kB, 50 %"
        );
        assert_eq!(
            said(&mut watch, 2, sample(UploadStage::Main, 1_048_576, 1_424)),
            "uploading the main firmware: 1050 of 1400 kB, 75 %"
        );
        assert_eq!(
            said(&mut watch, 3, sample(UploadStage::Network, 0, 0)),
            "uploading the network: 0 of 3000 kB, 0 %"
        );
        assert_eq!(
            said(&mut watch, 13, sample(UploadStage::Network, 0, 1_000_000)),
            "uploading the network: 1000 of 3000 kB, 33 %, 20 s left"
        );
    }

    #[test]
    fn stall_is_found_in_every_stage_and_ends_when_it_moves_again() {
        for stage in [UploadStage::Loader, UploadStage::Main, UploadStage::Network] {
            let mut watch = watch();
            watch.push(at(1), sample(stage, 0, 4_000));
            assert_eq!(watch.push(at(15), sample(stage, 0, 4_000)).stalled, None);
            let stalled = watch.push(at(16), sample(stage, 0, 4_000));
            assert_eq!(stalled.stalled, Some(STALL));
            assert!(stalled.to_string().ends_with("; STALLED for 15 s"), "{stalled}");
            assert_eq!(watch.push(at(17), sample(stage, 0, 8_183)).stalled, None);
            assert_eq!(watch.reached(), Some((stage, 8_183)));
        }
    }

    #[test]
    fn network_that_never_crossed_the_bus_was_stored() {
        let mut cached = watch();
        cached.push(at(1), sample(UploadStage::Loader, 0, 12_000));
        cached.push(at(2), sample(UploadStage::Network, 0, 0));
        cached.push(at(3), sample(UploadStage::Network, 2_097_152, 0));
        let uploaded = cached.finish(at(4));
        assert_eq!(uploaded.cached, Some(true), "the loader's bytes do not count");
        assert_eq!(uploaded.to_string(), "network started in 4.0 s: the camera had it stored");

        let mut real = watch();
        real.push(at(1), sample(UploadStage::Network, 0, 8_183));
        real.push(at(70), sample(UploadStage::Network, 3_000_000, 0));
        assert_eq!(real.finish(at(71)).to_string(), "network uploaded in 71.0 s");
    }

    #[test]
    fn what_an_earlier_upload_left_in_the_files_is_not_this_one() {
        let before = sample(UploadStage::Network, 3_000_000, 0);
        let mut watch = Watch::new(SIZES, STALL, at(0), before);
        watch.push(at(1), before);
        assert_eq!(watch.reached(), None, "it failed before it began");
        // 3 MB at 625 kB/s take 4.8 s.
        let uploaded = watch.finish(at(2));
        assert_eq!((uploaded.cached, uploaded.quality), (Some(true), Quality::Estimated));
        watch.push(at(3), sample(UploadStage::Network, 0, 8_183));
        assert_eq!(watch.reached(), Some((UploadStage::Network, 8_183)));
        assert_eq!(watch.finish(at(4)).cached, Some(false));
    }

    #[test]
    fn without_the_drivers_files_it_is_estimated_and_said_so() {
        let mut watch = watch();
        let progress = watch.push(at(12), None);
        assert_eq!((progress.stage, progress.quality), (None, Quality::Estimated));
        assert!(
            progress.to_string().contains("for 12 s; how far it is only root may read; estimated")
        );
        // 15 s, and 4.5 MB at 10 kB/s.
        assert_eq!(watch.push(at(464), None).stalled, None);
        assert!(watch.push(at(465), None).stalled.is_some());
        // 3 MB at 625 kB/s.
        let quick = watch.finish(at(4));
        assert_eq!(
            quick.to_string(),
            "network started in 4.0 s: the camera had it stored (estimated)"
        );
        assert_eq!(watch.finish(at(5)).to_string(), "network uploaded in 5.0 s (estimated)");
        let none = Watch::new(Sizes::default(), STALL, at(0), None).finish(at(1));
        assert_eq!(none.to_string(), "stream started in 1.0 s, without a network");
    }

    #[test]
    fn reads_the_drivers_files_and_nothing_else() {
        let debugfs = tempfile::tempdir().unwrap();
        let files = DriverFiles::of(debugfs.path(), "10-001a");
        assert_eq!(files.read(), None);
        let folder = |name: &str| {
            let folder = debugfs.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        let progress = folder("imx500-fw:10-001a").join("fw_progress");
        fs::write(&progress, "1 1048576 3297123\n").unwrap();
        let wanted = |piece_bytes| sample(UploadStage::Main, 1_048_576, piece_bytes);
        assert_eq!(files.read(), wanted(0), "the bridge's file may be missing");
        fs::write(folder("rp2040-spi:10-0040").join("transfer_progress"), "8183\n").unwrap();
        assert_eq!(files.read(), wanted(8_183));
        for other in ["", "3 0 0", "1", "x 0 0", "1 -5 0"] {
            fs::write(&progress, other).unwrap();
            assert_eq!(files.read(), None, "{other:?}");
        }
    }

    #[test]
    fn a_request_to_stop_is_shown_to_be_pending() {
        let mut progress = watch().push(at(1), None);
        progress.stop_requested = true;
        assert!(
            progress
                .to_string()
                .ends_with("; the run ends as soon as the kernel has finished this")
        );
    }
}
