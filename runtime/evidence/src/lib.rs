//! What a machine shows of itself: [`Machine`] asks for quotes and reads logs, [`Document`] is the form in which all of it is sent and kept
//! (docs/attestation.md, "Evidence in one file").
//!
//! The files are those of stock Linux: configfs-tsm (Documentation/ABI/testing/configfs-tsm-report) and the ACPI tables in sysfs. Nothing here decides
//! what a quote says; who asks does, by REPORTDATA.
#![forbid(unsafe_code)]

mod document;
mod machine;

pub use document::{Bytes, Document, Hardware, VERSION};
pub use machine::{Error, Machine};
