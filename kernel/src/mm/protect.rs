//! mprotect(2).

use super::AddressSpace;
use super::address_space::page_range;
use super::area::{AreaFlags, RIGHTS, VmArea};
use super::limits::{Limits, MAX_AREAS, check_commit, check_room};
use super::map::is_committed;
use crate::error::{Errno, Error, Result};
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, PageFlags, Vaddr};

impl AddressSpace {
    /// Gives the pages of a range other rights. With `to_edge_of_stack` the range begins at the start of the area that grows down
    /// (PROT_GROWSDOWN).
    ///
    /// # Errors
    /// EINVAL, ENOMEM (a gap, limits), EACCES (more than the file was opened for). Areas before the one at fault are changed, as in Linux.
    pub fn protect(
        &self,
        start: Vaddr,
        len: usize,
        rights: PageFlags,
        to_edge_of_stack: bool,
        limits: &Limits,
    ) -> Result<()> {
        let mut range = page_range(start, len, Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut areas = self.areas.write();
        if to_edge_of_stack {
            let (area_range, area) = areas.map.get(start).ok_or(Errno::ENOMEM)?;
            if !area.flags.contains(AreaFlags::GROWS_DOWN) {
                return Err(Errno::EINVAL.into());
            }
            range.start = area_range.start;
        }
        if areas.map.len() + 2 > MAX_AREAS {
            return Err(Error::with(Errno::ENOMEM, "too many areas"));
        }
        let (end, refusal) = allowed_end(&areas.map, &range, rights);
        let now_data: usize = areas
            .map
            .overlapping(range.start..end)
            .filter(|(_, area)| rights.contains(PageFlags::WRITE) && !area.is_shared() && !area.is_data())
            .map(|(r, _)| r.end.min(end) - r.start.max(range.start))
            .sum();
        let becomes_committed = areas.map.overlapping(range.start..end).any(|(_, area)| {
            let writable = VmArea { rights, ..area.clone() };
            !is_committed(area) && is_committed(&writable)
        });
        check_room(&areas, 0, now_data / PAGE_SIZE, limits)?;
        if becomes_committed {
            check_commit(now_data / PAGE_SIZE)?;
        }
        if range.start < end {
            areas.change(range.start..end, |_, area| {
                area.rights = rights;
                if rights.contains(PageFlags::WRITE) && !area.is_shared() {
                    area.flags |= AreaFlags::HAS_COPIES;
                }
            });
            self.apply_rights(range.start..end, rights)?;
        }
        refusal.map_or(Ok(()), |errno| Err(errno.into()))
    }

    /// Rewrites the rights of the pages that are mapped. WRITE is never added here: the next write faults and decides between copying,
    /// marking dirty and using the page as it is.
    fn apply_rights(&self, range: Range<Vaddr>, rights: PageFlags) -> Result<()> {
        let end = range.end;
        let mut cursor = self.space.cursor(range)?;
        let readable = if rights.intersects(RIGHTS) { PageFlags::READ } else { PageFlags::empty() };
        cursor.protect_to(end, &mut |flags| {
            let kept = flags & !(PageFlags::READ | PageFlags::EXECUTE | PageFlags::WRITE);
            kept | (flags & rights & PageFlags::WRITE) | (rights & PageFlags::EXECUTE) | readable
        });
        Ok(())
    }
}

/// How far `rights` may be given from the start of `range` on, and why not further.
fn allowed_end(
    map: &coffer_interval_map::IntervalMap<VmArea>,
    range: &Range<Vaddr>,
    rights: PageFlags,
) -> (Vaddr, Option<Errno>) {
    let mut reached = range.start;
    for (area_range, area) in map.overlapping(range.clone()) {
        if area_range.start > reached {
            return (reached, Some(Errno::ENOMEM));
        }
        if !area.max_rights.contains(rights & RIGHTS) {
            return (reached, Some(Errno::EACCES));
        }
        reached = area_range.end.min(range.end);
    }
    (reached, (reached < range.end).then_some(Errno::ENOMEM))
}
