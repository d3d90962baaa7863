//! Machines under QEMU: what `coffer launch`, `cargo xtask run`, the tests and the benchmarks share.
//!
//! [`Machine`] describes one and starts it: attached to the caller ([`Running`], with its console and [`Ports`]), or on its own
//! ([`Machine::launch`]; [`Machine::create_domain`] by libvirt). [`accelerator`] finds out whether KVM really works, [`Artifacts`] names the
//! files of a build, [`Simulated`] is a machine for the simulated TDX module.
#![forbid(unsafe_code)]

pub mod accelerator;
mod artifacts;
mod backlog;
mod console;
mod detached;
mod error;
pub mod libvirt;
mod machine;
mod network;
mod ports;
mod running;
mod simulated;

pub use artifacts::Artifacts;
pub use console::Console;
pub use detached::Places;
pub use error::Error;
pub use machine::{Boot, Clock, Disk, DiskBus, Machine};
pub use network::{Backend, Forward, Network, Protocol};
pub use ports::{Port, Ports};
pub use running::{Ended, Running};
pub use simulated::Simulated;

/// The port of QEMU's `isa-debug-exit`, by which the kernel says why it went down (`ostd::power`).
pub const DEBUG_EXIT_PORT: u16 = 0xf4;
