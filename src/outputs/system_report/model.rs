//! What follows from published figures by arithmetic: the model of the simulated sensor with its numbers, and
//! why 0.23 ms cannot be a picture of 960 x 960.
//!
//! ```text
//!   run time of the network   multiply-accumulates / (utilisation * peak)
//!   peak                      2304 units * 262.5 MHz = 604.8 G multiply-accumulates a second
//!   utilisation               fitted to two published run times: 2.3 % and 3.9 %
//!   read-out                  lines * pixel clocks a line / pixel rate      kernel driver's mode tables
//!   energy                    streaming power * frame interval + 2 * multiply-accumulates / (operations/J)
//! ```
//!
//! At utilisation 1 the peak is a bound that no schedule on that DSP can beat. It says nothing about how near
//! one comes to it.

use std::time::Duration;

use super::figure::{Basis, Row, Value};
use super::published::{
    DSP_HERTZ, DSP_MACS_PER_CYCLE, IMX500, IMX500_FULL, ISSCC, LARGEST_INPUT_SIDE, PAPER,
    PAPER_INPUT_SIDE, SONY_READ_OUT_BINNED_MS, SONY_READ_OUT_FULL_MS,
};
use crate::emulator::Network;
use crate::emulator::preflight::AVAILABLE_BYTES;
use crate::formats::embedded::PIXELS_PER_SECOND;
use crate::outputs::figures::milliseconds;
use crate::source::power::EnergyModel;
use crate::source::simulated::timing::{Mode, PICOSAM2, PublishedRun, RunTime, TINY_TRACKER};

/// What the model of the simulated sensor was told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelInputs {
    /// Mode of this run.
    pub mode: Mode,
    /// Streaming power at 4056 x 3040, milliwatts.
    pub full_milliwatts: f64,
    /// The same at 2028 x 1520.
    pub binned_milliwatts: f64,
    /// Of the network, 10^12 operations a joule.
    pub tera_operations_per_joule: f64,
}

/// Peak of the sensor's DSP: every unit busy in every cycle.
#[must_use]
pub(super) fn peak_macs_per_second() -> f64 {
    DSP_MACS_PER_CYCLE * DSP_HERTZ
}

/// Share of the peak that a published run reaches.
#[must_use]
pub(super) fn utilisation(run: PublishedRun) -> f64 {
    run.macs_per_second() / peak_macs_per_second()
}

/// Milliseconds that no schedule can beat.
#[must_use]
pub(super) fn bound_ms(macs: u64) -> f64 {
    macs as f64 / peak_macs_per_second() * 1e3
}

/// Side of the square input that a network of so many multiply-accumulates a pixel can be run on in this time.
#[must_use]
pub(super) fn side_in(milliseconds: f64, macs_per_second: f64, macs_per_pixel: f64) -> f64 {
    (milliseconds / 1e3 * macs_per_second / macs_per_pixel).sqrt()
}

/// The model of the simulated sensor, for a network of so many multiply-accumulates.
#[must_use]
pub(super) fn model(macs: u64, inputs: ModelInputs) -> Vec<Row> {
    let mut rows = vec![row(
        "model_peak",
        "peak of the sensor's DSP",
        Value::one(peak_macs_per_second() / 1e9),
        "GMAC/s",
        Basis::Computed,
        "2304 multiply-accumulate units times 262.5 MHz, all of them busy in every cycle",
        ISSCC,
    )];
    for run in [TINY_TRACKER, PICOSAM2] {
        let (network, macs) = (run.network, run.macs as f64 / 1e6);
        rows.push(Row {
            id: format!("model_utilisation_{}", network.to_lowercase()),
            figure: format!("utilisation, fitted to {network}"),
            value: Value::one(utilisation(run) * 100.0),
            unit: "%",
            quality: Basis::Computed,
            definition: format!(
                "{macs} M multiply-accumulates in {} ms, over the peak: {:.1} GMAC/s",
                milliseconds(run.run_time),
                run.macs_per_second() / 1e9
            ),
            source: format!("{}; peak as above", run.source),
        });
    }
    rows.push(row(
        "model_disagreement",
        "disagreement of the two",
        Value::one(PICOSAM2.macs_per_second() / TINY_TRACKER.macs_per_second()),
        "times",
        Basis::Computed,
        "rate of one over the rate of the other: why the run time is a range and no number",
        "the two lines above",
    ));
    let run_time = RunTime::estimate(macs);
    rows.push(row(
        "model_run_time",
        "DNN run time of this network",
        Value::range(milliseconds(run_time.shortest), milliseconds(run_time.longest)),
        "ms",
        Basis::Estimated,
        &format!("{:.1} M multiply-accumulates at the two rates; each simulated inference draws from this range",
            macs as f64 / 1e6),
        "the utilisations above; never measured",
    ));
    for (mode, sony_ms) in
        [(Mode::Full, SONY_READ_OUT_FULL_MS), (Mode::Binned, SONY_READ_OUT_BINNED_MS)]
    {
        rows.extend(read_out(mode, sony_ms));
    }
    rows.extend(energy(macs, inputs));
    rows
}

