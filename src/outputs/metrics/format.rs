//! Which of the two texts is sent, and the older one made from the newer.
//!
//! ```text
//!   OpenMetrics 1.0                               text 0.0.4, which every scraper takes
//!   # HELP qsegment_buffers Metadata ...          # HELP qsegment_buffers_total Metadata ...
//!   # TYPE qsegment_buffers counter               # TYPE qsegment_buffers_total counter
//!   qsegment_buffers_total 250                    qsegment_buffers_total 250
//!   # TYPE qsegment_build info                    # TYPE qsegment_build_info gauge
//!   # UNIT qsegment_energy_joules joules          (nothing)
//!   # EOF                                         (nothing)
//! ```

use std::fmt::Write;

/// How metrics are worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What an Accept header prefers; who says nothing gets the text that everybody takes.
    #[must_use]
    pub fn asked_for(accept: &str) -> Self {
        let (mut text, mut openmetrics) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut version) = (1.0_f32, None);
            for part in parts {
                match part.split_once('=') {
                    Some(("q", value)) => weight = value.parse().unwrap_or(0.0),
                    Some(("version", value)) => version = Some(value.trim_matches('"')),
                    _ => {}
                }
            }
            match media.as_str() {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0")) => {
                    openmetrics = weight.max(openmetrics);
                }
                "text/plain" if matches!(version, None | Some("0.0.4")) => text = weight.max(text),
                _ => {}
            }
        }
        if openmetrics > 0.0 && openmetrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// Media type of the answer.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    pub(super) fn of_openmetrics(self, encoded: String) -> String {
        match self {
            Self::OpenMetrics => encoded,
            Self::Text => text(&encoded),
        }
    }
}

/// The encoder writes help, type and unit of a family in this order, then its samples.
fn text(openmetrics: &str) -> String {
    let mut written = String::with_capacity(openmetrics.len());
    let mut help = "";
    for line in openmetrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            written.extend([line, "\n"]);
            continue;
        };
        let (keyword, rest) = comment.split_once(' ').unwrap_or((comment, ""));
        let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
        match keyword {
            "HELP" => help = said,
            "TYPE" => {
                let (suffix, kind) = match said {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    other => ("", other),
                };
                let lines =
                    format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
                written.write_fmt(lines).expect("a String takes everything that is written");
            }
            // Units and the end have no line there.
            _ => {}
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_openmetrics_gets_it_and_everybody_else_the_text() {
        // What Prometheus 2.42 sends.
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"; q=0.5", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.4, text/plain;q=0.5", Format::Text),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
            (";;q=,=", Format::Text),
        ] {
            assert_eq!(Format::asked_for(accept), format, "{accept}");
        }
    }
}
