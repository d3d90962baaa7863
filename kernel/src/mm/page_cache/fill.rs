//! Bringing pages in from the backing, one filler a page, ahead of sequential readers; and taking them back.

use super::{Cache, DIRTY_PAGES, PageCache, Slot};
use crate::error::{Errno, Result};
use crate::mm::frames;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ostd::mm::UFrame;

/// The most that is read ahead, in pages (128 KiB, as Linux's default read_ahead_kb).
const MAX_READAHEAD: usize = 32;

impl Cache {
    /// The page at `index`, filled from the backing by us or by whoever is already at it.
    pub(super) fn fill(&self, index: usize) -> Result<UFrame> {
        loop {
            let Some(claimed) = self.claim(index) else {
                // Filled or being filled by another: wait, then look.
                let frame = self.filled.wait_until(|| match self.pages.lock().slots.get(&index) {
                    Some(Slot::Filling) => None,
                    Some(Slot::Ready { frame, .. }) => Some(Some(frame.clone())),
                    None => Some(None),
                });
                match frame {
                    Some(frame) => return Ok(frame),
                    None => continue,
                }
            };
            return self.fill_claimed(index, claimed);
        }
    }

    /// Claims `index` and what to read ahead with it; returns how many pages, or `None` if `index` is not free.
    fn claim(&self, index: usize) -> Option<usize> {
        let end = self.len_pages();
        let mut pages = self.pages.lock();
        if pages.slots.contains_key(&index) {
            return None;
        }
        let (expected, window) = pages.readahead;
        let window = if index == expected { (window * 2).clamp(4, MAX_READAHEAD) } else { 1 };
        let mut claimed = 0;
        while claimed < window
            && (claimed == 0 || index + claimed < end)
            && !pages.slots.contains_key(&(index + claimed))
        {
            pages.slots.insert(index + claimed, Slot::Filling);
            claimed += 1;
        }
        pages.readahead = (index + claimed, window);
        Some(claimed)
    }

    fn fill_claimed(&self, index: usize, claimed: usize) -> Result<UFrame> {
        let result = self.read_in(index, claimed);
        let frames = result.as_ref().map_or(&[][..], Vec::as_slice);
        let mut pages = self.pages.lock();
        for (i, index) in (index..index + claimed).enumerate() {
            match frames.get(i) {
                Some(frame) => {
                    let frame = frame.clone();
                    pages.slots.insert(index, Slot::Ready { frame, is_dirty: false, was_used: true });
                }
                None => drop(pages.slots.remove(&index)),
            }
        }
        pages.resident += frames.len();
        drop(pages);
        self.counter().fetch_add(frames.len(), Ordering::Relaxed);
        self.filled.wake_all();
        result?.into_iter().next().ok_or(Errno::ENOMEM.into())
    }

    /// Frames with the contents of pages from `first` on: `count`, or fewer when memory is short, but never none.
    fn read_in(&self, first: usize, count: usize) -> Result<Vec<UFrame>> {
        let Some(backing) = &self.backing else { return Err(Errno::EIO.into()) };
        let mut new = Vec::new();
        new.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        new.push(frames::reclaimable()?);
        while new.len() < count
            && let Ok(frame) = UFrame::alloc_dirty()
        {
            new.push(frame);
        }
        if backing.fill_many(first, &new).is_err() {
            // The error may lie in what nobody has asked for yet.
            new.truncate(1);
            backing.fill(first, &new[0])?;
        }
        Ok(new)
    }

    /// Takes up to `BATCH` dirty pages from `from` on, marked clean.
    fn take_dirty(&self, from: usize) -> Result<Vec<(usize, UFrame)>> {
        /// Pages at a time: enough that protecting mappings does not count, few enough for one allocation.
        const BATCH: usize = 256;
        let mut taken = Vec::new();
        taken.try_reserve_exact(BATCH).map_err(|_| Errno::ENOMEM)?;
        let mut pages = self.pages.lock();
        for (&index, slot) in pages.slots.range_mut(from..) {
            if let Slot::Ready { frame, is_dirty, .. } = slot
                && core::mem::replace(is_dirty, false)
            {
                taken.push((index, frame.clone()));
                if taken.len() == BATCH {
                    break;
                }
            }
        }
        DIRTY_PAGES.fetch_sub(taken.len(), Ordering::Relaxed);
        Ok(taken)
    }

    /// Drops up to `want` clean pages that nobody else holds and that were not used since the last call; returns how many went.
    pub(in crate::mm) fn evict(&self, want: usize) -> usize {
        /// Slots looked at under one hold of the lock.
        const BATCH: usize = 256;
        let mut pages = self.pages.lock();
        let mut victims = Vec::new();
        let mut looked = 0;
        let hand = pages.hand;
        let mut reached = 0;
        for (&index, slot) in pages.slots.range_mut(hand..).take(BATCH) {
            looked += 1;
            reached = index + 1;
            if let Slot::Ready { frame, is_dirty: false, was_used } = slot
                && frame.share_count() == 1
                && !core::mem::replace(was_used, false)
                && victims.len() < want
                && victims.try_reserve(1).is_ok()
            {
                victims.push(index);
            }
        }
        pages.hand = if looked < BATCH { 0 } else { reached };
        for index in &victims {
            if let Some(slot) = pages.slots.remove(index) {
                self.forget(&mut pages, &slot);
            }
        }
        victims.len()
    }

    /// Writes back what is dirty; what fails stays so.
    pub(in crate::mm) fn clean(self: &Arc<Self>) {
        // The backing has the error; whoever calls fsync(2) gets it.
        let _ = PageCache(self.clone()).sync();
    }

    /// How many pages there are.
    pub(in crate::mm) fn resident(&self) -> usize {
        self.pages.lock().resident
    }
}

impl PageCache {
    /// Writes dirty pages back.
    ///
    /// # Errors
    /// The last one of the backing; the pages concerned stay dirty.
    pub fn sync(&self) -> Result<()> {
        let Some(backing) = &self.0.backing else { return Ok(()) };
        let mut result = Ok(());
        let mut next = 0;
        loop {
            // In this order: a write through a mapping after the mark was taken either comes before the protection, and is in what is
            // written back, or faults and marks the page again.
            let dirty = self.0.take_dirty(next)?;
            let Some(&(last, _)) = dirty.last() else { return result };
            self.write_protect_mappings();
            for (index, frame) in &dirty {
                if let Err(error) = backing.write_back(*index, frame) {
                    self.mark_dirty(*index);
                    result = Err(error);
                }
            }
            next = last + 1;
        }
    }
}
