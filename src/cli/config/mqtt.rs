//! `[mqtt]`: the broker, the camera's name there, and how the two know each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use qsegment::outputs::mqtt::{
    Authorities, Broker, CameraName, Identity, Login, Options, Prefix, Tls,
};
use serde::{Deserialize, Serialize};

use super::secret;

/// Measurements and health for an MQTT broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mqtt {
    /// `mqtt://HOST`, or `mqtts://HOST` with TLS; `:PORT` behind it is 1883, or 8883 with TLS. Default `""`, nothing is
    /// published.
    pub(crate) broker: BrokerUrl,
    /// Name of this camera: client id, level of its topics, device in Home Assistant; letters, digits, `-` and `_`. No
    /// two of a broker may have the same. Default `""`, `qsegment-` and the name of this machine.
    pub(crate) camera: Name,
    /// First levels of every topic: `TOPIC_PREFIX/CAMERA/health`. Default `"qsegment"`.
    pub(crate) topic_prefix: TopicPrefix,
    /// User at the broker. Default `""`, none.
    pub(crate) user: String,
    /// File whose first line is the password; others than its owner and group must not be able to read it. Default
    /// `""`, none.
    pub(crate) password_file: PathBuf,
    /// File with the authorities (PEM) of which one has signed the broker's certificate. Default `""`, those of this
    /// machine.
    pub(crate) ca_file: PathBuf,
    /// File with a certificate (PEM) by which the broker knows this camera. Default `""`, none.
    pub(crate) client_certificate: PathBuf,
    /// File with its key (PEM, no passphrase); others must not be able to read it. Default `""`, none.
    pub(crate) client_key: PathBuf,
    /// Measurements are published at most this often, 50 to 3600000: those of the newest frame, no mean. Default 1000.
    pub(crate) period_ms: u32,
    /// First level of Home Assistant's topics, where it finds the camera by itself. Default `"homeassistant"`; `""` is
    /// off.
    pub(crate) discovery_prefix: DiscoveryPrefix,
    /// After one and a half times so many seconds of silence the broker says that the camera is offline, 5 to 3600.
    /// Default 30.
    pub(crate) keep_alive_s: u16,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            broker: BrokerUrl(None),
            camera: Name(None),
            topic_prefix: TopicPrefix("qsegment".parse().expect("it is a word")),
            user: String::new(),
            password_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            client_certificate: PathBuf::new(),
            client_key: PathBuf::new(),
            period_ms: 1000,
            discovery_prefix: DiscoveryPrefix(Some("homeassistant".parse().expect("it is a word"))),
            keep_alive_s: 30,
        }
    }
}

