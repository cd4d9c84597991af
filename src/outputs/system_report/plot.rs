//! Two plots as SVG, coloured by the page's style sheet so that light, dark and print need one drawing.
//!
//! ```text
//!   latency_against_power   log by log; a circle's area is its network's parameters
//!   stages                  p50 |=====p95-----p99----| max, a bar a stage
//! ```

use std::fmt::Write as _;

use super::Compared;
use super::figure::{Basis, Value, readable};
use super::html::escape;
use crate::outputs::figures::StageFigures;
use crate::source::Quality;

/// Under the first plot.
pub(super) const LATENCY_AGAINST_POWER: &str = "Latency against power, both logarithmic, as in the paper's Fig. 3. Area of \
    a circle: parameters of the network; where none are published here, the circle has a fixed size and is pale. Full \
    circles are published or measured, dashed hollow ones simulated or estimated. Different definitions meet in \
    this plot: the table above has them. A line without a latency or without a power is not drawn.";

/// Under the second.
pub(super) const STAGES: &str = "Stages of this run, logarithmic. Thick: median to 95th percentile; thin: on to the \
    longest; the upright stroke is the 99th percentile. Dashed stages are simulated or estimated, full ones measured.";

/// The paper's Fig. 3 with this run in it.
pub(super) fn latency_against_power(published: &[Compared], ours: &[Compared]) -> String {
    let points: Vec<Point<'_>> = published.iter().chain(ours).filter_map(Point::new).collect();
    let across = Axis::over(points.iter().map(|point| point.latency_ms), 70.0, 590.0);
    let up = Axis::over(points.iter().map(|point| point.power_mw), 400.0, 24.0);
    let mut svg =
        open(WIDTH, 460.0, "Latency against power of the published systems and of this run");
    for (decade, at) in across.decades() {
        line(&mut svg, "grid", [at, 24.0, at, 400.0]);
        text(&mut svg, "soft middle", at, 418.0, &decade.to_string());
    }
    for (decade, at) in up.decades() {
        line(&mut svg, "grid", [70.0, at, 590.0, at]);
        text(&mut svg, "soft end", 62.0, at + 4.0, &decade.to_string());
    }
    text(&mut svg, "ink middle", 330.0, 444.0, "latency, ms");
    let _ = write!(
        svg,
        "<text class=\"ink middle\" transform=\"translate(16 212) rotate(-90)\">power, mW</text>"
    );
    for (number, point) in (1..).zip(&points) {
        let (x, y) = (across.at(point.latency_ms), up.at(point.power_mw));
        let radius = point.radius();
        let style = point.style();
        let pale = if point.parameters.is_none() { " pale" } else { "" };
        let _ = write!(
            svg,
            "<g><title>{}: {} ms, {} mW</title><circle class=\"{style}{pale}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>",
            escape(point.platform),
            readable(point.latency_ms),
            readable(point.power_mw),
        );
        svg.push_str("</g>");
        let inside =
            if style == "modelled" || point.parameters.is_none() { "ink" } else { "inside" };
        text(&mut svg, &format!("{inside} middle"), x, y + 4.0, &number.to_string());
    }
    let mut y = 36.0;
    for (number, point) in (1..).zip(&points) {
        text(&mut svg, "ink", KEY, y, &format!("{number}  {}", point.platform));
        y += 18.0;
    }
    y += 12.0;
    for (style, meaning) in [
        ("published", "published"),
        ("measured", "ours, measured"),
        ("modelled", "ours, simulated or estimated"),
    ] {
        let _ = write!(
            svg,
            "<circle class=\"{style}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"7\"/>",
            KEY + 7.0
        );
        text(&mut svg, "soft", KEY + 22.0, y + 4.0, meaning);
        y += 20.0;
    }
    let _ = write!(
        svg,
        "<circle class=\"published pale\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"7\"/>",
        KEY + 7.0
    );
    text(&mut svg, "soft", KEY + 22.0, y + 4.0, "parameters not published here");
    svg.push_str("</svg>");
    svg
}

/// How long each stage took.
pub(super) fn stages<'a>(stages: impl Iterator<Item = &'a StageFigures>) -> String {
    let stages: Vec<&StageFigures> = stages.collect();
    let ends = stages.iter().flat_map(|stage| [stage.p50_ms, stage.max_ms]);
    let across = Axis::over(ends, 170.0, 820.0);
    let bottom = 20.0 + 34.0 * stages.len() as f64;
    let mut svg = open(
        WIDTH,
        bottom + 50.0,
        "Median, 95th and 99th percentile and maximum of each stage of this run",
    );
    for (decade, at) in across.decades() {
        line(&mut svg, "grid", [at, 12.0, at, bottom]);
        text(&mut svg, "soft middle", at, bottom + 18.0, &decade.to_string());
    }
    text(&mut svg, "ink middle", 495.0, bottom + 42.0, "ms");
    for (row, stage) in stages.iter().enumerate() {
        let y = 34.0 + 34.0 * row as f64;
        let style = if stage.quality == Quality::Measured { "measured" } else { "modelled" };
        let [p50, p95, p99, max] =
            [stage.p50_ms, stage.p95_ms, stage.p99_ms, stage.max_ms].map(|ms| across.at(ms));
        text(&mut svg, "ink end", 158.0, y + 4.0, stage.definition.name);
        let _ = write!(
            svg,
            "<g><title>{}: p50 {}, p95 {}, p99 {}, max {} ms</title>",
            escape(stage.definition.name),
            readable(stage.p50_ms),
            readable(stage.p95_ms),
            readable(stage.p99_ms),
            readable(stage.max_ms),
        );
        line(&mut svg, "whisker", [p50, y, max, y]);
        let _ = write!(
            svg,
            "<rect class=\"{style}\" x=\"{p50:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\"/>",
            y - 6.0,
            (p95 - p50).max(2.0),
        );
        line(&mut svg, "whisker", [p99, y - 7.0, p99, y + 7.0]);
        svg.push_str("</g>");
    }
    svg.push_str("</svg>");
    svg
}

