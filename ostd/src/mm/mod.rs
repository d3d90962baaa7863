//! Memory: frames with owners, address spaces, the heap, access to user memory, DMA.
//!
//! Start at [`frame`] for who owns what, [`vm_space`] for user page tables, `kspace` for the kernel's own. Everything that is not
//! the machine itself also runs on the host (`host` stands in for it), under `cargo test` and Miri.

pub mod dma;
pub mod frame;
pub mod user_io;
pub mod virtio_hal;
pub mod vm_space;

mod early;
mod heap;
#[cfg(not(target_os = "none"))]
mod host;
pub(crate) mod kspace;
mod machine;
mod page_table;
pub(crate) mod ram;
pub(crate) mod tlb;

pub use frame::{Segment, UFrame};
pub use user_io::{VmReader, VmWriter};
pub use vm_space::{Cursor, PageFlags, VmSpace};

#[cfg(target_os = "none")]
pub(crate) use early::EarlyMap;

/// Makes all CPUs pass a full memory barrier, and waits for that. Do not hold a lock that others take with interrupts off.
#[cfg(target_os = "none")]
pub fn synchronize_cpus() {
    // An order to forget no pages: what counts is that it is answered.
    tlb::flush_kernel(0, 0);
}

/// A physical address.
pub type Paddr = usize;
/// A virtual address.
pub type Vaddr = usize;

/// Size of a page and a frame in bytes.
pub const PAGE_SIZE: usize = 4096;
/// The lowest user address that can be mapped.
pub const USER_START: Vaddr = 0x1000;
/// One past the highest user address that can be mapped.
pub const USER_END: Vaddr = 0x7fff_ffff_f000;

/// Rounds up to whole pages; `None` on overflow.
pub const fn page_up(bytes: usize) -> Option<usize> {
    match bytes.checked_add(PAGE_SIZE - 1) {
        Some(n) => Some(n & !(PAGE_SIZE - 1)),
        None => None,
    }
}

/// Rounds down to whole pages.
pub const fn page_down(bytes: usize) -> usize {
    bytes & !(PAGE_SIZE - 1)
}

/// How much memory there is, in frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryStats {
    /// Frames under our management (kernel image and tables excluded).
    pub total: usize,
    /// Free frames, the reserve included.
    pub free: usize,
    /// Frames that back the kernel heap.
    pub heap: usize,
    /// Frames that back page tables.
    pub page_tables: usize,
    /// Frames that back task stacks.
    pub stacks: usize,
    /// The reserve: [`UFrame`] allocation fails when `free` would fall below it (give or take the few frames that each CPU caches).
    /// Page tables, stacks and device memory may use three quarters of it, the heap all.
    pub reserve: usize,
}

/// Counts as of now.
pub fn stats() -> MemoryStats {
    let (total, free, reserve) = frame::allocator::counts();
    #[cfg(target_os = "none")]
    let stacks = kspace::stack_frames();
    #[cfg(not(target_os = "none"))]
    let stacks = 0;
    MemoryStats { total, free, heap: heap::frames(), page_tables: vm_space::table_frames(), stacks, reserve }
}

/// Whether calls made on behalf of user space that would add kernel objects ought to fail with ENOMEM: less than half of the reserve is left.
/// The heap itself cannot fail in Rust's collections, so the kernel asks here before it commits to an allocation.
pub fn is_exhausted() -> bool {
    frame::allocator::is_below_half_reserve()
}

/// Whether no call made on behalf of user space ought to start before room was made: less than a quarter of the reserve is left.
/// What is then left is for the calls that are under way.
#[inline]
pub fn is_depleted() -> bool {
    frame::allocator::is_below_quarter_reserve()
}

/// Brings memory up: the kernel's final page tables, then frames, then with them the heap.
///
/// # Safety
/// Called once, on the boot CPU, with boot's early tables loaded; `map` is true, as far as our own image and the loader's data go.
#[cfg(target_os = "none")]
pub(crate) unsafe fn init(map: &EarlyMap<'_>) {
    // SAFETY: kernel code keeps to the rights of its image's sections, and touches user memory through `user_io` only.
    unsafe { init_cpu() };
    ram::remember(map);
    let mut free = early::FreeRanges::new(map);
    let end = free.iter().map(|r| r.range.end).max().unwrap_or(0);
    let metadata = free.take(frame::metadata_len(end)).expect("the machine has memory for frame metadata");
    let shared = dma::take_pool(&mut free);
    // SAFETY: boot's tables map early memory; called once by contract.
    unsafe { kspace::init(map, &shared, &mut free) };
    // SAFETY: `free` holds what nobody uses, and `metadata` was taken out of it; the new tables map both.
    unsafe { frame::init(end, metadata, free.iter().cloned()) };
    dma::open_pool(shared);
    while crate::tdx::memory::is_eager() && accept_some() {}
}

/// A copy of what firmware left in memory that it keeps for ACPI; `None` if `start` and `len` say anything else.
#[cfg(target_os = "none")]
pub(crate) fn copy_firmware_memory(start: Paddr, len: usize) -> Option<alloc::vec::Vec<u8>> {
    use crate::boot::MemoryKind;
    let end = start.checked_add(len)?;
    let is_kept = |kind| matches!(kind, MemoryKind::AcpiNvs | MemoryKind::AcpiReclaimable);
    let mut regions = crate::boot::info().memory.iter().filter(|region| is_kept(region.kind));
    regions.find(|region| region.start <= start && end <= region.start + region.len)?;
    let mut copy = alloc::vec::Vec::new();
    copy.try_reserve_exact(len).ok()?;
    copy.resize(len, 0);
    // SAFETY: the range is in the direct map, as all of firmware's memory but what is reserved, and `copy` has that many bytes.
    unsafe { machine::copy_untyped(copy.as_mut_ptr(), kspace::phys_to_ptr(start), len) };
    Some(copy)
}

/// Whether there was memory of a TD that nobody had accepted, of which a large page now is: what is left for later at boot is accepted when it is first
/// handed out, and better before, by whoever has nothing else to do.
pub fn accept_some() -> bool {
    frame::allocator::accept_some()
}

/// Bytes that nobody has accepted yet.
pub(crate) fn unaccepted() -> u64 {
    (frame::allocator::unaccepted() * PAGE_SIZE) as u64
}

/// Sets this CPU up for the kernel's tables (write protection, no-execute, SMEP, SMAP); for CPUs other than the first, which [`init`] covers.
///
/// # Safety
/// The CPU runs on the kernel's tables.
#[cfg(target_os = "none")]
pub(crate) unsafe fn init_cpu() {
    // SAFETY: kernel code keeps to the rights of its image's sections, and touches user memory through `user_io` only.
    unsafe { machine::init_cpu() };
}
