//! Physical frames whose ownership is in the types.
//!
//! [`UFrame`] is one frame of untyped memory: its bytes may be shared with user space and devices, so they are only
//! ever copied in and out, never borrowed. [`Segment`] is a contiguous run of them with one owner. A [`UFrame`] counts its handles;
//! the last one frees. `allocator` hands out frames (policy in `buddy`), `meta` knows what each is.

pub(super) mod allocator;
pub(super) mod buddy;
mod meta;
mod segment;
mod untyped;

pub use segment::Segment;
pub use untyped::{UFrame, set_accountant};

use super::early::Stretch;
use super::{PAGE_SIZE, Paddr, kspace, machine};
use crate::Result;
pub(super) use allocator::Use;

/// Bytes of metadata that memory up to `end` needs.
pub(super) fn metadata_len(end: Paddr) -> usize {
    meta::len_for(sections(end) * meta::SECTION)
}

/// Brings frames up: metadata at `metadata`, free memory in `ranges` (bytes; sorted, disjoint, below `end`).
///
/// # Safety
/// Nobody else uses the [`metadata_len`] bytes at `metadata` or the memory in `ranges`, which are all in the direct map. Called once.
pub(super) unsafe fn init(end: Paddr, metadata: Paddr, ranges: impl Iterator<Item = Stretch>) {
    let arrays = kspace::phys_to_ptr(metadata);
    // SAFETY: that many bytes are ours by contract, and frames are aligned enough.
    unsafe { meta::install(arrays, sections(end) * meta::SECTION) };
    allocator::init(ranges.map(|Stretch { range, is_accepted }| Stretch {
        range: range.start.div_ceil(PAGE_SIZE)..range.end / PAGE_SIZE,
        is_accepted,
    }));
}

fn sections(end: Paddr) -> usize {
    end.div_ceil(PAGE_SIZE).div_ceil(meta::SECTION)
}

/// A frame that the kernel itself owns: page table, stack, heap. Zeroed if asked by [`kernel_frame_zeroed`].
#[inline]
pub(super) fn kernel_frame(purpose: Use) -> Result<Paddr> {
    let paddr = allocator::alloc_one(purpose)?;
    meta::of(paddr).set_kernel();
    Ok(paddr)
}

/// As [`kernel_frame`], all bytes zero.
#[inline]
pub(super) fn kernel_frame_zeroed(purpose: Use) -> Result<Paddr> {
    let paddr = kernel_frame(purpose)?;
    clear(paddr);
    Ok(paddr)
}

/// Changes the number of entries in use that a page table's metadata carries; returns the new one.
#[inline]
pub(super) fn add_entries(table: Paddr, change: i32) -> u32 {
    meta::of(table).add_entries(change)
}

/// Zeroes a frame that has no other user.
#[inline]
fn clear(paddr: Paddr) {
    // SAFETY: the frame is in the direct map and the caller has just taken it from the allocator.
    unsafe { machine::clear_page(kspace::phys_to_ptr(paddr)) };
}

#[cfg(test)]
mod tests;
