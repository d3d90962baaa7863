//! The frame allocator: per-CPU stacks of single frames in front of the [`Buddy`] system, and the reserve.
//!
//! A single frame costs a pop; one lock operation moves [`BATCH`] frames. Works in interrupts: everything here runs with interrupts off.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use super::super::early::{MAX_RANGES, Stretch};
use super::super::machine::{self, Padded, PerCpuCell};
use super::super::{PAGE_SIZE, Paddr, kspace};
use super::buddy::{Buddy, NONE, Store};
use super::meta;
use crate::cpu::MAX_CPUS;
use crate::{Error, Result, tdx};

/// Frames moved at a time between a CPU's stack and the buddy system.
const BATCH: usize = 32;
const STACK: usize = 2 * BATCH;

/// Who asks, and so how deep into the reserve it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mm) enum Use {
    /// User memory: never touches the reserve.
    User,
    /// Page tables, stacks, device memory: a failure is reported, so the last quarter of the reserve is not theirs.
    Kernel,
    /// The heap, whose failure is a panic: all of it.
    Heap,
}

struct Shared {
    buddy: Buddy,
    /// Frames that the buddy system has not heard of yet.
    fresh: [Stretch; MAX_RANGES],
    fresh_len: usize,
    prepared_section: usize,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared {
    buddy: Buddy::new(),
    fresh: [const { Stretch::EMPTY }; MAX_RANGES],
    fresh_len: 0,
    prepared_section: usize::MAX,
});
static CACHES: PerCpuCell<[u32; STACK]> = PerCpuCell::new([const { Padded::new([0; STACK]) }; MAX_CPUS]);
/// How full each CPU's stack is; only that CPU writes. Apart from the stacks so that [`counts`] may look.
static CACHED: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];
static TOTAL: AtomicUsize = AtomicUsize::new(0);
static RESERVE: AtomicUsize = AtomicUsize::new(0);
/// Free frames outside of the per-CPU stacks; written under the lock.
static FREE: AtomicUsize = AtomicUsize::new(0);

/// Frames that nobody has accepted yet; written under the lock.
static UNACCEPTED: AtomicUsize = AtomicUsize::new(0);

/// Hands over the usable stretches (frame numbers, sorted, disjoint). Call once.
pub(super) fn init(stretches: impl Iterator<Item = Stretch>) {
    machine::with_cpu(|_| {
        let mut shared = SHARED.lock();
        let mut total = 0;
        let mut unaccepted = 0;
        for stretch in stretches.filter(|s| !s.range.is_empty()) {
            let at = shared.fresh_len;
            if let Some(slot) = shared.fresh.get_mut(at) {
                total += stretch.range.len();
                unaccepted += if stretch.is_accepted { 0 } else { stretch.range.len() };
                *slot = stretch;
                shared.fresh_len += 1;
            }
        }
        UNACCEPTED.store(unaccepted, Ordering::Relaxed);
        TOTAL.store(total, Ordering::Relaxed);
        FREE.store(total, Ordering::Relaxed);
        RESERVE.store((total / 64).clamp(64, 8192), Ordering::Relaxed);
    });
}

/// A single frame, marked as held.
#[inline]
pub(in crate::mm) fn alloc_one(purpose: Use) -> Result<Paddr> {
    if purpose == Use::User && FREE.load(Ordering::Relaxed) < RESERVE.load(Ordering::Relaxed) {
        return Err(Error::NoMemory);
    }
    with_cache(|stack, len| {
        let mut filled = len.load(Ordering::Relaxed);
        if filled == 0 {
            filled = refill(stack, purpose)?;
        }
        len.store(filled - 1, Ordering::Relaxed);
        Ok(stack[filled - 1] as usize * PAGE_SIZE)
    })
}