/// Why the paper's two latencies are not what they are taken for. `network` runs at any size.
#[must_use]
pub(super) fn bound(network: &Network) -> Vec<Row> {
    let side = PAPER_INPUT_SIDE;
    let Ok(large) = network.with_input_size(side, side) else {
        return vec![row(
            "bound_macs",
            "multiply-accumulates at 960 x 960",
            Value::missing("this network does not run at that size; the built-in one does"),
            "MMAC",
            Basis::NotMeasured,
            "multiply-accumulates of one inference",
            "counted on the graph",
        )];
    };
    let macs = large.macs();
    let macs_per_pixel = macs as f64 / (side * side) as f64;
    let needed = macs as f64 / (IMX500.latency_ms / 1e3);
    let sides = |macs_per_second| side_in(IMX500.latency_ms, macs_per_second, macs_per_pixel);
    let map = large.graph().tensors().iter().skip(1).max_by_key(|tensor| tensor.len_bytes());
    let mut rows = vec![
        row(
            "bound_macs",
            "multiply-accumulates at 960 x 960",
            Value::one(macs as f64 / 1e6),
            "MMAC",
            Basis::Computed,
            &format!(
                "of one inference of the network of this report, {} a pixel; the paper gives none of its own",
                super::figure::readable(macs_per_pixel)
            ),
            "counted on the graph of the network",
        ),
        row(
            "bound_latency",
            "least time at 960 x 960",
            Value::one(bound_ms(macs)),
            "ms",
            Basis::Computed,
            "at utilisation 1: a lower bound for any schedule on this DSP; at the fitted utilisations it is 26 to 44 times as long",
            "multiply-accumulates over the peak",
        ),
        row(
            "bound_over_peak",
            "rate that 0.23 ms would take, over the peak",
            Value::one(needed / peak_macs_per_second()),
            "times",
            Basis::Computed,
            &format!(
                "{:.1} T multiply-accumulates a second, against a peak of {:.4} T",
                needed / 1e12,
                peak_macs_per_second() / 1e12
            ),
            PAPER,
        ),
        row(
            "bound_side_at_peak",
            "largest input in 0.23 ms, at the peak",
            Value::one(sides(peak_macs_per_second())),
            "px a side",
            Basis::Computed,
            "square input whose multiply-accumulates fit into 0.23 ms at utilisation 1",
            "peak and multiply-accumulates above",
        ),
        row(
            "bound_macs_a_pixel",
            "what 0.23 ms allows at 960 x 960, at the peak",
            Value::one(IMX500.latency_ms / 1e3 * peak_macs_per_second() / (side * side) as f64),
            "MAC a pixel",
            Basis::Computed,
            "whatever the network: one convolution of 3 x 3 from 3 to 16 channels, the first of the paper's Table I, takes \
             432 a pixel",
            "peak times 0.23 ms over 921,600 pixels",
        ),
        row(
            "bound_side_at_fit",
            "largest input in 0.23 ms, at the fitted utilisations",
            Value::range(sides(TINY_TRACKER.macs_per_second()), sides(PICOSAM2.macs_per_second())),
            "px a side",
            Basis::Estimated,
            "the same at the rates that were measured on an IMX500",
            "utilisations of the model",
        ),
        row(
            "bound_input_side",
            "largest side of the sensor's input tensor",
            Value::one(LARGEST_INPUT_SIDE as f64),
            "px",
            Basis::Published,
            "960 is above it",
            "modlib documentation of the sensor",
        ),
        row(
            "bound_memory",
            "memory of the sensor for weights and tensors",
            Value::one(AVAILABLE_BYTES as f64),
            "bytes",
            Basis::Published,
            "what the converter has to fit the network into",
            "report of imx500-converter 3.19.2",
        ),
    ];
    rows.extend(map.map(|map| {
        row(
            "bound_largest_map",
            "largest single tensor at 960 x 960",
            Value::one(map.len_bytes() as f64),
            "bytes",
            Basis::Computed,
            &format!(
                "{} x {} x {} at one byte an element, {:.1} times the sensor's memory, and it is not alone in it",
                map.channels,
                map.height,
                map.width,
                map.len_bytes() as f64 / AVAILABLE_BYTES as f64
            ),
            "counted on the graph of the network",
        )
    }));
    rows.push(row(
        "bound_full_remainder",
        "17.21 ms less read-out and network",
        Value::one(IMX500_FULL.latency_ms - SONY_READ_OUT_FULL_MS - IMX500.latency_ms),
        "ms",
        Basis::Inferred,
        "17.21 - 16.52 (Sony's read-out of 4056 x 3040) - 0.23; of the order of what fetching a result \
         takes (0.24 ms in arXiv 2307.07813, half of it), so \"Full\" is most likely read-out, network and transfer, \
         without exposure and display",
        "arXiv 2312.09854, IEEE 9365965; our reading, the paper does not say so",
    ));
    rows
}

