//! Memory: frames with owners, address spaces, the heap, access to user memory, DMA.

pub mod dma;
pub mod frame;
pub mod user_io;
pub mod vm_space;

pub use frame::{Segment, UFrame};
pub use user_io::{VmReader, VmWriter};
pub use vm_space::{Cursor, PageFlags, VmSpace};

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
    /// The reserve: [`UFrame`] allocation fails when `free` would fall below it; the heap, page tables and stacks may use it.
    pub reserve: usize,
}

/// Counts as of now.
pub fn stats() -> MemoryStats {
    todo!()
}

/// Whether calls made on behalf of user space that would add kernel objects ought to fail with ENOMEM: less than half of the reserve is left.
/// The heap itself cannot fail in Rust's collections, so the kernel asks here before it commits to an allocation.
pub fn is_exhausted() -> bool {
    todo!()
}
