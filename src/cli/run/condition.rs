//! `--fail-on`: what must not be true at the end of a run.

use std::fmt;
use std::str::FromStr;

use qsegment::outputs::figures::{COUNTERS, StageFigures};
use qsegment::pipeline::Snapshot;
use qsegment::pipeline::latency::Latency;
use qsegment::source::Quality;

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
        let known = known_names();
        if !known.iter().any(|known| known == name) {
            return Err(format!("nothing is called `{name}`; known: {}", known.join(", ")));
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

/// Every name that can be compared, as it stands in the report: the counters, then the percentiles of
/// each stage.
fn known_names() -> Vec<String> {
    let counters = COUNTERS.iter().map(|counter| counter.name.to_owned());
    let stages = Latency::new(Quality::Simulated).stages();
    let percentiles = stages.iter().flat_map(|stage| {
        let stage = StageFigures::from(stage).definition.name;
        PERCENTILES.iter().map(move |percentile| format!("{stage}_{percentile}"))
    });
    counters.chain(percentiles).collect()
}

fn figure(snapshot: &Snapshot, name: &str) -> Option<f64> {
    if let Some(counter) = COUNTERS.iter().find(|counter| counter.name == name) {
        return Some((counter.value)(&snapshot.counters) as f64);
    }
    let mut stages = snapshot.stages.iter().filter(|stage| stage.count > 0).map(StageFigures::from);
    stages.find_map(|stage| {
        let percentile = name.strip_prefix(stage.definition.name)?.strip_prefix('_')?;
        match percentile {
            "p50_ms" => Some(stage.p50_ms),
            "p95_ms" => Some(stage.p95_ms),
            "p99_ms" => Some(stage.p99_ms),
            "max_ms" => Some(stage.max_ms),
            _ => None,
        }
    })
}

const PERCENTILES: [&str; 4] = ["p50_ms", "p95_ms", "p99_ms", "max_ms"];

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
        ] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let refused = "stail>0".parse::<Condition>().unwrap_err();
        assert!(refused.starts_with("nothing is called `stail`; known: "), "{refused}");
        for known in ["stale", "counter_jumps", "tensor_to_mask_p50_ms", "sensor_to_mask_max_ms"] {
            assert!(refused.contains(known), "{known} not in: {refused}");
        }
    }

    #[test]
    fn refuses_what_is_no_comparison() {
        for wrong in ["stale", "stale>", "stale>many", "stale=1", "stale>inf", ">1", ""] {
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
