//! The host side of the simulated TDX module: what a loader in the way of td-shim does with a kernel, and QEMU around it.
//!
//! [`Payload`] is what is to run: a unified kernel image, a kernel ELF, or Linux's bzImage. [`Domain`] says in which trust domain.
//! [`prepare`] makes the machine of `deploy/qemu` that runs it, with a quoting enclave.
#![forbid(unsafe_code)]

mod build;
mod layout;
mod load;
mod machine;
mod measure;
mod payload;
mod prepare;
mod quoting;

pub use build::{CLIENT_TOOLCHAIN, build_bare, build_client};
pub use load::{Accept, Domain};
pub use measure::{Measured, Measurement};
pub use payload::Payload;
pub use prepare::{Prepared, prepare};
pub use quoting::{QuoteVersion, Quoting};

/// The module's package.
pub const MODULE: &str = "coffer-tdsim-module";
/// The package of the payload that checks the rules.
pub const PAYLOAD: &str = "coffer-tdsim-payload";
