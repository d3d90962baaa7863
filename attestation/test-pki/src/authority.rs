//! [`Pki`]: the root, the platforms' authority and the signer of TCB information, with the names of Intel's profile.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::platform::{Platform, PlatformFields};

/// Why something could not be made.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A certificate or revocation list.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A key or signature.
    #[error("cannot sign")]
    Sign,
}

/// A key on P-256 that signs as quotes and documents are signed: r and s of 32 bytes.
#[derive(Debug)]
pub struct Key {
    pub(crate) pair: KeyPair,
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn new() -> Result<Self, PkiError> {
        Ok(Self { pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)? })
    }

    /// Signs.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], PkiError> {
        let random = SystemRandom::new();
        let signature = self.signer(&random)?.sign(&random, message).map_err(|_| PkiError::Sign)?;
        signature.as_ref().try_into().map_err(|_| PkiError::Sign)
    }

    /// x and y.
    ///
    /// # Errors
    ///
    /// Never in practice: the key was made here.
    pub fn coordinates(&self) -> Result<[u8; 64], PkiError> {
        let pair = self.signer(&SystemRandom::new())?;
        pair.public_key().as_ref().get(1..).and_then(|point| point.try_into().ok()).ok_or(PkiError::Sign)
    }

    fn signer(&self, random: &SystemRandom) -> Result<EcdsaKeyPair, PkiError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, self.pair.serialized_der(), random)
            .map_err(|_| PkiError::Sign)
    }
}

/// A certificate's key, and the certificate.
#[derive(Debug)]
pub struct Holder {
    pub key: Key,
    pub parameters: CertificateParams,
    /// In DER.
    pub certificate: Vec<u8>,
}

impl Holder {
    pub fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.parameters, &self.key.pair)
    }

    /// The certificate's number.
    pub fn serial(&self) -> Vec<u8> {
        self.parameters.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default()
    }
}

/// All authorities.
#[derive(Debug)]
pub struct Pki {
    pub(crate) root: Holder,
    pub(crate) platform_authority: Holder,
    pub(crate) tcb_signer: Holder,
    pub(crate) now: OffsetDateTime,
}

impl Pki {
    /// New authorities, whose certificates are valid for a year before `now` and ten after.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn new(now: OffsetDateTime) -> Result<Self, PkiError> {
        let root_parameters = parameters("Intel SGX Root CA", 1, now, Use::Authority(1));
        let root_key = Key::new()?;
        let certificate = root_parameters.self_signed(&root_key.pair)?.der().to_vec();
        let root = Holder { key: root_key, parameters: root_parameters, certificate };
        let platform_authority =
            issue(parameters("Intel SGX PCK Platform CA", 2, now, Use::Authority(0)), &root)?;
        let tcb_signer = issue(parameters("Intel SGX TCB Signing", 3, now, Use::Signatures), &root)?;
        Ok(Self { root, platform_authority, tcb_signer, now })
    }

    /// The root, for a verifier that is told to trust it.
    #[must_use]
    pub fn root_pem(&self) -> String {
        pem_chain([&self.root.certificate])
    }

    /// The root's certificate in DER.
    #[must_use]
    pub fn root_der(&self) -> &[u8] {
        &self.root.certificate
    }

    /// The signer of TCB information: to sign documents that were changed.
    #[must_use]
    pub const fn tcb_key(&self) -> &Key {
        &self.tcb_signer.key
    }

    /// Numbers of the certificates of the platforms' authority and the signer of TCB information, to revoke them.
    #[must_use]
    pub fn serials(&self) -> [Vec<u8>; 2] {
        [self.platform_authority.serial(), self.tcb_signer.serial()]
    }

    /// Certifies a platform.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn platform(&self, fields: &PlatformFields) -> Result<Platform, PkiError> {
        let mut parameters =
            parameters("Intel SGX PCK Certificate", fields.serial, self.now, Use::Signatures);
        let content = fields.extension();
        let extension = CustomExtension::from_oid_content(&[1, 2, 840, 113_741, 1, 13, 1], content);
        parameters.custom_extensions.push(extension);
        if let Some((from, to)) = fields.validity {
            (parameters.not_before, parameters.not_after) = (from, to);
        }
        let pck = issue(parameters, &self.platform_authority)?;
        let chain =
            pem_chain([&pck.certificate, &self.platform_authority.certificate, &self.root.certificate]);
        Platform::new(pck.key, fields.clone(), chain)
    }

    /// Certifies a key for TCB information by somebody who may not: the platforms' authority.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn misplaced_tcb_chain(&self) -> Result<String, PkiError> {
        let leaf = issue(
            parameters("Intel SGX TCB Signing", 9, self.now, Use::Signatures),
            &self.platform_authority,
        )?;
        Ok(pem_chain([&leaf.certificate, &self.root.certificate]))
    }
}

/// Certificates one after the other in PEM.
pub fn pem_chain<'a>(certificates: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    certificates
        .into_iter()
        .map(|der| pem::encode_config(&pem::Pem::new("CERTIFICATE", der.clone()), config))
        .collect()
}

/// What a key is for.
enum Use {
    /// Certificates, with so many authorities below.
    Authority(u8),
    /// Anything else.
    Signatures,
}

fn parameters(name: &str, serial: u64, now: OffsetDateTime, purpose: Use) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject.push(DnType::OrganizationName, "Coffer tests, not Intel");
    parameters.distinguished_name = subject;
    parameters.serial_number = Some(SerialNumber::from(serial));
    parameters.not_before = now - Duration::days(365);
    parameters.not_after = now + Duration::days(3650);
    match purpose {
        Use::Authority(below) => {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
            parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        Use::Signatures => {
            parameters.is_ca = IsCa::ExplicitNoCa;
            parameters.key_usages =
                vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
        }
    }
    parameters
}

fn issue(parameters: CertificateParams, issuer: &Holder) -> Result<Holder, PkiError> {
    let key = Key::new()?;
    let certificate = parameters.signed_by(&key.pair, &issuer.issuer())?.der().to_vec();
    Ok(Holder { key, parameters, certificate })
}
