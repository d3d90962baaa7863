//! A user address space: page tables under one lock, changed through a [`Cursor`], TLBs kept in step.

use super::{UFrame, Vaddr};
use crate::Result;
use alloc::sync::Arc;
use bitflags::bitflags;
use core::marker::PhantomData;
use core::ops::Range;

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
pub struct VmSpace {}

impl VmSpace {
    /// An empty address space.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`].
    pub fn new() -> Result<Arc<Self>> {
        todo!()
    }

    /// Makes this the current task's address space, at once and whenever the task runs.
    pub fn activate(self: &Arc<Self>) {
        todo!()
    }

    /// Takes the current task's address space away.
    pub fn deactivate_current() {
        todo!()
    }

    /// Locks the page tables and stands at `range.start`. The cursor works inside `range` only (page-aligned, in user space).
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`].
    pub fn cursor(&self, range: Range<Vaddr>) -> Result<Cursor<'_>> {
        let _ = range;
        todo!()
    }

    /// How many user frames are mapped (resident set, in pages).
    pub fn resident_pages(&self) -> usize {
        todo!()
    }
}

/// How [`Cursor::share_to`] hands pages to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Both sides lose WRITE: the next write copies.
    CopyOnWrite,
    /// Both sides keep their rights.
    Shared,
}

/// A place in a locked range of page tables. Dropping it flushes what has to be flushed on all CPUs that use the
/// space, and only then frees what was unmapped.
#[derive(Debug)]
pub struct Cursor<'a> {
    _space: PhantomData<&'a VmSpace>,
}

impl Cursor<'_> {
    /// Where the cursor stands.
    pub fn address(&self) -> Vaddr {
        todo!()
    }

    /// Moves to `address` in the range.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] outside of the range or not aligned.
    pub fn jump(&mut self, address: Vaddr) -> Result<()> {
        let _ = address;
        todo!()
    }

    /// The page mapped here: a new handle to its frame and its flags.
    pub fn query(&mut self) -> Option<(UFrame, PageFlags)> {
        todo!()
    }

    /// Moves to the next mapped page at or after this one; `None` if there is none in the range.
    pub fn next_mapped(&mut self) -> Option<Vaddr> {
        todo!()
    }

    /// Maps `frame` here, replacing what was, and moves on by a page.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`] for a page table.
    pub fn map(&mut self, frame: UFrame, flags: PageFlags) -> Result<()> {
        let _ = (frame, flags);
        todo!()
    }

    /// Unmaps from here to `end`; returns how many pages were mapped.
    pub fn unmap_to(&mut self, end: Vaddr) -> usize {
        let _ = end;
        todo!()
    }

    /// Rewrites the flags of every page mapped from here to `end`.
    pub fn protect_to(&mut self, end: Vaddr, change: &mut dyn FnMut(PageFlags) -> PageFlags) {
        let _ = (end, change);
        todo!()
    }

    /// Maps every page mapped from here to `end` at the same address in `child` (fork). Walks whole tables at once.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`]; what was shared so far stays.
    pub fn share_to(&mut self, end: Vaddr, child: &mut Cursor<'_>, how: Share) -> Result<()> {
        let _ = (end, child, how);
        todo!()
    }

    /// Moves every page mapped from here to `end` by `target - here` (mremap). The target must be in another, unmapped stretch of this cursor's range.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`], [`crate::Error::InvalidArgument`].
    pub fn move_to(&mut self, end: Vaddr, target: Vaddr) -> Result<()> {
        let _ = (end, target);
        todo!()
    }
}
