//! TLS for clients: a certificate and its key. The PEM files are read once, when the gateway starts.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::options::TlsFiles;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The ALPN names of the two HTTP versions.
pub(super) const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// Reads the files and builds the acceptor. Returns an error if a file cannot be read, or the key does not belong to the
/// certificate.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor> {
    let TlsFiles { certificate, key } = files;
    let certificates = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| {
        Error::new(ErrorCode::InvalidCertificate, format!("cannot read the certificate in {}", certificate.display()))
            .caused_by(error)
    })?;
    if certificates.is_empty() {
        return Err(Error::new(
            ErrorCode::InvalidCertificate,
            format!("there is no certificate in {}", certificate.display()),
        )
        .with_hint("--tls-cert takes a PEM file that begins with the certificate of the server"));
    }
    // The error of the PEM reader is dropped: it may contain parts of the key.
    let private = PrivateKeyDer::from_pem_file(key).map_err(|_| {
        Error::new(ErrorCode::InvalidCertificate, format!("{} has no readable private key", key.display()))
            .with_hint("--tls-key takes a PEM file without a password")
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private));
    let mut config = config.map_err(|error| {
        Error::new(ErrorCode::InvalidCertificate, "the private key does not belong to the certificate").caused_by(error)
    })?;
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
