//! `eval --robustness`: how much of the accuracy is left when pictures are not as good as a data set's.

use std::fmt;

use qsegment::evaluation::Scores;
use serde::Serialize;

use super::dataset::Dataset;
use super::degrade::{Degradation, LADDER};
use super::method::Judge;
use crate::cli::progress::Progress;

/// Pooled figures at threshold 0.5, whole frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Point {
    /// "none", or the degradation's name.
    pub(super) degradation: &'static str,
    pub(super) unit: &'static str,
    pub(super) strength: f32,
    pub(super) dice: f64,
    pub(super) auc: f64,
    pub(super) sensitivity: f64,
    pub(super) specificity: f64,
}

/// All curves; the first point is of the pictures as they are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Robustness(Vec<Point>);

impl Robustness {
    pub(super) fn measure(
        dataset: &Dataset,
        names: &[String],
        network: &mut Judge,
    ) -> anyhow::Result<Self> {
        let as_they_are = std::iter::once(("none", "", Degradation::None));
        let spoiled = LADDER
            .into_iter()
            .flat_map(|(name, unit, steps)| steps.iter().map(move |&step| (name, unit, step)));
        let ways: Vec<_> = as_they_are.chain(spoiled).collect();
        let mut pooled = vec![Scores::default(); ways.len()];
        let progress = Progress::new(Some((names.len() * ways.len()) as u64));
        let mut done = 0;
        for name in names {
            let example = dataset.load(name)?;
            for (&(way, _, degradation), pooled) in ways.iter().zip(&mut pooled) {
                progress.set(done);
                progress.say(format!("{name}, {way} {}", degradation.strength()));
                done += 1;
                let seen = degradation.of(&example)?;
                let scores = network.scores(&seen);
                let more = Scores::of(scores.into_iter().zip(seen.truth));
                *pooled = [&*pooled, &more].into_iter().sum();
            }
        }
        Ok(Self(ways.into_iter().zip(&pooled).map(point).collect()))
    }
}

fn point(
    ((degradation, unit, step), scores): ((&'static str, &'static str, Degradation), &Scores),
) -> Point {
    let counts = scores.counts_at(0.5);
    Point {
        degradation,
        unit,
        strength: step.strength(),
        dice: counts.dice(),
        auc: scores.area_under_roc(),
        sensitivity: counts.sensitivity(),
        specificity: counts.specificity(),
    }
}

/// As Markdown.
impl fmt::Display for Robustness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((as_it_is, curves)) = self.0.split_first() else { return Ok(()) };
        writeln!(
            f,
            "\n## What is left of it when pictures are worse (whole frame, threshold 0.5)\n"
        )?;
        writeln!(f, "As they are: Dice {:.4}, AUC {:.4}\n", as_it_is.dice, as_it_is.auc)?;
        writeln!(f, "| | Dice (AUC) at each strength |")?;
        writeln!(f, "|---|---|")?;
        for curve in curves.chunk_by(|one, other| one.degradation == other.degradation) {
            let points: Vec<String> = curve
                .iter()
                .map(|point| format!("{}: {:.3} ({:.3})", point.strength, point.dice, point.auc))
                .collect();
            writeln!(
                f,
                "| {}, {} | {} |",
                curve[0].degradation,
                curve[0].unit,
                points.join(" · ")
            )?;
        }
        Ok(())
    }
}
