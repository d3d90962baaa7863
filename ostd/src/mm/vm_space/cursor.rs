//! [`Cursor`].

use core::ops::Range;
use core::sync::atomic::Ordering;

use spin::MutexGuard;

use super::pending::Pending;
use super::{PageFlags, VmSpace, table};
use crate::mm::frame::{self, UFrame};
use crate::mm::page_table::{ENTRIES, Entry, index, span};
use crate::mm::{PAGE_SIZE, Paddr, Vaddr, machine, tlb};
use crate::{Error, Result};

/// How [`Cursor::share_to`] hands pages to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Both sides lose WRITE: the next write copies.
    CopyOnWrite,
    /// Both sides keep their rights.
    Shared,
}

/// A place in a locked range of page tables. Dropping it flushes what has to be flushed on all CPUs that use the
/// space, and only then frees what was unmapped.
#[derive(Debug)]
pub struct Cursor<'a> {
    space: &'a VmSpace,
    at: Vaddr,
    range: Range<Vaddr>,
    /// The leaf table last used, for the 2 MiB from `leaf_start`.
    leaf: Option<Paddr>,
    leaf_start: Vaddr,
    resident_change: isize,
    pending: Pending,
    // Last, in this order: unlocked, then preemptible again.
    _lock: MutexGuard<'a, ()>,
    _pin: machine::Pin,
}

