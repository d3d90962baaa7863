//! [`UFrame`].

use core::mem::ManuallyDrop;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use super::super::{PAGE_SIZE, Paddr, VmReader, VmWriter, kspace, machine};
use super::allocator::{self, Use};
use super::{clear, meta};
use crate::Result;
use crate::sync::Once;

/// One frame of untyped memory. Cloning shares it.
#[derive(Debug)]
pub struct UFrame {
    paddr: Paddr,
}

impl Clone for UFrame {
    #[inline]
    fn clone(&self) -> Self {
        meta::of(self.paddr).share();
        Self { paddr: self.paddr }
    }
}

impl Drop for UFrame {
    #[inline]
    fn drop(&mut self) {
        if meta::of(self.paddr).release() {
            let payer = meta::payer_of(self.paddr);
            let number = payer.load(Ordering::Relaxed);
            if number != 0 {
                payer.store(0, Ordering::Relaxed);
                if let Some(accountant) = ACCOUNTANT.get() {
                    accountant(number);
                }
            }
            allocator::free_one(self.paddr);
        }
    }
}

static ACCOUNTANT: Once<fn(u16)> = Once::new();

/// Names who is told the payer's number of each frame that is freed and had one. It is called wherever a handle is dropped, also with
/// interrupts off: it must not sleep, allocate, or drop frames. Only the first call counts.
pub fn set_accountant(accountant: fn(u16)) {
    ACCOUNTANT.call_once(|| accountant);
}

impl UFrame {
    /// A frame with all bytes zero.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`] when only the reserve is left.
    pub fn alloc_zeroed() -> Result<Self> {
        let frame = Self::alloc_dirty()?;
        clear(frame.paddr);
        Ok(frame)
    }

    /// A frame whose bytes are whatever they were. Only for callers that overwrite all of it.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`] when only the reserve is left.
    pub fn alloc_dirty() -> Result<Self> {
        let paddr = allocator::alloc_one(Use::User)?;
        meta::of(paddr).set_untyped();
        Ok(Self { paddr })
    }

    /// The physical address: an identity for keys, never a way in.
    pub fn paddr(&self) -> Paddr {
        self.paddr
    }

    /// How many handles (mappings included) share this frame.
    pub fn share_count(&self) -> usize {
        meta::of(self.paddr).handles()
    }

    /// Who pays for it: a number that means something to [`set_accountant`]'s function; 0: nobody.
    pub fn payer(&self) -> u16 {
        meta::payer_of(self.paddr).load(Ordering::Relaxed)
    }

    /// Names who pays for it, once: for whoever has just allocated it.
    pub fn set_payer(&self, payer: u16) {
        meta::payer_of(self.paddr).store(payer, Ordering::Relaxed);
    }

    /// Copies bytes out. Panics if `offset + out.len()` exceeds the page.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let from = self.at(offset, out.len());
        // SAFETY: `at` checked the range; `out` is memory of ours that the frame cannot overlap.
        unsafe { machine::copy_untyped(out.as_mut_ptr(), from, out.len()) };
    }

    /// Copies bytes in. Panics if `offset + bytes.len()` exceeds the page.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: `at` checked the range, and untyped memory may be written by anybody at any time.
        unsafe { machine::copy_untyped(to, bytes.as_ptr(), bytes.len()) };
    }

    /// Stores a word that user space may be reading: it sees the old value or the new one. Panics if `offset` is misaligned or beyond the page.
    pub fn store_u64(&self, offset: usize, value: u64) {
        assert!(offset.is_multiple_of(size_of::<u64>()), "misaligned store");
        let to = self.at(offset, size_of::<u64>()).cast::<u64>();
        // SAFETY: `at` checked the range and the line above the alignment; untyped memory is accessed atomically or by assembly only.
        unsafe { AtomicU64::from_ptr(to) }.store(value, Ordering::Release);
    }

    /// Zeroes a range of bytes. Panics if it exceeds the page.
    pub fn zero(&self, range: Range<usize>) {
        let to = self.at(range.start, range.len());
        // SAFETY: `at` checked the range, and untyped memory may be written by anybody at any time.
        unsafe { machine::zero_untyped(to, range.len()) };
    }

    /// Copies the whole of `from`.
    pub fn copy_from(&self, from: &UFrame) {
        let (to, from) = (kspace::phys_to_ptr(self.paddr), kspace::phys_to_ptr(from.paddr));
        // SAFETY: both are whole frames of untyped memory, which may change at any time; copying a frame to itself does no harm.
        unsafe { machine::copy_untyped(to, from, PAGE_SIZE) };
    }

    /// Copies up to `len` bytes from `offset` on to `writer`; returns how many went. Panics if `offset + len` exceeds the page.
    ///
    /// # Errors
    /// [`crate::Error::BadAddress`] if not a single byte could go.
    pub fn read_to(&self, offset: usize, len: usize, writer: &mut VmWriter<'_>) -> Result<usize> {
        // SAFETY: `at` checked the range; `self` keeps the frame alive.
        unsafe { writer.write_untyped(self.at(offset, len), len) }
    }

    /// Copies up to `len` bytes from `reader` to `offset`; returns how many came. Panics if `offset + len` exceeds the page.
    ///
    /// # Errors
    /// [`crate::Error::BadAddress`] if not a single byte could come.
    pub fn write_from(&self, offset: usize, len: usize, reader: &mut VmReader<'_>) -> Result<usize> {
        // SAFETY: `at` checked the range; `self` keeps the frame alive, and untyped memory may be written at any time.
        unsafe { reader.read_untyped(self.at(offset, len), len) }
    }

    #[inline]
    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset, "range exceeds the frame");
        kspace::phys_to_ptr(self.paddr).wrapping_add(offset)
    }

    /// Turns the handle into a bare address that stands for it, for a page-table entry.
    #[inline]
    pub(in crate::mm) fn into_raw(self) -> Paddr {
        ManuallyDrop::new(self).paddr
    }

    /// The handle that [`Self::into_raw`] turned into an address.
    ///
    /// # Safety
    /// Each address from `into_raw` (or [`Self::share_raw`]) comes back at most once.
    #[inline]
    pub(in crate::mm) unsafe fn from_raw(paddr: Paddr) -> Self {
        Self { paddr }
    }

    /// Makes another handle out of one that is kept as a bare address, and keeps that as a bare address as well.
    ///
    /// # Safety
    /// `paddr` stands for a handle that lives throughout the call.
    #[inline]
    pub(in crate::mm) unsafe fn share_raw(paddr: Paddr) {
        meta::of(paddr).share();
    }
}
