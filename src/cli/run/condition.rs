//! `--fail-on`: what must not be true at the end of a run.

use std::fmt;
use std::str::FromStr;

use qsegment::outputs::figures::power::PowerFigures;
use qsegment::outputs::figures::{COUNTERS, StageFigures, definition};
use qsegment::pipeline::Snapshot;
use qsegment::pipeline::latency::Stage;
use qsegment::pipeline::recovery::Recoveries;
use qsegment::source::power::Scope;

/// A comparison of one figure of the report with a number, such as `stale>0`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    name: String,
    comparison: Comparison,
    limit: f64,
}

/// What a condition says about a finished run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The condition does not hold.
    Fine,
    /// It holds; this was found.
    Holds(f64),
    /// Nothing was counted that could be compared.
    Unknown,
}

impl Condition {
    pub(crate) fn judge(&self, snapshot: &Snapshot) -> Verdict {
        match figure(snapshot, &self.name) {
            Some(found) if self.comparison.holds(found, self.limit) => Verdict::Holds(found),
            Some(_) => Verdict::Fine,
            None => Verdict::Unknown,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.comparison.sign(), self.limit)
    }
}

impl FromStr for Condition {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(['<', '>', '=']).ok_or_else(|| {
            format!("`{text}` compares nothing; write NAME, one of {SIGNS}, and a number: stale>0")
        })?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let comparison = Comparison::ALL
            .into_iter()
            .find(|comparison| rest.starts_with(comparison.sign()))
            .ok_or_else(|| format!("`{rest}` starts with none of {SIGNS}"))?;
        let number = rest[comparison.sign().len()..].trim();
        let limit = number
            .parse()
            .ok()
            .filter(|limit: &f64| limit.is_finite())
            .ok_or_else(|| format!("`{number}` is no number"))?;
        if !is_known(name) {
            return Err(format!("nothing is called `{name}`; known: {}", known_names()));
        }
        Ok(Self { name: name.to_owned(), comparison, limit })
    }
}

const SIGNS: &str = "> >= < <= ==";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    Equal,
    Over,
    Under,
}

impl Comparison {
    /// `>=` before `>`, so that the longer sign is found first.
    const ALL: [Self; 5] = [Self::AtLeast, Self::AtMost, Self::Equal, Self::Over, Self::Under];

    fn sign(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::Over => ">",
            Self::Under => "<",
        }
    }
    #[expect(
        clippy::float_cmp,
        reason = "counters are integers; for times the operator asked for equality"
    )]
    fn holds(self, found: f64, limit: f64) -> bool {
        match self {
            Self::AtLeast => found >= limit,
            Self::AtMost => found <= limit,
            Self::Equal => found == limit,
            Self::Over => found > limit,
            Self::Under => found < limit,
        }
    }
}

/// Whether the report has a figure of that name.
fn is_known(name: &str) -> bool {
    let of_counter = COUNTERS.iter().any(|counter| counter.name == name);
    let of_stage = Stage::ALL.iter().any(|&stage| {
        percentile(definition(stage).name, name).is_some_and(|last| PERCENTILES.contains(&last))
    });
    let of_power = Scope::ALL
        .iter()
        .any(|&scope| percentile(scope.name(), name).is_some_and(|last| POWERS.contains(&last)));
    of_counter || RECOVERY.contains(&name) || of_stage || of_power
}

/// What can be compared, as it stands in the report.
fn known_names() -> String {
    let counters = COUNTERS.map(|counter| counter.name).join(", ");
    let stages = Stage::ALL.map(|stage| definition(stage).name).join(", ");
    let scopes = Scope::ALL.map(Scope::name).join(", ");
    format!(
        "the counters {counters}, {}; the stages {stages}, each with _{} at its end; the scopes of power \
         {scopes}, each with _{} at its end",
        RECOVERY.join(", "),
        PERCENTILES.join(", _"),
        POWERS.join(" or _"),
    )
}

/// `sensor_to_mask`, `sensor_to_mask_p99_ms`: `p99_ms`.
fn percentile<'a>(start: &str, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(start)?.strip_prefix('_')
}

fn figure(snapshot: &Snapshot, name: &str) -> Option<f64> {
    if let Some(counter) = COUNTERS.iter().find(|counter| counter.name == name) {
        return Some((counter.value)(&snapshot.counters) as f64);
    }
    let Recoveries { steps, recovered, .. } = snapshot.recovery.counts;
    match name {
        "recovered" => return Some(recovered as f64),
        "recovery_steps" => return Some(steps.iter().sum::<u64>() as f64),
        _ => {}
    }
    let mut stages = snapshot.stages.iter().filter(|stage| stage.count > 0).map(StageFigures::from);
    let of_stage = stages.find_map(|stage| match percentile(stage.definition.name, name)? {
        "p50_ms" => Some(stage.p50_ms),
        "p95_ms" => Some(stage.p95_ms),
        "p99_ms" => Some(stage.p99_ms),
        "max_ms" => Some(stage.max_ms),
        _ => None,
    });
    of_stage.or_else(|| {
        let of_scope = snapshot.power.iter().map(PowerFigures::from).filter_map(|power| {
            let figure = match percentile(power.scope.name(), name)? {
                "mean_mw" => power.mean_power,
                "mj_per_frame" => power.energy_per_frame,
                _ => return None,
            };
            figure.figure.value.map(|value| value * 1e3)
        });
        // Of two instruments with one scope the one that says more.
        of_scope.max_by(f64::total_cmp)
    })
}

const RECOVERY: [&str; 2] = ["recovered", "recovery_steps"];
const PERCENTILES: [&str; 4] = ["p50_ms", "p95_ms", "p99_ms", "max_ms"];
const POWERS: [&str; 2] = ["mean_mw", "mj_per_frame"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_signs_and_numbers() {
        for (text, shown) in [
            ("stale>0", "stale > 0"),
            ("paired < 100", "paired < 100"),
            ("unpaired>=1", "unpaired >= 1"),
            ("buffers<=9", "buffers <= 9"),
            ("stalls==2", "stalls == 2"),
            ("sensor_to_mask_p99_ms>120.5", "sensor_to_mask_p99_ms > 120.5"),
            ("exposure_to_replaced_max_ms>200", "exposure_to_replaced_max_ms > 200"),
            ("sensor_mean_mw>=400", "sensor_mean_mw >= 400"),
        ] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let refused = "stail>0".parse::<Condition>().unwrap_err();
        assert!(refused.starts_with("nothing is called `stail`; known: "), "{refused}");
        for known in ["stale", "counter_jumps", "tensor_to_mask", "_p50_ms", "board", "_mean_mw"] {
            assert!(refused.contains(known), "{known} not in: {refused}");
        }
    }

    #[test]
    fn refuses_what_is_no_comparison() {
        for wrong in [
            "sensor_mw>1",
            "sensor_to_mask>1",
            "stale",
            "stale>",
            "stale>many",
            "stale=1",
            "stale>inf",
            ">1",
            "",
        ] {
            assert!(wrong.parse::<Condition>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn compares_on_both_sides_of_the_limit() {
        for (comparison, under, equal, over) in [
            (Comparison::Over, false, false, true),
            (Comparison::AtLeast, false, true, true),
            (Comparison::Under, true, false, false),
            (Comparison::AtMost, true, true, false),
            (Comparison::Equal, false, true, false),
        ] {
            let holds = [1.0, 2.0, 3.0].map(|found| comparison.holds(found, 2.0));
            assert_eq!(holds, [under, equal, over], "{comparison:?}");
        }
    }
}