/// Drawn width of every plot.
const WIDTH: f64 = 840.0;
/// Where the key begins.
const KEY: f64 = 612.0;
/// Of a circle whose network has no published parameters here.
const UNKNOWN_RADIUS: f64 = 8.0;
/// Of a network of 100,000 parameters; the area grows with them.
const RADIUS_OF_100_000: f64 = 10.0;

/// A line that has both latency and power.
struct Point<'a> {
    platform: &'a str,
    latency_ms: f64,
    power_mw: f64,
    parameters: Option<f64>,
    basis: Basis,
}

impl<'a> Point<'a> {
    fn new(compared: &'a Compared) -> Option<Self> {
        let positive = |value: &Value| match value {
            Value::One { value } | Value::Uncertain { value, .. } => {
                Some(*value).filter(|v| *v > 0.0)
            }
            Value::Range { .. } | Value::Missing { .. } => None,
        };
        Some(Self {
            platform: &compared.platform,
            latency_ms: positive(&compared.latency)?,
            power_mw: positive(&compared.power)?,
            parameters: compared.parameters,
            basis: compared.latency_quality.max(compared.power_quality),
        })
    }

    fn radius(&self) -> f64 {
        let known = |parameters: f64| RADIUS_OF_100_000 * (parameters / 1e5).sqrt();
        self.parameters.map_or(UNKNOWN_RADIUS, |parameters| known(parameters).clamp(2.0, 40.0))
    }

    fn style(&self) -> &'static str {
        match self.basis {
            Basis::Published | Basis::Computed | Basis::Inferred => "published",
            Basis::Measured => "measured",
            Basis::Estimated | Basis::Simulated | Basis::NotMeasured => "modelled",
        }
    }
}

/// A logarithmic axis from one whole power of ten to another.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (least, most) = values
            .map(|value| value.max(LEAST))
            .fold((f64::INFINITY, LEAST), |(least, most), v| (least.min(v), most.max(v)));
        let least = least.min(most);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the exponent of an f64 fits into an i32"
        )]
        let (first, last) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        Self { first, last: last.max(first + 1), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share =
            (value.max(LEAST).log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    fn decades(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.first..=self.last).map(|exponent| {
            let decade = 10_f64.powi(exponent);
            (decade, self.at(decade))
        })
    }
}

/// One microsecond: what is drawn for nothing, which has no logarithm.
const LEAST: f64 = 0.001;

fn open(width: f64, height: f64, label: &str) -> String {
    format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">", escape(label))
}

fn line(svg: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    // Writing to a String cannot fail, here and elsewhere in this file.
    let _ = write!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let _ =
        write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(words));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_runs_from_one_power_of_ten_to_another() {
        let axis = Axis::over([0.23, 143.75].into_iter(), 0.0, 400.0);
        assert_eq!((axis.first, axis.last), (-1, 3));
        let places: Vec<f64> = axis.decades().map(|(_, at)| at).collect();
        assert_eq!(places, [0.0, 100.0, 200.0, 300.0, 400.0]);
        assert_eq!(axis.at(10.0), 200.0);
        assert_eq!(axis.at(0.0), 0.0, "nothing is drawn at the edge");
    }

    #[test]
    fn an_axis_over_nothing_or_one_power_of_ten_has_a_length() {
        for values in [vec![], vec![10.0], vec![0.0]] {
            let axis = Axis::over(values.into_iter(), 0.0, 100.0);
            assert!(axis.last > axis.first);
            assert!(axis.decades().all(|(_, at)| at.is_finite()));
        }
    }

    #[test]
    fn area_grows_with_parameters() {
        let radius = |parameters| {
            Point {
                platform: "",
                latency_ms: 1.0,
                power_mw: 1.0,
                parameters,
                basis: Basis::Published,
            }
            .radius()
        };
        assert_eq!(radius(Some(1e5)), RADIUS_OF_100_000);
        assert_eq!(radius(Some(4e5)), 2.0 * RADIUS_OF_100_000);
        assert_eq!(radius(None), UNKNOWN_RADIUS);
    }
}
