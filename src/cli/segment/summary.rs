//! What was found, as a table (summary.csv), as JSON, and as a line each.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use qsegment::outputs::DISCLAIMER;
use qsegment::outputs::figures::measurements::{MEANINGS, Meaning};
use qsegment::pipeline::Frame;
use qsegment::pipeline::measurements::Measurements;
use serde::Serialize;

use crate::cli::network::Identity;

/// The result of one call.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Of this document; raised when a field changes its meaning.
    version: u32,
    disclaimer: &'static str,
    network: Identity,
    threshold: f64,
    measurements: [Meaning; MEANINGS.len()],
    pub(crate) pictures: Vec<Segmented>,
    pub(crate) failed: Vec<Failed>,
}

/// One picture that was segmented.
#[derive(Debug, Serialize)]
pub(crate) struct Segmented {
    file: String,
    /// Results are `name`_mask.png and so on.
    name: String,
    width: usize,
    height: usize,
    /// Share of mask pixels, 0.0 to 1.0.
    vessel_fraction: f64,
    /// Over all pixels, 0.0 to 1.0.
    mean_probability: f64,
    /// At the picture's own size.
    measurements: Measurements,
    /// Reading, segmenting and measuring, without writing.
    took_ms: f64,
}

/// One picture that could not be.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    pub(crate) file: String,
    pub(crate) error: String,
}

impl Summary {
    pub(crate) fn new(network: Identity, threshold: f64) -> Self {
        let (pictures, failed) = (Vec::new(), Vec::new());
        Self {
            version: 1,
            disclaimer: DISCLAIMER,
            network,
            threshold,
            measurements: MEANINGS,
            pictures,
            failed,
        }
    }

    /// One line for each picture. The disclaimer is a column and not a comment line, which spreadsheets
    /// would take for data.
    pub(crate) fn write_csv(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(
            to,
            "file,name,width,height,vessel_fraction,mean_probability,threshold,network,\
             network_sha256,took_ms,field_of_view_px,density,length_px,length_density_per_px,mean_width_px,\
             box_dimension,end_points,branch_points,tortuosity_median,tortuosity,disclaimer"
        )?;
        // An empty field is what cannot be said.
        let maybe = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.6}"));
        for picture in &self.pictures {
            let of = &picture.measurements;
            writeln!(
                to,
                "{},{},{},{},{:.6},{:.6},{},{},{},{:.1},{},{},{:.1},{},{},{},{},{},{},{},{DISCLAIMER}",
                quoted(&picture.file),
                quoted(&picture.name),
                picture.width,
                picture.height,
                picture.vessel_fraction,
                picture.mean_probability,
                self.threshold,
                quoted(&self.network.name),
                self.network.sha256,
                picture.took_ms,
                of.field_px,
                maybe(of.density),
                of.length_px,
                maybe(of.length_density_per_px),
                maybe(of.mean_width_px),
                maybe(of.box_dimension),
                of.end_points,
                of.branch_points,
                maybe(of.tortuosity_median),
                maybe(of.tortuosity),
            )?;
        }
        Ok(())
    }
}

impl Segmented {
    /// `frame` is at the picture's own size.
    pub(crate) fn new(
        file: &Path,
        name: String,
        frame: &Frame,
        measurements: Measurements,
        took: Duration,
    ) -> Self {
        let sum: u64 = frame.probability.iter().map(|&byte| u64::from(byte)).sum();
        Self {
            file: file.display().to_string(),
            name,
            width: frame.width,
            height: frame.height,
            vessel_fraction: frame.vessel_fraction.into(),
            mean_probability: sum as f64 / 255.0 / frame.probability.len() as f64,
            measurements,
            took_ms: took.as_secs_f64() * 1e3,
        }
    }
}

impl fmt::Display for Segmented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {}x{}  vessels {:.1} % of the field of view, {:.0} px long, {} px wide  {:.0} ms  -> {}_*.png",
            self.file,
            self.width,
            self.height,
            100.0 * self.measurements.density.unwrap_or(self.vessel_fraction),
            self.measurements.length_px,
            self.measurements.mean_width_px.map_or("-".to_owned(), |width| format!("{width:.1}")),
            self.took_ms,
            self.name
        )
    }
}

/// RFC 4180: a field with a comma, quote or line break stands in quotes, and its quotes are doubled.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_with_commas_and_quotes_stays_one_field() {
        let frame = Frame {
            width: 2,
            height: 1,
            probability: vec![255, 0],
            vessel_fraction: 0.5,
            ..Frame::default()
        };
        let network = Identity { name: "n".to_owned(), sha256: "00ff".to_owned() };
        let mut summary = Summary::new(network, 0.5);
        summary.pictures.push(Segmented::new(
            Path::new("left, \"old\".png"),
            "left, \"old\"".to_owned(),
            &frame,
            Measurements {
                field_px: 2,
                vessel_px: 1,
                density: Some(0.5),
                ..Measurements::default()
            },
            Duration::from_millis(12),
        ));
        let mut csv = Vec::new();
        summary.write_csv(&mut csv).unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "file,name,width,height,vessel_fraction,mean_probability,threshold,network,\
             network_sha256,took_ms,field_of_view_px,density,length_px,length_density_per_px,mean_width_px,\
             box_dimension,end_points,branch_points,tortuosity_median,tortuosity,disclaimer\n\
             \"left, \"\"old\"\".png\",\"left, \"\"old\"\"\",2,1,0.500000,0.500000,0.5,n,00ff,12.0,2,0.500000,0.0,,,,0,0,,,\
             Research use only. Not a medical device.\n"
        );
    }
}
