//! The memory that devices reach in a TD: taken at boot, shared with the host in one call, and mapped as shared memory and in no other way from then on. No
//! page ever changes sides, so a transfer costs a copy and no call to the host. What is free is known to private memory only.

use core::ops::Range;

use alloc::vec::Vec;

use super::super::frame::buddy::{Buddy, NONE, Store};
use super::super::{PAGE_SIZE, Paddr};
use crate::sync::{SpinLock, WaitQueue};
use crate::{Error, Result};

struct Pool {
    start: Paddr,
    buddy: Buddy,
    marks: Marks,
}

static POOL: SpinLock<Option<Pool>> = SpinLock::new(None);

/// For each page: the order of the free block that starts there, and its neighbours.
struct Marks(Vec<(Option<usize>, (u32, u32))>);

/// Whoever waits for pages that transfers have.
static ROOM: WaitQueue = WaitQueue::new();

/// For how long pages are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mm) enum Stay {
    /// As long as the device is used. A quarter of the pool is not for those.
    ForGood,
    /// For one transfer.
    Transfer,
}

/// `count` contiguous pages, as whoever had them before left them.
pub(in crate::mm) fn alloc(count: usize, stay: Stay) -> Result<Paddr> {
    if count == 0 {
        return Err(Error::InvalidArgument);
    }
    let mut pool = POOL.lock_irq();
    let Pool { start, buddy, marks } = pool.as_mut().ok_or(Error::NoResource)?;
    if stay == Stay::ForGood && buddy.free() < marks.0.len() / 4 + count {
        return Err(Error::NoMemory);
    }
    let page = buddy.alloc(marks, count).ok_or(Error::NoMemory)?;
    Ok(*start + page as usize * PAGE_SIZE)
}

/// As [`alloc`], for a transfer; sleeps until others have ended, if it must.
pub(in crate::mm) fn wait_for(count: usize) -> Result<Paddr> {
    ROOM.wait_until(|| match alloc(count, Stay::Transfer) {
        Err(Error::NoMemory) => None,
        outcome => Some(outcome),
    })
}

/// Gives pages back.
pub(in crate::mm) fn free(at: Paddr, count: usize) {
    if let Some(Pool { start, buddy, marks }) = POOL.lock_irq().as_mut() {
        let first = (at - *start) / PAGE_SIZE;
        buddy.free_range(marks, first as u32, (first + count) as u32);
    }
    ROOM.wake_all();
}

/// Takes the pool's memory, a part of all within bounds; nothing outside of a TD. A network card's rings take two MiB.
#[cfg(target_os = "none")]
pub(in crate::mm) fn take(free: &mut super::super::early::FreeRanges) -> Range<Paddr> {
    use crate::tdx::{self, memory::LARGE_PAGE};

    const PART: usize = 512;
    const BOUNDS: (usize, usize) = (16 << 20, 64 << 20);
    if !tdx::is_active() {
        return 0..0;
    }
    let total: usize = free.iter().map(|stretch| stretch.range.len()).sum();
    let len = (total / PART).clamp(BOUNDS.0, BOUNDS.1).next_multiple_of(LARGE_PAGE);
    free.take_large_pages(len).expect("the machine has memory for devices")
}

/// Shares the memory that [`take`] took, which must be mapped as shared only by now.
#[cfg(target_os = "none")]
pub(in crate::mm) fn open(range: Range<Paddr>) {
    if !range.is_empty() {
        crate::tdx::share(range.clone());
        fill(range);
    }
}

fn fill(range: Range<Paddr>) {
    let pages = range.len() / PAGE_SIZE;
    let mut pool = Pool {
        start: range.start,
        buddy: Buddy::new(),
        marks: Marks(alloc::vec![(None, (NONE, NONE)); pages]),
    };
    pool.buddy.free_range(&mut pool.marks, 0, pages as u32);
    *POOL.lock_irq() = Some(pool);
}

impl Store for Marks {
    fn free_order(&self, page: u32) -> Option<usize> {
        // The last block's buddy may lie beyond the end.
        self.0.get(page as usize)?.0
    }

    fn set_free_order(&mut self, page: u32, order: Option<usize>) {
        self.0[page as usize].0 = order;
    }

    fn links(&self, page: u32) -> (u32, u32) {
        self.0[page as usize].1
    }

    fn set_links(&mut self, page: u32, links: (u32, u32)) {
        self.0[page as usize].1 = links;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{Stay, alloc, fill, free};
    use crate::Error;
    use crate::mm::PAGE_SIZE;
    use crate::mm::host::tests::boot;

    #[test]
    fn pages_are_handed_out_once_and_come_back() {
        const START: usize = 0x4000_0000;
        boot();
        assert_eq!(alloc(1, Stay::Transfer), Err(Error::NoResource), "there is no pool outside of a TD");
        fill(START..START + 24 * PAGE_SIZE);
        assert_eq!(alloc(0, Stay::Transfer), Err(Error::InvalidArgument));
        let mut runs: Vec<_> = [3, 15].map(|count| (alloc(count, Stay::ForGood).unwrap(), count)).into();
        assert_eq!(alloc(1, Stay::ForGood), Err(Error::NoMemory), "a quarter is for transfers");
        runs.extend([1, 1, 4].map(|count| (alloc(count, Stay::Transfer).unwrap(), count)));
        assert_eq!(alloc(1, Stay::Transfer), Err(Error::NoMemory), "24 pages are 3 + 15 + 1 + 1 + 4");
        let mut pages: Vec<_> =
            runs.iter().flat_map(|(at, count)| (0..*count).map(move |i| at + i * PAGE_SIZE)).collect();
        pages.sort_unstable();
        pages.dedup();
        assert_eq!((pages.len(), pages[0], pages[23]), (24, START, START + 23 * PAGE_SIZE));
        runs.into_iter().for_each(|(at, count)| free(at, count));
        assert_eq!(alloc(16, Stay::ForGood), Ok(START));
    }
}
