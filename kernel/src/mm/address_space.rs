//! A process's memory: its areas and the [`VmSpace`] that shows them to the hardware.
//!
//! Locks, outside in: the areas (sleeping; faults read, calls write), then a cursor of the page tables (spinning). No user memory is
//! touched, and no file closed, while either is held.

use super::account::Account;
use super::area::{AreaFlags, VmArea};
use super::layout::{Layout, MIN_ADDRESS};
use super::lock::LockMode;
use crate::error::{Errno, Result};
use crate::event::aio::Contexts;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_interval_map::IntervalMap;
use core::ops::Range;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use ostd::mm::{PAGE_SIZE, PageFlags, USER_END, Vaddr, VmSpace};
use ostd::sync::RwLock;

/// A process's memory.
#[derive(Debug)]
pub struct AddressSpace {
    pub(super) this: Weak<Self>,
    pub(super) space: Arc<VmSpace>,
    pub(super) areas: RwLock<Areas>,
    pub(super) layout: Layout,
    pub(super) faults: FaultCounts,
    /// The most pages that were ever resident or mapped (VmHWM, VmPeak).
    peak_resident: AtomicUsize,
    /// The number of the [`Account`] that pays for its pages.
    account: AtomicU16,
    /// The expedited commands of membarrier(2) that its process has registered for.
    barriers: AtomicU32,
    aio: Contexts,
}

/// The areas and what is counted over them.
#[derive(Clone, Debug, Default)]
pub(super) struct Areas {
    pub map: IntervalMap<VmArea>,
    pub counts: Counts,
    /// brk(2): the heap's start and its end, the break.
    pub heap: Range<Vaddr>,
    /// mlockall(MCL_FUTURE).
    pub lock_future: Option<LockMode>,
}

/// Pages by kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// All (VmSize).
    pub total: usize,
    /// The most there ever were (VmPeak).
    pub peak: usize,
    /// Private and writable (VmData).
    pub data: usize,
    /// In areas that grow down (VmStk).
    pub stack: usize,
    /// Executable.
    pub code: usize,
    /// Locked (VmLck).
    pub locked: usize,
}

/// Faults served (getrusage(2)).
#[derive(Debug, Default)]
pub(super) struct FaultCounts {
    /// Without I/O.
    pub minor: AtomicU64,
    /// With I/O.
    pub major: AtomicU64,
}

impl AddressSpace {
    /// An empty address space, at random places if `randomize`, with room for a stack of `stack_limit` bytes.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(randomize: bool, stack_limit: u64) -> Result<Arc<Self>> {
        Self::with_layout(Layout::new(stack_limit, randomize.then(Layout::random)))
    }

    pub(super) fn with_layout(layout: Layout) -> Result<Arc<Self>> {
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let space = VmSpace::new()?;
        Ok(Arc::new_cyclic(|this| Self {
            this: this.clone(),
            space,
            areas: RwLock::default(),
            layout,
            faults: FaultCounts::default(),
            peak_resident: AtomicUsize::new(0),
            account: AtomicU16::new(0),
            barriers: AtomicU32::new(0),
            aio: Contexts::default(),
        }))
    }

    /// Makes this the current task's address space.
    pub fn activate(&self) {
        self.space.activate();
    }

    /// Where things go.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Who pays for its pages.
    #[inline]
    pub fn account(&self) -> Account {
        Account::from_number(self.account.load(Ordering::Relaxed))
    }

    /// Names who pays for pages that it gets from now on.
    pub fn set_account(&self, account: Account) {
        self.account.store(account.number(), Ordering::Relaxed);
    }

    /// Commands of membarrier(2) that its process has registered for.
    pub fn barriers(&self) -> u32 {
        self.barriers.load(Ordering::SeqCst)
    }

    /// Registers for more of them.
    pub fn add_barriers(&self, commands: u32) {
        self.barriers.fetch_or(commands, Ordering::SeqCst);
    }

    /// Its contexts for asynchronous I/O, which a copy does not have.
    pub fn aio(&self) -> &Contexts {
        &self.aio
    }

    /// Makes all CPUs that run one of its threads pass a full memory barrier and a serializing instruction.
    pub fn synchronize(&self) {
        self.space.synchronize();
    }

    /// Pages by kind.
    pub fn counts(&self) -> Counts {
        self.areas.read().counts
    }

    /// Pages in memory (VmRSS).
    pub fn resident_pages(&self) -> usize {
        let resident = self.space.resident_pages();
        self.peak_resident.fetch_max(resident, Ordering::Relaxed);
        resident
    }

    /// The most pages that were seen in memory (VmHWM).
    pub fn peak_resident_pages(&self) -> usize {
        self.resident_pages();
        self.peak_resident.load(Ordering::Relaxed)
    }

    /// Faults so far, (without I/O, with I/O).
    pub fn fault_counts(&self) -> (u64, u64) {
        (self.faults.minor.load(Ordering::Relaxed), self.faults.major.load(Ordering::Relaxed))
    }

    /// Remembers the resident set before it shrinks.
    pub(super) fn note_peak(&self) {
        self.resident_pages();
    }
}