impl Mqtt {
    /// Refuses what makes no sense, without looking at files.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let within = |key, value, least, most| {
            ensure!(
                (least..=most).contains(&value),
                "mqtt.{key}: {value} is not between {least} and {most}"
            );
            Ok(())
        };
        within("period_ms", self.period_ms, 50, 3_600_000)?;
        within("keep_alive_s", self.keep_alive_s.into(), 5, 3600)?;
        let given = |path: &Path| !path.as_os_str().is_empty();
        ensure!(
            given(&self.password_file) <= !self.user.is_empty(),
            "mqtt.password_file: a password without a user; set mqtt.user too"
        );
        ensure!(
            given(&self.client_certificate) == given(&self.client_key),
            "mqtt.client_certificate and mqtt.client_key belong together; set both or neither"
        );
        let without_tls = self.broker.0.as_ref().is_some_and(|url| !url.tls);
        for (key, path) in
            [("ca_file", &self.ca_file), ("client_certificate", &self.client_certificate)]
        {
            ensure!(
                !(without_tls && given(path)),
                "mqtt.{key}: there is no TLS to a broker at mqtt://; write mqtts:// in mqtt.broker"
            );
        }
        Ok(())
    }

    /// Reads the files. None where nothing is published.
    pub(crate) fn options(&self) -> anyhow::Result<Option<Options>> {
        let Some(url) = &self.broker.0 else { return Ok(None) };
        let tls = if url.tls { Some(self.tls()?) } else { None };
        Ok(Some(Options {
            broker: Broker { host: url.host.clone(), port: url.port, tls },
            login: self.login()?,
            camera: self.camera.0.clone().unwrap_or_else(of_this_machine),
            topic_prefix: self.topic_prefix.0.clone(),
            discovery_prefix: self.discovery_prefix.0.clone(),
            period: Duration::from_millis(self.period_ms.into()),
            keep_alive: Duration::from_secs(self.keep_alive_s.into()),
        }))
    }

    fn login(&self) -> anyhow::Result<Option<Login>> {
        if self.user.is_empty() {
            return Ok(None);
        }
        let password = match given(&self.password_file) {
            None => String::new(),
            Some(path) => secret::read_line(path).context("mqtt.password_file")?,
        };
        Ok(Some(Login { user: self.user.clone(), password }))
    }

    fn tls(&self) -> anyhow::Result<Tls> {
        let authorities = match given(&self.ca_file) {
            None => Authorities::of_system().context("mqtt.ca_file")?,
            Some(path) => read(path)
                .and_then(|pem| Authorities::parse(&pem).context(path.display().to_string()))
                .context("mqtt.ca_file")?,
        };
        let identity = match given(&self.client_certificate) {
            None => None,
            Some(path) => {
                let certificate = read(path).context("mqtt.client_certificate")?;
                let key = secret::read(&self.client_key).context("mqtt.client_key")?;
                let identity = Identity::parse(&certificate, &key);
                Some(identity.context("mqtt.client_certificate and mqtt.client_key")?)
            }
        };
        Tls::new(authorities, identity).context("mqtt.client_certificate and mqtt.client_key")
    }
}

fn given(path: &Path) -> Option<&Path> {
    Some(path).filter(|path| !path.as_os_str().is_empty())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn of_this_machine() -> CameraName {
    CameraName::of_host(&fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default())
}

/// `mqtt://HOST:PORT` or `mqtts://HOST:PORT`; empty is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct BrokerUrl(Option<Url>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Url {
    host: String,
    port: u16,
    tls: bool,
}

impl BrokerUrl {
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }
}

impl TryFrom<String> for BrokerUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let wrong = |why: &str| {
            format!(
                "`{text}` is no broker: {why}; want mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS"
            )
        };
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtt", rest)) => (false, rest),
            Some(("mqtts", rest)) => (true, rest),
            Some((other, _)) => return Err(wrong(&format!("`{other}` is not spoken here"))),
            None => return Err(wrong("it does not say how to speak to it")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(wrong("user and password are mqtt.user and mqtt.password_file"));
        }
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (
                host,
                Some(port.strip_prefix(':').ok_or_else(|| wrong("behind ] stands no port"))?),
            ),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(wrong(&format!("`{host}` is no host")));
        }
        let port = match port {
            None => {
                if tls {
                    8883
                } else {
                    1883
                }
            }
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(wrong(&format!("`{port}` is no port"))),
            },
        };
        Ok(Self(Some(Url { host: host.to_owned(), port, tls })))
    }
}

impl From<BrokerUrl> for String {
    fn from(url: BrokerUrl) -> Self {
        let Some(Url { host, port, tls }) = url.0 else { return Self::new() };
        let scheme = if tls { "mqtts" } else { "mqtt" };
        if host.contains(':') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        }
    }
}

/// A camera's name; empty is that of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Name(Option<CameraName>);

/// First levels of every topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TopicPrefix(Prefix);

/// First levels of Home Assistant's topics; empty is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct DiscoveryPrefix(Option<Prefix>);

impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|name| Self(Some(name))) }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.map_or_else(Self::new, |name| name.to_string())
    }
}

impl TryFrom<String> for TopicPrefix {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

impl From<TopicPrefix> for String {
    fn from(prefix: TopicPrefix) -> Self {
        prefix.0.as_str().to_owned()
    }
}

impl TryFrom<String> for DiscoveryPrefix {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|prefix| Self(Some(prefix))) }
    }
}

