//! Power and energy, one sample an instrument.

use std::fmt::Error;

use super::family::{Families, Family, Labels};
use crate::outputs::figures::power::{PowerFigures, UncertainFigure};
use crate::pipeline::Snapshot;

/// Nothing of an instrument that has no value, so that a silent one leaves no old number.
pub(super) fn figures(families: &mut Families<'_, '_>, snapshot: &Snapshot) -> Result<(), Error> {
    let figures: Vec<_> = snapshot.power.iter().map(PowerFigures::from).collect();
    for (family, figure) in GAUGES {
        let known = figures.iter().filter_map(|of| Some((labels(of), figure(of).figure.value?)));
        families.gauges(family, known)?;
    }
    let joules = |of: &PowerFigures| of.energy.figure.value.unwrap_or_default();
    families.sums(ENERGY, figures.iter().map(|of| (labels(of), joules(of))))?;
    let seconds = |of: &PowerFigures| of.uncovered.value.unwrap_or_default();
    families.sums(UNCOVERED, figures.iter().map(|of| (labels(of), seconds(of))))?;
    families.counters(READINGS, figures.iter().map(|of| (labels(of), of.readings)))?;
    let failures = figures.iter().flat_map(|of| {
        of.failures.iter().map(|(reason, times)| {
            let [scope, source, _] = of_instrument(of);
            (vec![scope, source, ("reason", *reason)], *times)
        })
    });
    families.counters(FAILURES, failures)
}

fn labels(of: &PowerFigures) -> Labels<'static> {
    of_instrument(of).into()
}

fn of_instrument(of: &PowerFigures) -> [(&'static str, &'static str); 3] {
    [("scope", of.scope.name()), ("source", of.source.name()), ("quality", of.quality.name())]
}

type Gauge = (Family, fn(&PowerFigures) -> &UncertainFigure);

const GAUGES: [Gauge; 3] = [
    (
        Family::new(
            "power",
            "watts",
            "Power of a scope now; scopes contain one another, never add them",
        ),
        |of| &of.power,
    ),
    (Family::new("idle_power", "watts", "Power of a scope before the source was opened"), |of| {
        &of.idle_power
    }),
    (
        Family::new(
            "energy_per_frame",
            "joules",
            "Energy of a scope over the sensor frames since the start",
        ),
        |of| &of.energy_per_frame,
    ),
];

const ENERGY: Family = Family::new(
    "energy",
    "joules",
    "Energy over the covered time of the run; scopes contain one another, never add them",
);
const UNCOVERED: Family = Family::new(
    "power_uncovered",
    "seconds",
    "Time of the run over which no energy was integrated",
);
const READINGS: Family =
    Family::new("power_readings", "", "Samples taken from an instrument for power");
const FAILURES: Family =
    Family::new("power_failures", "", "Readings of an instrument for power that failed");
