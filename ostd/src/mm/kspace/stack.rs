//! Kernel stacks: 64 KiB above 64 KiB of nothing, so that an overflow faults instead of overwriting.
//!
//! Stacks of ended tasks are kept for the next ones. They are given back to the frames by the task that reaps ([`trim`]), never where a
//! stack is dropped: that may be deep in a task switch, where waiting for other CPUs to flush is out of the question.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use super::tables::{DATA, extend, remove_page, root};
use crate::mm::frame::{self, Use, allocator};
use crate::mm::{PAGE_SIZE, Vaddr, machine, tlb};
use crate::{Error, Result};

pub(super) const WINDOW: Vaddr = 0xffff_c000_0000_0000;
/// Bytes of a stack.
const LEN: usize = 64 * 1024;
const PAGES: usize = LEN / PAGE_SIZE;
/// A stack and the guard below it.
const SLOT: usize = 2 * LEN;
const SLOTS: u32 = ((256 << 30) / SLOT) as u32;
/// Idle stacks kept.
const KEPT: usize = 64;

/// A stack that is ours alone.
#[derive(Debug)]
pub(crate) struct KernelStack {
    slot: u32,
}

struct Slots {
    /// Mapped and idle; room for all slots in use was made when they were mapped, so a drop does not allocate.
    idle: Vec<u32>,
    /// Not mapped any more.
    unmapped: Vec<u32>,
    /// Never used from here on.
    next: u32,
    mapped: usize,
}

static SLOTS_IN_USE: Mutex<Slots> =
    Mutex::new(Slots { idle: Vec::new(), unmapped: Vec::new(), next: 0, mapped: 0 });
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// Frames that back stacks.
pub(crate) fn mapped_frames() -> usize {
    MAPPED.load(Ordering::Relaxed) * PAGES
}

impl KernelStack {
    /// A mapped stack; its bytes are whatever they were.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(crate) fn new() -> Result<Self> {
        machine::with_cpu(|_| {
            let mut slots = SLOTS_IN_USE.lock();
            if let Some(slot) = slots.idle.pop() {
                return Ok(Self { slot });
            }
            let wanted = slots.mapped + 1 - slots.idle.len();
            slots.idle.try_reserve(wanted).map_err(|_| Error::NoMemory)?;
            let slot = match slots.unmapped.pop() {
                Some(slot) => slot,
                None if slots.next < SLOTS => {
                    slots.next += 1;
                    slots.next - 1
                }
                None => return Err(Error::NoMemory),
            };
            if let Err(error) = map(slot) {
                slots.unmapped.push(slot);
                return Err(error);
            }
            slots.mapped += 1;
            MAPPED.store(slots.mapped, Ordering::Relaxed);
            Ok(Self { slot })
        })
    }

    /// One past the highest byte.
    pub(crate) fn top(&self) -> Vaddr {
        base(self.slot) + LEN
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        machine::with_cpu(|_| SLOTS_IN_USE.lock().idle.push(self.slot));
    }
}

fn base(slot: u32) -> Vaddr {
    WINDOW + slot as usize * SLOT + LEN
}

fn map(slot: u32) -> Result<()> {
    for page in 0..PAGES {
        let address = base(slot) + page * PAGE_SIZE;
        let mapped = frame::kernel_frame(Use::Kernel).and_then(|paddr| {
            let mut table = || frame::kernel_frame_zeroed(Use::Kernel);
            extend(root(), address, paddr, PAGE_SIZE, DATA, &mut table)
                .inspect_err(|_| allocator::free_one(paddr))
        });
        if let Err(error) = mapped {
            // Nobody has touched these pages yet, so no TLB knows them.
            (0..page)
                .filter_map(|page| remove_page(base(slot) + page * PAGE_SIZE))
                .for_each(allocator::free_one);
            return Err(error);
        }
    }
    Ok(())
}

/// Gives back idle stacks if there are many. Called where nothing is held: it waits for other CPUs.
pub(crate) fn trim() {
    while give_back_some() {}
}

fn give_back_some() -> bool {
    /// One flush for so many.
    const AT_A_TIME: usize = 8;
    let mut victims = [None; AT_A_TIME];
    machine::with_cpu(|_| {
        let mut slots = SLOTS_IN_USE.lock();
        for victim in &mut victims {
            *victim = (slots.idle.len() > KEPT).then(|| slots.idle.pop()).flatten();
        }
    });
    let mut frames = [[None; PAGES]; AT_A_TIME];
    let mut lowest = None;
    let mut highest = 0;
    for (slot, frames) in victims.into_iter().flatten().zip(&mut frames) {
        for (page, frame) in frames.iter_mut().enumerate() {
            *frame = remove_page(base(slot) + page * PAGE_SIZE);
        }
        lowest = Some(lowest.map_or(slot, |lowest: u32| lowest.min(slot)));
        highest = highest.max(slot);
    }
    let Some(lowest) = lowest else { return false };
    tlb::flush_kernel(base(lowest), (base(highest) + LEN - base(lowest)) / PAGE_SIZE);
    frames.iter().flatten().flatten().copied().for_each(allocator::free_one);
    machine::with_cpu(|_| {
        let mut slots = SLOTS_IN_USE.lock();
        for slot in victims.into_iter().flatten() {
            slots.unmapped.push(slot);
            slots.mapped -= 1;
        }
        MAPPED.store(slots.mapped, Ordering::Relaxed);
    });
    true
}
