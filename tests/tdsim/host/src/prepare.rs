//! Everything that a run needs, in one folder.

use std::path::Path;

use anyhow::Context as _;
use coffer_qemu::Simulated;

use crate::load::Domain;
use crate::machine::describe;
use crate::measure::Measured;
use crate::payload::Payload;
use crate::quoting::{QuoteVersion, Quoting};

/// A machine that can be started, and what a verifier of it needs.
#[derive(Debug)]
pub struct Prepared {
    /// The machine.
    pub simulated: Simulated,
    /// Its quoting enclave, with the files that a verifier needs.
    pub quoting: Quoting,
    /// What was measured.
    pub measured: Measured,
}

/// Loads a payload into a domain. The folder has to stay until the machine has ended.
///
/// # Errors
/// If the payload does not fit, or the folder cannot be written to.
pub fn prepare(
    domain: &Domain,
    payload: &Payload,
    module: &Path,
    version: QuoteVersion,
    folder: &Path,
) -> anyhow::Result<Prepared> {
    let (bytes, measured) = domain.pack(payload)?;
    let pack = folder.join("pack");
    std::fs::write(&pack, bytes).context("cannot write the pack")?;
    let quoting = Quoting::start(folder, version)?;
    let simulated = describe(domain, module, &pack, &quoting)?;
    Ok(Prepared { simulated, quoting, measured })
}
