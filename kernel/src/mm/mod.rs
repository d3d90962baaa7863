//! Memory of processes: areas, faults, copy-on-write, the page cache.
//!
//! [`AddressSpace`] holds the areas of a process and the page tables that show them to the hardware. Its methods are the memory calls
//! of Linux, one file each: `map`, `protect`, `remap`, `brk`, `advise`, `lock`, `sync`. [`fault`] brings pages in.

pub mod accept;
pub mod account;
pub mod address_space;
pub mod advise;
pub mod area;
mod attached;
pub mod brk;
pub mod cached;
pub mod fault;
pub mod fork;
pub mod frames;
pub mod grow;
pub mod layout;
pub mod limits;
pub mod lock;
pub mod map;
pub mod oom;
pub mod page_cache;
pub mod protect;
pub mod reclaim;
pub mod remap;
pub mod remote;
pub mod report;
pub mod residence;
pub mod sync;

pub use address_space::AddressSpace;
pub use area::{AreaFlags, Backing};
pub use limits::Limits;
pub use map::{MapRequest, Place};

/// Names who is told of pages that go, and who serves faults that the kernel takes on user memory. Part of boot.
pub fn init() {
    account::init();
    ostd::mm::user_io::set_fault_handler(fault::serve_kernel_access);
}
