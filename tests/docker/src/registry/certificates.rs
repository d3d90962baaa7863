//! An authority, and a registry's certificate under it.

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A server's certificate and key, in PEM, and the authority's certificate.
#[derive(Debug)]
pub struct Certificate {
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

impl Certificate {
    /// For the address at which machines see this computer, under an authority of its own.
    pub fn make(authority: &str) -> anyhow::Result<Self> {
        let authority_key = KeyPair::generate().context("no key")?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, authority);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = parameters.self_signed(&authority_key)?;
        let issuer = Issuer::from_params(&parameters, &authority_key);

        let key = KeyPair::generate().context("no key")?;
        let mut parameters = CertificateParams::new(vec!["10.0.2.2".to_owned()])?;
        parameters.distinguished_name.push(DnType::CommonName, "registry");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = parameters.signed_by(&key, &issuer)?;
        Ok(Self { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    }
}
