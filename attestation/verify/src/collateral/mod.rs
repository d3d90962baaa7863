//! [`Collateral`]: what Intel's provisioning certification service says about a platform, in a bundle: one JSON file with the parts as
//! the service sends them, in the form that other DCAP verifiers write too.
//!
//! A document is read only once its signature is known to be Intel's, so what reads it ([`document`]) faces Intel's mistakes, not
//! strangers.

mod document;
mod subject;

pub use document::{Document, Hex, QeIdentity, SvnLevel, TcbInfo, TcbInfoLevel};
use serde::Deserialize;
pub use subject::{PckAuthority, Subject};
use thiserror::Error;
use time::OffsetDateTime;

use crate::x509::{Path, RevocationList};

/// The largest bundle that is taken: Intel's are about 20 KB, and their revocation lists grow.
pub const BUNDLE_LIMIT: usize = 16 << 20;

/// All about one platform and its quoting enclave.
#[derive(Clone, Debug)]
pub struct Collateral {
    /// The authority that made `pck_crl`, and the root.
    pub(crate) pck_crl_issuers: Result<Path, String>,
    /// Revoked authorities and signers, in DER.
    pub(crate) root_crl: Vec<u8>,
    /// Revoked platforms, in DER.
    pub(crate) pck_crl: Vec<u8>,
    /// The signer of `tcb_info`, and the root.
    pub(crate) tcb_info_issuers: Result<Path, String>,
    /// Which versions of platforms and modules are current: JSON, byte for byte as it was signed.
    pub(crate) tcb_info: String,
    pub(crate) tcb_info_signature: [u8; 64],
    /// The signer of `qe_identity`, and the root.
    pub(crate) qe_identity_issuers: Result<Path, String>,
    /// What the quoting enclave is: JSON, byte for byte as it was signed.
    pub(crate) qe_identity: String,
    pub(crate) qe_identity_signature: [u8; 64],
    /// The platform's chain, where the service was asked for it. The quote has its own, which it must be.
    pub(crate) pck_chain: Option<Path>,
}

/// Why a file is not a bundle.
#[derive(Debug, Error)]
pub enum CollateralError {
    /// It is too large.
    #[error("it is larger than {BUNDLE_LIMIT} bytes")]
    TooLarge,
    /// It is not the JSON of a bundle.
    #[error("it is not a bundle of collateral")]
    Json(#[from] serde_json::Error),
    /// A field is not what it should be.
    #[error("`{field}` is not {expected}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle<'a> {
    #[serde(borrow)]
    pck_crl_issuer_chain: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    root_ca_crl: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    pck_crl: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    tcb_info_issuer_chain: std::borrow::Cow<'a, str>,
    tcb_info: String,
    #[serde(borrow)]
    tcb_info_signature: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    qe_identity_issuer_chain: std::borrow::Cow<'a, str>,
    qe_identity: String,
    #[serde(borrow)]
    qe_identity_signature: std::borrow::Cow<'a, str>,
    #[serde(default)]
    pck_certificate_chain: Option<String>,
}

impl Collateral {
    /// Reads a bundle.
    ///
    /// # Errors
    ///
    /// When it is not JSON with the fields of a bundle and no others. Whether the fields are genuine is for the steps to find.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CollateralError> {
        if bytes.len() > BUNDLE_LIMIT {
            return Err(CollateralError::TooLarge);
        }
        let bundle: Bundle<'_> = serde_json::from_slice(bytes)?;
        let path = |pem: &str| Path::from_pem(pem.as_bytes());
        Ok(Self {
            pck_crl_issuers: path(&bundle.pck_crl_issuer_chain),
            root_crl: binary(&bundle.root_ca_crl, "root_ca_crl")?,
            pck_crl: binary(&bundle.pck_crl, "pck_crl")?,
            tcb_info_issuers: path(&bundle.tcb_info_issuer_chain),
            tcb_info: bundle.tcb_info,
            tcb_info_signature: signature(&bundle.tcb_info_signature, "tcb_info_signature")?,
            qe_identity_issuers: path(&bundle.qe_identity_issuer_chain),
            qe_identity: bundle.qe_identity,
            qe_identity_signature: signature(&bundle.qe_identity_signature, "qe_identity_signature")?,
            pck_chain: bundle.pck_certificate_chain.as_deref().map(path).transpose().map_err(|_| {
                CollateralError::Field { field: "pck_certificate_chain", expected: "certificates in PEM" }
            })?,
        })
    }

    /// Until when all of it is current, by its own word: for who keeps a bundle. None if a part cannot be read.
    #[must_use]
    pub fn next_update(&self) -> Option<OffsetDateTime> {
        let lists = [&self.root_crl, &self.pck_crl].map(|der| {
            let seconds = RevocationList::parse(der).ok()?.next_update();
            OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
        });
        let tcb_info = serde_json::from_str::<TcbInfo<'_>>(&self.tcb_info).ok().map(|it| it.dates().1);
        let qe_identity =
            serde_json::from_str::<QeIdentity<'_>>(&self.qe_identity).ok().map(|it| it.dates().1);
        let [root_crl, pck_crl] = lists;
        root_crl?.min(pck_crl?).min(tcb_info?).min(qe_identity?).into()
    }
}

fn binary(text: &str, field: &'static str) -> Result<Vec<u8>, CollateralError> {
    hex::decode(text).map_err(|_| CollateralError::Field { field, expected: "hexadecimal" })
}

fn signature(text: &str, field: &'static str) -> Result<[u8; 64], CollateralError> {
    let mut bytes = [0; 64];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| CollateralError::Field { field, expected: "a signature of 64 bytes in hexadecimal" })?;
    Ok(bytes)
}
