//! Devices: numbers to drivers, and the memory devices.

pub mod block;
pub mod mem;
pub mod registry;
pub mod tty;
pub mod virtio;
