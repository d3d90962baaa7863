//! Certificates and revocation lists of Intel's attestation PKI (Intel SGX PCK Certificate and CRL profile specification): one curve,
//! one signature algorithm, a handful of extensions.
//!
//! ASN.1 is the `der` crate's, which takes the one canonical encoding only, times and constraints are those of `x509-cert`, signatures
//! are ring's. Certificates are read by our own structures because those of `x509-cert` copy everything, and those of webpki refuse
//! certificates without a name of a host: here they borrow, so that a stranger's certificate costs no more than its own size.

mod certificate;
mod chain;
mod crl;
mod pem;

pub use certificate::{Certificate, PublicKey};
pub use chain::{Path, Paths};
pub use crl::RevocationList;
pub use pem::certificates;
use thiserror::Error;

/// The root that Intel's platforms hang on, as published in Intel's provisioning certification service.
const INTEL_SGX_ROOT_CA: &str = include_str!("intel-sgx-root-ca.pem");

/// A certificate that is trusted as it is.
#[derive(Clone, Debug)]
pub struct TrustRoot {
    der: Vec<u8>,
    is_intel: bool,
}

/// Why a file is not a trust root.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrustRootError {
    /// It has no certificate or several.
    #[error("a trust root is one certificate in PEM: {0}")]
    Pem(String),
    /// The certificate is not an authority that this verifier can use.
    #[error("the trust root's certificate is not usable: {0}")]
    Certificate(String),
}

impl TrustRoot {
    /// Intel's.
    ///
    /// # Panics
    ///
    /// Never: a test reads the certificate.
    #[must_use]
    pub fn intel() -> Self {
        let mut root = Self::from_pem(INTEL_SGX_ROOT_CA.as_bytes()).expect("Intel's root is a certificate");
        root.is_intel = true;
        root
    }

    /// Another one: a test PKI's.
    ///
    /// # Errors
    ///
    /// When it is not exactly one self-signed certificate of an authority.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustRootError> {
        let ders = certificates(pem).map_err(TrustRootError::Pem)?;
        let [der] = <[Vec<u8>; 1]>::try_from(ders)
            .map_err(|ders| TrustRootError::Pem(format!("this file has {}", ders.len())))?;
        let certificate = Certificate::parse(&der).map_err(TrustRootError::Certificate)?;
        certificate.is_authority(None).map_err(TrustRootError::Certificate)?;
        if certificate.issuer != certificate.subject || certificate.is_signed_by(&certificate.key).is_err() {
            return Err(TrustRootError::Certificate("it is not self-signed".to_owned()));
        }
        Ok(Self {
            is_intel: certificates(INTEL_SGX_ROOT_CA.as_bytes()).is_ok_and(|intel| intel == [&*der]),
            der,
        })
    }

    /// Whether this is Intel's root, and so evidence that it supports about hardware.
    #[must_use]
    pub const fn is_intel(&self) -> bool {
        self.is_intel
    }

    pub(crate) fn certificate(&self) -> Certificate<'_> {
        Certificate::parse(&self.der).expect("`from_pem` has read it")
    }
}

/// The SubjectPublicKeyInfo of a certificate in DER: what REPORTDATA binds a TLS key by.
///
/// # Errors
///
/// When the bytes are not a certificate.
pub fn subject_public_key_info(certificate: &[u8]) -> Result<Vec<u8>, String> {
    use der::{Decode as _, Encode as _};
    let certificate = x509_cert::Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    certificate.tbs_certificate.subject_public_key_info.to_der().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{TrustRoot, TrustRootError};

    #[test]
    fn intels_root_is_a_trust_root() {
        assert!(TrustRoot::intel().is_intel());
        assert!(TrustRoot::from_pem(super::INTEL_SGX_ROOT_CA.as_bytes()).unwrap().is_intel());
    }

    #[test]
    fn what_is_not_one_certificate_is_refused() {
        let twice = super::INTEL_SGX_ROOT_CA.repeat(2);
        assert!(matches!(TrustRoot::from_pem(twice.as_bytes()), Err(TrustRootError::Pem(_))));
        assert!(matches!(TrustRoot::from_pem(b"rubbish"), Err(TrustRootError::Pem(_))));
    }
}
