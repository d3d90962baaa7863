//! Physical memory: the module's own, carved out once, and everything else, read and written by address.
//!
//! The rule that makes the functions safe: what Rust owns (the image, and what [`carve`] gave away) lies between [`MODULE_BASE`] and a
//! watermark, and no function here reaches into it. All else is bytes that may change at any time: it is copied, never borrowed.

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use coffer_tdsim_rules::layout::{LOW_END, MODULE_BASE, PAGE};

/// How far the page tables of `entry.S` map memory.
const MAPPED: u64 = 512 << 30;

unsafe extern "C" {
    static __end: [u8; 0];
}

/// What the linker added to physical addresses.
const LINK_OFFSET: usize = 0xffff_ffff_8000_0000;

/// End of what Rust owns.
static OWNED_END: AtomicU64 = AtomicU64::new(0);
/// End of what tables may be made of: the pack is behind.
static TABLES_END: AtomicU64 = AtomicU64::new(0);
/// Where the next table goes; 0 until the first.
static NEXT_TABLE: AtomicU64 = AtomicU64::new(0);

/// Takes the memory between the image and `end`. Once, before anything else here.
pub fn init(end: u64) {
    let image_end = (&raw const __end) as usize - LINK_OFFSET;
    OWNED_END.store((image_end as u64).next_multiple_of(PAGE), Ordering::Relaxed);
    TABLES_END.store(end, Ordering::Relaxed);
}

/// Memory for good, zeroed and page-aligned. Not after the first [`table`].
pub fn carve(len: usize) -> &'static mut [u8] {
    assert!(NEXT_TABLE.load(Ordering::Relaxed) == 0, "carved after the first table");
    let start = OWNED_END.load(Ordering::Relaxed);
    let end = (start + len as u64).next_multiple_of(PAGE);
    assert!(end <= TABLES_END.load(Ordering::Relaxed), "no memory left to carve");
    OWNED_END.store(end, Ordering::Relaxed);
    // SAFETY: mapped memory behind the image, which nobody else has: the watermark has moved, and only one processor runs.
    unsafe { ptr::write_bytes(start as *mut u8, 0, len) };
    // SAFETY: as above; initialised by the line before.
    unsafe { core::slice::from_raw_parts_mut(start as *mut u8, len) }
}

/// The address of something in the image or carved.
pub fn address_of<T: ?Sized>(object: &T) -> u64 {
    let address = ptr::from_ref(object).cast::<u8>() as usize;
    (if address >= LINK_OFFSET { address - LINK_OFFSET } else { address }) as u64
}

/// A zeroed page for a page table. Under the domain's lock.
pub fn table() -> u64 {
    let next = match NEXT_TABLE.load(Ordering::Relaxed) {
        0 => OWNED_END.load(Ordering::Relaxed),
        next => next,
    };
    assert!(next + PAGE <= TABLES_END.load(Ordering::Relaxed), "no memory left for tables");
    NEXT_TABLE.store(next + PAGE, Ordering::Relaxed);
    zero(next, PAGE);
    next
}

/// Whether nobody in Rust owns any of it.
fn is_free(start: u64, len: u64) -> bool {
    let Some(end) = start.checked_add(len) else { return false };
    end <= MODULE_BASE || start >= OWNED_END.load(Ordering::Relaxed) && end <= MAPPED
}

/// The pointer behind an address that this module may reach into.
fn reach(start: u64, len: u64) -> *mut u8 {
    assert!(is_free(start, len), "tdsim: {start:#x}+{len:#x} is not for access by address");
    start as *mut u8
}

/// Copies memory out.
pub fn read(from: u64, to: &mut [u8]) {
    let source = reach(from, to.len() as u64);
    // SAFETY: mapped, and not what Rust owns, so it does not overlap `to`.
    unsafe { ptr::copy_nonoverlapping(source, to.as_mut_ptr(), to.len()) };
}

/// Copies bytes in.
pub fn write(to: u64, from: &[u8]) {
    let target = reach(to, from.len() as u64);
    // SAFETY: mapped, and not what Rust owns, so it does not overlap `from`.
    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), target, from.len()) };
}

/// Fills memory with zeros.
pub fn zero(start: u64, len: u64) {
    let target = reach(start, len);
    // SAFETY: mapped, and not what Rust owns.
    unsafe { ptr::write_bytes(target, 0, len as usize) };
}

/// Reads a number that others may write.
pub fn read_u64(address: u64) -> u64 {
    let source = reach(address, 8).cast::<u64>();
    // SAFETY: mapped, and not what Rust owns.
    unsafe { source.read_volatile() }
}

/// Writes a number that others may read.
pub fn write_u64(address: u64, value: u64) {
    let target = reach(address, 8).cast::<u64>();
    // SAFETY: mapped, and not what Rust owns.
    unsafe { target.write_volatile(value) };
}

/// Reads a register of a device, of 1, 2, 4 or 8 bytes.
pub fn device_read(address: u64, size: u64) -> u64 {
    let source = reach(address, size);
    match size {
        // SAFETY: mapped, and not what Rust owns; a device takes any access.
        1 => u64::from(unsafe { source.read_volatile() }),
        // SAFETY: as above.
        2 => u64::from(unsafe { source.cast::<u16>().read_volatile() }),
        // SAFETY: as above.
        4 => u64::from(unsafe { source.cast::<u32>().read_volatile() }),
        // SAFETY: as above.
        _ => unsafe { source.cast::<u64>().read_volatile() },
    }
}

/// Writes a register of a device, of 1, 2, 4 or 8 bytes.
pub fn device_write(address: u64, size: u64, value: u64) {
    let target = reach(address, size);
    match size {
        // SAFETY: mapped, and not what Rust owns; a device takes any access.
        1 => unsafe { target.write_volatile(value as u8) },
        // SAFETY: as above.
        2 => unsafe { target.cast::<u16>().write_volatile(value as u16) },
        // SAFETY: as above.
        4 => unsafe { target.cast::<u32>().write_volatile(value as u32) },
        // SAFETY: as above.
        _ => unsafe { target.cast::<u64>().write_volatile(value) },
    }
}

/// The pack: memory behind the tables that nobody writes.
pub fn pack(start: u64, len: u64) -> &'static [u8] {
    assert!(start > MODULE_BASE && start.saturating_add(len) <= LOW_END, "the pack is not where it must be");
    // SAFETY: mapped; QEMU's loader filled it, and tables end in front of it.
    unsafe { core::slice::from_raw_parts(start as *const u8, len as usize) }
}

/// A carved page as a structure.
///
/// # Safety
/// Any bytes must be a valid `T`, which is a page long at most.
pub unsafe fn carve_as<T>() -> &'static mut T {
    const { assert!(align_of::<T>() <= 4096) };
    let page = carve(size_of::<T>());
    // SAFETY: as long as `T`, aligned to a page, and the caller says that its bytes are a valid one.
    unsafe { &mut *page.as_mut_ptr().cast::<T>() }
}
