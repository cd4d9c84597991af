//! The two networks of a configuration: the ONNX file that this machine runs, and the packed one for the sensor.

use std::path::Path;

use qsegment::formats::kernel_driver::Verdict as Driver;

use super::camera::{self, Camera};
use super::check::{Check, Need, Question};
use super::host::Host;
use crate::cli::config::{Config, Inference, Network, NetworkFile};
use crate::cli::network::{self, INSTALL_PACKED, MAKE_PACKED};
use crate::cli::run::camera::Packed;

const ONNX: Question =
    Question::new("network", "network.file is built in, or an ONNX file that can be run");
const PACKED: Question = Question::new(
    "packed network",
    "camera.network is a file that the driver uploads and that finds vessels",
);

pub(super) fn checks(host: &Host, config: &Config, camera: &Camera, on_a_pi: bool) -> Vec<Check> {
    vec![onnx(host, config, camera), packed(host, config, camera, on_a_pi)]
}

fn onnx(host: &Host, config: &Config, camera: &Camera) -> Check {
    let file = match &config.network.file {
        NetworkFile::Path(path) => NetworkFile::Path(host.path(path)),
        built_in => built_in.clone(),
    };
    match network::load(&Network { file, ..config.network.clone() }, None) {
        Ok(chosen) => {
            let input = chosen.network.input();
            ONNX.ok(format!(
                "{}: sees {} x {} pixels, {} parameters, sha256 {}",
                host.as_there(&chosen.identity.name),
                input.width,
                input.height,
                chosen.network.parameters(),
                &chosen.identity.sha256[..12]
            ))
        }
        Err(error) => {
            let found = host.as_there(&format!("{error:#}"));
            let next = "set network.file to \"accurate\" or \"fast\", or to a file that `qsegment inspect` accepts";
            // With a network in the sensor nobody here runs one.
            let in_sensor = matches!(camera, Camera::Found(_))
                && config.pipeline.inference != Inference::Host
                && !config.camera.network.as_os_str().is_empty();
            if in_sensor { ONNX.warn(found, next) } else { ONNX.fail(found, next) }
        }
    }
}

fn packed(host: &Host, config: &Config, camera: &Camera, on_a_pi: bool) -> Check {
    let path = config.camera.network.as_path();
    let need = camera::in_sensor(config, camera);
    if path.as_os_str().is_empty() {
        let is_wanted = on_a_pi || need == Need::Required || matches!(camera, Camera::Found(_));
        return if config.pipeline.inference == Inference::Host {
            PACKED.skipped("camera.network names none, and pipeline.inference is \"host\"")
        } else if need == Need::None || !is_wanted {
            PACKED.skipped("camera.network names none, and none is needed without a camera")
        } else {
            PACKED.missing(
                need,
                "camera.network names none: the sensor has no network to run",
                make_one(),
            )
        };
    }
    let shown = path.display();
    match judge(&host.path(path)) {
        Ok(Judged { refusal: None, no_vessels: None, upload_len_bytes }) => PACKED.ok(format!(
            "{shown}: the driver accepts it and uploads {:.1} MB; it finds vessels",
            upload_len_bytes as f64 / 1e6
        )),
        Ok(Judged { refusal: None, no_vessels: Some(why), .. }) => {
            let found =
                format!("{shown} finds no vessels ({why}): the host runs one on its input tensors");
            match config.pipeline.inference {
                Inference::Host => PACKED.ok(found),
                _ => PACKED.warn(found, make_one()),
            }
        }
        Ok(Judged { refusal: Some(refusal), .. }) => PACKED.missing(
            need,
            format!("the driver would refuse {shown}: {refusal}"),
            format!("pack it again with `qsegment pack`; `qsegment inspect {shown}` says more"),
        ),
        Err(error) => PACKED.missing(need, host.as_there(&format!("{error:#}")), make_one()),
    }
}

struct Judged {
    refusal: Option<String>,
    no_vessels: Option<String>,
    upload_len_bytes: usize,
}

fn judge(path: &Path) -> anyhow::Result<Judged> {
    let file = Packed::file(path)?;
    let driver = Driver::new(&file);
    Ok(Judged {
        refusal: driver.refusals.first().map(ToString::to_string),
        no_vessels: Packed::of(&file).no_vessels(),
        upload_len_bytes: driver.upload_len_bytes,
    })
}

fn make_one() -> String {
    format!(
        "make one on any machine that has Sony's converter (`qsegment pack --setup ~/imx500`):\n  {MAKE_PACKED}\n\
         put it here, where it is found without being named:\n  {INSTALL_PACKED}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::SYSTEM_NETWORK;
    use crate::cli::doctor::check::Verdict;
    use crate::cli::doctor::tree::Tree;

    fn found() -> Camera {
        Camera::Found("10-001a".into())
    }

    #[test]
    fn without_a_packed_network_a_pi_is_told_how_to_make_one() {
        let tree = Tree::new();
        let config = Config::default();
        let check = packed(&tree.host(), &config, &found(), true);
        assert_eq!(check.verdict, Verdict::Warn);
        let next = check.next.unwrap();
        assert!(next.contains("qsegment pack --venv"), "{next}");
        assert!(next.contains(SYSTEM_NETWORK), "{next}");
        let elsewhere = packed(&tree.host(), &config, &Camera::Absent(String::new()), false);
        assert_eq!(elsewhere.verdict, Verdict::Skipped);
    }

    #[test]
    fn packed_network_that_is_bad_fails_only_where_the_sensor_must_run_it() {
        let tree = Tree::new();
        tree.write("etc/qsegment/network.rpk", "this is text, not a network");
        let mut config = Config::default();
        config.camera.network = SYSTEM_NETWORK.into();
        let check = packed(&tree.host(), &config, &found(), true);
        assert_eq!(check.verdict, Verdict::Warn);
        assert!(check.found.contains("/etc/qsegment/network.rpk is not packed"), "{check}");
        assert!(!check.found.contains(tree.host().root().to_str().unwrap()), "{check}");
        config.pipeline.inference = Inference::Sensor;
        assert_eq!(packed(&tree.host(), &config, &found(), true).verdict, Verdict::Fail);
        tree.write("etc/qsegment/network.rpk", "9464 and then nothing");
        let refused = packed(&tree.host(), &config, &found(), true);
        assert!(refused.found.starts_with("the driver would refuse"), "{refused}");
    }

    #[test]
    fn network_of_this_machine_fails_where_it_would_run() {
        let tree = Tree::new();
        let mut config = Config::default();
        let absent = Camera::Absent(String::new());
        let fine = onnx(&tree.host(), &config, &absent);
        assert_eq!(fine.verdict, Verdict::Ok);
        assert!(fine.found.starts_with("accurate: sees 640 x 640 pixels, "), "{fine}");
        config.network.file = NetworkFile::Path("/srv/net.onnx".into());
        assert_eq!(onnx(&tree.host(), &config, &absent).verdict, Verdict::Fail);
        config.camera.network = SYSTEM_NETWORK.into();
        assert_eq!(onnx(&tree.host(), &config, &found()).verdict, Verdict::Warn);
    }
}