fn read_out(mode: Mode, sony_ms: f64) -> [Row; 2] {
    let timing = mode.frame_timing(0);
    let name = format!("{} x {}", mode.width(), mode.height());
    let id = format!("{}x{}", mode.width(), mode.height());
    [
        Row {
            id: format!("model_read_out_{id}"),
            figure: format!("read-out of {name}"),
            value: Value::one(milliseconds(timing.complete)),
            unit: "ms",
            quality: Basis::Computed,
            definition: format!(
                "{} lines x {} pixel clocks / {} MHz; frame interval {:.1} ms with the driver's least blanking",
                mode.height(),
                mode.line_length_pixels(),
                PIXELS_PER_SECOND / 1_000_000,
                milliseconds(timing.interval),
            ),
            source: "mode table of the kernel driver (imx500.c)".to_owned(),
        },
        Row {
            id: format!("sony_read_out_{id}"),
            figure: format!("read-out of {name}, by Sony"),
            value: Value::one(sony_ms),
            unit: "ms",
            quality: Basis::Published,
            definition: "not what the Raspberry Pi's driver sets: its modes are slower, so this figure cannot be \
                         reached on a Raspberry Pi"
                .to_owned(),
            source: ISSCC.to_owned(),
        },
    ]
}

fn energy(macs: u64, inputs: ModelInputs) -> Vec<Row> {
    let mut rows = Vec::new();
    for (mode, milliwatts) in
        [(Mode::Full, inputs.full_milliwatts), (Mode::Binned, inputs.binned_milliwatts)]
    {
        let id = format!("model_power_{}x{}", mode.width(), mode.height());
        let mut figure = format!("streaming power at {} x {}", mode.width(), mode.height());
        if mode == inputs.mode {
            figure += ", the mode of this run";
        }
        rows.push(Row {
            id,
            figure,
            value: Value::one(milliwatts),
            unit: "mW",
            quality: Basis::Published,
            definition: "of the sensor, its network apart; a parameter of the energy model"
                .to_owned(),
            source: format!("power.simulated_*_mw in config.toml; by default {ISSCC}"),
        });
    }
    let of_mode = match inputs.mode {
        Mode::Full => inputs.full_milliwatts,
        Mode::Binned => inputs.binned_milliwatts,
    };
    let model = EnergyModel::new(of_mode / 1e3, macs, inputs.tera_operations_per_joule);
    let interval = inputs.mode.frame_timing(0).interval;
    rows.push(row(
        "model_energy_inference",
        "energy of one inference",
        Value::one(model.inference_joules * 1e3),
        "mJ",
        Basis::Estimated,
        &format!(
            "2 operations x {:.1} M multiply-accumulates / {} TOPS/W, the chip's best, which a network hardly reaches",
            macs as f64 / 1e6,
            inputs.tera_operations_per_joule
        ),
        &format!("power.simulated_tops_per_watt in config.toml; by default {ISSCC}"),
    ));
    rows.push(row(
        "model_energy_frame",
        "energy of one frame without inference",
        Value::one(model.streaming_watts * seconds(interval) * 1e3),
        "mJ",
        Basis::Estimated,
        &format!("streaming power of the mode x {:.1} ms", milliseconds(interval)),
        "the lines above",
    ));
    rows
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn row(
    id: &str,
    figure: &str,
    value: Value,
    unit: &'static str,
    quality: Basis,
    definition: &str,
    source: &str,
) -> Row {
    Row {
        id: id.to_owned(),
        figure: figure.to_owned(),
        value,
        unit,
        quality,
        definition: definition.to_owned(),
        source: source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64, digits: i32) {
        let tolerance = 0.5 * 10_f64.powi(-digits);
        assert!((got - want).abs() <= tolerance, "{got}, want {want}");
    }

    fn value(rows: &[Row], id: &str) -> Value {
        rows.iter().find(|row| row.id == id).expect(id).value.clone()
    }

    fn one(rows: &[Row], id: &str) -> f64 {
        match value(rows, id) {
            Value::One { value } => value,
            other => panic!("{id}: {other:?}"),
        }
    }

    fn built_in() -> Network {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qsegment-320.onnx");
        Network::load(&std::fs::read(path).unwrap()).unwrap()
    }

    const INPUTS: ModelInputs = ModelInputs {
        mode: Mode::Binned,
        full_milliwatts: 278.8,
        binned_milliwatts: 379.1,
        tera_operations_per_joule: 4.97,
    };

    #[test]
    fn peak_and_utilisations_by_hand() {
        // 2304 * 262.5e6
        near(peak_macs_per_second() / 1e9, 604.8, 9);
        // 336e6 / 14.3e-3 = 23.4965 G; 11.8e6 / 0.86e-3 = 13.7209 G
        near(utilisation(PICOSAM2), 0.038_850, 6);
        near(utilisation(TINY_TRACKER), 0.022_687, 6);
        near(PICOSAM2.macs_per_second() / TINY_TRACKER.macs_per_second(), 1.712_5, 3);
    }

    #[test]
    fn bound_at_960_by_hand() {
        let rows = bound(&built_in());
        // 921,600 px * 10,123 a pixel (model/README.md) = 9,329 M
        let macs = one(&rows, "bound_macs");
        near(macs / 0.921_6, 10_123.0, -1);
        // 9,329 M / 604.8 G = 15.43 ms; / 0.23 ms / 604.8 G = 67.1
        near(one(&rows, "bound_latency"), 15.43, 1);
        near(one(&rows, "bound_over_peak"), 67.1, 0);
        // 0.23e-3 * 604.8e9 / 10,123 = 13,741 px = 117.2 squared
        near(one(&rows, "bound_side_at_peak"), 117.2, 0);
        // 0.23e-3 * 604.8e9 / 921,600
        near(one(&rows, "bound_macs_a_pixel"), 150.9, 1);
        // sqrt(0.23e-3 * 13.7209e9 / 10,123) = 17.66; sqrt(0.23e-3 * 23.4965e9 / 10,123) = 23.10
        let Value::Range { low, high } = value(&rows, "bound_side_at_fit") else { panic!() };
        near(low, 17.66, 1);
        near(high, 23.10, 1);
        // 16 channels * 960 * 960
        near(one(&rows, "bound_largest_map"), 14_745_600.0, 0);
        assert!(one(&rows, "bound_largest_map") > one(&rows, "bound_memory"));
        // 17.21 - 16.52 - 0.23
        near(one(&rows, "bound_full_remainder"), 0.46, 6);
    }

    #[test]
    fn at_the_fitted_rates_960_takes_26_to_44_times_the_bound_as_the_report_says() {
        near(1.0 / utilisation(PICOSAM2), 26.0, 0);
        near(1.0 / utilisation(TINY_TRACKER), 44.0, 0);
    }

    #[test]
    fn read_outs_follow_from_the_mode_table() {
        let rows = model(1_000_000_000, INPUTS);
        // 3040 * 17900 / 744e6 s; 1520 * 9398 / 744e6 s
        near(one(&rows, "model_read_out_4056x3040"), 73.140, 3);
        near(one(&rows, "model_read_out_2028x1520"), 19.200, 3);
    }

    #[test]
    fn run_time_and_energy_by_hand() {
        let rows = model(1_000_000_000, INPUTS);
        // 1e9 * 14.3 / 336e6 = 42.560 ms; 1e9 * 0.86 / 11.8e6 = 72.881 ms
        let Value::Range { low, high } = value(&rows, "model_run_time") else { panic!() };
        near(low, 42.560, 3);
        near(high, 72.881, 3);
        // 2e9 / 4.97e12 J = 0.40241 mJ; 0.3791 W * 33.3098 ms = 12.6278 mJ
        near(one(&rows, "model_energy_inference"), 0.402_41, 5);
        near(one(&rows, "model_energy_frame"), 12.627_8, 3);
    }

    #[test]
    fn every_row_has_a_definition_a_source_and_an_id_of_its_own() {
        let mut rows = model(1_000_000_000, INPUTS);
        rows.extend(bound(&built_in()));
        let mut ids: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), rows.len());
        assert!(rows.iter().all(|row| !row.definition.is_empty() && !row.source.is_empty()));
    }
}
