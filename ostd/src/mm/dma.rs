//! Memory that devices see (D6). Both kinds hand out device addresses only through this interface, so that inside a TD they can be backed by
//! shared bounce pages without any driver noticing.
//!
//! The seam is [`Backing`]: today every transfer is direct, the device address being the physical one. In a TD a second variant holds
//! a slot of a pool of shared pages: [`DmaCoherent`] then lives in the pool for good, [`DmaStream::new`] copies into a slot for
//! [`Direction::ToDevice`], and [`DmaStream::finish`] copies out of it for [`Direction::FromDevice`]. Until that pool exists, a machine that says
//! it is a TD gets no DMA memory at all (see `backing`), rather than private pages that a device cannot reach.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::{PAGE_SIZE, Paddr, Segment, UFrame};
use crate::{Error, Result};

/// Which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The device reads.
    ToDevice,
    /// The device writes.
    FromDevice,
}

/// How a device gets at memory.
#[derive(Clone, Copy, Debug)]
enum Backing {
    /// At its physical address.
    Direct,
}

impl Backing {
    /// What this machine needs.
    fn of_machine() -> Result<Self> {
        if is_confidential() { Err(Error::NoResource) } else { Ok(Self::Direct) }
    }

    fn device_address(self, paddr: Paddr) -> u64 {
        match self {
            Self::Direct => paddr as u64,
        }
    }
}

/// Whether the host must not see our memory: CPUID leaf 0x21 names a TD (D3).
fn is_confidential() -> bool {
    #[cfg(target_os = "none")]
    {
        // Remembered: CPUID leaves the machine in every VM.
        static ANSWER: spin::Once<bool> = spin::Once::new();
        *ANSWER.call_once(|| {
            core::arch::x86_64::__cpuid(0).eax >= 0x21 && {
                let id = core::arch::x86_64::__cpuid_count(0x21, 0);
                [id.ebx, id.edx, id.ecx] == [*b"Inte", *b"lTDX", *b"    "].map(u32::from_le_bytes)
            }
        })
    }
    #[cfg(not(target_os = "none"))]
    false
}

/// Memory that CPU and device use at the same time: rings, mailboxes. All access is by value, at aligned offsets, and
/// what is read is the device's claim.
#[derive(Debug)]
pub struct DmaCoherent {
    segment: Segment,
    len: usize,
    backing: Backing,
}

macro_rules! accessors {
    ($($load:ident $store:ident $t:ty, $atomic:ty;)*) => {$(
        /// Loads at `offset` with acquire ordering. Panics if out of range or misaligned.
        #[inline]
        pub fn $load(&self, offset: usize) -> $t {
            let at = self.at(offset, size_of::<$t>());
            // SAFETY: `at` checked range and alignment; the memory lives with `self` and is accessed atomically or by assembly only.
            unsafe { <$atomic>::from_ptr(at.cast()) }.load(Ordering::Acquire)
        }
        /// Stores at `offset` with release ordering. Panics if out of range or misaligned.
        #[inline]
        pub fn $store(&self, offset: usize, value: $t) {
            let at = self.at(offset, size_of::<$t>());
            // SAFETY: as for loads.
            unsafe { <$atomic>::from_ptr(at.cast()) }.store(value, Ordering::Release);
        }
    )*};
}

impl DmaCoherent {
    /// `len` zeroed bytes, page-aligned and contiguous for the device.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::InvalidArgument`] for no bytes; [`Error::NoResource`] where devices cannot reach memory.
    pub fn alloc(len: usize) -> Result<Self> {
        let backing = Backing::of_machine()?;
        let segment = Segment::alloc_zeroed(len.div_ceil(PAGE_SIZE))?;
        Ok(Self { segment, len, backing })
    }

    /// The address to give to the device.
    pub fn device_address(&self) -> u64 {
        self.backing.device_address(self.segment.paddr())
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never empty.
    pub fn is_empty(&self) -> bool {
        false
    }

    accessors! {
        load_u8 store_u8 u8, AtomicU8;
        load_u16 store_u16 u16, AtomicU16;
        load_u32 store_u32 u32, AtomicU32;
        load_u64 store_u64 u64, AtomicU64;
    }

    /// Where it is, for code that takes all of it over for as long as `self` lives.
    pub(super) fn pointer(&self) -> *mut u8 {
        self.segment.at(0, self.len)
    }

    /// Copies bytes out. Panics if out of range.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        self.segment.read(offset, out);
    }

    /// Copies bytes in. Panics if out of range.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        self.segment.write(offset, bytes);
    }

    #[inline]
    fn at(&self, offset: usize, size: usize) -> *mut u8 {
        assert!(offset.is_multiple_of(size), "misaligned access to DMA memory");
        self.segment.at(offset, size)
    }
}

/// One transfer from or to frames of ours: keeps them alive and, in a TD, goes through the bounce pool.
#[derive(Debug)]
pub struct DmaStream {
    frames: Vec<UFrame>,
    backing: Backing,
}

impl DmaStream {
    /// Prepares `frames` for a transfer; for [`Direction::ToDevice`] their bytes are visible to the device from here on.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if the bounce pool is exhausted; [`Error::NoResource`] where devices cannot reach memory.
    pub fn new(frames: Vec<UFrame>, _direction: Direction) -> Result<Self> {
        // Direct transfers need no copy either way: DMA is coherent on x86.
        Ok(Self { frames, backing: Backing::of_machine()? })
    }

    /// The device address of the `index`th frame; each is one page. Panics if there is no such frame.
    pub fn device_address(&self, index: usize) -> u64 {
        self.backing.device_address(self.frames[index].paddr())
    }

    /// Ends the transfer: for [`Direction::FromDevice`] the bytes are in the frames afterwards. Call after the device is done with it.
    pub fn finish(self) -> Vec<UFrame> {
        self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::{Direction, DmaCoherent, DmaStream};
    use crate::mm::host::tests::boot;
    use crate::mm::{PAGE_SIZE, UFrame};
    use std::vec;

    #[test]
    fn values_keep_their_width_and_place() {
        boot();
        let ring = DmaCoherent::alloc(PAGE_SIZE + 1).unwrap();
        ring.store_u16(PAGE_SIZE - 2, 0xabcd);
        ring.store_u64(8, u64::MAX);
        assert_eq!((ring.load_u8(PAGE_SIZE - 1), ring.load_u32(12), ring.load_u64(16)), (0xab, u32::MAX, 0));
        assert_eq!(ring.len(), PAGE_SIZE + 1);
    }

    #[test]
    #[should_panic(expected = "misaligned")]
    fn misaligned_access_panics() {
        boot();
        DmaCoherent::alloc(64).unwrap().load_u32(2);
    }

    #[test]
    fn a_stream_gives_its_frames_back() {
        boot();
        let frame = UFrame::alloc_zeroed().unwrap();
        let stream = DmaStream::new(vec![frame.clone()], Direction::FromDevice).unwrap();
        assert_eq!(stream.device_address(0), frame.paddr() as u64);
        assert_eq!(stream.finish()[0].paddr(), frame.paddr());
    }
}
