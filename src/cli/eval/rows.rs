//! The table of an evaluation: as Markdown, CSV and JSON.

use std::fmt;
use std::io::{self, Write};

use qsegment::outputs::DISCLAIMER;
use qsegment::outputs::system_report::Basis;
use serde::Serialize;

use super::robustness::Robustness;
use crate::cli::network::Identity;

/// Where pixels are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Region {
    /// The whole picture, black surround included: what the literature's tables are.
    Frame,
    /// The lit disc: the honest one, since the surround is easy.
    Fov,
}

/// Of one method on one set of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Pooled over all pixels, like every figure that is not per picture.
    pub(super) dice: f64,
    /// 95 %, pictures drawn again.
    pub(super) dice_interval: Option<(f64, f64)>,
    pub(super) accuracy: f64,
    pub(super) sensitivity: Option<f64>,
    pub(super) specificity: Option<f64>,
    pub(super) mcc: Option<f64>,
    /// Ties count one half; none for a drawn mask.
    pub(super) auc: Option<f64>,
    pub(super) dice_per_picture: Option<PerPicture>,
    pub(super) accuracy_per_picture: Option<PerPicture>,
    pub(super) sensitivity_per_picture: Option<PerPicture>,
    pub(super) specificity_per_picture: Option<PerPicture>,
    pub(super) mcc_per_picture: Option<PerPicture>,
    pub(super) auc_per_picture: Option<PerPicture>,
}

/// Over pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct PerPicture {
    pub(super) mean: f64,
    /// Of a sample; none of a single picture.
    pub(super) sd: Option<f64>,
}

impl PerPicture {
    /// None without a picture.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        (!values.is_empty()).then_some(Self { mean, sd })
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// "A", "B", or "all" of a folder that has no splits.
    pub(super) split: &'static str,
    pub(super) region: Region,
    pub(super) pictures: usize,
    /// None for a drawn mask.
    pub(super) threshold: Option<f32>,
    /// Where the threshold comes from, and what else must be known.
    pub(super) note: &'static str,
    /// Published or measured.
    pub(super) from: Basis,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// Everything that is said.
#[derive(Debug, Serialize)]
pub(super) struct Evaluation {
    /// Of this document.
    pub(super) version: u32,
    pub(super) disclaimer: &'static str,
    pub(super) network: Identity,
    /// Of the network's input.
    pub(super) input: String,
    pub(super) dataset: &'static str,
    pub(super) rows: Vec<Row>,
    /// None unless asked for.
    pub(super) robustness: Option<Robustness>,
    pub(super) took_s: f64,
}

impl Evaluation {
    pub(super) fn write_csv(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(
            to,
            "name,split,region,pictures,threshold,dice,dice_low,dice_high,accuracy,sensitivity,specificity,mcc,\
             auc,dice_mean,dice_sd,accuracy_mean,accuracy_sd,from,note,network_sha256,disclaimer"
        )?;
        for row in &self.rows {
            let of = &row.figures;
            let region = match row.region {
                Region::Frame => "frame",
                Region::Fov => "fov",
            };
            let (low, high) = of.dice_interval.unzip();
            let mean = |of: Option<PerPicture>| of.map(|of| of.mean);
            let sd = |of: Option<PerPicture>| of.and_then(|of| of.sd);
            let numbers = [
                row.threshold.map(f64::from),
                Some(of.dice),
                low,
                high,
                Some(of.accuracy),
                of.sensitivity,
                of.specificity,
                of.mcc,
                of.auc,
                mean(of.dice_per_picture),
                sd(of.dice_per_picture),
                mean(of.accuracy_per_picture),
                sd(of.accuracy_per_picture),
            ]
            .map(|value| value.map_or(String::new(), |value| format!("{value:.6}")))
            .join(",");
            let from = row.from.name();
            writeln!(
                to,
                "{},{},{region},{},{numbers},{from},\"{}\",{},{DISCLAIMER}",
                row.name, row.split, row.pictures, row.note, self.network.sha256
            )?;
        }
        Ok(())
    }
}

/// As Markdown.
impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {} input, SHA-256 {}",
            self.network.name, self.input, self.network.sha256
        )?;
        let mut table = None;
        for row in &self.rows {
            let of = (row.split, row.region);
            if table != Some(of) {
                table = Some(of);
                heading(f, row)?;
            }
            line(f, row)?;
        }
        if let Some(robustness) = &self.robustness {
            write!(f, "{robustness}")?;
        }
        writeln!(
            f,
            "\nPooled over all pixels; \"a picture\" is the mean and the standard deviation over pictures. The \
             interval holds 95 % of 10,000 draws of the pictures. Area under the ROC curve: equal scores count one \
             half. {DISCLAIMER}"
        )
    }
}

fn heading(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let region = match row.region {
        Region::Frame => "whole frame, black surround included",
        Region::Fov => "inside the field of view",
    };
    let split = match row.split {
        "A" => "Split A, test (11L to 14R)",
        "B" => "Split B, test (01L to 10R)",
        _ => "All pictures",
    };
    writeln!(f, "\n## {split}, {region}\n")?;
    writeln!(
        f,
        "| | threshold | Dice | 95 % | Dice, a picture | accuracy | sensitivity | specificity | MCC | AUC | |"
    )?;
    writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|")
}

fn line(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let of = &row.figures;
    let four = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let threshold = row.threshold.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let interval = of.dice_interval.map(|(low, high)| format!("{low:.4} to {high:.4}"));
    let picture = of.dice_per_picture.map(|of| match of.sd {
        Some(sd) => format!("{:.4} ± {sd:.4}", of.mean),
        None => format!("{:.4}", of.mean),
    });
    writeln!(
        f,
        "| {} | {threshold} | {:.4} | {} | {} | {:.4} | {} | {} | {} | {} | {} |",
        row.name,
        of.dice,
        interval.unwrap_or_else(|| "-".to_owned()),
        picture.unwrap_or_else(|| "-".to_owned()),
        of.accuracy,
        four(of.sensitivity),
        four(of.specificity),
        four(of.mcc),
        four(of.auc),
        row.note,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_sample_deviation() {
        let of = PerPicture::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(of.mean, 2.5);
        assert!((of.sd.unwrap() - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(PerPicture::of(&[0.5]), Some(PerPicture { mean: 0.5, sd: None }));
        assert_eq!(PerPicture::of(&[]), None);
    }
}
