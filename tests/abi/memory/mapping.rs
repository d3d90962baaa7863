//! A mapping that is unmapped when it is dropped, read and written a byte at a time.

use std::fs::File;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};

pub const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// A range of addresses that this value owns. Bytes are reached through volatile accesses, so a case may also make one that
/// faults: that ends the process by a signal, which is what such a case looks for.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<libc::c_void>,
    len: usize,
}

impl Mapping {
    /// Private anonymous memory that can be read and written.
    pub fn anonymous(len: usize) -> nix::Result<Self> {
        Self::new(len, READ_WRITE, MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS)
    }

    /// Anonymous memory shared with children.
    pub fn shared(len: usize) -> nix::Result<Self> {
        Self::new(len, READ_WRITE, MapFlags::MAP_SHARED | MapFlags::MAP_ANONYMOUS)
    }

    pub fn new(len: usize, protection: ProtFlags, flags: MapFlags) -> nix::Result<Self> {
        let size = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        // SAFETY: the kernel chooses an address that nothing uses.
        let start = unsafe { mmap_anonymous(None, size, protection, flags) }?;
        Ok(Self { start, len })
    }

    pub fn of_file(
        file: &File,
        offset: i64,
        len: usize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> nix::Result<Self> {
        let size = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        // SAFETY: the kernel chooses an address that nothing uses.
        let start = unsafe { mmap(None, size, protection, flags, file, offset) }?;
        Ok(Self { start, len })
    }

    /// Takes over a range that a call has just mapped.
    ///
    /// # Safety
    ///
    /// Nothing else may own or use the range.
    pub unsafe fn from_raw(start: NonNull<libc::c_void>, len: usize) -> Self {
        Self { start, len }
    }

    pub fn address(&self) -> usize {
        self.start.as_ptr() as usize
    }

    pub fn start(&self) -> NonNull<libc::c_void> {
        self.start
    }

    pub fn len(&self) -> usize {
        self.len
    }

    fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.len, "offset {offset} is outside of the mapping");
        self.start.as_ptr().cast::<u8>().wrapping_add(offset)
    }

    pub fn byte(&self, offset: usize) -> u8 {
        // SAFETY: the byte is inside the range that this value owns; where access is not allowed the process ends.
        unsafe { self.at(offset).read_volatile() }
    }

    pub fn set(&self, offset: usize, value: u8) {
        // SAFETY: the byte is inside the range that this value owns; where access is not allowed the process ends.
        unsafe { self.at(offset).write_volatile(value) }
    }

    /// Writes a byte to each page.
    pub fn touch(&self, value: u8) {
        (0..self.len).step_by(4096).for_each(|offset| self.set(offset, value));
    }

    /// The bytes of a range.
    pub fn bytes(&self, range: Range<usize>) -> Vec<u8> {
        range.map(|offset| self.byte(offset)).collect()
    }

    pub fn protect(&self, range: Range<usize>, protection: ProtFlags) -> nix::Result<()> {
        let start = NonNull::new(self.start.as_ptr().wrapping_byte_add(range.start)).ok_or(Errno::EINVAL)?;
        // SAFETY: the range is inside of the mapping, which nothing refers to.
        unsafe { mprotect(start, range.len(), protection) }
    }

    pub fn advise(&self, range: Range<usize>, advice: nix::sys::mman::MmapAdvise) -> nix::Result<()> {
        let start = NonNull::new(self.start.as_ptr().wrapping_byte_add(range.start)).ok_or(Errno::EINVAL)?;
        // SAFETY: the range is inside of the mapping, which nothing refers to.
        unsafe { nix::sys::mman::madvise(start, range.len(), advice) }
    }

    /// Unmaps a part; the rest stays owned.
    pub fn punch(&self, range: Range<usize>) -> nix::Result<()> {
        let start = NonNull::new(self.start.as_ptr().wrapping_byte_add(range.start)).ok_or(Errno::EINVAL)?;
        // SAFETY: the range is inside of the mapping, which nothing refers to.
        unsafe { munmap(start, range.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this value owns the range.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}
