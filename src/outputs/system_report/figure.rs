//! One figure of the report: no number without unit, definition, source and quality.

use serde::Serialize;

use crate::source::Quality;

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What programs look it up by.
    pub id: String,
    /// What people call it.
    pub figure: String,
    /// The number, or why there is none.
    #[serde(flatten)]
    pub value: Value,
    /// Of the value; empty for a pure number.
    pub unit: &'static str,
    /// Who says so.
    pub quality: Basis,
    /// What it is, in words.
    pub definition: String,
    /// Where it comes from: instrument, formula or paper.
    pub source: String,
}

/// A number, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    One {
        /// It.
        value: f64,
    },
    /// Between two numbers.
    Range {
        /// Least.
        low: f64,
        /// Most.
        high: f64,
    },
    /// Off by no more than its uncertainty.
    Uncertain {
        /// The number.
        value: f64,
        /// Same unit.
        uncertainty: f64,
    },
    /// There is none.
    Missing {
        /// Why, and how to get one.
        missing: String,
    },
}

/// Who says so. What the run itself says has one of the three of [`Quality`]; the others are of what
/// was not run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// As printed in the source that is named.
    Published,
    /// Arithmetic on published figures and nothing else.
    Computed,
    /// A reading of published figures that their authors do not state.
    Inferred,
    /// Taken here, by a clock or an instrument.
    Measured,
    /// Taken here by a method with a known bias, or derived from a measurement made elsewhere.
    Estimated,
    /// A model of the sensor said so.
    Simulated,
    /// There is no figure; the line says why.
    NotMeasured,
}

impl Basis {
    /// Every one, with what it means.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Published, "as printed in the source that is named; not checked here"),
        (Self::Computed, "arithmetic on published figures, nothing else"),
        (Self::Inferred, "a reading of published figures that their authors do not state"),
        (Self::Measured, "taken here by a clock or an instrument"),
        (Self::Estimated, "by a method with a known bias, or from a measurement made elsewhere"),
        (Self::Simulated, "a model of the sensor said so; no silicon took part"),
        (Self::NotMeasured, "there is no figure; the line says why"),
    ];

    /// As in every table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Computed => "computed",
            Self::Inferred => "inferred",
            Self::Measured => "measured",
            Self::Estimated => "estimated",
            Self::Simulated => "simulated",
            Self::NotMeasured => "not measured",
        }
    }
}

impl From<Quality> for Basis {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Measured => Self::Measured,
            Quality::Estimated => Self::Estimated,
            Quality::Simulated => Self::Simulated,
        }
    }
}

impl Value {
    /// A number.
    #[must_use]
    pub fn one(value: f64) -> Self {
        Self::One { value }
    }
    /// Between two numbers, in any order.
    #[must_use]
    pub fn range(one: f64, other: f64) -> Self {
        Self::Range { low: one.min(other), high: one.max(other) }
    }
    /// None, and why.
    #[must_use]
    pub fn missing(why: impl Into<String>) -> Self {
        Self::Missing { missing: why.into() }
    }
    /// As a person reads it; none where there is none.
    #[must_use]
    pub fn number(&self) -> Option<String> {
        match self {
            Self::One { value } => Some(readable(*value)),
            Self::Range { low, high } => Some(format!("{} to {}", readable(*low), readable(*high))),
            Self::Uncertain { value, uncertainty } => {
                Some(format!("{} ± {}", readable(*value), readable(*uncertainty)))
            }
            Self::Missing { .. } => None,
        }
    }
    /// The same with its unit, or why there is none.
    #[must_use]
    pub fn with_unit(&self, unit: &str) -> String {
        match self {
            Self::Missing { missing } => format!("none: {missing}"),
            _ if unit.is_empty() => self.number().unwrap_or_default(),
            _ => format!("{} {unit}", self.number().unwrap_or_default()),
        }
    }
}

/// Whole numbers in full with their thousands apart, others to the hundredth where that is exact, and else at three or
/// four significant digits.
#[must_use]
pub(super) fn readable(number: f64) -> String {
    let magnitude = number.abs();
    if number.fract() == 0.0 && magnitude < 1e15 {
        return with_thousands(&format!("{number:.0}"));
    }
    // Published figures stand as they were published: 126.25, 254.60.
    let hundredths = number * 100.0;
    if magnitude < 1e6 && (hundredths - hundredths.round()).abs() < 1e-9 * hundredths.abs() {
        return format!("{number:.2}");
    }
    match magnitude {
        m if m >= 1000.0 => with_thousands(&format!("{number:.0}")),
        m if m >= 100.0 => format!("{number:.1}"),
        m if m >= 1.0 => format!("{number:.2}"),
        m if m >= 0.1 => format!("{number:.3}"),
        m if m >= 0.001 => format!("{number:.4}"),
        _ => format!("{number:.2e}"),
    }
}

fn with_thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut apart = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        let written = [
            (0.0, "0"),
            (8_388_480.0, "8,388,480"),
            (-1234.0, "-1,234"),
            (254.6, "254.60"),
            (126.25, "126.25"),
            (126.257, "126.3"),
            (17.21, "17.21"),
            (0.23, "0.23"),
            (0.234_56, "0.235"),
            (0.016_546_2, "0.0165"),
            (0.000_012, "1.20e-5"),
        ];
        for (number, want) in written {
            assert_eq!(readable(number), want);
        }
    }

    #[test]
    fn values_carry_their_unit_and_what_is_missing_says_why() {
        assert_eq!(Value::range(75.0, 44.0).with_unit("ms"), "44 to 75 ms");
        let uncertain = Value::Uncertain { value: 1.5, uncertainty: 0.25 };
        assert_eq!(uncertain.with_unit("mW"), "1.50 ± 0.25 mW");
        assert_eq!(Value::missing("no screen").with_unit("ms"), "none: no screen");
        assert_eq!(Value::one(3.0).with_unit(""), "3");
    }

    #[test]
    fn every_basis_is_explained_once() {
        let mut listed = Basis::ALL.map(|(basis, _)| basis);
        listed.sort();
        assert!(listed.is_sorted_by(|a, b| a < b));
        for quality in [Quality::Measured, Quality::Estimated, Quality::Simulated] {
            assert!(listed.contains(&quality.into()));
        }
    }
}
