//! What a cursor has taken out of the tables but cannot free yet, because TLBs may still know it.

use core::mem::MaybeUninit;

use super::{VmSpace, table};
use crate::mm::frame::UFrame;
use crate::mm::{PAGE_SIZE, Paddr, Vaddr};

const FRAMES: usize = 64;
const TABLES: usize = 32;

/// A batch. Its owner calls [`Pending::flush`] when it is full and at the end.
#[derive(Debug)]
pub(super) struct Pending {
    /// The stretch to flush; empty if `end` is 0.
    start: Vaddr,
    end: Vaddr,
    frames: List<FRAMES>,
    /// Detached tables, (leaf ones with the frames they map still in them).
    leaves: List<TABLES>,
    empty: List<TABLES>,
}

/// A few addresses, not initialised: a cursor is made for each page fault.
#[derive(Debug)]
struct List<const N: usize> {
    len: usize,
    items: [MaybeUninit<Paddr>; N],
}

impl<const N: usize> List<N> {
    const fn new() -> Self {
        Self { len: 0, items: [const { MaybeUninit::uninit() }; N] }
    }

    fn push(&mut self, item: Paddr) {
        self.items[self.len].write(item);
        self.len += 1;
    }

    fn is_full(&self) -> bool {
        self.len == N
    }

    fn drain(&mut self) -> impl Iterator<Item = Paddr> {
        let len = core::mem::take(&mut self.len);
        // SAFETY: the first `len` items were written.
        self.items[..len].iter().map(|item| unsafe { item.assume_init() })
    }
}

impl Pending {
    #[inline]
    pub(super) fn new() -> Self {
        Self { start: 0, end: 0, frames: List::new(), leaves: List::new(), empty: List::new() }
    }

    /// TLBs must forget the page at `address`.
    #[inline]
    pub(super) fn forget_page(&mut self, address: Vaddr) {
        self.forget(address, address + PAGE_SIZE);
    }

    fn forget(&mut self, start: Vaddr, end: Vaddr) {
        if self.end == 0 {
            (self.start, self.end) = (start, end);
        } else {
            (self.start, self.end) = (self.start.min(start), self.end.max(end));
        }
    }

    /// A frame whose handle leaves the tables; its page has to be forgotten separately if it was present.
    pub(super) fn release(&mut self, space: &VmSpace, frame: Paddr) {
        self.frames.push(frame);
        if self.frames.is_full() {
            self.flush(space);
        }
    }

    /// A leaf table that was detached with all it maps, spanning from `start` to `end`.
    pub(super) fn release_leaf(&mut self, space: &VmSpace, leaf: Paddr, start: Vaddr, end: Vaddr) {
        self.forget(start, end);
        self.leaves.push(leaf);
        if self.leaves.is_full() {
            self.flush(space);
        }
    }

    /// A table that became empty and was detached; `address` lies in its span.
    pub(super) fn release_empty(&mut self, space: &VmSpace, table: Paddr, address: Vaddr) {
        // Flushing any page of its span drops it from paging-structure caches (Intel SDM vol. 3, 4.10.4.1).
        self.forget_page(address);
        self.empty.push(table);
        if self.empty.is_full() {
            self.flush(space);
        }
    }

    /// Flushes, then frees.
    #[inline]
    pub(super) fn flush(&mut self, space: &VmSpace) {
        if self.end != 0 {
            let frees_tables = self.leaves.len + self.empty.len > 0;
            space.flush(self.start, (self.end - self.start) / PAGE_SIZE, frees_tables);
            self.end = 0;
        }
        for frame in self.frames.drain() {
            // SAFETY: the address stood for a handle in an entry that is no more.
            drop(unsafe { UFrame::from_raw(frame) });
        }
        for leaf in self.leaves.drain() {
            // SAFETY: the table was detached and flushed, so its entries are handles that are ours.
            unsafe { table::release_frames(leaf) };
            // SAFETY: all of its frames are settled.
            unsafe { table::free(leaf) };
        }
        for table in self.empty.drain() {
            // SAFETY: the table was detached empty, and flushed.
            unsafe { table::free(table) };
        }
    }
}
