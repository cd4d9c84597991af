//! The threads. Nothing here looks at how long anything takes: what must happen is waited for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use qsegment::pipeline::energy::Metered;
use qsegment::pipeline::metering::{Metering, Meters};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::power::{ChipScope, Hwmon, Rapl, Scope};

use crate::tree::{Tree, near};

const PERIOD: Duration = Duration::from_millis(10);

fn metering() -> Metering {
    Metering::new(PERIOD, Clock::monotonic(StopSignal::default()))
}

fn sensor(tree: &Tree) -> Box<Hwmon> {
    let scope = ChipScope::Told(Scope::Sensor);
    Box::new(Hwmon::find(tree.root(), scope, None).unwrap().remove(0))
}

/// Until it holds for an instrument. What has not come after so many looks never comes.
fn wait_for(meters: &Meters, which: usize, holds: impl Fn(&Metered) -> bool) -> Metered {
    for _ in 0..LOOKS {
        let metered = meters.metered().remove(which);
        if holds(&metered) {
            return metered;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("never: {:?}", meters.metered());
}

const LOOKS: u32 = 30_000;

fn failed(metered: &Metered, reason: &str) -> bool {
    metered.failures.iter().any(|(counted, times)| *counted == reason && *times > 0)
}

#[test]
fn idle_power_is_measured_before_the_run() {
    let tree = Tree::new();
    tree.chip(0, "ina226", "1-0040");
    let mut metering = metering();
    metering.add(sensor(&tree)).unwrap();
    let metered = wait_for(&metering.meters(), 0, |metered| metered.idle.joules > 0.0);
    assert!(near(metered.idle.watts().unwrap().value, 0.25), "{metered:?}");
    assert!(metered.run.covered.is_zero());
}

#[test]
fn a_chip_that_vanishes_is_counted_and_read_again_when_it_is_back() {
    let tree = Tree::new();
    let folder = tree.chip(0, "ina226", "1-0040");
    let mut metering = metering();
    metering.add(sensor(&tree)).unwrap();
    let meters = metering.meters();
    wait_for(&meters, 0, |metered| metered.readings > 2);
    tree.remove(&folder);
    let gone = wait_for(&meters, 0, |metered| failed(metered, "gone") && metered.newest.is_none());
    tree.chip(5, "ina226", "1-0040");
    wait_for(&meters, 0, |metered| metered.readings > gone.readings && metered.newest.is_some());
}

#[test]
fn lies_are_counted_and_never_integrated() {
    let tree = Tree::new();
    let folder = tree.chip(0, "ina226", "1-0040");
    let mut metering = metering();
    metering.add(sensor(&tree)).unwrap();
    let meters = metering.meters();
    for (text, reason) in [("40959375", "absurd"), ("-5", "malformed")] {
        tree.write(&format!("{folder}/power1_input"), text);
        wait_for(&meters, 0, |metered| failed(metered, reason));
        tree.write(&format!("{folder}/power1_input"), "250000");
        let readings = meters.metered()[0].readings;
        wait_for(&meters, 0, |metered| metered.readings > readings + 1);
    }
    drop(metering);
    let mean = meters.metered()[0].idle.watts().unwrap();
    assert!(near(mean.value, 0.25), "{mean:?}");
}

#[test]
fn one_that_hangs_keeps_nobody_waiting_and_is_left_behind() {
    let tree = Tree::new();
    let folder = tree.chip(0, "ina226", "1-0040");
    let package = tree.package(0, 0);
    let mut metering = metering();
    // Nobody writes into it: opening it takes for ever.
    let chip = sensor(&tree);
    tree.fifo(&format!("{folder}/power1_input"));
    metering.add(chip).unwrap();
    metering.add(Box::new(Rapl::find(tree.root()).unwrap())).unwrap();
    let meters = metering.meters();
    // A reading counts when the counter has moved, and which values are seen is the thread's affair.
    let moved = AtomicU64::new(0);
    wait_for(&meters, 1, |metered| {
        let energy_uj = 1000 * (1 + moved.fetch_add(1, Ordering::Relaxed));
        tree.write(&format!("{package}/energy_uj"), &format!("{energy_uj}\n"));
        metered.readings > 3
    });
    let [hangs, _] = &meters.metered()[..] else { panic!() };
    assert_eq!((hangs.newest, hangs.readings), (None, 0));
    drop(metering);
}
