//! Why there is no connection, in the words of whoever has to mend it.

use std::error::Error;
use std::fmt;
use std::io;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};
use serde::Serialize;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Name, address, port, network.
    Unreachable,
    /// Certificates.
    Tls,
    /// User or password.
    Credentials,
    /// The broker wants no such client.
    Refused,
    /// The broker ended it.
    Closed,
    /// What came is not MQTT.
    Protocol,
}

/// Why a connection failed or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    /// Cause and next step.
    pub(super) words: String,
}

impl Failure {
    pub(super) fn of(error: &ConnectionError) -> Self {
        let (kind, words) = classify(error);
        Self { kind, words }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

fn classify(error: &ConnectionError) -> (Kind, String) {
    if let Some(tls) = tls_cause(error) {
        return (Kind::Tls, tls_words(tls));
    }
    match error {
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::NetworkTimeout => (
            Kind::Unreachable,
            "it does not answer within 5 s; are host and port of mqtt.broker right, does it expect TLS (mqtts)?".to_owned(),
        ),
        ConnectionError::FlushTimeout => {
            (Kind::Unreachable, "it takes nothing any more; is the network up?".to_owned())
        }
        ConnectionError::Tls(TlsError::Io(error)) => (Kind::Tls, no_tls_words(error)),
        ConnectionError::Tls(error) => (Kind::Tls, no_tls_words(error)),
        ConnectionError::Io(error) => io_words(error),
        ConnectionError::MqttState(error) => state_words(error),
        other => (Kind::Protocol, format!("{other}; is it an MQTT broker?")),
    }
}

fn no_tls_words(error: &dyn fmt::Display) -> String {
    format!("TLS: {error}; does the broker speak TLS on this port?")
}

fn refused(code: ConnectReturnCode) -> (Kind, String) {
    let words = match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            let words = "the broker does not accept user and password; look at mqtt.user and mqtt.password_file";
            return (Kind::Credentials, words.to_owned());
        }
        ConnectReturnCode::BadClientId => {
            "the broker does not accept the name; look at mqtt.camera"
        }
        ConnectReturnCode::RefusedProtocolVersion => "the broker does not speak MQTT 3.1.1",
        ConnectReturnCode::ServiceUnavailable => "the broker says that it is not available",
        ConnectReturnCode::Success => "the broker refuses without a reason",
    };
    (Kind::Refused, words.to_owned())
}

fn io_words(error: &io::Error) -> (Kind, String) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof};
    match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            Kind::Unreachable,
            format!("{error}; does it run, and is the port of mqtt.broker right?"),
        ),
        ConnectionAborted | ConnectionReset | UnexpectedEof => closed(),
        InvalidData => (Kind::Protocol, format!("{error}; is it an MQTT broker?")),
        _ => (
            Kind::Unreachable,
            format!("{error}; is the host of mqtt.broker right, is the network up?"),
        ),
    }
}

fn state_words(error: &StateError) -> (Kind, String) {
    match error {
        StateError::Io(error) => io_words(error),
        StateError::ConnectionAborted => closed(),
        StateError::AwaitPingResp => {
            (Kind::Unreachable, "it does not answer any more; is the network up?".to_owned())
        }
        StateError::Deserialization(rumqttc::Error::Io(error)) => io_words(error),
        other => (Kind::Protocol, format!("{other}; is it an MQTT broker?")),
    }
}

fn closed() -> (Kind, String) {
    let words = "the broker has closed the connection; was it stopped, does another client use the same name \
                 (mqtt.camera), does it expect TLS (mqtts)?";
    (Kind::Closed, words.to_owned())
}

/// The error of the TLS library, wherever it is wrapped: in a handshake, or in a later read when a certificate of ours
/// was refused.
fn tls_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        // What an io::Error wraps is not its source but stands in its place.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn tls_words(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "TLS: no authority that is trusted has signed the broker's certificate; give its own in mqtt.ca_file".to_owned()
        }
        Error::InvalidCertificate(
            cause @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
        ) => {
            format!("TLS: {cause}; write the host in mqtt.broker as the certificate has it")
        }
        Error::InvalidCertificate(
            cause @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }),
        ) => {
            format!("TLS: the broker's certificate: {cause}; is the clock of this machine right?")
        }
        Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::HandshakeFailure
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired),
        ) => format!(
            "TLS: the broker answers {alert:?}; does it want a certificate, or another (mqtt.client_certificate and mqtt.client_key)?"
        ),
        Error::InvalidMessage(_) => {
            format!("TLS: {error}; does the broker speak TLS on this port? Without, write mqtt://")
        }
        other => format!("TLS: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: &ConnectionError) -> Kind {
        Failure::of(error).kind
    }

    #[test]
    fn names_what_can_be_mended() {
        let refused = |code| ConnectionError::ConnectionRefused(code);
        assert_eq!(kind(&refused(ConnectReturnCode::NotAuthorized)), Kind::Credentials);
        assert_eq!(kind(&refused(ConnectReturnCode::BadUserNamePassword)), Kind::Credentials);
        assert_eq!(kind(&refused(ConnectReturnCode::BadClientId)), Kind::Refused);
        let io = |kind: io::ErrorKind| ConnectionError::Io(kind.into());
        assert_eq!(kind(&io(io::ErrorKind::ConnectionRefused)), Kind::Unreachable);
        assert_eq!(kind(&io(io::ErrorKind::HostUnreachable)), Kind::Unreachable);
        assert_eq!(kind(&io(io::ErrorKind::ConnectionReset)), Kind::Closed);
        assert_eq!(kind(&ConnectionError::NetworkTimeout), Kind::Unreachable);
        let ended = ConnectionError::MqttState(StateError::ConnectionAborted);
        assert_eq!(kind(&ended), Kind::Closed);
        assert_eq!(kind(&ConnectionError::RequestsDone), Kind::Protocol);
    }

    /// TLS 1.3 says only after the handshake that it did not like our certificate.
    #[test]
    fn finds_the_tls_library_in_a_read() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let read = io::Error::new(io::ErrorKind::InvalidData, alert);
        let error =
            ConnectionError::MqttState(StateError::Deserialization(rumqttc::Error::Io(read)));
        let failure = Failure::of(&error);
        assert_eq!(failure.kind, Kind::Tls);
        assert!(failure.words.contains("mqtt.client_certificate"), "{failure}");
    }
}