/// Gives back a single frame that nobody uses any more.
#[inline]
pub(in crate::mm) fn free_one(paddr: Paddr) {
    meta::of(paddr).set_held();
    with_cache(|stack, len| {
        let mut filled = len.load(Ordering::Relaxed);
        if filled == STACK {
            filled = drain(stack);
        }
        stack[filled] = (paddr / PAGE_SIZE) as u32;
        len.store(filled + 1, Ordering::Relaxed);
    });
}

#[inline]
fn with_cache<R>(f: impl FnOnce(&mut [u32; STACK], &AtomicUsize) -> R) -> R {
    // SAFETY: `f` takes and gives single frames here and from the buddy system, neither of which comes back.
    unsafe { CACHES.with(|cpu, stack| f(stack, &CACHED[cpu])) }
}

/// `count` contiguous frames, aligned to the next power of two.
pub(in crate::mm) fn alloc_run(count: usize, purpose: Use) -> Result<Paddr> {
    machine::with_cpu(|_| {
        let mut shared = SHARED.lock();
        let floor = floor(purpose).checked_add(count).ok_or(Error::NoMemory)?;
        if FREE.load(Ordering::Relaxed) < floor {
            return Err(Error::NoMemory);
        }
        let start = shared.take(count).ok_or(Error::NoMemory)?;
        Ok(start as usize * PAGE_SIZE)
    })
}

/// Gives back a run, or a part of one.
pub(in crate::mm) fn free_run(start: Paddr, count: usize) {
    let first = (start / PAGE_SIZE) as u32;
    machine::with_cpu(|_| {
        let mut shared = SHARED.lock();
        for frame in first..first + count as u32 {
            meta::of_number(frame).set_held();
        }
        shared.give(first, count as u32);
    });
}

/// Frames that nobody has accepted yet.
pub(in crate::mm) fn unaccepted() -> usize {
    UNACCEPTED.load(Ordering::Relaxed)
}

/// Accepts a large page, if there is one left; whether there was. The lock is free meanwhile, and interrupts may be on: others need frames.
pub(in crate::mm) fn accept_some() -> bool {
    if unaccepted() == 0 {
        return false;
    }
    let piece = machine::with_cpu(|_| SHARED.lock().next_fresh());
    let Some(frames) = piece.map(accepted) else { return false };
    machine::with_cpu(|_| SHARED.lock().prepare(frames));
    true
}

/// (total, free, reserve) in frames.
pub(in crate::mm) fn counts() -> (usize, usize, usize) {
    let cached: usize = CACHED.iter().map(|len| len.load(Ordering::Relaxed)).sum();
    (TOTAL.load(Ordering::Relaxed), FREE.load(Ordering::Relaxed) + cached, RESERVE.load(Ordering::Relaxed))
}

/// Whether less than half of the reserve is left outside of the per-CPU stacks.
pub(in crate::mm) fn is_below_half_reserve() -> bool {
    FREE.load(Ordering::Relaxed) < RESERVE.load(Ordering::Relaxed) / 2
}

/// Whether less than a quarter is.
#[inline]
pub(in crate::mm) fn is_below_quarter_reserve() -> bool {
    FREE.load(Ordering::Relaxed) < RESERVE.load(Ordering::Relaxed) / 4
}

fn floor(purpose: Use) -> usize {
    let reserve = RESERVE.load(Ordering::Relaxed);
    match purpose {
        Use::User => reserve,
        Use::Kernel => reserve / 4,
        Use::Heap => 0,
    }
}

/// Fills an empty stack; returns how full it is.
#[cold]
#[inline(never)]
fn refill(stack: &mut [u32; STACK], purpose: Use) -> Result<usize> {
    let mut shared = SHARED.lock();
    let free = FREE.load(Ordering::Relaxed);
    // Inside the reserve one at a time: what the kernel leaves on the stack would be anybody's.
    let wanted =
        if free >= floor(Use::User) + BATCH { BATCH } else { free.saturating_sub(floor(purpose)).min(1) };
    let mut filled = 0;
    while filled < wanted {
        let Some(frame) = shared.take(1) else { break };
        stack[filled] = frame;
        filled += 1;
    }
    if filled == 0 { Err(Error::NoMemory) } else { Ok(filled) }
}

