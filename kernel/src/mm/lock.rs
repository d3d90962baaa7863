//! mlock(2) and its family. Without swap, locked pages differ from others in that they are brought in at once and are counted.

use super::AddressSpace;
use super::address_space::page_range;
use super::area::AreaFlags;
use super::fault::Access;
use super::limits::{Limits, check_locked};
use crate::error::{Errno, Result};
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, PageFlags, USER_END, Vaddr};

/// When locked pages are brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// At once.
    Now,
    /// When they are first used (MLOCK_ONFAULT, MCL_ONFAULT).
    OnFault,
}

/// All of user space.
const ALL: Range<Vaddr> = ostd::mm::USER_START..USER_END;

impl AddressSpace {
    /// Locks a range, cut to whole pages.
    ///
    /// # Errors
    /// ENOMEM (a gap, RLIMIT_MEMLOCK), EPERM, EAGAIN (pages could not be brought in).
    pub fn lock(&self, start: Vaddr, len: usize, mode: LockMode, limits: &Limits) -> Result<()> {
        let range = whole_pages(start, len)?;
        let mut areas = self.areas.write();
        let locked: usize = areas
            .map
            .overlapping(range.clone())
            .filter(|(_, area)| area.flags.contains(AreaFlags::LOCKED))
            .map(|(r, _)| r.end.min(range.end) - r.start.max(range.start))
            .sum();
        check_locked(&areas, (range.len() - locked) / PAGE_SIZE, limits, Errno::ENOMEM)?;
        if !areas.map.covers(range.clone()) {
            return Err(Errno::ENOMEM.into());
        }
        areas.change(range.clone(), |_, area| {
            area.flags = area.flags & !AreaFlags::LOCKED_ON_FAULT | mode.flags();
        });
        drop(areas);
        match mode {
            LockMode::OnFault => Ok(()),
            LockMode::Now => self.populate(range),
        }
    }

    /// Unlocks a range, cut to whole pages.
    ///
    /// # Errors
    /// ENOMEM for a gap.
    pub fn unlock(&self, start: Vaddr, len: usize) -> Result<()> {
        let range = whole_pages(start, len)?;
        let mut areas = self.areas.write();
        if !areas.map.covers(range.clone()) {
            return Err(Errno::ENOMEM.into());
        }
        areas.change(range, |_, area| area.flags &= !(AreaFlags::LOCKED | AreaFlags::LOCKED_ON_FAULT));
        Ok(())
    }

    /// Locks what is mapped now, in mode `current`, and what will be, in mode `future`.
    ///
    /// # Errors
    /// ENOMEM (RLIMIT_MEMLOCK), EPERM.
    pub fn lock_all(
        &self,
        current: Option<LockMode>,
        future: Option<LockMode>,
        limits: &Limits,
    ) -> Result<()> {
        let mut areas = self.areas.write();
        if limits.locked == 0 {
            return Err(Errno::EPERM.into());
        }
        if current.is_some() {
            let unlocked = areas.counts.total.saturating_sub(areas.counts.locked);
            check_locked(&areas, unlocked, limits, Errno::ENOMEM)?;
        }
        areas.lock_future = future;
        let Some(mode) = current else { return Ok(()) };
        areas.change(ALL, |_, area| {
            area.flags = area.flags & !AreaFlags::LOCKED_ON_FAULT | mode.flags();
        });
        let mut ranges = alloc::vec::Vec::new();
        ranges.try_reserve_exact(areas.map.len()).map_err(|_| Errno::ENOMEM)?;
        ranges.extend(areas.map.iter().map(|(range, _)| range));
        drop(areas);
        if mode == LockMode::Now {
            for range in ranges {
                // mlockall(2): pages that cannot be brought in (PROT_NONE, past a file's end) do not fail the call.
                let _ = self.populate(range);
            }
        }
        Ok(())
    }

    /// Unlocks everything, now and for later mappings.
    pub fn unlock_all(&self) {
        let mut areas = self.areas.write();
        areas.lock_future = None;
        areas.change(ALL, |_, area| area.flags &= !(AreaFlags::LOCKED | AreaFlags::LOCKED_ON_FAULT));
    }

    /// Brings in the pages of a range, for writing where the area is private and writable.
    ///
    /// # Errors
    /// ENOMEM for a gap, a page without rights or no memory; EFAULT where a page cannot be had (past a file's end).
    pub(super) fn populate(&self, range: Range<Vaddr>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let areas = self.areas.read();
            let (area_range, area) = areas.map.get(at).ok_or(Errno::ENOMEM)?;
            let access = if area.rights.contains(PageFlags::WRITE) && !area.is_shared() {
                Access::Write
            } else if area.rights.is_empty() {
                return Err(Errno::ENOMEM.into());
            } else {
                Access::Read
            };
            let end = area_range.end.min(range.end);
            drop(areas);
            while at < end {
                self.bring_in(at, access)?;
                at += PAGE_SIZE;
            }
        }
        Ok(())
    }
}

/// mlock(2) rounds outwards.
fn whole_pages(start: Vaddr, len: usize) -> Result<Range<Vaddr>> {
    let first = ostd::mm::page_down(start);
    let len = len.checked_add(start - first).ok_or(Errno::EINVAL)?;
    page_range(first, len, Errno::ENOMEM)
}
