//! The curves of docs/quality.md as SVG.

use std::fmt::Write as _;

use qsegment::pipeline::quality::CRITERIA;

use crate::copies::{Harm, Spoilt};
use crate::figures::{Cases, half};

/// One panel a criterion: how much of the serious harm it keeps out (up) against how much of the rest (across), on the
/// children that its bound was not set on; the dot is the bound.
pub(crate) fn roc(copies: &[Spoilt]) -> String {
    let criteria = CRITERIA.iter().filter(|of| of.name != "field_size");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"ROC curves of the quality \
         criteria\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        4.0 * CELL,
        2.0 * CELL + 24.0,
    );
    for (place, criterion) in (0_u8..).zip(criteria) {
        let cases = Cases::of(half(copies, false), criterion.name, Harm::Serious);
        let (left, top) = (f64::from(place % 4) * CELL + 30.0, f64::from(place / 4) * CELL + 34.0);
        let at = |(across, up): (f64, f64)| (left + across * SIDE, top + (1.0 - up) * SIDE);
        let (sensitivity, specificity) = cases.at(criterion.usable_from);
        let dot = at((1.0 - specificity, sensitivity));
        let line: Vec<String> = cases
            .curve()
            .into_iter()
            .map(|place| {
                let (x, y) = at(place);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{left}\" y=\"{:.0}\">{}, area {:.3}</text>\n\
             <rect x=\"{left}\" y=\"{top}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"#999\"/>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"#0050a0\" stroke-width=\"2\"/>\n\
             <circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"#c00000\"/>",
            top - 8.0,
            criterion.name,
            cases.area_under_roc(),
            line.join(" "),
            dot.0,
            dot.1,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"30\" y=\"{:.0}\">up: seriously harmed copies rejected; across: others rejected; dot: the bound</text>\n</svg>",
        2.0 * CELL + 12.0,
    );
    svg
}

const CELL: f64 = 210.0;
const SIDE: f64 = 160.0;
