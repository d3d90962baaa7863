//! A mapped BAR.

use core::ops::Range;

use crate::mm::Vaddr;
use crate::mm::kspace::mmio;
use crate::{Error, HostValue, Result};

/// A BAR: registers, accessed by value at aligned offsets. Out of range panics.
#[derive(Debug)]
pub struct Mmio {
    base: Vaddr,
    len: usize,
    /// The function's MSI-X table, if it lies in here: only [`super::Msix`] says where a device sends its interrupts.
    hidden: Range<usize>,
}

macro_rules! registers {
    ($($read:ident $write:ident $t:ty;)*) => {$(
        /// Reads a register. Panics if out of range or misaligned.
        #[inline]
        pub fn $read(&self, offset: usize) -> HostValue<$t> {
            let at = self.at::<$t>(offset);
            // SAFETY: `at` checked range and alignment in a mapping that stays for good.
            unsafe { mmio::read(at) }
        }
        /// Writes a register. Panics if out of range or misaligned.
        #[inline]
        pub fn $write(&self, offset: usize, value: $t) {
            let at = self.at::<$t>(offset);
            // SAFETY: as for reads; registers are not memory that Rust knows.
            unsafe { mmio::write(at, value) };
        }
    )*};
}

impl Mmio {
    /// Maps `len` bytes at `address`; the offsets in `hidden` count as out of range.
    #[cfg(target_os = "none")]
    pub(super) fn map(address: usize, len: usize, hidden: Range<usize>) -> Result<Self> {
        let base = crate::mm::kspace::map_mmio(address, len).map_err(|error| match error {
            // What the host claims there cannot be a device.
            Error::InvalidArgument => Error::NoResource,
            other => other,
        })?;
        Ok(Self { base, len, hidden })
    }

    /// There is nothing to map on the host.
    #[cfg(not(target_os = "none"))]
    pub(super) fn map(_address: usize, _len: usize, _hidden: Range<usize>) -> Result<Self> {
        Err(Error::NoResource)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never empty.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether `len` bytes at `offset` are registers: in range, and not the MSI-X table's.
    pub fn has(&self, offset: usize, len: usize) -> bool {
        let is_inside = offset <= self.len && len <= self.len - offset;
        is_inside
            && (self.hidden.is_empty() || offset >= self.hidden.end || offset + len <= self.hidden.start)
    }

    registers! { read_u8 write_u8 u8; read_u16 write_u16 u16; read_u32 write_u32 u32; read_u64 write_u64 u64; }

    #[inline]
    fn at<T>(&self, offset: usize) -> Vaddr {
        let is_there = self.has(offset, size_of::<T>());
        assert!(is_there && offset.is_multiple_of(size_of::<T>()), "no such register");
        self.base + offset
    }
}

#[cfg(test)]
mod tests {
    use super::Mmio;

    fn window(memory: &mut [u64; 4]) -> Mmio {
        Mmio { base: memory.as_mut_ptr().expose_provenance(), len: 32, hidden: 16..24 }
    }

    #[test]
    fn registers_have_their_width() {
        let mut memory = [0; 4];
        let mmio = window(&mut memory);
        mmio.write_u32(4, 0x1122_3344);
        assert!(
            mmio.read_u8(5).is(0x33) && mmio.read_u16(6).is(0x1122) && mmio.read_u64(0).is(0x1122_3344 << 32)
        );
    }

    #[test]
    fn what_is_there_can_be_asked() {
        let mut memory = [0; 4];
        let mmio = window(&mut memory);
        assert!(mmio.has(8, 8) && mmio.has(24, 8) && mmio.has(28, 4));
        assert!(!mmio.has(16, 1) && !mmio.has(12, 8) && !mmio.has(32, 4) && !mmio.has(usize::MAX, 4));
    }

    #[test]
    #[should_panic(expected = "no such register")]
    fn the_end_is_checked() {
        window(&mut [0; 4]).read_u32(32);
    }

    #[test]
    #[should_panic(expected = "no such register")]
    fn the_hidden_part_is_out_of_range() {
        let mut memory = [0; 4];
        let mmio = window(&mut memory);
        assert!(mmio.read_u64(8).is(0) && mmio.read_u64(24).is(0));
        mmio.write_u32(20, 1);
    }

    #[test]
    #[should_panic(expected = "no such register")]
    fn alignment_is_checked() {
        window(&mut [0; 4]).read_u32(2);
    }
}
