//! What a page cache asks of the address spaces that show its pages.

use super::AddressSpace;
use super::area::{Backing, VmArea};
use super::page_cache::PageCache;
use crate::error::{Errno, Result};
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, PageFlags, Vaddr};

/// Marks pages that are private copies of file pages.
pub(super) const COPY: PageFlags = PageFlags::SOFT;

impl AddressSpace {
    /// Unmaps pages `first..end` of `cache`; private copies of them only if `with_copies`.
    pub(super) fn unmap_cached(&self, cache: &PageCache, first: usize, end: usize, with_copies: bool) {
        let areas = self.areas.read();
        for (range, area) in areas.map.iter() {
            let Some(part) = part_of(cache, &range, area, first, end) else { continue };
            let Ok(mut cursor) = self.space.cursor(part.clone()) else { continue };
            if with_copies {
                cursor.unmap_to(part.end);
                continue;
            }
            while let Some(at) = cursor.next_mapped() {
                let is_copy = cursor.query().is_some_and(|(_, flags)| flags.contains(COPY));
                let step = if is_copy {
                    cursor.jump(at + PAGE_SIZE).is_ok()
                } else {
                    cursor.unmap_to(at + PAGE_SIZE) > 0
                };
                if !step {
                    break;
                }
            }
        }
    }

    /// Takes WRITE from shared mappings of `cache`.
    pub(super) fn write_protect_cached(&self, cache: &PageCache) {
        let areas = self.areas.read();
        for (range, area) in areas.map.iter() {
            let Some(part) = part_of(cache, &range, area, 0, usize::MAX) else { continue };
            if area.is_shared()
                && let Ok(mut cursor) = self.space.cursor(part.clone())
            {
                cursor.protect_to(part.end, &mut |flags| flags & !PageFlags::WRITE);
            }
        }
    }
}

/// Where in an area pages `first..end` of `cache` are.
fn part_of(
    cache: &PageCache,
    range: &Range<Vaddr>,
    area: &VmArea,
    first: usize,
    end: usize,
) -> Option<Range<Vaddr>> {
    let Backing::File { pages, first: area_first, .. } = &area.backing else { return None };
    if pages.cache().id() != cache.id() {
        return None;
    }
    let area_end = area_first + range.len() / PAGE_SIZE;
    let (first, end) = (first.max(*area_first), end.min(area_end));
    (first < end)
        .then(|| range.start + (first - area_first) * PAGE_SIZE..range.start + (end - area_first) * PAGE_SIZE)
}

impl AddressSpace {
    /// What is behind `address` if it is in a shared mapping: the file's identity and the offset in it. `None` for private memory.
    ///
    /// # Errors
    /// EFAULT if nothing is mapped there.
    pub fn shared_place(&self, address: Vaddr) -> Result<Option<(usize, usize)>> {
        let areas = self.areas.read();
        let (range, area) = areas.map.get(address).ok_or(Errno::EFAULT)?;
        match &area.backing {
            Backing::File { pages, first, .. } if area.is_shared() => {
                Ok(Some((pages.cache().id(), first * PAGE_SIZE + (address - range.start))))
            }
            _ => Ok(None),
        }
    }
}
