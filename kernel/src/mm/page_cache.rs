//! Pages of a file in memory, by page index. For tmpfs this *is* the file; for a file on a device it is filled from there.
//! Mappings and read/write share these frames, so both see each other's changes at once.

use crate::error::Result;
use ostd::mm::{UFrame, VmReader, VmWriter};

/// Where pages come from and go to.
pub trait PageBacking: Send + Sync + core::fmt::Debug {
    /// Fills page `index` (all of it; zeros past the end).
    fn fill(&self, index: usize, frame: &UFrame) -> Result<()>;
    /// Writes page `index` back.
    fn write_back(&self, index: usize, frame: &UFrame) -> Result<()>;
}

/// The cached pages of one file.
#[derive(Debug)]
pub struct PageCache {}

impl PageCache {
    /// Memory only (tmpfs): a page that was never written is zeros.
    pub fn in_memory() -> Self {
        todo!()
    }

    /// Backed by a device or another file.
    pub fn backed(backing: alloc::sync::Arc<dyn PageBacking>) -> Self {
        let _ = backing;
        todo!()
    }

    /// The page to read or to map without writing; `None` for a hole of an in-memory file (zeros).
    pub fn page(&self, index: usize) -> Result<Option<UFrame>> {
        let _ = index;
        todo!()
    }

    /// The page to write or to map shared and writable; makes it if need be and marks it dirty.
    pub fn page_for_write(&self, index: usize) -> Result<UFrame> {
        let _ = index;
        todo!()
    }

    /// Copies from `offset` on, at most to `size` (the file's), into `writer`.
    pub fn read_at(&self, offset: u64, size: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        let _ = (offset, size, writer);
        todo!()
    }

    /// Copies all of `reader` to `offset`. The caller moves the file's size.
    pub fn write_at(&self, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let _ = (offset, reader);
        todo!()
    }

    /// Drops the pages past `size` and zeroes the rest of the last one; mappings of dropped pages are unmapped (SIGBUS on access).
    pub fn truncate(&self, size: u64) {
        let _ = size;
        todo!()
    }

    /// Drops whole pages in the range and zeroes its edges (FALLOC_FL_PUNCH_HOLE).
    pub fn punch(&self, start: u64, end: u64) {
        let _ = (start, end);
        todo!()
    }

    /// How many pages are there.
    pub fn resident_pages(&self) -> usize {
        todo!()
    }

    /// Writes dirty pages back.
    pub fn sync(&self) -> Result<()> {
        todo!()
    }
}