/// What 2 MiB hold.
const LEAF_SPAN: usize = span(2);

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(space: &'a VmSpace, range: Range<Vaddr>) -> Self {
        let pin = machine::pin();
        let lock = loop {
            if let Some(lock) = space.lock.try_lock() {
                break lock;
            }
            // The holder may be waiting for this very CPU to flush.
            tlb::serve_pending();
            core::hint::spin_loop();
        };
        Self {
            space,
            at: range.start,
            range,
            leaf: None,
            leaf_start: 0,
            resident_change: 0,
            pending: Pending::new(),
            _lock: lock,
            _pin: pin,
        }
    }

    /// Where the cursor stands.
    pub fn address(&self) -> Vaddr {
        self.at
    }

    /// Moves to `address` in the range.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] outside of the range or not aligned.
    pub fn jump(&mut self, address: Vaddr) -> Result<()> {
        let is_inside = (self.range.start..=self.range.end).contains(&address);
        if !is_inside || !address.is_multiple_of(PAGE_SIZE) {
            return Err(Error::InvalidArgument);
        }
        self.at = address;
        Ok(())
    }

    /// The page mapped here: a new handle to its frame and its flags.
    pub fn query(&mut self) -> Option<(UFrame, PageFlags)> {
        let leaf = self.leaf_if_inside()?;
        // SAFETY: the table is in use under our lock.
        let entry = table::load(unsafe { table::slot(leaf, self.at, 1) });
        if !entry.is_mapped() {
            return None;
        }
        // SAFETY: the entry's handle lives while we hold the lock.
        unsafe { UFrame::share_raw(entry.paddr()) };
        // SAFETY: this is the handle just made.
        Some((unsafe { UFrame::from_raw(entry.paddr()) }, entry.flags()))
    }

    /// Moves to the next mapped page at or after this one; `None` if there is none in the range (the cursor is at its end then).
    pub fn next_mapped(&mut self) -> Option<Vaddr> {
        while self.at < self.range.end {
            let Some(leaf) = self.leaf_at(self.at) else {
                self.at = self.skip_hole(self.at).min(self.range.end);
                continue;
            };
            // SAFETY: the table is in use under our lock.
            let slots = unsafe { table::slots(leaf) };
            let first = index(self.at, 1);
            let found = slots[first..].iter().position(|slot| table::load(slot).is_mapped());
            let steps = found.unwrap_or(ENTRIES - first);
            self.at = (self.at + steps * PAGE_SIZE).min(self.range.end);
            if found.is_some() && self.at < self.range.end {
                return Some(self.at);
            }
        }
        None
    }

    /// Maps `frame` here, replacing what was, and moves on by a page.
    ///
    /// # Errors
    /// [`Error::NoMemory`] for a page table; [`Error::InvalidArgument`] at the end of the range.
    pub fn map(&mut self, frame: UFrame, flags: PageFlags) -> Result<()> {
        if self.at >= self.range.end {
            return Err(Error::InvalidArgument);
        }
        let leaf = self.leaf_or_new(self.at)?;
        let entry = Entry::user_page(frame.into_raw(), flags);
        self.place(leaf, self.at, entry);
        self.at += PAGE_SIZE;
        Ok(())
    }

    /// Unmaps from here to `end`; returns how many pages were mapped. The cursor is at `end` then (or at the end of its range).
    pub fn unmap_to(&mut self, end: Vaddr) -> usize {
        let end = self.bound(end);
        let before = self.resident_change;
        while self.at < end {
            let Some(leaf) = self.leaf_at(self.at) else {
                self.at = self.skip_hole(self.at).min(end);
                continue;
            };
            let stop = self.leaf_end(self.at).min(end);
            if stop - self.at == LEAF_SPAN {
                self.detach_leaf(leaf);
            } else {
                self.unmap_in(leaf, stop);
            }
            self.at = stop;
        }
        (before - self.resident_change) as usize
    }

    /// Rewrites the flags of every page mapped from here to `end`. The cursor is at `end` then.
    pub fn protect_to(&mut self, end: Vaddr, change: &mut dyn FnMut(PageFlags) -> PageFlags) {
        let end = self.bound(end);
        while self.at < end {
            let Some(leaf) = self.leaf_at(self.at) else {
                self.at = self.skip_hole(self.at).min(end);
                continue;
            };
            let stop = self.leaf_end(self.at).min(end);
            // SAFETY: the table is in use under our lock.
            let slots = unsafe { table::slots(leaf) };
            for slot in &slots[index(self.at, 1)..][..(stop - self.at) / PAGE_SIZE] {
                let old = table::load(slot);
                if old.is_mapped() {
                    self.rewrite(slot, old, change);
                }
                self.at += PAGE_SIZE;
            }
        }
    }

    /// Maps every page mapped from here to `end` at the same address in `child` (fork). Walks whole tables at once. The cursor is at `end` then.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; what was shared so far stays. [`Error::InvalidArgument`] if the child's range does not cover this one.
    pub fn share_to(&mut self, end: Vaddr, child: &mut Cursor<'_>, how: Share) -> Result<()> {
        let end = self.bound(end);
        if self.at < end && (child.range.start > self.at || child.range.end < end) {
            return Err(Error::InvalidArgument);
        }
        while self.at < end {
            let Some(leaf) = self.leaf_at(self.at) else {
                self.at = self.skip_hole(self.at).min(end);
                continue;
            };
            let stop = self.leaf_end(self.at).min(end);
            self.share_in(leaf, stop, child, how)?;
            self.at = stop;
        }
        Ok(())
    }

    /// Moves every page mapped from here to `end` by `target - here` (mremap). The target must be in another, unmapped stretch of this cursor's
    /// range. The cursor is at `end` then; on an error nothing was moved.
    ///
    /// # Errors
    /// [`Error::NoMemory`], [`Error::InvalidArgument`].
    pub fn move_to(&mut self, end: Vaddr, target: Vaddr) -> Result<()> {
        let start = self.at;
        let len = self.bound(end).saturating_sub(start);
        let target_end = target.checked_add(len).ok_or(Error::InvalidArgument)?;
        let is_inside =
            self.range.start <= target && target_end <= self.range.end && target.is_multiple_of(PAGE_SIZE);
        let is_apart = target_end <= start || target >= start + len;
        if !is_inside || !is_apart {
            return Err(Error::InvalidArgument);
        }

        // Whatever can fail comes first.
        while let Some(from) = self.next_mapped().filter(|from| *from < start + len) {
            let to = from - start + target;
            let leaf = self.leaf_or_new(to)?;
            // SAFETY: the table is in use under our lock.
            if table::load(unsafe { table::slot(leaf, to, 1) }).is_mapped() {
                self.at = start;
                return Err(Error::InvalidArgument);
            }
            self.at = from + PAGE_SIZE;
        }

        self.at = start;
        while let Some(from) = self.next_mapped().filter(|from| *from < start + len) {
            let to = from - start + target;
            let leaf = self.leaf_or_new(to)?;
            // Counted as one more meanwhile: if it is the source's table as well, it may be empty in between, and must not go.
            frame::add_entries(leaf, 1);
            if let Some(entry) = self.take(from) {
                self.place(leaf, to, entry);
            }
            frame::add_entries(leaf, -1);
            self.at = from + PAGE_SIZE;
        }
        self.at = start + len;
        Ok(())
    }

    /// The leaf table for `address`.
    #[cfg(test)]
    pub(super) fn table_at(&mut self, address: Vaddr) -> Option<Paddr> {
        self.leaf_at(address)
    }

    fn bound(&self, end: Vaddr) -> Vaddr {
        (end & !(PAGE_SIZE - 1)).clamp(self.at, self.range.end.max(self.at))
    }

    fn leaf_end(&self, address: Vaddr) -> Vaddr {
        (address | (LEAF_SPAN - 1)) + 1
    }

    #[inline]
    fn leaf_if_inside(&mut self) -> Option<Paddr> {
        if self.at >= self.range.end { None } else { self.leaf_at(self.at) }
    }

    /// The leaf table for `address`, if there is one.
    #[inline]
    fn leaf_at(&mut self, address: Vaddr) -> Option<Paddr> {
        let start = address & !(LEAF_SPAN - 1);
        if let Some(leaf) = self.leaf
            && self.leaf_start == start
        {
            return Some(leaf);
        }
        let mut node = self.space.root;
        for level in [4, 3, 2] {
            // SAFETY: tables under the root live while we hold the lock.
            let entry = table::load(unsafe { table::slot(node, address, level) });
            if !entry.is_present() {
                return None;
            }
            node = entry.paddr();
        }
        (self.leaf, self.leaf_start) = (Some(node), start);
        Some(node)
    }

    /// The leaf table for `address`, made if there is none.
    #[inline]
    fn leaf_or_new(&mut self, address: Vaddr) -> Result<Paddr> {
        match self.leaf_at(address) {
            Some(leaf) => Ok(leaf),
            None => self.grow(address),
        }
    }

    #[cold]
    fn grow(&mut self, address: Vaddr) -> Result<Paddr> {
        let mut node = self.space.root;
        for level in [4, 3, 2] {
            // SAFETY: tables under the root live while we hold the lock.
            let slot = unsafe { table::slot(node, address, level) };
            let mut entry = table::load(slot);
            if !entry.is_present() {
                entry = Entry::user_table(table::new()?);
                // Released, so that the hardware's walk on another CPU finds the table zeroed.
                slot.store(entry.0, Ordering::Release);
                frame::add_entries(node, 1);
            }
            node = entry.paddr();
        }
        (self.leaf, self.leaf_start) = (Some(node), address & !(LEAF_SPAN - 1));
        Ok(node)
    }

    /// One past the hole around `address`, which has no leaf table: the end of the span that the first empty entry on the way down covers.
    fn skip_hole(&self, address: Vaddr) -> Vaddr {
        let mut node = self.space.root;
        for level in [4, 3, 2] {
            // SAFETY: tables under the root live while we hold the lock.
            let entry = table::load(unsafe { table::slot(node, address, level) });
            if !entry.is_present() {
                return (address | (span(level) - 1)) + 1;
            }
            node = entry.paddr();
        }
        address
    }

    /// Writes an entry that carries a handle; what was there is released.
    #[inline]
    fn place(&mut self, leaf: Paddr, address: Vaddr, entry: Entry) {
        // SAFETY: the table is in use under our lock.
        let slot = unsafe { table::slot(leaf, address, 1) };
        let old = table::load(slot);
        if !old.is_mapped() {
            slot.store(entry.0, Ordering::Release);
            frame::add_entries(leaf, 1);
            self.resident_change += 1;
            return;
        }
        let old = Entry(slot.swap(entry.0, Ordering::AcqRel));
        if old.needs_flush(entry) {
            self.pending.forget_page(address);
        }
        self.pending.release(self.space, old.paddr());
    }

    /// Takes an entry out with its handle; tables that become empty go.
    fn take(&mut self, address: Vaddr) -> Option<Entry> {
        let leaf = self.leaf_at(address)?;
        // SAFETY: the table is in use under our lock.
        let old = Entry(unsafe { table::slot(leaf, address, 1) }.swap(0, Ordering::AcqRel));
        if !old.is_mapped() {
            return None;
        }
        if old.is_present() {
            self.pending.forget_page(address);
        }
        self.resident_change -= 1;
        if frame::add_entries(leaf, -1) == 0 {
            self.detach(address, 2);
        }
        Some(old)
    }

    fn unmap_in(&mut self, leaf: Paddr, stop: Vaddr) {
        // SAFETY: the table is in use under our lock, and detached only after the loop.
        let slots = unsafe { table::slots(leaf) };
        let mut unmapped = 0;
        for (i, slot) in slots[index(self.at, 1)..][..(stop - self.at) / PAGE_SIZE].iter().enumerate() {
            if !table::load(slot).is_mapped() {
                continue;
            }
            // Swapped, not stored: the hardware may be setting DIRTY.
            let old = Entry(slot.swap(0, Ordering::AcqRel));
            if old.is_present() {
                self.pending.forget_page(self.at + i * PAGE_SIZE);
            }
            self.pending.release(self.space, old.paddr());
            unmapped += 1;
        }
        self.resident_change -= unmapped;
        if unmapped > 0 && frame::add_entries(leaf, -(unmapped as i32)) == 0 {
            self.detach(self.at, 2);
        }
    }

    /// Takes the leaf table at the cursor out of the tree with all that it maps.
    fn detach_leaf(&mut self, leaf: Paddr) {
        let start = self.at;
        self.resident_change -= frame::add_entries(leaf, 0) as isize;
        self.leaf = None;
        self.cut(start, 2);
        self.pending.release_leaf(self.space, leaf, start, start + LEAF_SPAN);
    }

    /// Takes the empty table below the entry for `address` at `level` out of the tree.
    fn detach(&mut self, address: Vaddr, level: usize) {
        self.leaf = None;
        let table = self.cut(address, level);
        self.pending.release_empty(self.space, table, address);
    }

    /// Clears the entry for `address` at `level`, and detaches tables above that become empty. Returns what it pointed to.
    fn cut(&mut self, address: Vaddr, level: usize) -> Paddr {
        let mut node = self.space.root;
        for above in (level + 1..=4).rev() {
            // SAFETY: tables under the root live while we hold the lock.
            node = table::load(unsafe { table::slot(node, address, above) }).paddr();
        }
        // SAFETY: as above.
        let old = Entry(unsafe { table::slot(node, address, level) }.swap(0, Ordering::AcqRel));
        if frame::add_entries(node, -1) == 0 && level < 4 {
            self.detach(address, level + 1);
        }
        old.paddr()
    }

    fn rewrite(
        &mut self,
        slot: &core::sync::atomic::AtomicU64,
        mut old: Entry,
        change: &mut dyn FnMut(PageFlags) -> PageFlags,
    ) {
        let address = self.at;
        loop {
            let new = Entry::user_page(old.paddr(), change(old.flags()));
            // Compared, because the hardware may set ACCESSED and DIRTY meanwhile.
            match slot.compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    if old.needs_flush(new) {
                        self.pending.forget_page(address);
                    }
                    return;
                }
                Err(now) => old = Entry(now),
            }
        }
    }

    fn share_in(&mut self, leaf: Paddr, stop: Vaddr, child: &mut Cursor<'_>, how: Share) -> Result<()> {
        // SAFETY: the table is in use under our lock.
        let slots = unsafe { table::slots(leaf) };
        let mut target = None;
        let mut added = 0;
        // Flushed as one stretch: noting it for each page costs more than it saves.
        let mut protected = None;
        for (i, slot) in slots[index(self.at, 1)..][..(stop - self.at) / PAGE_SIZE].iter().enumerate() {
            let mut entry = table::load(slot);
            if !entry.is_mapped() {
                continue;
            }
            let address = self.at + i * PAGE_SIZE;
            let target = match target {
                Some(target) => target,
                // Only now: a table without mapped pages needs none in the child.
                None => *target.insert(child.leaf_or_new(address)?),
            };
            if how == Share::CopyOnWrite && entry.is_writable() {
                // Only the one bit: the hardware may be setting others.
                entry = Entry(slot.fetch_and(!Entry::WRITE, Ordering::AcqRel) & !Entry::WRITE);
                protected = Some((protected.map_or(address, |(first, _)| first), address));
            }
            // SAFETY: the entry's handle lives while we hold the lock; the child's entry carries the new one.
            unsafe { UFrame::share_raw(entry.paddr()) };
            // SAFETY: the child's table is in use under its lock.
            let child_slot = unsafe { table::slot(target, address, 1) };
            if table::load(child_slot).is_mapped() {
                child.place(target, address, entry);
            } else {
                child_slot.store(entry.0, Ordering::Release);
                added += 1;
            }
        }
        if let Some((first, last)) = protected {
            self.pending.forget_page(first);
            self.pending.forget_page(last);
        }
        if let Some(target) = target {
            frame::add_entries(target, added);
            child.resident_change += added as isize;
        }
        Ok(())
    }
}

impl Drop for Cursor<'_> {
    #[inline]
    fn drop(&mut self) {
        let resident = self.space.resident.load(Ordering::Relaxed);
        self.space.resident.store(resident.wrapping_add_signed(self.resident_change), Ordering::Relaxed);
        self.pending.flush(self.space);
    }
}
