//! Every count of every stage as an HdrHistogram interval log, the format of `HistogramLogProcessor`,
//! `HistogramLogAnalyzer` and hdrhistogram's plotters, so that nobody depends on our percentiles.
//!
//! ```text
//!   #sensor_to_tensor (simulated): from frame start ... to ...; clock: sensor
//!   #[BaseTime: 1764018000.000 (seconds since epoch)]
//!   Tag=sensor_to_tensor,0.000,1.000,133.431,HISTFAAAAC94nJNpm...
//! ```
//!
//! Values are nanoseconds; an interval's longest is written in milliseconds, as those tools do.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use super::DISCLAIMER;
use super::figures::{Facts, definition};
use crate::pipeline::latency::{StageHistogram, StageLatency};

/// All counts so far, and how far the run was then.
#[derive(Debug, Clone)]
pub struct SoFar {
    /// Since the start.
    pub elapsed: Duration,
    /// Since the start.
    pub histograms: Vec<StageHistogram>,
}

/// Writes a log of a run that started at `started`: one interval for every value of `counts`, from the end of
/// the interval before, of what was counted within it. Each is with the system before the next is asked for.
pub fn write(
    file: &mut impl Write,
    facts: &Facts,
    started: SystemTime,
    stages: &[StageLatency],
    counts: impl Iterator<Item = SoFar>,
) -> io::Result<()> {
    let mut lines = io::LineWriter::new(file);
    let mut serializer = V2DeflateSerializer::new();
    let mut header = IntervalLogWriterBuilder::new();
    let Facts { version, network, ladder, .. } = facts;
    header
        .add_comment(&format!("qsegment {version}. {DISCLAIMER}"))
        .add_comment(&format!("network {}, SHA-256 {}", network.name, network.sha256))
        .add_comment(&format!("camera {}, inference by {}", ladder.camera, ladder.inference))
        .add_comment("values are nanoseconds; Interval_Max is in milliseconds");
    for stage in stages {
        let is = definition(stage.stage);
        let quality = stage.quality.name();
        header.add_comment(&format!(
            "{} ({quality}): from {} to {}; clock: {}",
            is.name, is.from, is.to, is.clock
        ));
    }
    let mut log = header
        .with_base_time(started)
        .with_max_value_divisor(NS_IN_MS)
        .begin_log_with(&mut lines, &mut serializer)?;
    let mut before = SoFar { elapsed: Duration::ZERO, histograms: Vec::new() };
    for so_far in counts {
        interval(&mut log, &before, &so_far)?;
        before = so_far;
    }
    Ok(())
}

fn interval<W: Write>(
    log: &mut IntervalLogWriter<'_, '_, W, V2DeflateSerializer>,
    before: &SoFar,
    so_far: &SoFar,
) -> io::Result<()> {
    let took = so_far.elapsed.saturating_sub(before.elapsed);
    for now in &so_far.histograms {
        let mut within: Histogram<u32> = now.nanoseconds.clone();
        if let Some(then) = before.histograms.iter().find(|then| then.stage == now.stage) {
            // It holds all that was counted then.
            within.subtract(&then.nanoseconds).map_err(io::Error::other)?;
        }
        if within.is_empty() {
            continue;
        }
        let tag = Tag::new(definition(now.stage).name);
        log.write_histogram(&within, before.elapsed, took, tag).map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => error,
            error @ IntervalLogWriterError::SerializeError(_) => io::Error::other(error),
        })?;
    }
    Ok(())
}

const NS_IN_MS: f64 = 1e6;

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::outputs::figures::{Ladder, NetworkFacts};
    use crate::pipeline::latency::Stage;
    use crate::source::Quality;
    use crate::source::imx500::Flips;

    fn facts() -> Facts {
        Facts {
            version: "1.2.3".to_owned(),
            network: NetworkFacts {
                name: "net".to_owned(),
                sha256: "ab".to_owned(),
                parameters: None,
                macs: None,
            },
            ladder: Ladder {
                camera: "simulated".to_owned(),
                camera_reason: None,
                inference: "sensor".to_owned(),
                inference_reason: None,
            },
            scene: None,
            seed: None,
            pace: None,
            seen: None,
            flips: Flips::default(),
            inference_model: None,
        }
    }

    fn so_far(elapsed_s: u64, milliseconds: &[u64]) -> SoFar {
        let mut nanoseconds = Histogram::new_with_bounds(1_000, 60_000_000_000, 3).unwrap();
        for ms in milliseconds {
            nanoseconds.record(ms * 1_000_000).unwrap();
        }
        let stage = Stage::SensorToTensor;
        let histograms = vec![StageHistogram { stage, quality: Quality::Simulated, nanoseconds }];
        SoFar { elapsed: Duration::from_secs(elapsed_s), histograms }
    }

    /// Read back with the same library, whose format the Java tools define.
    #[test]
    fn intervals_hold_what_was_counted_within_them() {
        let counts = [so_far(1, &[40, 50]), so_far(2, &[40, 50]), so_far(3, &[40, 50, 70])];
        let mut written = Vec::new();
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_018_000);
        let stages = [StageLatency {
            stage: Stage::SensorToTensor,
            quality: Quality::Simulated,
            count: 0,
            p50: Duration::ZERO,
            p95: Duration::ZERO,
            p99: Duration::ZERO,
            max: Duration::ZERO,
        }];
        write(&mut written, &facts(), started, &stages, counts.into_iter()).unwrap();
        let text = String::from_utf8(written.clone()).unwrap();
        for said in [
            "Not a medical device.",
            "SHA-256 ab",
            "sensor_to_tensor (simulated): from frame start",
            "#[BaseTime: 1764018000.000 (seconds since epoch)]",
        ] {
            assert!(text.contains(said), "{said} not in {text}");
        }
        let mut read = Vec::new();
        let mut deserializer = Deserializer::new();
        for entry in IntervalLogIterator::new(&written) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            let bytes = text
                .lines()
                .find(|line| line.ends_with(interval.encoded_histogram()))
                .map(|_| base64(interval.encoded_histogram()))
                .unwrap();
            let histogram: Histogram<u32> = deserializer.deserialize(&mut &bytes[..]).unwrap();
            read.push((
                interval.tag().unwrap().as_str().to_owned(),
                interval.start_timestamp().as_secs(),
                interval.duration().as_secs(),
                interval.max().round(),
                histogram.len(),
            ));
        }
        let tag = || "sensor_to_tensor".to_owned();
        assert_eq!(read, [(tag(), 0, 1, 50.0, 2), (tag(), 2, 1, 70.0, 1)]);
    }

    fn base64(text: &str) -> Vec<u8> {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bits = 0_u32;
        let mut count = 0;
        let mut bytes = Vec::new();
        for letter in text.bytes().take_while(|letter| *letter != b'=') {
            let value = LETTERS.iter().position(|known| *known == letter).unwrap();
            bits = bits << 6 | u32::try_from(value).unwrap();
            count += 6;
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count & 0xff).to_le_bytes()[0]);
            }
        }
        bytes
    }
}
