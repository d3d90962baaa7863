//! Device registers: mapped uncached, never over memory that we manage, and for good.

use core::ops::Range;

use spin::Mutex;

use super::tables::{DATA, extend, root};
use crate::mm::frame::{self, Use};
use crate::mm::page_table::Entry;
use crate::mm::ram;
use crate::mm::{PAGE_SIZE, Paddr, Vaddr, machine};
use crate::{Error, Result};

pub(super) const WINDOW: Vaddr = 0xffff_c040_0000_0000;
const WINDOW_END: Vaddr = 0xffff_c080_0000_0000;
/// Physical addresses that page tables can hold.
const PADDR_END: Paddr = 1 << 52;

static NEXT: Mutex<Vaddr> = Mutex::new(WINDOW);

/// Maps `len` bytes of device registers at `paddr` uncached; gives the address of the first one.
///
/// # Errors
/// [`Error::InvalidArgument`] for an empty range or one over memory, [`Error::NoResource`] if the window is full,
/// [`Error::NoMemory`] for page tables.
pub(crate) fn map(paddr: Paddr, len: usize) -> Result<Vaddr> {
    let pages = pages(paddr, len).ok_or(Error::InvalidArgument)?;
    if ram::overlaps(&pages) {
        return Err(Error::InvalidArgument);
    }
    machine::with_cpu(|_| {
        let mut next = NEXT.lock();
        let address = *next;
        let end =
            address.checked_add(pages.len()).filter(|end| *end <= WINDOW_END).ok_or(Error::NoResource)?;
        // Given out even if the tables fail: a window half mapped is not used again.
        *next = end;
        let mut table = || frame::kernel_frame_zeroed(Use::Kernel);
        extend(root(), address, pages.start, pages.len(), DATA | Entry::UNCACHED, &mut table)?;
        Ok(address + (paddr - pages.start))
    })
}

fn pages(paddr: Paddr, len: usize) -> Option<Range<Paddr>> {
    let end = paddr.checked_add(len)?.checked_next_multiple_of(PAGE_SIZE)?;
    (len > 0 && end <= PADDR_END).then_some(paddr & !(PAGE_SIZE - 1)..end)
}
