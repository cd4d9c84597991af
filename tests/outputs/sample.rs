//! One frame, one snapshot and the facts of one run.

use std::sync::Arc;
use std::time::Duration;

use qsegment::formats::embedded::{LinePacking, SensorState};
use qsegment::outputs::figures::{Facts, InferenceModel, Ladder, NetworkFacts, Seen};
use qsegment::outputs::measure::{self, VesselFigures};
use qsegment::outputs::metrics::{Counted, ProcessFigures, Reading};
use qsegment::outputs::overlay::Freshness;
use qsegment::outputs::record::RecordingFigures;
use qsegment::outputs::socket::SocketFigures;
use qsegment::outputs::web::VisitorFigures;
use qsegment::pipeline::energy::{Metered, Span};
use qsegment::pipeline::latency::{BUCKET_BOUNDS, Stage, StageBuckets, StageLatency};
use qsegment::pipeline::quality::Grade;
use qsegment::pipeline::recovery::Recoveries;
use qsegment::pipeline::trace::{Passed, Trace};
use qsegment::pipeline::{Counters, Frame, Recovery, Snapshot, Stamps};
use qsegment::source::aim::{Aim, Bounds};
use qsegment::source::clock::Timestamp;
use qsegment::source::imx500::Flips;
use qsegment::source::power::{InstrumentInfo, PowerSample, PowerSource, Scope, TimedBy};
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::simulated::timing::Mode;
use qsegment::source::{Quality, SourceInfo};

pub(crate) const GREY: u8 = 100;

/// A grey picture; `vessels` is drawn with `#` for probability 1.0, over a picture `times` as wide
/// and high.
pub(crate) fn frame_over(vessels: &[&str], times: usize) -> Frame {
    let (mask_width, mask_height) = (vessels[0].len(), vessels.len());
    let cells = vessels.iter().flat_map(|row| row.bytes());
    let probability: Vec<u8> = cells.map(|c| if c == b'#' { 255 } else { 0 }).collect();
    let vessel_pixels = probability.iter().filter(|&&p| p == 255).count();
    let (width, height) = (mask_width * times, mask_height * times);
    Frame {
        sequence: 41,
        frame_count: 38,
        lag_frames: 3,
        width,
        height,
        rgb: vec![GREY; width * height * 3],
        mask_width,
        mask_height,
        vessel_fraction: vessel_pixels as f32 / probability.len() as f32,
        probability,
        threshold: 128,
        // 1000 lines of 9398 pixels at 744 MHz; gain 1024 / (1024 - 512).
        sensor: SensorState {
            exposure_lines: Some(1000),
            analogue_gain_code: Some(512),
            frame_length_lines: None,
            line_length_pixels: Some(9398),
            temperature_celsius: Some(41),
        },
        stamps: Stamps {
            frame_start: Timestamp(1_000_000_000),
            tensor_at_host: Timestamp(1_100_000_000),
            received: Timestamp(0),
            mask_ready: Timestamp(600_000),
        },
        ..Frame::default()
    }
}

/// The middle of the sensor, for a network of 320 x 320.
pub(crate) fn aim() -> Aim {
    let middle = InferenceWindow { left: 508, top: 0, width: 3040, height: 3040 };
    Aim::new(middle, Bounds { input: Some((320, 320)), mode: Mode::Binned })
}

pub(crate) fn frame(vessels: &[&str]) -> Frame {
    frame_over(vessels, 1)
}

pub(crate) fn snapshot() -> Snapshot {
    Snapshot {
        source: SourceInfo {
            name: "simulated",
            quality: Quality::Simulated,
            frame_interval: Duration::from_millis(40),
            packing: LinePacking::Pi5,
        },
        counters: Counters {
            buffers: 250,
            outputs: 150,
            paired: 149,
            unpaired: 1,
            ..Counters::default()
        },
        injected_faults: vec![("dropped_tensor", 3), ("counter_jump", 1)],
        device_events: vec![("damaged_buffer", 2)],
        behind_real_time: Duration::ZERO,
        stages: vec![
            stage(Stage::SensorToTensor, Quality::Simulated, 100_000),
            stage(Stage::TensorToMask, Quality::Measured, 600),
            stage(Stage::SensorToMask, Quality::Simulated, 100_600),
        ],
        recovery: Recovery {
            counts: Recoveries { steps: [2, 1, 0], failed_steps: 1, recovered: 2 },
            trying: None,
            camera_cycles: Some(4),
        },
        buckets: vec![
            buckets(Stage::SensorToTensor, Quality::Simulated, 100_000),
            buckets(Stage::TensorToMask, Quality::Measured, 600),
            buckets(Stage::SensorToMask, Quality::Simulated, 100_600),
        ],
        queue_drops: vec![("web", 4)],
        newest_tensor: Some(Timestamp(3)),
        sensor_span: Some((Timestamp(1_000_000_000), Timestamp(10_960_000_000))),
        last_error: None,
        screen: Some("HDMI-A-1 1920x1080".to_owned()),
        power: vec![metered()],
        taken_at: Timestamp(5),
    }
}

