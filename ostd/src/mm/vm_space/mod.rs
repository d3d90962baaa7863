//! A user address space: page tables under one lock, changed through a [`Cursor`], TLBs kept in step.
//!
//! `table` is the tree of tables, `cursor` the ways to change it, `pending` what waits for a TLB flush before it can be freed.

mod cursor;
mod pending;
mod table;

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bitflags::bitflags;
use spin::Mutex;

pub use cursor::{Cursor, Share};
pub(super) use table::frames as table_frames;

use super::tlb::{self, LOADED, What};
use super::{PAGE_SIZE, Paddr, USER_END, USER_START, Vaddr, machine};
use crate::{Error, Result};

bitflags! {
    /// Rights and bits of a user page.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PageFlags: u8 {
        /// Readable.
        const READ = 1;
        /// Writable.
        const WRITE = 2;
        /// Executable.
        const EXECUTE = 4;
        /// The hardware saw an access.
        const ACCESSED = 8;
        /// The hardware saw a write.
        const DIRTY = 16;
        /// A bit for the kernel's own use.
        const SOFT = 32;
    }
}

/// A user address space. The kernel half is always mapped and never reachable from ring 3.
#[derive(Debug)]
pub struct VmSpace {
    root: Paddr,
    /// Held by cursors.
    lock: Mutex<()>,
    resident: AtomicUsize,
    /// The CPUs that have the root loaded.
    cpus: AtomicU64,
    /// Counts flushes that lazy CPUs were spared; see [`tlb`].
    generation: AtomicU64,
}

impl VmSpace {
    /// An empty address space.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            root: table::new_root()?,
            lock: Mutex::new(()),
            resident: AtomicUsize::new(0),
            cpus: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        }))
    }

    /// Locks the page tables and stands at `range.start`. The cursor works inside `range` only (page-aligned, in user space).
    /// It spins: do not sleep while it lives. Not for interrupt handlers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn cursor(&self, range: Range<Vaddr>) -> Result<Cursor<'_>> {
        let is_aligned = (range.start | range.end).is_multiple_of(PAGE_SIZE);
        if !is_aligned || range.start > range.end || range.start < USER_START || range.end > USER_END {
            return Err(Error::InvalidArgument);
        }
        Ok(Cursor::new(self, range))
    }

    /// How many user frames are mapped (resident set, in pages).
    pub fn resident_pages(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// Makes every CPU that runs a task of this space pass a full memory barrier and a serializing instruction (the return from an interrupt), and
    /// waits for that; the caller's CPU passes a barrier. What enters the space meanwhile does so by a barrier, too. Do not hold a lock that others
    /// take with interrupts off.
    pub fn synchronize(&self) {
        // An order to forget no pages: what counts is that it is answered.
        self.flush(0, 0, false);
        // Returning from a system call does not serialize.
        let _ = core::arch::x86_64::__cpuid(0);
    }

    fn identity(&self) -> usize {
        core::ptr::from_ref(self).expose_provenance()
    }

    /// Makes CPUs forget `pages` pages from `start`. Lazy CPUs only if tables are about to be freed, through which they might walk.
    fn flush(&self, start: Vaddr, pages: usize, frees_tables: bool) {
        // Sequentially consistent with `switch`: either we see the CPU in the mask, or it sees the new tables.
        core::sync::atomic::fence(Ordering::SeqCst);
        let mut mask = self.cpus.load(Ordering::SeqCst);
        let here = machine::with_cpu(|cpu| 1 << cpu);
        if mask & !here != 0 && !frees_tables {
            self.generation.fetch_add(1, Ordering::SeqCst);
            let others = (0..LOADED.len()).filter(|cpu| mask & !here & 1 << cpu != 0);
            let lazy = others.filter(|cpu| LOADED[*cpu].is_lazy.load(Ordering::SeqCst));
            mask = lazy.fold(mask, |mask, cpu| mask & !(1 << cpu));
        }
        if mask != 0 {
            tlb::flush(mask, What::Pages { space: self.identity(), start, pages });
        }
    }
}

impl Drop for VmSpace {
    fn drop(&mut self) {
        // No task has it any more, so CPUs that hold it are lazy; they leave before the tables go.
        core::sync::atomic::fence(Ordering::SeqCst);
        let cpus = self.cpus.load(Ordering::SeqCst);
        if cpus != 0 {
            tlb::flush(cpus, What::Space { space: self.identity() });
        }
        // SAFETY: no cursor borrows the space, and no CPU has it loaded.
        unsafe { table::free_all(self.root) };
    }
}

#[cfg(target_os = "none")]
mod active {
    use super::{Arc, LOADED, Ordering, VmSpace, machine};

    impl VmSpace {
        /// Makes this the current task's address space, at once and whenever the task runs.
        pub fn activate(self: &Arc<Self>) {
            crate::task::set_current_vm_space(Some(self.clone()));
        }

        /// Takes the current task's address space away.
        pub fn deactivate_current() {
            crate::task::set_current_vm_space(None);
        }
    }

    /// Loads the space of the task that runs from here on; `None`: a kernel task, which keeps what is loaded until somebody needs it gone.
    /// The caller keeps `next` alive until it switches again.
    pub(crate) fn switch(next: Option<&Arc<VmSpace>>) {
        machine::with_cpu(|cpu| {
            let loaded = &LOADED[cpu];
            let Some(next) = next else {
                loaded.is_lazy.store(true, Ordering::Release);
                return;
            };
            let was_lazy = loaded.is_lazy.swap(false, Ordering::SeqCst);
            let old = loaded.space.load(Ordering::Relaxed);
            if old == next.identity() {
                let generation = next.generation.load(Ordering::SeqCst);
                if was_lazy && loaded.generation.load(Ordering::Relaxed) != generation {
                    loaded.generation.store(generation, Ordering::Relaxed);
                    machine::flush_all_user();
                }
                return;
            }
            loaded.space.store(next.identity(), Ordering::Relaxed);
            next.cpus.fetch_or(1 << cpu, Ordering::SeqCst);
            loaded.generation.store(next.generation.load(Ordering::SeqCst), Ordering::Relaxed);
            // SAFETY: every space maps the kernel as the kernel's root does, and `next` lives until the next switch.
            unsafe { machine::load_root(next.root) };
            leave(old, cpu);
        });
    }

    /// Takes this CPU out of the mask of a space that is not loaded any more.
    fn leave(old: usize, cpu: usize) {
        let old: *const VmSpace = core::ptr::with_exposed_provenance(old);
        // SAFETY: a space in whose mask we are cannot be dropped without our answer, and we are here with interrupts off.
        if let Some(old) = unsafe { old.as_ref() } {
            old.cpus.fetch_and(!(1 << cpu), Ordering::SeqCst);
        }
    }
}

#[cfg(target_os = "none")]
pub(crate) use active::switch;

#[cfg(test)]
mod tests;
