//! Starts machines under QEMU: what `cargo xtask run`, the tests and the benchmarks share.
//!
//! [`Machine`] describes one and starts it; [`Running`] is its process with the console; [`Session`] runs one container on it over the
//! four ports of the runtime's control protocol ([`control`]). [`accelerator`] finds out whether KVM really works, [`images`]
//! assembles container images, [`Artifacts`] names the files of a build.
#![forbid(unsafe_code)]

pub mod accelerator;
mod artifacts;
mod console;
mod error;
pub mod images;
mod machine;
mod network;
mod ports;
mod running;
mod session;

/// The control protocol.
pub use runtime_control as control;

pub use artifacts::Artifacts;
pub use console::Console;
pub use error::Error;
pub use machine::{Boot, Clock, Disk, Machine};
pub use network::{Backend, Forward, Network, Protocol};
pub use ports::{Port, Ports};
pub use running::{Ended, Running};
pub use session::{Control, Finished, Session, Streams};

/// The port of QEMU's `isa-debug-exit`, by which the kernel says why it went down (`ostd::power`).
pub const DEBUG_EXIT_PORT: u16 = 0xf4;

/// Serial number of the virtio-blk disk that the runtime reads the image from.
pub const IMAGE_DISK: &str = "coffer-image";