/// 10 s at 250 mW with 250 frames, 2 s at 100 mW before; half a milliwatt of uncertainty.
pub(crate) fn metered() -> Metered {
    let span = |seconds: u64, watts: f64, frames| Span {
        joules: watts * seconds as f64,
        uncertainty_joules: 0.0005 * seconds as f64,
        covered: Duration::from_secs(seconds),
        frames,
        ..Span::default()
    };
    Metered {
        info: InstrumentInfo {
            source: PowerSource::Hwmon,
            name: "ina226 1-0040".to_owned(),
            scope: Scope::Sensor,
            quality: Quality::Measured,
            timed_by: TimedBy::Host,
            definition: "power through a shunt",
            uncertainty: "resolution",
        },
        newest: Some(PowerSample {
            at: Timestamp(5),
            source: PowerSource::Hwmon,
            scope: Scope::Sensor,
            watts: 0.26,
            uncertainty_watts: 0.0005,
            quality: Quality::Measured,
            joules: None,
        }),
        idle: span(2, 0.1, 0),
        run: Span { gaps: 1, uncovered: Duration::from_millis(1500), ..span(10, 0.25, 250) },
        readings: 118,
        failures: vec![("gone", 3)],
    }
}

fn stage(stage: Stage, quality: Quality, p50_us: u64) -> StageLatency {
    StageLatency {
        stage,
        quality,
        count: 149,
        p50: Duration::from_micros(p50_us),
        p95: Duration::from_micros(p50_us + 100),
        p99: Duration::from_micros(p50_us + 200),
        max: Duration::from_micros(p50_us + 300),
    }
}

/// 148 frames that took so long, and one that took a minute.
fn buckets(stage: Stage, quality: Quality, took_us: u64) -> StageBuckets {
    let took = Duration::from_micros(took_us);
    let mut within = [0; BUCKET_BOUNDS.len()];
    within[BUCKET_BOUNDS.iter().position(|bound| *bound >= took).unwrap()] = 148;
    let max = Duration::from_secs(60);
    StageBuckets { stage, quality, count: 149, sum: 148 * took + max, max, within }
}

/// Everything that can be known, known.
pub(crate) fn reading() -> Reading {
    let recording = RecordingFigures {
        path: "/var/lib/qsegment".to_owned(),
        frames: 240,
        bytes: 1_000_000,
        files: 2,
        files_removed: 1,
        dropped: [("record_too_slow", 5), ("record_disk_full", 0)].into(),
    };
    let socket = SocketFigures {
        clients: 2,
        frames: 300,
        bytes: 2_000_000,
        skipped: 7,
        dropped: [("too_slow", 1), ("too_many", 0)].into(),
    };
    let process = ProcessFigures {
        cpu: Some(Duration::from_millis(1500)),
        start_time_seconds: Some(1_764_000_100.0),
        uptime_seconds: Some(20.5),
        resident_bytes: Some(58_000_000),
        virtual_bytes: Some(600_000_000),
        threads: Some(9),
        open_fds: Some(21),
        max_fds: Some(1024),
    };
    Reading {
        counted: Counted {
            snapshot: snapshot(),
            recording: Some(recording),
            socket: Some(socket),
            vessels: Some(vessels()),
        },
        newest: Some(Arc::new(frame(&["....", ".##.", "...."]))),
        freshness: Freshness::Live,
        stale_after: Duration::from_millis(500),
        // The picture was 100 ms old when it was received.
        now: Timestamp(150_000_000),
        process,
        visitors: VisitorFigures { connections: 3, refused: [("host", 2), ("too_many", 0)].into() },
    }
}

/// Of a frame too small to be measured, as if it had been.
pub(crate) fn vessels() -> VesselFigures {
    let mut vessels =
        measure::of_frame(&frame(&["....", ".##.", "...."]), measure::Options::default());
    vessels.stable_frames = 12;
    vessels.quality.grade = Grade::Usable;
    for criterion in &mut vessels.quality.criteria {
        criterion.value = Some(0.75);
    }
    for measurement in &mut vessels.measurements {
        (measurement.value, measurement.uncertainty) = (Some(0.5), Some(0.25));
    }
    vessels
}

pub(crate) fn facts() -> Facts {
    Facts {
        version: "0.1.0".to_owned(),
        network: NetworkFacts {
            name: "built-in".to_owned(),
            sha256: "ab".repeat(32),
            parameters: Some(104_465),
            macs: Some(985_000_000),
        },
        ladder: Ladder {
            camera: "simulated".to_owned(),
            camera_reason: Some("no camera is there".to_owned()),
            inference: "sensor".to_owned(),
            inference_reason: None,
        },
        scene: Some("built-in fundus".to_owned()),
        seed: Some(7),
        pace: Some("max".to_owned()),
        seen: Some(Seen { width_px: 2028, height_px: 1520 }),
        flips: Flips::default(),
        inference_model: Some(InferenceModel {
            low: Duration::from_millis(45),
            high: Duration::from_millis(75),
        }),
    }
}

/// One frame that was published and shown.
pub(crate) fn trace() -> Trace {
    let stamps = Stamps {
        frame_start: Timestamp(5_000_000),
        tensor_at_host: Timestamp(65_000_000),
        received: Timestamp(1_000_000_000),
        mask_ready: Timestamp(1_002_000_000),
    };
    let passed = Passed {
        sequence: 41,
        frame_count: 38,
        lag_frames: 3,
        stamps,
        exposure: None,
        kpi: None,
        counters: Counters::default(),
    };
    Trace { passed: vec![passed], on_screen: Vec::new() }
}
