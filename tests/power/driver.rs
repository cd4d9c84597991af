//! Through the kernel's ina2xx driver: an INA226 that is only registers (i2c-stub), written between readings.
//! `QSEGMENT_INA226` is its place, such as 0-0041; tests/vm/suites/power sets it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use qsegment::pipeline::energy::Meter;
use qsegment::source::power::{ChipScope, Hwmon, Instrument, Scope};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::tree::at;

/// With 100 mOhm.
const POWER_STEP_WATTS: f64 = 625e-6;
const POWER_REGISTER: &str = "0x03";

/// 0.2 W + 0.05 W sin(2 pi t / 2 s) + 0.01 W/s t, read every 100 ms +- 50 ms. Time is the script's own, so that
/// a slow machine changes nothing.
#[test]
fn a_script_of_registers_is_integrated_to_half_a_percent() {
    let Ok(place) = std::env::var("QSEGMENT_INA226") else {
        println!("SKIPPED: QSEGMENT_INA226 names no chip; tests/vm/run power has one");
        return;
    };
    let turn = std::f64::consts::PI;
    let watts = |t: f64| 0.2 + 0.05 * (turn * t).sin() + 0.01 * t;
    let joules = |t: f64| 0.2 * t - 0.05 / turn * (turn * t).cos() + 0.005 * t * t;
    let mut chip = Hwmon::find(Path::new("/"), ChipScope::Told(Scope::Sensor), Some(&place))
        .unwrap()
        .remove(0);
    let mut meter = Meter::new(chip.info(), Duration::from_millis(300));
    meter.begin();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut first, mut last) = (None, 0.0);
    for step in 1..100_u64 {
        let at_ms = step * 100 + rng.random_range(0..100) - 50;
        last = at_ms as f64 / 1e3;
        first.get_or_insert(last);
        write(&place, (watts(last) / POWER_STEP_WATTS).round());
        let sample = chip.read(at(at_ms)).unwrap().unwrap();
        let off = (sample.watts - watts(last)).abs();
        assert!(off <= sample.uncertainty_watts, "{sample:?}, want {}", watts(last));
        meter.push(sample, step * 3);
    }
    let span = meter.metered(at(10_000)).run;
    let want = joules(last) - joules(first.unwrap());
    let off = (span.joules / want - 1.0).abs();
    println!("{:.6} J, want {want:.6} J: {:.3} % off", span.joules, off * 100.0);
    assert!(off < 0.005);
    assert_eq!((span.gaps, span.frames), (0, 98 * 3));
}

/// The chip's registers have the high byte first, a word of SMBus the low one.
fn write(place: &str, steps: f64) {
    let (bus, address) = place.split_once('-').unwrap();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
    let swapped = (steps as u16).swap_bytes();
    let address = format!("0x{}", address.trim_start_matches('0'));
    let written = Command::new("i2cset")
        .args(["-f", "-y", bus, &address, POWER_REGISTER, &format!("{swapped:#06x}"), "w"])
        .status();
    assert!(written.unwrap().success());
}
