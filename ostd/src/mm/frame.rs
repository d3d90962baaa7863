//! Physical frames whose ownership is in the types.
//!
//! [`UFrame`] is one frame of untyped memory: its bytes may be shared with user space and devices, so they are only
//! ever copied in and out, never borrowed. [`Segment`] is a contiguous run of them. Both count references; the last one frees.

use super::{Paddr, VmReader, VmWriter};
use crate::Result;
use core::ops::Range;

/// One frame of untyped memory. Cloning shares it.
#[derive(Debug)]
pub struct UFrame {
    _paddr: Paddr,
}

impl Clone for UFrame {
    fn clone(&self) -> Self {
        todo!()
    }
}

impl UFrame {
    /// A frame with all bytes zero.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`] when only the reserve is left.
    pub fn alloc_zeroed() -> Result<Self> {
        todo!()
    }

    /// A frame whose bytes are whatever they were. Only for callers that overwrite all of it.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`] when only the reserve is left.
    pub fn alloc_dirty() -> Result<Self> {
        todo!()
    }

    /// The physical address: an identity for keys, never a way in.
    pub fn paddr(&self) -> Paddr {
        todo!()
    }

    /// How many handles (mappings included) share this frame.
    pub fn share_count(&self) -> usize {
        todo!()
    }

    /// Copies bytes out. Panics if `offset + out.len()` exceeds the page.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let _ = (offset, out);
        todo!()
    }

    /// Copies bytes in. Panics if `offset + bytes.len()` exceeds the page.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let _ = (offset, bytes);
        todo!()
    }

    /// Zeroes a range of bytes.
    pub fn zero(&self, range: Range<usize>) {
        let _ = range;
        todo!()
    }

    /// Copies the whole of `from`.
    pub fn copy_from(&self, from: &UFrame) {
        let _ = from;
        todo!()
    }

    /// Copies up to `len` bytes from `offset` on to `writer`; returns how many went.
    ///
    /// # Errors
    /// [`crate::Error::BadAddress`] if not a single byte could go.
    pub fn read_to(&self, offset: usize, len: usize, writer: &mut VmWriter<'_>) -> Result<usize> {
        let _ = (offset, len, writer);
        todo!()
    }

    /// Copies up to `len` bytes from `reader` to `offset`; returns how many came.
    ///
    /// # Errors
    /// [`crate::Error::BadAddress`] if not a single byte could come.
    pub fn write_from(&self, offset: usize, len: usize, reader: &mut VmReader<'_>) -> Result<usize> {
        let _ = (offset, len, reader);
        todo!()
    }
}

/// A contiguous run of frames.
#[derive(Debug)]
pub struct Segment {
    _start: Paddr,
    _frames: usize,
}

impl Segment {
    /// `frames` contiguous zeroed frames.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`].
    pub fn alloc_zeroed(frames: usize) -> Result<Self> {
        let _ = frames;
        todo!()
    }

    /// The first byte's physical address.
    pub fn paddr(&self) -> Paddr {
        todo!()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether it has no frames: never.
    pub fn is_empty(&self) -> bool {
        false
    }

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
