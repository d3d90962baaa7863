//! Devices: numbers to drivers, and the memory devices.

pub mod block;
pub mod bus;
pub mod disk;
pub mod mem;
pub mod registry;
pub mod tdx;
pub mod tty;
pub mod virtio;
