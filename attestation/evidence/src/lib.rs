//! What a trust domain can show: the wire forms, and nothing about whether they are genuine (`attestation/verify`) or wanted
//! (`attestation/policy`).
//!
//! [`Quote`] is what the quoting enclave signed, [`TdReport`] what the TDX module handed to it, [`EventLog`] the firmware's log of
//! measurements (CCEL), [`RuntimeLog`] our runtime's, [`report_data`] what is bound to a quote, and how.
//!
//! Everything here comes from strangers. The parsers allocate nothing: they borrow from their input, check every length against what
//! is left of it, and refuse what they do not know. They need neither `std` nor `alloc`, so that the guest's side can use them too.
#![no_std]
#![forbid(unsafe_code)]

mod enclave_report;
mod event_log;
mod quote;
mod reader;
pub mod report_data;
mod runtime_log;
mod td_report;

pub use enclave_report::EnclaveReport;
pub use event_log::{EventLog, LoggedEvent, LoggedEvents, event_type_name};
pub use quote::{BodyKind, INTEL_QE_VENDOR, Quote, QuoteSignature, TdBody};
pub use reader::Malformed;
pub use runtime_log::{
    ContainerStart, ImageDigest, Isolation, MAGIC as RUNTIME_LOG_MAGIC, Mode, RuntimeEvent, RuntimeLog,
    RuntimeOrder, RuntimeRecord, RuntimeRecords,
};
pub use td_report::TdReport;

/// A SHA-384 digest, which is what every measurement register of TDX holds.
pub type Measurement = [u8; 48];

/// Runtime measurement registers of a trust domain, RTMR0 to RTMR3.
pub type Registers = [Measurement; 4];

/// What TDG.MR.RTMR.EXTEND does to a register (Intel TDX Module ABI specification).
#[must_use]
pub fn extend(register: &Measurement, digest: &Measurement) -> Measurement {
    use sha2::{Digest as _, Sha384};
    Sha384::new().chain_update(register).chain_update(digest).finalize().into()
}
