//! Whether a quote is genuine: made by Intel's quoting enclave on a platform that Intel certified, and how that platform, its TDX
//! module and its quoting enclave stand. Whether it is wanted is `attestation/policy`'s to say.
//!
//! [`verify`] takes everything that it depends on: the evidence, the collateral, the root that is trusted and the time. It asks
//! nobody and has no clock. What comes out is a [`Verification`]: one [`Check`] for every step, in the order of docs/attestation.md,
//! whatever else failed. A step that needs what another could not establish fails too, and says so.
#![forbid(unsafe_code)]

mod check;
mod collateral;
mod enclave;
mod level;
mod measurements;
mod platform;
mod step;
mod tcb;
mod x509;

pub use check::{Check, CheckName, Outcome};
pub use collateral::{BUNDLE_LIMIT, Collateral, CollateralError, PckAuthority, Subject};
pub use measurements::{Established, RuntimeState};
pub use platform::Platform;
pub use step::verify;
pub use tcb::{Tcb, TcbStatus};
pub use time::OffsetDateTime;
pub use x509::{TrustRoot, TrustRootError, subject_public_key_info};

use serde::Serialize;

/// What a machine shows.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The quote, as it came.
    pub quote: &'a [u8],
    /// The firmware's event log (CCEL), if there is one.
    pub event_log: Option<&'a [u8]>,
    /// PID 1's log, if there is one.
    pub runtime_log: Option<&'a [u8]>,
    /// What REPORTDATA must be, if the asker put something in.
    pub report_data: Option<&'a [u8; 64]>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Every step, in its order.
    pub checks: Vec<Check>,
    /// How platform, module and quoting enclave stand; none if a step before failed.
    pub tcb: Option<Tcb>,
    /// Which platform it is; none if its certificate is not genuine.
    pub platform: Option<Platform>,
    /// What the quote says; none unless its signature and all that the signature hangs on are genuine.
    pub established: Option<Established>,
}

impl Verification {
    /// The first step that failed.
    #[must_use]
    pub fn first_failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.outcome == Outcome::Fail)
    }
}
