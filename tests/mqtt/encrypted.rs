//! TLS with an authority that the test makes up, and a broker that wants to know who comes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use crate::broker::{Broker, mosquitto};
use crate::camera::Camera;
use crate::free_port;
use crate::subscriber::Subscriber;

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// Certificate and key of somebody, in two files.
    fn sign(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> [PathBuf; 2] {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &*self.issuer).unwrap();
        let folder = self.file.parent().unwrap();
        let files = ["pem", "key"].map(|end| folder.join(format!("{name}.{end}")));
        fs::write(&files[0], certificate.pem()).unwrap();
        fs::write(&files[1], key.serialize_pem()).unwrap();
        fs::set_permissions(&files[1], fs::Permissions::from_mode(0o600)).unwrap();
        files
    }
}

#[test]
fn camera_and_broker_know_each_other_by_certificates() {
    let Some(program) = mosquitto() else { return };
    let mut broker = Broker::prepare(program, "allow_anonymous true\n");
    let authority = Authority::new(broker.dir.path(), "authority");
    let other = Authority::new(broker.dir.path(), "other");
    let [certificate, key] = authority.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let [ours, our_key] = authority.sign("camera-one", ExtendedKeyUsagePurpose::ClientAuth);
    let port = free_port();
    let text = fs::read_to_string(broker.path("mosquitto.conf")).unwrap();
    let text = format!(
        "{text}listener {port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
        authority.file.display(),
        certificate.display(),
        key.display()
    );
    fs::write(broker.path("mosquitto.conf"), text).unwrap();
    broker.start();
    let subscriber = Subscriber::new(broker.port);

    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (right, wrong) = (path(&authority.file), path(&other.file));
    let (ours, our_key) = (path(&ours), path(&our_key));
    let named = format!("mqtts://localhost:{port}");
    let with_certificate = |broker: &'_ str, ca: &'_ str| {
        [
            ("broker".to_owned(), broker.to_owned()),
            ("ca_file".to_owned(), ca.to_owned()),
            ("client_certificate".to_owned(), ours.clone()),
            ("client_key".to_owned(), our_key.clone()),
            ("camera".to_owned(), "one".to_owned()),
        ]
    };
    let run = |keys: &[(String, String)]| {
        let keys: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Camera::run(&keys)
    };
    let refused = |keys: &[(String, String)], words: &str| {
        let mut camera = run(keys);
        let told = camera.says("mqtt: no connection");
        assert!(told.contains(words), "{words:?} is not in {told}");
        camera.end();
    };

    let camera = run(&with_certificate(&named, &right));
    subscriber.wait_for("qsegment/one/state", "online");
    subscriber.wait_document("qsegment/one/measurements", |document| document["state"] == "live");
    camera.end();
    subscriber.wait_for("qsegment/one/state", "offline");

    refused(&with_certificate(&named, &wrong), "give its own in mqtt.ca_file");
    let by_address = format!("mqtts://127.0.0.1:{port}");
    refused(&with_certificate(&by_address, &right), "as the certificate has it");
    let mut without = with_certificate(&named, &right).to_vec();
    without.retain(|(key, _)| !key.starts_with("client_"));
    refused(&without, "mqtt.client_certificate and mqtt.client_key");
    let not_tls = format!("mqtts://localhost:{}", broker.port);
    refused(&with_certificate(&not_tls, &right), "does the broker speak TLS on this port?");
}