/// Empties half of a full stack; returns how full it is. The oldest go: those freed last are warm in the CPU's caches.
#[cold]
#[inline(never)]
fn drain(stack: &mut [u32; STACK]) -> usize {
    let mut shared = SHARED.lock();
    for frame in &stack[..BATCH] {
        shared.give(*frame, 1);
    }
    stack.copy_within(BATCH.., 0);
    STACK - BATCH
}

impl Shared {
    fn take(&mut self, count: usize) -> Option<u32> {
        loop {
            if let Some(start) = self.buddy.alloc(&mut InPlace, count) {
                FREE.fetch_sub(count, Ordering::Relaxed);
                return Some(start);
            }
            if !self.prepare_next() {
                return None;
            }
        }
    }

    fn give(&mut self, start: u32, count: u32) {
        self.buddy.free_range(&mut InPlace, start, start + count);
        FREE.fetch_add(count as usize, Ordering::Relaxed);
    }

    /// Moves the fresh frames of one section to the buddy system, or of one large page where they must be accepted first.
    fn prepare_next(&mut self) -> bool {
        let Some(piece) = self.next_fresh() else { return false };
        self.prepare(accepted(piece));
        true
    }

    /// Takes the next piece that the buddy system has not heard of. Goes down from the top, so that memory below 4 GiB lasts longest.
    fn next_fresh(&mut self) -> Option<Stretch> {
        const LARGE_PAGE: usize = tdx::memory::LARGE_PAGE / PAGE_SIZE;
        let last = self.fresh_len.checked_sub(1)?;
        let Stretch { range, is_accepted } = self.fresh[last].clone();
        let section = (range.end - 1) / meta::SECTION;
        let step = if is_accepted { meta::SECTION } else { LARGE_PAGE };
        let start = range.start.max((range.end - 1) / step * step);
        // Sections come in falling order, and one section can hold several ranges.
        if self.prepared_section != section {
            meta::prepare_section(section);
            self.prepared_section = section;
        }
        if start == range.start {
            self.fresh_len = last;
        } else {
            self.fresh[last].range.end = start;
        }
        Some(Stretch { range: start..range.end, is_accepted })
    }

    fn prepare(&mut self, frames: Range<usize>) {
        self.buddy.free_range(&mut InPlace, frames.start as u32, frames.end as u32);
    }
}

/// Accepts a piece, unless it was: being taken out of what is fresh it is nobody else's.
fn accepted(Stretch { range, is_accepted }: Stretch) -> Range<usize> {
    if !is_accepted {
        tdx::memory::accept(range.start * PAGE_SIZE..range.end * PAGE_SIZE);
        UNACCEPTED.fetch_sub(range.len(), Ordering::Relaxed);
    }
    range
}

/// Marks in the metadata array, links in the free frames themselves.
struct InPlace;

impl InPlace {
    fn slot(frame: u32) -> *mut [u32; 2] {
        kspace::phys_to_ptr(frame as usize * PAGE_SIZE).cast()
    }
}

impl Store for InPlace {
    fn free_order(&self, frame: u32) -> Option<usize> {
        meta::of_number(frame).free_order()
    }

    fn set_free_order(&mut self, frame: u32, order: Option<usize>) {
        meta::of_number(frame).set_free_order(order);
    }

    fn links(&self, frame: u32) -> (u32, u32) {
        // SAFETY: `frame` starts a free block, so its bytes are the allocator's, and the lock is held.
        let [previous, next] = unsafe { Self::slot(frame).read() };
        (previous, next)
    }

    fn set_links(&mut self, frame: u32, (previous, next): (u32, u32)) {
        debug_assert!(frame != NONE, "links of no frame");
        // SAFETY: as in `links`.
        unsafe { Self::slot(frame).write([previous, next]) };
    }
}
