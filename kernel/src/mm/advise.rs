//! madvise(2).

use super::AddressSpace;
use super::address_space::{Areas, page_range};
use super::area::{AreaFlags, Backing, VmArea};
use super::fault::Access;
use super::page_cache::PageCache;
use crate::error::{Errno, Result};
use alloc::vec::Vec;
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, PageFlags, Vaddr};

/// What to do about a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Change flags: take the first away, add the second.
    Flags(AreaFlags, AreaFlags),
    /// MADV_DONTNEED, and MADV_FREE, which may as well be done at once: next use finds zeros or the file.
    Drop {
        /// MADV_FREE: private anonymous memory only.
        only_anonymous: bool,
        /// MADV_DONTNEED_LOCKED.
        even_locked: bool,
    },
    /// MADV_REMOVE: punch a hole into the file.
    Remove,
    /// MADV_POPULATE_READ and MADV_POPULATE_WRITE.
    Populate(Access),
    /// MADV_WILLNEED: start reading.
    WillNeed,
    /// Accepted, without effect here (MADV_NOHUGEPAGE, MADV_COLD, …).
    Nothing,
}

impl AddressSpace {
    /// Follows the advice.
    ///
    /// # Errors
    /// EINVAL (alignment, areas that the advice does not fit), ENOMEM for a gap (after the rest was done), EFAULT, EHWPOISON never.
    pub fn advise(&self, start: Vaddr, len: usize, advice: Advice) -> Result<()> {
        let range = page_range(start, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        match advice {
            Advice::Flags(take, add) => self.change_flags(range, take, add),
            Advice::Drop { only_anonymous, even_locked } => {
                self.drop_pages(range, only_anonymous, even_locked)
            }
            Advice::Remove => self.remove_pages(range),
            Advice::Populate(access) => self.populate_for(range, access),
            Advice::WillNeed => self.read_ahead(range),
            Advice::Nothing => gap_check(&self.areas.read(), &range),
        }
    }

    fn change_flags(&self, range: Range<Vaddr>, take: AreaFlags, add: AreaFlags) -> Result<()> {
        let mut areas = self.areas.write();
        let fits = |area: &VmArea| !add.contains(AreaFlags::WIPE_ON_FORK) || area.is_private_anonymous();
        if !areas.map.overlapping(range.clone()).all(|(_, area)| fits(area)) {
            return Err(Errno::EINVAL.into());
        }
        areas.change(range.clone(), |_, area| area.flags = area.flags & !take | add);
        gap_check(&areas, &range)
    }

    fn drop_pages(&self, range: Range<Vaddr>, only_anonymous: bool, even_locked: bool) -> Result<()> {
        let areas = self.areas.read();
        self.note_peak();
        for (area_range, area) in areas.map.overlapping(range.clone()) {
            let is_locked = area.flags.contains(AreaFlags::LOCKED) && !even_locked;
            let is_special = matches!(area.backing, Backing::Frames { .. });
            if is_locked || is_special || only_anonymous && !area.is_private_anonymous() {
                return Err(Errno::EINVAL.into());
            }
            let part = area_range.start.max(range.start)..area_range.end.min(range.end);
            self.space.cursor(part.clone())?.unmap_to(part.end);
        }
        gap_check(&areas, &range)
    }

    fn remove_pages(&self, range: Range<Vaddr>) -> Result<()> {
        let areas = self.areas.read();
        let mut holes: Vec<(PageCache, u64, u64)> = Vec::new();
        for (area_range, area) in areas.map.overlapping(range.clone()) {
            let Backing::File { pages, .. } = &area.backing else { return Err(Errno::EINVAL.into()) };
            if !area.is_shared() || area.flags.contains(AreaFlags::LOCKED) {
                return Err(Errno::EINVAL.into());
            }
            if !area.max_rights.contains(PageFlags::WRITE) {
                return Err(Errno::EACCES.into());
            }
            let from = area_range.start.max(range.start);
            let len = area_range.end.min(range.end) - from;
            let first = area.backing_page(from - area_range.start) as u64 * PAGE_SIZE as u64;
            holes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            holes.push((pages.cache().clone(), first, first + len as u64));
        }
        let result = gap_check(&areas, &range);
        drop(areas);
        holes.iter().for_each(|(cache, start, end)| cache.punch(*start, *end));
        result
    }

    fn populate_for(&self, range: Range<Vaddr>, access: Access) -> Result<()> {
        for at in range.step_by(PAGE_SIZE) {
            self.bring_in(at, access)?;
        }
        Ok(())
    }

    /// Brings file pages into the cache; they are mapped when they are used.
    fn read_ahead(&self, range: Range<Vaddr>) -> Result<()> {
        let areas = self.areas.read();
        let mut wanted: Vec<(PageCache, Range<usize>)> = Vec::new();
        for (area_range, area) in areas.map.overlapping(range.clone()) {
            if let Backing::File { pages, .. } = &area.backing
                && !pages.cache().is_in_memory()
            {
                let from = area_range.start.max(range.start);
                let first = area.backing_page(from - area_range.start);
                let end = first + (area_range.end.min(range.end) - from) / PAGE_SIZE;
                let in_file = pages.cache().size().div_ceil(PAGE_SIZE as u64) as usize;
                wanted.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                wanted.push((pages.cache().clone(), first..end.min(in_file)));
            }
        }
        let result = gap_check(&areas, &range);
        drop(areas);
        for (cache, pages) in wanted {
            // Only advice: an error shows when the page is used.
            let _ = pages.into_iter().try_for_each(|index| cache.page(index).map(drop));
        }
        result
    }
}

fn gap_check(areas: &Areas, range: &Range<Vaddr>) -> Result<()> {
    if areas.map.covers(range.clone()) { Ok(()) } else { Err(Errno::ENOMEM.into()) }
}
