//! What was found, as a table (summary.csv), as JSON, and as a line each.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use qsegment::outputs::DISCLAIMER;
use qsegment::pipeline::Frame;
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
    /// Reading and segmenting, without writing.
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
        Self { version: 1, disclaimer: DISCLAIMER, network, threshold, pictures, failed }
    }

    /// One line for each picture. The disclaimer is a column and not a comment line, which spreadsheets
    /// would take for data.
    pub(crate) fn write_csv(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(
            to,
            "file,name,width,height,vessel_fraction,mean_probability,threshold,network,\
             network_sha256,took_ms,disclaimer"
        )?;
        for picture in &self.pictures {
            writeln!(
                to,
                "{},{},{},{},{:.6},{:.6},{},{},{},{:.1},{DISCLAIMER}",
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
            )?;
        }
        Ok(())
    }
}

impl Segmented {
    /// `frame` is at the picture's own size.
    pub(crate) fn new(file: &Path, name: String, frame: &Frame, took: Duration) -> Self {
        let sum: u64 = frame.probability.iter().map(|&byte| u64::from(byte)).sum();
        Self {
            file: file.display().to_string(),
            name,
            width: frame.width,
            height: frame.height,
            vessel_fraction: frame.vessel_fraction.into(),
            mean_probability: sum as f64 / 255.0 / frame.probability.len() as f64,
            took_ms: took.as_secs_f64() * 1e3,
        }
    }
}

impl fmt::Display for Segmented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {}x{}  vessels {:.1} %  {:.0} ms  -> {}_*.png",
            self.file,
            self.width,
            self.height,
            100.0 * self.vessel_fraction,
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
            Duration::from_millis(12),
        ));
        let mut csv = Vec::new();
        summary.write_csv(&mut csv).unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "file,name,width,height,vessel_fraction,mean_probability,threshold,network,\
             network_sha256,took_ms,disclaimer\n\
             \"left, \"\"old\"\".png\",\"left, \"\"old\"\"\",2,1,0.500000,0.500000,0.5,n,00ff,12.0,\
             Research use only. Not a medical device.\n"
        );
    }
}
