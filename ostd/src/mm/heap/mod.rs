//! The kernel heap: per-CPU lists of free objects for each size class in front of [`slab`]s, whole frames for what is larger:
//! contiguous ones, or when memory is in pieces ones from anywhere ([`kspace::scatter`]).
//!
//! An object freed on another CPU than it came from goes on that CPU's list, and from there in batches back to its slab; a slab
//! that is all free goes back to the frames (one is kept). Works in interrupts. Alloc and free are a pop and a push with interrupts off.

mod class;
mod slab;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use self::class::SIZES;
use self::slab::Slab;
use super::frame::{self, Use, allocator};
use super::machine::{Padded, PerCpuCell};
use super::{PAGE_SIZE, kspace};
use crate::Result;
use crate::cpu::MAX_CPUS;

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: Heap = Heap;

/// Frames in slabs and large objects.
static FRAMES: AtomicUsize = AtomicUsize::new(0);
static LISTS: PerCpuCell<[List; SIZES.len()]> = PerCpuCell::new(
    [const { Padded::new([const { List { head: core::ptr::null_mut(), len: 0 } }; SIZES.len()]) }; MAX_CPUS],
);
static DEPOTS: [Mutex<Depot>; SIZES.len()] =
    [const { Mutex::new(Depot { partial: None, empty: 0 }) }; SIZES.len()];

/// Frames that back the heap.
pub(super) fn frames() -> usize {
    FRAMES.load(Ordering::Relaxed)
}

/// Free objects of one class on one CPU, linked through their first word.
struct List {
    head: *mut FreeObject,
    len: usize,
}

struct FreeObject {
    next: *mut FreeObject,
}

// SAFETY: the objects on a list belong to whoever has the list.
unsafe impl Send for List {}

/// The slabs of one class that have free objects.
struct Depot {
    partial: Option<NonNull<Slab>>,
    /// How many of them are all free.
    empty: usize,
}

// SAFETY: slabs on the list are used under the depot's lock only.
unsafe impl Send for Depot {}

/// The allocator behind `alloc`.
#[derive(Debug)]
pub(super) struct Heap;

// SAFETY: objects come from slabs or runs of frames that nobody else uses, are large and aligned enough (`class::of`), and are handed out
// once until freed; allocation failure gives null, and nothing here unwinds but for corrupt memory, where the kernel ends.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class::of(layout) {
            // SAFETY: the work on one list does not come back here.
            Some(class) => unsafe { LISTS.with(|_, lists| lists[class].pop(class)) },
            None => alloc_large(layout),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        match class::of(layout) {
            // SAFETY: the work on one list does not come back here.
            Some(class) => unsafe { LISTS.with(|_, lists| lists[class].push(object, class)) },
            None => free_large(object, layout),
        }
    }

    unsafe fn realloc(&self, object: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return core::ptr::null_mut();
        };
        let fits = match (class::of(layout), class::of(new_layout)) {
            (Some(old), Some(new)) => old == new,
            (None, None) => large_frames(layout) == large_frames(new_layout),
            _ => false,
        };
        if fits {
            return object;
        }
        // SAFETY: `GlobalAlloc::realloc` demands a `new_size` above zero.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            let len = layout.size().min(new_size);
            // SAFETY: both have at least `len` bytes and are different objects.
            unsafe { core::ptr::copy_nonoverlapping(object, new, len) };
            // SAFETY: the caller gave us the object with this layout.
            unsafe { self.dealloc(object, layout) };
        }
        new
    }
}

impl List {
    #[inline]
    fn pop(&mut self, class: usize) -> *mut u8 {
        if self.head.is_null() {
            self.refill(class);
            if self.head.is_null() {
                return core::ptr::null_mut();
            }
        }
        let object = self.head;
        // SAFETY: objects on the list are free and ours, with a link in them.
        self.head = unsafe { (*object).next };
        self.len -= 1;
        object.cast()
    }

    #[inline]
    fn push(&mut self, object: *mut u8, class: usize) {
        if self.len >= 2 * class::batch(class) {
            self.drain(class);
        }
        self.link(object);
    }