impl Areas {
    /// Puts an area into free room and joins it with its neighbours.
    pub fn insert(&mut self, range: Range<Vaddr>, area: VmArea) {
        self.counts.add(&area, range.len());
        self.map.insert(range.clone(), area);
        self.map.merge(range);
    }

    /// Takes out what is in `range`. The caller drops it after the lock: closing a file may sleep.
    ///
    /// # Errors
    /// ENOMEM; nothing has changed then.
    pub fn cut(&mut self, range: Range<Vaddr>) -> Result<Vec<(Range<Vaddr>, VmArea)>> {
        let out = self.map.cut(range).map_err(|_| Errno::ENOMEM)?;
        out.iter().for_each(|(range, area)| self.counts.take(area, range.len()));
        Ok(out)
    }

    /// Changes all areas in `range`, cut at its edges, and joins neighbours.
    pub fn change(&mut self, range: Range<Vaddr>, mut change: impl FnMut(Range<Vaddr>, &mut VmArea)) {
        self.map.isolate(range.clone());
        for (range, area) in self.map.inside_mut(range.clone()) {
            self.counts.take(area, range.len());
            change(range.clone(), area);
            self.counts.add(area, range.len());
        }
        self.map.merge(range);
    }

    /// A free place for `len` bytes: at `hint` if that is free, else below `top`, else anywhere.
    pub fn find_room(&mut self, hint: Vaddr, len: usize, top: Vaddr) -> Option<Vaddr> {
        let hint = hint.max(MIN_ADDRESS) & !(PAGE_SIZE - 1);
        if hint > MIN_ADDRESS
            && hint.checked_add(len).is_some_and(|end| end <= USER_END && self.map.is_free(hint..end))
        {
            return Some(hint);
        }
        self.map
            .gap_from_top(MIN_ADDRESS..top, len, PAGE_SIZE)
            .or_else(|| self.map.gap_from_bottom(MIN_ADDRESS..USER_END, len, PAGE_SIZE))
    }
}

impl Counts {
    pub(super) fn add(&mut self, area: &VmArea, len: usize) {
        self.book(area, len / PAGE_SIZE, usize::wrapping_add);
        self.peak = self.peak.max(self.total);
    }

    pub(super) fn take(&mut self, area: &VmArea, len: usize) {
        self.book(area, len / PAGE_SIZE, usize::wrapping_sub);
    }

    fn book(&mut self, area: &VmArea, pages: usize, op: fn(usize, usize) -> usize) {
        self.total = op(self.total, pages);
        if area.is_data() {
            self.data = op(self.data, pages);
        }
        if area.flags.contains(AreaFlags::GROWS_DOWN) {
            self.stack = op(self.stack, pages);
        }
        if area.rights.contains(PageFlags::EXECUTE) {
            self.code = op(self.code, pages);
        }
        if area.flags.contains(AreaFlags::LOCKED) {
            self.locked = op(self.locked, pages);
        }
    }
}

/// Rounds a range that user space named to whole pages.
///
/// # Errors
/// EINVAL if `start` is not a page's, `over` if it leaves user space.
pub(super) fn page_range(start: Vaddr, len: usize, over: Errno) -> Result<Range<Vaddr>> {
    if !start.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    let end = ostd::mm::page_up(len).and_then(|len| start.checked_add(len));
    match end {
        Some(end) if end <= USER_END => Ok(start..end),
        _ => Err(over.into()),
    }
}
