//! What a block device driver provides: numbered sectors, moved in whole pages between the device and frames.
//!
//! Drivers implement [`BlockDevice`]; the kernel's page cache of the device and its file systems use it.
#![no_std]
#![forbid(unsafe_code)]

use ostd::mm::UFrame;

/// Bytes in a sector, the unit of all positions on a device.
pub const SECTOR_SIZE: usize = 512;

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// The device reported an error, or answered with nonsense.
    Device,
    /// Beyond the end of the device.
    OutOfRange,
    /// Writing to a device that only reads.
    ReadOnly,
    /// No memory for the request.
    NoMemory,
}

/// A random-access device. Calls may sleep until the device has answered; several may be under way at once.
pub trait BlockDevice: Send + Sync + core::fmt::Debug {
    /// Capacity in sectors.
    fn sectors(&self) -> u64;

    /// Whether it refuses writes.
    fn is_read_only(&self) -> bool;

    /// Preferred unit of transfer in bytes, at least [`SECTOR_SIZE`].
    fn block_size(&self) -> usize {
        SECTOR_SIZE
    }

    /// Fills `frames`, one page each, from `sector` on. Bytes past the end of the device become zero; at least the first sector exists.
    ///
    /// # Errors
    /// [`BlockError`]; the frames' contents are then unspecified.
    fn read_pages(&self, sector: u64, frames: &[UFrame]) -> Result<(), BlockError>;

    /// Writes `frames`, one page each, from `sector` on, up to the end of the device.
    ///
    /// # Errors
    /// [`BlockError`]; what was written is then unspecified.
    fn write_pages(&self, sector: u64, frames: &[UFrame]) -> Result<(), BlockError>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// [`BlockError`].
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }

    /// The serial number, for /sys/block/NAME/serial; empty if it has none.
    fn serial(&self) -> &[u8] {
        &[]
    }
}
