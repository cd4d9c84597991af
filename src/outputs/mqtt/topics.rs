//! Where what is published stands in the broker.
//!
//! ```text
//!   qsegment/CAMERA/state            online, offline        retained, the broker's word when the daemon is gone
//!   qsegment/CAMERA/health           JSON                   retained
//!   qsegment/CAMERA/measurements     JSON                   not retained: an old number is not a number
//!   homeassistant/KIND/CAMERA/OBJECT/config   JSON          retained
//!   homeassistant/status             online                 read: Home Assistant has started
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// Name of a camera: client id, level of its topics, and part of its ids in Home Assistant. Two of one name
/// throw each other out of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraName(String);

impl CameraName {
    /// From the name of the machine: its first label behind `qsegment-`, with what a name may not have replaced.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        let label = host.trim().split('.').next().unwrap_or_default();
        let allowed = |c: char| if is_allowed(c) { c } else { '-' };
        let label: String = label.chars().map(allowed).take(LONGEST_NAME - 16).collect();
        if label.is_empty() {
            Self("qsegment".to_owned())
        } else {
            Self(format!("qsegment-{label}"))
        }
    }
    /// As it stands in topics.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// A part of `whole` that is the same at every start and another for another name, so that fifty cameras do not
    /// do the same thing in the same millisecond.
    #[must_use]
    pub fn share_of(&self, whole: Duration, turn: u32) -> Duration {
        let digest =
            Sha256::new().chain_update(&self.0).chain_update(turn.to_be_bytes()).finalize();
        let drawn = u16::from_be_bytes([digest[0], digest[1]]);
        whole.mul_f64(f64::from(drawn) / f64::from(u16::MAX))
    }
}

impl FromStr for CameraName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(is_allowed) {
            return Err(format!(
                "`{text}` is no name of a camera; want 1 to {LONGEST_NAME} letters (a to z), digits, `-` and `_`"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What Home Assistant allows in its ids, and every broker in a client id.
fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

const LONGEST_NAME: usize = 64;

/// First levels of a topic, such as `qsegment` or `clinic/room-3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// As it stands in topics.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        // `+` and `#` are for those who listen, a leading `$` is the broker's own.
        let refused = |c: char| c.is_control() || c.is_whitespace() || "+#".contains(c);
        let levels_have_names = text.split('/').all(|level| !level.is_empty());
        if !levels_have_names || text.len() > 128 || text.starts_with('$') || text.contains(refused)
        {
            return Err(format!(
                "`{text}` is no beginning of a topic; want names with `/` between them, without spaces, `+`, `#` and \
                 a `$` in front"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The topics of one camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topics {
    camera: String,
    own: String,
    discovery: Option<String>,
}

impl Topics {
    pub(super) fn new(prefix: &Prefix, camera: &CameraName, discovery: Option<&Prefix>) -> Self {
        Self {
            camera: camera.as_str().to_owned(),
            own: format!("{}/{camera}", prefix.as_str()),
            discovery: discovery.map(|prefix| prefix.as_str().to_owned()),
        }
    }
    pub(super) fn state(&self) -> String {
        format!("{}/state", self.own)
    }
    pub(super) fn health(&self) -> String {
        format!("{}/health", self.own)
    }
    pub(super) fn measurements(&self) -> String {
        format!("{}/measurements", self.own)
    }
    /// Where Home Assistant says that it has started.
    pub(super) fn birth(&self) -> Option<String> {
        self.discovery.as_ref().map(|prefix| format!("{prefix}/status"))
    }
    /// Where Home Assistant looks for `object`, which is a `kind` such as "sensor".
    pub(super) fn discovery(&self, kind: &str, object: &str) -> Option<String> {
        let camera = &self.camera;
        self.discovery.as_ref().map(|prefix| format!("{prefix}/{kind}/{camera}/{object}/config"))
    }
}

/// On the state topic.
pub(super) const ONLINE: &str = "online";
/// On the state topic, by the daemon when it ends and by the broker when it is gone.
pub(super) const OFFLINE: &str = "offline";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_those_of_the_manual() {
        let name = "theatre-2".parse().unwrap();
        let topics = Topics::new(
            &"qsegment".parse().unwrap(),
            &name,
            Some(&"homeassistant".parse().unwrap()),
        );
        assert_eq!(topics.state(), "qsegment/theatre-2/state");
        assert_eq!(topics.health(), "qsegment/theatre-2/health");
        assert_eq!(topics.measurements(), "qsegment/theatre-2/measurements");
        assert_eq!(topics.birth().unwrap(), "homeassistant/status");
        assert_eq!(
            topics.discovery("sensor", "latency").unwrap(),
            "homeassistant/sensor/theatre-2/latency/config"
        );
        let silent = Topics::new(&"a/b".parse().unwrap(), &name, None);
        assert_eq!(silent.state(), "a/b/theatre-2/state");
        assert_eq!((silent.birth(), silent.discovery("sensor", "latency")), (None, None));
    }

    #[test]
    fn host_names_become_camera_names() {
        let name = |host: &str| CameraName::of_host(host).as_str().to_owned();
        assert_eq!(name("pi-7\n"), "qsegment-pi-7");
        assert_eq!(name("pi.clinic.example"), "qsegment-pi");
        assert_eq!(name("größe"), "qsegment-gr--e");
        assert_eq!(name(""), "qsegment");
        assert!(name(&"x".repeat(300)).parse::<CameraName>().is_ok());
    }

    #[test]
    fn refuses_names_that_would_be_other_topics() {
        for wrong in ["", "a/b", "a b", "+", "#", "ä", &"x".repeat(65)] {
            assert!(wrong.parse::<CameraName>().is_err(), "{wrong}");
        }
        for wrong in ["", "/a", "a/", "a//b", "a/+", "#", "$SYS", "a b", &"x".repeat(129)] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_differ_by_name_and_turn_and_stay_the_same() {
        let whole = Duration::from_secs(5);
        let names: Vec<CameraName> =
            (0..50).map(|i| format!("camera-{i}").parse().unwrap()).collect();
        let mut shares: Vec<_> = names.iter().map(|name| name.share_of(whole, 0)).collect();
        assert_eq!(shares[7], names[7].share_of(whole, 0));
        assert_ne!(shares[7], names[7].share_of(whole, 1));
        assert!(shares.iter().all(|share| *share <= whole));
        shares.sort_unstable();
        shares.dedup();
        assert!(shares.len() > 45, "{shares:?}");
    }
}
