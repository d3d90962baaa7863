//! Pages of a file in memory, by page index. For tmpfs this *is* the file; for a file on a device it is filled from there.
//! Mappings and read/write share these frames, so both see each other's changes at once.
//!
//! [`PageCache`] is a handle; clones share the pages. It knows the file's size, for mappings raise SIGBUS past it. Neighbours: `io` copies
//! bytes, `shrink` takes pages away, `mappings` knows which address spaces show them, [`super::reclaim`] evicts clean ones.

mod fill;
mod io;
mod mappings;
mod shrink;

use super::frames;
use super::reclaim;
use crate::error::Result;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use ostd::mm::{PAGE_SIZE, UFrame};
use ostd::sync::{SpinLock, WaitQueue};

pub use mappings::Attachment;

/// Where pages come from and go to.
pub trait PageBacking: Send + Sync + core::fmt::Debug {
    /// Fills page `index` (all of it; zeros past the end).
    fn fill(&self, index: usize, frame: &UFrame) -> Result<()>;

    /// Fills consecutive pages from `first` on; one request where the device can.
    fn fill_many(&self, first: usize, frames: &[UFrame]) -> Result<()> {
        frames.iter().enumerate().try_for_each(|(i, frame)| self.fill(first + i, frame))
    }

    /// Writes page `index` back.
    fn write_back(&self, index: usize, frame: &UFrame) -> Result<()>;
}

/// The cached pages of one file. Cloning shares them.
#[derive(Clone, Debug)]
pub struct PageCache(Arc<Cache>);

#[derive(Debug)]
pub(super) struct Cache {
    backing: Option<Arc<dyn PageBacking>>,
    /// Size of the file in bytes.
    size: AtomicU64,
    /// Counts removals of pages: who looked a page up before and maps it after one must look again.
    generation: AtomicU64,
    pages: SpinLock<Pages>,
    /// Those who wait for a page that another is filling.
    filled: WaitQueue,
    mappings: mappings::Mappings,
}

#[derive(Debug, Default)]
struct Pages {
    slots: BTreeMap<usize, Slot>,
    resident: usize,
    /// Where [`Cache::evict`] goes on.
    hand: usize,
    /// The index after the last one that was filled, and how many pages to read ahead from there.
    readahead: (usize, usize),
}

#[derive(Debug)]
enum Slot {
    /// Someone is filling it.
    Filling,
    Ready {
        frame: UFrame,
        is_dirty: bool,
        /// Used since the last look of [`Cache::evict`].
        was_used: bool,
    },
}

/// Pages of in-memory files (tmpfs, shared anonymous memory): they cannot be evicted.
static IN_MEMORY_PAGES: AtomicUsize = AtomicUsize::new(0);
/// Pages of backed files.
static BACKED_PAGES: AtomicUsize = AtomicUsize::new(0);
/// Backed pages that wait to be written back.
static DIRTY_PAGES: AtomicUsize = AtomicUsize::new(0);

/// Pages in all caches, for /proc/meminfo.
#[derive(Clone, Copy, Debug)]
pub struct CacheStats {
    /// Pages of in-memory files (Shmem).
    pub in_memory: usize,
    /// Pages of backed files.
    pub backed: usize,
    /// Of those, the dirty ones.
    pub dirty: usize,
}

/// Counts as of now.
pub fn stats() -> CacheStats {
    CacheStats {
        in_memory: IN_MEMORY_PAGES.load(Ordering::Relaxed),
        backed: BACKED_PAGES.load(Ordering::Relaxed),
        dirty: DIRTY_PAGES.load(Ordering::Relaxed),
    }
}

impl PageCache {
    /// Memory only (tmpfs): a page that was never written is zeros. The size is 0.
    pub fn in_memory() -> Self {
        Self::new(None, 0)
    }

    /// Backed by a device or another file of `size` bytes.
    pub fn backed(backing: Arc<dyn PageBacking>, size: u64) -> Self {
        let cache = Self::new(Some(backing), size);
        reclaim::register(&cache.0);
        cache
    }

    fn new(backing: Option<Arc<dyn PageBacking>>, size: u64) -> Self {
        Self(Arc::new(Cache {
            backing,
            size: AtomicU64::new(size),
            generation: AtomicU64::new(0),
            pages: SpinLock::default(),
            filled: WaitQueue::new(),
            mappings: mappings::Mappings::default(),
        }))
    }

    /// The file's size in bytes. [`Self::write_at`] grows it, [`Self::truncate`] sets it.
    pub fn size(&self) -> u64 {
        self.0.size.load(Ordering::Acquire)
    }

    /// A number that no other cache alive has: the file's identity for shared futexes and for merging areas.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether pages live in memory only.
    pub fn is_in_memory(&self) -> bool {
        self.0.backing.is_none()
    }

    /// The page to read; `None` for a hole of an in-memory file (zeros).
    ///
    /// # Errors
    /// ENOMEM, or what the backing says.
    pub fn page(&self, index: usize) -> Result<Option<UFrame>> {
        if let Some(frame) = self.0.find(index) {
            return Ok(Some(frame));
        }
        if self.is_in_memory() { Ok(None) } else { self.0.fill(index).map(Some) }
    }

