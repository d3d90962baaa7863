//! msync(2).

use super::AddressSpace;
use super::address_space::page_range;
use super::area::{AreaFlags, Backing};
use crate::error::{Errno, Result};
use alloc::vec::Vec;
use ostd::mm::Vaddr;

impl AddressSpace {
    /// Writes the files behind shared mappings in a range back if `write` (MS_SYNC).
    ///
    /// # Errors
    /// EINVAL; EBUSY if `refuse_locked` (MS_INVALIDATE) and a page is locked; ENOMEM for a gap (after the rest was done); the file's own.
    pub fn sync(&self, start: Vaddr, len: usize, write: bool, refuse_locked: bool) -> Result<()> {
        let range = page_range(start, len, Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        let areas = self.areas.read();
        let has_gap = !areas.map.covers(range.clone());
        let mut caches = Vec::new();
        for (_, area) in areas.map.overlapping(range) {
            if refuse_locked && area.flags.contains(AreaFlags::LOCKED) {
                return Err(Errno::EBUSY.into());
            }
            if let Backing::File { pages, .. } = &area.backing
                && area.is_shared()
                && write
            {
                caches.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                caches.push(pages.cache().clone());
            }
        }
        drop(areas);
        caches.iter().try_for_each(|cache| cache.sync())?;
        if has_gap { Err(Errno::ENOMEM.into()) } else { Ok(()) }
    }
}
