//! Nested page tables: a cache of the page states. A private page is mapped at its own address, a shared one at its shared alias.

use coffer_tdsim_rules::layout::{HIGH_BASE, LARGE_PAGE, Memory, PAGE};
use coffer_tdsim_rules::page::{PER_LARGE, Pages, State};

use crate::memory;

const PRESENT_WRITE_USER: u64 = 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The tables of the domain.
#[derive(Debug)]
pub struct NestedTables {
    /// Address of the root.
    pub root: u64,
    levels: u32,
    shared_bit: u64,
}

impl NestedTables {
    /// Empty ones.
    pub fn new(gpaw: u64) -> Self {
        Self { root: memory::table(), levels: if gpaw == 52 { 5 } else { 4 }, shared_bit: 1 << (gpaw - 1) }
    }

    /// Makes the entries of `count` pages from number `first` on what their states say. Whether an entry that the processor may
    /// have cached is gone.
    pub fn sync(&mut self, memory: &Memory, pages: &Pages, first: usize, count: usize) -> bool {
        let mut has_removed = false;
        for page in first..(first + count).min(pages.len()) {
            let gpa = gpa_of(memory, page);
            let private = memory.private(gpa).unwrap_or(0);
            let state = pages.state(page);
            has_removed |= self.set(gpa, (state == State::Private).then_some(private));
            has_removed |= self.set(gpa | self.shared_bit, (state == State::Shared).then_some(gpa));
        }
        has_removed
    }

    /// The same for all pages of the large page that `page` is in.
    pub fn sync_around(&mut self, memory: &Memory, pages: &Pages, page: usize) -> bool {
        self.sync(memory, pages, page - page % PER_LARGE, PER_LARGE)
    }

    /// Sets or clears an entry; whether there was another one.
    fn set(&mut self, gpa: u64, target: Option<u64>) -> bool {
        let Some(entry) = self.entry(gpa, target.is_some()) else { return false };
        let old = memory::read_u64(entry);
        let new = target.map_or(0, |address| address | PRESENT_WRITE_USER);
        // The processor sets accessed and dirty.
        if old & (ADDRESS | 1) == new & (ADDRESS | 1) {
            return false;
        }
        memory::write_u64(entry, new);
        old != 0
    }

    /// The address of the last level's entry; tables on the way are made if that is wanted.
    fn entry(&self, gpa: u64, is_made: bool) -> Option<u64> {
        let mut table = self.root;
        for level in (1..self.levels).rev() {
            let entry = table + (gpa >> (12 + 9 * level) & 0x1ff) * 8;
            let mut value = memory::read_u64(entry);
            if value == 0 {
                if !is_made {
                    return None;
                }
                value = memory::table() | PRESENT_WRITE_USER;
                memory::write_u64(entry, value);
            }
            table = value & ADDRESS;
        }
        Some(table + (gpa >> 12 & 0x1ff) * 8)
    }
}

/// The guest address of a page.
pub fn gpa_of(memory: &Memory, page: usize) -> u64 {
    let linear = page as u64 * PAGE;
    if linear < memory.low_end { linear } else { linear - memory.low_end + HIGH_BASE }
}

const _: () = assert!(LARGE_PAGE == PER_LARGE as u64 * PAGE);
