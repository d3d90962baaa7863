//! Runs of pages whose frames lie anywhere: where the heap goes for large objects when memory is in pieces.
//!
//! The window has a region for each order, cut into slots of 2^order pages, so that a run is as aligned as one of contiguous frames. Freeing gives the
//! frames back at once, wherever it happens; TLBs may still know the pages, which harms nobody as long as the addresses are not
//! used again. Those wait until [`recycle`] has flushed all CPUs, which only happens where that cannot deadlock. Lists of slots are
//! linked through the entries of their first pages, which are not present then: the heap cannot keep its books on the heap.

use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use super::tables::{DATA, extend, leaf, remove_page, root};
use crate::mm::frame::{self, Use, allocator};
use crate::mm::{PAGE_SIZE, Vaddr, machine, tlb};
use crate::{Error, Result};

pub(super) const WINDOW: Vaddr = 0xffff_c080_0000_0000;
const WINDOW_END: Vaddr = 0xffff_c100_0000_0000;
/// The longest run: 64 MiB, as of contiguous frames.
const MAX_ORDER: usize = 14;
const REGION: usize = (WINDOW_END - WINDOW) / (MAX_ORDER + 2);
/// From so many pages on that wait to be flushed, it is worth it.
const RECYCLE_FROM: usize = 8192;

static REGIONS: Mutex<[Region; MAX_ORDER + 1]> = Mutex::new([const { Region::new() }; MAX_ORDER + 1]);
/// Pages that wait to be flushed.
static STALE_PAGES: AtomicUsize = AtomicUsize::new(0);

/// The slots of one order.
struct Region {
    /// Never used from here on.
    next: u32,
    /// No TLB knows them.
    clean: List,
    /// Some TLB may know them.
    stale: List,
}

/// Free slots: first and last.
#[derive(Clone, Copy)]
struct List(Option<(u32, u32)>);

/// Whether `address` is in a run of ours.
#[inline]
pub(in crate::mm) fn owns(address: Vaddr) -> bool {
    (WINDOW..WINDOW_END).contains(&address)
}

/// A run of `pages` pages, aligned to the next power of two; their bytes are whatever they were.
///
/// # Errors
/// [`Error::NoMemory`], also for more than 64 MiB.
pub(in crate::mm) fn alloc(pages: usize) -> Result<Vaddr> {
    let order = order_for(pages).ok_or(Error::NoMemory)?;
    machine::with_cpu(|_| {
        let mut regions = REGIONS.lock();
        let region = &mut regions[order];
        let slot = region.take(order).ok_or(Error::NoMemory)?;
        let start = base(order, slot);
        for page in 0..pages {
            if let Err(error) = map(start + page * PAGE_SIZE) {
                (0..page).for_each(|page| unmap(start + page * PAGE_SIZE));
                match page {
                    // There may be no table to hold a link, but then it was the first use of this slot.
                    0 if slot + 1 == region.next => region.next = slot,
                    0 => region.clean.push(order, slot),
                    _ => region.stale.push(order, slot),
                }
                return Err(error);
            }
        }
        Ok(start)
    })
}

/// Gives back a run of `pages` pages. Works anywhere, also where nobody may wait.
pub(in crate::mm) fn free(start: Vaddr, pages: usize) {
    let order = order_for(pages).expect("the run was allocated with this length");
    let slot = ((start - base(order, 0)) / span(order)) as u32;
    machine::with_cpu(|_| {
        let mut regions = REGIONS.lock();
        (0..pages).for_each(|page| unmap(start + page * PAGE_SIZE));
        regions[order].stale.push(order, slot);
        STALE_PAGES.fetch_add(pages, Ordering::Relaxed);
    });
}

/// Whether it is time to [`recycle`].
#[inline]
pub(crate) fn wants_recycling() -> bool {
    STALE_PAGES.load(Ordering::Relaxed) >= RECYCLE_FROM
}

/// Makes all CPUs forget the runs that were freed, so that their addresses can be used again. The caller holds no lock, and preemption is not off:
/// it waits for other CPUs.
#[cold]
pub(crate) fn recycle() {
    let lists = machine::with_cpu(|_| {
        STALE_PAGES.store(0, Ordering::Relaxed);
        let mut regions = REGIONS.lock();
        core::array::from_fn::<List, { MAX_ORDER + 1 }, _>(|order| {
            core::mem::replace(&mut regions[order].stale, List(None))
        })
    });
    tlb::flush_kernel(WINDOW, (WINDOW_END - WINDOW) / PAGE_SIZE);
    machine::with_cpu(|_| {
        let mut regions = REGIONS.lock();
        for (order, list) in lists.into_iter().enumerate() {
            regions[order].clean.prepend(order, list);
        }
    });
}

impl Region {
    const fn new() -> Self {
        Self { next: 0, clean: List(None), stale: List(None) }
    }

    fn take(&mut self, order: usize) -> Option<u32> {
        if let Some(slot) = self.clean.pop(order) {
            return Some(slot);
        }
        let slot = self.next;
        if slot as usize >= REGION / span(order) {
            return None;
        }
        self.next += 1;
        Some(slot)
    }
}

impl List {
    fn push(&mut self, order: usize, slot: u32) {
        set_link(order, slot, self.0.map(|(first, _)| first));
        self.0 = Some((slot, self.0.map_or(slot, |(_, last)| last)));
    }

    fn pop(&mut self, order: usize) -> Option<u32> {
        let (first, last) = self.0?;
        self.0 = link(order, first).map(|next| (next, last));
        set_link(order, first, None);
        Some(first)
    }

    /// Puts `list` before this one.
    fn prepend(&mut self, order: usize, list: List) {
        let Some((first, middle)) = list.0 else { return };
        set_link(order, middle, self.0.map(|(first, _)| first));
        self.0 = Some((first, self.0.map_or(middle, |(_, last)| last)));
    }
}

/// The slot after `slot` in its list. Links are one more than the slot, above the bit that would make the entry present.
fn link(order: usize, slot: u32) -> Option<u32> {
    let entry = leaf(base(order, slot)).expect("a slot in a list was mapped before");
    let link = (entry.load(Ordering::Relaxed) >> 1) as u32;
    link.checked_sub(1)
}

fn set_link(order: usize, slot: u32, next: Option<u32>) {
    let entry = leaf(base(order, slot)).expect("a slot in a list was mapped before");
    let link = next.map_or(0, |next| u64::from(next) + 1);
    entry.store(link << 1, Ordering::Relaxed);
}

fn map(address: Vaddr) -> Result<()> {
    let paddr = frame::kernel_frame(Use::Heap)?;
    let mut table = || frame::kernel_frame_zeroed(Use::Heap);
    extend(root(), address, paddr, PAGE_SIZE, DATA, &mut table).inspect_err(|_| allocator::free_one(paddr))
}

fn unmap(address: Vaddr) {
    let frame = remove_page(address).expect("the pages of a run are mapped");
    allocator::free_one(frame);
}

fn base(order: usize, slot: u32) -> Vaddr {
    WINDOW + order * REGION + slot as usize * span(order)
}

fn span(order: usize) -> usize {
    PAGE_SIZE << order
}

fn order_for(pages: usize) -> Option<usize> {
    let order = pages.checked_next_power_of_two()?.trailing_zeros() as usize;
    (pages > 0 && order <= MAX_ORDER).then_some(order)
}
