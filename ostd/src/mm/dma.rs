//! Memory that devices see (D6). Both kinds hand out device addresses only through this interface, so that inside a TD they can be backed by
//! shared bounce pages without any driver noticing.

use super::{Segment, UFrame};
use crate::Result;

/// Which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The device reads.
    ToDevice,
    /// The device writes.
    FromDevice,
}

/// Memory that CPU and device use at the same time: rings, mailboxes. All access is by value, at aligned offsets, and
/// what is read is the device's claim.
#[derive(Debug)]
pub struct DmaCoherent {
    _segment: Segment,
}

macro_rules! accessors {
    ($($load:ident $store:ident $t:ty;)*) => {$(
        /// Loads at `offset` with acquire ordering. Panics if out of range or misaligned.
        pub fn $load(&self, offset: usize) -> $t { let _ = offset; todo!() }
        /// Stores at `offset` with release ordering. Panics if out of range or misaligned.
        pub fn $store(&self, offset: usize, value: $t) { let _ = (offset, value); todo!() }
    )*};
}

impl DmaCoherent {
    /// `len` zeroed bytes, page-aligned and contiguous for the device.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`].
    pub fn alloc(len: usize) -> Result<Self> {
        let _ = len;
        todo!()
    }

    /// The address to give to the device.
    pub fn device_address(&self) -> u64 {
        todo!()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Never empty.
    pub fn is_empty(&self) -> bool {
        false
    }

    accessors! { load_u8 store_u8 u8; load_u16 store_u16 u16; load_u32 store_u32 u32; load_u64 store_u64 u64; }

    /// Copies bytes out. Panics if out of range.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let _ = (offset, out);
        todo!()
    }

    /// Copies bytes in. Panics if out of range.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let _ = (offset, bytes);
        todo!()
    }
}

/// One transfer from or to frames of ours: keeps them alive and, in a TD, goes through the bounce pool.
#[derive(Debug)]
pub struct DmaStream {
    _frames: alloc::vec::Vec<UFrame>,
}

impl DmaStream {
    /// Prepares `frames` for a transfer; for [`Direction::ToDevice`] their bytes are visible to the device from here on.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`] if the bounce pool is exhausted.
    pub fn new(frames: alloc::vec::Vec<UFrame>, direction: Direction) -> Result<Self> {
        let _ = (frames, direction);
        todo!()
    }

    /// The device address of the `index`th frame; each is one page.
    pub fn device_address(&self, index: usize) -> u64 {
        let _ = index;
        todo!()
    }

    /// Ends the transfer: for [`Direction::FromDevice`] the bytes are in the frames afterwards. Call after the device is done with it.
    pub fn finish(self) -> alloc::vec::Vec<UFrame> {
        todo!()
    }
}
