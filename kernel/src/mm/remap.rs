//! mremap(2).

use super::AddressSpace;
use super::address_space::{Areas, page_range};
use super::area::{AreaFlags, Backing, VmArea};
use super::layout::MIN_ADDRESS;
use super::limits::{Limits, MAX_AREAS, check_commit, check_locked, check_room};
use super::map::is_committed;
use crate::error::{Errno, Error, Result};
use alloc::vec::Vec;
use coffer_interval_map::Interval;
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, USER_END, Vaddr, page_up};

/// Where a mapping may go when it is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nowhere: it stays or the call fails.
    Never,
    /// Anywhere (MREMAP_MAYMOVE).
    Anywhere,
    /// Here, replacing what there is (MREMAP_FIXED).
    To(Vaddr),
}

impl AddressSpace {
    /// Resizes and moves a mapping; returns where it is. With `keep_old` (MREMAP_DONTUNMAP) the old range stays mapped, empty. An `old_len` of 0
    /// maps a shared mapping a second time.
    ///
    /// # Errors
    /// EINVAL, EFAULT (not one mapping), ENOMEM, EAGAIN (locked memory).
    pub fn remap(
        &self,
        start: Vaddr,
        old_len: usize,
        new_len: usize,
        to: Move,
        keep_old: bool,
        limits: &Limits,
    ) -> Result<Vaddr> {
        let old = page_range(start, old_len, Errno::EINVAL)?;
        let new_len = page_up(new_len).filter(|&len| len > 0 && len <= USER_END).ok_or(Errno::EINVAL)?;
        let mut dropped = Vec::new();
        let mut areas = self.areas.write();

        if let Move::To(target) = to {
            let target = page_range(target, new_len, Errno::EINVAL)?;
            if target.start < old.end && old.start < target.end || target.start < MIN_ADDRESS {
                return Err(Errno::EINVAL.into());
            }
        }
        let area = check_source(&areas, &old, new_len, keep_old)?;
        if old.is_empty() && to == Move::Never {
            return Err(Errno::EINVAL.into());
        }

        let mut old = old;
        if new_len < old.len() && !keep_old {
            let tail = old.start + new_len..old.end;
            dropped.push(areas.cut(tail.clone())?);
            self.clear(tail);
            old.end = old.start + new_len;
        }
        let more = new_len.saturating_sub(old.len()) / PAGE_SIZE;
        self.check_growth(&areas, &area, more, limits)?;

        let stays = !matches!(to, Move::To(_)) && !keep_old && !old.is_empty();
        let result = if stays && new_len == old.len() {
            Ok(old.start)
        } else if stays && can_grow(&areas, &old, new_len) {
            let mut tail = area.clone();
            let tail = tail.split_off(old.len());
            areas.insert(old.end..old.start + new_len, tail);
            Ok(old.start)
        } else {
            self.move_area(&mut areas, &old, new_len, to, keep_old, &area, &mut dropped)
        };
        drop(areas);
        drop(dropped);
        let at = result?;
        if area.flags.contains(AreaFlags::LOCKED)
            && !area.flags.contains(AreaFlags::LOCKED_ON_FAULT)
            && more > 0
        {
            // mremap(2): pages that cannot be brought in do not fail the call.
            let _ = self.populate(at + old.len()..at + new_len);
        }
        Ok(at)
    }

    fn check_growth(&self, areas: &Areas, area: &VmArea, more: usize, limits: &Limits) -> Result<()> {
        check_room(areas, more, if area.is_data() { more } else { 0 }, limits)?;
        if area.flags.contains(AreaFlags::LOCKED) {
            check_locked(areas, more, limits, Errno::EAGAIN)?;
        }
        if is_committed(area) { check_commit(more) } else { Ok(()) }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `remap`, split off for its length")]
    fn move_area(
        &self,
        areas: &mut Areas,
        old: &Range<Vaddr>,
        new_len: usize,
        to: Move,
        keep_old: bool,
        area: &VmArea,
        dropped: &mut Vec<Vec<(Range<Vaddr>, VmArea)>>,
    ) -> Result<Vaddr> {
        let at = match to {
            Move::Never => return Err(Error::with(Errno::ENOMEM, "no room to grow in place")),
            Move::Anywhere => areas.find_room(0, new_len, self.layout.mmap_top).ok_or(Errno::ENOMEM)?,
            Move::To(target) => {
                let target = target..target + new_len;
                dropped.push(areas.cut(target.clone())?);
                self.clear(target.clone());
                target.start
            }
        };
        if areas.map.len() + 2 > MAX_AREAS {
            return Err(Error::with(Errno::ENOMEM, "too many areas"));
        }
        if !old.is_empty() {
            let moved = old.len().min(new_len);
            let around = old.start.min(at)..old.end.max(at + new_len);
            let mut cursor = self.space.cursor(around)?;
            cursor.jump(old.start)?;
            cursor.move_to(old.start + moved, at)?;
        }
        let mut new_area = area.clone();
        if keep_old {
            // The old range is as freshly mapped, and is not locked any more.
            areas.change(old.clone(), |_, area| {
                area.flags &= !(AreaFlags::LOCKED | AreaFlags::LOCKED_ON_FAULT);
            });
        } else if !old.is_empty() {
            dropped.push(areas.cut(old.clone())?);
        }
        new_area.flags &= !AreaFlags::HEAP;
        areas.insert(at..at + new_len, new_area);
        Ok(at)
    }
}

/// The area to resize, as it is at the start of `old`.
fn check_source(areas: &Areas, old: &Range<Vaddr>, new_len: usize, keep_old: bool) -> Result<VmArea> {
    let (range, area) = areas.map.get(old.start).ok_or(Errno::EFAULT)?;
    let mut area = area.clone();
    if range.start < old.start {
        area = area.split_off(old.start - range.start);
    }
    if matches!(area.backing, Backing::Frames { .. }) && new_len != old.len() {
        return Err(Errno::EFAULT.into());
    }
    if old.is_empty() && !area.is_shared() {
        return Err(Error::with(Errno::EINVAL, "a private mapping cannot be mapped again"));
    }
    if keep_old && (!area.is_private_anonymous() && !area.is_shared() || new_len != old.len()) {
        return Err(Errno::EINVAL.into());
    }
    // More than one mapping can only shrink at its end.
    if old.end > range.end {
        let whole = old.start..old.start + new_len.min(old.len());
        if new_len >= old.len() || whole.end > range.end || !areas.map.covers(old.clone()) {
            return Err(Errno::EFAULT.into());
        }
    }
    Ok(area)
}

/// Whether `old` ends its area and there is free room behind it.
fn can_grow(areas: &Areas, old: &Range<Vaddr>, new_len: usize) -> bool {
    let Some(end) = old.start.checked_add(new_len).filter(|&end| end <= USER_END) else { return false };
    let ends_area = areas.map.get(old.start).is_some_and(|(range, _)| range.end == old.end);
    ends_area && areas.map.is_free(old.end..end)
}
