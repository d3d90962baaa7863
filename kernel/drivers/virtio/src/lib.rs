//! Virtio 1.2 over PCI: the transport ([`Device`]), split virtqueues ([`Queue`]) and requests that sleep
//! ([`Requests`]), in safe code over ostd's DMA memory.
//!
//! The device is the host's, so nothing that it says is believed (D6): what it may write to is never read back to find
//! our own state, and every index, id and length that it gives is checked against a private copy. A device that breaks the
//! rules is marked broken and never touched again.
//! Written here because the virtio-drivers crate programs no MSI-X and negotiates neither ACCESS_PLATFORM nor offloads; [`Adapter`] lets
//! that crate's drivers stand on this transport (docs/adr/0001-virtio-drivers.md).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod adapter;
mod queue;
mod requests;
mod transport;

pub use adapter::{Adapter, Answers};
pub use queue::{Buffer, Queue, QueueError};
pub use requests::{Data, Lost, Requests, Shape};
pub use transport::{Device, DeviceConfig, Error, Vector};

/// Device ids (virtio 1.2, chapter 5).
pub mod id {
    /// Network card.
    pub const NETWORK: u16 = 1;
    /// Block device.
    pub const BLOCK: u16 = 2;
    /// Console.
    pub const CONSOLE: u16 = 3;
    /// Entropy source.
    pub const ENTROPY: u16 = 4;
    /// SCSI host adapter.
    pub const SCSI: u16 = 8;
}
