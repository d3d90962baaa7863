//! The quoting enclave: whether its report vouches for the attestation key, and whether it is the enclave that Intel describes.

use attestation_evidence::{EnclaveReport, QuoteSignature};
use ring::digest::{SHA256, digest};

use crate::check::{Pass, StepResult};
use crate::collateral::QeIdentity;

/// REPORTDATA of the quoting enclave is the digest of key and authentication data, and nothing but zeros after it: what is left
/// unchecked could carry something.
pub fn report_data(signature: &QuoteSignature<'_>) -> StepResult<()> {
    let bound = [signature.attestation_key.as_slice(), signature.qe_authentication].concat();
    let (hash, rest) = signature.qe_report.report_data.split_at(32);
    if digest(&SHA256, &bound).as_ref() != hash {
        return Err("the quoting enclave's report is about another attestation key".to_owned());
    }
    if rest.iter().any(|byte| *byte != 0) {
        return Err("the quoting enclave's report data go on after the key's digest".to_owned());
    }
    Ok(Pass((), "the quoting enclave's report vouches for the attestation key".to_owned()))
}

/// The enclave must be the one that Intel's identity describes, whatever its version.
pub fn measurement(report: &EnclaveReport<'_>, identity: &QeIdentity<'_>) -> StepResult<()> {
    let differing = if identity.mrsigner.0 != *report.mr_signer {
        "signer (MRSIGNER)"
    } else if identity.isvprodid != report.isv_prod_id {
        "product (ISVPRODID)"
    } else if !identity.miscselect.is_masked(report.misc_select, &identity.miscselect_mask) {
        "MISCSELECT"
    } else if !identity.attributes.is_masked(report.attributes, &identity.attributes_mask) {
        "ATTRIBUTES"
    } else {
        return Ok(Pass((), "the enclave is Intel's TDX quoting enclave".to_owned()));
    };
    Err(format!("the enclave's {differing} is not that of Intel's TDX quoting enclave"))
}

/// A debug enclave's key may be known to its host.
pub fn debug(report: &EnclaveReport<'_>) -> StepResult<()> {
    if report.is_debug() {
        Err("the quoting enclave can be debugged".to_owned())
    } else {
        Ok(Pass((), "the quoting enclave cannot be debugged".to_owned()))
    }
}
