//! `eval --robustness`: how much of the accuracy is left when pictures are not as good as a data set's.

use std::fmt;

use serde::Serialize;

use super::dataset::Dataset;
use super::degrade::{Degradation, LADDER};
use super::method::{Also, Judge, Judged, of_scores};
use super::rows::Region;
use crate::cli::progress::Progress;

/// Pooled figures at threshold 0.5, whole frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Point {
    /// "none", or the degradation's name.
    pub(super) degradation: &'static str,
    pub(super) unit: &'static str,
    pub(super) strength: f32,
    pub(super) dice: f64,
    pub(super) auc: Option<f64>,
    pub(super) sensitivity: Option<f64>,
    pub(super) specificity: Option<f64>,
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
        let steps = 1 + LADDER.iter().map(|(_, _, steps)| steps.len() as u64).sum::<u64>();
        let progress = Progress::new(Some(steps));
        let mut points = vec![point("none", "", Degradation::None, dataset, names, network)?];
        for (name, unit, steps) in LADDER {
            for &degradation in steps {
                progress.set(points.len() as u64);
                progress.say(format!("{name} {}", degradation.strength()));
                points.push(point(name, unit, degradation, dataset, names, network)?);
            }
        }
        Ok(Self(points))
    }
}

fn point(
    name: &'static str,
    unit: &'static str,
    degradation: Degradation,
    dataset: &Dataset,
    names: &[String],
    network: &mut Judge,
) -> anyhow::Result<Point> {
    let judged = names
        .iter()
        .map(|name| {
            let example = degradation.of(&dataset.load(name)?)?;
            Ok(Judged::new(&example, network, Also::default()))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let figures = of_scores(&judged, Region::Frame, 0.5, Judged::network);
    let figures = figures.expect("every picture has the network's scores");
    Ok(Point {
        degradation: name,
        unit,
        strength: degradation.strength(),
        dice: figures.dice,
        auc: figures.auc,
        sensitivity: figures.sensitivity,
        specificity: figures.specificity,
    })
}

/// As Markdown.
impl fmt::Display for Robustness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((as_it_is, curves)) = self.0.split_first() else { return Ok(()) };
        writeln!(
            f,
            "\n## What is left of it when pictures are worse (whole frame, threshold 0.5)\n"
        )?;
        writeln!(f, "As they are: Dice {:.4}, AUC {:.4}\n", as_it_is.dice, auc(as_it_is))?;
        writeln!(f, "| | Dice (AUC) at each strength |")?;
        writeln!(f, "|---|---|")?;
        for curve in curves.chunk_by(|one, other| one.degradation == other.degradation) {
            let points: Vec<String> = curve
                .iter()
                .map(|point| format!("{}: {:.3} ({:.3})", point.strength, point.dice, auc(point)))
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

fn auc(point: &Point) -> f64 {
    point.auc.unwrap_or(f64::NAN)
}
