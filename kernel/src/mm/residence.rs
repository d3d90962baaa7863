//! mincore(2).

use super::AddressSpace;
use super::address_space::page_range;
use super::area::Backing;
use crate::error::{Errno, Result};
use alloc::vec::Vec;
use ostd::mm::{PAGE_SIZE, Vaddr};

impl AddressSpace {
    /// One byte a page: 1 if it is in memory.
    ///
    /// # Errors
    /// EINVAL; ENOMEM for a gap.
    pub fn residence(&self, start: Vaddr, len: usize) -> Result<Vec<u8>> {
        let range = page_range(start, len, Errno::ENOMEM)?;
        let areas = self.areas.read();
        if !areas.map.covers(range.clone()) {
            return Err(Errno::ENOMEM.into());
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(range.len() / PAGE_SIZE).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(range.len() / PAGE_SIZE, 0);
        for (area_range, area) in areas.map.overlapping(range.clone()) {
            let Backing::File { pages, .. } = &area.backing else { continue };
            let from = area_range.start.max(range.start);
            let to = area_range.end.min(range.end);
            let first = area.backing_page(from - area_range.start);
            let offset = (from - range.start) / PAGE_SIZE;
            pages.cache().visit_resident(first, first + (to - from) / PAGE_SIZE, |index, _| {
                bytes[offset + index - first] = 1;
                true
            });
        }
        let mut cursor = self.space.cursor(range.clone())?;
        while let Some(at) = cursor.next_mapped() {
            bytes[(at - range.start) / PAGE_SIZE] = 1;
            if cursor.jump(at + PAGE_SIZE).is_err() {
                break;
            }
        }
        Ok(bytes)
    }
}