impl From<DiscoveryPrefix> for String {
    fn from(prefix: DiscoveryPrefix) -> Self {
        prefix.0.map_or_else(Self::new, |prefix| prefix.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        BrokerUrl::try_from(text.to_owned()).map_or_else(|why| why, String::from)
    }

    #[test]
    fn brokers_have_a_scheme_a_host_and_a_port() {
        assert_eq!(url(""), "");
        assert_eq!(url("mqtt://broker"), "mqtt://broker:1883");
        assert_eq!(url("mqtts://broker.clinic.example/"), "mqtts://broker.clinic.example:8883");
        assert_eq!(url("mqtt://192.168.1.4:2000"), "mqtt://192.168.1.4:2000");
        assert_eq!(url("mqtts://[fd00::4]"), "mqtts://[fd00::4]:8883");
        assert_eq!(url("mqtt://[::1]:2000"), "mqtt://[::1]:2000");
    }

    #[test]
    fn says_what_of_a_broker_is_wrong() {
        for (wrong, why) in [
            ("broker:1883", "does not say how to speak"),
            ("ws://broker", "`ws` is not spoken here"),
            ("mqtt://me:secret@broker", "mqtt.user and mqtt.password_file"),
            ("mqtt://", "`` is no host"),
            ("mqtt://a b", "`a b` is no host"),
            ("mqtt://broker:0", "`0` is no port"),
            ("mqtt://broker:70000", "`70000` is no port"),
            ("mqtt://broker:1883/topic", "`1883/topic` is no port"),
            ("mqtt://[::1]2000", "behind ] stands no port"),
        ] {
            let said = url(wrong);
            assert!(
                said.contains(why) && said.contains("want mqtt://HOST:PORT"),
                "{wrong}: {said}"
            );
        }
    }

    fn refusal(text: &str) -> String {
        let mqtt: Mqtt = toml::from_str(text).unwrap();
        mqtt.check()
            .and_then(|()| mqtt.options().map(drop))
            .map_or_else(|error| format!("{error:#}"), |()| String::new())
    }

    #[test]
    fn what_does_not_fit_together_names_its_keys() {
        for (wrong, key) in [
            ("period_ms = 10", "mqtt.period_ms: 10 is not between 50 and 3600000"),
            ("keep_alive_s = 1", "mqtt.keep_alive_s: 1 is not between 5 and 3600"),
            ("password_file = '/p'", "mqtt.password_file: a password without a user"),
            ("client_key = '/k'", "mqtt.client_certificate and mqtt.client_key belong together"),
            ("broker = 'mqtt://b'\nca_file = '/c'", "mqtt.ca_file: there is no TLS"),
            (
                "broker = 'mqtts://b'\nca_file = '/no/such'",
                "mqtt.ca_file: cannot read /no/such: No such file",
            ),
            (
                "broker = 'mqtts://b'\nca_file = '/etc/passwd'",
                "mqtt.ca_file: /etc/passwd: it has no certificate",
            ),
            (
                "broker = 'mqtt://b'\nuser = 'u'\npassword_file = '/no'",
                "mqtt.password_file: cannot open /no",
            ),
        ] {
            let said = refusal(wrong);
            assert!(said.starts_with(key), "{wrong}: {said}");
        }
        assert_eq!(refusal("broker = 'mqtt://b'\nuser = 'u'"), "");
    }

    #[test]
    fn nothing_is_published_unless_there_is_a_broker() {
        assert!(Mqtt::default().options().unwrap().is_none());
        let mqtt: Mqtt = toml::from_str("broker = 'mqtt://b'\ndiscovery_prefix = ''").unwrap();
        let options = mqtt.options().unwrap().unwrap();
        assert!(options.discovery_prefix.is_none());
        assert!(options.camera.as_str().starts_with("qsegment"));
    }
}
