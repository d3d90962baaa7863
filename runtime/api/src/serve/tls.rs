//! TLS 1.3, by rustls over graviola: mutual for the API, for anybody where evidence is shown.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::Identity;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make a key: {0:?}")]
    Key(graviola::Error),
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot keep the server's key in `{path}`: {source}")]
    Keep { path: String, source: std::io::Error },
    #[error("cannot make evidence for the server's key: {0}")]
    Evidence(String),
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot use the authority of clients: {0}")]
    Clients(#[from] rustls::server::VerifierBuilderError),
}

/// TLS for whoever comes.
///
/// # Errors
///
/// When the key cannot be used.
pub fn open_config(identity: &Identity) -> Result<Arc<ServerConfig>, Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())?;
    Ok(Arc::new(config))
}

/// TLS for clients whose certificate comes from one of `authorities`.
///
/// # Errors
///
/// When there is none, or one cannot be used.
pub fn config(
    identity: &Identity,
    authorities: impl Iterator<Item = CertificateDer<'static>>,
) -> Result<Arc<ServerConfig>, Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority)?;
    }
    let provider = Arc::new(rustls_graviola::default_provider());
    let clients: Arc<dyn ClientCertVerifier> =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())?;
    Ok(Arc::new(config))
}
