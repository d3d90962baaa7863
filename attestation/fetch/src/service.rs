//! [`Service`]: a provisioning certification service, Intel's own or a caching one (PCCS), which answers the same requests (Intel SGX and
//! TDX provisioning certification service API, version 4).

use std::time::Duration;

use attestation_verify::{BUNDLE_LIMIT, Collateral, CollateralError, Subject};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use ureq::Agent;

/// Intel's own.
const INTEL: &str = "https://api.trustedservices.intel.com";
/// Where Intel's root publishes what it has revoked: not by the service.
const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";
/// And where caching services have a copy.
const ROOT_CRL: &str = "/sgx/certification/v4/rootcacrl";

/// How long a service may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where collateral comes from.
#[derive(Debug)]
pub struct Service {
    base: String,
    root_crl: String,
    agent: Agent,
}

/// Why there is no collateral.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The service cannot be reached, or has none for this platform.
    #[error("{url} does not give any")]
    Request {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// An answer is not as the service's are.
    #[error("{url} answers with something else: {what}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The parts do not make a bundle.
    #[error("what the service gives is no collateral")]
    Collateral(#[from] CollateralError),
}

/// A bundle, in the form that docs/attestation.md describes.
#[derive(Serialize)]
struct Bundle {
    tcb_info: String,
    tcb_info_signature: String,
    tcb_info_issuer_chain: String,
    qe_identity: String,
    qe_identity_signature: String,
    qe_identity_issuer_chain: String,
    pck_crl: String,
    pck_crl_issuer_chain: String,
    root_ca_crl: String,
}

/// A document and its signature: the bytes of the document, as they are, are what is signed.
#[derive(Deserialize)]
struct Signed<'a> {
    #[serde(borrow, alias = "tcbInfo", alias = "enclaveIdentity")]
    document: &'a RawValue,
    signature: String,
}

impl Service {
    /// Intel's.
    #[must_use]
    pub fn intel() -> Self {
        Self::new(INTEL, INTEL_ROOT_CRL.to_owned())
    }

    /// A caching one: `https://HOST:PORT`.
    #[must_use]
    pub fn caching(base: &str) -> Self {
        let base = base.trim_end_matches('/');
        Self::new(base, format!("{base}{ROOT_CRL}"))
    }

    fn new(base: &str, root_crl: String) -> Self {
        let configuration = Agent::config_builder().timeout_global(Some(PATIENCE)).max_redirects(0).build();
        Self { base: base.to_owned(), root_crl, agent: configuration.into() }
    }

    /// Its address, by which it is told from others.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Everything about `subject`, as a bundle.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, has nothing about such a platform, or answers in another form.
    pub fn fetch(&self, subject: &Subject) -> Result<String, FetchError> {
        let fmspc = hex::encode_upper(subject.fmspc);
        let tcb_info = format!("{}/tdx/certification/v4/tcb?fmspc={fmspc}", self.base);
        let (tcb_info, tcb_info_signature, tcb_info_issuer_chain) =
            self.document(&tcb_info, "TCB-Info-Issuer-Chain")?;
        let qe_identity = format!("{}/tdx/certification/v4/qe/identity", self.base);
        let (qe_identity, qe_identity_signature, qe_identity_issuer_chain) =
            self.document(&qe_identity, "SGX-Enclave-Identity-Issuer-Chain")?;
        let ca = subject.authority.name();
        let pck_crl = format!("{}/sgx/certification/v4/pckcrl?ca={ca}&encoding=der", self.base);
        let (pck_crl, chain) = self.get(&pck_crl, Some("SGX-PCK-CRL-Issuer-Chain"))?;
        let (root_ca_crl, _) = self.get(&self.root_crl, None)?;
        let bundle = Bundle {
            tcb_info,
            tcb_info_signature,
            tcb_info_issuer_chain,
            qe_identity,
            qe_identity_signature,
            qe_identity_issuer_chain,
            pck_crl: list(&pck_crl),
            pck_crl_issuer_chain: chain,
            root_ca_crl: list(&root_ca_crl),
        };
        let text = serde_json::to_string(&bundle).map_err(CollateralError::from)?;
        // A service's mistake is found before it is kept.
        Collateral::from_json(text.as_bytes())?;
        Ok(text)
    }

    /// A signed document: its text, its signature, and the signer's certificates.
    fn document(&self, url: &str, chain: &str) -> Result<(String, String, String), FetchError> {
        let (body, chain) = self.get(url, Some(chain))?;
        let signed: Signed<'_> = serde_json::from_slice(&body)
            .map_err(|error| FetchError::Answer { url: url.to_owned(), what: error.to_string() })?;
        Ok((signed.document.get().to_owned(), signed.signature, chain))
    }

    /// A body, and the certificates in the header `chain`.
    fn get(&self, url: &str, chain: Option<&str>) -> Result<(Vec<u8>, String), FetchError> {
        let failed = |source| FetchError::Request { url: url.to_owned(), source: Box::new(source) };
        let mut answer = self.agent.get(url).call().map_err(failed)?;
        let limit = u64::try_from(BUNDLE_LIMIT).unwrap_or(u64::MAX);
        let body = answer.body_mut().with_config().limit(limit).read_to_vec().map_err(failed)?;
        let Some(name) = chain else { return Ok((body, String::new())) };
        let header = answer.headers().get(name).and_then(|value| value.to_str().ok());
        let chain = header.and_then(|value| percent_decode_str(value).decode_utf8().ok());
        let chain = chain.ok_or_else(|| FetchError::Answer {
            url: url.to_owned(),
            what: format!("there are no certificates in its header {name}"),
        })?;
        Ok((body, chain.into_owned()))
    }
}

/// A revocation list in hexadecimal: services give it so, or in DER.
fn list(body: &[u8]) -> String {
    let text = body.trim_ascii();
    if !text.is_empty() && text.iter().all(u8::is_ascii_hexdigit) {
        String::from_utf8_lossy(text).into_owned()
    } else {
        hex::encode(body)
    }
}
