//! [`Segment`].

use super::super::dma::pool::{self, Stay};
use super::super::{PAGE_SIZE, Paddr, kspace, machine};
use super::allocator::{self, Use};
use super::{clear, meta};
use crate::{Error, Result, tdx};

/// A contiguous run of frames with one owner.
#[derive(Debug)]
pub struct Segment {
    start: Paddr,
    frames: usize,
    /// Whether the frames are of the pool that devices reach in a TD.
    is_shared: bool,
}

impl Segment {
    /// `frames` contiguous zeroed frames, aligned to the next power of two; at most 64 MiB.
    ///
    /// # Errors
    /// [`Error::NoMemory`], also if no run is long enough; [`Error::InvalidArgument`] for no frames at all.
    pub fn alloc_zeroed(frames: usize) -> Result<Self> {
        if frames == 0 {
            return Err(Error::InvalidArgument);
        }
        let start = allocator::alloc_run(frames, Use::Kernel)?;
        for paddr in (start..).step_by(PAGE_SIZE).take(frames) {
            meta::of(paddr).set_kernel();
            clear(paddr);
        }
        Ok(Self { start, frames, is_shared: false })
    }

    /// As [`Self::alloc_zeroed`], of memory that devices reach.
    pub(in crate::mm) fn alloc_shared(frames: usize) -> Result<Self> {
        if !tdx::is_active() {
            return Self::alloc_zeroed(frames);
        }
        let start = pool::alloc(frames, Stay::ForGood)?;
        (start..).step_by(PAGE_SIZE).take(frames).for_each(clear);
        Ok(Self { start, frames, is_shared: true })
    }

    /// Memory of a TD that devices reach, for one transfer. Sleeps until there is some; whatever was in it is still there.
    pub(in crate::mm) fn wait_for_shared(frames: usize) -> Result<Self> {
        Ok(Self { start: pool::wait_for(frames)?, frames, is_shared: true })
    }

    /// The first byte's physical address.
    pub fn paddr(&self) -> Paddr {
        self.start
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.frames * PAGE_SIZE
    }

    /// Whether it has no frames: never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Copies bytes out. Panics if out of range.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let from = self.at(offset, out.len());
        // SAFETY: `at` checked the range; `out` is memory of ours that the segment cannot overlap.
        unsafe { machine::copy_untyped(out.as_mut_ptr(), from, out.len()) };
    }

    /// Copies bytes in. Panics if out of range.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: `at` checked the range, and untyped memory may be written by anybody at any time.
        unsafe { machine::copy_untyped(to, bytes.as_ptr(), bytes.len()) };
    }

    /// A pointer to `len` bytes at `offset`, checked to lie inside. Panics if they do not.
    #[inline]
    pub(in crate::mm) fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset <= self.len() && len <= self.len() - offset, "range exceeds the segment");
        kspace::phys_to_ptr(self.start).wrapping_add(offset)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.is_shared {
            pool::free(self.start, self.frames);
        } else {
            allocator::free_run(self.start, self.frames);
        }
    }
}
