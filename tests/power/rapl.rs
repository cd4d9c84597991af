use std::fs;
use std::os::unix::fs::PermissionsExt;

use qsegment::source::Quality;
use qsegment::source::power::{AbsentError, Instrument, Rapl, Scope};

use crate::tree::{Tree, at, near};

#[test]
fn packages_are_added_and_their_parts_are_not() {
    let tree = Tree::new();
    let first = tree.package(0, 1_000_000);
    let second = tree.package(1, 2_000_000);
    tree.write("sys/class/powercap/intel-rapl:0:0/name", "core\n");
    tree.write("sys/class/powercap/intel-rapl-mmio:0/name", "package-0\n");
    tree.write("sys/class/powercap/intel-rapl:2/name", "psys\n");
    let mut rapl = Rapl::find(tree.root()).unwrap();
    assert_eq!(rapl.info().name, "rapl, 2 packages");
    assert_eq!(rapl.read(at(0)), Ok(None), "a counter says nothing alone");
    tree.write(&format!("{first}/energy_uj"), "3000000\n");
    tree.write(&format!("{second}/energy_uj"), "3000000\n");
    let sample = rapl.read(at(100)).unwrap().unwrap();
    assert!(near(sample.watts, 30.0) && near(sample.joules.unwrap(), 3.0), "{sample:?}");
    // 2 * (2 * 61 uJ + 30 W * 1 ms) / 100 ms.
    assert!(near(sample.uncertainty_watts, 2.0 * (2.0 * 61e-6 + 0.03) / 0.1), "{sample:?}");
    assert_eq!((sample.scope, sample.quality), (Scope::Cpu, Quality::Estimated));
}

#[test]
fn a_counter_that_wraps_goes_on() {
    let tree = Tree::new();
    let folder = tree.package(0, 262_143_000_000);
    let mut rapl = Rapl::find(tree.root()).unwrap();
    rapl.read(at(0)).unwrap();
    tree.write(&format!("{folder}/energy_uj"), "671150\n");
    let sample = rapl.read(at(100)).unwrap().unwrap();
    assert!(near(sample.joules.unwrap(), 1.0) && near(sample.watts, 10.0), "{sample:?}");
}

#[test]
fn a_counter_that_stands_still_is_stuck_after_a_while() {
    let tree = Tree::new();
    let folder = tree.package(0, 5);
    let mut rapl = Rapl::find(tree.root()).unwrap();
    rapl.read(at(0)).unwrap();
    assert_eq!(rapl.read(at(100)), Ok(None));
    assert_eq!(rapl.read(at(2500)).unwrap_err().reason(), "stuck");
    tree.write(&format!("{folder}/energy_uj"), "5000005\n");
    let sample = rapl.read(at(5000)).unwrap().unwrap();
    assert!(near(sample.watts, 1.0), "mean since it last moved: {sample:?}");
}

#[test]
fn damage_is_refused_and_survived() {
    let tree = Tree::new();
    let folder = tree.package(0, 5);
    let mut rapl = Rapl::find(tree.root()).unwrap();
    rapl.read(at(0)).unwrap();
    for (text, reason) in [("", "malformed"), ("-5", "malformed"), ("260000000000", "absurd")] {
        tree.write(&format!("{folder}/energy_uj"), text);
        assert_eq!(rapl.read(at(100)).unwrap_err().reason(), reason, "{text:?}");
    }
    fs::remove_file(tree.root().join(&folder).join("energy_uj")).unwrap();
    assert_eq!(rapl.read(at(200)).unwrap_err().reason(), "gone");
    tree.write(&format!("{folder}/energy_uj"), "1000005");
    assert!(near(rapl.read(at(1000)).unwrap().unwrap().watts, 1.0));
}

#[test]
fn why_only_root_may_read_it_is_explained() {
    let tree = Tree::new();
    let folder = tree.package(0, 5);
    let file = tree.root().join(&folder).join("energy_uj");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let found = Rapl::find(tree.root());
    if fs::File::open(&file).is_ok() {
        // Root reads it all the same.
        assert!(found.is_ok());
    } else {
        assert_eq!(found, Err(AbsentError::RootOnly(file.clone())));
    }
    let said = AbsentError::RootOnly(file).to_string();
    assert!(said.contains("CVE-2020-8694") && said.contains("sudo chmod a+r"), "{said}");
}

#[test]
fn a_machine_without_them_is_told_so() {
    let tree = Tree::new();
    let none = Rapl::find(tree.root()).unwrap_err();
    assert!(none.to_string().contains("hidden from most virtual machines"), "{none}");
    let folder = tree.package(0, 5);
    tree.write(&format!("{folder}/max_energy_range_uj"), "lots\n");
    let damaged = Rapl::find(tree.root()).unwrap_err();
    assert!(damaged.to_string().contains("got \"lots\""), "{damaged}");
}