    /// The page to map without writing; a hole becomes a page.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub fn page_to_map(&self, index: usize) -> Result<UFrame> {
        match self.page(index)? {
            Some(frame) => Ok(frame),
            None => self.0.add_zeroed(index),
        }
    }

    /// The page to write or to map shared and writable; makes it if need be and marks it dirty.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub fn page_for_write(&self, index: usize) -> Result<UFrame> {
        loop {
            if let Some(frame) = self.0.find_for_write(index) {
                return Ok(frame);
            }
            if self.is_in_memory() {
                self.0.add_zeroed(index)?;
            } else {
                self.0.fill(index)?;
            }
        }
    }

    /// Marks page `index`, which is here, dirty.
    pub(super) fn mark_dirty(&self, index: usize) {
        if !self.is_in_memory() {
            self.0.find_for_write(index);
        }
    }

    /// Calls `visit` for each page in `first..end` that is here and filled, in order, until it says `false`. It must neither sleep nor
    /// call the cache.
    pub fn visit_resident(&self, first: usize, end: usize, mut visit: impl FnMut(usize, &UFrame) -> bool) {
        let mut pages = self.0.pages.lock();
        for (&index, slot) in pages.slots.range_mut(first..end) {
            if let Slot::Ready { frame, was_used, .. } = slot {
                *was_used = true;
                if !visit(index, frame) {
                    return;
                }
            }
        }
    }

    /// Whether page `index` is here.
    pub fn is_resident(&self, index: usize) -> bool {
        matches!(self.0.pages.lock().slots.get(&index), Some(Slot::Ready { .. }))
    }

    /// The first index from `from` on that has a page (`true`) or has none (`false`); `None` if all up to the last page differ. For
    /// SEEK_DATA and SEEK_HOLE.
    pub fn next_with(&self, from: usize, is_there: bool) -> Option<usize> {
        let pages = self.0.pages.lock();
        if is_there {
            return pages.slots.range(from..).next().map(|(&index, _)| index);
        }
        let mut index = from;
        for (&next, _) in pages.slots.range(from..) {
            if next != index {
                break;
            }
            index += 1;
        }
        Some(index)
    }

    /// How many pages are there.
    pub fn resident_pages(&self) -> usize {
        self.0.pages.lock().resident
    }

    /// The count of removals so far: see [`Cache::generation`].
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::SeqCst)
    }
}

impl Cache {
    fn find(&self, index: usize) -> Option<UFrame> {
        match self.pages.lock().slots.get_mut(&index)? {
            Slot::Filling => None,
            Slot::Ready { frame, was_used, .. } => {
                *was_used = true;
                Some(frame.clone())
            }
        }
    }

    fn find_for_write(&self, index: usize) -> Option<UFrame> {
        match self.pages.lock().slots.get_mut(&index)? {
            Slot::Filling => None,
            Slot::Ready { frame, was_used, is_dirty } => {
                *was_used = true;
                if self.backing.is_some() && !core::mem::replace(is_dirty, true) {
                    DIRTY_PAGES.fetch_add(1, Ordering::Relaxed);
                }
                Some(frame.clone())
            }
        }
    }

    /// Makes a page of zeros; if someone was faster, theirs is the page.
    fn add_zeroed(&self, index: usize) -> Result<UFrame> {
        let frame = frames::zeroed()?;
        Ok(self.insert(index, frame).0)
    }

    /// Puts `frame` at `index` unless there is a page already; returns the page and whether it is `frame`.
    fn insert(&self, index: usize, frame: UFrame) -> (UFrame, bool) {
        let mut pages = self.pages.lock();
        if let Some(Slot::Ready { frame, .. }) = pages.slots.get(&index) {
            return (frame.clone(), false);
        }
        pages.slots.insert(index, Slot::Ready { frame: frame.clone(), is_dirty: false, was_used: true });
        pages.resident += 1;
        drop(pages);
        self.counter().fetch_add(1, Ordering::Relaxed);
        (frame, true)
    }

    fn counter(&self) -> &'static AtomicUsize {
        if self.backing.is_some() { &BACKED_PAGES } else { &IN_MEMORY_PAGES }
    }

    /// Books the loss of a page that was taken out of `pages`.
    fn forget(&self, pages: &mut Pages, slot: &Slot) {
        if let Slot::Ready { is_dirty, .. } = slot {
            pages.resident -= 1;
            self.counter().fetch_sub(1, Ordering::Relaxed);
            if *is_dirty {
                DIRTY_PAGES.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// How many pages the file has, by its size.
    fn len_pages(&self) -> usize {
        self.size.load(Ordering::Acquire).div_ceil(PAGE_SIZE as u64) as usize
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let pages = self.pages.get_mut();
        let dirty =
            pages.slots.values().filter(|slot| matches!(slot, Slot::Ready { is_dirty: true, .. })).count();
        DIRTY_PAGES.fetch_sub(dirty, Ordering::Relaxed);
        let resident = pages.resident;
        self.counter().fetch_sub(resident, Ordering::Relaxed);
    }
}

/// A cache as reclaim knows it.
pub(super) type WeakCache = Weak<Cache>;
