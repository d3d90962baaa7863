//! Six bytes for each frame: what it is and how many share it, and who pays for it.
//!
//! The arrays lie in memory that the early allocator set aside. They are filled section by section (64 MiB of frames, 96 KiB of both)
//! when the allocator first needs that section, so boot does not pay for memory that nobody uses.

use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence};

use super::super::{PAGE_SIZE, Paddr};

/// Frames in a section: the allocator's largest block, so no block and no buddy leaves its section.
pub(super) const SECTION: usize = 1 << super::buddy::MAX_ORDER;

const TAG: u32 = 3 << 30;
/// A [`super::UFrame`]; the low bits count its handles.
const UNTYPED: u32 = 0;
/// Ours: heap, page table, stack, segment. The low bits belong to the owner (page tables: how many entries are in use).
const KERNEL: u32 = 1 << 30;
/// The first frame of a free block; the low bits are its order.
const FREE: u32 = 2 << 30;
/// Not memory of ours, inside a free block, or held in a per-CPU cache.
const HELD: u32 = 3 << 30;

/// Counts from here on never go down again: the frame is leaked rather than freed under its users. A count gets here only by
/// hundreds of millions of mappings of one frame; between here and the tag bits is room for one step of every CPU.
const PINNED_FROM: u32 = 1 << 29;
const PINNED: u32 = PINNED_FROM + (PINNED_FROM >> 1);

static MARKS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());
static PAYERS: AtomicPtr<AtomicU16> = AtomicPtr::new(core::ptr::null_mut());
static LEN: AtomicUsize = AtomicUsize::new(0);

/// Bytes of both arrays for so many frames.
pub(super) const fn len_for(frames: usize) -> usize {
    frames * (size_of::<AtomicU32>() + size_of::<AtomicU16>())
}

/// Installs the arrays for `frames` frames, a multiple of [`SECTION`].
///
/// # Safety
/// `arrays` points to [`len_for`] that many bytes of memory, aligned for marks, that nobody else uses, forever. Called once, before all else
/// here.
pub(super) unsafe fn install(arrays: *mut u8, frames: usize) {
    MARKS.store(arrays.cast(), Ordering::Relaxed);
    let payers = arrays.wrapping_add(frames * size_of::<AtomicU32>());
    PAYERS.store(payers.cast(), Ordering::Relaxed);
    LEN.store(frames, Ordering::Release);
}

/// Marks all frames of a section as held, and as nobody's to pay for.
pub(super) fn prepare_section(section: usize) {
    for frame in section * SECTION..(section + 1) * SECTION {
        mark(frame).store(HELD, Ordering::Relaxed);
        payer(frame).store(0, Ordering::Relaxed);
    }
}

/// Who pays for the frame at `paddr`.
#[inline]
pub(super) fn payer_of(paddr: Paddr) -> &'static AtomicU16 {
    payer(paddr / PAGE_SIZE)
}

#[inline]
fn payer(frame: usize) -> &'static AtomicU16 {
    assert!(frame < LEN.load(Ordering::Relaxed), "frame number out of range");
    // SAFETY: the array has `LEN` numbers (checked).
    let payer = unsafe { PAYERS.load(Ordering::Relaxed).add(frame) };
    // SAFETY: it lives forever, and is only ever accessed as atomics.
    unsafe { &*payer }
}

#[inline]
fn mark(frame: usize) -> &'static AtomicU32 {
    assert!(frame < LEN.load(Ordering::Relaxed), "frame number out of range");
    // SAFETY: the array has `LEN` marks (checked).
    let mark = unsafe { MARKS.load(Ordering::Relaxed).add(frame) };
    // SAFETY: it lives forever, and is only ever accessed as atomics.
    unsafe { &*mark }
}

/// The mark of the frame at `paddr`.
#[inline]
pub(super) fn of(paddr: Paddr) -> Mark {
    Mark(mark(paddr / PAGE_SIZE))
}

/// The mark of frame number `frame`.
#[inline]
pub(super) fn of_number(frame: u32) -> Mark {
    Mark(mark(frame as usize))
}

/// One frame's mark.
#[derive(Clone, Copy)]
pub(super) struct Mark(&'static AtomicU32);

impl Mark {
    /// The frame becomes a [`super::UFrame`] with one handle.
    #[inline]
    pub(super) fn set_untyped(self) {
        self.0.store(UNTYPED | 1, Ordering::Relaxed);
    }

    /// The frame becomes the kernel's.
    #[inline]
    pub(super) fn set_kernel(self) {
        self.0.store(KERNEL, Ordering::Relaxed);
    }

    /// The frame is on its way to the allocator.
    #[inline]
    pub(super) fn set_held(self) {
        self.0.store(HELD, Ordering::Relaxed);
    }

    /// The order of the free block that starts here.
    pub(super) fn free_order(self) -> Option<usize> {
        let value = self.0.load(Ordering::Relaxed);
        (value & TAG == FREE).then_some((value & !TAG) as usize)
    }

    /// Makes it the first frame of a free block, or just held.
    pub(super) fn set_free_order(self, order: Option<usize>) {
        self.0.store(order.map_or(HELD, |order| FREE | order as u32), Ordering::Relaxed);
    }

    /// One more handle.
    #[inline]
    pub(super) fn share(self) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        debug_assert!(before & TAG == UNTYPED && before > 0, "shared a frame without handles");
        if before >= PINNED_FROM {
            self.0.store(PINNED, Ordering::Relaxed);
        }
    }

    /// One handle less; `true` if it was the last.
    #[inline]
    pub(super) fn release(self) -> bool {
        // A sole owner needs no read-modify-write: nobody else can make a handle.
        if self.0.load(Ordering::Acquire) == UNTYPED | 1 {
            return true;
        }
        let before = self.0.fetch_sub(1, Ordering::Release);
        debug_assert!(before & TAG == UNTYPED && before > 0, "released a frame without handles");
        if before >= PINNED_FROM {
            self.0.store(PINNED, Ordering::Relaxed);
            return false;
        }
        if before != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }

    /// How many handles there are.
    #[inline]
    pub(super) fn handles(self) -> usize {
        (self.0.load(Ordering::Acquire) & !TAG) as usize
    }

    /// Adds to the owner's number of a kernel frame; returns the new one. The owner serialises.
    #[inline]
    pub(super) fn add_entries(self, change: i32) -> u32 {
        let value = self.0.load(Ordering::Relaxed);
        debug_assert!(value & TAG == KERNEL, "not a kernel frame");
        let new = value.wrapping_add_signed(change);
        self.0.store(new, Ordering::Relaxed);
        new & !TAG
    }
}
