//! What is wrong in the configuration is said before the first frame, with its key and exit code 78.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::camera::daemon;

fn refusal(keys: &[(&str, &str)]) -> String {
    let output = daemon(keys).args(["--frames", "1"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn keys_that_are_wrong_are_named() {
    let dir = TempDir::new().unwrap();
    let password = dir.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let password = password.to_str().unwrap();
    let broker = ("broker", "mqtt://127.0.0.1");
    let said = refusal(&[broker, ("user", "me"), ("password_file", password)]);
    assert!(said.contains("mqtt.password_file: ") && said.contains("chmod o="), "{said}");
    let encrypted = ("broker", "mqtts://127.0.0.1");
    let said = refusal(&[encrypted, ("ca_file", password)]);
    assert!(said.contains("mqtt.ca_file: ") && said.contains("no certificate"), "{said}");
    let said = refusal(&[encrypted, ("ca_file", "/no/such/file")]);
    assert!(said.contains("mqtt.ca_file: cannot read /no/such/file"), "{said}");
    let said = refusal(&[("broker", "http://127.0.0.1")]);
    assert!(
        said.contains("QSEGMENT_MQTT_BROKER") && said.contains("`http` is not spoken"),
        "{said}"
    );
    let said = refusal(&[("camera", "my camera")]);
    assert!(said.contains("QSEGMENT_MQTT_CAMERA"), "{said}");
}
