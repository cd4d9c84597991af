//! How often the gate is right, as Markdown.

use std::fmt::Write as _;

use qsegment::pipeline::quality::{CRITERIA, Grade};

use crate::copies::{Harm, Spoilt, own};
use crate::degrade::Degradation;

/// Everything that docs/quality.md has between its marks.
pub(crate) fn figures(copies: &[Spoilt]) -> String {
    let mut text = String::new();
    bounds(&mut text, copies);
    gate(&mut text, copies);
    curves(&mut text, copies);
    text
}

/// Values of one criterion, with whether they belong to what a bound is to keep out.
pub(crate) struct Cases {
    values: Vec<(f64, bool)>,
}

impl Cases {
    /// Of copies with the criterion's own degradation, and untouched ones; plausibility has none of its own: of all. Kept
    /// out is what harms from `harm` on.
    pub(crate) fn of<'a>(
        copies: impl IntoIterator<Item = &'a Spoilt>,
        criterion: &str,
        harm: Harm,
    ) -> Self {
        let concerned = copies.into_iter().filter(|copy| match own(copy.degradation) {
            None => true,
            own => own == Some(criterion) || criterion == "plausibility",
        });
        let values = concerned
            .filter_map(|copy| Some((copy.value(criterion)?, copy.harm() >= harm)))
            .collect();
        Self { values }
    }

    /// Share of what is to be kept out that lies below, and share of the rest that does not.
    pub(crate) fn at(&self, bound: f64) -> (f64, f64) {
        let share = |bad: bool, below: bool| {
            let of = self.values.iter().filter(|(_, is)| *is == bad);
            let hits = of.clone().filter(|(value, _)| (*value < bound) == below).count();
            hits as f64 / of.count() as f64
        };
        (share(true, true), share(false, false))
    }

    /// Half-way between the two values at which sensitivity and specificity add up to most.
    pub(crate) fn best(&self) -> f64 {
        let mut sorted: Vec<f64> = self.values.iter().map(|(value, _)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        let between = sorted.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
        let worth = |bound: f64| self.at(bound).0 + self.at(bound).1;
        between.max_by(|one, other| worth(*one).total_cmp(&worth(*other))).unwrap_or(f64::NAN)
    }

    /// How often a value that is to be kept out is less than one that is not.
    pub(crate) fn area_under_roc(&self) -> f64 {
        let (mut won, mut pairs) = (0.0, 0.0);
        for (bad, _) in self.values.iter().filter(|(_, bad)| *bad) {
            for (good, _) in self.values.iter().filter(|(_, bad)| !bad) {
                pairs += 1.0;
                won += if bad < good {
                    1.0
                } else if bad > good {
                    0.0
                } else {
                    0.5
                };
            }
        }
        won / pairs
    }

    /// Of what is to be kept out, and of the rest.
    fn counts(&self) -> (usize, usize) {
        let bad = self.values.iter().filter(|(_, bad)| *bad).count();
        (bad, self.values.len() - bad)
    }

    /// Places of the curve: share of the rest that lies below, and share of what is to be kept out that does.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let mut bounds: Vec<f64> = self.values.iter().map(|(value, _)| *value).collect();
        bounds.push(f64::INFINITY);
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let places = bounds.into_iter().map(|bound| self.at(bound));
        places.map(|(sensitivity, specificity)| (1.0 - specificity, sensitivity)).collect()
    }
}

/// Children 1 to 7, on which bounds were set, or 8 to 14, on which they are tested.
pub(crate) fn half(copies: &[Spoilt], set: bool) -> impl Iterator<Item = &Spoilt> + Clone {
    copies.iter().filter(move |copy| (copy.child <= 7) == set)
}

