//! The intrinsics that the command line asks for.

use std::path::PathBuf;

use anyhow::{Context, anyhow, ensure};
use clap::{Args, ValueEnum};
use qsegment::formats::network_intrinsics::{Classes, NetworkIntrinsics, Task};

use crate::cli::read;

/// What applications are told of a network. Nothing is added unless asked for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Intrinsics (what applications are told; none unless asked for)")]
pub(super) struct IntrinsicsArgs {
    /// Take them from this JSON file, as it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["task", "inference_rate", "labels"])]
    intrinsics: Option<PathBuf>,
    /// What the network does
    #[arg(long)]
    task: Option<TaskName>,
    /// Inferences a second that applications should ask for
    #[arg(long, value_name = "RATE", requires = "task")]
    inference_rate: Option<f64>,
    /// Names of the classes: a file with one a line, or a list with commas
    #[arg(long, value_name = "FILE|NAMES", requires = "task")]
    labels: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TaskName {
    Classification,
    ObjectDetection,
    PoseEstimation,
    Segmentation,
}

impl IntrinsicsArgs {
    /// The JSON text, if any was asked for.
    pub(super) fn read(&self) -> anyhow::Result<Option<Vec<u8>>> {
        if let Some(path) = &self.intrinsics {
            let shown = path.display();
            let json = read::at_most(path, &shown, 1 << 20, "intrinsics are a page of JSON")?;
            NetworkIntrinsics::parse(&json, 0).with_context(|| format!("cannot use {shown}"))?;
            return Ok(Some(json));
        }
        let Some(task) = self.task else { return Ok(None) };
        if let Some(rate) = self.inference_rate {
            ensure!(rate.is_finite() && rate >= 0.0, "--inference-rate {rate}: give 0 or more");
        }
        let classes =
            self.labels()?.map(|labels| Classes { labels: Some(labels), ..Classes::default() });
        let intrinsics = NetworkIntrinsics {
            task: Some(task.into()),
            inference_rate: self.inference_rate,
            classes,
            ..NetworkIntrinsics::default()
        };
        Ok(Some(intrinsics.emit()))
    }

    fn labels(&self) -> anyhow::Result<Option<Vec<String>>> {
        let Some(given) = &self.labels else { return Ok(None) };
        let path = PathBuf::from(given);
        let text = if path.is_file() {
            let bytes = read::at_most(&path, given, 1 << 20, "labels are one name a line")?;
            String::from_utf8(bytes).map_err(|_| anyhow!("--labels {given}: is not UTF-8 text"))?
        } else {
            given.replace(',', "\n")
        };
        let labels = text.lines().map(str::trim).filter(|label| !label.is_empty());
        let labels: Vec<String> = labels.map(str::to_owned).collect();
        ensure!(!labels.is_empty(), "--labels {given}: holds no name");
        Ok(Some(labels))
    }
}

impl From<TaskName> for Task {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Classification => Self::Classification,
            TaskName::ObjectDetection => Self::ObjectDetection,
            TaskName::PoseEstimation => Self::PoseEstimation,
            TaskName::Segmentation => Self::Segmentation,
        }
    }
}
