//! What is written of a published frame, and of one that was measured.

use std::time::Duration;

use crate::formats::recording::{
    LatencyMessage, MaskMessage, MeasurementMessage, ResultMessage, TimeMessage, VesselsMessage,
};
use crate::outputs::figures::milliseconds;
use crate::outputs::measure::VesselFigures;
use crate::pipeline::Frame;

pub(super) fn result(frame: &Frame) -> ResultMessage {
    ResultMessage {
        sequence: frame.sequence,
        frame_count: frame.frame_count,
        lag_frames: frame.lag_frames,
        vessel_fraction: frame.vessel_fraction,
        exposure_ms: frame.sensor.exposure().map(milliseconds),
        analogue_gain: frame.sensor.analogue_gain(),
        temperature_celsius: frame.sensor.temperature_celsius,
    }
}

pub(super) fn latency(frame: &Frame) -> LatencyMessage {
    let stamps = frame.stamps;
    // A sensor that does not say leaves 0.
    let run_time = |us: u32| (us > 0).then(|| f64::from(us) / 1e3);
    LatencyMessage {
        sequence: frame.sequence,
        frame_start_ns: stamps.frame_start.0,
        tensor_at_host_ns: stamps.tensor_at_host.0,
        received_ns: stamps.received.0,
        mask_ready_ns: stamps.mask_ready.0,
        sensor_to_tensor_ms: milliseconds(stamps.tensor_at_host.since(stamps.frame_start)),
        network_run_time_ms: frame.kpi.and_then(|kpi| run_time(kpi.dnn_runtime_us)),
        dsp_run_time_ms: frame.kpi.and_then(|kpi| run_time(kpi.dsp_runtime_us)),
        tensor_to_mask_ms: milliseconds(stamps.mask_ready.since(stamps.received)),
        sensor_to_mask_ms: milliseconds(stamps.age_at_mask()),
    }
}

pub(super) fn vessels(figures: &VesselFigures) -> VesselsMessage {
    let quality = &figures.quality;
    let measurements = figures.measurements.iter().map(|of| MeasurementMessage {
        name: of.name.to_owned(),
        unit: of.unit.to_owned(),
        value: of.value,
        uncertainty: of.uncertainty,
    });
    VesselsMessage {
        sequence: figures.sequence,
        grade: quality.grade.name().to_owned(),
        failed: quality.failed().map(|of| of.standard.name.to_owned()),
        advice: quality.advice().map(ToOwned::to_owned),
        stable_frames: figures.stable_frames as u64,
        pixel_size_um: figures.pixel_size_um,
        measurements: measurements.collect(),
    }
}

pub(super) fn mask(frame: &Frame, time_ns: u64) -> MaskMessage {
    let time = Duration::from_nanos(time_ns);
    MaskMessage {
        timestamp: Some(TimeMessage {
            seconds: time.as_secs().try_into().unwrap_or(i64::MAX),
            nanos: time.subsec_nanos().try_into().unwrap_or(0),
        }),
        width: saturated(frame.mask_width),
        height: saturated(frame.mask_height),
        encoding: "mono8".to_owned(),
        step: saturated(frame.mask_width),
        data: frame.probability.clone(),
    }
}

/// No buffer and no picture has 4 GiB.
pub(super) fn saturated(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
