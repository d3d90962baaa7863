//! The tree of page tables of a user space. A table is a kernel frame whose metadata counts its entries in use.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::Result;
use crate::mm::frame::{self, UFrame, Use, allocator};
use crate::mm::page_table::{ENTRIES, Entry, index};
use crate::mm::{Paddr, Vaddr, kspace};

/// Frames that are page tables of user spaces.
static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// Frames that back page tables.
pub(in crate::mm) fn frames() -> usize {
    FRAMES.load(Ordering::Relaxed)
}

/// A root with the kernel's half.
pub(super) fn new_root() -> Result<Paddr> {
    let root = new()?;
    let kernel = kspace::root();
    if kernel != 0 {
        // SAFETY: the kernel's root is a table.
        let from = unsafe { slots(kernel) };
        // SAFETY: so is this one.
        let to = unsafe { slots(root) };
        for i in ENTRIES / 2..ENTRIES {
            to[i].store(from[i].load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
    Ok(root)
}

/// An empty table.
pub(super) fn new() -> Result<Paddr> {
    let table = frame::kernel_frame_zeroed(Use::Kernel)?;
    FRAMES.fetch_add(1, Ordering::Relaxed);
    Ok(table)
}

/// Gives a table's frame back.
///
/// # Safety
/// Nobody reaches the table any more, the hardware included, and all frames it mapped are settled.
pub(super) unsafe fn free(table: Paddr) {
    FRAMES.fetch_sub(1, Ordering::Relaxed);
    allocator::free_one(table);
}

/// The entries of a table.
///
/// # Safety
/// `table` is a table that lives as long as the result is used.
#[inline(always)]
pub(super) unsafe fn slots<'a>(table: Paddr) -> &'a [AtomicU64; ENTRIES] {
    // SAFETY: tables are frames in the direct map, used as atomics only; their life is the caller's promise.
    unsafe { &*kspace::phys_to_ptr(table).cast() }
}

/// The slot for `address` in a table of `level`.
///
/// # Safety
/// As [`slots`].
#[inline(always)]
pub(super) unsafe fn slot<'a>(table: Paddr, address: Vaddr, level: usize) -> &'a AtomicU64 {
    // SAFETY: by contract.
    let slots = unsafe { slots(table) };
    &slots[index(address, level)]
}

#[inline(always)]
pub(super) fn load(slot: &AtomicU64) -> Entry {
    Entry(slot.load(Ordering::Relaxed))
}

/// Releases the frames that a leaf table maps; returns how many there were.
///
/// # Safety
/// The table's entries are not used as handles again, and no TLB knows them.
pub(super) unsafe fn release_frames(leaf: Paddr) -> usize {
    let mut released = 0;
    // SAFETY: the caller has the table.
    for slot in unsafe { slots(leaf) } {
        let entry = load(slot);
        if entry.is_mapped() {
            // SAFETY: each mapped entry stands for one handle, and by contract this is its end.
            drop(unsafe { UFrame::from_raw(entry.paddr()) });
            released += 1;
        }
    }
    released
}

/// Frees the user half of a tree, the frames mapped, and the root.
///
/// # Safety
/// Nobody uses the tree any more, the hardware included.
pub(super) unsafe fn free_all(root: Paddr) {
    // SAFETY: by contract.
    unsafe { free_below(root, 4, ENTRIES / 2) };
}

/// # Safety
/// As [`free_all`].
unsafe fn free_below(table: Paddr, level: usize, entries: usize) {
    if level == 1 {
        // SAFETY: nobody uses the tree any more.
        unsafe { release_frames(table) };
    } else {
        // SAFETY: as above.
        for slot in &unsafe { slots(table) }[..entries] {
            let entry = load(slot);
            if entry.is_present() {
                // SAFETY: as above; user tables hold nothing but tables above level 1.
                unsafe { free_below(entry.paddr(), level - 1, ENTRIES) };
            }
        }
    }
    // SAFETY: all below it is gone.
    unsafe { free(table) };
}
