//! Instruments for power, and whether the supply is strong enough.

use qsegment::source::power::{self, AbsentError, Choice, Wanted};

use super::check::{Check, Question};
use super::host::Host;
use crate::cli::config::{Config, Instruments};

const INSTRUMENTS: Question =
    Question::new("power instruments", "what power.source asks for, or whatever is there");
const SUPPLY: Question = Question::new("supply", "no alarm of too little voltage (rpi_volt)");

pub(super) fn checks(host: &Host, config: &Config) -> Vec<Check> {
    let mut checks = instruments(host, config);
    checks.extend(supply(host));
    checks
}

fn instruments(host: &Host, config: &Config) -> Vec<Check> {
    let Some(choice) = config.power.choice() else {
        return vec![INSTRUMENTS.skipped(match config.power.source {
            Instruments::Simulated => {
                "power.source is \"simulated\": a model, of the simulated sensor only"
            }
            _ => "power.source is \"none\"",
        })];
    };
    if !host.has_kernel_files() {
        return vec![INSTRUMENTS.skipped(super::camera::NOT_RUNNING)];
    }
    let wanted = match (host.is_this(), choice.wanted) {
        // To ask the PMIC is to run that machine's vcgencmd here.
        (false, Wanted::Pmic) => {
            return vec![INSTRUMENTS.skipped("the PMIC has to be asked on the machine itself")];
        }
        (false, Wanted::Any) => Wanted::Hwmon,
        (_, wanted) => wanted,
    };
    let found = power::find(host.root(), &Choice { wanted, ..choice });
    let mut checks: Vec<Check> = found
        .instruments
        .iter()
        .map(|instrument| {
            let info = instrument.info();
            let (scope, quality) = (info.scope.name(), info.quality.name());
            INSTRUMENTS.ok(format!("{} for the {scope}, {quality}", info.name))
        })
        .collect();
    let auto = config.power.source == Instruments::Auto;
    let none = checks.is_empty();
    checks.extend(found.absent.iter().filter_map(|absent| {
        let why = host.as_there(&absent.to_string());
        match absent {
            _ if !auto => Some(INSTRUMENTS.fail(why, "see there, or set power.source to \"auto\"")),
            // One that is there and cannot be used is worth a word.
            AbsentError::NoScope { .. }
            | AbsentError::SeveralChips { .. }
            | AbsentError::NotThatChip { .. }
            | AbsentError::Unreadable(_) => {
                Some(INSTRUMENTS.warn(why, "see there; [power] in config.toml explains the keys"))
            }
            AbsentError::RootOnly(_) => Some(INSTRUMENTS.skipped(why)),
            _ => None,
        }
    }));
    if none && checks.is_empty() {
        checks.push(INSTRUMENTS.skipped(
            "none: no power monitor on I2C (INA2xx), no PMIC of a Raspberry Pi 5, no RAPL of an x86 processor",
        ));
    }
    checks
}

/// The firmware's own watch over the supply, on Raspberry Pis.
fn supply(host: &Host) -> Option<Check> {
    let folders = host.numbered("/sys/class/hwmon", "hwmon").into_iter();
    let mut folders = folders.map(|name| format!("/sys/class/hwmon/{name}"));
    let folder = folders
        .find(|folder| host.text(format!("{folder}/name")).as_deref() == Some("rpi_volt"))?;
    Some(match host.text(format!("{folder}/in0_lcrit_alarm")).as_deref() {
        Some("0") => SUPPLY.ok("no alarm of too little voltage"),
        Some(_) => SUPPLY.warn(
            "too little voltage now or since the last look: cameras and SD cards fail under it",
            "a supply of 27 W for a Raspberry Pi 5, of 15 W for a Pi 4, and a short cable",
        ),
        None => SUPPLY.skipped("its alarm cannot be read"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;
    use crate::cli::doctor::tree::Tree;

    #[test]
    fn no_instrument_is_no_fault_unless_one_was_asked_for() {
        let tree = Tree::new();
        tree.write("sys/class/tty/x", "");
        let mut config = Config::default();
        assert_eq!(checks(&tree.host(), &config)[0].verdict, Verdict::Skipped);
        config.power.source = Instruments::Hwmon;
        let asked = checks(&tree.host(), &config);
        assert_eq!(asked[0].verdict, Verdict::Fail);
        assert!(asked[0].found.contains("under /sys/class/hwmon"), "{}", asked[0]);
        config.power.source = Instruments::None;
        assert_eq!(checks(&tree.host(), &config)[0].verdict, Verdict::Skipped);
    }

    #[test]
    fn chip_without_a_scope_is_worth_a_word_and_a_weak_supply_too() {
        let tree = Tree::new();
        tree.write("sys/class/hwmon/hwmon2/name", "ina226\n");
        tree.link("sys/class/hwmon/hwmon2/device", "../../../1-0040");
        tree.write("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
        tree.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
        let checks = checks(&tree.host(), &Config::default());
        assert!(checks[0].found.contains("set power.scope"), "{}", checks[0]);
        assert_eq!([checks[0].verdict, checks[1].verdict], [Verdict::Warn, Verdict::Warn]);
        tree.write("sys/class/hwmon/hwmon2/label", "sensor\n");
        tree.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
        let checks = super::checks(&tree.host(), &Config::default());
        assert_eq!(checks[0].found, "ina226 1-0040 for the sensor, measured");
        assert_eq!(checks[1].verdict, Verdict::Ok);
    }
}
