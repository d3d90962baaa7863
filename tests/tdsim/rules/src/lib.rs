//! The rules of the simulated TDX module, without the machine: tables as data and pure functions over them.
//!
//! [`cpuid`] and [`msr`] say which values the module answers and which trap into the guest, [`page`] is the life of a guest page,
//! [`ve`] what a virtualisation exception tells, [`status`] what TDCALL returns, [`pack`] how the host side hands a trust domain
//! over. The module (`tests/tdsim/module`) does to a real machine what these say.
//!
//! Source: the TDX module's published code and its ABI and GHCI specifications, as far as the reference facts of the project name them.
#![no_std]
#![forbid(unsafe_code)]

pub mod acpi;
pub mod cpuid;
pub mod decode;
pub mod hostile;
pub mod layout;
pub mod msr;
pub mod pack;
pub mod page;
pub mod report;
pub mod status;
pub mod ve;
