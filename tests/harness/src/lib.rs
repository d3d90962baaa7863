//! What `cargo xtask run`, the tests and the benchmarks share, on top of the machines of `deploy/qemu`.
//!
//! [`Session`] runs one container on a machine over the four ports of the runtime's control protocol ([`control`]); [`images`]
//! assembles container images.
#![forbid(unsafe_code)]

mod error;
pub mod images;
mod session;

/// The control protocol.
pub use runtime_control as control;

pub use coffer_qemu::accelerator::Accelerator;
pub use coffer_qemu::{
    Artifacts, Backend, Boot, Clock, Console, DEBUG_EXIT_PORT, Disk, DiskBus, Ended, Forward, Machine,
    Network, Port, Ports, Protocol, Running, accelerator,
};
pub use error::Error;
pub use session::{Control, Finished, Session, Streams};

/// Serial number of the disk that the runtime reads the image from.
pub const IMAGE_DISK: &str = "coffer-image";
