//! The machine's stand-in on the host: an arena as physical memory, threads as CPUs, no TLB.

use core::sync::atomic::{AtomicPtr, Ordering};

use super::{PAGE_SIZE, Paddr};

/// Where the arena lies; physical address 0 is its first byte.
static ARENA: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());

/// The arena's byte for a physical address.
#[inline]
pub(super) fn phys_to_ptr(paddr: Paddr) -> *mut u8 {
    ARENA.load(Ordering::Relaxed).wrapping_add(paddr)
}

/// # Safety
/// `page` is a whole page, ours alone.
pub(super) unsafe fn clear_page(page: *mut u8) {
    // SAFETY: by contract.
    unsafe { page.write_bytes(0, PAGE_SIZE) };
}

/// # Safety
/// `to` and `from` have `len` bytes.
pub(super) unsafe fn copy_untyped(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: by contract; they may overlap.
    unsafe { core::ptr::copy(from, to, len) };
}

/// # Safety
/// `to` has `len` bytes.
pub(super) unsafe fn zero_untyped(to: *mut u8, len: usize) {
    // SAFETY: by contract.
    unsafe { to.write_bytes(0, len) };
}

/// There is no user memory on the host: every access faults at once.
///
/// # Safety
/// None.
pub(super) unsafe fn copy_user(_to: *mut u8, _from: *const u8, len: usize) -> usize {
    len
}

/// # Safety
/// None.
pub(super) unsafe fn zero_user(_to: *mut u8, len: usize) -> usize {
    len
}

/// # Safety
/// None.
pub(super) unsafe fn load_user_u32(_from: *const u32) -> Option<u32> {
    None
}

/// # Safety
/// None.
pub(super) unsafe fn compare_exchange_user_u32(_at: *mut u32, _expected: u32, _new: u32) -> Option<u32> {
    None
}

/// # Safety
/// None.
pub(super) unsafe fn copy_user_string(_to: *mut u8, _from: *const u8, len: usize) -> (usize, StringEnd) {
    (len, StringEnd::Fault)
}

/// How a string copy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StringEnd {
    /// With the NUL.
    Nul,
    /// With the buffer.
    Full,
    /// With a fault.
    Fault,
}

pub(super) fn flush_page(_address: usize) {}
pub(super) fn flush_all_user() {}

pub(super) fn flush_all() {}

/// Host CPUs answer when they next wait themselves; no test makes one space active on two.
pub(super) fn send_flush_ipi(_cpu: usize) {}

/// Threads need no interrupts.
#[derive(Debug)]
pub(super) struct Patience;

impl Patience {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn is_at_an_end(&mut self, _waiting: u64) -> bool {
        false
    }
}

/// Where user memory is accessed no task runs: refused.
pub(super) fn has_user_space() -> bool {
    false
}

/// # Safety
/// None: there are no tables to load.
pub(super) unsafe fn load_root(_root: Paddr) {}

#[cfg(test)]
pub(super) fn cpu_index() -> usize {
    tests::cpu_index()
}

#[cfg(not(test))]
pub(super) fn cpu_index() -> usize {
    0
}

#[cfg(test)]
pub(in crate::mm) mod tests {
    use std::alloc::{Layout, alloc_zeroed};
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread_local;

    use super::ARENA;
    use crate::cpu::MAX_CPUS;
    use crate::mm::early::Stretch;
    use crate::mm::frame;

    static TAKEN: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

    struct Cpu(usize);

    impl Drop for Cpu {
        fn drop(&mut self) {
            TAKEN[self.0].store(false, Ordering::Release);
        }
    }

    thread_local! {
        static CPU: Cpu = Cpu(
            (0..MAX_CPUS).find(|i| !TAKEN[*i].swap(true, Ordering::Acquire)).expect("fewer test threads than CPUs"),
        );
    }

    pub(super) fn cpu_index() -> usize {
        CPU.with(|cpu| cpu.0)
    }

    /// Physical memory of the host tests, in bytes.
    pub(in crate::mm) const MEMORY: usize = if cfg!(miri) { 8 << 20 } else { 128 << 20 };

    /// Brings frames up on the arena, once for all tests.
    pub(in crate::mm) fn boot() {
        static BOOT: Once = Once::new();
        BOOT.call_once(|| {
            let layout = Layout::from_size_align(MEMORY, 1 << 21).expect("a plain layout");
            // SAFETY: the layout is not empty.
            let arena = unsafe { alloc_zeroed(layout) };
            ARENA.store(arena, Ordering::Relaxed);
            let metadata = 1 << 20;
            let first = metadata + frame::metadata_len(MEMORY);
            let free = Stretch { range: first..MEMORY, is_accepted: true };
            // SAFETY: the arena is ours; metadata and the free range do not overlap.
            unsafe { frame::init(MEMORY, metadata, core::iter::once(free)) };
        });
    }
}
