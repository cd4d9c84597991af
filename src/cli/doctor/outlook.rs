//! What `qsegment run` would do now, by what the checks have found.

use std::fmt::{self, Display};

use serde::Serialize;

use super::camera::Camera;
use super::check::{Check, Verdict};
use crate::cli::config::{Config, Inference, Kind, Listen, NetworkFile};

/// What a run would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Outlook {
    /// Whether nothing that was found keeps it from starting.
    starts: bool,
    /// Names of the checks that do.
    stopped_by: Vec<&'static str>,
    /// "imx500", "simulated", or none where the files do not tell.
    source: Option<&'static str>,
    camera: Option<String>,
    /// Which network, and who runs it.
    network: String,
    /// Connector and mode.
    screen: Option<String>,
    page: Option<String>,
}

impl Outlook {
    pub(super) fn new(config: &Config, camera: &Camera, checks: &[Check]) -> Self {
        let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail);
        let mut stopped_by: Vec<&'static str> = failed.map(|check| check.name).collect();
        stopped_by.dedup();
        let (source, id) = match (config.source.kind, camera) {
            (Kind::Simulated, _) | (Kind::Auto, Camera::Absent(_)) => (Some("simulated"), None),
            (_, Camera::Found(id)) => (Some("imx500"), Some(id.clone())),
            (Kind::Imx500, _) => (Some("imx500"), None),
            (Kind::Auto, Camera::Unusable(_)) => (Some("imx500"), None),
            (Kind::Auto, Camera::Unknown) => (None, None),
        };
        let found = |name: &str| {
            let answer = checks.iter().find(|check| check.name == name)?;
            (answer.verdict == Verdict::Ok).then_some(answer.found.as_str())
        };
        Self {
            starts: stopped_by.is_empty(),
            stopped_by,
            source,
            camera: id,
            network: network(config, source, found("packed network").is_some()),
            screen: found("screen").map(str::to_owned),
            page: match config.web.listen {
                Listen::Off => None,
                Listen::At(address) => Some(format!("http://{address}/")),
            },
        }
    }
}

fn network(config: &Config, source: Option<&str>, packed_is_fine: bool) -> String {
    let onnx = match &config.network.file {
        NetworkFile::BuiltIn(built_in) => built_in.name().to_owned(),
        NetworkFile::Path(path) => path.display().to_string(),
    };
    match (source, config.pipeline.inference) {
        (Some("simulated"), Inference::Host) => format!("{onnx} on this machine"),
        (Some("simulated"), _) => format!("{onnx} in the sensor's emulator"),
        (_, Inference::Auto | Inference::Sensor) if packed_is_fine => {
            format!("{} in the sensor", config.camera.network.display())
        }
        (None, _) => onnx,
        _ => format!("{onnx} on this machine, on the camera's pictures"),
    }
}

impl Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.starts {
            let what = self.stopped_by.join(", ");
            return write!(f, "`qsegment run` would not start now: see {what} above, marked fail");
        }
        let source = match (self.source, &self.camera) {
            (Some("simulated"), _) => "the simulated sensor".to_owned(),
            (_, Some(id)) => format!("the camera {id}"),
            _ => "the camera, if the kernel finds one, else the simulated sensor".to_owned(),
        };
        let screen = self.screen.as_deref().unwrap_or("no screen");
        let page = self.page.as_deref().unwrap_or("nowhere (off)");
        write!(
            f,
            "`qsegment run` would now take {source}; network: {}; screen: {screen}; page: {page}",
            self.network
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Question;

    const PACKED: Question = Question::new("packed network", "");

    #[test]
    fn outlook_is_what_the_ladders_of_a_run_come_to() {
        let mut config = Config::default();
        config.camera.network = "/etc/qsegment/network.rpk".into();
        let found = Camera::Found("10-001a".into());
        let outlook = |config: &Config, camera: &Camera, checks: &[Check]| {
            Outlook::new(config, camera, checks).to_string()
        };
        let packed = [PACKED.ok("")];
        assert_eq!(
            outlook(&config, &found, &packed),
            "`qsegment run` would now take the camera 10-001a; network: /etc/qsegment/network.rpk in the sensor; \
             screen: no screen; page: http://127.0.0.1:8500/"
        );
        let refused = outlook(&config, &found, &[PACKED.warn("refused", "")]);
        assert!(
            refused.contains("accurate on this machine, on the camera's pictures"),
            "{refused}"
        );
        let absent = outlook(&config, &Camera::Absent(String::new()), &packed);
        assert!(absent.contains("take the simulated sensor; network: accurate in the"), "{absent}");
    }

    #[test]
    fn one_failure_keeps_it_from_starting_and_is_named() {
        let failed = [PACKED.fail("refused", ""), Question::new("page", "").fail("", "")];
        let outlook = Outlook::new(&Config::default(), &Camera::Unknown, &failed);
        assert!(!outlook.starts);
        assert_eq!(
            outlook.to_string(),
            "`qsegment run` would not start now: see packed network, page above, marked fail"
        );
    }
}
