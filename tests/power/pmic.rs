use std::sync::{Mutex, MutexGuard, PoisonError};

use qsegment::source::Quality;
use qsegment::source::power::{AbsentError, Instrument, Pmic, ReadError, Scope};

use crate::tree::{Tree, at, near};

/// In the format of the firmware, with the numbers made round: 1 V * 0.5 A + 3.3 V * 0.1 A + 0.8 V * 2 A.
const SAID: &str = "\
cat <<'END'
   1V1_SYS_A current(0)=0.50000000A
   3V3_SYS_A current(1)=0.10000000A
  VDD_CORE_A current(7)=2.00000000A
     1V1_SYS_V volt(8)=1.00000000V
     3V3_SYS_V volt(9)=3.30000000V
   VDD_CORE_V volt(15)=0.80000000V
      EXT5V_V volt(24)=5.13912000V
       BATT_V volt(25)=0.00000000V
END";
/// A program that is still open for writing in a process that is being started cannot be run ("text file busy"),
/// so tests that write programs and start them do so one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const RAILS_WATTS: f64 = 0.5 + 0.33 + 1.6;

#[test]
fn board_is_estimated_from_the_rails() {
    let _alone = alone();
    let tree = Tree::new();
    // The one argument, and no shell between.
    tree.vcgencmd(&format!("[ \"$#$1\" = 1pmic_read_adc ] || exit 9\n{SAID}"));
    let mut pmic = Pmic::find(tree.root()).unwrap();
    let sample = pmic.read(at(7)).unwrap().unwrap();
    let watts = RAILS_WATTS * 1.1451 + 0.5879;
    assert!(near(sample.watts, watts), "{sample:?}");
    assert!(near(sample.uncertainty_watts, watts - RAILS_WATTS), "{sample:?}");
    assert_eq!((sample.at, sample.scope), (at(7), Scope::Board));
    assert_eq!(sample.quality, Quality::Estimated);
    assert!(pmic.info().definition.contains("not sensor"));
}

#[test]
fn a_machine_without_it_is_told_so() {
    let _alone = alone();
    let tree = Tree::new();
    let none = Pmic::find(tree.root()).unwrap_err();
    assert!(none.to_string().contains("raspi-utils"), "{none}");
    // What older boards answer.
    tree.vcgencmd("echo 'error=1 error_msg=\"Command not registered\"'; exit 255");
    let none = Pmic::find(tree.root()).unwrap_err();
    assert!(matches!(none, AbsentError::NoPmic(ReadError::Program { .. })), "{none:?}");
    let said = none.to_string();
    assert!(said.contains("Command not registered") && said.contains("Raspberry Pi 5"), "{said}");
}

#[test]
fn what_cannot_be_rails_is_refused() {
    let _alone = alone();
    let tree = Tree::new();
    tree.vcgencmd(SAID);
    let mut pmic = Pmic::find(tree.root()).unwrap();
    for (said, reason) in [
        ("", "malformed"),
        ("echo nonsense", "malformed"),
        ("echo ' 3V3_SYS_A current(1)=-0.1A'; echo ' 3V3_SYS_V volt(9)=3.3V'", "malformed"),
        ("echo ' 3V3_SYS_A current(1)=nanA'; echo ' 3V3_SYS_V volt(9)=3.3V'", "malformed"),
        ("echo ' 3V3_SYS_A current(1)=0.1A'", "malformed"),
        ("echo ' 3V3_SYS_V volt(9)=3.3V'", "malformed"),
        ("echo ' 3V3_SYS_A current(1)=90A'; echo ' 3V3_SYS_V volt(9)=3.3V'", "absurd"),
        ("kill -9 $$", "program"),
        // More than a pipe holds: it never ends by itself.
        ("while :; do echo ' 3V3_SYS_A current(1)=0.1A'; done", "timed_out"),
    ] {
        tree.vcgencmd(said);
        assert_eq!(pmic.read(at(0)).unwrap_err().reason(), reason, "{said}");
    }
    tree.vcgencmd(SAID);
    // The one that was stopped may take a moment to end.
    let again = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        pmic.read(at(1)).ok().flatten()
    });
    assert!(again.is_some_and(|sample| near(sample.watts, RAILS_WATTS * 1.1451 + 0.5879)));
}

#[test]
fn a_program_that_hangs_is_stopped() {
    let _alone = alone();
    let tree = Tree::new();
    tree.vcgencmd(SAID);
    let mut pmic = Pmic::find(tree.root()).unwrap();
    tree.vcgencmd("exec sleep 1000");
    let error = pmic.read(at(0)).unwrap_err();
    assert_eq!(error.reason(), "timed_out");
    assert!(error.to_string().contains("did not end within 500ms"), "{error}");
}
