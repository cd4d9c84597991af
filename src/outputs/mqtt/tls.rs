//! Whom the daemon believes that it is the broker, and how it shows who it is.
//!
//! The library of TLS is told its provider of cryptography here, and no default is set for the process.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Certificates and keys of a connection.
#[derive(Clone)]
pub struct Tls(pub(super) Arc<ClientConfig>);

/// Authorities that may have signed the broker's certificate.
#[derive(Debug)]
pub struct Authorities(RootCertStore);

/// A certificate of ours and its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why certificates or keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// There is none in the file.
    #[error("it has no certificate; want PEM, which begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// One in the file is damaged.
    #[error("a certificate cannot be read: {0}; want PEM")]
    Certificate(String),
    /// The machine trusts nobody.
    #[error(
        "this machine has no certificate authorities ({0}); install ca-certificates, or name a file"
    )]
    NoAuthorities(String),
    /// The key cannot be read.
    #[error(
        "it has no private key ({0}); want PEM without a passphrase, which begins with -----BEGIN PRIVATE KEY-----"
    )]
    Key(String),
    /// Certificate and key do not belong together, or are of a kind that is not known.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(String),
}

impl Authorities {
    /// Those of the system.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_system() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        // Old authorities that no certificate should be signed by any more do not keep the others from being used.
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            let cause = found.errors.first().map_or("none found".to_owned(), ToString::to_string);
            return Err(TlsError::NoAuthorities(cause));
        }
        Ok(Self(store))
    }

    /// Those of a PEM file.
    ///
    /// # Errors
    /// When there is none, or one that is damaged.
    pub fn parse(pem: &[u8]) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(pem)? {
            store.add(certificate).map_err(|error| TlsError::Certificate(error.to_string()))?;
        }
        Ok(Self(store))
    }
}

impl Identity {
    /// From two PEM files: the certificate with those that lead to an authority, and the key.
    ///
    /// # Errors
    /// When one of the two is missing or damaged.
    pub fn parse(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        Ok(Self { chain, key })
    }
}

impl Tls {
    /// # Errors
    /// When certificate and key do not belong together.
    pub fn new(authorities: Authorities, identity: Option<Identity>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites of TLS 1.2 and 1.3")
            .with_root_certificates(authorities.0);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key }) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| TlsError::Pair(error.to_string()))?,
        };
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::NoCertificate),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::Certificate(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_of_a_file_is_wrong() {
        assert_eq!(Authorities::parse(b"hello").unwrap_err(), TlsError::NoCertificate);
        let damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Authorities::parse(damaged).unwrap_err(), TlsError::Certificate(_)));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(Authorities::parse(cut).unwrap_err(), TlsError::Certificate(_)));
        assert!(matches!(Identity::parse(damaged, b"no key").unwrap_err(), TlsError::Key(_)));
    }
}