    #[inline]
    fn link(&mut self, object: *mut u8) {
        let object: *mut FreeObject = object.cast();
        // SAFETY: the object is free and ours, aligned to 16 and at least 16 bytes.
        unsafe { object.write(FreeObject { next: self.head }) };
        self.head = object;
        self.len += 1;
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self, class: usize) {
        let mut depot = DEPOTS[class].lock();
        while self.len < class::batch(class) {
            match depot.take(class) {
                Some(object) => self.link(object),
                None => break,
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn drain(&mut self, class: usize) {
        let mut depot = DEPOTS[class].lock();
        for _ in 0..class::batch(class) {
            let object = self.pop(class);
            depot.put(object, class);
        }
    }
}

impl Depot {
    fn take(&mut self, class: usize) -> Option<*mut u8> {
        let mut slab = match self.partial {
            Some(slab) => slab,
            None => self.grow(class)?,
        };
        let base = slab.as_ptr().cast();
        // SAFETY: slabs on the list are live, and used under the depot's lock, which `&mut self` stands for.
        let header = unsafe { slab.as_mut() };
        self.empty -= usize::from(usize::from(header.free_count) == Slab::capacity(class));
        let object = header.take(base);
        if header.free_count == 0 {
            self.unlink(slab);
        }
        object
    }

    fn put(&mut self, object: *mut u8, class: usize) {
        let mut slab = Slab::of(object, class);
        let offset = object.addr() - slab.as_ptr().addr();
        // SAFETY: the slab of an object that was in use is live; `&mut self` stands for the lock.
        let header = unsafe { slab.as_mut() };
        header.put(offset);
        let free = usize::from(header.free_count);
        if free == 1 {
            self.link(slab);
        }
        if free == Slab::capacity(class) {
            if self.empty > 0 {
                self.unlink(slab);
                free_frames(slab.as_ptr().cast(), class::slab_frames(class));
            } else {
                self.empty = 1;
            }
        }
    }

    fn grow(&mut self, class: usize) -> Option<NonNull<Slab>> {
        let base = alloc_frames(class::slab_frames(class))?;
        // SAFETY: the run is ours, and runs are aligned to their length rounded up to a power of two.
        let slab = unsafe { Slab::create(base, class) };
        self.link(slab);
        self.empty += 1;
        Some(slab)
    }

    fn link(&mut self, mut slab: NonNull<Slab>) {
        if let Some(mut head) = self.partial {
            // SAFETY: slabs on the list are live; `&mut self` stands for the lock.
            unsafe { head.as_mut() }.previous = Some(slab);
        }
        // SAFETY: as above.
        let header = unsafe { slab.as_mut() };
        (header.previous, header.next) = (None, self.partial);
        self.partial = Some(slab);
    }

    fn unlink(&mut self, mut slab: NonNull<Slab>) {
        // SAFETY: slabs on the list are live; `&mut self` stands for the lock.
        let header = unsafe { slab.as_mut() };
        let (previous, next) = (header.previous.take(), header.next.take());
        match previous {
            // SAFETY: as above; neighbours are other slabs.
            Some(mut previous) => unsafe { previous.as_mut() }.next = next,
            None => self.partial = next,
        }
        if let Some(mut next) = next {
            // SAFETY: as above.
            unsafe { next.as_mut() }.previous = previous;
        }
    }
}

/// Frames that a large layout takes: its size, or its alignment if that is larger.
fn large_frames(layout: Layout) -> usize {
    layout.size().max(layout.align()).div_ceil(PAGE_SIZE)
}

fn alloc_large(layout: Layout) -> *mut u8 {
    alloc_frames(large_frames(layout)).unwrap_or(core::ptr::null_mut())
}

fn free_large(object: *mut u8, layout: Layout) {
    free_frames(object, large_frames(layout));
}

fn alloc_frames(count: usize) -> Option<*mut u8> {
    let start = if count == 1 {
        frame::kernel_frame(Use::Heap).map(kspace::phys_to_ptr)
    } else {
        allocator::alloc_run(count, Use::Heap).map(kspace::phys_to_ptr).or_else(|_| alloc_scattered(count))
    };
    let start = start.ok()?;
    FRAMES.fetch_add(count, Ordering::Relaxed);
    Some(start)
}

fn free_frames(start: *mut u8, count: usize) {
    FRAMES.fetch_sub(count, Ordering::Relaxed);
    if free_scattered(start, count) {
        return;
    }
    let paddr = kspace::ptr_to_phys(start);
    if count == 1 {
        allocator::free_one(paddr);
    } else {
        allocator::free_run(paddr, count);
    }
}

/// Frames from anywhere, as one run, when there is no run of contiguous ones.
#[cfg(target_os = "none")]
fn alloc_scattered(count: usize) -> Result<*mut u8> {
    kspace::scatter::alloc(count).map(core::ptr::with_exposed_provenance_mut)
}

/// Frees what [`alloc_scattered`] gave; `false` if this is something else.
#[cfg(target_os = "none")]
fn free_scattered(start: *mut u8, count: usize) -> bool {
    let is_scattered = kspace::scatter::owns(start.addr());
    if is_scattered {
        kspace::scatter::free(start.addr(), count);
    }
    is_scattered
}

/// The host has no page tables to do it with.
#[cfg(not(target_os = "none"))]
fn alloc_scattered(_count: usize) -> Result<*mut u8> {
    Err(crate::Error::NoMemory)
}

#[cfg(not(target_os = "none"))]
fn free_scattered(_start: *mut u8, _count: usize) -> bool {
    false
}

#[cfg(test)]
mod tests;
