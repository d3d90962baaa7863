//! Evidence of a run, given to the verifier with the root of that run.

use anyhow::{Context as _, ensure};
use attestation_verify::{Collateral, Evidence, OffsetDateTime, TrustRoot, verify};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_tdsim::Prepared;

/// The verifier accepts quote and event log, and the log is what the loader wrote.
pub fn check(quote: &[u8], log: &[u8], prepared: &Prepared) -> anyhow::Result<()> {
    let read = |path| std::fs::read(path).context("cannot read what the quoting enclave wrote");
    let collateral = Collateral::from_json(&read(&prepared.quoting.collateral)?)?;
    let root = TrustRoot::from_pem(&read(&prepared.quoting.root)?)?;
    let evidence = Evidence { quote, event_log: Some(log), runtime_log: None, report_data: None };
    let verification = verify(&evidence, &collateral, &root, OffsetDateTime::now_utc());
    if let Some(failure) = verification.first_failure() {
        anyhow::bail!("the verifier refuses it: {failure:?}");
    }
    ensure!(log.starts_with(&prepared.measured.log), "the event log is not the loader's");
    // Signed by an enclave that only this run's root vouches for.
    let verification = verify(&evidence, &collateral, &TrustRoot::intel(), OffsetDateTime::now_utc());
    ensure!(verification.first_failure().is_some(), "the verifier takes a test's root for Intel's");
    Ok(())
}

/// Reads Base64; `None` if there is none.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())
}
