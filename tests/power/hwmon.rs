use std::fs::File;
use std::io::Write;
use std::thread;

use qsegment::source::Quality;
use qsegment::source::power::{AbsentError, ChipScope, Hwmon, Instrument, ReadError, Scope};

use crate::tree::{Tree, at, near};

const SENSOR: ChipScope = ChipScope::Told(Scope::Sensor);

fn only(tree: &Tree) -> Hwmon {
    let mut found = Hwmon::find(tree.root(), SENSOR, None).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[test]
fn uncertainty_follows_from_the_shunt_and_the_chip() {
    // One step of current is 10, 2.5, 20 uV over 100 mOhm; one of power 20, 25, 0.2 V times that; 3.3 V bus.
    for (name, watts) in [
        ("ina219", 100e-6 * (20.0 + 3.3)),
        ("ina226", 25e-6 * (25.0 + 3.3)),
        ("ina238", 200e-6 * (0.2 + 3.3)),
    ] {
        let tree = Tree::new();
        tree.chip(3, name, "1-0040");
        let mut chip = only(&tree);
        assert_eq!(chip.info().name, format!("{name} 1-0040"));
        let sample = chip.read(at(100)).unwrap().unwrap();
        assert!(near(sample.watts, 0.25), "{sample:?}");
        assert!(near(sample.uncertainty_watts, watts), "{name}: {sample:?}, want {watts}");
        assert_eq!((sample.scope, sample.quality), (Scope::Sensor, Quality::Measured));
        assert_eq!((sample.at, sample.joules), (at(100), None));
    }
}

#[test]
fn a_larger_shunt_makes_finer_steps() {
    let tree = Tree::new();
    let folder = tree.chip(0, "ina226", "1-0040");
    let mut chip = only(&tree);
    let coarse = chip.read(at(0)).unwrap().unwrap().uncertainty_watts;
    tree.write(&format!("{folder}/shunt_resistor"), "200000\n");
    let fine = chip.read(at(1)).unwrap().unwrap().uncertainty_watts;
    assert!(near(fine, coarse / 2.0));
}

#[test]
fn a_chip_that_counts_energy_is_believed_unless_it_goes_back() {
    let tree = Tree::new();
    let folder = tree.chip(0, "ina228", "1-0040");
    let energy = |microjoules: u64| {
        tree.write(&format!("{folder}/energy1_input"), &format!("{microjoules}\n"));
    };
    energy(5_000_000);
    let mut chip = only(&tree);
    let joules =
        |chip: &mut Hwmon, ms| chip.read(at(ms)).map(|sample| sample.unwrap().joules.unwrap());
    assert!(near(joules(&mut chip, 0).unwrap(), 0.0));
    energy(5_250_000);
    assert!(near(joules(&mut chip, 1000).unwrap(), 0.25));
    energy(10);
    assert!(matches!(joules(&mut chip, 2000), Err(ReadError::Absurd { .. })));
    energy(250_010);
    let error = joules(&mut chip, 3000).unwrap_err();
    assert_eq!(error.reason(), "restarted");
    energy(500_010);
    assert!(near(joules(&mut chip, 4000).unwrap(), 0.5));
}

#[test]
fn labels_say_what_is_measured_and_scopes_stay_apart() {
    let tree = Tree::new();
    let sensor = tree.chip(1, "ina226", "1-0041");
    let board = tree.chip(2, "ina219", "1-0040");
    // Others that have no place here: another driver, and a chip that measures the fan.
    tree.write("sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
    tree.chip(4, "ina226", "1-0044");
    let unlabelled = Hwmon::find(tree.root(), ChipScope::Label, None).unwrap_err();
    assert!(matches!(&unlabelled, AbsentError::NoScope { chips } if chips.len() == 3));
    assert!(unlabelled.to_string().contains("ina219 1-0040 or ina226 1-0041 or"), "{unlabelled}");
    tree.write(&format!("{sensor}/label"), "sensor\n");
    tree.write(&format!("{board}/label"), "board\n");
    let found = Hwmon::find(tree.root(), ChipScope::Label, None).unwrap();
    let scopes: Vec<_> = found.iter().map(|chip| (chip.info().name, chip.info().scope)).collect();
    assert_eq!(
        scopes,
        [("ina219 1-0040".to_owned(), Scope::Board), ("ina226 1-0041".to_owned(), Scope::Sensor)]
    );
}

#[test]
fn several_chips_for_one_scope_are_refused_until_one_is_named() {
    let tree = Tree::new();
    tree.chip(0, "ina226", "1-0040");
    tree.chip(1, "ina226", "1-0041");
    let several = Hwmon::find(tree.root(), SENSOR, None).unwrap_err();
    assert_eq!(
        several.to_string(),
        "ina226 1-0040, ina226 1-0041 all measure the sensor: name one with power.chip"
    );
    let one = Hwmon::find(tree.root(), SENSOR, Some("1-0041")).unwrap();
    assert_eq!(one[0].info().name, "ina226 1-0041");
    let other = Hwmon::find(tree.root(), SENSOR, Some("2-0040")).unwrap_err();
    assert!(matches!(other, AbsentError::NotThatChip { .. }), "{other}");
}

#[test]
fn no_chip_is_a_sentence_with_the_folder() {
    let tree = Tree::new();
    let none = Hwmon::find(tree.root(), SENSOR, None).unwrap_err();
    assert!(none.to_string().contains("sys/class/hwmon"), "{none}");
}

#[test]
fn what_cannot_be_power_is_refused_by_file_and_value() {
    let tree = Tree::new();
    let folder = tree.chip(0, "ina226", "1-0040");
    let mut chip = only(&tree);
    for (text, reason) in [
        ("-250000\n", "malformed"),
        ("\n", "malformed"),
        ("nan\n", "malformed"),
        ("0.25\n", "malformed"),
        ("99999999999999999999999999\n", "malformed"),
        ("40959375\n", "absurd"),
        ("\u{0}\u{1}garbage of a driver gone mad", "malformed"),
    ] {
        let file = tree.write(&format!("{folder}/power1_input"), text);
        let error = chip.read(at(0)).unwrap_err();
        assert_eq!(error.reason(), reason, "{text:?}: {error}");
        if let ReadError::Malformed { path, got, .. } = &error {
            assert_eq!((path, got.as_str()), (&file, text.trim()));
        }
    }
    tree.write(&format!("{folder}/power1_input"), "250000\n");
    assert!(chip.read(at(1)).unwrap().is_some(), "the next good value is taken");
    for (file, text) in [("in1_input", "-1"), ("shunt_resistor", "x"), ("energy1_input", "-")] {
        tree.write(&format!("{folder}/{file}"), text);
        assert_eq!(chip.read(at(2)).unwrap_err().reason(), "malformed", "{file}");
        tree.write(&format!("{folder}/{file}"), "3300");
    }
}

#[test]
fn a_chip_that_vanishes_in_the_middle_of_a_reading_is_gone_and_no_file_of_it() {
    let tree = Tree::new();
    let folder = tree.chip(0, "ina226", "1-0040");
    let mut chip = only(&tree);
    let fifo = tree.fifo(&format!("{folder}/power1_input"));
    let reader = thread::spawn(move || chip.read(at(0)));
    // Opens when the reading has got as far; the chip is gone before it goes on.
    let mut writer = File::options().write(true).open(fifo).unwrap();
    tree.remove(&folder);
    writer.write_all(b"250000\n").unwrap();
    drop(writer);
    let error = reader.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("ina226 1-0040 is no longer there"), "{error}");
}

#[test]
fn a_shunt_of_zero_does_no_harm() {
    let tree = Tree::new();
    let folder = tree.chip(0, "ina226", "1-0040");
    tree.write(&format!("{folder}/shunt_resistor"), "0\n");
    let sample = only(&tree).read(at(0)).unwrap().unwrap();
    assert!(sample.uncertainty_watts.is_finite());
}

#[test]
fn a_chip_that_comes_back_under_another_number_is_found_by_its_place() {
    let tree = Tree::new();
    let folder = tree.chip(2, "ina226", "1-0040");
    let mut chip = only(&tree);
    assert!(chip.read(at(0)).unwrap().is_some());
    tree.remove(&folder);
    let gone = chip.read(at(100)).unwrap_err();
    assert_eq!(gone.reason(), "gone");
    assert!(gone.to_string().contains("hwmon2: ina226 1-0040 is no longer there"), "{gone}");
    // Another chip takes the number; ours comes back with the next.
    tree.chip(2, "ina219", "1-0045");
    assert_eq!(chip.read(at(200)).unwrap_err().reason(), "gone", "no other chip is taken for it");
    let again = tree.chip(7, "ina226", "1-0040");
    tree.write(&format!("{again}/power1_input"), "300000\n");
    assert!(near(chip.read(at(300)).unwrap().unwrap().watts, 0.3));
}
