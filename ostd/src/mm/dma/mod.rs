//! Memory that devices see (D6). Both kinds hand out device addresses only through this interface, and no driver notices what is behind it.
//!
//! Outside of a TD every transfer is direct, the device address being the physical one. In a TD a device reaches the pages of [`pool`] and nothing else:
//! [`DmaCoherent`] lives there, and a [`DmaStream`] goes through a copy there.

pub(super) mod pool;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::{PAGE_SIZE, Segment, UFrame, kspace, machine};
use crate::{Result, tdx};
#[cfg(target_os = "none")]
pub(super) use pool::{open as open_pool, take as take_pool};

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
    segment: Segment,
    len: usize,
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
    /// [`crate::Error::NoMemory`]; [`crate::Error::InvalidArgument`] for no bytes.
    pub fn alloc(len: usize) -> Result<Self> {
        Ok(Self { segment: Segment::alloc_shared(len.div_ceil(PAGE_SIZE))?, len })
    }

    /// The address to give to the device.
    pub fn device_address(&self) -> u64 {
        self.segment.paddr() as u64
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

/// One transfer from or to frames of ours: keeps them alive and, in a TD, goes through the pool.
#[derive(Debug)]
pub struct DmaStream {
    frames: Vec<UFrame>,
    direction: Direction,
    bounce: Option<Segment>,
}

impl DmaStream {
    /// Prepares `frames` for a transfer; for [`Direction::ToDevice`] their bytes are visible to the device from here on. In a TD it may sleep, until
    /// other transfers have ended.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for no frames at all.
    pub fn new(frames: Vec<UFrame>, direction: Direction) -> Result<Self> {
        // Direct transfers need no copy either way: DMA is coherent on x86.
        let bounce = if tdx::is_active() { Some(Segment::wait_for_shared(frames.len())?) } else { None };
        let stream = Self { frames, direction, bounce };
        if direction == Direction::ToDevice {
            stream.each_page(|bounce, frame| copy_page(bounce, frame));
        }
        Ok(stream)
    }

    /// The device address of the `index`th frame; each is one page. Panics if there is no such frame.
    pub fn device_address(&self, index: usize) -> u64 {
        let frame = &self.frames[index];
        self.bounce.as_ref().map_or(frame.paddr(), |bounce| bounce.paddr() + index * PAGE_SIZE) as u64
    }

    /// Ends the transfer: for [`Direction::FromDevice`] the bytes are in the frames afterwards. Call after the device is done with it.
    pub fn finish(self) -> Vec<UFrame> {
        if self.direction == Direction::FromDevice {
            self.each_page(|bounce, frame| copy_page(frame, bounce));
        }
        self.frames
    }

    /// Calls `f` with each page of the pool that stands for a frame, and the frame.
    fn each_page(&self, f: impl Fn(*mut u8, *mut u8)) {
        let Some(bounce) = &self.bounce else { return };
        for (index, frame) in self.frames.iter().enumerate() {
            f(bounce.at(index * PAGE_SIZE, PAGE_SIZE), kspace::phys_to_ptr(frame.paddr()));
        }
    }
}

/// Copies a page of a segment to a frame of untyped memory, or back.
fn copy_page(to: *mut u8, from: *const u8) {
    // SAFETY: `each_page` gives whole pages, one of the pool's and one that is not; both may be written by anybody at any time.
    unsafe { machine::copy_untyped(to, from, PAGE_SIZE) };
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
