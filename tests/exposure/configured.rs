//! Values that are configured, held, limited or not followed.

use super::rig::{Rig, Sensor};
use super::scenes::Scene;
use qsegment::source::imx500::ColourGains;
use qsegment::source::imx500::exposure::{ExposureMode, Options, Setting, WhiteBalanceMode};

fn rig(sensor: Sensor, options: Options, off: f64) -> Rig {
    Rig::new(Scene::phantom(1), sensor, options, off)
}

/// 5 ms / 12.63 us = 396 lines; gain 1.5 is code 1024 - 1024 / 1.5 = 341.
#[test]
fn fixed_values_are_set_once_and_light_moves_them_not() {
    let options = Options {
        mode: ExposureMode::Fixed { time_us: 5000.0, gain: 1.5 },
        white_balance: WhiteBalanceMode::Fixed { red: 1.75, blue: 2.0 },
        ..Options::default()
    };
    let mut rig = rig(Sensor::default(), options, 0.0);
    let mut steps = rig.run(20);
    rig.light_changes(3.0);
    steps.extend(rig.run(20));
    let set: Vec<_> = steps.iter().filter_map(|step| step.orders.setting).collect();
    assert_eq!(set, [Setting { lines: 396, gain_code: 341 }]);
    let gains: Vec<_> = steps.iter().filter_map(|step| step.orders.colour_gains).collect();
    assert_eq!(gains, [ColourGains { red: 448, blue: 512, ..ColourGains::default() }]);
    let state = rig.controller.state();
    assert!(state.exposure_settled && state.white_balance_settled, "{state:?}");
    assert!((state.exposure_ms.unwrap() - 5.002).abs() < 0.001, "{state:?}");
    assert!((state.gain.unwrap() - 1.499).abs() < 0.001, "{state:?}");
}

#[test]
fn locked_values_settle_and_are_then_held() {
    let options = Options {
        mode: ExposureMode::Locked,
        white_balance: WhiteBalanceMode::Locked,
        brightness: 0.35,
        ..Options::default()
    };
    let mut rig = rig(Sensor::default(), options, -3.0);
    let settled = *rig.run(60).last().unwrap();
    assert!(settled.settled && settled.off_stops.abs() < 0.25, "{settled:?}");
    assert!(settled.white_balance_settled);
    rig.light_changes(2.0);
    let held = rig.run(100);
    assert!(held.iter().all(|step| step.orders.each().next().is_none()));
    assert_eq!(held.last().unwrap().setting, settled.setting);
}

#[test]
fn longest_time_is_kept_and_gain_gives_the_rest() {
    let options = Options {
        max_time_us: Some(4000.0),
        brightness: 0.35,
        white_balance: WhiteBalanceMode::Fixed { red: 1.0, blue: 1.0 },
        ..Options::default()
    };
    let mut rig = rig(Sensor::default(), options, -2.0);
    let last = *rig.run(40).last().unwrap();
    assert!(last.off_stops.abs() < 0.25, "{last:?}");
    assert!(last.setting.lines <= 316 && last.setting.gain() > 1.5, "{last:?}");
}

#[test]
fn sensor_that_does_not_follow_is_asked_again_now_and_then() {
    let mut rig = rig(Sensor { delay: 1_000_000, ..Sensor::default() }, Options::default(), -4.0);
    // 100 tensors are 200 frames; 16 and the lag of 3 lie between two orders.
    let orders = rig.run(100).iter().filter(|step| step.orders.setting.is_some()).count();
    assert!((10..=11).contains(&orders), "{orders}");
    assert_eq!(rig.controller.state().orders_not_followed, orders as u64 - 1);
}

/// A driver whose frames leave room for fewer lines than the registers say.
#[test]
fn what_the_driver_makes_of_an_order_is_waited_for() {
    let options = Options { brightness: 0.35, ..Options::default() };
    let mut rig = rig(Sensor::default(), options, -4.0);
    rig.most_lines = 300;
    let steps = rig.run(60);
    assert_eq!(rig.controller.state().orders_not_followed, 0);
    assert!(steps.last().unwrap().setting.lines <= 300);
}

#[test]
fn without_registers_nothing_is_concluded_about_exposure() {
    let mut rig = rig(Sensor::default(), Options::default(), -4.0);
    rig.registers = false;
    assert!(rig.run(30).iter().all(|step| step.orders.setting.is_none()));
    assert_eq!(rig.controller.state().frames_without_registers, 30);
    rig.registers = true;
    assert!(rig.run(2)[0].orders.setting.is_some());
}