fn bounds(text: &mut String, copies: &[Spoilt]) {
    text.push_str(
        "| criterion | bound | is | best on 1-7 | to keep out / let in, 8-14 | area, 1-7 | area, 8-14 | sensitivity, \
         1-7 | 8-14 | specificity, 1-7 | 8-14 |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for criterion in CRITERIA.iter().filter(|of| of.name != "field_size") {
        for (name, bound, harm) in [
            ("good", criterion.good_from, Harm::Slight),
            ("usable", criterion.usable_from, Harm::Serious),
        ] {
            let [set, test] =
                [true, false].map(|set| Cases::of(half(copies, set), criterion.name, harm));
            let (out, within) = test.counts();
            let ((found, passed), (found_test, passed_test)) = (set.at(bound), test.at(bound));
            let _ = writeln!(
                text,
                "| {} | {name} | {bound} | {:.3} | {out} / {within} | {:.3} | {:.3} | {found:.2} | {found_test:.2} | \
                 {passed:.2} | {passed_test:.2} |",
                criterion.name,
                set.best(),
                set.area_under_roc(),
                test.area_under_roc(),
            );
        }
    }
}

/// What the gate as a whole makes of harmless and harmful copies, and of untouched ones.
fn gate(text: &mut String, copies: &[Spoilt]) {
    text.push_str("\n| children | copies | good | usable | reject |\n|---|---|---|---|---|\n");
    for (children, set) in [("1-7", true), ("8-14", false)] {
        type Wanted = fn(&Spoilt) -> bool;
        let kinds: [(&str, Wanted); 4] = [
            ("untouched", |copy| copy.degradation == Degradation::None),
            ("no harm", |copy| copy.harm() == Harm::None && copy.degradation != Degradation::None),
            ("slight harm", |copy| copy.harm() == Harm::Slight),
            ("serious harm", |copy| copy.harm() == Harm::Serious),
        ];
        for (kind, wanted) in kinds {
            let of: Vec<_> = half(copies, set).filter(|copy| wanted(copy)).collect();
            let [good, usable, reject] = grades(&of);
            let _ = writeln!(text, "| {children} | {kind} | {good} | {usable} | {reject} |");
        }
    }
}

pub(crate) fn grades(copies: &[&Spoilt]) -> [usize; 3] {
    [Grade::Good, Grade::Usable, Grade::Reject]
        .map(|grade| copies.iter().filter(|copy| copy.grade == grade).count())
}

/// How each degradation moves its criterion.
fn curves(text: &mut String, copies: &[Spoilt]) {
    text.push_str(
        "\n| degradation | network | criterion | least | median | most | Dice lost | density | good | usable | reject |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut kinds: Vec<Degradation> = Vec::new();
    for copy in copies {
        if !kinds.contains(&copy.degradation) {
            kinds.push(copy.degradation);
        }
    }
    for kind in kinds {
        for side in [320, 640] {
            let of: Vec<_> = copies
                .iter()
                .filter(|copy| copy.degradation == kind && copy.side == side)
                .collect();
            let values = own(kind).map(|own| (own, of.iter().filter_map(move |c| c.value(own))));
            let (criterion, [least, middle, most]) =
                values.map_or(("", [f64::NAN; 3]), |(own, values)| (own, spread(values)));
            let shown = |value: f64| {
                if value.is_nan() { String::new() } else { format!("{value:.3}") }
            };
            let (lost, density) = (
                spread(of.iter().map(|copy| copy.dice_lost()))[1],
                spread(of.iter().map(|copy| copy.density_change()))[1] * 100.0,
            );
            let [good, usable, reject] = grades(&of);
            let _ = writeln!(
                text,
                "| {} | {side} | {criterion} | {} | {} | {} | {lost:.3} | {density:+.0} % | {good} | {usable} | {reject} |",
                name(kind),
                shown(least),
                shown(middle),
                shown(most),
            );
        }
    }
}

/// Least, median and most; no numbers of nothing.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return [f64::NAN; 3] };
    [values[0], values[last / 2], values[last]]
}

fn name(degradation: Degradation) -> String {
    match degradation {
        Degradation::None => "none".to_owned(),
        Degradation::Defocus(sigma) => format!("defocus, sigma {sigma}"),
        Degradation::Smear(length) => format!("smear, {length} pixels"),
        Degradation::Dark(factor) => format!("darker, x {factor}"),
        Degradation::Bright(factor) => format!("brighter, x {factor}"),
        Degradation::Uneven(least) => format!("uneven, 1 to {least}"),
        Degradation::Noise(deviation) => format!("noise of {deviation} levels"),
        Degradation::Cut(share) => format!("moved out by {:.0} %", share * 100.0),
        Degradation::Moved(by) => format!("moved by {by} pixels since the last"),
    }
}
