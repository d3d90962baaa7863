//! Building and extending the kernel's page tables.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{DIRECT_MAP, DIRECT_MAP_END, image, mmio, phys_to_ptr, scatter, stack};
use crate::boot::MemoryKind;
use crate::mm::early::{EarlyMap, FreeRanges};
use crate::mm::page_table::{ENTRIES, Entry, index, span};
use crate::mm::{PAGE_SIZE, Paddr, Vaddr, machine};
use crate::{Error, Result, tdx};

static ROOT: AtomicUsize = AtomicUsize::new(0);

/// Data of the kernel: no code, the same in all spaces.
pub(super) const DATA: u64 = Entry::PRESENT | Entry::WRITE | Entry::GLOBAL | Entry::NO_EXECUTE;
/// Data that nobody writes.
pub(super) const READ_ONLY: u64 = DATA & !Entry::WRITE;
/// Code.
pub(super) const CODE: u64 = Entry::PRESENT | Entry::GLOBAL;

/// The kernel's root table.
#[inline]
pub(crate) fn root() -> Paddr {
    ROOT.load(Ordering::Relaxed)
}

/// Builds the final tables from early memory and loads them. `shared` is what devices are to reach in a TD: it is mapped so and in no other way.
///
/// # Safety
/// Runs once, on the boot CPU; boot's early tables map the memory that `free` gives in the direct map.
pub(in crate::mm) unsafe fn init(map: &EarlyMap<'_>, shared: &Range<Paddr>, free: &mut FreeRanges) {
    // Running out of the first megabytes is not a state that a kernel can come up in.
    let mut table = || free.take(PAGE_SIZE).inspect(|t| clear(*t)).ok_or(Error::NoMemory);
    let outcome = (|| {
        let root = table()?;
        map_direct(root, map, shared, &mut table)?;
        for section in image::sections() {
            extend(root, section.start, section.paddr, section.len, section.flags, &mut table)?;
        }
        for window in [stack::WINDOW, mmio::WINDOW, scatter::WINDOW] {
            next_table(root, index(window, 4), &mut table)?;
        }
        Ok::<_, Error>(root)
    })();
    let root = outcome.expect("the machine has memory for the kernel's page tables");
    ROOT.store(root, Ordering::Relaxed);
    // SAFETY: the new tables map the image and the direct map, the stack included, at the same addresses.
    unsafe { machine::load_root(root) };
}

fn map_direct(
    root: Paddr,
    map: &EarlyMap<'_>,
    shared: &Range<Paddr>,
    table: &mut impl FnMut() -> Result<Paddr>,
) -> Result<()> {
    // The image's text must not be writable by another name.
    let mut special = [(image::read_only(), READ_ONLY), (shared.clone(), DATA | tdx::shared_bit())];
    special.sort_unstable_by_key(|(range, _)| range.start);
    let memory = map.regions.iter().filter(|r| r.kind != MemoryKind::Reserved);
    let memory = memory.map(|r| r.start..r.start.saturating_add(r.len));
    // What the loader left for us counts as memory, whatever the firmware's map calls it; not so the first MiB, which has holes.
    let loaded = map.reserved.iter().filter(|r| r.start >= 1 << 20).cloned();
    for range in memory.chain(loaded) {
        let start = range.start & !(PAGE_SIZE - 1);
        let end = range.end.min(DIRECT_MAP_END - DIRECT_MAP);
        let end = end.next_multiple_of(PAGE_SIZE);
        let mut map = |piece: Range<Paddr>, flags| {
            extend(root, DIRECT_MAP + piece.start, piece.start, piece.len(), flags, table)
        };
        let mut at = start;
        for (range, flags) in &special {
            let within = |address: Paddr| address.clamp(at, end.max(at));
            let middle = within(range.start)..within(range.end);
            if middle.is_empty() {
                continue;
            }
            map(at..middle.start, DATA)?;
            map(middle.clone(), *flags)?;
            at = middle.end;
        }
        map(at..end.max(at), DATA)?;
    }
    Ok(())
}

/// Maps `len` bytes from `address` to `paddr` (all multiples of pages), with the largest pages that fit.
///
/// # Errors
/// What `table` fails with.
pub(super) fn extend(
    root: Paddr,
    address: Vaddr,
    paddr: Paddr,
    len: usize,
    flags: u64,
    table: &mut impl FnMut() -> Result<Paddr>,
) -> Result<()> {
    let largest = if machine::has_gigabyte_pages() { 3 } else { 2 };
    let mut done = 0;
    while done < len {
        let (at, to) = (address + done, paddr + done);
        let fits = |level: &usize| (at | to).is_multiple_of(span(*level)) && len - done >= span(*level);
        let level = (2..=largest).rev().find(fits).unwrap_or(1);
        map_one(root, at, level, to as u64 | flags, table)?;
        done += span(level);
    }
    Ok(())
}

fn map_one(
    root: Paddr,
    at: Vaddr,
    level: usize,
    bits: u64,
    table: &mut impl FnMut() -> Result<Paddr>,
) -> Result<()> {
    let mut node = root;
    for above in (level + 1..=4).rev() {
        match next_table(node, index(at, above), table)? {
            Some(next) => node = next,
            // Regions that share a frame: a large page is there already.
            None => return Ok(()),
        }
    }
    let size = if level > 1 { Entry::HUGE } else { 0 };
    slot(node, index(at, level)).store(bits | size, Ordering::Relaxed);
    Ok(())
}

/// The table below an entry, made if there is none; `None` if a large page is there.
fn next_table(node: Paddr, index: usize, table: &mut impl FnMut() -> Result<Paddr>) -> Result<Option<Paddr>> {
    let slot = slot(node, index);
    let entry = Entry(slot.load(Ordering::Relaxed));
    if entry.is_huge() {
        return Ok(None);
    }
    if entry.is_present() {
        return Ok(Some(entry.paddr()));
    }
    let new = table()?;
    slot.store(new as u64 | Entry::PRESENT | Entry::WRITE, Ordering::Relaxed);
    Ok(Some(new))
}

/// Takes the page at `address` (mapped by a 4 KiB entry) away; gives its frame. The caller flushes.
pub(super) fn remove_page(address: Vaddr) -> Option<Paddr> {
    let entry = Entry(leaf(address)?.swap(0, Ordering::Relaxed));
    entry.is_present().then(|| entry.paddr())
}

/// The 4 KiB entry for `address`, if there is a table for it.
pub(super) fn leaf(address: Vaddr) -> Option<&'static AtomicU64> {
    let mut node = root();
    for level in (2..=4).rev() {
        let entry = Entry(slot(node, index(address, level)).load(Ordering::Relaxed));
        if !entry.is_present() || entry.is_huge() {
            return None;
        }
        node = entry.paddr();
    }
    Some(slot(node, index(address, 1)))
}

fn slot(table: Paddr, index: usize) -> &'static AtomicU64 {
    let slot: *mut AtomicU64 = phys_to_ptr(table).cast();
    assert!(index < ENTRIES, "index beyond the table");
    // SAFETY: tables are whole frames in the direct map (the index is checked) ...
    let slot = unsafe { slot.add(index) };
    // SAFETY: ... that are never freed once they are part of the kernel's half, and are only accessed as atomics.
    unsafe { &*slot }
}

fn clear(table: Paddr) {
    // SAFETY: early memory is ours until it is given to a user, and this has just been taken.
    unsafe { machine::clear_page(phys_to_ptr(table)) };
}
