//! Taking pages away: truncate(2) and FALLOC_FL_PUNCH_HOLE.

use super::io::split;
use super::{PageCache, Slot};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ostd::mm::PAGE_SIZE;

impl PageCache {
    /// Sets the size. Pages past it are dropped and the rest of the last one is zeroed; mappings of dropped pages are unmapped (SIGBUS on
    /// access). Growing makes a hole.
    pub fn truncate(&self, size: u64) {
        let old_size = self.0.size.swap(size, Ordering::AcqRel);
        if size >= old_size {
            return self.clear_tail(old_size);
        }
        let first = size.div_ceil(PAGE_SIZE as u64) as usize;
        self.remove(first, usize::MAX);
        self.clear_tail(size);
        // Private copies of pages that are gone go as well (mmap(2): access past the end is SIGBUS, whoever wrote there).
        self.unmap(first, usize::MAX, true);
    }

    /// Drops whole pages in the range of bytes and zeroes its edges (FALLOC_FL_PUNCH_HOLE). The size stays.
    pub fn punch(&self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (first, last) = (start.div_ceil(PAGE_SIZE as u64) as usize, split(end).0);
        self.zero_edge(start, end.min(start.next_multiple_of(PAGE_SIZE as u64)));
        if split(start).0 != split(end).0 || split(start).1 == 0 {
            self.zero_edge(end - end % PAGE_SIZE as u64, end);
        }
        if first < last {
            self.remove(first, last);
            self.unmap(first, last, false);
            if !self.is_in_memory() {
                self.zero_backing(first, last);
            }
        }
    }

    /// Zeroes bytes that lie in one page, if it is there or comes from a backing.
    fn zero_edge(&self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (index, from) = split(start);
        let page = if self.is_in_memory() { self.0.find(index) } else { self.page_for_write(index).ok() };
        if let Some(frame) = page {
            frame.zero(from..from + (end - start) as usize);
        }
    }

    /// A backed file keeps its blocks: the hole is pages of zeros that wait to be written.
    fn zero_backing(&self, first: usize, end: usize) {
        for index in first..end.min(self.0.len_pages()) {
            if self.0.add_zeroed(index).is_ok() {
                self.0.find_for_write(index);
            }
        }
    }

    fn remove(&self, first: usize, end: usize) {
        let mut freed = Vec::new();
        let mut pages = self.0.pages.lock();
        while let Some(index) = pages
            .slots
            .range(first..end)
            .find(|(_, slot)| matches!(slot, Slot::Ready { .. }))
            .map(|(&index, _)| index)
        {
            if let Some(slot) = pages.slots.remove(&index) {
                self.0.forget(&mut pages, &slot);
                freed.push(slot);
            }
            if freed.len() == 64 {
                // Not too long with preemption off.
                drop(pages);
                freed.clear();
                pages = self.0.pages.lock();
            }
        }
        drop(pages);
        self.0.generation.fetch_add(1, Ordering::SeqCst);
    }
}
